'use strict';
// Where the focus of a page is, or comes to be: views set it a moment after what they show is there.

const nameOf = () => {
    const at = document.activeElement;
    return at.getAttribute('aria-label') || at.textContent.trim() || at.name || at.id || at.tagName;
};

const focused = (page) => page.evaluate(nameOf);

// Waits until `match`, a function that runs in the page, holds of the focused element.
async function focusComes(page, match, what) {
    const source = `(${match})(document.activeElement)`;
    await page.waitForFunction(source, null, { timeout: 10_000 }).catch(async () => {
        throw new Error(`${what}; the focus is on ${JSON.stringify(await focused(page))}`);
    });
}

// The same of the element of this name.
async function focusComesTo(page, name, what = `the focus comes to "${name}"`) {
    for (let left = 200; (await focused(page)) !== name; left--) {
        if (left === 0) throw new Error(`${what}; it is on ${JSON.stringify(await focused(page))}`);
        await page.waitForTimeout(50);
    }
}

module.exports = { focused, focusComes, focusComesTo };
