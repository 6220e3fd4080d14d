'use strict';
// The chat page for everybody: by keyboard, by ear, in the dark, on a phone.

const assert = require('node:assert/strict');
const test = require('node:test');

const axe = require('axe-core');

const { startServer } = require('../e2e/lib/server.js');
const { missingBrowser, openPage, field, button, ask, answerWith } = require('./lib/chat_page.js');
const { focused, focusComes, focusComesTo } = require('./lib/focus.js');

const options = { skip: missingBrowser(), timeout: 240_000 };
const start = (t) => startServer(t, { args: ['--temperature', '0'] });

const MARKDOWN = '## Title\n\nText with `code`, **weight** and a [link](https://example.org/).\n\n' +
    '```js\nconst x = 1; // why\nreturn "text";\n```\n\n> said\n\n| a | b |\n|---|---|\n| 1 | 2 |';
const MODERATION = { output: { results: [{ categories: { wordlist: true }, spans: [
    { choice: 0, at: 10, bytes: 4, verdict: 'replace', name: 'wordlist', code: 'wordlist' }] }] } };

// What axe-core finds against WCAG 2.2 AA.
async function problems(page) {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => window.axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }));
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join('; ')}`);
}

const widths = (page) => page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);

for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [{ width: 1000, height: 700 }, { width: 360, height: 640 }]) {
        test(`chat page: WCAG 2.2 AA, ${colorScheme}, ${viewport.width} wide`, options, async (t) => {
            const server = await start(t);
            const page = await openPage(t, server.url, { colorScheme, viewport });
            assert.deepEqual(await problems(page), []);
            await answerWith(page, MARKDOWN, { moderation: MODERATION });
            await ask(page, 'Show all that there is');
            await page.locator('mark.filtered').waitFor();
            await page.mouse.move(0, 0);
            assert.deepEqual(await problems(page), []);
            const [needed, there] = await widths(page);
            assert.ok(needed <= there, 'nothing sticks out');
            const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
            assert.equal(Number(back.match(/\d+/)[0]) < 128, colorScheme === 'dark');
        });
    }
}

test('chat page: on a phone the chats are behind a button', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
    await answerWith(page, 'One.');
    await ask(page, 'The first chat');
    const side = page.getByRole('complementary', { name: 'Chats' });
    assert.equal(await side.isVisible(), false);
    await button(page, 'Chats').click();
    await side.waitFor();
    await focusComesTo(page, 'New chat');
    await page.keyboard.press('Escape');
    await side.waitFor({ state: 'hidden' });
    await focusComes(page, (at) => at.className.includes('menu'), 'the focus comes back');
    await button(page, 'Chats').click();
    await button(page, 'New chat').click();
    await side.waitFor({ state: 'hidden' });
    await page.getByText('Ask something').waitFor();
    // Targets are large enough for a finger (WCAG 2.2, 2.5.8: 24 CSS pixels).
    const small = await page.locator('button:visible').evaluateAll((all) => all
        .map((each) => ({ name: each.getAttribute('aria-label') ?? each.textContent, ...each.getBoundingClientRect().toJSON() }))
        .filter(({ width, height }) => width < 24 || height < 24));
    assert.deepEqual(small, []);
});

test('chat page: all of it by keyboard', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    const tabTo = async (name, key = 'Shift+Tab') => {
        for (let i = 0; i < 40 && (await focused(page)) !== name; i++) await page.keyboard.press(key);
        assert.equal(await focused(page), name);
    };
    await focusComesTo(page, 'Message', 'one can begin to write at once');
    await page.keyboard.type('First line');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('second line');
    await answerWith(page, 'Here it is.');
    await page.keyboard.press('Enter');
    await page.locator('.made-by').waitFor();
    assert.equal(await page.locator('.bubble').textContent(), 'First line\nsecond line');
    await focusComesTo(page, 'Message', 'and go on');

    await tabTo('Try again');
    await answerWith(page, 'Another one.');
    await page.keyboard.press('Enter');
    await page.getByText('Another one.').first().waitFor();
    await field(page).focus();
    await page.keyboard.press('ArrowUp');
    await page.getByLabel('Edit message').waitFor();
    await focusComesTo(page, 'Edit message', 'arrow up edits the last message');
    await page.keyboard.press('Escape');
    await focusComesTo(page, 'Message');

    await tabTo('Rename First line second line');
    await page.keyboard.press('Enter');
    await page.keyboard.type('By hand');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'By hand' }).waitFor();
    await focusComesTo(page, 'By hand');
    await tabTo('Delete By hand', 'Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await focusComesTo(page, 'Keep', 'what does no harm is chosen');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await focusComesTo(page, 'Delete By hand', 'the focus is where it was');
    // Past all of that to the field, at once.
    await page.evaluate(() => document.activeElement.blur());
    await page.locator('.skip').focus();
    await page.keyboard.press('Enter');
    await focusComesTo(page, 'Message');
});

test('chat page: who reads by ear hears what happens', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    // All that is said, in its order.
    await page.evaluate(() => {
        window.heard = [];
        const status = document.querySelector('[role=status][aria-live=polite]');
        new MutationObserver(() => window.heard.push(status.textContent)).observe(status, { childList: true, characterData: true, subtree: true });
    });
    await ask(page, 'What is 23 + 45?');
    const heard = await page.evaluate(() => window.heard.filter(Boolean));
    assert.equal(heard.length, 2, 'not each piece of the answer');
    assert.equal(heard[0], 'Weir is answering.');
    assert.match(heard[1], /^Weir: .*68/);
    assert.equal(await page.getByRole('article', { name: 'You' }).count(), 1);
    assert.equal(await page.getByRole('article', { name: 'Weir' }).count(), 1);
});
