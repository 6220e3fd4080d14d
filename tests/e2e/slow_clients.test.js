'use strict';
// Thousands of clients that send a head byte by byte and never end it: others are served meanwhile, and all
// of them are dropped in time. WEIR_SLOW_SOCKETS: how many (1000).

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const test = require('node:test');
const tls = require('node:tls');

const { makeCertificate } = require('./lib/certificate.js');
const { makeFolder } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');
const { sleep } = require('./lib/wait.js');

const skip = missing();
const COUNT = Number(process.env.WEIR_SLOW_SOCKETS || 1000);
const DRIP_MS = 1000;
const HEAD_TIMEOUT_MS = 10_000; // header_timeout_ms of runtime/net/http_server.c
const GET_HEALTH = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';

function residentMiB(server) {
    const status = fs.readFileSync(`/proc/${server.child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
}

// Connects, drips and notes how it ended: {text, ms}. For a handshake that drips `open` is plain TCP.
function slowClient(open, first, end) {
    const began = Date.now();
    const socket = open();
    let text = '';
    const drip = setInterval(() => socket.write('X'), DRIP_MS);
    const over = () => {
        clearInterval(drip);
        socket.destroy();
        end({ text, ms: Date.now() - began });
    };
    socket.on('data', (data) => (text += data.toString('latin1')));
    socket.on('end', over);
    socket.on('error', over);
    socket.write(first);
    return socket;
}

async function probe(server, until) {
    const took = [];
    while (!until()) {
        const began = process.hrtime.bigint();
        const answer = await server.raw(GET_HEALTH);
        assert.equal(answer.status, 200);
        took.push(Number(process.hrtime.bigint() - began) / 1e6);
        await sleep(20);
    }
    return took.sort((a, b) => a - b);
}

async function attack(server, open, first, what) {
    const before = residentMiB(server);
    const ends = [];
    for (let i = 0; i < COUNT; i++) {
        slowClient(open, first, (end) => ends.push(end));
        if (i % 100 === 99) {
            await sleep(5);
        }
    }
    const deadline = Date.now() + 4 * HEAD_TIMEOUT_MS;
    let peak = 0;
    const took = await probe(server, () => {
        peak = Math.max(peak, residentMiB(server));
        return ends.length === COUNT || Date.now() > deadline;
    });
    const at = (part) => took[Math.floor((took.length - 1) * part)].toFixed(1);
    console.log(`${COUNT} ${what}: ${took.length} probes of /healthz, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ` +
        `slowest ${at(1)} ms; resident ${before.toFixed(0)} MiB, then ${peak.toFixed(0)} MiB`);
    assert.equal(ends.length, COUNT, 'all are dropped in time');
    return ends;
}

test('clients that drip heads are told 408 and dropped', { skip, timeout: 120_000 }, async (t) => {
    const server = await startServer(t);
    const open = () => net.connect({ host: server.host, port: server.port });
    const ends = await attack(server, open, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ', 'heads that drip');
    assert.ok(ends.every(({ text }) => /^HTTP\/1\.1 408 /.test(text)));
    assert.ok(ends.every(({ ms }) => ms >= HEAD_TIMEOUT_MS - 500));
});

test('the same over TLS, within a handshake and after it', { skip, timeout: 240_000 }, async (t) => {
    const folder = makeFolder(t);
    const [cert, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
    makeCertificate(cert, key);
    const server = await startServer(t, { args: ['--tls-cert', cert, '--tls-key', key] });
    const where = { host: server.host, port: server.port };
    const hello = Buffer.from('16030102000100', 'hex'); // the beginning of a ClientHello of 512 bytes
    await attack(server, () => net.connect(where), hello, 'handshakes that drip');
    const ends = await attack(server, () => tls.connect({ ...where, rejectUnauthorized: false }),
        'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ', 'heads that drip over TLS');
    assert.ok(ends.every(({ text }) => /^HTTP\/1\.1 408 /.test(text)));
});
