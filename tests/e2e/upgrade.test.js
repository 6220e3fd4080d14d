'use strict';
// The program is replaced while it serves: no request fails, and a new program that is no good changes nothing.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const test = require('node:test');
const tls = require('node:tls');

const { ask } = require('./lib/chat.js');
const { makeCertificate } = require('./lib/certificate.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { missing, modelPath, programPath, RawSocket } = require('./lib/server.js');
const { ADMIN_KEY, Upgrading, startUpgrading, isAlive } = require('./lib/upgrading.js');
const { sleep, until } = require('./lib/wait.js');

const skip = missing();
const CHAT = '/v1/chat/completions';
const SHORT = ask('Hello', { max_tokens: 4 });
const LONG = ask('Tell me a very long story.', { max_tokens: 500, temperature: 1.5, seed: 3, stream: true });

// The text of a stream, which must be whole.
function readStream(body) {
    const events = body.split('\n\n').filter((event) => event.startsWith('data: ')).map((event) => event.slice(6));
    assert.equal(events.pop(), '[DONE]', 'the stream is whole');
    return events.map((event) => JSON.parse(event).choices[0]?.delta.content ?? '').join('');
}

// Repeats `once` until told to stop, on `n` connections side by side.
function hammer(n, once) {
    const load = { isOver: false, count: 0, failures: [] };
    const worker = async () => {
        while (!load.isOver) {
            await once().then(() => load.count++, (e) => load.failures.push(`${e.code ?? ''} ${e.message}`));
        }
    };
    load.end = Promise.all(Array.from({ length: n }, worker));
    return load;
}

test('three upgrades in a row under load: no request fails, streams are whole', { skip }, async (t) => {
    const server = await startUpgrading(t, { args: ['--parallel', '32'] });
    const text = readStream((await server.request('POST', CHAT, LONG)).body);
    const agents = [undefined, new http.Agent({ keepAlive: true }), new http.Agent({ keepAlive: true, maxSockets: 2 })];
    t.after(() => agents.forEach((agent) => agent?.destroy()));
    const short = (agent) => async () => {
        const { status, body } = await server.request('POST', CHAT, SHORT, { agent });
        assert.equal(status, 200, body);
    };
    const health = (agent) => async () => {
        assert.equal((await server.request('GET', '/readyz', undefined, { agent })).status, 200);
    };
    const stream = (agent) => async () => {
        const { status, body } = await server.request('POST', CHAT, LONG, { agent });
        assert.equal(status, 200);
        assert.equal(readStream(body), text);
    };
    const loads = [...agents.flatMap((agent) => [hammer(3, short(agent)), hammer(2, health(agent))]),
        hammer(4, stream(undefined)), hammer(4, stream(agents[1]))];
    const pids = [(await server.status()).pid];
    for (let i = 0; i < 3; i++) {
        await sleep(500);
        server.install();
        pids.push(await server.upgrade());
    }
    await sleep(500);
    assert.equal((await server.status()).pid, pids[3]);
    for (const load of loads) {
        load.isOver = true;
    }
    await Promise.all(loads.map((load) => load.end));
    assert.deepEqual(loads.flatMap((load) => load.failures), []);
    assert.ok(loads.every((load) => load.count > 0));
    t.diagnostic(`${loads.reduce((sum, load) => sum + load.count, 0)} requests`);
    assert.equal(new Set(pids).size, 4);
    for (const pid of pids.slice(0, 3)) {
        await server.ended(pid);
    }
    assert.deepEqual(await server.exited, { code: 0, signal: null });
    const sockets = fs.readdirSync(`/proc/${pids[3]}/fd`).map((fd) => {
        try {
            return fs.readlinkSync(`/proc/${pids[3]}/fd/${fd}`);
        } catch {
            return '';
        }
    }).filter((link) => link.startsWith('socket:'));
    assert.equal(new Set(sockets).size, sockets.length, 'no socket was handed on twice');
});

test('SIGUSR2 on an idle server; connections without a request get an answer yet', { skip }, async (t) => {
    const server = await startUpgrading(t, { args: ['--pid-file', path.join(makeFolder(t), 'pid')] });
    const file = server.child.spawnargs.at(-1);
    const { hostname, port } = new URL(server.url);
    const first = server.child.pid;
    assert.equal(Number(fs.readFileSync(file)), first);
    const [fresh, used] = await Promise.all([RawSocket.connect(hostname, port), RawSocket.connect(hostname, port)]);
    const request = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n';
    used.write(request);
    assert.equal((await used.response()).headers.connection, undefined);
    process.kill(first, 'SIGUSR2');
    const second = await until(async () => {
        const { pid } = await server.status();
        return pid !== first && pid;
    }, 'another process serves');
    assert.equal(Number(fs.readFileSync(file)), second);
    await sleep(400);
    assert.ok(isAlive(first), 'it waits for those who may be sending');
    for (const socket of [fresh, used]) {
        socket.write(request);
        const { status, headers } = await socket.response();
        assert.equal(status, 200);
        assert.equal(headers.connection, 'close');
        socket.destroy();
    }
    await server.ended(first);
    assert.equal(Number(fs.readFileSync(file)), second, 'the old one leaves the file alone');
    await server.stop();
    assert.equal(fs.existsSync(file), false);
});

test('a new program that is no good changes nothing', { skip }, async (t) => {
    const model = path.join(makeFolder(t), 'model.gguf');
    fs.copyFileSync(modelPath(), model);
    const server = await startUpgrading(t, { model, args: ['--upgrade-timeout', '1'] });
    const { pid } = await server.status();
    const cases = [
        [() => server.install('exit 3'), /ended with status 3/],
        [() => server.install('kill -SEGV $$'), /signal 11/],
        [() => server.install('exec sleep 100'), /not ready within 1 s \(--upgrade-timeout\)/],
        [() => fs.renameSync(server.program, `${server.program}.away`), /weir: cannot be started: No such file/],
        [() => {
            server.install();
            fs.chmodSync(server.program, 0o644);
        }, /cannot be started: Permission denied/],
        [() => {
            server.install();
            fs.writeFileSync(model, 'no model at all');
        }, /model\.gguf/],
        [() => fs.rmSync(model), /model\.gguf/],
    ];
    for (const [spoil, message] of cases) {
        spoil();
        const { status, body } = await server.json('POST', '/admin/upgrade');
        assert.equal(status, 422);
        assert.match(body.error.message, message);
        const now = await server.status();
        assert.equal(now.pid, pid);
        assert.equal(now.state, 'serving');
        assert.equal((await server.request('POST', CHAT, SHORT)).status, 200);
    }
    assert.match(server.stderr, /upgrade failed, this process goes on: /);
    assert.match((await server.status()).problem, /model\.gguf/);
    const metrics = (await server.request('GET', '/metrics')).body;
    assert.match(metrics, /^weir_upgrades_total\{outcome="failed"\} 5$/m);
    assert.match(metrics, /^weir_upgrades_total\{outcome="refused"\} 2$/m);
    fs.copyFileSync(modelPath(), model);
    assert.notEqual(await server.upgrade(), pid);
});

test('what is asked for while a new process loads', { skip }, async (t) => {
    const server = await startUpgrading(t, { args: ['--state', path.join(makeFolder(t), 'state.db'), '--api-key', ADMIN_KEY] });
    const put = async (name, text) => {
        const { status, body } = await server.json('PUT', `/admin/prompts/${name}`, { text });
        assert.equal(status, 200, JSON.stringify(body));
    };
    const chain = (word) => ({ name: 'words', filters: [{ type: 'wordlist', words: [word], action: 'stop' }] });
    await put('shop', 'You sell hats.');
    await put('gone', 'You are not there for long.');
    server.installSlow(2);
    const upgrade = server.json('POST', '/admin/upgrade');
    await until(async () => (await server.status()).state === 'upgrading', 'it has begun');
    const { pid } = await server.status();

    const again = await server.json('POST', '/admin/upgrade');
    assert.equal(again.status, 409);
    assert.match(again.body.error.message, /under way/);
    process.kill(pid, 'SIGUSR2');
    await until(() => server.stderr.split('upgrade refused').length === 3, 'the signal is refused too');
    const reload = await server.json('POST', '/admin/models/reload');
    assert.equal(reload.status, 503);
    assert.equal(reload.body.error.code, 'upgrading');
    assert.ok(Number(reload.headers['retry-after']) > 0);

    await put('shop', 'You sell shoes.');
    await put('new', 'You are new.');
    assert.equal((await server.request('DELETE', '/admin/prompts/gone')).status, 204);
    assert.equal((await server.request('PUT', '/admin/filters/default', chain('heron'))).status, 200);
    assert.equal((await upgrade).status, 200);
    assert.notEqual((await server.status()).pid, pid);

    const used = async (prompt) => {
        const { status, headers } = await server.request('POST', CHAT, { ...SHORT, prompt });
        return status === 200 ? headers['weir-prompt'] : status;
    };
    assert.match(await used('shop'), /^shop@2/);
    assert.match(await used('new'), /^new@1/);
    assert.equal(await used('gone'), 404);
    assert.match((await server.request('POST', CHAT, SHORT)).headers['weir-filters'], /^default@1/);
});

test('folders and repositories are watched by the new process, and nothing is stored twice', { skip }, async (t) => {
    const folder = makeFolder(t);
    const prompts = path.join(folder, 'prompts');
    fs.mkdirSync(prompts);
    fs.mkdirSync(path.join(folder, 'models/tiny/1'), { recursive: true });
    fs.copyFileSync(modelPath(), path.join(folder, 'models/tiny/1/model.gguf'));
    writeFile(prompts, 'shop.md', 'You sell hats.');
    const server = await startUpgrading(t, { model: 'tiny', args: ['--repo', path.join(folder, 'models'), '--prompts-dir', prompts,
        '--state', path.join(folder, 'state.db'), '--api-key', ADMIN_KEY] });
    const active = async () => (await server.json('GET', '/admin/prompts/shop')).body.active;
    for (let i = 1; i <= 2; i++) {
        server.installSlow(0.5);
        const upgrade = server.upgrade();
        await sleep(100);
        writeFile(prompts, 'shop.md', `You sell ${i} hats.`); // while the new process loads
        await upgrade;
        await until(async () => await active() === i + 1, 'the new text is served');
        await sleep(600);
        assert.equal(await active(), i + 1);
    }
    fs.mkdirSync(path.join(folder, 'models/tiny/2.tmp'));
    fs.copyFileSync(modelPath(), path.join(folder, 'models/tiny/2.tmp/model.gguf'));
    fs.renameSync(path.join(folder, 'models/tiny/2.tmp'), path.join(folder, 'models/tiny/2'));
    await until(async () => (await server.json('GET', '/admin/models')).body.version === 'tiny@2', 'version 2 serves');
});

test('what the old process unloads after it has handed over is not in the audit', { skip }, async (t) => {
    const folder = makeFolder(t);
    for (const name of ['tiny', 'other']) {
        fs.mkdirSync(path.join(folder, `models/${name}/1`), { recursive: true });
        fs.copyFileSync(modelPath(), path.join(folder, `models/${name}/1/model.gguf`));
    }
    const server = await startUpgrading(t, { model: 'tiny', args: ['--repo', path.join(folder, 'models'), '--models-loaded', 'all',
        '--unload-idle', '2', '--state', path.join(folder, 'state.db')] });
    const unloads = async () => (await server.json('GET', '/admin/audit?kind=model')).body.audit.filter(({ action }) => action === 'unload').length;
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    assert.equal((await server.request('GET', '/healthz', undefined, { agent })).status, 200); // it has a while for its next request
    const { pid } = await server.status();
    await server.upgrade();
    const before = await unloads();
    await server.ended(pid);
    assert.match(server.stderr, /model other@1: unloaded, nobody has used it/);
    const after = await unloads();
    assert.ok(after - before <= 1, `${after - before} rows`);
    assert.ok(after > 0);
});

test('SIGTERM while a new process loads ends both', { skip }, async (t) => {
    const server = await startUpgrading(t);
    server.install('echo $$ > "$(dirname "$0")/number"; exec sleep 100');
    process.kill(server.child.pid, 'SIGUSR2');
    const file = path.join(server.folder, 'number');
    const pid = await until(() => fs.existsSync(file) && Number(fs.readFileSync(file)), 'it runs');
    process.kill(server.child.pid, 'SIGTERM');
    assert.deepEqual(await server.exited, { code: 0, signal: null });
    assert.equal(isAlive(pid), false);
});

test('a unix socket is handed on, and removed by the last one', { skip }, async (t) => {
    const file = path.join(makeFolder(t), 'weir.sock');
    const server = await startUpgrading(t, { port: null, args: ['--unix', file] });
    const load = hammer(4, async () => {
        assert.equal((await server.request('POST', CHAT, SHORT)).status, 200);
    });
    const { ino } = fs.statSync(file);
    const first = server.child.pid;
    for (let i = 0; i < 2; i++) {
        await server.upgrade();
    }
    await server.ended(first);
    await sleep(200);
    load.isOver = true;
    await load.end;
    assert.deepEqual(load.failures, []);
    assert.equal(fs.statSync(file).ino, ino);
    await server.stop();
    assert.equal(fs.existsSync(file), false);
});

test('TLS: the new process reads the certificate anew', { skip }, async (t) => {
    const folder = makeFolder(t);
    const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
    makeCertificate(cert, key, 'first');
    const server = await startUpgrading(t, { args: ['--tls-cert', cert, '--tls-key', key] });
    const { hostname, port } = new URL(server.url);
    const shown = () => new Promise((resolve, reject) => {
        const socket = tls.connect({ host: hostname, port, rejectUnauthorized: false }, () => {
            resolve(socket.getPeerCertificate().subject.CN);
            socket.destroy();
        }).on('error', reject);
    });
    const load = hammer(4, async () => assert.equal((await server.request('POST', CHAT, SHORT)).status, 200));
    assert.equal(await shown(), 'first');
    fs.writeFileSync(key, 'no key');
    const broken = await server.json('POST', '/admin/upgrade');
    assert.equal(broken.status, 422);
    assert.match(broken.body.error.message, /key\.pem/);
    makeCertificate(cert, key, 'second');
    await server.upgrade();
    assert.equal(await shown(), 'second');
    load.isOver = true;
    await load.end;
    assert.deepEqual(load.failures, []);
});

test('an admin key that was made for the first process is good for the next', { skip }, async (t) => {
    const server = new Upgrading(makeFolder(t));
    t.after(() => server.stop());
    server.spawn(server.program, ['serve', '--model', modelPath(), '--port', '0']);
    await server.ready();
    const key = /admin key .*: (\S+)/.exec(server.stderr)[1];
    const get = async () => (await fetch(`${server.url}/admin/upgrade`, { headers: { authorization: `Bearer ${key}` } })).json();
    const { pid } = await get();
    process.kill(pid, 'SIGUSR2');
    const next = await until(async () => {
        const now = await get();
        return now.pid !== pid && now.pid;
    }, 'another process serves');
    server.pids.add(next);
    assert.equal(server.stderr.split('admin key').length, 2, 'it is shown once');
});

// As a service manager does: sockets as descriptors from 3 on.
async function startActivated(t, addresses, args, env = '') {
    const server = new Upgrading(makeFolder(t));
    const sockets = await Promise.all(addresses.map((address) => new Promise((resolve) => {
        const socket = net.createServer().listen(address, () => resolve(socket));
    })));
    const script = `export LISTEN_PID=$$ LISTEN_FDS=${sockets.length} ${env}; exec "$0" "$@"`;
    server.spawn('sh', ['-c', script, server.program, 'serve', '--model', modelPath(), '--admin-key', ADMIN_KEY, ...args],
        { stdio: ['ignore', 'pipe', 'pipe', ...sockets.map((socket) => socket._handle.fd)] });
    const bound = sockets.map((socket) => socket.address());
    for (const socket of sockets) {
        const file = typeof socket.address() === 'string' && socket.address();
        file && fs.renameSync(file, `${file}.kept`); // close() would remove it
        socket.close();
        file && fs.renameSync(`${file}.kept`, file);
    }
    t.after(() => server.stop());
    await server.ready();
    return { server, bound };
}

test('sockets of a service manager are used, handed on, and not removed', { skip }, async (t) => {
    const file = path.join(makeFolder(t), 'weir.sock');
    const { server, bound } = await startActivated(t, [{ host: '127.0.0.1', port: 0 }, { path: file }], []);
    assert.equal(server.url, `http://127.0.0.1:${bound[0].port}`);
    assert.equal(server.unix, file);
    for (let i = 0; i < 2; i++) {
        for (const unix of [false, true]) {
            assert.equal((await server.request('POST', CHAT, SHORT, { unix })).status, 200);
        }
        await server.upgrade();
    }
    const rebound = await fetch(server.url + '/readyz', { headers: { origin: 'https://a.example' } });
    assert.equal(rebound.status, 403, 'a loopback address is checked as always');
    await server.stop();
    assert.equal(fs.existsSync(file), true);
});

test('of those that are passed, options choose', { skip }, async (t) => {
    const address = { host: '127.0.0.1', port: 0 };
    const { server, bound } = await startActivated(t, [address, address], ['--port', '0']);
    assert.equal(server.url, `http://127.0.0.1:${bound[0].port}`);
    assert.match(server.stderr, new RegExp(`127.0.0.1:${bound[1].port} was passed .* it is closed`));
    const other = await startActivated(t, [address], ['--port', '0'], 'LISTEN_PID=1');
    assert.notEqual(other.server.url, `http://127.0.0.1:${other.bound[0].port}`, 'it was for another process');
});

test('a service that would end with its first process is not upgraded', { skip }, async (t) => {
    const address = { host: '127.0.0.1', port: 0 };
    const { server } = await startActivated(t, [address], [], 'SYSTEMD_EXEC_PID=$$');
    const refused = await server.json('POST', '/admin/upgrade');
    assert.equal(refused.status, 409);
    assert.match(refused.body.error.message, /Type=notify/);
    const told = await startActivated(t, [address], [], 'SYSTEMD_EXEC_PID=$$ NOTIFY_SOCKET=/nonexistent/notify');
    await told.server.upgrade();
});

test('what is passed and is no listening socket is an error', { skip }, () => {
    const script = `LISTEN_PID=$$ LISTEN_FDS=1 exec '${programPath()}' serve --model x 3</dev/null`;
    assert.throws(() => execFileSync('sh', ['-c', script], { stdio: 'pipe' }), /descriptor 3 is no socket/);
});

test('weir ctl server upgrade', { skip }, async (t) => {
    const server = await startUpgrading(t);
    const ctl = (verb) => execFileSync(programPath(), ['ctl', 'server', verb, '--url', server.url],
        { encoding: 'utf8', stdio: 'pipe', env: { ...process.env, WEIR_ADMIN_KEY: ADMIN_KEY } });
    const before = (await server.status()).pid;
    assert.match(ctl('show'), new RegExp(`process ${before}, version \\S+, serving`));
    assert.match(ctl('upgrade'), /^process \d+ serves, version \S+$/m);
    const after = (await server.status()).pid;
    assert.notEqual(after, before);
    server.install('exit 7');
    assert.throws(() => ctl('upgrade'), /status 7/);
    assert.match(ctl('show'), /the last upgrade failed: .*status 7/);
});
