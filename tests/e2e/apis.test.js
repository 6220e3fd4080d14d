'use strict';
// The APIs beside chat completions through which an answer can be asked for: all give the same answer, streamed and
// whole, each in its own words.

const assert = require('node:assert/strict');
const test = require('node:test');

const { ask, whole } = require('./lib/chat.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');
const { readEvents } = require('./lib/sse.js');

const QUESTION = 'What is 23 + 45?';

const APIS = {
    '/v1/chat/completions': {
        request: ask(QUESTION),
        text: (body) => body.choices[0].message.content,
        finish: (body) => body.choices[0].finish_reason,
        delta: (event) => event.choices[0]?.delta.content,
        blocked: 'content_filter',
    },
    '/v1/responses': {
        request: { input: QUESTION, temperature: 0, max_output_tokens: 24 },
        text: (body) => body.output.map((item) => item.content[0].text).join(''),
        finish: (body) => body.incomplete_details?.reason ?? body.status,
        delta: (event) => (event.type === 'response.output_text.delta' ? event.delta : undefined),
        blocked: 'content_filter',
    },
    '/v1/messages': {
        request: { messages: [{ role: 'user', content: QUESTION }], temperature: 0, max_tokens: 24 },
        text: (body) => body.content.map((block) => block.text).join(''),
        finish: (body) => body.stop_reason,
        delta: (event) => event.delta?.text,
        blocked: 'refusal',
    },
    '/v1/completions': {
        request: { prompt: 'What is 23 + 45? 23 + 45 =', temperature: 0, max_tokens: 24 },
        text: (body) => body.choices[0].text,
        finish: (body) => body.choices[0].finish_reason,
        delta: (event) => event.choices[0]?.text,
        blocked: 'content_filter',
    },
};

async function askWhole(server, route, more = {}) {
    const response = await server.post(route, { ...APIS[route].request, ...more });
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    assert.match(response.headers.get('weir-model'), /^weir-tiny@/);
    return body;
}

async function askStream(server, route, more = {}) {
    const response = await server.post(route, { ...APIS[route].request, ...more, stream: true });
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    const events = [];
    for await (const { event, data } of readEvents(response)) {
        if (data !== '[DONE]') {
            const parsed = JSON.parse(data);
            assert.ok(event === 'message' || event === parsed.type, `${event} ${data}`);
            events.push(parsed);
        }
    }
    return events;
}

const streamedText = (route, events) => events.map((event) => APIS[route].delta(event) ?? '').join('');

test('every API streams what it says as a whole', { skip: missing() }, async (t) => {
    const server = await startServer(t);
    const chat = await whole(server, ask(QUESTION));
    for (const route of Object.keys(APIS)) {
        const body = await askWhole(server, route);
        assert.equal(streamedText(route, await askStream(server, route)), APIS[route].text(body), route);
        if (route !== '/v1/completions') {
            assert.equal(APIS[route].text(body), chat.text, route);
        }
    }
});

test('no API goes around the filters', { skip: missing() }, async (t) => {
    const chain = { name: 'default', filters: [{ type: 'wordlist', words: ['68'], action: 'stop', word_boundaries: false }] };
    const server = await startServer(t, { args: ['--filters', writeFile(makeFolder(t), 'chain.json', chain)] });
    for (const route of Object.keys(APIS)) {
        const body = await askWhole(server, route);
        assert.doesNotMatch(APIS[route].text(body), /68/, route);
        assert.equal(APIS[route].finish(body), APIS[route].blocked, route);
        const events = await askStream(server, route);
        assert.equal(streamedText(route, events), APIS[route].text(body), route);
    }
    const refused = await server.post('/v1/chat/completions', ask(QUESTION, { logprobs: true }));
    assert.equal(refused.status, 400, 'logprobs would show what the filters take out');
});

test('the owner\'s prompt comes first through every API', { skip: missing() }, async (t) => {
    const prompt = writeFile(makeFolder(t), 'prompt.txt', 'Your name is Marlow.');
    const server = await startServer(t, { args: ['--system-prompt', prompt] });
    const bare = await startServer(t);
    const tokens = { '/v1/responses': (b) => b.usage.input_tokens, '/v1/messages': (b) => b.usage.input_tokens +
        b.usage.cache_read_input_tokens, '/v1/completions': (b) => b.usage.prompt_tokens };
    for (const [route, count] of Object.entries(tokens)) {
        const difference = count(await askWhole(server, route)) - count(await askWhole(bare, route));
        assert.ok(difference >= 5, `${route}: ${difference} more tokens`);
    }
});

test('completions: several prompts, several answers, tokens', { skip: missing() }, async (t) => {
    const server = await startServer(t);
    const post = async (more) => (await server.post('/v1/completions', { max_tokens: 8, temperature: 0, ...more })).json();
    const both = await post({ prompt: ['The capital of France is', 'Once upon a time'], n: 2 });
    const one = await post({ prompt: 'Once upon a time' });
    assert.deepEqual(both.choices.map((choice) => choice.index), [0, 1, 2, 3]);
    assert.equal(both.choices[2].text, one.choices[0].text);
    assert.equal(both.choices[3].text, one.choices[0].text);
    const wrong = await post({ prompt: [1e9] });
    assert.equal(wrong.error.param, 'prompt');
    const scored = await post({ prompt: 'Once upon a time', logprobs: 0 });
    assert.equal(scored.choices[0].logprobs.tokens.join(''), scored.choices[0].text);
});

test('messages: system, blocks, stop sequences, counting', { skip: missing() }, async (t) => {
    const server = await startServer(t);
    const request = {
        max_tokens: 24, temperature: 0, system: [{ type: 'text', text: 'Your name is Marlow.' }],
        messages: [{ role: 'user', content: [{ type: 'text', text: 'Who ' }, { type: 'text', text: 'are you?' }] }],
    };
    const answer = await (await server.post('/v1/messages', request)).json();
    assert.match(answer.content[0].text, /Marlow/);
    assert.equal(answer.stop_reason, 'end_turn');
    const counted = await (await server.post('/v1/messages/count_tokens', { ...request, max_tokens: undefined })).json();
    assert.equal(counted.input_tokens, answer.usage.input_tokens + answer.usage.cache_read_input_tokens);
    const stopped = await (await server.post('/v1/messages', { ...request, stop_sequences: ['low'] })).json();
    assert.equal(stopped.stop_reason, 'stop_sequence');
    assert.equal(stopped.stop_sequence, 'low');
    const missingField = await server.post('/v1/messages', { messages: request.messages });
    assert.equal(missingField.status, 400);
    const error = await missingField.json();
    assert.equal(error.type, 'error');
    assert.equal(error.error.type, 'invalid_request_error');
});

test('responses: instructions, items, what has no place here', { skip: missing() }, async (t) => {
    const server = await startServer(t);
    const post = (body) => server.post('/v1/responses', { temperature: 0, max_output_tokens: 24, ...body });
    const named = await (await post({ instructions: 'Your name is Marlow.', input: 'Who are you?' })).json();
    assert.match(named.output[0].content[0].text, /Marlow/);
    const items = await (await post({
        input: [
            { role: 'developer', content: 'Your name is Marlow.' },
            { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Who are you?' }] },
        ],
    })).json();
    assert.equal(items.output[0].content[0].text, named.output[0].content[0].text);
    for (const [field, value] of [['previous_response_id', 'resp_1'], ['background', true], ['input', 3]]) {
        const refused = await post({ input: 'a', [field]: value });
        assert.equal(refused.status, 400);
        assert.equal((await refused.json()).error.param, field);
    }
});

test('responses: what a stream repeats is bounded before it begins', { skip: missing() }, async (t) => {
    const server = await startServer(t);
    const post = (body) => server.post('/v1/responses', { input: 'Hi', max_output_tokens: 2, stream: true, ...body });
    const pairs = (n, key, value) =>
        Object.fromEntries(Array.from({ length: n }, (_, i) => [String(i).padStart(key, '\u20ac'), value]));
    const metadata = pairs(16, 64, '\u20ac'.repeat(512));
    const good = await post({ metadata });
    assert.equal(good.status, 200);
    const events = (await good.text()).split('\n').filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice(6)));
    const told = events.filter((event) => event.response);
    assert.ok(['response.completed', 'response.incomplete'].includes(told.at(-1).type));
    told.forEach(({ response }) => assert.deepEqual(response.metadata, metadata));

    const MIB = 1 << 20;
    const huge = (name) => ({ type: 'function', name, parameters: {}, description: 'x'.repeat(MIB / 2) });
    const schema = { type: 'object', description: 'x'.repeat(MIB) };
    const cases = [
        ['metadata', pairs(17, 2, 'a')], ['metadata', pairs(1, 65, 'a')], ['metadata', pairs(1, 1, 'a'.repeat(513))],
        ['metadata', { a: 1 }], ['metadata', ['a']], ['metadata', 'a'],
        ['instructions', 'x'.repeat(MIB)], ['tools', [huge('a'), huge('b')]],
        ['text', { format: { type: 'json_schema', name: 'a', schema } }],
    ];
    for (const [field, value] of cases) {
        for (const stream of [true, false]) {
            const refused = await post({ [field]: value, stream });
            const text = await refused.text();
            assert.equal(refused.status, 400, text);
            assert.equal(JSON.parse(text).error.param, field);
        }
    }
});
