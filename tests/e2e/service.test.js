'use strict';
// A service manager's end: what the server tells it on a real datagram socket, when it keeps quiet, and sockets that
// it was given by systemd's own program for that.

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask } = require('./lib/chat.js');
const { makeFolder } = require('./lib/files.js');
const { freePort } = require('./lib/port.js');
const { missing, modelPath, programPath } = require('./lib/server.js');
const { ADMIN_KEY, Upgrading, startUpgrading } = require('./lib/upgrading.js');
const { sleep, until } = require('./lib/wait.js');

const skip = missing();
const CHAT = '/v1/chat/completions';
const LONG = ask('Tell me a very long story.', { max_tokens: 500, temperature: 1.5, seed: 3 });
const HELPERS = path.join(path.dirname(programPath()), 'tests/e2e'); // notify_socket.c, hold_threads.c

// A program beside the test that ends with it; `line` is what it says when it is ready.
async function startHelper(t, name, argument, line) {
    const child = spawn(path.join(HELPERS, name), [argument], { stdio: ['pipe', 'pipe', 'inherit'] });
    const helper = { child, said: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (helper.said += text));
    t.after(() => child.kill());
    await until(() => helper.said.startsWith(`${line}\n`), `${name} is ready`);
    return helper;
}

// The service manager: hears what a server with its `env` says.
async function startManager(t) {
    const socket = path.join(makeFolder(t), 'notify');
    const helper = await startHelper(t, 'notify_socket', socket, 'listening');
    const manager = {
        env: { NOTIFY_SOCKET: socket },
        // [{pid, word}] in the order in which they came.
        heard: () => helper.said.split('\n').slice(1, -1).map((line) => ({ pid: parseInt(line, 10), word: line.replace(/^\d+ /, '') })),
        count: (pid, word) => manager.heard().filter((one) => one.pid === pid && one.word === word).length,
        words: (but = 'WATCHDOG=1') => manager.heard().map(({ word }) => word).filter((word) => word !== but),
        // Waits for a word that has not come yet when this is called.
        hears: async (pid, word) => {
            const before = manager.count(pid, word);
            await until(() => manager.count(pid, word) > before, `${pid} says ${word}`);
        },
    };
    return manager;
}

test('ready, reloading, ready again, stopping', { skip }, async (t) => {
    const manager = await startManager(t);
    const server = await startUpgrading(t, { env: manager.env });
    const { pid } = server.child;
    await until(() => manager.words().length >= 2, 'it says that it is ready');
    assert.deepEqual(manager.words(), ['READY=1', 'STATUS=Serving']);
    const before = process.hrtime.bigint() / 1000n;
    server.child.kill('SIGHUP');
    await until(() => manager.count(pid, 'READY=1') === 2, 'the reload is over');
    assert.match(server.stderr, /the model file has not changed/, 'READY=1 comes when it is over');
    const words = manager.words().slice(2);
    assert.equal(words[0], 'RELOADING=1');
    const [, usec] = /^MONOTONIC_USEC=(\d+)$/.exec(words[1]);
    assert.ok(BigInt(usec) >= before && BigInt(usec) <= process.hrtime.bigint() / 1000n, 'the clock is the monotonic one');
    assert.deepEqual(words.slice(2), ['STATUS=Reloading', 'READY=1', 'STATUS=Serving']);
    server.child.kill('SIGTERM');
    await until(() => manager.words().includes('STOPPING=1'), 'it says that it stops');
    assert.deepEqual(await server.exited, { code: 0, signal: null });
    assert.equal(manager.count(pid, 'WATCHDOG=1'), 0, 'nobody asked for it');
});

test('the watchdog hears of a server that works, idle or not, and nothing while an engine hangs', { skip }, async (t) => {
    const manager = await startManager(t);
    const server = await startUpgrading(t, { env: { ...manager.env, WATCHDOG_USEC: '4000000' } });
    const { pid } = server.child;
    await manager.hears(pid, 'WATCHDOG=1');
    const first = manager.words(null)[0];
    assert.equal(first, 'READY=1', 'not before it is ready');
    const answer = server.request('POST', CHAT, LONG);
    await manager.hears(pid, 'WATCHDOG=1');
    await answer;

    const holder = await startHelper(t, 'hold_threads', String(pid), 'held');
    await manager.hears(pid, 'WATCHDOG=1'); // it has nothing to do
    const held = server.request('POST', CHAT, LONG);
    await until(() => /an engine has been at one step for [2-9]\.\d s/.test(server.stderr), 'the log says why it is quiet');
    const before = manager.count(pid, 'WATCHDOG=1');
    assert.equal((await server.request('GET', '/healthz')).status, 200, 'the loop goes on');
    await sleep(1500);
    assert.equal(manager.count(pid, 'WATCHDOG=1'), before);
    holder.child.stdin.end();
    assert.equal((await held).status, 200);
    await manager.hears(pid, 'WATCHDOG=1');
    assert.match(server.stderr, /the engine goes on/);
});

test('a loop that hangs says nothing; another process than the one that is meant neither', { skip }, async (t) => {
    const manager = await startManager(t);
    const [server, other] = await Promise.all(['', '1'].map((own) => startUpgrading(t,
        { env: { ...manager.env, WATCHDOG_USEC: '400000', ...(own && { WATCHDOG_PID: own }) } })));
    const { pid } = server.child;
    await manager.hears(pid, 'WATCHDOG=1');
    process.kill(pid, 'SIGSTOP');
    await sleep(100);
    const before = manager.count(pid, 'WATCHDOG=1');
    await sleep(600);
    assert.equal(manager.count(pid, 'WATCHDOG=1'), before);
    process.kill(pid, 'SIGCONT');
    await manager.hears(pid, 'WATCHDOG=1');
    assert.equal(manager.count(other.child.pid, 'READY=1'), 1);
    assert.equal(manager.count(other.child.pid, 'WATCHDOG=1'), 0);
});

test('after an upgrade the new process speaks, and the old one does not any more', { skip }, async (t) => {
    const manager = await startManager(t);
    const script = 'export WATCHDOG_USEC=400000 WATCHDOG_PID=$$; exec "$0" "$@"';
    const server = new Upgrading(makeFolder(t));
    server.spawn('sh', ['-c', script, server.program, 'serve', '--model', modelPath(), '--port', '0', '--admin-key', ADMIN_KEY],
        { env: { ...process.env, ...manager.env } });
    t.after(() => server.stop());
    await server.ready();
    const old = server.child.pid;
    await manager.hears(old, 'WATCHDOG=1');
    const next = await server.upgrade();
    await manager.hears(next, 'WATCHDOG=1');
    const words = manager.heard().filter(({ pid }) => pid === old).map(({ word }) => word);
    assert.ok(words.includes(`MAINPID=${next}`));
    assert.ok(!words.slice(words.indexOf(`MAINPID=${next}`)).includes('WATCHDOG=1'));
});

test('the status says that an upgrade was refused, also after a reload, and not while one is under way', { skip }, async (t) => {
    const manager = await startManager(t);
    const server = await startUpgrading(t, { env: manager.env });
    const { pid } = server.child;
    const status = () => manager.words().filter((word) => word.startsWith('STATUS=')).at(-1);
    const refusals = () => manager.words().filter((word) => /an upgrade was refused/.test(word)).length;
    await until(() => status() === 'STATUS=Serving', 'it is ready');
    fs.chmodSync(server.program, 0o644);
    process.kill(pid, 'SIGUSR2');
    await until(() => /^STATUS=Serving; an upgrade was refused: .*Permission denied/.test(status()), 'the status says why');
    assert.equal(manager.count(pid, 'READY=1'), 1);

    process.kill(pid, 'SIGHUP');
    await until(() => status() === 'STATUS=Serving', 'a reload has a status of its own');
    const ready = manager.count(pid, 'READY=1');
    process.kill(pid, 'SIGHUP');
    await until(() => manager.count(pid, 'STATUS=Reloading') === 2, 'another reload');
    process.kill(pid, 'SIGUSR2');
    await until(() => refusals() === 2 && manager.count(pid, 'READY=1') > ready, 'the reload is over');
    assert.match(status(), /^STATUS=Serving; an upgrade was refused: /);

    server.installSlow(1);
    const upgrade = server.upgrade();
    await until(() => manager.count(pid, 'STATUS=Upgrading') === 1, 'an upgrade begins');
    process.kill(pid, 'SIGUSR2');
    await until(() => /upgrade refused: an upgrade is under way/.test(server.stderr), 'a second one is refused');
    await upgrade;
    await until(() => status() === 'STATUS=Serving', 'the new process serves');
    assert.equal(refusals(), 2);
});

test('systemd-socket-activate: the first connection starts it, and is answered', { skip }, async (t) => {
    const port = await freePort();
    const unix = path.join(makeFolder(t), 'weir.sock');
    const server = new Upgrading(makeFolder(t));
    server.spawn('systemd-socket-activate', ['--listen', `127.0.0.1:${port}`, '--listen', unix,
        server.program, 'serve', '--model', modelPath(), '--admin-key', ADMIN_KEY]);
    t.after(() => server.stop());
    await until(() => /Listening on .*weir\.sock/.test(server.stderr), 'systemd-socket-activate listens');
    assert.equal(server.stdout, '', 'nothing runs yet');
    Object.assign(server, { url: `http://127.0.0.1:${port}`, unix });
    assert.equal((await server.request('GET', '/readyz')).status, 200);
    assert.match(server.stdout, new RegExp(`listening on http://127.0.0.1:${port}\nlistening on unix:${unix}`));
    assert.equal((await server.request('GET', '/readyz', undefined, { unix: true })).status, 200);
});

test('weir --version says which build it is', { skip }, () => {
    const said = execFileSync(programPath(), ['--version'], { encoding: 'utf8' });
    assert.match(said, /^weir \d+\.\d+\.\d+\ncommit: +\S.*\nbuild: +\w+, \w+ [\d.]+, \w+\nparts: +training (yes|no).*\nlibraries: +libuv [\d.]+, OpenSSL .*, libcurl .*\nprocessor: +\w+.*\n$/);
});
