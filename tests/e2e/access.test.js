'use strict';
// Who may call which route: the whole table of runtime/api/routes.h is tried with every kind of key.

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');
const { readEvents } = require('./lib/sse.js');

const skip = missing();
const CHAT = '/v1/chat/completions';
const QUESTION = { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4 };

// [{method, path, auth, scope}], a star replaced by a name.
function routeTable() {
    const text = fs.readFileSync(path.join(__dirname, '../../runtime/api/routes.h'), 'utf8');
    const rows = [...text.matchAll(/X\(\w+,\s*"(\w+)",\s*"([^"]+)",\s*(ROUTE_\w+),\s*(SCOPE_\w+)\)/g)];
    return rows.map(([, method, route, auth, scope]) => ({
        method, path: route.replace('*', 'weir-tiny'), auth, scope: scope.slice(6).toLowerCase(),
    }));
}

const ROUTES = routeTable();
const sha256 = (key) => createHash('sha256').update(key).digest('hex');
const bearer = (key) => ({ authorization: `Bearer ${key}` });

async function statusOf(server, { method, path: route }, headers = {}) {
    const body = method === 'GET' ? undefined : '{}';
    const answer = await server.fetch(route, { method, headers, body });
    const text = await answer.text();
    if (answer.status === 401 || answer.status === 403) {
        const keys = route.startsWith('/v1/messages') ? ['message', 'type'] : ['code', 'message', 'param', 'type'];
        assert.deepEqual(Object.keys(JSON.parse(text).error).sort(), keys);
    }
    return answer.status;
}

test('the route table is read', () => {
    assert.ok(ROUTES.length >= 12);
    assert.ok(ROUTES.some((route) => route.auth === 'ROUTE_ADMIN'));
});

test('each route wants its own key', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--api-key', 'public-key'] });
    t.after(() => assert.doesNotMatch(server.stderr, /public-key|an-admin-key/, 'no key is logged'));
    for (const route of ROUTES) {
        const name = `${route.method} ${route.path}`;
        const wrong = [{}, bearer('wrong'), { 'x-api-key': 'wrong' }, bearer(''), bearer('public-key2'),
            { authorization: 'Basic public-key' }];
        const other = route.auth === 'ROUTE_ADMIN' ? 'public-key' : server.adminKey;
        if (route.auth === 'ROUTE_OPEN') {
            const isThere = !route.path.includes('{'); // there is no file of the name {name}
            assert.equal(await statusOf(server, route), isThere ? 200 : 404, name);
            continue;
        }
        for (const headers of [...wrong, bearer(other), { 'x-api-key': other }]) {
            assert.equal(await statusOf(server, route, headers), 401, `${name} ${JSON.stringify(headers)}`);
        }
        if (name === 'POST /admin/upgrade') {
            continue; // it would be done, and end this process: upgrade.test.js
        }
        const right = route.auth === 'ROUTE_ADMIN' ? server.adminKey : 'public-key';
        for (const headers of [bearer(right), { 'x-api-key': right }]) {
            const status = await statusOf(server, route, headers);
            assert.ok(status !== 401 && status !== 403, `${name}: ${status}`);
        }
    }
});

test('without API keys public routes are open and admin routes are not', { skip }, async (t) => {
    const server = await startServer(t);
    for (const route of ROUTES) {
        const status = await statusOf(server, route);
        const isRefused = status === 401 || status === 403;
        assert.equal(isRefused, route.auth === 'ROUTE_ADMIN', `${route.method} ${route.path}: ${status}`);
    }
});

test('a key with scopes opens the routes of those scopes', { skip }, async (t) => {
    const scopes = [...new Set(ROUTES.filter((r) => r.auth === 'ROUTE_PUBLIC').map((r) => r.scope))];
    const lines = scopes.map((scope) => `${scope}:${sha256(`key-${scope}`)}:${scope}`);
    const file = writeFile(makeFolder(t), 'keys', `${lines.join('\n')}\nall:${sha256('key-all')}\n`);
    const server = await startServer(t, { args: ['--api-key-file', file] });
    for (const route of ROUTES.filter((r) => r.auth === 'ROUTE_PUBLIC')) {
        for (const scope of scopes) {
            const status = await statusOf(server, route, bearer(`key-${scope}`));
            assert.equal(status === 403, scope !== route.scope, `${scope} on ${route.path}: ${status}`);
        }
        assert.notEqual(await statusOf(server, route, bearer('key-all')), 403);
    }
    const refused = await server.fetch('/v1/models', { headers: bearer('key-chat') });
    const { error } = await refused.json();
    assert.deepEqual([error.type, error.code], ['permission_error', 'missing_scope']);
});

test('a key over its requests a minute is told when to come again', { skip }, async (t) => {
    const file = writeFile(makeFolder(t), 'keys',
        `ann:${sha256('a')}::requests=3\nbob:${sha256('b')}::requests=100,tokens=100000\n`);
    const server = await startServer(t, { args: ['--api-key-file', file] });
    for (let i = 0; i < 3; i++) {
        const answer = await server.fetch('/v1/models', { headers: bearer('a') });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get('x-ratelimit-limit-requests'), '3');
        assert.equal(answer.headers.get('x-ratelimit-remaining-requests'), String(2 - i));
        assert.match(answer.headers.get('x-ratelimit-reset-requests'), /^[\d.]+m?s$/);
        assert.equal(answer.headers.get('x-ratelimit-limit-tokens'), null);
        await answer.text();
    }
    const over = await server.fetch('/v1/models', { headers: bearer('a') });
    assert.equal(over.status, 429);
    assert.equal((await over.json()).error.code, 'rate_limit_exceeded');
    assert.ok(Number(over.headers.get('retry-after')) >= 15);
    assert.equal(over.headers.get('x-ratelimit-remaining-requests'), '0');
    const other = await server.post(CHAT, { ...QUESTION, stream: true }, { headers: bearer('b') });
    assert.equal(other.status, 200);
    assert.equal(other.headers.get('x-ratelimit-limit-tokens'), '100000');
    await other.text();
});

test('texts that are embedded count as tokens', { skip }, async (t) => {
    const file = writeFile(makeFolder(t), 'keys', `ann:${sha256('a')}::tokens=1000\n`);
    const server = await startServer(t, { args: ['--api-key-file', file] });
    const embed = () => server.post('/v1/embeddings', { input: 'word '.repeat(300) }, { headers: bearer('a') });
    const statuses = [];
    for (let i = 0; i < 8; i++) {
        const answer = await embed();
        statuses.push(answer.status);
        await answer.text();
    }
    assert.equal(statuses[0], 200);
    assert.equal(statuses.at(-1), 429);
});

test('requests at a time are bounded for each key, and over with their end', { skip }, async (t) => {
    const file = writeFile(makeFolder(t), 'keys', `ann:${sha256('a')}::concurrent=2\nbob:${sha256('b')}\n`);
    const server = await startServer(t, { args: ['--api-key-file', file] });
    const long = { ...QUESTION, max_tokens: 900, temperature: 1.9, ignore_eos: true, stream: true };
    const gone = [new AbortController(), new AbortController()];
    const streams = await Promise.all(gone.map(({ signal }) => server.post(CHAT, long, { headers: bearer('a'), signal })));
    assert.ok(streams.every((stream) => stream.status === 200));
    const third = await server.post(CHAT, QUESTION, { headers: bearer('a') });
    assert.equal(third.status, 429);
    assert.equal(third.headers.get('retry-after'), '1');
    await third.text();
    const other = await server.post(CHAT, QUESTION, { headers: bearer('b') });
    assert.equal(other.status, 200);
    await other.text();
    gone[0].abort();
    let status = 429;
    for (let i = 0; i < 100 && status === 429; i++) {
        const again = await server.post(CHAT, QUESTION, { headers: bearer('a') });
        status = again.status;
        await again.text();
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(status, 200);
    gone[1].abort();
});

test('SIGHUP reads the key file again', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'keys', `ann:${sha256('a')}\n`);
    const server = await startServer(t, { args: ['--api-key-file', file] });
    const status = async (key) => statusOf(server, { method: 'GET', path: '/v1/models' }, bearer(key));
    assert.deepEqual([await status('a'), await status('b')], [200, 401]);
    writeFile(folder, 'keys', `bob:${sha256('b')}\n`);
    server.child.kill('SIGHUP');
    for (let i = 0; i < 100 && (await status('b')) !== 200; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual([await status('a'), await status('b')], [401, 200]);
    writeFile(folder, 'keys', 'bob:nonsense\n');
    server.child.kill('SIGHUP');
    for (let i = 0; i < 100 && !/keys stay as they are/.test(server.stderr); i++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.match(server.stderr, /line 1: after the name 64 hex digits/);
    assert.equal(await status('b'), 200);
});

test('each answer has an id and says how long it took', { skip }, async (t) => {
    const server = await startServer(t);
    const ids = new Set();
    const requests = [['/healthz', {}], ['/nothing', {}], [CHAT, { method: 'DELETE' }],
        [CHAT, { method: 'POST', body: '{' }], ['/admin/models', {}], ['/healthz', { method: 'OPTIONS' }],
        [CHAT, { method: 'POST', body: JSON.stringify({ ...QUESTION, stream: true }) }]];
    for (const [route, options] of requests) {
        const answer = await server.fetch(route, options);
        await answer.text();
        assert.match(answer.headers.get('x-request-id'), /^req_[0-9a-f]{32}$/);
        assert.match(answer.headers.get('openai-processing-ms'), /^\d+$/);
        ids.add(answer.headers.get('x-request-id'));
    }
    assert.equal(ids.size, requests.length);
    const own = await server.post(CHAT, { ...QUESTION, stream: true }, { headers: { 'x-request-id': 'mine-1' } });
    assert.equal(own.headers.get('x-request-id'), 'mine-1');
    for await (const event of readEvents(own)) {
        assert.ok(event.data);
    }
    const refused = await server.raw('nonsense\r\n\r\n');
    assert.match(refused.headers['x-request-id'], /^req_/);
});

test('a host that is allowed is answered on a loopback address', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--allow-host', 'weir.example.org'] });
    const ask = async (host) => (await server.raw(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status;
    assert.equal(await ask('weir.example.org:8443'), 200);
    assert.equal(await ask('localhost'), 200);
    assert.equal(await ask('example.org'), 403);
});
