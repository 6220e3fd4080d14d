'use strict';
// The chat page when something is in the way: filters, keys, limits, and a server that is gone.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { startServer } = require('../e2e/lib/server.js');
const {
    FAILED_REQUESTS, missingBrowser, openPage, field, button, answers, send, ask, answerAtLength, sendAndHold,
} = require('./lib/chat_page.js');
const { focusComes } = require('./lib/focus.js');

const options = { skip: missingBrowser(), timeout: 240_000 };
const start = (t, ...args) => startServer(t, { args: ['--temperature', '0', ...args] });

async function setFilters(server, chain) {
    const response = await server.admin('PUT', '/admin/filters/default', chain);
    assert.equal(response.status, 200, await response.text());
}

test('chat page: what a filter has replaced is marked', options, async (t) => {
    const server = await start(t);
    await setFilters(server, { filters: [{ type: 'wordlist', words: ['Weir'], action: 'replace', replacement: '[näme]' }] });
    const page = await openPage(t, server.url);
    const text = await ask(page, 'What is your name?');
    assert.match(text, /\[näme\]/);
    assert.doesNotMatch(text, /Weir/);
    const mark = answers(page).last().locator('mark.filtered');
    assert.deepEqual(await mark.allTextContents(), ['[näme]']);
    assert.equal(await mark.getAttribute('title'), 'Put here by a filter (wordlist)');
    await page.getByText('A filter changed what is marked (wordlist).').waitFor();
    await setFilters(server, { filters: [{ type: 'wordlist', words: ['68'], action: 'mask' }] });
    assert.match(await ask(page, 'What is 23 + 45?'), /\*\*/);
    assert.deepEqual(await mark.allTextContents(), ['**']);
    await setFilters(server, { filters: [{ type: 'wordlist', words: ['Weir'], action: 'replace', replacement: '[näme]' }] });
    await button(page, 'New chat').click();
    await ask(page, 'What is your name?');
    assert.match(await page.locator('.made-by').textContent(), /filters default@3/);
});

test('chat page: where a filter has ended an answer is marked, and what the owner says of it', options, async (t) => {
    const server = await start(t);
    await setFilters(server, { filters: [{ type: 'wordlist', words: ['68'], action: 'stop' }], refusal: 'Not here.' });
    const page = await openPage(t, server.url);
    assert.match(await ask(page, 'What is 23 + 45?'), /Not here\./);
    assert.equal(await answers(page).last().locator('mark.filtered').textContent(), 'Not here.');
    await page.getByText('A filter ended this answer (wordlist).').waitFor();
});

test('chat page: a message that a filter refuses is not sent again', options, async (t) => {
    const server = await start(t);
    await setFilters(server, { filters: [{ type: 'wordlist', words: ['heron'], action: 'stop', side: 'input' }] });
    const page = await openPage(t, server.url, { expected: FAILED_REQUESTS });
    await ask(page, 'What is 20 + 30?');
    await send(page, 'What is a heron?');
    await page.getByRole('alert').getByText('A filter did not let this through').waitFor();
    assert.equal(await page.locator('.bubble.refused').textContent(), 'What is a heron?');
    const asked = page.waitForRequest('**/v1/chat/completions');
    assert.match(await ask(page, 'What is 23 + 45?'), /68/);
    assert.ok(!(await asked).postData().includes('heron'));
    // It can be put otherwise.
    await page.locator('.turn.user').filter({ hasText: 'heron' }).getByRole('button', { name: 'Edit' }).click();
    await page.getByLabel('Edit message').fill('What is 20 + 30?');
    await page.getByLabel('Edit message').press('Enter');
    await page.locator('.made-by').nth(1).waitFor();
    assert.equal(await page.locator('.bubble.refused').count(), 0);
});

test('chat page: a server with keys asks for one; it stays in the tab', options, async (t) => {
    const server = await start(t, '--api-key', 'the-right-key');
    const page = await openPage(t, server.url, { expected: FAILED_REQUESTS });
    const dialog = page.getByRole('dialog', { name: 'This server asks for an API key' });
    await dialog.waitFor();
    await focusComes(page, (at) => at.type === 'password', 'one can write the key at once');
    await button(dialog, 'Cancel').click();
    await send(page, 'What is 23 + 45?');
    await dialog.getByLabel('API key').fill('wröng');
    await dialog.getByLabel('API key').press('Enter');
    await dialog.getByText('The server did not accept the key.').waitFor();
    await dialog.getByLabel('API key').fill('the-right-key');
    await button(dialog, 'Use this key').click();
    await answers(page).getByText('68').waitFor(); // the question was not lost
    await page.locator('#model').getByText('weir-tiny').waitFor();
    assert.deepEqual(await page.evaluate(() => [Object.values(sessionStorage), JSON.stringify(localStorage).includes('right-key')]),
        [['the-right-key'], false]);
    await page.reload();
    assert.match(await ask(page, 'What is 20 + 30?'), /50/, 'nothing is asked again');
    await button(page, 'Forget API key').click();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test('chat page: who is over a limit is told how long to wait', options, async (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-chat-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    const hash = crypto.createHash('sha256').update('ann').digest('hex');
    fs.writeFileSync(path.join(folder, 'keys'), `ann:${hash}::tokens=300\n`);
    const server = await start(t, '--api-key-file', path.join(folder, 'keys'));
    const page = await openPage(t, server.url, { expected: FAILED_REQUESTS });
    await page.getByRole('dialog').getByLabel('API key').fill('ann');
    await page.getByRole('dialog').getByLabel('API key').press('Enter');
    await answerAtLength(page, 400);
    await ask(page, 'What is 23 + 45?');
    await send(page, 'What is 20 + 30?');
    const failure = page.locator('.failure');
    await failure.waitFor();
    assert.match(await failure.textContent(), /tokens/);
    const again = failure.getByRole('button');
    assert.match(await again.textContent(), /Try again in \d+ s/);
    assert.ok(await again.isDisabled());
    const seconds = async () => Number((await again.textContent()).match(/\d+/)?.[0] ?? 0);
    const first = await seconds();
    await page.waitForFunction((n) => Number(document.querySelector('.failure button').textContent.match(/\d+/)?.[0] ?? 0) < n, first);
});

test('chat page: when the server is gone it says so, and goes on when it is back', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url, { expected: FAILED_REQUESTS });
    const held = await sendAndHold(t, page, server, 'What is 23 + 45?');
    await server.kill();
    held.breakOff();
    await page.getByText('This answer is not complete.').waitFor();
    assert.match(await page.locator('.failure').textContent(), /broke off/);
    assert.ok((await answers(page).last().locator('.markdown').textContent()).length > 20, 'what had come is kept');

    await button(page.locator('.failure'), 'Try again').click();
    await page.getByText('The server cannot be reached.').waitFor();
    await startServer(t, { args: ['--temperature', '0'], port: server.port });
    await button(page.locator('.failure'), 'Try again').click();
    await page.getByText('This answer is not complete.').waitFor({ state: 'detached' });
    await page.locator('.made-by').waitFor();
    assert.match(await answers(page).locator('.markdown').textContent(), /68/);
    assert.equal(await page.locator('.failure').count(), 0);
});

test('chat page: an error of the server is shown in its words', options, async (t) => {
    const server = await start(t, '--context', '64');
    const page = await openPage(t, server.url, { expected: FAILED_REQUESTS });
    await send(page, 'word '.repeat(200));
    await page.locator('.failure').waitFor();
    assert.match(await page.locator('.failure').textContent(), /context.*Request req_/);
    await button(page, 'New chat').click();
    assert.ok((await ask(page, 'Hello!')).length > 0);
    assert.equal(await field(page).inputValue(), '');
});
