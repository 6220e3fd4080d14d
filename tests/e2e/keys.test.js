'use strict';
// weir keys: keys in a file that a server then takes.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeFile, writeOtherVersion } = require('./lib/files.js');
const { startRepo, putVersion } = require('./lib/model_repo.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');

const skip = fs.existsSync(programPath()) ? false : `${programPath()} is not built`;

function keys(...args) {
    return spawnSync(programPath(), ['keys', ...args], { encoding: 'utf8' });
}

test('a key is shown once and its file holds the hash', { skip }, (t) => {
    const file = path.join(makeFolder(t), 'keys');
    const made = keys('add', '--file', file, '--name', 'ann', '--scopes', 'chat,models', '--requests', '60');
    assert.equal(made.status, 0, made.stderr);
    const key = made.stdout.trim();
    assert.match(key, /^weir-[0-9a-f]{64}$/);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const text = fs.readFileSync(file, 'utf8');
    assert.match(text, /^ann:[0-9a-f]{64}:chat,models:requests=60\n$/);
    assert.ok(!text.includes(key.slice(5)));

    assert.equal(keys('add', '--file', file, '--name', 'bob').status, 0);
    const again = keys('add', '--file', file, '--name', 'ann');
    assert.equal(again.status, 1);
    assert.match(again.stderr, /"ann" is taken/);
    const rows = keys('list', '--file', file, '--json').stdout.trim().split('\n').map((row) => JSON.parse(row));
    assert.deepEqual(rows.map(({ name, scopes, limits }) => [name, scopes, limits]),
        [['ann', 'chat,models', 'requests=60'], ['bob', '*', '']]);

    assert.equal(keys('remove', '--file', file, '--name', 'ann').status, 0);
    assert.match(fs.readFileSync(file, 'utf8'), /^bob:/);
    assert.equal(keys('remove', '--file', file, '--name', 'ann').status, 1);
});

test('what others wrote into the file stays', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'keys', '# of the team\nplain-key\n\n# last');
    fs.chmodSync(file, 0o640);
    assert.equal(keys('add', '--file', file, '--name', 'ann').status, 0);
    assert.match(fs.readFileSync(file, 'utf8'), /^# of the team\nplain-key\n\n# last\nann:[0-9a-f]{64}:\*:\n$/);
    assert.equal(fs.statSync(file).mode & 0o777, 0o640);
    assert.match(keys('list', '--file', file).stdout, /^line-2 /);
    assert.equal(keys('remove', '--file', file, '--name', 'ann').status, 0);
    assert.equal(fs.readFileSync(file, 'utf8'), '# of the team\nplain-key\n\n# last\n');
});

test('wrong usage is told', { skip }, (t) => {
    const file = path.join(makeFolder(t), 'keys');
    assert.equal(keys().status, 2);
    assert.equal(keys('add', '--file', file).status, 2);
    assert.equal(keys('burn', '--file', file, '--name', 'a').status, 2);
    assert.equal(keys('list', '--file', file).status, 1);
    const scope = keys('add', '--file', file, '--name', 'a', '--scopes', 'fly');
    assert.equal(scope.status, 1);
    assert.match(scope.stderr, /no scope "fly"; there are chat,/);
    assert.equal(fs.existsSync(file), false);
});

test('a server takes the key, and the admin key from a file', { skip: skip || missing() }, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'keys');
    const key = keys('add', '--file', file, '--name', 'ann').stdout.trim();
    const adminFile = path.join(folder, 'admin');
    const adminKey = keys('add', '--file', adminFile, '--name', 'root').stdout.trim();
    const server = await startServer(t, { args: ['--api-key-file', file, '--admin-key-file', adminFile] });
    const status = async (route, bearer) =>
        (await server.fetch(route, { headers: { authorization: `Bearer ${bearer}` } })).status;
    assert.equal(await status('/v1/models', key), 200);
    assert.equal(await status('/v1/models', adminKey), 401);
    assert.equal(await status('/admin/models', adminKey), 200);
    assert.equal(await status('/admin/models', key), 401);
});

test('a key that is for a model says so, and is refused where it names none', { skip }, (t) => {
    const file = path.join(makeFolder(t), 'keys');
    const pins = ['tiny', 'tiny@2', 'tiny@stable', `tiny@sha256:${'0123456789ab'}`];
    for (const [i, pin] of pins.entries()) {
        assert.equal(keys('add', '--file', file, '--name', `k${i}`, '--model', pin).status, 0);
    }
    const rows = keys('list', '--file', file, '--json').stdout.trim().split('\n').map((row) => JSON.parse(row));
    assert.deepEqual(rows.map(({ model }) => model), pins);
    assert.match(keys('list', '--file', file).stdout, /k3 .* model=tiny@sha256:0123456789ab$/m);
    for (const pin of ['', 'tiny@', 'a b', 'tiny@sha256:xyz', 'tiny@1:2']) {
        const refused = keys('add', '--file', file, '--name', 'bad', '--model', pin);
        assert.equal(refused.status, 1, pin);
        assert.match(refused.stderr, /--model: .* is no model: NAME, NAME@VERSION/);
    }
});

// Every route that takes a model: with it, and without.
const ROUTES = [
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4 }],
    ['/v1/completions', { prompt: 'Once', max_tokens: 4 }],
    ['/v1/responses', { input: 'Hello', max_output_tokens: 16 }],
    ['/v1/messages', { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4 }],
    ['/v1/messages/count_tokens', { messages: [{ role: 'user', content: 'Hello' }] }],
    ['/v1/embeddings', { input: 'Hello' }],
    ['/tokenize', { content: 'Hello' }],
    ['/detokenize', { tokens: [1, 2] }],
];

test('a key gets the version that it is for, on every route, and no other', { skip: skip || missing(), timeout: 240_000 }, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'keys');
    const hashOf = (model) => JSON.parse(spawnSync(programPath(), ['inspect', '--json', model], { encoding: 'utf8', maxBuffer: 1 << 28 }).stdout).sha256;
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const add = (name, ...args) => keys('add', '--file', file, '--name', name, ...args).stdout.trim();
    const free = add('free');
    const whole = add('whole', '--model', 'tiny');
    const pinned = add('pinned', '--model', 'tiny@1');
    const byHash = add('hash', '--model', `tiny@sha256:${hashOf(modelPath()).slice(0, 16)}`);
    const gone = add('gone', '--model', 'tiny@7');
    const elsewhere = add('elsewhere', '--model', 'other@1');
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } }, ['--api-key-file', file]);
    putVersion(repo, 'tiny', '2', { file: other });

    const post = async (route, key, body) => {
        const response = await server.post(route, body, { headers: { authorization: `Bearer ${key}` } });
        return { status: response.status, model: response.headers.get('weir-model'), body: await response.json() };
    };
    const list = async (key, id = '') => {
        const response = await server.fetch(`/v1/models${id}`, { headers: { authorization: `Bearer ${key}` } });
        return { status: response.status, body: await response.json() };
    };
    for (let i = 0; i < 600 && (await list(free)).body.data[0].version !== 'tiny@2'; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
    }

    const ids = async (key) => (await list(key)).body.data.map(({ id }) => id);
    assert.deepEqual(await ids(free), ['tiny', 'tiny@1']);
    assert.deepEqual(await ids(whole), ['tiny', 'tiny@1']);
    assert.deepEqual(await ids(pinned), ['tiny@1']);
    assert.deepEqual(await ids(byHash), ['tiny@1']);
    assert.deepEqual(await ids(gone), []);
    assert.equal((await list(pinned, '/tiny')).body.version, 'tiny@1');
    assert.equal((await list(pinned, '/tiny@2')).status, 403);

    const expect = async (key, model, status, version) => {
        for (const [route, body] of ROUTES) {
            const answer = await post(route, key, model ? { ...body, model } : body);
            assert.equal(answer.status, status, `${route} ${model}: ${JSON.stringify(answer.body)}`);
            if (status === 200 && answer.model) {
                assert.match(answer.model, new RegExp(`^${version}; `), `${route} ${model}`);
            }
            if (status === 403) {
                const error = answer.body.error;
                assert.match(error.message, /this API key is for the model ".*" and not for ".*"; leave "model" out/);
                assert.equal(error.type, 'permission_error');
                assert.equal(error.code ?? 'model_not_allowed', 'model_not_allowed');
            }
            if (status === 404) {
                assert.match(answer.body.error.message, key === gone
                    ? /"tiny@7" does not exist here; "tiny" \("tiny@2"\), "tiny@1" may be asked for, but not with this API key$/
                    : /"other@1" does not exist here; nothing may be asked for$/);
            }
        }
    };
    await expect(free, undefined, 200, 'tiny@2');
    await expect(free, 'tiny@1', 200, 'tiny@1');
    await expect(whole, undefined, 200, 'tiny@2');
    await expect(whole, 'tiny@1', 200, 'tiny@1');
    await expect(whole, 'other', 403);
    for (const model of [undefined, 'tiny', 'tiny@1']) {
        await expect(pinned, model, 200, 'tiny@1');
        await expect(byHash, model, 200, 'tiny@1');
    }
    for (const model of ['tiny@2', 'tiny@3', 'other', 'gpt-4', 'tiny1']) {
        await expect(pinned, model, 403);
        await expect(byHash, model, 403);
    }
    await expect(gone, undefined, 404);
    await expect(gone, 'tiny', 404);
    await expect(gone, 'tiny@2', 403);
    await expect(elsewhere, undefined, 404);
    await expect(elsewhere, 'tiny', 403);
});
