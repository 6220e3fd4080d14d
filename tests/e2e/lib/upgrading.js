'use strict';
// A server whose program is replaced while it runs: a copy in a folder of its own, which tests put other programs in
// the place of. Its processes follow each other, so it is stopped by the number of the one that serves.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');

const { makeFolder } = require('./files.js');
const { modelPath, programPath } = require('./server.js');
const { sleep, until } = require('./wait.js');

const ADMIN_KEY = 'an-admin-key-for-tests';
const ENDS_WITHIN_MS = 30_000;

// Whether there is such a process that has not ended; a zombie has.
function isAlive(pid) {
    try {
        return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
        return false;
    }
}

// Replaces a file as a package manager does: running processes keep what they run.
function putInPlace(file, content, mode = 0o755) {
    const next = `${file}.next`;
    if (content === undefined) {
        fs.copyFileSync(programPath(), next);
    } else {
        fs.writeFileSync(next, content);
    }
    fs.chmodSync(next, mode);
    fs.renameSync(next, file);
}

class Upgrading {
    constructor(folder) {
        this.folder = folder;
        this.program = path.join(folder, 'weir');
        this.pids = new Set();
        this.stdout = '';
        this.stderr = '';
        putInPlace(this.program);
    }

    // The program's own file again, or a shell script.
    install(script) {
        putInPlace(this.program, script && `#!/bin/sh\n${script}\n`);
    }

    // The program, but only after some time.
    installSlow(seconds) {
        const real = path.join(this.folder, 'weir.real');
        putInPlace(real);
        this.install(`sleep ${seconds}\nexec '${real}' "$@"`);
    }

    spawn(command, args, options = {}) {
        this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
        this.pids.add(this.child.pid);
        this.child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
        this.child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
        this.exited = new Promise((resolve) => this.child.on('exit', (code, signal) => resolve({ code, signal })));
    }

    async ready() {
        const hasEnded = this.exited.then(() => true);
        await until(async () => {
            if (await Promise.race([hasEnded, sleep(1).then(() => false)])) {
                throw new Error(`the server did not start:\n${this.stderr}`);
            }
            return /^listening on .*\n/m.test(this.stdout);
        }, 'the server is ready');
        this.url = /^listening on (https?:\S+)$/m.exec(this.stdout)?.[1];
        this.unix = /^listening on unix:(.+)$/m.exec(this.stdout)?.[1];
    }

    // One request on a connection of `agent`: {status, headers, body}; fails as the connection does, without a second try.
    // onText is called with each piece.
    request(method, route, value, { agent, onText = () => {}, unix = !this.url } = {}) {
        const body = value === undefined ? '' : JSON.stringify(value);
        const { hostname, port, protocol } = new URL(this.url ?? 'http://localhost');
        return new Promise((resolve, reject) => {
            const request = (protocol === 'https:' ? https : http).request({
                ...(unix ? { socketPath: this.unix } : { hostname, port }),
                method, path: route, agent: agent ?? false, rejectUnauthorized: false,
                headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json',
                    'content-length': Buffer.byteLength(body) },
            }, (response) => {
                let text = '';
                response.setEncoding('utf8');
                response.on('data', (piece) => { text += piece; onText(piece); });
                response.on('error', reject);
                response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text }));
            });
            request.on('error', reject);
            request.end(body);
        });
    }

    async json(method, route, value, options) {
        const { status, headers, body } = await this.request(method, route, value, options);
        return { status, headers, body: body && JSON.parse(body) };
    }

    // {pid, version, state, problem} of the process that answers.
    async status() {
        const { body } = await this.json('GET', '/admin/upgrade');
        this.pids.add(body.pid);
        return body;
    }

    // The number of the process that serves then.
    async upgrade() {
        const { status, body } = await this.json('POST', '/admin/upgrade');
        assert.equal(status, 200, JSON.stringify(body));
        assert.equal(body.status, 'upgraded');
        this.pids.add(body.pid);
        return body.pid;
    }

    async ended(pid) {
        await until(() => !isAlive(pid), `process ${pid} ends`, ENDS_WITHIN_MS);
    }

    // Ends all of its processes; sanitizers must have had nothing to say.
    async stop() {
        if (this.child.exitCode === null || this.pids.size > 1) {
            await this.status().catch(() => {});
        }
        for (const pid of this.pids) {
            try {
                process.kill(pid, 'SIGTERM');
            } catch {
                // it has ended before
            }
        }
        await Promise.all([...this.pids].map((pid) => this.ended(pid)));
        assert.doesNotMatch(this.stderr, /Sanitizer|runtime error/);
    }
}

// args: more options for `weir serve`; env: more variables.
async function startUpgrading(t, { args = [], port = 0, model = modelPath(), env = {}, ready = true } = {}) {
    const server = new Upgrading(makeFolder(t));
    const where = port === null ? [] : ['--port', String(port)];
    server.spawn(server.program, ['serve', '--model', model, ...where, '--admin-key', ADMIN_KEY, ...args],
        { env: { ...process.env, ...env } });
    t.after(() => server.stop());
    if (ready) {
        await server.ready();
    }
    return server;
}

module.exports = { ADMIN_KEY, Upgrading, startUpgrading, isAlive };
