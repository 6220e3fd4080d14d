'use strict';
// weir keys: keys in a file that a server then takes.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing, programPath } = require('./lib/server.js');

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
