'use strict';
// Chromium for the tests of the pages, driven by playwright-core.

const assert = require('node:assert/strict');
const fs = require('node:fs');

const { chromium } = require('playwright-core');

const { missing } = require('../../e2e/lib/server.js');

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const TIMEOUT_MS = 60_000;

// Why tests cannot run here, or false.
const missingBrowser = () => missing() || (fs.existsSync(CHROMIUM) ? false : `${CHROMIUM} is not there`);

// What the browser says of answers with an error status, for tests that provoke them.
const FAILED_REQUESTS = /^Failed to load resource/;

// A page that fails the test for any request to elsewhere, and for whatever the browser complains about, refusals of the
// Content-Security-Policy among it, but for what is `expected`. before(page): what is done before it is loaded. options:
// those of a browser context.
async function openPage(t, url, { expected = null, before = () => {}, ...options } = {}) {
    const complaints = [];
    const browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
            '--disable-sync', '--no-first-run'],
    });
    t.after(async () => {
        await browser.close();
        assert.deepEqual(complaints.filter((text) => !expected?.test(text)), []);
    });
    const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, ...options });
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(`${error}`));
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('request', (request) => {
        const isOwn = request.url().startsWith(new URL(url).origin) || request.url().startsWith('blob:');
        if (!isOwn) complaints.push(`it asked for ${request.url()}`);
    });
    page.setDefaultTimeout(TIMEOUT_MS);
    await before(page);
    await page.goto(url);
    return page;
}

module.exports = { FAILED_REQUESTS, missingBrowser, openPage };
