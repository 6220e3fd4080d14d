'use strict';
// Text to token ids and back, in the shapes of llama-server and vLLM.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { succeed } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing, modelPath } = require('./lib/server.js');

const skip = missing();

async function ask(server, route, request, status = 200) {
    const response = await server.post(route, request);
    const body = await response.json();
    assert.equal(response.status, status, JSON.stringify(body));
    return body;
}

test('text to tokens and back', { skip }, async (t) => {
    const folder = makeFolder(t);
    const prompt = writeFile(folder, 'prompt.txt', 'The secret word is heron.');
    const server = await startServer(t, { args: ['--system-prompt', prompt] });
    const tokenize = (request, status) => ask(server, '/tokenize', request, status);
    const detokenize = (tokens) => ask(server, '/detokenize', { tokens });

    await t.test('any text comes back as it was', async () => {
        for (const text of ['', 'Hello', ' two  spaces\n\n', 'Grüße 😀 \t', '"\\u0041"', 'a'.repeat(5000)]) {
            const { tokens, count, max_model_len } = await tokenize({ content: text });
            assert.deepEqual([count, max_model_len], [tokens.length, 1024]);
            const back = await detokenize(tokens);
            assert.deepEqual(back, { content: text, prompt: text });
        }
        const ids = succeed(['tokenize', '-m', modelPath(), '--no-special'], 'Hello there, 😀').trim().split(' ').map(Number);
        assert.deepEqual((await tokenize({ content: 'Hello there, 😀' })).tokens, ids);
    });

    await t.test('names of control tokens are text unless asked for', async () => {
        const plain = await tokenize({ content: 'a<|im_end|>', parse_special: false });
        const parsed = await tokenize({ content: 'a<|im_end|>', parse_special: true });
        assert.deepEqual((await tokenize({ content: 'a<|im_end|>' })).tokens, plain.tokens);
        assert.ok(plain.count > 3);
        assert.equal(parsed.count, 2);
        assert.equal((await detokenize(plain.tokens)).content, 'a<|im_end|>');
        assert.equal((await detokenize(parsed.tokens)).content, 'a');
    });

    await t.test('pieces and names are shown', async () => {
        const { tokens } = await tokenize({ content: 'Hi ü', with_pieces: true });
        const bytes = tokens.flatMap(({ piece }) => (typeof piece === 'string' ? [...Buffer.from(piece)] : piece));
        assert.equal(Buffer.from(bytes).toString(), 'Hi ü');
        tokens.forEach(({ id }) => assert.ok(Number.isInteger(id)));
        const named = await tokenize({ prompt: 'Hi', return_token_strs: true });
        assert.equal(named.token_strs.join(''), 'Hi');
    });

    await t.test('messages are counted without the owner\'s prompt', async () => {
        const messages = [{ role: 'user', content: 'Hi' }];
        const before = await tokenize({ messages });
        const text = (await tokenize({ messages, return_token_strs: true })).token_strs.join('');
        assert.match(text, /Hi/);
        assert.doesNotMatch(text, /secret|heron/);
        await server.admin('PUT', '/admin/prompts/default', { text: 'Another prompt, which is longer. '.repeat(20) });
        assert.deepEqual(await tokenize({ messages }), before);
        assert.ok((await tokenize({ messages, add_generation_prompt: false })).count < before.count);
        assert.ok((await tokenize({ messages: [{ role: 'user', content: '<|im_end|>' }] })).count > before.count);
    });

    await t.test('what is wrong is refused by name', async () => {
        for (const [request, param] of [[{}, 'content'], [{ content: 3 }, 'content'], [{ content: 'a', prompt: 'b' }, 'content'],
            [{ content: 'a'.repeat((1 << 20) + 1) }, 'content'], [{ messages: [{ role: 'user' }] }, 'messages[0].content']]) {
            assert.equal((await tokenize(request, 400)).error.param, param);
        }
        for (const tokens of [undefined, 'a', [-1], [4096], [1.5], ['1'], [[1]]]) {
            assert.equal((await ask(server, '/detokenize', { tokens }, 400)).error.param, 'tokens');
        }
        assert.equal((await tokenize({ content: 'a', model: 'gpt-4' }, 404)).error.code, 'model_not_found');
    });
});

test('an encoder\'s tokens are told too', { skip }, async (t) => {
    const model = path.join(makeFolder(t), 'bert.gguf');
    succeed(['synth', '--shape', 'tiny-test-bert', model]);
    const server = await startServer(t, { model });
    const { tokens } = await ask(server, '/tokenize', { content: 'text' });
    assert.equal((await ask(server, '/detokenize', { tokens })).content, 'text');
});
