'use strict';
// Starts the real `weir serve` on a free port and talks to it.
//
//   WEIR_BIN    the program (default: build/release/weir)
//   WEIR_MODEL  a GGUF file (default: the one in models/weir-tiny)
//
// A test that needs a server begins with:
//
//   const { startServer, missing } = require('./lib/server.js');
//   test('...', { skip: missing() }, async (t) => {
//       const server = await startServer(t, { args: ['--threads', '1'] });
//       const answer = await server.fetch('/healthz');
//   });
//
// The server is stopped when the test ends, and the test fails if it did not end well by itself.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { RawSocket } = require('./raw_socket.js');

const ROOT = path.resolve(__dirname, '../../..');
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const ADMIN_KEY = 'an-admin-key-for-tests';

function programPath() {
    return process.env.WEIR_BIN || path.join(ROOT, 'build/release/weir');
}

function modelPath() {
    if (process.env.WEIR_MODEL) {
        return process.env.WEIR_MODEL;
    }
    const folder = path.join(ROOT, 'models/weir-tiny');
    const found = fs.existsSync(folder) ? fs.readdirSync(folder).filter((f) => f.endsWith('.gguf')) : [];
    return found.length > 0 ? path.join(folder, found.sort()[0]) : null;
}

// Why tests cannot run here, or false: fits the `skip` option of node:test.
function missing() {
    if (!fs.existsSync(programPath())) {
        return `${programPath()} is not built`;
    }
    return modelPath() ? false : 'no model: set WEIR_MODEL, or put weir-tiny in models/weir-tiny';
}

class Server {
    constructor(child) {
        this.child = child;
        this.stdout = '';
        this.stderr = '';
        this.adminKey = ADMIN_KEY;
        child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
        child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
        this.exited = new Promise((resolve) => {
            child.on('close', (code, signal) => resolve({ code, signal }));
        });
    }

    // Waits for the line that says where the server listens.
    async ready() {
        let timer;
        const late = new Promise((resolve) => (timer = setTimeout(resolve, READY_TIMEOUT_MS, 'late')));
        const line = new Promise((resolve) => {
            this.child.stdout.on('data', () => {
                const match = /^listening on (https?:\/\/(\S+):(\d+))$/m.exec(this.stdout);
                const unix = /^listening on unix:(.+)$/m.exec(this.stdout);
                if (match) {
                    [, this.url, this.host] = match;
                    this.port = Number(match[3]);
                }
                if (match || unix) {
                    resolve('ready');
                }
            });
        });
        const outcome = await Promise.race([line, late, this.exited]);
        clearTimeout(timer);
        if (outcome !== 'ready') {
            this.child.kill('SIGKILL');
            throw new Error(`the server did not start (${JSON.stringify(outcome)}):\n${this.stderr}`);
        }
    }

    fetch(route, options) {
        return fetch(this.url + route, options);
    }

    // POSTs a value as JSON.
    post(route, value, { headers = {}, ...options } = {}) {
        return this.fetch(route, {
            method: 'POST',
            headers: { 'content-type': 'application/json', ...headers },
            body: JSON.stringify(value),
            ...options,
        });
    }

    // fetch with the admin key; `value`, if given, is sent as JSON.
    admin(method, route, value) {
        return this.fetch(route, {
            method,
            headers: { authorization: `Bearer ${this.adminKey}`, 'content-type': 'application/json' },
            body: value === undefined ? undefined : JSON.stringify(value),
        });
    }

    // https if that is what the server speaks; its certificate is not looked at.
    connect() {
        const host = this.host.replace(/^\[|\]$/g, '');
        return this.url.startsWith('https:')
            ? RawSocket.connectTls({ host, port: this.port })
            : RawSocket.connect(host, this.port);
    }

    // Sends raw bytes on a connection of its own and reads one response.
    async raw(bytes, options) {
        const socket = await this.connect();
        try {
            socket.write(bytes);
            return await socket.response(options);
        } finally {
            socket.destroy();
        }
    }

    // Ends it as a crash or a power cut would.
    async kill() {
        this.killed = true;
        this.child.kill('SIGKILL');
        await this.exited;
    }

    end() {
        if (this.pidToStop === undefined) {
            this.child.kill('SIGTERM');
        } else if (this.child.exitCode === null) {
            process.kill(this.pidToStop, 'SIGTERM');
        }
    }

    // Ends the server in order and returns {code, signal}.
    async stop() {
        this.end();
        const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
        const outcome = await this.exited;
        clearTimeout(timer);
        return outcome;
    }
}

// args: more options for `weir serve`; model and env replace the defaults. port null: none is asked for. uid: whose
// process it shall be. launcher: a command line that starts the program; server.pidToStop is then for the test to set.
// ignoresFileLimit: a write beyond RLIMIT_FSIZE fails, as on a full disk, and does not end it.
async function startServer(t, { args = [], model = modelPath(), env = {}, port = 0, uid, launcher = [], ignoresFileLimit } = {}) {
    const where = port === null ? [] : ['--port', String(port)];
    const all = ['serve', '--model', model, ...where, '--admin-key', ADMIN_KEY, ...args];
    const before = ignoresFileLimit ? ['bash', '-c', `trap '' XFSZ; exec "$0" "$@"`] : launcher;
    const [command, ...first] = [...before, programPath()];
    const child = spawn(command, [...first, ...all], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...env },
        uid,
    });
    const server = new Server(child);
    await server.ready();
    t.after(async () => {
        const { code, signal } = await server.stop();
        if (server.killed) {
            return;
        }
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, server.stderr);
    });
    return server;
}

module.exports = { startServer, missing, modelPath, programPath, RawSocket };
