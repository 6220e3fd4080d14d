'use strict';
// HTTP as a stranger on the network sees it: routes, refusals, connections. What a chat answers is
// tested elsewhere.

const assert = require('node:assert/strict');
const test = require('node:test');

const { startServer, missing } = require('./lib/server.js');
const { readEvents } = require('./lib/sse.js');

const skip = missing();
const GET_HEALTH = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';

// The four keys that OpenAI's clients read.
function assertErrorBody(body) {
    const { error } = JSON.parse(body);
    assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
    assert.equal(typeof error.message, 'string');
    assert.doesNotMatch(body, /0x[0-9a-f]{8,}|\/home|\/work|\.c:/);
}

test('a server', { skip }, async (t) => {
    const server = await startServer(t);

    await t.test('is alive and ready once it says where it listens', async () => {
        for (const route of ['/healthz', '/readyz']) {
            const answer = await server.fetch(route);
            assert.equal(answer.status, 200, route);
            await answer.text();
        }
    });

    await t.test('answers an unknown route with 404 and a known one with 405 and Allow', async () => {
        const unknown = await server.fetch('/nothing/here');
        assert.equal(unknown.status, 404);
        assertErrorBody(await unknown.text());
        const wrong = await server.fetch('/v1/chat/completions', { method: 'DELETE' });
        assert.equal(wrong.status, 405);
        assert.match(wrong.headers.get('allow'), /POST/);
        assertErrorBody(await wrong.text());
    });

    await t.test('answers HEAD as GET without a body', async () => {
        const socket = await server.connect();
        socket.write('HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n' + GET_HEALTH);
        const head = await socket.response({ headOnly: true });
        const get = await socket.response();
        assert.equal(head.status, 200);
        assert.equal(head.headers['content-length'], get.headers['content-length']);
        socket.destroy();
    });

    await t.test('answers pipelined requests in order on one connection', async () => {
        const socket = await server.connect();
        socket.write(GET_HEALTH + GET_HEALTH.replace('/healthz', '/nothing') + GET_HEALTH);
        assert.equal((await socket.response()).status, 200);
        assert.equal((await socket.response()).status, 404);
        assert.equal((await socket.response()).status, 200);
        socket.destroy();
    });

    await t.test('refuses requests that could be smuggled, and closes', async () => {
        const post = (fields) => `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n\r\n`;
        const requests = [
            post('Content-Length: 4\r\nTransfer-Encoding: chunked') + '0\r\n\r\n' + GET_HEALTH,
            post('Content-Length: 1\r\nContent-Length: 2') + 'ab' + GET_HEALTH,
            post('X: a\r\n folded') + GET_HEALTH,
            'GET /healthz HTTP/1.1\nHost: localhost\n\n' + GET_HEALTH,
            'GET /healthz HTTP/1.1\r\n\r\n' + GET_HEALTH,
        ];
        for (const request of requests) {
            const socket = await server.connect();
            socket.write(request);
            const refusal = await socket.response();
            assert.equal(refusal.status, 400, request);
            assertErrorBody(refusal.body);
            assert.equal(await socket.isClosed(), true, request);
            socket.destroy();
        }
    });

    await t.test('refuses what is too large with the status for it', async () => {
        const a = (n) => 'a'.repeat(n);
        const cases = [
            [414, `GET /${a(10_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
            [431, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${a(20_000)}\r\n\r\n`],
            [413, `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${1e12}\r\n\r\n`],
        ];
        for (const [status, request] of cases) {
            const refusal = await server.raw(request);
            assert.equal(refusal.status, status);
            assertErrorBody(refusal.body);
        }
    });

    await t.test('serves others while hundreds of connections are half open', async () => {
        const slow = await Promise.all(Array.from({ length: 300 }, () => server.connect()));
        slow.forEach((socket) => socket.write('POST /v1/chat'));
        const answers = await Promise.all(Array.from({ length: 20 }, () => server.raw(GET_HEALTH)));
        assert.ok(answers.every((answer) => answer.status === 200));
        slow.forEach((socket) => socket.destroy());
    });

    await t.test('goes on when clients leave in the middle of streams', async () => {
        const question = { messages: [{ role: 'user', content: 'Hello' }], stream: true };
        for (let i = 0; i < 10; i++) {
            const gone = new AbortController();
            const stream = await server.post('/v1/chat/completions', question, { signal: gone.signal });
            assert.equal(stream.status, 200);
            gone.abort();
        }
        const answer = await server.post('/v1/chat/completions', { ...question, max_tokens: 4 });
        const events = [];
        for await (const { data } of readEvents(answer)) {
            events.push(data);
        }
        assert.equal(events.at(-1), '[DONE]');
    });
});

test('a second server on the same port says so and fails', { skip }, async (t) => {
    const first = await startServer(t);
    await assert.rejects(
        startServer(t, { args: ['--port', String(first.port)] }),
        new RegExp(`:${first.port} is already in use`),
    );
});
