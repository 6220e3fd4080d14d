'use strict';
// Several replicas behind HAProxy, with the shipped configuration, and etcd: whatever happens to a replica, no request
// that has not begun is lost, and every answer is of one model and one prompt.

const assert = require('node:assert/strict');
const http = require('node:http');
const path = require('node:path');
const test = require('node:test');

const { ROUTE, ask, whole, readStream } = require('./lib/chat.js');
const { weir } = require('./lib/command.js');
const { startEtcd } = require('./lib/etcd.js');
const { makeFolder, writeFile, writeOtherVersion } = require('./lib/files.js');
const { startHaproxy } = require('./lib/haproxy.js');
const { putVersion } = require('./lib/model_repo.js');
const { freePort } = require('./lib/port.js');
const { startServer, missing, modelPath } = require('./lib/server.js');
const { until } = require('./lib/wait.js');

const skip = missing();
const FLEET = 'load';
const small = ['--threads', '1', '--parallel', '2', '--context', '512', '--stream-begin', 'text'];

const replicaOf = (response) => /weir-replica=(\w+)/.exec(response.headers.get('set-cookie') ?? '')?.[1];

async function startReplicas(t, names, args, options = {}) {
    const servers = await Promise.all(names.map((name) => startServer(t, { args: [...small, ...args(name)], ...options })));
    return Object.fromEntries(names.map((name, i) => [name, servers[i]]));
}

const addresses = (replicas) => Object.entries(replicas).map(([name, { port }]) => [name, `127.0.0.1:${port}`]);

// --- the proxy alone ---

test('a conversation stays at its replica and finds there what was read; others go elsewhere', { skip }, async (t) => {
    const replicas = await startReplicas(t, ['a', 'b', 'c'], () => ['--feedback', 'ids']);
    const proxy = await startHaproxy(t, addresses(replicas));
    const system = { role: 'system', content: 'You are a helpful assistant in a shop. '.repeat(8) };
    const seen = new Map();
    for (let i = 0; i < 9; i++) {
        const messages = [system, { role: 'user', content: `Question ${i}: what is ${i} plus ${i}?` }];
        const first = await proxy.post(ROUTE, { messages, max_tokens: 8, temperature: 0 });
        const { choices, usage } = await first.json();
        const at = replicaOf(first);
        seen.set(at, (seen.get(at) ?? 0) + 1);
        if (i > 2) {
            continue;
        }
        await proxy.idle();
        messages.push(choices[0].message, { role: 'user', content: 'And then?' });
        const second = await proxy.post(ROUTE, { model: undefined, stream: false, max_tokens: 1, messages });
        assert.equal(replicaOf(second), at, 'the next turn goes where the first went');
        const cached = (await second.json()).usage.prompt_tokens_details.cached_tokens;
        assert.ok(cached >= Math.floor(usage.prompt_tokens / 32) * 32, `${cached} of ${usage.prompt_tokens} tokens were there`);
    }
    assert.ok(seen.size >= 2, `conversations with one system prompt are spread: ${[...seen]}`);

    // Other forms of a request, and words about it that come in another order.
    const where = async (route, body, headers) => {
        await proxy.idle();
        const response = await proxy.post(route, body, { headers });
        assert.equal(response.status, 200, await response.text());
        return replicaOf(response);
    };
    const text = 'Say hello to the people of the town.';
    const same = [
        ['/v1/completions', { prompt: text, max_tokens: 1 }, { seed: 5, prompt: text, max_tokens: 2 }],
        ['/v1/responses', { input: text, max_output_tokens: 1 }, { temperature: 1, input: text, max_output_tokens: 1 }],
        ['/v1/messages', { max_tokens: 1, messages: [{ role: 'user', content: text }] },
            { messages: [{ role: 'user', content: text }, { role: 'assistant', content: 'Hi' }, { role: 'user', content: 'More' }], max_tokens: 2 }],
        [ROUTE, { messages: [{ role: 'user', content: [{ type: 'text', text }] }], max_tokens: 1 },
            { max_tokens: 1, messages: [{ role: 'user', content: [{ type: 'text', text }] }] }],
    ];
    for (const [route, one, two] of same) {
        assert.equal(await where(route, one), await where(route, two), route);
    }
    const chosen = new Set(); // one after the other: at a time they would be too much for one
    for (const i of [1, 2, 3, 4]) {
        chosen.add(await where(ROUTE, ask(`Other ${i}`, { max_tokens: 1 }), { 'weir-affinity': 'user-7' }));
    }
    assert.equal(chosen.size, 1, 'the header decides where there is one');

    // What is said of an answer goes to who gave it; its cookie is followed for nothing else.
    for (let i = 0; i < 4; i++) {
        const answer = await proxy.post(ROUTE, ask(`Thing ${i}`, { max_tokens: 1 }));
        const cookie = `weir-replica=${replicaOf(answer)}`;
        const { id } = await answer.json();
        const said = await proxy.post('/v1/feedback', { id, thumb: 'up' }, { headers: { cookie } });
        assert.equal(said.status, 201, await said.text());
    }
    assert.equal((await proxy.fetch('/admin/models', { headers: { authorization: `Bearer ${replicas.a.adminKey}` } })).status, 404);
    assert.equal((await proxy.fetch('/metrics')).status, 404);
});

// A server that stands for a replica and does as it is told.
async function startFake(t, answer) {
    const seen = [];
    const server = http.createServer((request, response) => {
        if (request.url === '/readyz') {
            response.end('{}');
            return;
        }
        let body = '';
        request.setEncoding('utf8').on('data', (text) => (body += text)).on('end', () => {
            seen.push({ url: request.url, headers: request.headers, body });
            answer(request, response, seen.length);
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    return { port: server.address().port, seen };
}

test('what has begun is not asked twice, what has not is; who asks is passed on', async (t) => {
    let does;
    const fakes = {};
    for (const name of ['a', 'b', 'c']) {
        fakes[name] = await startFake(t, (...all) => does(...all));
    }
    const proxy = await startHaproxy(t, addresses(fakes));
    const seen = () => Object.values(fakes).flatMap((fake) => fake.seen.splice(0));
    const post = (route = ROUTE) => proxy.post(route, ask('Hello'), { headers: { 'x-forwarded-for': '6.6.6.6' } });
    const good = (response) => response.end('{"good":true}');

    let n = 0;
    const onlySecond = (first) => {
        n = 0;
        does = (request, response) => (++n === 1 ? first(request, response) : good(response));
    };
    onlySecond((request) => request.socket.destroy()); // gone without a byte
    assert.deepEqual(await (await post()).json(), { good: true });
    let requests = seen();
    assert.equal(requests.length, 2);
    assert.deepEqual(requests[0].body, requests[1].body);
    assert.equal(requests[0].headers['x-forwarded-for'], '127.0.0.1');
    const trace = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/;
    assert.match(requests[0].headers.traceparent, trace);
    onlySecond((_, response) => response.writeHead(503).end('{"drains":true}'));
    assert.equal((await post()).status, 200);
    assert.equal(seen().length, 2);

    // Begun: a head and a piece, then nothing more. An error of the server's. A late one is none of HAProxy's business.
    onlySecond((request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: {}\n\n', () => request.socket.destroy());
    });
    await assert.rejects(async () => (await post()).text());
    assert.equal(seen().length, 1);
    for (const status of [500, 502, 504, 429]) {
        onlySecond((_, response) => response.writeHead(status).end());
        assert.equal((await post()).status, status);
        assert.equal(seen().length, 1, `${status} is the client's`);
    }
    // Not harmless to do twice.
    onlySecond((request) => request.socket.destroy());
    await post('/v1/feedback').then(({ status }) => assert.equal(status, 502), () => {}); // or hangs up as the replica did
    assert.equal(seen().length, 1);

    does = (_, response) => good(response);
    const own = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-00';
    await proxy.post(ROUTE, ask('Hello'), { headers: { traceparent: own } });
    [requests] = [seen()];
    assert.equal(requests[0].headers.traceparent, own, 'a trace that the client has begun goes on');
});

test('a stream that begins with its text has begun only then, and fails with a status before', { skip }, async (t) => {
    const [server] = Object.values(await startReplicas(t, ['a'], () => ['--parallel', '1']));
    const stop = new AbortController();
    const long = { stream: true, ...ask('Tell me a story.', { max_tokens: 400, ignore_eos: true }) };
    // Several, so that the last one waits for longer than it may whatever the machine.
    const before = Array.from({ length: 8 }, () => server.post(ROUTE, long, { signal: stop.signal }).catch((e) => e));
    assert.equal((await Promise.race(before)).status, 200);
    const late = await server.post(ROUTE, { ...long, deadline_ms: 50 });
    assert.equal(late.status, 504, await late.text());
    stop.abort();
    await Promise.all(before);
    const { text } = await readStream(await server.post(ROUTE, { stream: true, ...ask('Hello!') }));
    assert.equal(text, (await whole(server, ask('Hello!'))).text);
    const none = await readStream(await server.post(ROUTE, { stream: true, ...ask('Hello!', { stop: [text.slice(0, 1)] }) }));
    assert.equal(none.text, '', 'one without any text has a head and an end');
});

// --- all of it ---

const QUESTIONS = ['What is 2 plus 3?', 'Tell me a story.', 'What is your name?', 'Hello!', 'What is the capital of France?',
    'Write a poem.', 'How are you?', 'Name a colour.'];

// Clients that ask and ask, each one stream at a time.
class Load {
    constructor(proxy, n) {
        this.proxy = proxy;
        this.answers = [];
        this.lost = []; // that had not begun
        this.broken = []; // that had
        this.goes = true;
        this.clients = Array.from({ length: n }, (_, i) => this.client(i));
    }

    async client(i) {
        for (let k = i; this.goes; k++) {
            await this.one(QUESTIONS[k % QUESTIONS.length]);
        }
    }

    async one(question) {
        const request = { stream: true, ...ask(question, { max_tokens: 16 }) };
        const began = Date.now();
        let response;
        try {
            response = await this.proxy.post(ROUTE, request);
        } catch (e) {
            this.lost.push(`${question}: ${e.cause?.code ?? e.message}`);
            return;
        }
        if (response.status !== 200) {
            this.lost.push(`${question}: ${response.status} ${await response.text()}`);
            return;
        }
        let n = 0;
        const replica = replicaOf(response);
        try {
            const answer = await readStream(response, () => n++);
            this.answers.push({ question, replica, ms: Date.now() - began, ...answer });
        } catch (e) {
            this.broken.push({ question, replica, pieces: n, why: e.message });
        }
    }

    async more(n) {
        const wanted = this.answers.length + n;
        await until(() => this.answers.length >= wanted, `${n} more answers (${this.answers.length} so far)`, 120_000);
    }

    async end() {
        this.goes = false;
        await Promise.all(this.clients);
    }
}

// How long a change took to be in force on each replica.
function times(change) {
    const all = Object.entries(change.replicas).map(([id, { seconds }]) => `${id} in ${seconds.toFixed(2)} s`);
    return all.join(', ');
}

// Every answer is of one model and one prompt, and who asks the same of these is told the same.
function checkAnswers(answers) {
    const texts = new Map();
    for (const { question, text, madeBy, chunks } of answers) {
        assert.match(madeBy.model, /^tiny@[12]; sha256=[0-9a-f]{12}$/);
        assert.match(madeBy.prompt, /^default@\d+; sha256=[0-9a-f]{12}$/);
        const prints = new Set(chunks.map((chunk) => chunk.system_fingerprint));
        assert.equal(prints.size, 1);
        for (const hash of [madeBy.model, madeBy.prompt].map((name) => /sha256=(\w{6})/.exec(name)[1])) {
            assert.ok([...prints][0].includes(hash), `${[...prints]} has ${hash}`);
        }
        assert.deepEqual([...new Set(chunks.map((chunk) => chunk.model))], [madeBy.model.split(';')[0]]);
        const key = `${question} ${madeBy.model} ${madeBy.prompt}`;
        assert.equal(texts.get(key) ?? text, text, `the same answer again to ${key}`);
        texts.set(key, text);
    }
    return texts;
}

test('three replicas under load: one is killed, one gets a new model, a prompt is swapped', { skip }, async (t) => {
    const folder = makeFolder(t);
    const repo = path.join(folder, 'repo');
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    putVersion(repo, 'tiny', '1', { file: modelPath(), manifest: { labels: ['stable'] } });
    putVersion(repo, 'tiny', '2', { file: other });
    const etcd = await startEtcd(t);
    const fleet = (...args) => weir(['ctl', 'fleet', ...args, '--etcd', etcd.url, '--fleet', FLEET]);
    const change = (...args) => {
        const { status, stdout, stderr } = fleet(...args, '--json');
        assert.equal(status, 0, stderr);
        return JSON.parse(stdout);
    };
    const prompt = (name) => writeFile(folder, 'prompt.txt', `Your name is ${name}.`);
    const args = (name) => ['--repo', repo, '--publish', 'manual', '--etcd', etcd.url, '--fleet', FLEET, '--fleet-id', name];
    const ports = { c: await freePort() };
    const options = { model: 'tiny' };
    const replicas = {
        ...(await startReplicas(t, ['a', 'b'], args, options)),
        ...(await startReplicas(t, ['c'], args, { ...options, port: ports.c })),
    };
    await until(async () => Object.keys(await etcd.list(`/weir/${FLEET}/replicas/`)).length === 3, 'three replicas');
    change('prompt', 'default', prompt('Ada'));
    const proxy = await startHaproxy(t, addresses(replicas));
    const load = new Load(proxy, 6);
    await load.more(12);

    const before = load.answers.length;
    await replicas.c.kill();
    await load.more(12);
    assert.deepEqual(load.lost, [], 'nothing that had not begun is lost when a replica is killed');
    assert.ok(load.broken.every(({ replica, pieces }) => replica === 'c' && pieces > 0), JSON.stringify(load.broken));
    const nBroken = load.broken.length;

    const update = await replicas.b.admin('POST', '/admin/models/tiny/activate', { version: '2' });
    assert.equal(update.status, 200, await update.text());
    await load.more(12);

    const swap = change('prompt', 'default', prompt('Bob'));
    await load.more(12);

    // The killed one comes back, and has what it has missed before anybody is sent there.
    const back = await startServer(t, { ...options, port: ports.c, args: [...small, ...args('c')] });
    await proxy.waitFor('c', 'UP');
    const model = change('model', 'tiny', '2');
    await load.more(12);
    assert.equal((await replicas.a.admin('POST', '/admin/models/tiny/rollback')).status, 409, 'the fleet decides');

    // One is stopped in order: nothing at all is lost.
    assert.deepEqual(await replicas.a.stop(), { code: 0, signal: null });
    await load.more(8);
    await load.end();

    assert.deepEqual(load.lost, []);
    assert.equal(load.broken.length, nBroken, JSON.stringify(load.broken));
    checkAnswers(load.answers);
    const of = (what, name) => load.answers.filter(({ madeBy }) => madeBy[what].startsWith(name)).length;
    assert.ok(of('model', 'tiny@1') > 0 && of('model', 'tiny@2') > 0);
    assert.ok(of('prompt', `default@${swap.version};`) > 0 && of('prompt', 'default@1;') > 0);
    const [one, two] = [await whole(replicas.b, ask(QUESTIONS[1])), await whole(back, ask(QUESTIONS[1]))];
    assert.deepEqual([one.text, one.madeBy], [two.text, two.madeBy], 'replicas agree');
    t.diagnostic(`${load.answers.length} answers, ${before} before the kill; streams that broke off with the killed replica: ${nBroken}; the prompt reached ` +
        `${times(swap)} and the model ${times(model)}`);
});
