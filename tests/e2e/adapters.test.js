'use strict';
// LoRA adapters: each is a model of its own, and answers beside the others as it answers alone.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { makeFolder } = require('./lib/files.js');
const { writeAdapter } = require('./lib/gguf.js');
const { putVersion, waitFor } = require('./lib/model_repo.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');

const skip = missing();
const QUESTIONS = ['Hello', 'Tell me a story.', 'What is 2 plus 3?', 'Count to ten.'];
const SHARED = 'The same beginning for all of them, long enough for several pages of the cache. '.repeat(6);

const OF_ANOTHER_FILE = {
    change: (keys) => {
        keys['weir.adapter.base_sha256'] = { type: 8, value: '0'.repeat(64) };
    },
};

function makeAdapters(t) {
    const folder = makeFolder(t);
    const files = { one: path.join(folder, 'one.gguf'), two: path.join(folder, 'two.gguf') };
    writeAdapter(modelPath(), files.one, { seed: 1, strength: 1.5 });
    writeAdapter(modelPath(), files.two, { seed: 2, rank: 8, strength: 1.5, parts: ['attn_q', 'attn_k', 'ffn_up', 'ffn_gate'] });
    return { folder, files };
}

const listed = async (server) => (await (await server.fetch('/v1/models')).json()).data;

test('two adapters and the base answer beside each other as alone', { skip, timeout: 240_000 }, async (t) => {
    const { files } = makeAdapters(t);
    const args = ['--adapter', `one=${files.one}`, '--adapter', `two=${files.two}@0.9`];
    const server = await startServer(t, { args });
    const [base, ...adapters] = await listed(server);
    assert.deepEqual(adapters.map(({ id, parent }) => [id, parent]), [['one', base.id], ['two', base.id]]);
    assert.match(adapters[0].sha256, /^[0-9a-f]{64}$/);
    assert.deepEqual(await (await server.fetch('/v1/models/two')).json(), adapters[1]);

    const models = [base.id, 'one', 'two'];
    const wanted = {}; // of each in a process of its own that has had no other request
    for (const [i, model] of models.entries()) {
        const alone = await startServer(t, { args: i === 0 ? [] : args.slice(2 * i - 2, 2 * i) });
        for (const question of QUESTIONS) {
            const answer = await whole(alone, ask(SHARED + question, { model }));
            wanted[`${model} ${question}`] = answer.text;
        }
    }
    for (const question of QUESTIONS) {
        assert.equal(new Set(models.map((model) => wanted[`${model} ${question}`])).size, 3, question);
    }
    await Promise.all(Array.from({ length: 36 }, async (_, i) => {
        const model = models[i % 3], question = QUESTIONS[i % QUESTIONS.length];
        const request = ask(SHARED + question, { model });
        const answer = i % 2 ? await whole(server, request) : await readStream(await beginStream(server, request));
        assert.equal(answer.text, wanted[`${model} ${question}`], `${model}: ${question}`);
        if (i % 3 > 0) {
            const hash = adapters[i % 3 - 1].sha256.slice(0, 12);
            assert.ok(answer.madeBy.model.endsWith(`; adapter=${model}; adapter-sha256=${hash}`), answer.madeBy.model);
            assert.ok(answer.fingerprint.endsWith(`-${hash}`), answer.fingerprint);
        } else {
            assert.doesNotMatch(answer.madeBy.model, /adapter/);
        }
    }));

    const { body } = await whole(server, ask('Hello', { model: `one@sha256:${adapters[0].sha256.slice(0, 16)}` }));
    assert.equal(body.model, `one@${adapters[0].sha256.slice(0, 12)}`);
    await whole(server, ask('Hello', { model: body.model }));
    const unknown = await server.post('/v1/chat/completions', ask('Hello', { model: 'three' }));
    assert.equal(unknown.status, 404);
    const { error } = await unknown.json();
    assert.equal(error.param, 'model');
    assert.match(error.message, /"one", "two"/);
    assert.equal((await server.post('/v1/chat/completions', ask('Hello', { model: 'one@sha256:00000000' }))).status, 404);
    const vectors = await server.post('/v1/embeddings', { model: 'one', input: 'Hello' });
    assert.equal(vectors.status, 400);
    assert.match((await vectors.json()).error.message, /is an adapter/);
});

test('a reload takes a changed adapter, and keeps the old one where the new one is broken', { skip }, async (t) => {
    const { files } = makeAdapters(t);
    const server = await startServer(t, { args: ['--adapter', `one=${files.one}`] });
    const reload = async () => {
        const answer = await server.admin('POST', '/admin/models/reload');
        return { status: answer.status, body: await answer.json() };
    };
    const text = async () => (await whole(server, ask('Tell me a story.', { model: 'one' }))).text;
    const first = await text();
    assert.equal((await reload()).body.status, 'unchanged');
    fs.copyFileSync(files.two, `${files.one}.new`);
    fs.renameSync(`${files.one}.new`, files.one);
    assert.equal((await reload()).body.status, 'published');
    const second = await text();
    assert.notEqual(second, first);
    fs.writeFileSync(files.one, 'no adapter');
    const { status, body } = await reload();
    assert.equal(status, 422);
    assert.match(body.error.message, /adapter "one".*one\.gguf/);
    assert.equal(await text(), second);
});

test('a repository names adapters in model.json; keys are for one of them', { skip }, async (t) => {
    const { folder, files } = makeAdapters(t);
    const repo = path.join(folder, 'repo');
    const manifest = { file: 'model.gguf', adapters: { one: 'one.gguf', two: 'two.gguf' } };
    const parts = { 'one.gguf': fs.readFileSync(files.one), 'two.gguf': fs.readFileSync(files.two) };
    putVersion(repo, 'tiny', '1', { file: modelPath(), manifest, files: parts });
    const server = await startServer(t, { model: 'tiny', args: ['--repo', repo] });
    assert.deepEqual((await listed(server)).map(({ id, version, parent }) => [id, version, parent]),
        [['tiny', 'tiny@1', undefined], ['one', 'one@1', 'tiny'], ['two', 'two@1', 'tiny']]);
    const { body, madeBy } = await whole(server, ask('Hello', { model: 'two@1' }));
    assert.equal(body.model, 'two@1');
    assert.match(madeBy.model, /^tiny@1; .*adapter=two/);
    const unknown = await server.post('/v1/chat/completions', ask('Hello', { model: 'two@9' }));
    assert.equal(unknown.status, 404);
    assert.match((await unknown.json()).error.message, /"tiny".*"one", "two"/);
});

test('adapters that do not fit, and options that are none, are refused by name', { skip }, (t) => {
    const { folder, files } = makeAdapters(t);
    const other = path.join(folder, 'other.gguf');
    const run = (...args) => spawnSync(programPath(), ['serve', '-m', modelPath(), '--port', '0', ...args], { encoding: 'utf8' });
    writeAdapter(modelPath(), other, OF_ANOTHER_FILE);
    const wrong = run('--adapter', `other=${other}`);
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /adapter "other".*other\.gguf.*weir\.adapter\.base_sha256/);
    assert.match(run('--adapter', `one=${files.one}`, '--adapter', `one=${files.two}`).stderr, /another adapter has that name/);
    const none = run('--adapter', 'nonsense');
    assert.equal(none.status, 2);
    assert.match(none.stderr, /NAME=FILE/);
    assert.match(execFileSync(programPath(), ['inspect', files.two], { encoding: 'utf8' }), /a LoRA adapter of rank 8, alpha 8/);
});

test('the owner can say that another file is the same model; the log says that it is another', { skip }, async (t) => {
    const { folder } = makeAdapters(t);
    const other = path.join(folder, 'other.gguf');
    const repo = path.join(folder, 'repo');
    writeAdapter(modelPath(), other, OF_ANOTHER_FILE);
    const publish = (version, more) => putVersion(repo, 'tiny', version, {
        file: modelPath(),
        manifest: { file: 'model.gguf', adapters: { other: 'other.gguf' }, ...more },
        files: { 'other.gguf': fs.readFileSync(other) },
    });
    publish('1', { any_base: true });
    const started = [
        await startServer(t, { args: ['--adapter', `other=${other}`, '--any-base'] }),
        await startServer(t, { model: 'tiny', args: ['--repo', repo] }),
    ];
    for (const server of started) {
        await whole(server, ask('Hello', { model: 'other' }));
        assert.match(server.stderr, /warn adapter other was trained on another file \(SHA-256 000000000000\.\.\.\)/);
    }
    publish('2', {});
    const versions = async () => JSON.stringify(await (await started[1].admin('GET', '/admin/models')).json());
    await waitFor(async () => (await versions()).includes('is for another base model'));
    const alone = spawnSync(programPath(), ['serve', '-m', modelPath(), '--any-base'], { encoding: 'utf8' });
    assert.equal(alone.status, 2);
    assert.match(alone.stderr, /--any-base: goes with --adapter/);
});

test('weir logits takes an adapter, and its scale', { skip }, (t) => {
    const { files } = makeAdapters(t);
    const logits = (...args) => execFileSync(programPath(), ['logits', '-m', modelPath(), '--tokens', '1,2,3', ...args],
        { encoding: 'utf8' });
    const plain = logits();
    assert.notEqual(logits('--adapter', files.one), plain);
    assert.notEqual(logits('--adapter', `${files.one}@0.5`), logits('--adapter', files.one));
    assert.deepEqual(JSON.parse(logits('--adapter', `${files.one}@0`)), JSON.parse(plain));
});
