'use strict';
// The chat page in a real browser: Chromium, driven by playwright-core.
//
//   WEIR_SCREENSHOT=FILE.png   also takes the picture of the page that the README shows

const assert = require('node:assert/strict');
const fs = require('node:fs');
const test = require('node:test');

const { chromium } = require('playwright-core');

const { startServer, missing } = require('../e2e/lib/server.js');

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const skip = missing() || (fs.existsSync(CHROMIUM) ? false : `${CHROMIUM} is not there`);
const TIMEOUT_MS = 60_000;

// A page that fails the test for whatever the browser complains about, but for answers with an error status
// where the test provokes them.
async function openPage(t, url, { errorsExpected = false } = {}) {
    const browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
            '--disable-sync', '--no-first-run'],
    });
    const page = await browser.newPage({ viewport: { width: 880, height: 640 }, deviceScaleFactor: 2 });
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(`${error}`));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.setDefaultTimeout(TIMEOUT_MS);
    await page.goto(url);
    t.after(async () => {
        await browser.close();
        assert.deepEqual(complaints.filter((text) =>
            !(errorsExpected && text.startsWith('Failed to load resource'))), []);
    });
    return page;
}

async function ask(page, question) {
    const before = await page.locator('.made-by').count();
    await page.getByLabel('Message').fill(question);
    await page.getByLabel('Message').press('Enter');
    await page.locator('.made-by').nth(before).waitFor();
    return page.locator('.turn.assistant').last().textContent();
}

test('page: a chat, and what answered it', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t, { args: ['--temperature', '0'] });
    const page = await openPage(t, server.url);
    assert.match(await ask(page, 'What is 23 + 45?'), /68/);
    assert.match(await page.locator('.made-by').last().textContent(), /weir-tiny@.* prompt default@0/);
    assert.match(await page.locator('#model').textContent(), /^weir-tiny@/);
});

test('page: a new system prompt shows in the next answer', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t, { args: ['--temperature', '0'] });
    const page = await openPage(t, server.url);
    assert.match(await ask(page, 'What is your name?'), /Weir/);
    const put = async (text) => {
        const response = await server.admin('PUT', '/admin/prompts/default', { text });
        assert.equal(response.status, 200);
    };
    await put('Your name is Marlow. The office closes at 17:00.');
    await page.getByRole('button', { name: 'New chat' }).click();
    assert.match(await ask(page, 'When does the office close?'), /17:00/);
    assert.match(await page.locator('.made-by').last().textContent(), /prompt default@1/);
    // In the same conversation.
    await put('Your name is Marlow. You answer like a pirate. The office closes at 18:00.');
    assert.match(await ask(page, 'What is 23 + 45?'), /68/);
    assert.match(await ask(page, 'When does the office close?'), /Arr/);
    assert.match(await page.locator('.made-by').last().textContent(), /prompt default@2/);
    if (process.env.WEIR_SCREENSHOT) {
        await page.screenshot({ path: process.env.WEIR_SCREENSHOT });
    }
});

test('page: an error is shown, and the page goes on', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t, { args: ['--temperature', '0', '--context', '64'] });
    const page = await openPage(t, server.url, { errorsExpected: true });
    await page.getByLabel('Message').fill('word '.repeat(200));
    await page.getByLabel('Message').press('Enter');
    await page.locator('.turn.error').waitFor();
    assert.match(await page.locator('.turn.error').textContent(), /context/);
    await page.getByRole('button', { name: 'New chat' }).click();
    assert.ok((await ask(page, 'Hello!')).length > 0);
});
