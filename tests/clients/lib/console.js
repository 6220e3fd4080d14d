'use strict';
// The owner's console in Chromium, for the tests of its views.
//
//   const page = await openConsole(t, server, { view: 'models' });   signed in
//
//   WEIR_SCREENSHOTS=FOLDER   also takes the pictures of it that the docs show, console-VIEW.png

const path = require('node:path');

const browser = require('./browser.js');

// The server is stopped before the browser, and the page asks once more.
const STOPPED = /net::ERR_/;

const openPage = (t, url, { expected = STOPPED, ...options } = {}) =>
    browser.openPage(t, url, { expected, viewport: { width: 1000, height: 720 }, deviceScaleFactor: 1.5, ...options });

async function signIn(page, key, name = '') {
    await page.getByLabel('Admin key').fill(key);
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Sign in' }).click();
}

async function openConsole(t, server, { view = 'models', actor = 'Ada', ...options } = {}) {
    const page = await openPage(t, `${server.url}/admin#/${view}`, options);
    await signIn(page, server.adminKey, actor);
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    return page;
}

// Presses a button that asks, and answers the dialog with the button of that name.
async function confirm(page, button, answer, fields = {}) {
    await button.click();
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    for (const [label, value] of Object.entries(fields)) {
        await dialog.getByLabel(label).fill(value);
    }
    await dialog.getByRole('button', { name: answer, exact: true }).click();
    await dialog.waitFor({ state: 'hidden' });
}

// Keeps the requests of a page that match from their answers, until they are told to go on.
//
//   const held = await holdRequests(page, (request) => request.method() === 'PUT');
//   const route = await held.next();   the next of them; route.continue()
//   held.count                         how many there were
//   await held.end()                   all go on from now
async function holdRequests(page, isHeld) {
    const routes = [];
    const waiting = [];
    let isOver = false;
    const held = {
        count: 0,
        next: () => new Promise((resolve) => {
            if (routes.length > 0) resolve(routes.shift());
            else waiting.push(resolve);
        }),
        end: () => {
            isOver = true;
            return Promise.all(routes.splice(0).map((route) => route.continue()));
        },
    };
    await page.route('**/admin/**', (route) => {
        if (isOver || !isHeld(route.request())) return route.fallback();
        held.count++;
        if (waiting.length > 0) waiting.shift()(route);
        else routes.push(route);
        return undefined;
    });
    return held;
}

// The page as the docs show it, if they are wanted.
async function picture(page, name) {
    if (process.env.WEIR_SCREENSHOTS) {
        await page.evaluate(() => scrollTo(0, 0));
        await page.screenshot({ path: path.join(process.env.WEIR_SCREENSHOTS, `console-${name}.png`) });
    }
}

// The status line says that what has this title is done.
const done = (page, title) => page.getByRole('status').getByText(`${title}: done.`, { exact: true }).waitFor();

module.exports = { ...browser, openPage, openConsole, signIn, confirm, done, holdRequests, picture };
