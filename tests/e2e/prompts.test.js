'use strict';
// The owner's system prompt: from a file, changed while serving, kept by whoever began with it.

const assert = require('node:assert/strict');
const test = require('node:test');

const { ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');

const skip = missing();
const ROUTE = '/admin/prompts/default';

test('a prompt from a file stands before every conversation', { skip }, async (t) => {
    const folder = makeFolder(t);
    const plain = await startServer(t);
    const server = await startServer(t, {
        args: ['--system-prompt', writeFile(folder, 'prompt.txt', 'Your name is Otto.\n')],
    });
    const question = ask('Hello');
    const owner = await whole(server, question);
    const client = await whole(plain, {
        ...question,
        messages: [{ role: 'system', content: 'Your name is Otto.' }, ...question.messages],
    });
    assert.equal(owner.text, client.text);
    assert.equal(owner.usage.prompt_tokens, client.usage.prompt_tokens);
    assert.match(owner.madeBy.prompt, /^default@1;/);
});

test('a prompt is changed while serving', { skip }, async (t) => {
    const server = await startServer(t);

    await t.test('the next answer has it, a running stream keeps its own', async () => {
        const request = ask('Tell me a long story.', { max_tokens: 60 });
        const before = await whole(server, request);
        const running = await beginStream(server, request);
        const put = await server.admin('PUT', ROUTE, { text: 'You are Zora. Be brief.' });
        assert.equal(put.status, 200);
        const shown = await put.json();
        assert.equal(shown.version, 1);
        assert.equal(shown.text, 'You are Zora. Be brief.');
        const after = await whole(server, request);
        assert.match(after.madeBy.prompt, /^default@1;/);
        assert.ok(after.usage.prompt_tokens > before.usage.prompt_tokens);
        const old = await readStream(running);
        assert.equal(old.madeBy.prompt, before.madeBy.prompt);
        assert.equal(old.text, before.text);
        assert.deepEqual(await (await server.admin('GET', ROUTE)).json(), shown);
    });

    await t.test('only with the admin key', async () => {
        for (const headers of [{}, { authorization: 'Bearer wrong' }, { 'x-api-key': '' }]) {
            for (const method of ['GET', 'PUT']) {
                const body = method === 'PUT' ? '{"text":"x"}' : undefined;
                const answer = await server.fetch(ROUTE, { method, headers, body });
                assert.equal(answer.status, 401);
                assert.equal((await answer.json()).error.code, 'invalid_api_key');
            }
        }
    });

    await t.test('what is no prompt is refused and changes nothing', async () => {
        const before = await (await server.admin('GET', ROUTE)).json();
        for (const value of [{}, { text: 3 }, { text: null }, [], 'text', { text: 'x'.repeat(2_000_000) }]) {
            const answer = await server.admin('PUT', ROUTE, value);
            assert.equal(answer.status, 400, JSON.stringify(value).slice(0, 40));
            await answer.text();
        }
        assert.deepEqual(await (await server.admin('GET', ROUTE)).json(), before);
    });
});
