'use strict';
// Debian's HAProxy with the configuration that is shipped, in front of replicas of a test.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const { makeFolder } = require('./files.js');
const { freePort } = require('./port.js');
const { until } = require('./wait.js');

const SHIPPED = path.resolve(__dirname, '../../../packaging/haproxy/haproxy.cfg');

// What an owner adapts, and nothing else: addresses, and maxconn if it is given.
function adapt(text, { bind, socket, servers, maxconn }) {
    const replaced = [
        [/^ {4}bind :8080$/m, `    bind ${bind}`],
        [/^ {4}stats socket \S+/m, `    stats socket ${socket}`],
        [/^( {4}server .*\n)+/m, servers.map(([name, at]) => `    server ${name} ${at} cookie ${name}\n`).join('')],
        ...(maxconn ? [[/maxconn 256$/m, `maxconn ${maxconn}`]] : []),
    ];
    return replaced.reduce((now, [what, by]) => {
        assert.match(now, what);
        return now.replace(what, by);
    }, text);
}

class Proxy {
    constructor(socket, url) {
        this.socket = socket;
        this.url = url;
        this.log = '';
    }

    fetch(route, options) {
        return fetch(this.url + route, options);
    }

    post(route, value, { headers = {}, ...options } = {}) {
        return this.fetch(route, {
            method: 'POST',
            headers: { 'content-type': 'application/json', ...headers },
            body: JSON.stringify(value),
            ...options,
        });
    }

    // A command of its admin socket.
    command(text) {
        return new Promise((resolve, reject) => {
            let answer = '';
            const socket = net.connect(this.socket, () => socket.end(`${text}\n`));
            socket.setEncoding('utf8').on('data', (more) => (answer += more));
            socket.on('close', () => resolve(answer)).on('error', reject);
        });
    }

    // {a: 'UP', ...}
    states() {
        return this.column('status');
    }

    // Until nothing is under way: what is a moment too old still counts as load of a replica.
    idle() {
        return until(async () => Object.values(await this.column('scur')).every((n) => n === '0'), 'an idle proxy');
    }

    async column(wanted) {
        const [header, ...rows] = (await this.command('show stat')).replace(/^# /, '').trim().split('\n').map((line) => line.split(','));
        const of = (row, name) => row[header.indexOf(name)];
        return Object.fromEntries(rows.filter((row) => of(row, 'pxname') === 'replicas' && of(row, 'svname') !== 'BACKEND')
            .map((row) => [of(row, 'svname'), of(row, wanted)]));
    }

    waitFor(name, state) {
        return until(async () => (await this.states())[name]?.startsWith(state), `${name} ${state}`);
    }
}

// servers: [['a', '127.0.0.1:1234'], ...]; returns when all of them are up.
async function startHaproxy(t, servers, { maxconn } = {}) {
    const folder = makeFolder(t);
    const socket = path.join(folder, 'admin.sock');
    const port = await freePort();
    const file = path.join(folder, 'haproxy.cfg');
    fs.writeFileSync(file, adapt(fs.readFileSync(SHIPPED, 'utf8'), { bind: `127.0.0.1:${port}`, socket, servers, maxconn }));
    const checked = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' });
    assert.equal(checked.status, 0, `haproxy (package haproxy): ${checked.error ?? checked.stderr}`);
    const proxy = new Proxy(socket, `http://127.0.0.1:${port}`);
    const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text) => (proxy.log = (proxy.log + text).slice(-100_000)));
    }
    const ended = new Promise((resolve) => child.on('close', resolve));
    t.after(async () => {
        child.kill('SIGKILL');
        await ended;
    });
    await until(async () => {
        try {
            return Object.values(await proxy.states()).every((state) => state.startsWith('UP'));
        } catch {
            return false;
        }
    }, 'haproxy').catch((e) => {
        throw new Error(`${e.message}\n${proxy.log}`);
    });
    return proxy;
}

module.exports = { startHaproxy, SHIPPED };
