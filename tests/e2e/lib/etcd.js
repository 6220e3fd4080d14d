'use strict';
// Debian's etcd on ports of its own, for a test.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const path = require('node:path');

const { makeFolder } = require('./files.js');
const { freePort } = require('./port.js');
const { until } = require('./wait.js');

class Etcd {
    constructor(folder, ports, args, scheme) {
        [this.port, this.peerPort] = ports;
        this.folder = folder;
        this.args = args;
        this.scheme = scheme;
        this.url = `${scheme}://127.0.0.1:${this.port}`;
        this.log = '';
    }

    // Once more with the same data after stop().
    async start(isReady = () => this.health()) {
        const peer = `http://127.0.0.1:${this.peerPort}`;
        this.child = spawn('etcd', [
            '--name', 'default', '--data-dir', path.join(this.folder, 'data'), '--logger', 'zap',
            '--listen-client-urls', this.url, '--advertise-client-urls', this.url,
            '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
            '--initial-cluster', `default=${peer}`, ...this.args,
        ], { stdio: ['ignore', 'ignore', 'pipe'] });
        this.child.stderr.setEncoding('utf8').on('data', (text) => (this.log = (this.log + text).slice(-20_000)));
        this.ended = new Promise((resolve) => this.child.on('close', resolve));
        this.child.on('error', (e) => (this.log += `etcd (package etcd-server): ${e.message}`));
        await until(() => isReady(this), 'etcd').catch((e) => {
            throw new Error(`${e.message}\n${this.log}`);
        });
    }

    async health() {
        try {
            return (await fetch(`${this.url}/health`)).ok;
        } catch {
            return false;
        }
    }

    async stop() {
        if (this.child && this.child.exitCode === null && this.child.signalCode === null) {
            this.child.kill('SIGCONT');
            this.child.kill('SIGKILL');
            await this.ended;
        }
    }

    pause() {
        this.child.kill('SIGSTOP');
    }

    resume() {
        this.child.kill('SIGCONT');
    }

    async call(route, body) {
        const response = await fetch(this.url + route, { method: 'POST', body: JSON.stringify(body) });
        const text = await response.text();
        assert.equal(response.status, 200, text);
        return JSON.parse(text);
    }

    put(key, value) {
        const text = typeof value === 'string' ? value : JSON.stringify(value);
        return this.call('/v3/kv/put', { key: btoa(key), value: Buffer.from(text).toString('base64') });
    }

    // {key: value} of all that begin so.
    async list(prefix) {
        const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
        const { kvs = [] } = await this.call('/v3/kv/range', { key: btoa(prefix), range_end: btoa(end) });
        return Object.fromEntries(kvs.map(({ key, value }) =>
            [atob(key), JSON.parse(Buffer.from(value ?? '', 'base64').toString())]));
    }

    // Forgets what was before, so that a watch from there is told so.
    async compact() {
        const { header } = await this.call('/v3/kv/range', { key: btoa('x') });
        await this.call('/v3/kv/compaction', { revision: header.revision, physical: true });
    }

    tryCtl(...args) {
        return spawnSync('etcdctl', ['--endpoints', this.url, ...args],
            { timeout: 5000, env: { ...process.env, ETCDCTL_API: '3' } }).status === 0;
    }

    ctl(...args) {
        const run = spawnSync('etcdctl', ['--endpoints', this.url, ...args],
            { encoding: 'utf8', timeout: 20_000, env: { ...process.env, ETCDCTL_API: '3' } });
        assert.equal(run.status, 0, `etcdctl (package etcd-client) ${args.join(' ')}: ${run.error ?? run.stderr}`);
        return run.stdout;
    }
}

// started false: only the ports are known, and nobody listens there yet.
async function startEtcd(t, { args = [], scheme = 'http', isReady, started = true } = {}) {
    const etcd = new Etcd(makeFolder(t), [await freePort(), await freePort()], args, scheme);
    t.after(() => etcd.stop());
    if (started) {
        await etcd.start(isReady);
    }
    return etcd;
}

module.exports = { startEtcd };
