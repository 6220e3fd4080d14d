'use strict';
// OpenAI's own client library against the real server: embeddings and moderations.

const assert = require('node:assert/strict');
const test = require('node:test');

const { default: OpenAI } = require('openai');

const { makeFolder, writeFile } = require('../e2e/lib/files.js');
const { startServer, missing } = require('../e2e/lib/server.js');

const skip = missing();
const clientOf = (server) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none is needed', maxRetries: 0 });

test('openai: vectors are the same whether the library or the caller asks for base64', { skip }, async (t) => {
    const client = clientOf(await startServer(t));
    const input = ['A heron.', 'A bird.'];
    // Without a format the library asks for base64 and decodes it itself.
    const decoded = await client.embeddings.create({ model: 'weir-tiny', input });
    const plain = await client.embeddings.create({ model: 'weir-tiny', input, encoding_format: 'float' });
    assert.equal(decoded.data.length, 2);
    assert.equal(decoded.data[0].embedding.length, 256);
    decoded.data.forEach(({ embedding }, i) =>
        assert.deepEqual(Array.from(embedding), plain.data[i].embedding.map(Math.fround)));
    await assert.rejects(client.embeddings.create({ model: 'weir-tiny', input: ['a', ''] }), ({ status, param }) =>
        status === 400 && param === 'input[1]');
});

test('openai: moderations', { skip }, async (t) => {
    const file = writeFile(makeFolder(t), 'chain.json',
        { name: 'default', filters: [{ type: 'wordlist', words: ['heron'] }] });
    const client = clientOf(await startServer(t, { args: ['--filters', file] }));
    const { results } = await client.moderations.create({ model: 'omni-moderation-latest', input: ['a heron', 'a bird'] });
    assert.deepEqual(results.map(({ flagged }) => flagged), [true, false]);
    assert.equal(results[0].categories.wordlist, true);
});
