'use strict';
// Several models of a repository at once: loaded when they are asked for, unloaded when memory is wanted or an admin
// says so; requests wait for what is being loaded, and none is lost.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { weir } = require('./lib/command.js');
const { makeFolder, writeOtherVersion } = require('./lib/files.js');
const { putVersion, waitFor } = require('./lib/model_repo.js');
const { startServer, missing, modelPath } = require('./lib/server.js');

const skip = missing();
const CHAT = '/v1/chat/completions';
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A gate that passes where nothing serves yet, but takes its time.
const slow = () => ({
    file: modelPath(),
    files: { 'loss.txt': 'The sun is warm. Children play in the garden, and the dog sleeps. '.repeat(200) },
    manifest: { gate: { loss: { file: 'loss.txt', max_increase: 1 } } },
});
const plain = () => ({ file: modelPath() });

// models: {name: {version: what putVersion takes}}. The first one is the default.
async function startModels(t, models, args = []) {
    const folder = makeFolder(t);
    const repo = path.join(folder, 'repo');
    for (const [name, versions] of Object.entries(models)) {
        for (const [version, what] of Object.entries(versions)) {
            putVersion(repo, name, version, what);
        }
    }
    const main = Object.keys(models)[0];
    const server = await startServer(t, { model: main, args: ['--repo', repo, '--parallel', '4', ...args] });
    return { server, repo, folder };
}

const listAll = async (server) => (await server.admin('GET', '/admin/models')).json();

// {"a@1": "serving"}, of what is loaded or being loaded.
async function loaded(server) {
    const { models } = await listAll(server);
    return Object.fromEntries(models.flatMap(({ name, versions }) => versions
        .filter(({ state }) => ['serving', 'kept', 'loading'].includes(state))
        .map(({ version, state }) => [`${name}@${version}`, state])));
}

async function post(server, model, what, value) {
    const answer = await server.admin('POST', `/admin/models/${model}/${what}`, value);
    return { status: answer.status, body: await answer.json() };
}

async function metric(server, name) {
    const text = await (await server.fetch('/metrics')).text();
    const line = text.split('\n').find((l) => l.startsWith(`${name} `));
    return line ? Number(line.split(' ').at(-1)) : 0;
}

const parked = (server) => metric(server, 'weir_requests_parked');
const loads = (server, what) => server.stderr.split(`model ${what} is being loaded`).length - 1;

// Keeps a model busy for some seconds.
const long = (model) => ask('Tell me a story.', { model, n: 4, max_tokens: 500, ignore_eos: true });

test('a model is loaded when requests name it, once, and all of them get their answers', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: slow() }, c: { 1: plain() } }, ['--load-on-demand']);
    const wanted = await whole(server, ask('Tell me a story.'));
    assert.match(wanted.madeBy.model, /^a@1; /);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving' });
    const { data } = await (await server.fetch('/v1/models')).json();
    assert.deepEqual(data.map(({ id, state, loaded: is }) => [id, state, is]), [['a', 'serving', true], ['b', 'available', false],
        ['b@1', 'available', false], ['c', 'available', false], ['c@1', 'available', false]]);
    assert.deepEqual(await (await server.fetch('/v1/models/b')).json(), data[1]);

    const clients = Array.from({ length: 8 }, (_, i) => (i % 2
        ? whole(server, ask('Tell me a story.', { model: 'b' }))
        : beginStream(server, ask('Tell me a story.', { model: 'b' })).then(readStream)));
    await waitFor(async () => (await parked(server)) === 8, 5);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'loading' });
    // Others do not wait for it.
    assert.equal((await whole(server, ask('Tell me a story.'))).text, wanted.text);
    assert.equal(await parked(server), 8);
    for (const answer of await Promise.all(clients)) {
        assert.match(answer.madeBy.model, /^b@1; /);
        assert.equal(answer.text, wanted.text);
    }
    assert.equal(await parked(server), 0);
    assert.equal(loads(server, 'b@1'), 1);

    // On every other route too; and a version that is pinned is what serves then.
    const results = await Promise.all([
        server.post('/v1/embeddings', { model: 'c', input: 'Hello', dimensions: 8 }),
        server.post('/v1/messages', { model: 'c', max_tokens: 4, messages: [{ role: 'user', content: 'Hello' }] }),
        server.post('/v1/messages/count_tokens', { model: 'c', messages: [{ role: 'user', content: 'Hello' }] }),
        server.post('/v1/responses', { model: 'c', input: 'Hello', max_output_tokens: 16 }),
        server.post('/v1/completions', { model: 'c', prompt: 'Hello', max_tokens: 4 }),
        server.post('/tokenize', { model: 'c', content: 'Hello' }),
        server.post('/detokenize', { model: 'c', tokens: [300] }),
    ]);
    for (const response of results) {
        assert.equal(response.status, 200, `${response.url}: ${await response.clone().text()}`);
    }
    assert.equal(loads(server, 'c@1'), 1);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'serving', 'c@1': 'serving' });
    assert.equal(await metric(server, 'weir_model_loads_total{model="c"}'), 1);
    const outside = await server.post('/detokenize', { model: 'c', tokens: [2e9] });
    assert.equal(outside.status, 400);
});

test('a key that is for one model is not told of others', { skip }, async (t) => {
    const keys = path.join(makeFolder(t), 'keys');
    const add = (name, model) => weir(['keys', 'add', '--file', keys, '--name', name, '--model', model]).stdout.trim();
    const [ofModel, ofVersion] = [add('model', 'a'), add('version', 'a@1')];
    const { server } = await startModels(t, { a: { 1: plain() }, hidden: { 1: plain() } }, ['--api-key-file', keys, '--load-on-demand']);
    for (const [key, model, message] of [
        [ofModel, 'a@7', 'the model "a@7" does not exist here; "a" ("a@1") may be asked for'],
        [ofModel, 'hidden', 'this API key is for the model "a" and not for "hidden"; leave "model" out or ask for that one'],
        [ofVersion, 'a@7', 'this API key is for the model "a@1" and not for "a@7"; leave "model" out or ask for that one'],
    ]) {
        const headers = { authorization: `Bearer ${key}` };
        const response = await server.post(CHAT, ask('Hello', { model }), { headers });
        assert.equal((await response.json()).error.message, message);
        const { error } = await (await server.fetch(`/v1/models/${model}`, { headers })).json();
        assert.equal(error.message, message);
        const { data } = await (await server.fetch('/v1/models', { headers })).json();
        assert.deepEqual(data.map(({ id }) => id), ['a']);
    }
    assert.deepEqual(await loaded(server), { 'a@1': 'serving' });
});

test('without the owner\'s leave nothing is loaded, and the answer says so', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: plain(), 2: plain() } });
    const refused = async (model, status, code, pattern) => {
        const response = await server.post(CHAT, ask('Hello', { model }));
        const { error } = await response.json();
        assert.deepEqual([response.status, error.code, error.param], [status, code, 'model'], JSON.stringify(error));
        assert.match(error.message, pattern);
    };
    await refused('b', 404, 'model_not_loaded', /"b" is not loaded .*weir ctl models load\); "a" \("a@1"\) may be asked for/);
    await refused('b@1', 404, 'model_not_loaded', /"b@1" is not loaded/);
    await refused('x', 404, 'model_not_found', /"x" does not exist here; "a" \("a@1"\) may/);
    await refused('b@7', 404, 'model_not_found', /"b@7" does not exist/);
    assert.equal((await (await server.fetch('/v1/models')).json()).data.length, 1);
    assert.equal((await server.fetch('/v1/models/b')).status, 404);

    assert.deepEqual(await post(server, 'b', 'load').then(({ status, body }) => [status, body.status, body.model.version]),
        [200, 'published', 'b@2']);
    assert.equal((await post(server, 'b', 'load')).body.status, 'unchanged');
    assert.deepEqual(await post(server, 'b', 'load', { version: '1' }).then(({ body }) => [body.status, body.model.version]), ['loaded', 'b@1']);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@2': 'serving', 'b@1': 'kept' });
    assert.match((await whole(server, ask('Hello', { model: 'b' }))).madeBy.model, /^b@2;/);
    assert.match((await whole(server, ask('Hello', { model: 'b@1' }))).madeBy.model, /^b@1;/);
    await refused('b@7', 404, 'model_not_found', /"b" \("b@2"\), "b@1" may be asked for/);

    // A canary is compared with what serves, which there must be.
    assert.equal((await post(server, 'b', 'unload')).status, 200);
    const alone = await post(server, 'b', 'canary', { version: '1', percent: 10 });
    assert.deepEqual([alone.status, alone.body.error.code], [409, 'canary_conflict']);
    assert.match(alone.body.error.message, /no version of b serves that 1 could be compared with; load one first/);
    assert.equal((await post(server, 'b', 'load')).status, 200);
    assert.equal((await post(server, 'b', 'load', { version: '1' })).status, 200);

    // What was kept because it was asked for is no rollback, and rollbacks do not count it.
    assert.equal((await post(server, 'b', 'activate', { version: '1' })).body.status, 'published');
    assert.equal((await post(server, 'b', 'rollback')).body.model.version, 'b@2');
    assert.deepEqual(await post(server, 'b', 'unload', { version: '1' }), { status: 200, body: { status: 'unloaded', model: 'b', version: '1' } });
    assert.equal((await post(server, 'b', 'unload', { version: '1' })).status, 409);
    assert.equal((await post(server, 'b', 'unload', { version: '9' })).status, 404);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@2': 'serving' });

    // One that is unloaded finishes what it has begun.
    const stream = await beginStream(server, long('b'));
    assert.equal((await post(server, 'b', 'unload')).status, 200);
    await refused('b', 404, 'model_not_loaded', /not loaded/);
    assert.equal((await readStream(stream)).finish, 'length');
    await waitFor(async () => (await listAll(server)).memory.used_bytes === (await listAll(server)).models[0].memory_bytes);
    assert.equal((await post(server, 'b', 'unload')).body.error.code, 'not_loaded');
    assert.equal((await post(server, 'a', 'unload')).body.error.code, 'default_model');
    assert.equal((await post(server, 'a', 'unload', { version: '1' })).status, 409);
    assert.equal((await post(server, 'x', 'load')).body.error.code, 'model_not_found');
    // It is what served last that comes back.
    assert.equal((await post(server, 'b', 'load')).body.model.version, 'b@2');
    await post(server, 'b', 'activate', { version: '1' });
    await post(server, 'b', 'unload');
    assert.equal((await post(server, 'b', 'load')).body.model.version, 'b@1');
    assert.equal(await metric(server, 'weir_model_unloads_total{model="b",reason="admin"}') >= 3, true);
});

test('a version that is named is loaded beside the one that serves', { skip }, async (t) => {
    const folder = makeFolder(t);
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const { server } = await startModels(t, { a: { 1: { file: other }, 2: plain() } }, ['--load-on-demand', '--keep-generations', '0']);
    assert.deepEqual(await loaded(server), { 'a@2': 'serving' });
    const one = await Promise.all(Array.from({ length: 4 }, () => whole(server, ask('Hello', { model: 'a@1' }))));
    assert.match(one[0].madeBy.model, /^a@1; /);
    assert.deepEqual(await loaded(server), { 'a@2': 'serving', 'a@1': 'kept' });
    const { data } = await (await server.fetch('/v1/models')).json();
    assert.match((await whole(server, ask('Hello'))).madeBy.model, /^a@2; /);
    // Its hash is known from then on, loaded or not.
    await post(server, 'a', 'unload', { version: '1' });
    assert.equal((await whole(server, ask('Hello', { model: `a@sha256:${data[1].sha256.slice(0, 10)}` }))).madeBy.model, one[0].madeBy.model);
    assert.equal((await server.post(CHAT, ask('Hello', { model: 'a@9' }))).status, 404);
});

test('memory for two models holds the default and the one that was used last', { skip, timeout: 120_000 }, async (t) => {
    const probe = await startModels(t, { a: { 1: plain() } });
    const mib = Math.ceil((await listAll(probe.server)).models[0].memory_bytes / 2 ** 20);
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: plain() }, c: { 1: plain() }, d: { 1: plain(), 2: plain() } },
        ['--load-on-demand', '--models-memory', String(2 * mib + Math.floor(mib / 2))]);
    const say = (model) => whole(server, ask('Hello', { model }));
    await say('b');
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'serving' });
    await say('c');
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'c@1': 'serving' });
    await say('b');
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'serving' });
    const { memory } = await listAll(server);
    assert.ok(memory.used_bytes <= memory.limit_bytes, JSON.stringify(memory));
    assert.equal(await metric(server, 'weir_model_unloads_total{model="b",reason="memory"}'), 1);
    // Never one that is in use: who comes waits until it is done.
    const stream = readStream(await beginStream(server, long('b')));
    const waits = say('c');
    await waitFor(async () => (await parked(server)) === 1, 5);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'serving', 'c@1': 'loading' });
    assert.equal((await stream).finish, 'length');
    assert.match((await waits).madeBy.model, /^c@1/);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'c@1': 'serving' });
    // Many at once, of all models, more than fit.
    const answers = await Promise.all(Array.from({ length: 24 }, (_, i) => {
        const model = ['b', 'c', 'd', 'd@1', 'a', 'c'][i % 6];
        return say(model).then(({ madeBy }) => [model.split('@')[0], madeBy.model.split('@')[0]]);
    }));
    for (const [asked, got] of answers) {
        assert.equal(got, asked);
    }
    // An admin is told at once.
    const busy = (await loaded(server))['b@1'] ? 'b' : 'c';
    await say(busy);
    const last = readStream(await beginStream(server, long(busy)));
    await waitFor(async () => (await listAll(server)).models.some((m) => m.name === busy && m.versions.some((v) => v.running > 0)), 5);
    const { status, body: { error } } = await post(server, 'd', 'load');
    assert.deepEqual([status, error.code], [422, 'load_failed']);
    assert.match(error.message, /are taken by models that are in use/);
    assert.equal((await last).finish, 'length');
    assert.equal((await post(server, 'd', 'load')).body.status, 'published');
    // For what has a share of the traffic nobody waits: it does not go by itself.
    assert.equal((await post(server, 'b', 'split', { version: '1', percent: 10 })).status, 200);
    const begun = Date.now();
    const refused = await server.post(CHAT, ask('Hello', { model: 'c' }));
    assert.deepEqual([refused.status, (await refused.json()).error.code], [503, 'model_load_failed']);
    assert.ok(Date.now() - begun < 20_000, 'it waited as for a model that is in use');
    assert.equal((await post(server, 'b', 'split', {})).status, 200);
    await say('c');
});

test('a version for which there is no memory is refused, and the old one serves', { skip }, async (t) => {
    const probe = await startModels(t, { a: { 1: plain() } });
    const mib = Math.ceil((await listAll(probe.server)).models[0].memory_bytes / 2 ** 20);
    const { server, repo } = await startModels(t, { a: { 1: plain() } }, ['--models-memory', String(mib + 2)]);
    putVersion(repo, 'a', '2', plain());
    await waitFor(async () => (await listAll(server)).versions[0]?.state === 'failed');
    assert.match((await listAll(server)).versions[0].problem, /takes up to \d+ MiB with its keys and values, and \d+ of the \d+ MiB of --models-memory/);
    assert.match((await whole(server, ask('Hello'))).madeBy.model, /^a@1/);
    assert.equal(await metric(server, 'weir_model_load_failures_total{model="a"}'), 1);
    const { status, body } = await post(server, 'a', 'activate', { version: '2' });
    assert.deepEqual([status, body.error.code], [422, 'load_failed']);
});

async function startShort(t, what = plain()) {
    const probe = await startModels(t, { a: { 1: plain() } });
    const mib = Math.ceil((await listAll(probe.server)).models[0].memory_bytes / 2 ** 20);
    return startModels(t, { a: { 1: what }, b: { 1: plain() } }, ['--models-memory', String(mib + 2), '--when-memory-short', 'drain_first']);
}

test('drain_first: streams end, the next version is loaded, and requests wait for it', { skip, timeout: 300_000 }, async (t) => {
    const { server, repo, folder } = await startShort(t);
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const old = await whole(server, ask('Tell me a story.'));
    const streams = await Promise.all(Array.from({ length: 3 }, () => beginStream(server, long('a'))));
    const read = Promise.all(streams.map((stream) => readStream(stream)));
    putVersion(repo, 'a', '2', { ...slow(), file: other });
    await waitFor(() => server.stderr.includes('a@1: unloaded before 2 is loaded'), 5);
    // In the gap: of all kinds, and none is refused.
    const gap = [
        ...Array.from({ length: 6 }, () => whole(server, ask('Tell me a story.'))),
        ...Array.from({ length: 2 }, () => beginStream(server, ask('Tell me a story.', { model: 'a' })).then(readStream)),
    ];
    const others = [
        server.post('/v1/embeddings', { input: 'Hello' }),
        server.post('/tokenize', { content: 'Hello' }),
        server.post('/detokenize', { tokens: [300] }),
        server.post('/v1/messages/count_tokens', { messages: [{ role: 'user', content: 'Hello' }] }),
        server.admin('PUT', '/admin/prompts/shop', { text: 'Be brief.' }),
    ];
    await waitFor(async () => (await parked(server)) === 13, 5);
    assert.equal((await server.fetch('/healthz')).status, 200);
    assert.equal((await server.fetch('/readyz')).status, 200);
    assert.equal((await server.post('/v1/moderations', { input: 'Hello' })).status, 200);
    assert.equal((await (await server.fetch('/v1/models')).json()).data.length, 0);
    const list = await listAll(server);
    assert.deepEqual([list.id, list.state, list.loaded, list.version], ['a', 'loading', false, null]);
    assert.equal((await server.fetch('/v1/models/a')).status, 404);
    for (const { finish, madeBy } of await read) {
        assert.deepEqual([finish, madeBy.model], ['length', old.madeBy.model]);
    }
    for (const { madeBy, text } of await Promise.all(gap)) {
        assert.match(madeBy.model, /^a@2; /);
        assert.notEqual(text, old.text);
    }
    for (const response of await Promise.all(others)) {
        assert.ok(response.ok, `${response.url}: ${response.status}`);
    }
    assert.deepEqual(await loaded(server), { 'a@2': 'serving' });
    // Back the same way.
    const [back, waits] = await Promise.all([post(server, 'a', 'rollback'), whole(server, ask('Tell me a story.'))]);
    assert.deepEqual([back.status, back.body.model.version], [200, 'a@1']);
    assert.ok(/^a@[12]; /.test(waits.madeBy.model));
    assert.equal((await whole(server, ask('Tell me a story.'))).text, old.text);
});

test('drain_first: where the next version fails, the old one is loaded again', { skip, timeout: 120_000 }, async (t) => {
    const { server, repo } = await startShort(t);
    const old = await whole(server, ask('Hello'));
    putVersion(repo, 'a', '2', { ...slow(), manifest: { gate: { golden: [{ prompt: 'a', text: 'b' }], loss: { file: 'loss.txt', max_increase: 1 } } } });
    await waitFor(() => server.stderr.includes('unloaded before 2 is loaded'), 5);
    const answers = await Promise.all(Array.from({ length: 8 }, () => whole(server, ask('Hello'))));
    for (const { text, madeBy } of answers) {
        assert.deepEqual([text, madeBy.model], [old.text, old.madeBy.model]);
    }
    assert.deepEqual(await loaded(server), { 'a@1': 'serving' });
    assert.equal((await listAll(server)).versions[0].state, 'failed');
    assert.match((await listAll(server)).versions[0].problem, /golden/);
    assert.equal((await post(server, 'a', 'rollback')).status, 409);

    // And where that one cannot be loaded any more, what waits is answered; what is mended serves.
    fs.writeFileSync(path.join(repo, 'a', '1', 'model.gguf'), 'no model');
    putVersion(repo, 'a', '3', { ...slow(), manifest: { gate: { golden: [{ prompt: 'a', text: 'b' }], loss: { file: 'loss.txt', max_increase: 1 } } } });
    await waitFor(() => server.stderr.includes('unloaded before 3 is loaded'), 5);
    const refused = await server.post(CHAT, ask('Hello'));
    const { error } = await refused.json();
    assert.deepEqual([refused.status, error.code], [503, 'model_load_failed'], JSON.stringify(error));
    assert.equal((await server.post(CHAT, ask('Hello'))).status, 404);
    assert.equal((await server.post('/v1/embeddings', { input: 'a' })).status, 404);
    assert.deepEqual(await server.fetch('/readyz').then(async (r) => [r.status, await r.json()]), [503, { status: 'no_model' }]);
    assert.equal((await server.admin('PUT', '/admin/prompts/shop', { text: 'Be brief.' })).status, 503);
    assert.equal((await listAll(server)).state, 'failed');
    putVersion(repo, 'a', '4', plain());
    await waitFor(async () => (await loaded(server))['a@4'] === 'serving');
    assert.equal((await whole(server, ask('Hello'))).text, old.text);
});

test('a model that cannot be loaded is told apart, and is not tried for each request', { skip }, async (t) => {
    const broken = path.join(makeFolder(t), 'broken.gguf');
    fs.writeFileSync(broken, 'no model\n'.repeat(500));
    const { server, repo } = await startModels(t, { a: { 1: plain() }, b: { 1: { file: broken }, 2: { file: broken } } }, ['--load-on-demand']);
    for (let i = 0; i < 3; i++) {
        const response = await server.post(CHAT, ask('Hello', { model: 'b' }));
        const { error } = await response.json();
        assert.deepEqual([response.status, error.code, error.param], [503, 'model_load_failed', 'model'], JSON.stringify(error));
        assert.equal(response.headers.get('retry-after'), null);
        assert.equal(response.headers.get('x-should-retry'), 'false'); // OpenAI's clients try a 503 again
        assert.doesNotMatch(error.message, /gguf|GGUF/);
    }
    assert.deepEqual([loads(server, 'b@1'), loads(server, 'b@2')], [1, 1]);
    const b = (await listAll(server)).models[1];
    assert.equal(b.state, 'failed');
    assert.match(b.problem, /GGUF/);
    assert.equal((await server.post(CHAT, ask('Hello', { model: 'b@1' }))).status, 503);
    // An older one that can serve does.
    putVersion(repo, 'b', '0', plain());
    await waitFor(async () => (await listAll(server)).models[1].versions.length === 3);
    assert.match((await whole(server, ask('Hello', { model: 'b' }))).madeBy.model, /^b@0; /);
});

test('clients that leave, and deadlines, end the wait', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: slow() } }, ['--load-on-demand']);
    const leaving = new AbortController();
    const left = server.post(CHAT, ask('Hello', { model: 'b' }), { signal: leaving.signal }).catch((e) => e.name);
    const late = server.post(CHAT, ask('Hello', { model: 'b', deadline_ms: 60 }));
    const stays = whole(server, ask('Hello', { model: 'b', deadline_ms: 60_000 }));
    await waitFor(async () => (await parked(server)) >= 2, 5);
    leaving.abort();
    assert.equal(await left, 'AbortError');
    const response = await late;
    assert.deepEqual([response.status, (await response.json()).error.code], [504, 'deadline_exceeded']);
    await waitFor(async () => (await parked(server)) <= 1, 5);
    assert.match((await stays).madeBy.model, /^b@1/);
    assert.equal(await parked(server), 0);
});

test('who waits for a version that goes meanwhile is told so', { skip }, async (t) => {
    const { server, repo } = await startModels(t, { a: { 1: plain() }, b: { 1: slow(), 2: plain() }, c: { 1: slow() } }, ['--load-on-demand']);
    assert.equal((await post(server, 'b', 'labels', { label: 'next', version: '2' })).status, 200);
    const before = ['c', 'b@1'].map((model) => server.post(CHAT, ask('Hello', { model })));
    await waitFor(async () => (await parked(server)) === 2, 5);
    const gone = ['b@next', 'b@2'].map((model) => server.post(CHAT, ask('Hello', { model })));
    await waitFor(async () => (await parked(server)) === 4, 5);
    fs.rmSync(path.join(repo, 'b', '2'), { recursive: true });
    assert.deepEqual((await Promise.all(before)).map(({ status }) => status), [200, 200]);
    for (const response of await Promise.all(gone)) {
        const { error } = await response.json();
        assert.deepEqual([response.status, error.code], [404, 'model_not_found'], error.message);
        assert.match(error.message, /does not exist here; "a" \("a@1"\), "b", "b@1", "c"/);
    }
});

test('those that come do not put off the deadline of one that waits', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: slow() } }, ['--load-on-demand', '--queue', '4000']);
    const body = JSON.stringify(ask('Hello', { model: 'b', deadline_ms: 60_000 }));
    const sockets = await Promise.all(Array.from({ length: 400 }, () => server.connect()));
    const late = server.post(CHAT, ask('Hello', { model: 'b', deadline_ms: 40 }));
    let isOver = false;
    const response = late.finally(() => (isOver = true));
    let sent = 0;
    for (; sent < sockets.length && !isOver; await pause(5)) {
        sockets[sent++].write(`POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    }
    assert.equal((await response).status, 504);
    assert.ok(sent < 80, `${sent} had come when it was answered`);
    sockets.forEach((socket) => socket.destroy());
    await waitFor(async () => (await parked(server)) === 0, 5);
});

test('no more wait than its engine can take', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: slow() } }, ['--load-on-demand', '--queue', '2']);
    const statuses = await Promise.all(Array.from({ length: 10 }, async () => {
        const response = await server.post(CHAT, ask('Hello', { model: 'b', max_tokens: 4 }));
        if (response.status === 429) {
            assert.ok(Number(response.headers.get('retry-after')) > 0);
        }
        return response.status;
    }));
    assert.deepEqual(statuses.sort(), [...Array(6).fill(200), ...Array(4).fill(429)]);
});

test('a server that stops answers who waits', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: slow() }, c: { 1: slow() } }, ['--load-on-demand']);
    const waits = [whole(server, ask('Hello', { model: 'b' })), whole(server, ask('Hello', { model: 'c' }))];
    await waitFor(async () => (await parked(server)) === 2, 5);
    server.child.kill('SIGTERM');
    const [b, c] = await Promise.all(waits);
    assert.match(b.madeBy.model, /^b@1/);
    assert.match(c.madeBy.model, /^c@1/);
    assert.deepEqual(await server.exited, { code: 0, signal: null }, server.stderr);
});

test('a second signal ends a server on which requests wait', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: slow() }, c: { 1: plain() } }, ['--load-on-demand']);
    const waits = ['b', 'b', 'c'].map((model) => server.post(CHAT, ask('Hello', { model })).then(() => 'answered', () => 'cut'));
    await waitFor(async () => (await parked(server)) === 3, 5);
    server.child.kill('SIGTERM');
    await waitFor(() => server.stderr.includes('no new requests'), 1);
    server.child.kill('SIGTERM');
    assert.deepEqual(await Promise.all(waits), ['cut', 'cut', 'cut']);
    assert.deepEqual(await server.exited, { code: 0, signal: null }, server.stderr);
});

test('models come and go with their folders', { skip }, async (t) => {
    const { server, repo } = await startModels(t, { a: { 1: plain() } }, ['--load-on-demand']);
    putVersion(repo, 'b', '1', plain());
    const names = async () => (await listAll(server)).models.map(({ name, versions }) => `${name}:${versions.length}`).join(' ');
    await waitFor(async () => (await names()) === 'a:1 b:1');
    await whole(server, ask('Hello', { model: 'b' }));
    fs.rmSync(path.join(repo, 'b'), { recursive: true });
    await waitFor(() => server.stderr.includes('model b: its folder is gone'));
    assert.equal((await whole(server, ask('Hello', { model: 'b' }))).finish, 'stop');
    await post(server, 'b', 'unload');
    await waitFor(async () => (await names()) === 'a:1');
    assert.equal((await server.post(CHAT, ask('Hello', { model: 'b' }))).status, 404);
});

test('models that are named at the start are loaded then; idle ones go', { skip }, async (t) => {
    const { server, repo } = await startModels(t, { a: { 1: plain() }, b: { 1: plain() }, c: { 1: plain() } },
        ['--models-loaded', 'c,b', '--unload-idle', '1']);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'serving', 'c@1': 'serving' });
    const stream = readStream(await beginStream(server, long('b')));
    await waitFor(async () => !('c@1' in (await loaded(server))));
    await stream;
    await waitFor(async () => !('b@1' in (await loaded(server))));
    await pause(1300);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving' });
    assert.equal(await metric(server, 'weir_model_unloads_total{model="c",reason="idle"}'), 1);

    const start = (...args) => weir(['serve', '--port', '0', '--admin-key', 'a', '--repo', repo, '--model', 'a', ...args]);
    const unknown = start('--models-loaded', 'c,x');
    assert.equal(unknown.status, 1);
    assert.match(unknown.stderr, /--models-loaded: .* has no model "x"/);
    fs.writeFileSync(path.join(repo, 'b', '1', 'model.gguf'), 'no model');
    assert.match(start('--models-loaded', 'b').stderr, /GGUF/);
    assert.equal(start('--when-memory-short', 'x').status, 2);
    const all = await startServer(t, { model: 'a', args: ['--repo', repo, '--models-loaded', 'all'] });
    assert.deepEqual(await loaded(all), { 'a@1': 'serving', 'c@1': 'serving' });
    assert.match(all.stderr, /model b is not loaded/);
});

test('prompts that are read ahead make no model busy: idle ones go, and make room', { skip, timeout: 120_000 }, async (t) => {
    const probe = await startModels(t, { a: { 1: plain() } });
    const mib = Math.ceil((await listAll(probe.server)).models[0].memory_bytes / 2 ** 20);
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: plain() }, c: { 1: plain() } },
        ['--load-on-demand', '--models-memory', String(2 * mib + Math.floor(mib / 2)), '--unload-idle', '2']);
    const put = async (text) => assert.equal((await server.admin('PUT', '/admin/prompts/default', { text: text.repeat(40) })).status, 200);
    const say = (model) => whole(server, ask('Hello', { model }));
    await put('You are kind. ');
    assert.match((await say('b')).madeBy.prompt, /^default@1; /);
    // There is room for one beside the default: the one whose prompt was read last is not the one in use.
    assert.match((await say('c')).madeBy.model, /^c@1; /);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'c@1': 'serving' });
    assert.equal(await metric(server, 'weir_model_unloads_total{model="b",reason="memory"}'), 1);
    // A new prompt is read on what is loaded, again and again, and that is no use of it.
    const begin = Date.now();
    for (let i = 0; 'c@1' in (await loaded(server)); i++) {
        assert.ok(Date.now() - begin < 30_000, 'c is idle, and stays');
        await put(`You are kind, number ${i}. `);
        await pause(200);
    }
    assert.equal(await metric(server, 'weir_model_unloads_total{model="c",reason="idle"}'), 1);
    assert.match((await say('c')).madeBy.model, /^c@1; /);
});

test('a version that a request had loaded where none served comes to serve when an admin loads it', { skip }, async (t) => {
    const { server, repo } = await startModels(t, { a: { 1: plain() }, b: { 1: plain(), 2: plain() }, c: { 1: plain(), 2: plain() } }, ['--load-on-demand']);
    await whole(server, ask('Hello', { model: 'b@1' }));
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'kept' });
    const load = async (value) => (({ body }) => [body.status, body.model.version])(await post(server, 'b', 'load', value));
    assert.deepEqual(await load({ version: '1' }), ['published', 'b@1']);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'serving' });
    await post(server, 'b', 'unload');
    await whole(server, ask('Hello', { model: 'b@1' }));
    assert.deepEqual(await load(), ['published', 'b@1'], 'it served when the model was unloaded');
    assert.deepEqual(await load(), ['unchanged', 'b@1']);
    assert.deepEqual(await load({ version: '2' }), ['loaded', 'b@2']);

    // What an admin has chosen stays, although a newer one was there that had never been loaded; until one appears.
    assert.equal((await post(server, 'c', 'activate', { version: '1' })).body.model.version, 'c@1');
    await pause(700);
    assert.deepEqual(await loaded(server), { 'a@1': 'serving', 'b@1': 'serving', 'b@2': 'kept', 'c@1': 'serving' });
    putVersion(repo, 'c', '3', plain());
    await waitFor(async () => (await loaded(server))['c@3'] === 'serving');
});

test('each model has its own filter chain, and keys their own prompt and chain, on every model', { skip }, async (t) => {
    const folder = makeFolder(t);
    const keys = path.join(folder, 'keys');
    const keyOf = (name, ...more) => weir(['keys', 'add', '--file', keys, '--name', name, ...more]).stdout.trim();
    const plainKey = keyOf('ann'), shopKey = keyOf('shop', '--prompt', 'shop', '--filters', 'strict');
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: plain(), 2: plain() } },
        ['--load-on-demand', '--api-key-file', keys, '--filters-for', 'b=lax', '--filters-for', 'nobody=lax']);
    assert.match(server.stderr, /--filters-for: the repository has no model "nobody"/);
    assert.doesNotMatch(server.stderr, /no model "b"/);
    assert.equal(server.stderr.split('filter chain "lax" is not published').length, 2, 'it is said once');
    for (const [name, word] of [['lax', 'heron'], ['strict', 'egret']]) {
        const chain = { filters: [{ type: 'wordlist', words: [word], action: 'stop' }] };
        assert.equal((await server.admin('PUT', `/admin/filters/${name}`, chain)).status, 200);
    }
    for (const name of ['default', 'shop']) {
        assert.equal((await server.admin('PUT', `/admin/prompts/${name}`, { text: `You are ${name}.` })).status, 200);
    }
    for (const [key, model, version, prompt, chain] of [
        [plainKey, undefined, 'a@1', 'default@1', 'default@0'], [plainKey, 'a@1', 'a@1', 'default@1', 'default@0'],
        [plainKey, 'b', 'b@2', 'default@1', 'lax@1'], [plainKey, 'b@1', 'b@1', 'default@1', 'lax@1'],
        [shopKey, 'a', 'a@1', 'shop@1', 'strict@1'], [shopKey, 'b', 'b@2', 'shop@1', 'strict@1'],
        [shopKey, 'b@1', 'b@1', 'shop@1', 'strict@1']]) {
        const response = await server.post(CHAT, ask('Hello', { model }), { headers: { authorization: `Bearer ${key}` } });
        const body = await response.json();
        const made = ['model', 'prompt', 'filters'].map((what) => response.headers.get(`weir-${what}`)?.split(';')[0]);
        assert.deepEqual([response.status, ...made, body.model], [200, version, prompt, chain, version], JSON.stringify(body));
    }
});

test('weir ctl models works on all of them', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: plain(), 2: { ...plain(), manifest: { labels: ['new'] } } } });
    const ctl = (...args) => weir(['ctl', 'models', ...args, '--url', server.url, '--admin-key', server.adminKey]);
    const text = (...args) => {
        const { status, stdout, stderr } = ctl(...args);
        assert.equal(status, 0, stderr);
        return stdout;
    };
    assert.match(text('list'), /^a +1 +serving.*\n(.*\n)*b +2 +available.*\nb +1 +available/m);
    assert.match(text('load', 'b'), /^published: b@2/m);
    assert.match(text('load', 'b@1'), /^loaded: b@1/m);
    assert.match(text('list', '--model', 'b'), /^2 +serving.*new.*\n1 +kept/m);
    assert.match(text('activate', '1', '--model', 'b'), /^published: b@1/m);
    assert.match(text('activate', 'b@new'), /^published: b@2/m);
    assert.match(text('rollback', '--model', 'b'), /^published: b@1/m);
    assert.equal(JSON.parse(text('show', 'b@2')).state, 'kept');
    assert.equal(JSON.parse(text('show', 'b@new')).version, '2');
    assert.match(ctl('show', 'b@old').stderr, /404: b has no version "old"; there are: 2, 1/);

    // A version of another model than the default is named as NAME@VERSION by every command, and the list shows shares.
    assert.match(text('split', 'b@2', '10'), /^model b: version 1 serves\nsplit: version 2, 10 % by key$/m);
    assert.match(text('list'), /^default model a\nMODEL [^]*^b +2 +split 10 % by key .*\nb +1 +serving /m);
    assert.match(text('split', 'off', '--model', 'b'), /^split: none$/m);
    assert.match(text('shadow', 'b@2', '20'), /^shadow: version 2, 20 %$/m);
    assert.match(text('list', '--model', 'b'), /^model b\nVERSION [^]*^2 +shadow 20 % /m);
    assert.match(text('shadow', 'off', '--model', 'b'), /^shadow: none$/m);
    assert.match(text('label', 'old', 'b@1'), /^label old: version 1$/m);
    assert.match(text('label', 'old', 'off', '--model', 'b'), /^shadow: none\n$/m);
    assert.match(text('canary', 'b@2', '--percent', '20'), /^running: canary b@2 against 1, step 1 \(20 %\)/m);
    assert.match(text('list'), /^b +2 +canary 20 % by conversation /m);
    assert.match(text('canary', 'rollback', '--model', 'b'), /^rolled_back: /m);
    assert.match(text('list'), /^b +2 +failed .* canary: by hand \(/m);
    assert.match(ctl('load', 'x').stderr, /there is no model "x"; there are: a, b/);
    assert.match(text('load', 'b@2'), /^loaded: b@2/m);
    assert.match(text('unload', 'b@2'), /^unloaded: b@2/m);
    assert.match(text('unload', 'b'), /^unloaded: b$/m);
    assert.match(ctl('unload', 'a').stderr, /requests that name no model get this version/);
    assert.equal(ctl('load').status, 2);
});

test('models are loaded, unloaded and asked for in a storm, and the server holds', { skip, timeout: 300_000 }, async (t) => {
    const probe = await startModels(t, { a: { 1: plain() } });
    const mib = Math.ceil((await listAll(probe.server)).models[0].memory_bytes / 2 ** 20);
    const { server, repo } = await startModels(t, { a: { 1: plain() }, b: { 1: plain(), 2: plain() }, c: { 1: plain() } },
        ['--load-on-demand', '--models-memory', String(2 * mib + Math.floor(mib / 2)), '--when-memory-short', 'drain_first', '--unload-idle', '1']);
    const seconds = process.env.WEIR_BIN?.includes('release') ? 4 : 12;
    const running = { until: Date.now() + seconds * 1000, answered: 0, refused: {} };
    const names = ['a', 'b', 'b@1', 'b@2', 'c', 'a@1', undefined];
    const pick = (list) => list[Math.floor(Math.random() * list.length)];
    const routes = [
        (model, signal) => server.post(CHAT, ask('Hello', { model, max_tokens: 8 }), { signal }),
        (model, signal) => server.post(CHAT, ask('Hello', { model, max_tokens: 40, stream: true, ignore_eos: true }), { signal }),
        (model, signal) => server.post('/v1/embeddings', { model, input: 'Hello' }, { signal }),
        (model, signal) => server.post('/tokenize', { model, content: 'Hello' }, { signal }),
        (model, signal) => server.post('/detokenize', { model, tokens: [300] }, { signal }),
        (model, signal) => server.post(CHAT, ask('Hello', { model, max_tokens: 8, deadline_ms: 1 + Math.floor(Math.random() * 100) }), { signal }),
        () => server.fetch('/v1/models'),
        () => server.fetch('/metrics'),
        () => server.admin('GET', '/admin/models'),
        () => server.post('/v1/moderations', { input: 'Hello' }),
        () => server.admin('POST', '/admin/prompts/default/dry-run', { text: 'Be brief.' }),
    ];
    const admin = [
        () => post(server, pick(['b', 'c']), 'unload'),
        () => post(server, 'b', 'load', { version: pick(['1', '2']) }),
        () => post(server, 'b', 'activate', { version: pick(['1', '2']) }),
        () => post(server, pick(['a', 'b', 'c']), 'load'),
        () => post(server, 'b', 'rollback'),
        () => server.admin('POST', '/admin/models/reload', { force: true }).then(async (r) => ({ status: r.status, body: await r.json() })),
    ];
    const client = async () => {
        while (Date.now() < running.until) {
            const leaves = Math.random() < 0.1 ? AbortSignal.timeout(Math.floor(Math.random() * 60)) : undefined;
            try {
                const response = await pick(routes)(pick(names), leaves);
                const text = await response.text();
                assert.ok([200, 404, 429, 503, 504].includes(response.status), `${response.url}: ${response.status} ${text}`);
                if (response.status === 200) {
                    running.answered++;
                } else {
                    running.refused[JSON.parse(text).error.code] = text;
                }
            } catch (e) {
                assert.ok(leaves && ['AbortError', 'TimeoutError'].includes(e.name), e.stack);
            }
        }
    };
    const owner = async () => {
        while (Date.now() < running.until) {
            const { status, body } = await pick(admin)();
            assert.ok([200, 409, 422].includes(status), JSON.stringify(body));
            await pause(30);
        }
    };
    const folders = async () => {
        for (let i = 0; Date.now() < running.until; i++) {
            putVersion(repo, 'd', '1', plain());
            await pause(700);
            await server.post(CHAT, ask('Hello', { model: 'd', max_tokens: 4 })).then((r) => r.text());
            fs.rmSync(path.join(repo, 'd'), { recursive: true });
            await pause(700);
        }
    };
    await Promise.all([...Array.from({ length: 8 }, client), owner(), folders()]);
    assert.ok(running.answered > 50, JSON.stringify(running));
    // A pin that was loaded may be gone again before its request has its turn; nothing else is refused.
    const allowed = ['memory_short', 'deadline_exceeded', 'model_not_found', 'queue_full', 'model_load_failed'];
    for (const [code, text] of Object.entries(running.refused)) {
        assert.ok(allowed.includes(code), text);
    }
    await waitFor(async () => Object.keys(await loaded(server)).join() === 'a@1');
    assert.match((await whole(server, ask('Hello'))).madeBy.model, /^a@1/);
    // What goes is given back a moment after it is off the list.
    await waitFor(async () => {
        const { memory, models } = await listAll(server);
        return memory.used_bytes === models[0].memory_bytes;
    });
});
