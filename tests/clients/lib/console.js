'use strict';
// The owner's console in Chromium, for the tests of its views.
//
//   const { page } = await openConsole(t, server, { view: 'models' });   signed in
//
//   WEIR_SCREENSHOTS=FOLDER   also takes the pictures of it that the docs show, console-VIEW.png

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { chromium } = require('playwright-core');

const { missing } = require('../../e2e/lib/server.js');

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const TIMEOUT_MS = 60_000;

const missingConsole = () => missing() || (fs.existsSync(CHROMIUM) ? false : `${CHROMIUM} is not there`);

// A page that fails the test for whatever the browser complains about, refusals of the content security policy among
// it; but for answers with an error status where the test provokes them.
async function openPage(t, url, { errorsExpected = false, ...options } = {}) {
    const browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
            '--disable-sync', '--no-first-run'],
    });
    const page = await browser.newPage({ viewport: { width: 1000, height: 720 }, deviceScaleFactor: 1.5, ...options });
    const complaints = [];
    const requests = [];
    page.on('pageerror', (error) => complaints.push(`${error}`));
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('request', (request) => requests.push(request.url()));
    page.setDefaultTimeout(TIMEOUT_MS);
    await page.goto(url);
    t.after(async () => {
        await browser.close();
        // net::ERR_...: the server is stopped before the browser, and the page asked once more.
        assert.deepEqual(complaints.filter((text) => !text.includes('net::ERR_') &&
            !(errorsExpected && text.startsWith('Failed to load resource'))), []);
    });
    return { page, requests };
}

async function signIn(page, key, name = '') {
    await page.getByLabel('Admin key').fill(key);
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Sign in' }).click();
}

async function openConsole(t, server, { view = 'models', actor = 'Ada', ...options } = {}) {
    const opened = await openPage(t, `${server.url}/admin#/${view}`, options);
    await signIn(opened.page, server.adminKey, actor);
    await opened.page.getByRole('button', { name: 'Sign out' }).waitFor();
    return opened;
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

// The page as the docs show it, if they are wanted.
async function picture(page, name) {
    if (process.env.WEIR_SCREENSHOTS) {
        await page.evaluate(() => scrollTo(0, 0));
        await page.screenshot({ path: path.join(process.env.WEIR_SCREENSHOTS, `console-${name}.png`) });
    }
}

// The status line says that it is done.
const done = (page) => page.getByRole('status').filter({ hasText: 'done.' }).waitFor();

module.exports = { missingConsole, openPage, openConsole, signIn, confirm, done, picture };
