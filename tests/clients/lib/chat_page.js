'use strict';
// The chat page in Chromium, driven by playwright-core.

const { FAILED_REQUESTS, missingBrowser, openPage } = require('./browser.js');
const { holdStream } = require('./held_stream.js');

const ANSWERS = '**/v1/chat/completions';
const HELD_AFTER = 60; // events: some words

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

// The next request goes to `url` if there is one, and the model goes on and on in the answer: so many tokens.
async function answerAtLength(page, tokens, url) {
    await page.route(ANSWERS, (route) => route.continue({
        url,
        postData: JSON.stringify({ ...route.request().postDataJSON(), ignore_eos: true, max_tokens: tokens }),
    }), { times: 1 });
}

const live = (page) => page.locator('.turn.assistant[aria-busy=true]');

// Sends the message, and is back in the middle of the answer, which stays there: what holdStream gave.
async function sendAndHold(t, page, server, text) {
    const held = await holdStream(t, server, HELD_AFTER);
    await answerAtLength(page, 900, `${held.url}/v1/chat/completions`);
    await send(page, text);
    await page.waitForFunction(() => document.querySelector('.turn.assistant[aria-busy=true] .markdown')?.textContent.length > 20);
    return held;
}

// The server refuses the next request for an answer.
async function refuse(page, error) {
    await page.route(ANSWERS, (route) => route.fulfill({ status: 429, json: { error } }), { times: 1 });
}

module.exports = {
    FAILED_REQUESTS, missingBrowser, openPage, field, button, answers, live, send, ask, answerWith, answerAtLength, sendAndHold,
    refuse,
};
