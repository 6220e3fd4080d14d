'use strict';
// Every wrong request gets its status, the error shape of OpenAI and the field at fault; the server lives.

const assert = require('node:assert/strict');
const test = require('node:test');

const { ROUTE, ask, whole } = require('./lib/chat.js');
const { startServer, missing } = require('./lib/server.js');

const ALL_TYPES = [true, 3, -1, 0.5, 'text', [], [3], {}, { a: 1 }];

// Fields with what they accept of ALL_TYPES.
const ACCEPTS = {
    model: () => false,
    messages: () => false,
    stream: (v) => typeof v === 'boolean',
    stream_options: (v) => typeof v === 'object' && !Array.isArray(v),
    max_tokens: (v) => v === 3,
    max_completion_tokens: (v) => v === 3,
    temperature: (v) => v === 0.5,
    top_p: (v) => v === 0.5,
    min_p: (v) => v === 0.5,
    top_k: (v) => v === 3 || v === -1,
    typical_p: (v) => v === 0.5,
    top_n_sigma: (v) => v === 3 || v === -1 || v === 0.5,
    xtc_probability: (v) => v === 0.5,
    xtc_threshold: (v) => v === 0.5,
    mirostat: () => false,
    mirostat_tau: (v) => v === 3 || v === 0.5,
    mirostat_eta: (v) => v === 0.5,
    repetition_penalty: (v) => v === 3 || v === 0.5,
    repeat_penalty: (v) => v === 3 || v === 0.5,
    repeat_last_n: (v) => v === 3 || v === -1,
    dry_multiplier: (v) => v === 3 || v === 0.5,
    dry_base: (v) => v === 3,
    dry_allowed_length: (v) => v === 3,
    dry_penalty_last_n: (v) => v === 3 || v === -1,
    dry_sequence_breakers: () => false,
    min_tokens: (v) => v === 3,
    stop_token_ids: (v) => Array.isArray(v),
    samplers: () => false,
    seed: (v) => v === 3 || v === -1,
    stop: (v) => v === 'text' || (Array.isArray(v) && v.length === 0),
    n: (v) => v === 3,
    priority: (v) => v === 3 || v === -1 || v === 0,
    ignore_eos: (v) => typeof v === 'boolean',
    truncation: () => false,
    cache_salt: (v) => v === 'text',
    tools: (v) => Array.isArray(v) && v.length === 0,
    functions: (v) => Array.isArray(v) && v.length === 0,
    audio: () => false,
    web_search_options: () => false,
    frequency_penalty: (v) => v === -1 || v === 0.5,
    presence_penalty: (v) => v === -1 || v === 0.5,
    logit_bias: (v) => typeof v === 'object' && !v.length && !('a' in v),
    logprobs: (v) => typeof v === 'boolean',
    top_logprobs: () => false,
    reasoning_effort: () => false,
    chat_template_kwargs: (v) => typeof v === 'object' && !Array.isArray(v) && !('a' in v),
    modalities: (v) => Array.isArray(v) && v.length === 0,
    response_format: () => false,
    grammar: () => false,
    regex: (v) => v === 'text',
    choice: () => false,
    json_schema: (v) => v === true || (typeof v === 'object' && !Array.isArray(v) && !('a' in v)),
    structured_outputs: (v) => typeof v === 'object' && !Array.isArray(v),
    tool_choice: () => false,
    parallel_tool_calls: (v) => typeof v === 'boolean',
    // Carry information for others; whatever they hold does not change the answer.
    user: () => true,
    metadata: () => true,
    store: () => true,
};

function assertError(status, text, { wanted = 400, param } = {}) {
    assert.equal(status, wanted, text);
    const { error } = JSON.parse(text);
    assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
    assert.ok(error.message.length > 0 && typeof error.type === 'string');
    if (param) {
        assert.match(String(error.param), param, text);
    }
    assert.doesNotMatch(text, /0x[0-9a-f]{6,}|\/(home|tmp|work|usr|root)\b|\.gguf|\.[ch]:\d/);
}

test('bad input', { skip: missing() }, async (t) => {
    const server = await startServer(t, { args: ['--max-body', '65536'] });
    const raw = async (body, headers = {}) => {
        const answer = await server.fetch(ROUTE, { method: 'POST', headers, body });
        return [answer.status, await answer.text()];
    };
    const alive = () => whole(server, ask('Hello', { max_tokens: 1 }));
    t.afterEach(alive);

    await t.test('what is not JSON', async () => {
        const bodies = ['', ' ', '{', '{"messages":', '[]', 'null', '3', '"x"', '{}x', "{'a':1}", '{"a":NaN}',
            '{"a":Infinity}', '{"a":01}', '{"a":1,}', '\ufeff{}', '{"a":"\\ud800"}', '{"a":"\\u0000"}',
            '{"a":"\u0000"}', '{"a":"\\\u0000"}', '{"a":1' + '0'.repeat(500) + '}', '['.repeat(50_000),
            '{"a":'.repeat(10_000), Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])];
        for (const body of bodies) {
            assertError(...(await raw(body)));
        }
    });

    await t.test('every field with every type', async () => {
        for (const [field, accepts] of Object.entries(ACCEPTS)) {
            for (const value of ALL_TYPES) {
                const answer = await server.post(ROUTE, ask('Hello', { max_tokens: 1, [field]: value }));
                const text = await answer.text();
                if (accepts(value)) {
                    assert.equal(answer.status, 200, `${field}: ${JSON.stringify(value)}: ${text}`);
                } else {
                    const wanted = field === 'model' && value === 'text' ? 404 : 400;
                    assertError(answer.status, text, { wanted, param: new RegExp(`^${field}`) });
                }
            }
        }
    });

    await t.test('numbers at and beyond their range', async () => {
        // Every number that a request may carry: the least and the greatest that are right.
        const INT = 2147483647;
        const SEED = Number.MAX_SAFE_INTEGER;
        const ranges = {
            max_tokens: [1, INT], max_completion_tokens: [1, INT], n: [1, 16], top_k: [-1, INT], seed: [-SEED, SEED],
            priority: [-1000, 1000], deadline_ms: [1, 86400000], min_tokens: [0, INT], repeat_last_n: [-1, INT],
            dry_allowed_length: [0, INT], dry_penalty_last_n: [-1, INT],
            temperature: [0, 2], top_p: [0, 1], min_p: [0, 1], typical_p: [0, 1], frequency_penalty: [-2, 2],
            presence_penalty: [-2, 2], mirostat_tau: [0, 100], mirostat_eta: [0, 1], repetition_penalty: [0.01, 10],
            dry_multiplier: [0, 100], dry_base: [1, 100], xtc_probability: [0, 1], xtc_threshold: [0, 1],
        };
        const texts = ['-1', '2147483648', '9007199254740993', '1e308', '"1"', 'null'];
        for (const [field, [least, most]] of Object.entries(ranges)) {
            for (const text of [...texts, String(least), String(most)]) {
                const few = field === 'max_tokens' ? '' : '"max_tokens":2,';
                const body = `{"messages":[{"role":"user","content":"a"}],${few}"${field}":${text}}`;
                const value = JSON.parse(text);
                if (value === null || (typeof value === 'number' && value >= least && value <= most)) {
                    const [status, answer] = await raw(body);
                    assert.ok(status === 200 || (field === 'deadline_ms' && status === 504), `${field} ${text}: ${answer}`);
                } else {
                    assertError(...(await raw(body)), { param: new RegExp(`^${field}$`) });
                }
            }
            assertError(...(await raw(`{"messages":[{"role":"user","content":"a"}],"${field}":1e999}`)));
        }
    });

    await t.test('messages', async () => {
        const cases = [
            [[], /^messages$/],
            [['text'], /^messages\[0\]$/],
            [[{ role: 'user' }], /^messages\[0\]\.content$/],
            [[{ content: 'a' }], /^messages\[0\]\.role$/],
            [[{ role: 'king', content: 'a' }], /^messages\[0\]\.role$/],
            [[{ role: 'user', content: [{ type: 'image_url' }] }], /^messages\[0\]\.content$/],
            [[{ role: 'user', content: 'a' }, { role: 'user', content: 3 }], /^messages\[1\]\.content$/],
            [Array.from({ length: 2000 }, () => ({ role: 'user', content: 'a' })), /^messages$/],
        ];
        for (const [messages, param] of cases) {
            const answer = await server.post(ROUTE, { messages });
            assertError(answer.status, await answer.text(), { param });
        }
    });

    await t.test('a conversation longer than the context', async () => {
        const answer = await server.post(ROUTE, ask('word '.repeat(8000)));
        const text = await answer.text();
        assertError(answer.status, text);
        assert.equal(JSON.parse(text).error.code, 'context_length_exceeded');
    });

    await t.test('a model that is not here', async () => {
        for (const model of ['gpt-4', '', '../../etc/passwd', 'a'.repeat(5000), 'weir-tiny@sha256:00', '%s%n']) {
            const answer = await server.post(ROUTE, ask('Hello', { model }));
            assertError(answer.status, await answer.text(), { wanted: 404, param: /^model$/ });
        }
        const got = await server.fetch('/v1/models/none');
        assertError(got.status, await got.text(), { wanted: 404 });
    });

    await t.test('a body over the limit', async () => {
        assertError(...(await raw('x'.repeat(65537))), { wanted: 413 });
        const chunked = new ReadableStream({
            start(controller) {
                controller.enqueue(new Uint8Array(80_000).fill(32));
                controller.close();
            },
        });
        const answer = await server.fetch(ROUTE, { method: 'POST', body: chunked, duplex: 'half' });
        assertError(answer.status, await answer.text(), { wanted: 413 });
    });

    await t.test('a body with two lengths', async () => {
        const { status, body } = await server.raw(`POST ${ROUTE} HTTP/1.1\r\nHost: localhost\r\n` +
            'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
        assertError(status, body);
    });

    await t.test('routes and methods', async () => {
        for (const route of ['/v1', '/v1/chat', '/administrator', '/v1/chat/completions/', '/%00', '/../etc/passwd']) {
            const { status, body } = await server.raw(`GET ${route} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
            assert.ok(status === 404 || status === 400, `${route}: ${status}`);
            assertError(status, body, { wanted: status });
        }
        const answer = await server.fetch('/admin/prompts/default', { method: 'POST' });
        assert.equal(answer.headers.get('allow'), 'GET, HEAD, PUT, DELETE, OPTIONS');
        assertError(answer.status, await answer.text(), { wanted: 405 });
    });

    await t.test('a host that is not this machine', async () => {
        for (const host of ['example.org', '127.0.0.1.example.org', '10.0.0.1']) {
            const { status, body } = await server.raw(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
            assertError(status, body, { wanted: 403 });
        }
    });
});

test('a body of too many values is refused before a tree is made of it', { skip: missing() }, async (t) => {
    const server = await startServer(t);
    const zeros = `{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"metadata":[0${',0'.repeat(4_000_000)}]}`;
    const keys = `{"messages":[{"role":"user","content":"a"}],"max_tokens":1${',"":0'.repeat(1_300_000)}}`;
    for (const [body, message] of [[zeros, /400000 values/], [keys, /20000 members/]]) {
        const answer = await server.fetch(ROUTE, { method: 'POST', body });
        const text = await answer.text();
        assertError(answer.status, text);
        assert.match(text, message);
    }
    const many = { max_tokens: 1, metadata: new Array(300_000).fill(0) };
    assert.equal((await server.post(ROUTE, ask('Hello', many))).status, 200);
});

test('public routes want the API key when one is set', { skip: missing() }, async (t) => {
    const server = await startServer(t, { args: ['--api-key', 'public'] });
    for (const [key, status] of [['public', 200], ['wrong', 401], [server.adminKey, 401]]) {
        const answer = await server.post(ROUTE, ask('Hello', { max_tokens: 1 }),
            { headers: { authorization: `Bearer ${key}` } });
        assert.equal(answer.status, status);
        await answer.text();
    }
    assert.equal((await server.fetch('/healthz')).status, 200);
});
