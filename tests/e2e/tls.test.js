'use strict';
// HTTPS: answers, streams, and certificates that change while clients are connected.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');
const test = require('node:test');
const tls = require('node:tls');

const { makeCertificate } = require('./lib/certificate.js');
const { makeFolder } = require('./lib/files.js');
const { startServer, missing, programPath, RawSocket } = require('./lib/server.js');
const { until } = require('./lib/wait.js');

const skip = missing();
const GET_HEALTH = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
const QUESTION = { messages: [{ role: 'user', content: 'Hello' }], temperature: 0, max_tokens: 24 };

async function startTls(t) {
    const folder = makeFolder(t);
    const files = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem'), folder };
    makeCertificate(files.cert, files.key, 'first');
    const server = await startServer(t, { args: ['--tls-cert', files.cert, '--tls-key', files.key] });
    return { server, files };
}

// A pair that is renamed into place, one file after the other.
function replace(files, name) {
    makeCertificate(`${files.cert}.new`, `${files.key}.new`, name);
    fs.renameSync(`${files.cert}.new`, files.cert);
    fs.renameSync(`${files.key}.new`, files.key);
}

// The name in the certificate that a new connection is shown.
function servedName(server) {
    return new Promise((resolve, reject) => {
        const socket = tls.connect({ host: server.host, port: server.port, rejectUnauthorized: false }, () => {
            resolve(socket.getPeerCertificate().subject.CN);
            socket.destroy();
        });
        socket.on('error', reject);
    });
}

function request(server, route, { ca, body, ...options } = {}) {
    return new Promise((resolve, reject) => {
        const sent = https.request({ host: 'localhost', port: server.port, path: route, ca,
            rejectUnauthorized: Boolean(ca), method: body ? 'POST' : 'GET', lookup: (host, o, done) =>
                (o.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)), ...options },
        (answer) => {
            let text = '';
            answer.setEncoding('utf8').on('data', (piece) => (text += piece));
            answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
        });
        sent.on('error', reject);
        sent.end(body ? JSON.stringify(body) : undefined);
    });
}

test('answers and streams come over HTTPS', { skip }, async (t) => {
    const { server, files } = await startTls(t);
    assert.match(server.url, /^https:/);
    const ca = fs.readFileSync(files.cert); // verified, as a client should
    assert.equal((await request(server, '/healthz', { ca })).status, 200);
    const whole = await request(server, '/v1/chat/completions', { ca, body: QUESTION });
    assert.equal(whole.status, 200);
    const stream = await request(server, '/v1/chat/completions', { ca, body: { ...QUESTION, stream: true } });
    const pieces = stream.text.split('\n').filter((line) => line.startsWith('data: {')).map((line) => JSON.parse(line.slice(6)));
    assert.equal(pieces.map((piece) => piece.choices[0].delta.content ?? '').join(''),
        JSON.parse(whole.text).choices[0].message.content);
    assert.match(stream.text, /data: \[DONE\]\n\n$/);
    const curl = spawnSync('curl', ['-sS', '--cacert', files.cert, `https://localhost:${server.port}/healthz`,
        '--resolve', `localhost:${server.port}:127.0.0.1`], { encoding: 'utf8' });
    assert.equal(curl.status, 0, curl.stderr);
    const plain = await RawSocket.connect(server.host, server.port);
    plain.write(GET_HEALTH);
    assert.equal((await plain.response()).status, 400);
    assert.equal(await plain.isClosed(), true);
    plain.destroy();
});

test('a new certificate is served to new connections', { skip, timeout: 120_000 }, async (t) => {
    const { server, files } = await startTls(t);
    const old = await server.connect();
    old.write(GET_HEALTH);
    assert.equal((await old.response()).status, 200);
    assert.equal(await servedName(server), 'first');

    replace(files, 'second');
    await until(async () => (await servedName(server)) === 'second', 'the renamed files are noticed');
    old.write(GET_HEALTH);
    assert.equal((await old.response()).status, 200, 'a connection from before goes on');

    fs.writeFileSync(`${files.cert}.bad`, 'nonsense\n');
    fs.renameSync(`${files.cert}.bad`, files.cert);
    await until(() => /cannot serve, the old one goes on: .*cert\.pem/.test(server.stderr), 'the log says why');
    assert.equal(await servedName(server), 'second');
    fs.unlinkSync(files.cert);
    server.child.kill('SIGHUP');
    await until(() => (server.stderr.match(/the old one goes on/g) ?? []).length >= 2, 'a missing file is told');
    assert.equal(await servedName(server), 'second');

    replace(files, 'third');
    server.child.kill('SIGHUP');
    await until(async () => (await servedName(server)) === 'third', 'the right files again');
    old.destroy();
});

test('no request is lost while certificates change', { skip, timeout: 120_000 }, async (t) => {
    const { server, files } = await startTls(t);
    let isChanging = true;
    const clients = Array.from({ length: 8 }, async () => {
        let count = 0;
        while (isChanging) {
            assert.equal((await request(server, '/healthz')).status, 200);
            count++;
        }
        return count;
    });
    for (let i = 0; i < 10; i++) {
        replace(files, `name-${i}`);
        server.child.kill('SIGHUP');
        await until(async () => (await servedName(server)) === `name-${i}`, 'the next one');
    }
    isChanging = false;
    assert.ok((await Promise.all(clients)).every((count) => count > 0));
});

test('a start without a usable pair is refused', { skip }, async (t) => {
    const folder = makeFolder(t);
    const cert = path.join(folder, 'cert.pem');
    const key = path.join(folder, 'key.pem');
    makeCertificate(cert, key);
    await assert.rejects(startServer(t, { args: ['--tls-cert', key, '--tls-key', key] }), /no certificate in PEM/);
    const one = spawnSync(programPath(), ['serve', '--model', 'x.gguf', '--tls-cert', cert], { encoding: 'utf8' });
    assert.equal(one.status, 2);
    assert.match(one.stderr, /go together/);
});
