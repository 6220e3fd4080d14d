'use strict';
// Which of a model's versions a request gets that names none: splits, labels, and shadows.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { makeFolder, writeFile, writeOtherVersion } = require('./lib/files.js');
const { startRepo, putVersion, listVersions, waitFor, waitForState } = require('./lib/model_repo.js');
const { missing, modelPath, startServer } = require('./lib/server.js');
const { weir } = require('./lib/command.js');

const skip = missing();
const NAME = 'tiny';
const MANUAL = ['--publish', 'manual'];

// A model that answers differently.
function other(t) {
    const file = path.join(makeFolder(t), 'other.gguf');
    writeOtherVersion(modelPath(), file);
    return file;
}

async function post(server, what, value) {
    const answer = await server.admin('POST', `/admin/models/${NAME}/${what}`, value);
    return { status: answer.status, body: await answer.json() };
}

// The same, that must work.
async function change(server, what, value) {
    const { status, body } = await post(server, what, value);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
}

const report = async (server) => (await (await server.admin('GET', `/admin/models/${NAME}/shadow`)).json()).report;

const bearer = (key) => ({ headers: { authorization: `Bearer ${key}` } });

// Which version answers: "1" of "tiny@1; sha256=...".
function versionOf(response) {
    return /^tiny@([^;]+); sha256=[0-9a-f]{12}$/.exec(response.headers.get('weir-model'))[1];
}

async function versionFor(server, text, more = {}, options = {}) {
    const response = await server.post('/v1/chat/completions', ask(text, { max_tokens: 1, ...more }), options);
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    assert.equal(body.model, `tiny@${versionOf(response)}`);
    return versionOf(response);
}

// The priorities of a process's threads.
function niceOf(pid) {
    return fs.readdirSync(`/proc/${pid}/task`).map((id) => {
        const stat = fs.readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
    });
}

// work of every item, few at a time.
async function mapAll(items, work, atOnce = 8) {
    const out = new Array(items.length);
    let next = 0;
    await Promise.all(Array.from({ length: atOnce }, async () => {
        while (next < items.length) {
            const i = next++;
            out[i] = await work(items[i], i);
        }
    }));
    return out;
}

// Five standard deviations of a binomial count.
function assertShare(taken, n, p) {
    const bound = 5 * Math.sqrt(n * p * (1 - p));
    assert.ok(Math.abs(taken - n * p) <= bound, `${taken} of ${n} are not ${100 * p} %`);
}

test('a tenth of the conversations gets the split, always the same ones, on every route', { skip, timeout: 240_000 }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: other(t) } }, MANUAL);
    assert.deepEqual(await listVersions(server), { 2: 'serving', 1: 'available' });
    assert.equal((await post(server, 'activate', { version: '1' })).status, 200);
    const answer = await change(server, 'split', { version: '2', percent: 10 });
    assert.deepEqual([answer.model, answer.serving, answer.split, answer.shadow], ['tiny', '1', { version: '2', percent: 10, by: 'key' }, null]);
    assert.deepEqual(await listVersions(server), { 2: 'split', 1: 'serving' });

    const texts = Array.from({ length: 200 }, (_, i) => `Question number ${i}`);
    const first = await mapAll(texts, (text) => versionFor(server, text));
    assertShare(first.filter((v) => v === '2').length, texts.length, 0.1);
    assert.deepEqual(await mapAll(texts.slice(0, 40), (text) => versionFor(server, text)), first.slice(0, 40));

    // A later turn of a conversation stays with its version, and so do all routes.
    const inside = texts[first.indexOf('2')], outside = texts[first.indexOf('1')];
    for (const [text, version] of [[inside, '2'], [outside, '1']]) {
        const messages = [{ role: 'user', content: text }];
        const turns = [...messages, { role: 'assistant', content: 'Yes.' }, { role: 'user', content: 'Why?' }];
        assert.equal(await versionFor(server, text, { messages: turns }), version);
        const stream = await beginStream(server, ask(text));
        assert.equal(versionOf(stream), version);
        const { chunks } = await readStream(stream);
        assert.ok(chunks.every(({ model }) => model === `tiny@${version}`));
        const routes = [
            ['/v1/responses', { input: text, max_output_tokens: 16 }],
            ['/v1/messages', { messages, max_tokens: 1 }],
            ['/v1/messages/count_tokens', { messages }],
            ['/tokenize', { messages }],
        ];
        for (const [route, body] of routes) {
            assert.equal(versionOf(await server.post(route, body)), version, route);
            assert.equal(versionOf(await server.post(route, { ...body, model: 'tiny' })), version, route);
            assert.equal(versionOf(await server.post(route, { ...body, model: 'tiny@1' })), '1', route);
            assert.equal(versionOf(await server.post(route, { ...body, model: 'tiny@2' })), '2', route);
        }
    }
    // What has no messages goes by its text, and tokens are counted by who would answer.
    const completions = await mapAll(texts.slice(0, 80), async (prompt) => {
        const version = versionOf(await server.post('/v1/completions', { prompt, max_tokens: 1 }));
        assert.equal(versionOf(await server.post('/tokenize', { content: prompt })), version);
        return version;
    });
    assertShare(completions.filter((v) => v === '2').length, completions.length, 0.1);
    // Vectors of two versions do not compare: without a key they are all of the one that serves.
    const vectors = await mapAll(texts.slice(0, 40), async (input) => versionOf(await server.post('/v1/embeddings', { input })));
    assert.ok(vectors.every((v) => v === '1'));
    assert.equal(versionOf(await server.post('/v1/embeddings', { input: 'a', model: 'tiny@2' })), '2');
    assert.equal(versionOf(await server.post('/detokenize', { tokens: [1] })), '1');

    // A larger share has those of the smaller one.
    await change(server, 'split', { version: '2', percent: 50 });
    const larger = await mapAll(texts, (text) => versionFor(server, text));
    assertShare(larger.filter((v) => v === '2').length, texts.length, 0.5);
    assert.ok(first.every((v, i) => v === '1' || larger[i] === '2'));
    const { data } = await (await server.fetch('/v1/models')).json();
    assert.deepEqual(data.map(({ id, state }) => [id, state]), [['tiny', 'serving'], ['tiny@2', 'split']]);
    assert.match(await (await server.fetch('/metrics')).text(), /^weir_split_percent\{model="tiny",version="2"\} 50$/m);

    assert.equal((await change(server, 'split', { percent: 0 })).split, null);
    assert.equal(await versionFor(server, inside), '1');
    assert.deepEqual(await listVersions(server), { 2: 'kept', 1: 'serving' });
    assert.match(await (await server.fetch('/metrics')).text(), /^weir_split_percent\{model="tiny",version="2"\} 0$/m);
});

test('a key belongs to a split or does not, with all that it asks', { skip, timeout: 240_000 }, async (t) => {
    const keys = Array.from({ length: 150 }, (_, i) => `key-${i}-${'x'.repeat(24)}`);
    const lines = keys.map((key, i) => `k${i}:${crypto.createHash('sha256').update(key).digest('hex')}`);
    const file = writeFile(makeFolder(t), 'keys', `${lines.join('\n')}\n`);
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: other(t) } }, [...MANUAL, '--api-key-file', file]);
    await change(server, 'activate', { version: '1' });
    await change(server, 'split', { version: '2', percent: 20 });
    const versions = await mapAll(keys, (key, i) => versionFor(server, `Hello ${i}`, {}, bearer(key)));
    assertShare(versions.filter((v) => v === '2').length, keys.length, 0.2);
    for (const version of ['1', '2']) {
        const key = bearer(keys[versions.indexOf(version)]);
        for (let i = 0; i < 20; i++) {
            assert.equal(await versionFor(server, `Another question, ${i}`, {}, key), version);
        }
        const routes = [['/v1/completions', { prompt: 'Once', max_tokens: 1 }], ['/v1/embeddings', { input: 'Hello' }],
            ['/tokenize', { content: 'Hello' }], ['/detokenize', { tokens: [1, 2] }]];
        for (const [route, body] of routes) {
            assert.equal(versionOf(await server.post(route, body, key)), version, route);
        }
    }
    // One key for everybody: by conversation. Vectors still go by key.
    const key = bearer(keys[versions.indexOf('1')]);
    const { split } = await change(server, 'split', { version: '2', percent: 20, by: 'conversation' });
    assert.deepEqual(split, { version: '2', percent: 20, by: 'conversation' });
    const texts = Array.from({ length: 120 }, (_, i) => `Question ${i}`);
    const byText = await mapAll(texts, (text) => versionFor(server, text, {}, key));
    assertShare(byText.filter((v) => v === '2').length, texts.length, 0.2);
    assert.deepEqual(await mapAll(texts.slice(0, 40), (text) => versionFor(server, text, {}, bearer(keys[0]))), byText.slice(0, 40));
    const vectors = await mapAll(texts.slice(0, 40), async (input) => versionOf(await server.post('/v1/embeddings', { input }, key)));
    assert.ok(vectors.every((v) => v === '1'));
    assert.equal((await post(server, 'split', { version: '2', percent: 20, by: 'luck' })).body.error.param, 'by');
});

test('a split loads its version, and ends when that serves, goes, or is replaced', { skip, timeout: 240_000 }, async (t) => {
    const gate = { golden: [{ prompt: 'a', text: 'What it never says.' }] };
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } }, [...MANUAL, '--keep-generations', '0']);
    for (const version of ['2', '3', '4']) {
        putVersion(repo, NAME, version, { file: other(t), manifest: version === '4' ? { gate } : undefined });
        await waitForState(server, version, 'available');
    }
    await change(server, 'split', { version: '2', percent: 99 });
    assert.deepEqual(await listVersions(server), { 4: 'available', 3: 'available', 2: 'split', 1: 'serving' });
    // Another one takes its place, and what is not in use is let go of.
    await change(server, 'split', { version: '3', percent: 99 });
    assert.deepEqual(await listVersions(server), { 4: 'available', 3: 'split', 2: 'available', 1: 'serving' });
    // Files that have changed are loaded when the share is given again.
    const generation = async () => (await (await server.admin('GET', `/admin/models/${NAME}/versions/3`)).json()).generation;
    const before = await generation();
    await change(server, 'split', { version: '3', percent: 98 });
    assert.equal(await generation(), before);
    putVersion(repo, NAME, '3', { file: other(t), manifest: { note: 'mended' } });
    await waitFor(async () => {
        await change(server, 'split', { version: '3', percent: 99 });
        return (await generation()) !== before;
    });
    assert.deepEqual(await listVersions(server), { 4: 'available', 3: 'split', 2: 'available', 1: 'serving' });
    // One that fails its gate changes nothing.
    const failed = await post(server, 'split', { version: '4', percent: 5 });
    assert.deepEqual([failed.status, failed.body.error.code], [422, 'load_failed']);
    assert.deepEqual(await listVersions(server), { 4: 'failed', 3: 'split', 2: 'available', 1: 'serving' });

    await change(server, 'activate', { version: '3' });
    assert.deepEqual(await listVersions(server), { 4: 'failed', 3: 'serving', 2: 'available', 1: 'available' });
    assert.equal((await (await server.admin('GET', '/admin/models')).json()).split, null);
    assert.match(server.stderr, /split of version 3 \(99 %\) ends: it serves now/);

    // Another version may be activated beside it.
    await change(server, 'split', { version: '1', percent: 99 });
    await change(server, 'activate', { version: '2' });
    assert.deepEqual(await listVersions(server), { 4: 'failed', 3: 'available', 2: 'serving', 1: 'split' });
    fs.rmSync(path.join(repo, NAME, '1'), { recursive: true });
    await waitFor(async () => !('1' in (await listVersions(server))));
    assert.match(server.stderr, /split of version 1 \(99 %\) ends: its files are gone/);
    assert.equal(await versionFor(server, 'Hello'), '2');

    for (const [body, status, param] of [
        [{ version: '2', percent: 10 }, 409, 'version'], [{ version: '9', percent: 10 }, 404, null],
        [{ version: '3' }, 400, 'percent'], [{ version: '3', percent: 100 }, 400, 'percent'],
        [{ version: '3', percent: 1.5 }, 400, 'percent'], [{ percent: 10 }, 400, 'version'],
        [{ version: 3, percent: 10 }, 400, 'version'], [[], 400, null],
    ]) {
        const refused = await post(server, 'split', body);
        assert.deepEqual([refused.status, refused.body.error.param], [status, param], JSON.stringify(body));
    }
    assert.equal((await server.admin('POST', '/admin/models/other/split', { percent: 0 })).status, 404);
});

test('new versions serve at once, or when an admin says so', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() } });
    await change(server, 'split', { version: '1', percent: 50 });
    putVersion(repo, NAME, '3', { file: other(t) });
    await waitForState(server, '3', 'serving');
    assert.deepEqual(await listVersions(server), { 3: 'serving', 2: 'kept', 1: 'split' });
    server.child.kill('SIGTERM');
    await server.exited;

    // The newest that its owner calls stable is where a server begins that brings in nothing itself.
    putVersion(repo, NAME, '2', { file: modelPath(), manifest: { labels: ['stable'] } });
    const again = await startServer(t, { model: NAME, args: ['--repo', path.join(folder, 'repo'), ...MANUAL] });
    assert.deepEqual(await listVersions(again), { 3: 'available', 2: 'serving', 1: 'available' });
    putVersion(repo, NAME, '4', { file: modelPath() });
    await waitForState(again, '4', 'available');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.deepEqual(await listVersions(again), { 4: 'available', 3: 'available', 2: 'serving', 1: 'available' });
    assert.equal(weir(['serve', '--repo', repo, '--publish', 'never']).status, 2);
});

test('labels lead to versions, and an admin moves them', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath(), manifest: { labels: ['stable'] } } }, ['--keep-generations', '2']);
    const labels = async () => Object.fromEntries((await (await server.admin('GET', '/admin/models')).json()).versions
        .map(({ version, labels: all }) => [version, all]));
    assert.equal(await versionFor(server, 'Hello', { model: 'tiny@stable' }), '1');
    putVersion(repo, NAME, '2', { file: other(t), manifest: { labels: ['stable', 'canary'] } });
    await waitForState(server, '2', 'serving');
    // The newest has the label, now that it can answer.
    assert.equal(await versionFor(server, 'Hello', { model: 'tiny@stable' }), '2');
    assert.deepEqual(await labels(), { 2: ['stable', 'canary'], 1: [] });
    // A label alone gives nobody's requests to anybody.
    await change(server, 'activate', { version: '1' });
    assert.equal(await versionFor(server, 'Hello'), '1');

    assert.deepEqual((await change(server, 'labels', { label: 'stable', version: '1' })).moved_labels, { stable: '1' });
    await change(server, 'labels', { label: 'old', version: '1' });
    assert.deepEqual(await labels(), { 2: ['canary'], 1: ['stable', 'old'] });
    for (const [label, version] of [['stable', '1'], ['canary', '2'], ['old', '1']]) {
        assert.equal(await versionFor(server, 'Hello', { model: `tiny@${label}` }), version);
    }
    const { data } = await (await server.fetch('/v1/models')).json();
    assert.deepEqual(data.map(({ version, labels: all }) => [version, all]), [['tiny@1', ['stable', 'old']], ['tiny@2', ['canary']]]);
    assert.equal((await (await server.fetch('/v1/models/tiny@canary')).json()).version, 'tiny@2');
    assert.equal((await change(server, 'activate', { version: 'canary' })).model.version, 'tiny@2');
    assert.equal((await change(server, 'activate', { version: 'stable' })).model.version, 'tiny@1');
    // A split by a label, and pinned requests beside it.
    assert.deepEqual((await change(server, 'split', { version: 'canary', percent: 99 })).split, { version: '2', percent: 99, by: 'key' });
    assert.equal(await versionFor(server, 'Hello', { model: 'tiny@stable' }), '1');
    await change(server, 'split', { version: null });

    await change(server, 'labels', { label: 'stable', version: null });
    await change(server, 'labels', { label: 'old', version: null });
    assert.equal(await versionFor(server, 'Hello', { model: 'tiny@stable' }), '2');
    const gone = await server.post('/v1/chat/completions', ask('Hello', { model: 'tiny@old' }));
    assert.deepEqual([gone.status, (await gone.json()).error.code], [404, 'model_not_found']);

    // A version that has not been loaded yet does not take a label away from one that has.
    await change(server, 'labels', { label: 'next', version: '2' });
    const gate = { golden: [{ prompt: 'a', text: 'What it never says.' }] };
    putVersion(repo, NAME, '3', { file: modelPath(), manifest: { labels: ['stable'], gate } });
    await waitForState(server, '3', 'failed');
    assert.equal(await versionFor(server, 'Hello', { model: 'tiny@stable' }), '2');
    // A label of a version that is not loaded says so, and so does one whose version is gone.
    await change(server, 'labels', { label: 'next', version: '3' });
    assert.equal((await server.post('/v1/chat/completions', ask('Hello', { model: 'tiny@next' }))).status, 404);

    for (const [body, status, param] of [
        [{ label: '2', version: '1' }, 409, 'label'], [{ label: 'a@b', version: '1' }, 400, 'label'],
        [{ label: 'x' }, 400, 'version'], [{ version: '1' }, 400, 'label'], [{ label: 'x', version: '17' }, 404, null],
        [{ label: 7, version: '1' }, 400, 'label'],
    ]) {
        const refused = await post(server, 'labels', body);
        assert.deepEqual([refused.status, refused.body.error.param], [status, param], JSON.stringify(body));
    }
});

test('copies of the same weights answer alike, and those of others do not', { skip, timeout: 240_000 }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() }, 3: { file: other(t) } }, MANUAL);
    await change(server, 'activate', { version: '1' });
    assert.deepEqual((await change(server, 'shadow', { version: '2', percent: 100 })).shadow, { version: '2', percent: 100 });
    assert.equal((await listVersions(server))[2], 'shadow');
    const compared = async () => {
        const { copies } = await report(server);
        return copies.identical + copies.different;
    };
    const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
    const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object', properties: { where: { type: 'string' } } } } }];
    const requests = [
        ['/v1/chat/completions', ask('Tell me a story.')],
        ['/v1/chat/completions', ask('Tell me a story.', { stream: true })],
        ['/v1/chat/completions', ask('Hello', { temperature: 1, seed: 7, max_tokens: 40 })],
        ['/v1/chat/completions', ask('Hello', { temperature: 1, max_tokens: 40, n: 3 })],
        ['/v1/chat/completions', ask('Tell me a story.', { stop: [' the', 'a'], max_tokens: 60 })],
        ['/v1/chat/completions', ask('Give me a number.', { response_format: { type: 'json_schema', json_schema: { name: 's', schema } }, temperature: 1 })],
        ['/v1/chat/completions', ask('Look outside.', { tools, tool_choice: 'required', max_tokens: 60 })],
        ['/v1/chat/completions', ask('Hello', { logprobs: true, top_logprobs: 3, logit_bias: { 40: -100 } })],
        ['/v1/completions', { prompt: ['Once upon a time', 'There was'], max_tokens: 12, temperature: 0 }],
        ['/v1/responses', { input: 'Tell me a story.', max_output_tokens: 20 }],
        ['/v1/messages', { messages: [{ role: 'user', content: 'Who are you?' }], max_tokens: 20 }],
    ];
    const ids = [];
    for (const [route, body] of requests) {
        const response = await server.post(route, body);
        assert.equal(response.status, 200, await response.text());
        assert.equal(versionOf(response), '1');
        ids.push(response.headers.get('x-request-id'));
        await waitFor(async () => (await compared()) === ids.length, 10);
    }
    const same = await report(server);
    assert.ok(niceOf(server.child.pid).includes(19)); // the lowest there is
    assert.deepEqual(same.comparisons.map(({ request_id: id }) => id), ids.reverse());
    assert.deepEqual(same.comparisons.filter(({ identical }) => !identical), []);
    assert.deepEqual([same.version, same.identical_share, same.same_finish_share], ['2', 1, 1]);
    assert.deepEqual([same.real.mean_bytes, same.real.mean_tokens], [same.copy.mean_bytes, same.copy.mean_tokens]);
    assert.ok(same.real.mean_bytes > 0 && same.copy.tokens_per_s > 0);
    assert.ok(!JSON.stringify(same).includes('story'));

    // Other weights: they differ, and where.
    await change(server, 'shadow', { version: '3', percent: 100 });
    assert.deepEqual(await listVersions(server), { 3: 'shadow', 2: 'available', 1: 'serving' });
    assert.equal((await report(server)).identical_share, null);
    const real = await whole(server, ask('Tell me a story.'));
    await waitFor(async () => (await compared()) === 1, 10);
    const [difference] = (await report(server)).comparisons;
    const pinned = await whole(server, ask('Tell me a story.', { model: 'tiny@3' }));
    let at = 0;
    while (real.text[at] === pinned.text[at]) at++;
    assert.deepEqual([difference.identical, difference.first_difference], [false, at]);
    assert.equal(difference.real.bytes, Buffer.byteLength(real.text));
    assert.deepEqual([difference.copy.tokens, difference.copy.finish_reason], [pinned.usage.completion_tokens, pinned.finish]);
    assert.match(await (await server.fetch('/metrics')).text(), /^weir_shadow_copies_total\{model="tiny",version="2",outcome="identical"\} 11$/m);

    // Nothing can be said of an answer whose client left.
    const leaving = new AbortController();
    const stream = await server.post('/v1/chat/completions', ask('Hello', { stream: true, max_tokens: 900, ignore_eos: true }), { signal: leaving.signal });
    assert.equal(stream.status, 200);
    leaving.abort();
    await waitFor(async () => (await report(server)).copies.abandoned === 1, 10);

    // A request that names another version is not copied. The shadow of a version that serves ends.
    await whole(server, ask('Hello', { model: 'tiny@3' }));
    assert.equal(await compared(), 1);
    assert.equal((await post(server, 'shadow', { version: '1', percent: 10 })).status, 409);
    assert.equal((await change(server, 'activate', { version: '3' })).model.version, 'tiny@3');
    assert.equal((await (await server.admin('GET', '/admin/models')).json()).shadow, null);
    assert.match(server.stderr, /shadow of version 3 \(100 %\) ends: it serves now/);
    assert.equal((await whole(server, ask('Tell me a story.'))).text, pinned.text);
    // What has stepped aside never serves.
    await waitFor(() => !niceOf(server.child.pid).includes(19));
    assert.equal((await change(server, 'shadow', { percent: 0 })).shadow, null);
});

test('where a filter ends an answer, it is compared as far as that', { skip, timeout: 240_000 }, async (t) => {
    const folder = makeFolder(t);
    const filters = writeFile(folder, 'filters.json', { name: 'f', filters: [{ type: 'length', max_bytes: 12, action: 'stop' }] });
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() } }, [...MANUAL, '--filters', filters]);
    await change(server, 'activate', { version: '1' });
    await change(server, 'shadow', { version: '2', percent: 100 });
    const { finish } = await whole(server, ask('Tell me a story.', { max_tokens: 80, ignore_eos: true }));
    assert.equal(finish, 'content_filter');
    await waitFor(async () => (await report(server)).copies.identical === 1, 10);
    const [cut] = (await report(server)).comparisons;
    assert.deepEqual([cut.filtered, cut.first_difference, cut.real.finish_reason], [true, null, 'content_filter']);
    await change(server, 'shadow', { percent: 0 });
    const { copies } = await report(server);
    assert.equal(copies.failed + copies.different, 0);
});

test('requests never fail by their copies, however many there are', { skip, timeout: 240_000 }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() }, 3: { file: other(t) } }, MANUAL);
    await change(server, 'activate', { version: '1' });
    const questions = ['Hello', 'Tell me a story.', 'Who are you?'];
    const wanted = {};
    for (const question of questions) {
        wanted[question] = (await whole(server, ask(question))).text;
    }
    let running = true, answers = 0;
    const clients = Array.from({ length: 24 }, async (_, i) => {
        for (let round = 0; running; round++) {
            const question = questions[(i + round) % questions.length];
            const { text, madeBy } = await readStream(await beginStream(server, ask(question)));
            assert.equal(text, wanted[question]);
            assert.match(madeBy.model, /^tiny@1;/);
            answers++;
        }
    });
    for (let i = 0; i < 8; i++) {
        await change(server, 'shadow', { version: i % 3 === 2 ? '3' : '2', percent: 100 });
        const before = answers;
        await waitFor(() => answers > before + 24);
        if (i % 4 === 3) {
            await change(server, 'shadow', { percent: 0 });
        }
    }
    await change(server, 'shadow', { version: '2', percent: 100 });
    const had = answers;
    await waitFor(() => answers > had + 24);
    running = false;
    await Promise.all(clients);
    // Now that they have the machine for themselves, those that run come to their end.
    await waitFor(async () => (await report(server)).copies.identical > 0);
    const { copies } = await report(server);
    assert.equal(copies.failed + copies.different, 0, JSON.stringify(copies));
    assert.ok(copies.dropped > 0, JSON.stringify(copies)); // 24 at once, and 8 may be copied
});

test('every route holds while shares, labels and versions change as fast as they can', { skip, timeout: 240_000 }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() }, 3: { file: other(t) } }, [...MANUAL, '--keep-generations', '0']);
    const running = { now: true, done: 0 };
    const keep = async (work) => {
        for (let i = 0; running.now; i++) {
            const response = await work(i);
            const body = await response.text();
            // A version or label that was named may not be loaded just now.
            const mayMiss = response.status === 404 && /is not loaded|does not exist here/.test(body);
            assert.ok(response.status === 200 || mayMiss, `${response.url}: ${response.status} ${body}`);
            running.done++;
        }
    };
    const messages = (i) => [{ role: 'user', content: `Hello ${i}` }];
    const works = [
        (i) => server.post('/v1/chat/completions', ask(`Hello ${i}`, { stream: true })),
        (i) => server.post('/v1/chat/completions', ask(`Hi ${i}`, { n: 2, max_tokens: 6, stop: ['a'] })),
        (i) => server.post('/v1/chat/completions', ask(`Hi ${i}`, { response_format: { type: 'json_object' }, max_tokens: 12 })),
        (i) => server.post('/v1/completions', { prompt: `Once ${i}`, max_tokens: 6 }),
        (i) => server.post('/v1/chat/completions', ask(`Hello ${i}`, { model: 'tiny@moving', max_tokens: 4 })),
        (i) => server.post('/v1/chat/completions', ask(`Hello ${i}`, { model: 'tiny@2', max_tokens: 4 })),
        (i) => server.post('/v1/messages/count_tokens', { messages: messages(i) }),
        (i) => server.post('/v1/embeddings', { input: `Hello ${i}` }),
        (i) => server.post('/tokenize', { content: `Hello ${i}` }),
        () => server.fetch('/v1/models'),
        () => server.admin('GET', '/admin/models'),
        () => server.admin('GET', '/admin/models/tiny/shadow'),
    ];
    const clients = works.map(keep);
    const versions = ['1', '2', '3'];
    const begin = Date.now();
    for (let i = 0; i < 42 && (i < 14 || Date.now() - begin < 60_000); i++) {
        const version = versions[(i * 7 + (i >> 2)) % 3];
        const [what, body] = [
            ['shadow', { version, percent: 100 }], ['split', { version, percent: 50 }], ['labels', { label: 'moving', version }],
            ['activate', { version }], ['shadow', { version, percent: 50 }], ['split', { percent: 0 }], ['shadow', { percent: 0 }],
        ][i % 7];
        const { status, body: answer } = await post(server, what, body);
        assert.ok([200, 409].includes(status), JSON.stringify(answer));
    }
    running.now = false;
    await Promise.all(clients);
    assert.ok(running.done >= works.length);
});

test('a server ends with copies under way', { skip, timeout: 240_000 }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() } }, MANUAL);
    await change(server, 'activate', { version: '1' });
    await change(server, 'shadow', { version: '2', percent: 100 });
    const clients = Array.from({ length: 12 }, () => whole(server, ask('Hello', { max_tokens: 200, ignore_eos: true })));
    await new Promise((resolve) => setTimeout(resolve, 100));
    server.child.kill('SIGTERM');
    await Promise.all(clients);
    assert.deepEqual(await server.exited, { code: 0, signal: null }, server.stderr);
});

test('weir ctl models split, label and shadow', { skip, timeout: 240_000 }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() }, 3: { file: other(t) } }, MANUAL);
    const ctl = (...args) => weir(['ctl', 'models', ...args, '--url', server.url, '--admin-key', server.adminKey]);
    const good = (...args) => {
        const { status, stdout, stderr } = ctl(...args);
        assert.equal(status, 0, stderr);
        return stdout;
    };
    assert.match(good('split', '1', '25%'), /^model tiny: version 3 serves\nsplit: version 1, 25 % by key\nshadow: none$/m);
    assert.match(good('label', 'good', '1'), /^label good: version 1$/m);
    assert.match(good('list'), /^model tiny\nVERSION /);
    assert.match(good('list'), /^1 +split 25 % by key +[0-9a-f]{12} +\d+ +good/m);
    assert.match(good('split', 'off'), /^split: none$/m);
    assert.doesNotMatch(good('label', 'good', 'off'), /label good/);
    assert.match(good('shadow', '2', '100'), /^shadow: version 2, 100 %$/m);
    await whole(server, ask('Hello'));
    await waitFor(async () => (await report(server)).copies.different === 1, 10);
    const shown = good('shadow');
    assert.match(shown, /^version 2, copies: identical 0 different 1 dropped 0 abandoned 0 skipped 0 failed 0$/m);
    assert.match(shown, /^identical: 0\.0 %, ended alike: /m);
    assert.match(shown, /^copy: \d+\.\d bytes, \d+\.\d tokens, /m);
    assert.match(good('shadow', 'off'), /^shadow: none$/m);
    assert.equal(ctl('split', '1').status, 2);
    assert.equal(ctl('split', '1', 'many').status, 2);
    const none = ctl('split', '7', '10');
    assert.equal(none.status, 1);
    assert.match(none.stderr, /no version "7"; there are: 3, 2, 1/);
});
