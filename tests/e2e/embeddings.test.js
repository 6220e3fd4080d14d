'use strict';
// Vectors of texts: from a model that writes, and from an encoder.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ROUTE: CHAT, ask, whole } = require('./lib/chat.js');
const { succeed } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing, modelPath } = require('./lib/server.js');
const { until } = require('./lib/wait.js');

const skip = missing();
const ROUTE = '/v1/embeddings';
const TEXTS = ['A heron.', 'Wie geht es dir? 😀', 'x', 'One text of several words, which is a little longer.'];
const MANY = Array.from({ length: 2048 }, (_, i) => `${i} ${'words and '.repeat(i % 12)}numbers`);

async function embed(server, input, more = {}) {
    const response = await server.post(ROUTE, { input, ...more });
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    body.data.forEach(({ object, index }, i) => assert.deepEqual([object, index], ['embedding', i]));
    return { vectors: body.data.map(({ embedding }) => embedding), body, headers: response.headers };
}

async function refusal(server, request, status = 400) {
    const response = await server.post(ROUTE, request);
    const body = await response.json();
    assert.equal(response.status, status, JSON.stringify(body));
    return body.error;
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

function floatsOf(base64) {
    const bytes = Buffer.from(base64, 'base64');
    return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}

test('vectors of a model that writes', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--threads', '2'] });
    const { vectors, body, headers } = await embed(server, TEXTS);

    await t.test('have the answer\'s shape and length 1', () => {
        assert.deepEqual(Object.keys(body), ['object', 'data', 'model', 'usage']);
        assert.equal(body.object, 'list');
        assert.ok(body.usage.prompt_tokens > 10 && body.usage.total_tokens === body.usage.prompt_tokens);
        assert.match(headers.get('weir-model'), /; sha256=/);
        assert.ok(headers.get('weir-model').startsWith(body.model));
        assert.match(headers.get('weir-filters'), /^default@0; sha256=/);
        assert.equal(headers.get('weir-prompt'), null);
        vectors.forEach((v) => assert.ok(Math.abs(dot(v, v) - 1) < 1e-5));
    });

    await t.test('are the same whatever else is asked for with a text', async () => {
        for (const [i, text] of TEXTS.entries()) {
            assert.deepEqual((await embed(server, text)).vectors, [vectors[i]]);
            assert.deepEqual((await embed(server, [text, 'other', text])).vectors, [vectors[i], (await embed(server, 'other')).vectors[0], vectors[i]]);
        }
        const shuffled = await Promise.all([[3, 1], [2, 0], [1, 2, 3, 0]].map(async (order) =>
            [order, (await embed(server, order.map((i) => TEXTS[i]))).vectors]));
        shuffled.forEach(([order, got]) => assert.deepEqual(got, order.map((i) => vectors[i])));
        assert.notDeepEqual(vectors[0], vectors[1]);
    });

    await t.test('are the same on another number of threads, in other steps, and beside answers', async (t) => {
        const other = await startServer(t, { args: ['--threads', '1', '--batch', '16'] });
        const answer = whole(other, ask('Tell me a story.', { max_tokens: 60 }));
        assert.deepEqual((await embed(other, TEXTS)).vectors, vectors);
        assert.deepEqual((await answer).text, (await whole(server, ask('Tell me a story.', { max_tokens: 60 }))).text);
    });

    await t.test('are the same as base64', async () => {
        const { vectors: coded } = await embed(server, TEXTS, { encoding_format: 'base64' });
        assert.deepEqual(coded.map(floatsOf), vectors.map((v) => v.map(Math.fround)));
    });

    await t.test('are the same of a text\'s token ids', async () => {
        const ids = await Promise.all(TEXTS.map(async (prompt) =>
            (await (await server.post('/tokenize', { prompt })).json()).tokens));
        assert.deepEqual((await embed(server, ids)).vectors, vectors);
        assert.deepEqual((await embed(server, ids[0])).vectors, [vectors[0]]);
    });

    await t.test('can be shortened, and have length 1 again', async () => {
        const { vectors: [short] } = await embed(server, TEXTS[0], { dimensions: 10 });
        assert.equal(short.length, 10);
        assert.ok(Math.abs(dot(short, short) - 1) < 1e-5);
        const scale = short[0] / vectors[0][0];
        short.forEach((x, i) => assert.ok(Math.abs(x - scale * vectors[0][i]) < 1e-5));
        assert.deepEqual((await embed(server, TEXTS[0], { dimensions: vectors[0].length })).vectors, [vectors[0]]);
    });

    await t.test('of 2,048 texts come in order', async () => {
        const { vectors: all } = await embed(server, MANY, { dimensions: 8 });
        assert.equal(all.length, 2048);
        for (const i of [0, 7, 1000, 2047]) {
            assert.deepEqual(all[i], (await embed(server, MANY[i], { dimensions: 8 })).vectors[0]);
        }
    });

    await t.test('of what is too long are refused by its place, or cut if asked', async () => {
        const long = 'word '.repeat(3000);
        const error = await refusal(server, { input: ['a', 'b', 'c', long] });
        assert.equal(error.param, 'input[3]');
        assert.match(error.message, /has \d+ tokens, 1 to 1024 are allowed/);
        assert.equal((await refusal(server, { input: long })).param, 'input');
        const { body: cut } = await embed(server, [long, 'a'], { truncation: 'auto' });
        assert.equal(cut.usage.prompt_tokens, 1024 + 1);
        const texts = Array.from({ length: 400 }, () => 'word '.repeat(1000));
        assert.equal((await refusal(server, { input: texts })).param, 'input');
    });

    await t.test('of what is wrong are refused by name', async () => {
        for (const [request, param] of [
            [{}, 'input'], [{ input: [] }, 'input'], [{ input: [...MANY, 'one more'] }, 'input'],
            [{ input: ['a', ''] }, 'input[1]'], [{ input: [[1], [4096]] }, 'input[1]'], [{ input: [1, -1] }, 'input'],
            [{ input: 'a', dimensions: 257 }, 'dimensions'], [{ input: 'a', encoding_format: 'int8' }, 'encoding_format'],
            [{ input: 'a', pooling: 'last' }, 'pooling'],
        ]) {
            assert.equal((await refusal(server, request)).param, param);
        }
        assert.equal((await refusal(server, { input: 'a', model: 'gpt-4' }, 404)).code, 'model_not_found');
        await embed(server, 'a', { model: 'weir-tiny', user: 'somebody', encoding_format: null });
    });

    await t.test('are told of by /v1/models', async () => {
        const { data: [model] } = await (await server.fetch('/v1/models')).json();
        assert.deepEqual(model.capabilities, ['chat', 'embeddings']);
        assert.equal(model.embedding_length, vectors[0].length);
    });
});

test('texts pass the input side of the filters', { skip }, async (t) => {
    const folder = makeFolder(t);
    const words = (more) => ({ type: 'wordlist', side: 'input', ...more });
    const file = writeFile(folder, 'chain.json', { name: 'default', version: 2, filters: [
        words({ words: ['xyzzy'] }), words({ words: ['heron'], action: 'replace', replacement: 'bird' }),
    ] });
    const server = await startServer(t, { args: ['--filters', file] });
    const { vectors, headers } = await embed(server, ['a heron', 'a bird']);
    assert.deepEqual(vectors[0], vectors[1]);
    assert.match(headers.get('weir-filters'), /^default@2;/);
    const error = await refusal(server, { input: ['a', 'say xyzzy'] });
    assert.deepEqual([error.code, error.param], ['content_filter', 'input[1]']);
    assert.equal((await refusal(server, { input: 'xyzzy' })).param, 'input');
});

test('a client that leaves ends its work, and a short request does not wait for a long one', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--queue', '0'] });
    const long = Array.from({ length: 290 }, () => 'word '.repeat(1000)); // minutes, with tests beside it
    const gone = new AbortController();
    // More than run together: the first to be answered are those that found no place.
    const requests = Array.from({ length: 12 }, async () => {
        const response = await server.post(ROUTE, { input: long }, { signal: gone.signal });
        await response.text();
        return response;
    });
    const ends = Promise.allSettled(requests);
    const refused = await Promise.race(requests);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) >= 1);
    assert.equal(refused.headers.get('x-should-retry'), 'true');
    await embed(server, 'a'); // a few texts do not wait behind those
    gone.abort();
    assert.ok((await ends).filter(({ status }) => status === 'rejected').length >= 8);
    await until(async () => {
        const answer = await server.post(ROUTE, { input: MANY.slice(0, 20) });
        await answer.text();
        return answer.status === 200;
    }, 'none goes on without a client');

    const again = new AbortController();
    const running = server.post(ROUTE, { input: long }, { signal: again.signal }).catch(() => 'left');
    await new Promise((resolve) => setTimeout(resolve, 200));
    await embed(server, 'a');
    assert.equal(await Promise.race([running, 'runs']), 'runs');
    again.abort();
    assert.equal(await running, 'left');
});

test('a reload breaks no embedding', { skip }, async (t) => {
    const server = await startServer(t);
    const { vectors } = await embed(server, MANY.slice(0, 300));
    let runs = true;
    const asking = Array.from({ length: 3 }, async () => {
        while (runs) {
            assert.deepEqual((await embed(server, MANY.slice(0, 300))).vectors, vectors);
        }
    });
    for (let i = 0; i < 4; i++) {
        const answer = await server.admin('POST', '/admin/models/reload', { force: true });
        assert.equal(answer.status, 200, await answer.text());
    }
    runs = false;
    await Promise.all(asking);
});

test('SIGTERM finishes embeddings that run', { skip }, async (t) => {
    const server = await startServer(t);
    const running = embed(server, MANY, { dimensions: 4 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    server.child.kill('SIGTERM');
    assert.equal((await running).vectors.length, 2048);
    assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test('embeddings that run are cut when the drain time is over', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--drain-timeout', '0'] });
    const running = embed(server, Array.from({ length: 290 }, () => 'word '.repeat(1000)));
    await new Promise((resolve) => setTimeout(resolve, 200));
    server.child.kill('SIGTERM');
    await assert.rejects(running);
    assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test('an encoder is served for what it can do', { skip }, async (t) => {
    const folder = makeFolder(t);
    for (const shape of ['tiny-test-bert', 'tiny-test-nomic-bert']) {
        await t.test(shape, async (t) => {
            const model = path.join(folder, `${shape}.gguf`);
            succeed(['synth', '--shape', shape, '--type', 'f32', '--spread', '0.3', model]);
            const server = await startServer(t, { model });
            const lines = ['One text.', 'Another one', 'a', 'something longer, to be cut or not'];
            const printed = succeed(['embed', '-m', model], lines.join('\n')).trim().split('\n').map((line) => JSON.parse(line));
            const { vectors } = await embed(server, lines);
            assert.deepEqual(vectors, printed);
            for (const [i, line] of lines.entries()) {
                assert.deepEqual((await embed(server, line)).vectors, [printed[i]]);
            }
            const { vectors: many } = await embed(server, Array.from({ length: 500 }, (_, i) => lines[i % 4]));
            many.forEach((v, i) => assert.deepEqual(v, printed[i % 4]));
            assert.match((await refusal(server, { input: ['a', 'b'.repeat(300)] })).message, /"input\[1\]" has 300 tokens, 1 to 256/);
            assert.equal((await embed(server, 'b'.repeat(300), { truncation: 'auto' })).body.usage.prompt_tokens, 256);

            const { data: [shown] } = await (await server.fetch('/v1/models')).json();
            assert.deepEqual([shown.capabilities, shown.context_length], [['embeddings'], 256]);
            const refused = await server.post(CHAT, ask('Hello'));
            const { error } = await refused.json();
            assert.deepEqual([refused.status, error.code, error.param], [400, 'unsupported_parameter', 'model']);
            assert.match(error.message, /makes embeddings, no text/);
            const admin = await (await server.admin('GET', '/admin/models')).json();
            assert.equal(admin.running, 0);
            const put = await server.admin('PUT', '/admin/prompts/default', { text: 'Be brief.' });
            assert.equal(put.status, 200);

            // The file becomes a model that writes.
            fs.copyFileSync(modelPath(), `${model}.new`);
            fs.renameSync(`${model}.new`, model);
            const reload = await server.admin('POST', '/admin/models/reload');
            assert.equal(reload.status, 200, await reload.text());
            await whole(server, ask('Hello'));
            assert.notEqual((await embed(server, 'a')).vectors[0].length, vectors[0].length);
        });
    }
});
