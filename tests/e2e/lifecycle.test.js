'use strict';
// How a server starts and ends, and how a request ends when its client leaves.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');
const { until } = require('./lib/wait.js');

const skip = missing();
const LONG = ask('Tell me a very long story.', { max_tokens: 900, temperature: 1.9, seed: 3 });

async function load(server) {
    return (await server.admin('GET', '/admin/models')).json();
}

test('a client that leaves frees its place', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--parallel', '2', '--queue', '8'] });
    for (const stream of [true, false]) {
        const gone = new AbortController();
        const requests = Array.from({ length: 6 }, () =>
            server.post('/v1/chat/completions', { ...LONG, stream }, { signal: gone.signal })
                .then((response) => response.text()));
        const ends = Promise.allSettled(requests);
        await until(async () => (await load(server)).running > 0, 'some run');
        gone.abort();
        await ends;
        await until(async () => {
            const { running, waiting } = await load(server);
            return running === 0 && waiting === 0;
        }, 'none goes on without a client');
    }
    await whole(server, ask('Hello'));
});

test('a full queue refuses with 429 and says when to come back', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--parallel', '1', '--queue', '1'] });
    const answers = await Promise.all(Array.from({ length: 8 }, () =>
        server.post('/v1/chat/completions', { ...LONG, max_tokens: 60 })));
    const refused = answers.filter((answer) => answer.status === 429);
    assert.ok(refused.length >= 1);
    assert.ok(answers.some((answer) => answer.status === 200));
    for (const answer of refused) {
        assert.ok(Number(answer.headers.get('retry-after')) >= 1);
    }
    await Promise.all(answers.map((answer) => answer.text()));
});

test('SIGTERM finishes what runs, takes nothing new and ends with 0', { skip }, async (t) => {
    const server = await startServer(t);
    const request = ask('Tell me a story.', { max_tokens: 60 });
    const { text } = await whole(server, request);
    const running = await Promise.all([1, 2, 3].map(() => beginStream(server, request)));
    server.child.kill('SIGTERM');
    for (const stream of running) {
        assert.equal((await readStream(stream)).text, text);
    }
    assert.deepEqual(await server.exited, { code: 0, signal: null });
    await assert.rejects(server.fetch('/healthz'));
});

test('running requests are cut when the drain time is over', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--drain-timeout', '0'] });
    const stream = await beginStream(server, LONG);
    server.child.kill('SIGTERM');
    await stream.text().catch(() => {}); // whether it was cut or just made it is a matter of speed
    assert.deepEqual(await server.exited, { code: 0, signal: null });
});

function serve(...args) {
    return spawnSync(programPath(), ['serve', '--port', '0', ...args], { encoding: 'utf8', timeout: 60_000 });
}

test('what cannot be served is told by name', { skip }, async (t) => {
    const folder = makeFolder(t);
    const text = writeFile(folder, 'text.gguf', 'no model at all');
    const cut = path.join(folder, 'cut.gguf');
    fs.writeFileSync(cut, fs.readFileSync(modelPath()).subarray(0, 100_000));
    const chain = writeFile(folder, 'chain.json', '{"name":"x","filters":[{"type":"none"}]}');
    const latin1 = path.join(folder, 'latin1.txt');
    fs.writeFileSync(latin1, Buffer.from([0x66, 0xfc, 0x72]));
    const cases = [
        [['--model', path.join(folder, 'missing.gguf')], 'missing.gguf'],
        [['--model', text], 'text.gguf'],
        [['--model', cut], 'cut.gguf'],
        [['--model', folder], folder],
        [['--model', modelPath(), '--filters', chain], 'chain.json'],
        [['--model', modelPath(), '--filters', path.join(folder, 'nothing.json')], 'nothing.json'],
        [['--model', modelPath(), '--system-prompt', latin1], 'latin1.txt'],
        [['--model', modelPath(), '--host', '203.0.113.1'], '203.0.113.1'],
    ];
    for (const [args, name] of cases) {
        const { status, stdout, stderr } = serve(...args);
        assert.equal(status, 1, `${args}: ${stderr}`);
        assert.ok(stderr.includes(name), stderr);
        assert.match(stderr, /^weir serve: /m);
        assert.equal(stdout, '');
    }
});

test('a signal while a client holds an idle connection ends the server at once', { skip }, async () => {
    const child = spawn(programPath(), ['serve', '--port', '0', '--model', modelPath()]);
    const [line] = await new Promise((resolve) =>
        child.stdout.setEncoding('utf8').on('data', (data) => resolve([data])));
    const url = line.trim().split(' ').pop();
    await (await fetch(`${url}/healthz`)).text(); // fetch keeps the connection
    const begin = Date.now();
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(code, 0);
    assert.ok(Date.now() - begin < 10_000);
});
