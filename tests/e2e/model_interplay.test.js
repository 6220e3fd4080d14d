'use strict';
// What is done to models at once, or in an order that nobody had in mind: canaries, shares, loads, stops.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { ask, beginStream } = require('./lib/chat.js');
const { makeFolder } = require('./lib/files.js');
const { putVersion, waitFor } = require('./lib/model_repo.js');
const { startServer, missing, modelPath } = require('./lib/server.js');

const skip = missing();
const CHAT = '/v1/chat/completions';
const plain = () => ({ file: modelPath() });

// models: {name: {version: what putVersion takes}}. The first one is the default.
async function startModels(t, models, args = []) {
    const repo = path.join(makeFolder(t), 'repo');
    for (const [name, versions] of Object.entries(models)) {
        for (const [version, what] of Object.entries(versions)) {
            putVersion(repo, name, version, what);
        }
    }
    const server = await startServer(t, { model: Object.keys(models)[0], args: ['--repo', repo, ...args] });
    return { server, repo };
}

async function post(server, model, what, value) {
    const answer = await server.admin('POST', `/admin/models/${model}/${what}`, value);
    return { status: answer.status, body: await answer.json() };
}

const canary = async (server, model) => (await server.admin('GET', `/admin/models/${model}/canary`)).json();
const gone = (server, number) => server.stderr.includes(`generation ${number} is gone`);

test('a canary of a model that is not loaded is refused, and the server goes on', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: plain(), 2: plain() } });
    for (const version of ['1', '2']) { // the second time both are loaded, and none serves
        const { status, body } = await post(server, 'b', 'canary', { version });
        assert.deepEqual([status, body.error.code], [409, 'canary_conflict']);
        assert.match(body.error.message, /no version of b serves/);
    }
    assert.equal((await server.post(CHAT, ask('Hello'))).status, 200);
});

test('a canary that both versions outlive leaves its version to whoever ends the share', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain(), 2: plain() } }, ['--keep-generations', '0']);
    const plan = { version: '1', percent: 50, max_seconds: 1, on_undecided: 'keep' };
    assert.equal((await post(server, 'a', 'canary', plan)).status, 200);
    await waitFor(async () => (await canary(server, 'a')).state === 'kept');
    assert.equal((await post(server, 'a', 'split', { percent: 0 })).status, 200);
    await waitFor(() => gone(server, 2));
    assert.equal((await canary(server, 'a')).state, 'kept'); // so it ended
});

// A gate that passes, but takes its time.
const slow = (more = {}, questions = 40) => ({
    file: modelPath(),
    manifest: {
        gate: {
            filters: {
                prompts: Array.from({ length: questions }, (_, i) => ({ prompt: `${i} ${'The sun is warm. '.repeat(150)}`, max_tokens: 100 })),
                max_flagged: 256,
            },
        },
        ...more,
    },
});

test('a version that was being loaded when an admin began a canary has its turn after that one', { skip }, async (t) => {
    const { server, repo } = await startModels(t, { a: { 1: plain(), 2: plain() } }, ['--keep-generations', '0']);
    assert.equal((await post(server, 'a', 'load', { version: '1' })).status, 200);
    putVersion(repo, 'a', '3', slow({ canary: {} }, 8));
    await waitFor(() => server.stderr.includes('model a@3 is being loaded'));
    assert.equal((await post(server, 'a', 'canary', { version: '1', percent: 50 })).status, 200);
    await waitFor(() => gone(server, 3));
    assert.equal((await canary(server, 'a')).state, 'running');
    assert.equal((await post(server, 'a', 'canary', { action: 'rollback' })).status, 200);
    await waitFor(async () => (await canary(server, 'a')).version === '3');
    assert.equal((await canary(server, 'a')).state, 'running');
});

test('a server whose requests are cut does not finish the load that they waited for', { skip }, async (t) => {
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: slow({}, 256) } }, ['--load-on-demand', '--threads', '1']);
    const waiting = server.post(CHAT, ask('Hello', { model: 'b' })).catch(() => 'cut');
    await waitFor(() => server.stderr.includes('model b@1 is being loaded'));
    await new Promise((resolve) => setTimeout(resolve, 500));
    server.child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const begin = Date.now();
    server.child.kill('SIGTERM');
    assert.deepEqual(await server.exited, { code: 0, signal: null });
    assert.ok(Date.now() - begin < 6000, `it took ${Date.now() - begin} ms`);
    assert.equal(await waiting, 'cut');
});

test('a label goes over to a version that is tried when that serves', { skip }, async (t) => {
    const { server, repo } = await startModels(t, { a: { 1: { ...plain(), manifest: { labels: ['stable'] } } } });
    const versionFor = async (model) => {
        const response = await server.post(CHAT, ask('Hello', { model }));
        assert.equal(response.status, 200, await response.text());
        return /@(\w+);/.exec(response.headers.get('weir-model'))[1];
    };
    putVersion(repo, 'a', '2', { ...plain(), manifest: { labels: ['stable', 'next'], canary: { percent: 1 } } });
    await waitFor(async () => (await canary(server, 'a')).state === 'running');
    assert.deepEqual([await versionFor('a@stable'), await versionFor('a@next')], ['1', '2']);
    const { versions } = await (await server.admin('GET', '/admin/models')).json();
    assert.deepEqual(versions.map(({ labels }) => labels), [['next'], ['stable']]);
    assert.equal((await post(server, 'a', 'canary', { action: 'promote' })).status, 200);
    assert.equal(await versionFor('a@stable'), '2');

    // A shadow, that of a version which served before, and one by a split.
    for (const how of ['shadow', 'split']) {
        assert.equal((await post(server, 'a', 'activate', { version: '1' })).status, 200);
        assert.equal(await versionFor('a@stable'), '2');
        assert.equal((await post(server, 'a', how, { version: '2', percent: 1 })).status, 200);
        assert.equal(await versionFor('a@stable'), '1');
        assert.equal((await post(server, 'a', 'activate', { version: '2' })).status, 200);
    }
});

test('an order that is refused leaves the version for a rollback in memory', { skip }, async (t) => {
    const { server, repo } = await startModels(t, { a: { 1: plain(), 2: plain() } }, ['--publish', 'manual', '--keep-generations', '1']);
    for (const version of ['1', '2']) {
        assert.equal((await post(server, 'a', 'activate', { version })).status, 200);
    }
    putVersion(repo, 'a', '2', { ...plain(), manifest: { note: 'other files, which a split loads' } });
    await waitFor(async () => {
        const { status, body } = await post(server, 'a', 'split', { version: '2', percent: 10 });
        assert.deepEqual([status, body.error.code], [409, 'version_in_use']);
        return server.stderr.includes('model a@2 is being loaded');
    });
    await waitFor(() => gone(server, 3));
    assert.ok(!gone(server, 2), server.stderr);
});

test('a model that waits until others are idle does not keep one that fits waiting', { skip }, async (t) => {
    const small = { ...plain(), manifest: { limits: { context: 128 } } };
    const { server } = await startModels(t, { a: { 1: plain() }, b: { 1: plain() }, c: { 1: plain() }, d: { 1: small } }, ['--load-on-demand', '--models-memory', '125']);
    const hello = (model) => server.post(CHAT, ask('Hello', { model, max_tokens: 4 }));
    assert.equal((await hello('b')).status, 200);
    let isBusy = true;
    const busy = Array.from({ length: 2 }, async () => {
        while (isBusy) {
            await (await server.post(CHAT, ask('Tell me a story.', { model: 'b', max_tokens: 200, ignore_eos: true }))).text();
        }
    });
    let isThere = false;
    const waiting = hello('c').then((response) => {
        isThere = true;
        return response;
    });
    await waitFor(() => server.stderr.includes('model c@1 is being loaded'));
    assert.equal((await hello('d')).status, 200);
    assert.equal(isThere, false);
    isBusy = false;
    await Promise.all(busy);
    assert.equal((await waiting).status, 200);
});

test('a version that is to be tried does not drive out what it is to be tried against', { skip }, async (t) => {
    const args = ['--models-memory', '60', '--when-memory-short', 'drain_first']; // there is room for one
    const { server, repo } = await startModels(t, { a: { 1: plain() } }, args);
    const versions = async () => (await (await server.admin('GET', '/admin/models')).json()).versions;
    putVersion(repo, 'a', '2', { ...plain(), manifest: { canary: {} } });
    await waitFor(async () => (await versions())[0].state === 'failed');
    assert.match((await versions())[0].problem, /--models-memory/);
    assert.equal((await versions())[1].state, 'serving');
    assert.equal((await post(server, 'a', 'activate', { version: '2' })).status, 200); // an admin may
});

// Whatever was done, and in whatever order: what is not loaded any more is gone, with its memory.
test('after a mixed run all generations are gone but those that are loaded', { skip, timeout: 240_000 }, async (t) => {
    const state = path.join(makeFolder(t), 'state.db');
    const quick = { canary: { percent: 50, min_answers: 20, max_answers: 40, looks: 2, max_seconds: 2, on_undecided: 'keep' } };
    const { server, repo } = await startModels(
        t,
        { a: { 1: plain(), 2: plain(), 3: plain() }, b: { 1: plain(), 2: plain() } },
        ['--state', state, '--load-on-demand', '--keep-generations', '1', '--unload-idle', '2'],
    );
    let seed = 7;
    const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
    const pick = (list) => list[random(list.length)];
    const until = Date.now() + 12_000;
    const orders = [
        () => post(server, pick(['a', 'b']), 'activate', { version: pick(['1', '2', '3']) }),
        () => post(server, pick(['a', 'b']), 'rollback'),
        () => post(server, pick(['a', 'b']), 'load', { version: pick(['1', '2', '3']) }),
        () => post(server, pick(['a', 'b']), 'unload', pick([{}, { version: '1' }, { version: '2' }])),
        () => post(server, pick(['a', 'b']), 'split', { version: pick(['1', '2', '3']), percent: pick([0, 20, 80]) }),
        () => post(server, pick(['a', 'b']), 'shadow', { version: pick(['1', '2', '3']), percent: pick([0, 100]) }),
        () => post(server, pick(['a', 'b']), 'canary', { version: pick(['1', '2', '3']), ...quick.canary, max_seconds: 1 }),
        () => post(server, pick(['a', 'b']), 'canary', { action: pick(['promote', 'rollback']) }),
        () => server.admin('PUT', '/admin/prompts/default', { text: `Be brief, ${random(1000)}.` }),
        () => putVersion(repo, pick(['a', 'b']), pick(['2', '3']), { ...plain(), manifest: { note: `${random(1000)}`, ...pick([{}, quick]) } }),
    ];
    const owner = async () => {
        while (Date.now() < until) {
            const answer = await pick(orders)();
            assert.ok((answer?.status ?? 200) < 500, JSON.stringify(answer?.body));
        }
    };
    const client = async (i) => {
        for (let n = 0; Date.now() < until; n++) {
            const model = pick(['a', 'a', 'b', 'a@1', 'b@2']);
            const request = ask(`Hello ${n}`, { model, max_tokens: 8, stream: n % 2 === 0 });
            const leaves = n % 5 === i % 5 ? { signal: AbortSignal.timeout(30) } : {};
            await server.post(CHAT, request, leaves).then((r) => r.text()).catch(() => null);
        }
    };
    await Promise.all([owner(), owner(), ...Array.from({ length: 4 }, (_, i) => client(i))]);

    // The default serves and has one for a rollback; all else is idle, or ended here.
    let found;
    const settled = async () => {
        for (const model of ['a', 'b']) {
            await post(server, model, 'canary', { action: 'rollback' });
            await post(server, model, 'split', { percent: 0 });
            await post(server, model, 'shadow', { percent: 0 });
        }
        const { models, memory } = await (await server.admin('GET', '/admin/models')).json();
        const text = await (await server.fetch('/metrics')).text();
        const loads = [...text.matchAll(/^weir_model_loads_total.* (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
        const held = models.reduce((bytes, m) => bytes + m.memory_bytes, 0);
        const one = models[0].versions.find((v) => v.state === 'serving').memory_bytes;
        const left = loads - [...server.stderr.matchAll(/generation \d+ is gone/g)].length;
        found = { loads, left, held, used: memory.used_bytes, one };
        return memory.used_bytes === held && left * one === held && left <= 2;
    };
    await waitFor(settled).catch(() => assert.fail(`${JSON.stringify(found)}\n${server.stderr}`));
});
