'use strict';
// A server on a unix socket, alone or beside a port.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeFolder } = require('./lib/files.js');
const { startServer, missing, RawSocket } = require('./lib/server.js');

const skip = missing();

async function ask(socketPath, host = 'localhost') {
    const socket = await RawSocket.connectUnix(socketPath);
    socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://a.example\r\n\r\n`);
    const answer = await socket.response();
    socket.destroy();
    return answer.status;
}

test('a unix socket is served alone, by whatever name, and removed at the end', { skip }, async (t) => {
    const file = path.join(makeFolder(t), 'weir.sock');
    let server;
    await t.test('while it runs', async (t) => {
        server = await startServer(t, { port: null, args: ['--unix', file] });
        assert.equal(server.port, undefined);
        assert.equal(fs.statSync(file).mode & 0o777, 0o600);
        assert.equal(await ask(file), 200);
        assert.equal(await ask(file, 'weir.example.org'), 200);
        const second = startServer(t, { port: null, args: ['--unix', file] });
        await assert.rejects(second, /already in use/);
        assert.equal(await ask(file), 200, 'the second has not taken it away');
    });
    assert.equal(fs.existsSync(file), false);
});

test('a socket that a killed server left is replaced; a port is served beside it', { skip }, async (t) => {
    const file = path.join(makeFolder(t), 'weir.sock');
    await t.test('one that is killed', async (t) => {
        const server = await startServer({ after: () => {} }, { port: null, args: ['--unix', file] });
        server.child.kill('SIGKILL');
        await server.exited;
        assert.equal(fs.existsSync(file), true);
    });
    const server = await startServer(t, { args: ['--unix', file, '--unix-mode', '0660'] });
    assert.equal(fs.statSync(file).mode & 0o777, 0o660);
    assert.equal((await server.fetch('/healthz')).status, 200);
    assert.equal(await ask(file), 200);
});

test('no other file is taken away', { skip }, async (t) => {
    const file = path.join(makeFolder(t), 'notes.txt');
    fs.writeFileSync(file, 'mine');
    await assert.rejects(startServer(t, { port: null, args: ['--unix', file] }), /no socket/);
    assert.equal(fs.readFileSync(file, 'utf8'), 'mine');
});
