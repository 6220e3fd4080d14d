'use strict';
// Clients that want to get something past the filters, or to keep the server busy with them.

const assert = require('node:assert/strict');
const http = require('node:http');
const test = require('node:test');

const { ask, whole, streamed, ROUTE } = require('./lib/chat.js');
const { startServer, missing } = require('./lib/server.js');
const { sleep } = require('./lib/wait.js');

const skip = missing();
const MIB = 1 << 20;

async function publish(server, ...filters) {
    const put = await server.admin('PUT', '/admin/filters/default', { filters });
    assert.equal(put.status, 200, await put.text());
}

// A conversation with a call of a tool and its result.
function called({ id = 'call_1', answers = id, args = '{}' } = {}) {
    return {
        ...ask('Look it up.'),
        messages: [
            { role: 'user', content: 'Look it up.' },
            { role: 'assistant', content: null, tool_calls: [{ id, type: 'function', function: { name: 'look_up', arguments: args } }] },
            { role: 'tool', tool_call_id: answers, content: 'Nothing.' },
        ],
    };
}

test('ids and numbers are no way past the input side', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--threads', '1'] });
    const send = async (request) => {
        const response = await server.post(ROUTE, request);
        return { status: response.status, ...(await response.json()) };
    };
    const refused = async (request, param) => {
        const { status, error } = await send(request);
        assert.equal(status, 400, param);
        assert.equal(error.code, 'content_filter');
        assert.equal(error.param, param);
    };

    await publish(server, { type: 'wordlist', words: ['xyzzy'], word_boundaries: false, side: 'input' });
    await refused(called({ args: '{"id": "xyzzy"}' }), 'messages[1].tool_calls');
    await refused(called({ id: 'xyzzy', answers: 'call_1' }), 'messages[1].tool_calls');
    await refused(called({ id: 'call_xyzzy-1', answers: 'call_1' }), 'messages[1].tool_calls');
    await refused(called({ answers: 'xyzzy' }), 'messages[2].tool_call_id');
    await refused(called({ answers: 'Here is 1: xyzzy' }), 'messages[2].tool_call_id');
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: { a: { default: { id: 'xyzzy' } } } } } }];
    await refused(ask('Hello', { tools }), 'tools[0]');
    const blocks = { max_tokens: 8, messages: [{ role: 'user', content: 'Hi' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_01', name: 'f', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'say xyzzy', content: 'x' }] }] };
    const anthropic = await server.post('/v1/messages', blocks);
    assert.equal(anthropic.status, 400, await anthropic.text());

    await publish(server, { type: 'pii', action: 'stop', side: 'input' });
    await refused(called({ args: '{"card": 4111111111111111}' }), 'messages[1].tool_calls');
    await refused(called({ args: '{"cards": [[1, {"a": 4111111111111111}]]}' }), 'messages[1].tool_calls');
    await publish(server, { type: 'pii', side: 'input' });
    assert.equal((await send(called({ args: '{"card": 4111111111111111, "n": 1}' }))).status, 200);

    // What programs make is left alone, digits and all.
    await publish(server, { type: 'regex', patterns: ['[0-9]'], action: 'stop', side: 'input' });
    for (const id of ['call_9aF3', 'toolu_01A09q90qw90lq917835lq9', 'chatcmpl-tool-3b1f0', 'c1']) {
        assert.equal((await send(called({ id }))).status, 200, id);
    }
});

test('tokens are no way past the input side', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--threads', '1'] });
    const ids = async (prompt) => (await (await server.post('/tokenize', { prompt, add_special_tokens: false })).json()).tokens;
    const embed = async (input) => {
        const response = await server.post('/v1/embeddings', { input });
        return { status: response.status, ...(await response.json()) };
    };
    const good = await ids('A day by the sea.');
    const bad = await ids('A day with xyzzy by the sea.');
    const before = (await embed(good)).data[0].embedding;
    const words = { type: 'wordlist', words: ['xyzzy'], side: 'input' };

    await publish(server, words);
    assert.deepEqual((await embed([good])).data[0].embedding, before);
    const refused = await embed([good, bad]);
    assert.deepEqual([refused.status, refused.error?.code, refused.error?.param], [400, 'content_filter', 'input[1]']);

    await publish(server, { ...words, action: 'mask' });
    const vectors = (await embed([good, bad])).data.map(({ embedding }) => embedding);
    assert.deepEqual(vectors[0], before);
    assert.deepEqual(vectors[1], (await embed(['A day with ***** by the sea.'])).data[0].embedding);

    const completion = await server.post('/v1/completions', { prompt: bad });
    assert.equal(completion.status, 400);
});

// How many other requests are answered while `work` is.
async function answeredDuring(server, work) {
    let count = 0;
    let over = false;
    const other = (async () => {
        while (!over) {
            await (await server.fetch('/healthz')).text();
            count += over ? 0 : 1;
        }
    })();
    const result = await work();
    over = true;
    await other;
    return { count, result };
}

test('long texts do not keep other requests waiting', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--threads', '1'] });
    const prose = 'The quick brown fox jumps over the lazy dog. '.repeat(MIB / 45 - 10);
    const script = { type: 'script', code: 'return function(span) return pass() end', side: 'both' };
    await publish(server, script, script, { type: 'wordlist', words: ['heron'], side: 'both' });
    const works = {
        moderations: () => server.post('/v1/moderations', { input: `${prose} heron` }),
        'moderations of many': () => server.post('/v1/moderations', { input: Array(1000).fill(prose.slice(0, 1000)) }),
        chat: () => server.post(ROUTE, ask(`${prose} heron`)),
        calls: () => server.post(ROUTE, called({ args: JSON.stringify(Array(1000).fill(prose.slice(0, 900)).concat('heron')) })),
        embeddings: () => server.post('/v1/embeddings', { input: [`${prose} heron`] }),
    };
    for (const [name, work] of Object.entries(works)) {
        await t.test(name, async () => {
            const { count, result } = await answeredDuring(server, work);
            const body = await result.text();
            assert.ok(count >= 20, `${count} answers meanwhile`);
            if (name === 'moderations') {
                assert.equal(JSON.parse(body).results[0].categories.wordlist, true);
            } else if (name === 'moderations of many') {
                assert.equal(JSON.parse(body).results.length, 1000);
            } else if (name !== 'calls') {
                assert.match(body, /content_filter/);
            }
        });
    }

    await t.test('who leaves meanwhile ends it', async () => {
        for (const [route, body] of [['/v1/moderations', { input: prose }], [ROUTE, ask(prose)], ['/v1/embeddings', { input: [prose] }]]) {
            const leave = new AbortController();
            const left = server.post(route, body, { signal: leave.signal });
            await (await server.fetch('/healthz')).text();
            setTimeout(() => leave.abort(), 100);
            await assert.rejects(left, /abort/);
        }
        await publish(server);
        assert.equal((await server.post(ROUTE, ask('Hello'))).status, 200);
    });
});

// A service for webhooks that answers with `answer(response)`; `asked` counts.
async function service(t, answer) {
    const made = { asked: 0 };
    const server = http.createServer((request, response) => {
        made.asked++;
        request.resume().on('end', () => answer(response));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    made.url = `http://127.0.0.1:${server.address().port}/rule?token=a-secret-of-the-url`;
    return made;
}

test('a service that rules on texts leads nowhere else, and its secrets stay with the admin', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--threads', '1'] });
    const other = await service(t, (response) => response.end('{"verdict": "pass"}'));
    const bad = {
        redirects: (response) => response.writeHead(307, { location: other.url }).end(),
        giant: (response) => response.end(`{"verdict": "pass", "x": "${'x'.repeat(2 * MIB)}"}`),
        'without end': (response) => response.writeHead(200).write(' '),
        'no answer': (response) => response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('a-secret-of-the-header'),
    };
    for (const [name, answer] of Object.entries(bad)) {
        await t.test(name, async () => {
            const hook = await service(t, answer);
            await publish(server, { type: 'webhook', url: hook.url, side: 'both', retries: 0, timeout_ms: 500, breaker_failures: 1,
                headers: ['Authorization: Bearer a-secret-of-the-header'] });
            const response = await server.post(ROUTE, ask('Hello'));
            const body = await response.text();
            assert.equal(response.status, 400, body);
            assert.equal(JSON.parse(body).error.code, 'content_filter');
            assert.doesNotMatch(body, /a-secret/);
            assert.equal(hook.asked, 1);
            assert.equal(other.asked, 0);
        });
    }
    await sleep(500); // findings are written behind
    for (const route of ['/admin/findings', '/admin/filters', '/admin/filters/default/versions', '/admin/audit', '/metrics']) {
        const text = await (await server.admin('GET', route)).text();
        assert.doesNotMatch(text, /a-secret/, route);
    }
    assert.doesNotMatch(server.stderr, /a-secret/);
    for (const setting of [{ headers: ['X: a\r\nY: b'] }, { headers: ['Content-Length: 3'] }, { url: 'http://user:pass@127.0.0.1/' }, { url: 'http://a/\r\nX: y' }]) {
        const put = await server.admin('PUT', '/admin/filters/default', { filters: [{ type: 'webhook', url: other.url, ...setting }] });
        const body = await put.text();
        assert.equal(put.status, 400, body);
        assert.doesNotMatch(body, /pass@|a\\r/);
    }
});

test('answers that must be JSON are filtered as people read them, and stay JSON', { skip }, async (t) => {
    const server = await startServer(t);
    const asked = { type: 'object', properties: { a: { const: 'say\nxyzzy "now"' }, b: { const: '\nann@example.com' } }, required: ['a', 'b'], additionalProperties: false };
    const request = ask('Hello', { max_tokens: 200, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: asked } } });
    const filters = [{ type: 'wordlist', words: ['xyzzy'], action: 'replace', replacement: 'a "b"' }, { type: 'pii' }];
    for (const run of [whole, streamed]) {
        await publish(server);
        assert.deepEqual(JSON.parse((await run(server, request)).text), { a: 'say\nxyzzy "now"', b: '\nann@example.com' });
        await publish(server, ...filters);
        assert.deepEqual(JSON.parse((await run(server, request)).text), { a: 'say\na "b" "now"', b: '\n[email]' });
        await publish(server, { type: 'wordlist', words: ['xyzzy'] });
        const stopped = await run(server, request);
        assert.equal(stopped.finish, 'content_filter');
        assert.doesNotMatch(stopped.text, /xyzzy/);
    }
});
