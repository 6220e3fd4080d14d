'use strict';
// Pages of other origins, as browsers ask for them; and OPTIONS for others.

const assert = require('node:assert/strict');
const test = require('node:test');

const { startServer, missing } = require('./lib/server.js');

const skip = missing();
const CHAT = '/v1/chat/completions';
const QUESTION = { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4 };
const PAGE = 'https://page.example';

function corsFields(answer) {
    return [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'));
}

function preflight(server, route, origin, method = 'POST') {
    return server.fetch(route, {
        method: 'OPTIONS',
        headers: {
            origin,
            'access-control-request-method': method,
            'access-control-request-headers': 'authorization,content-type,x-stainless-os',
        },
    });
}

test('a page that is listed may ask and read', { skip }, async (t) => {
    const server = await startServer(t, {
        args: ['--cors-origin', `${PAGE},https://other.example`, '--cors-origin', 'http://third.example:3000',
            '--api-key', 'key'],
    });
    const headers = { origin: PAGE, authorization: 'Bearer key' };

    await t.test('a preflight needs no key and says what may be sent', async () => {
        for (const origin of [PAGE, 'https://other.example', 'http://third.example:3000']) {
            const answer = await preflight(server, CHAT, origin);
            assert.equal(answer.status, 204);
            assert.equal(answer.headers.get('access-control-allow-origin'), origin);
            assert.equal(answer.headers.get('access-control-allow-methods'), 'POST, OPTIONS');
            assert.equal(answer.headers.get('access-control-allow-headers'),
                'authorization,content-type,x-stainless-os');
            assert.ok(Number(answer.headers.get('access-control-max-age')) > 0);
            assert.equal(answer.headers.get('vary'), 'Origin');
            assert.equal(answer.headers.get('access-control-allow-credentials'), null);
        }
    });

    await t.test('answers, streams and errors may be read', async () => {
        const asked = [
            [200, await server.post(CHAT, QUESTION, { headers })],
            [200, await server.post(CHAT, { ...QUESTION, stream: true }, { headers })],
            [400, await server.post(CHAT, { messages: 1 }, { headers })],
            [401, await server.post(CHAT, QUESTION, { headers: { origin: PAGE } })],
            [404, await server.fetch('/nothing', { headers })],
            [405, await server.fetch(CHAT, { method: 'DELETE', headers })],
            [200, await server.fetch('/v1/models', { headers })],
        ];
        for (const [status, answer] of asked) {
            assert.equal(answer.status, status);
            assert.equal(answer.headers.get('access-control-allow-origin'), PAGE);
            assert.match(answer.headers.get('access-control-expose-headers'), /x-request-id.*weir-model.*retry-after/);
            assert.equal(answer.headers.get('vary'), 'Origin');
            await answer.text();
        }
    });

    await t.test('another page may not', async () => {
        for (const origin of ['https://evil.example', 'http://page.example', 'https://page.example:444', 'null']) {
            const answer = await preflight(server, CHAT, origin);
            assert.equal(answer.status, 403, origin);
            assert.equal((await answer.json()).error.code, 'origin_not_allowed');
            assert.deepEqual(corsFields(answer), []);
            assert.equal(answer.headers.get('vary'), 'Origin');
        }
    });

    await t.test('admin routes are for no page', async () => {
        const asked = await preflight(server, '/admin/models', PAGE, 'GET');
        assert.equal(asked.status, 403);
        assert.deepEqual(corsFields(asked), []);
        await asked.text();
        const sent = await server.fetch('/admin/models',
            { headers: { origin: PAGE, authorization: `Bearer ${server.adminKey}` } });
        assert.equal(sent.status, 403);
        assert.deepEqual(corsFields(sent), []);
        await sent.text();
    });
});

test('a star allows every page, but only when it was asked for', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--cors-origin', '*'] });
    const answer = await preflight(server, CHAT, 'https://any.example');
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    const sent = await server.post(CHAT, QUESTION, { headers: { origin: 'https://any.example' } });
    assert.equal(sent.status, 200);
    assert.equal(sent.headers.get('access-control-allow-origin'), '*');
    await sent.text();
});

test('without a list no page of another origin reaches a loopback server', { skip }, async (t) => {
    const server = await startServer(t);
    for (const origin of ['https://evil.example', 'null', 'http://localhost.evil.example']) {
        const asked = await preflight(server, CHAT, origin);
        assert.equal(asked.status, 403);
        assert.deepEqual(corsFields(asked), []);
        await asked.text();
        // What browsers send without asking first: no preflight, any body.
        const sent = await server.fetch(CHAT,
            { method: 'POST', body: JSON.stringify(QUESTION), headers: { origin, 'content-type': 'text/plain' } });
        assert.equal(sent.status, 403);
        assert.deepEqual(corsFields(sent), []);
        await sent.text();
    }
    const own = await server.post(CHAT, QUESTION, { headers: { origin: server.url } });
    assert.equal(own.status, 200, 'the chat page itself');
    assert.deepEqual(corsFields(own), []);
    assert.equal(own.headers.get('vary'), null);
    await own.text();
});

test('OPTIONS tells the methods of a path', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--api-key', 'key'] });
    const allowed = {
        '/healthz': 'GET, HEAD, OPTIONS',
        [CHAT]: 'POST, OPTIONS',
        '/admin/prompts/default': 'GET, HEAD, PUT, DELETE, OPTIONS',
    };
    for (const [route, allow] of Object.entries(allowed)) {
        const answer = await server.fetch(route, { method: 'OPTIONS' });
        assert.equal(answer.status, 204, route);
        assert.equal(answer.headers.get('allow'), allow);
        assert.deepEqual(corsFields(answer), []);
    }
    const unknown = await server.fetch('/nothing', { method: 'OPTIONS' });
    assert.equal(unknown.status, 404);
    await unknown.text();
    const whole = await server.raw('OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n');
    assert.equal(whole.status, 204);
    assert.match(whole.headers.allow, /POST/);
});

test('what is no origin is refused at the start', { skip }, async (t) => {
    await assert.rejects(startServer(t, { args: ['--cors-origin', 'https://a.example/path'] }), /is no origin/);
});
