'use strict';
// The chat page in Chromium, driven by playwright-core.

const assert = require('node:assert/strict');
const fs = require('node:fs');

const { chromium } = require('playwright-core');

const { missing } = require('../../e2e/lib/server.js');

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const TIMEOUT_MS = 60_000;
const ANSWERS = '**/v1/chat/completions';

const missingBrowser = () => missing() || (fs.existsSync(CHROMIUM) ? false : `${CHROMIUM} is not there`);

const launch = () => chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
        '--no-first-run'],
});

const FAILED_REQUESTS = /^Failed to load resource/;

// A page that fails the test for any request to elsewhere, and for whatever the browser complains about, refusals of the
// Content-Security-Policy among it, but for what is `expected`. before(page): what is done before it is loaded. options:
// those of a browser context.
async function openPage(t, url, { expected = null, before = () => {}, ...options } = {}) {
    const browser = await launch();
    const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, ...options });
    const page = await context.newPage();
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(`${error}`));
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('request', (request) => {
        const isOwn = request.url().startsWith(new URL(url).origin) || request.url().startsWith('blob:');
        if (!isOwn) complaints.push(`it asked for ${request.url()}`);
    });
    page.setDefaultTimeout(TIMEOUT_MS);
    t.after(async () => {
        await browser.close();
        assert.deepEqual(complaints.filter((text) => !expected?.test(text)), []);
    });
    await before(page);
    await page.goto(url);
    return page;
}

const field = (page) => page.getByLabel('Message', { exact: true });
const button = (scope, name) => scope.getByRole('button', { name, exact: true });
const answers = (page) => page.locator('.turn.assistant');

async function send(page, text) {
    await field(page).fill(text);
    await field(page).press('Enter');
}

// Sends the message and waits for the whole answer; its text.
async function ask(page, text) {
    const before = await answers(page).count();
    await send(page, text);
    const answer = answers(page).nth(before);
    await answer.locator('.made-by').waitFor();
    return answer.locator('.markdown').textContent();
}

// The server answers the next request with this text, as if the model had written it.
async function answerWith(page, text, { moderation } = {}) {
    const chunk = (fields) => `data: ${JSON.stringify({ id: 'chatcmpl-test', object: 'chat.completion.chunk', ...fields })}\n\n`;
    const body = [
        chunk({ choices: [{ index: 0, delta: { role: 'assistant' }, finish_reason: null }] }),
        ': ping\n\n',
        ...text.match(/[^]{1,7}/gu).map((content) => chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })),
        chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
        moderation ? chunk({ choices: [], moderation }) : '',
        'data: [DONE]\n\n',
    ].join('');
    await page.route(ANSWERS, (route) => route.fulfill({
        contentType: 'text/event-stream',
        headers: { 'weir-model': 'test@1; sha256=00', 'weir-prompt': 'default@1; sha256=00' },
        body,
    }), { times: 1 });
}

// The model goes on and on in the next answer: so many tokens.
async function answerAtLength(page, tokens) {
    await page.route(ANSWERS, (route) => route.continue({
        postData: JSON.stringify({ ...route.request().postDataJSON(), ignore_eos: true, max_tokens: tokens }),
    }), { times: 1 });
}

module.exports = {
    FAILED_REQUESTS, missingBrowser, openPage, field, button, answers, send, ask, answerWith, answerAtLength,
};
