'use strict';
// OpenAI's own client library against the real server: chat completions, the model list, errors.

const assert = require('node:assert/strict');
const test = require('node:test');

const { default: OpenAI } = require('openai');

const { makeFolder, writeFile } = require('../e2e/lib/files.js');
const { API_KEY, BUSY, IDLE, MODEL, QUESTION, occupy, skip, start, waitForLoad } = require('./lib/weir.js');

const ASK = { model: MODEL, temperature: 0, messages: [{ role: 'user', content: QUESTION }] };
const STORY = {
    ...ASK, messages: [{ role: 'user', content: 'Tell me a story about a fox.' }], max_tokens: 900, ignore_eos: true,
};

const clientOf = (server, more = {}) =>
    new OpenAI({ baseURL: `${server.url}/v1`, apiKey: API_KEY, maxRetries: 0, ...more });

test('openai: a whole answer, with its provenance', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const { data, response } = await client.chat.completions.create(ASK).withResponse();
    assert.equal(data.object, 'chat.completion');
    assert.equal(data.choices[0].message.role, 'assistant');
    assert.match(data.choices[0].message.content, /68/);
    assert.equal(data.choices[0].finish_reason, 'stop');
    assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
    assert.match(data.system_fingerprint, /^weir-/);
    assert.match(response.headers.get('weir-model'), /^weir-tiny@/);
});

test('openai: a stream gives the same text, with usage at its end', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const whole = await client.chat.completions.create(ASK);
    let text = '';
    let finish = null;
    let usage = null;
    const stream = await client.chat.completions.create(
        { ...ASK, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) {
        text += chunk.choices[0]?.delta?.content ?? '';
        finish = chunk.choices[0]?.finish_reason ?? finish;
        usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(finish, 'stop');
    assert.equal(usage.total_tokens, whole.usage.total_tokens);
    assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test('openai: the stream helper puts the answer together and tells of each piece', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const deltas = [];
    const seen = [];
    const stream = client.chat.completions.stream(ASK)
        .on('content', (delta, snapshot) => {
            deltas.push(delta);
            assert.equal(snapshot, deltas.join(''));
        })
        .on('content.done', ({ content }) => seen.push(content))
        .on('finalContent', (content) => seen.push(content));
    const answer = await stream.finalChatCompletion();
    assert.match(answer.choices[0].message.content, /68/);
    assert.ok(deltas.length > 1, 'it came in pieces');
    assert.equal(answer.choices[0].message.content, deltas.join(''));
    assert.deepEqual(seen, [deltas.join(''), deltas.join('')]);
});

test('openai: the stream helper keeps n answers apart', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const request = { ...ASK, n: 2, temperature: 1, seed: 5, max_tokens: 40, messages: STORY.messages };
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    const whole = await client.chat.completions.create(request);
    const texts = ({ choices }) => choices.map((choice) => choice.message.content);
    assert.equal(streamed.choices.length, 2);
    assert.deepEqual(texts(streamed), texts(whole));
    assert.notEqual(texts(whole)[0], texts(whole)[1]);
});

test('openai: logprobs spell the answer, whole and streamed', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const request = { ...ASK, logprobs: true, top_logprobs: 3 };
    const [choice] = (await client.chat.completions.create(request)).choices;
    const tokens = choice.logprobs.content;
    const spelled = Buffer.concat(tokens.map(({ bytes }) => Buffer.from(bytes))).toString();
    assert.equal(spelled, choice.message.content);
    for (const { token, logprob, top_logprobs: top } of tokens) {
        assert.equal(top.length, 3);
        assert.deepEqual([top[0].token, top[0].logprob], [token, logprob], 'temperature 0 takes the likeliest');
        assert.ok(top[0].logprob >= top[1].logprob && top[1].logprob >= top[2].logprob);
    }
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].logprobs.content, tokens);
});

test('openai: fields that concern other servers do no harm', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const plain = await client.chat.completions.create({
        ...ASK, messages: [{ role: 'system', content: 'Be kind.' }, ...ASK.messages] });
    const { choices } = await client.chat.completions.create({
        ...ASK, store: false, metadata: { a: 'b' }, service_tier: 'auto', user: 'bo', safety_identifier: 'bo',
        prompt_cache_key: 'k', verbosity: 'low', modalities: ['text'], tools: [], stop: null, logit_bias: {},
        stream_options: null, response_format: { type: 'text' },
        messages: [{ role: 'developer', content: 'Be kind.' },
            { role: 'user', name: 'bo', content: [{ type: 'text', text: QUESTION }] }],
    });
    assert.equal(choices[0].message.content, plain.choices[0].message.content);
});

test('openai: the model list', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const ids = [];
    for await (const model of client.models.list()) {
        ids.push(model.id);
    }
    assert.deepEqual(ids, [MODEL]);
    assert.equal((await client.models.retrieve(MODEL)).object, 'model');
    await assert.rejects(client.models.retrieve('another'), OpenAI.NotFoundError);
});

test('openai: leaving a stream early ends the work', { skip }, async (t) => {
    const server = await start(t);
    const client = clientOf(server);
    const stream = await client.chat.completions.create({ ...STORY, stream: true });
    for await (const chunk of stream) {
        if (chunk.choices[0]?.delta?.content) {
            await waitForLoad(server, BUSY);
            break;
        }
    }
    await waitForLoad(server, IDLE);
});

test('openai: an AbortController ends the work, of a stream and of a whole answer', { skip }, async (t) => {
    const server = await start(t);
    const client = clientOf(server);
    const streaming = new AbortController();
    const stream = await client.chat.completions.create({ ...STORY, stream: true }, { signal: streaming.signal });
    let chunks = 0;
    for await (const _ of stream) { // an aborted stream just ends
        if (++chunks === 3) {
            streaming.abort();
        }
    }
    assert.ok(chunks < STORY.max_tokens, `${chunks} chunks came`);
    await waitForLoad(server, IDLE);

    const waiting = new AbortController();
    const answer = client.chat.completions.create(STORY, { signal: waiting.signal });
    const aborted = assert.rejects(answer, OpenAI.APIUserAbortError);
    await waitForLoad(server, BUSY);
    waiting.abort();
    await aborted;
    await waitForLoad(server, IDLE);
    const { output_tokens: made } = await (await server.admin('GET', '/admin/models')).json();
    assert.ok(made < 2 * STORY.max_tokens, `${made} tokens were made`);
});

test('openai: a client that ran out of patience ends the work too', { skip }, async (t) => {
    const server = await start(t);
    const answer = clientOf(server, { timeout: 200 }).chat.completions.create({ ...STORY, n: 16 });
    await assert.rejects(answer, OpenAI.APIConnectionTimeoutError);
    await waitForLoad(server, IDLE);
});

test('openai: errors are of the class that the status calls for', { skip }, async (t) => {
    const server = await start(t);
    const client = clientOf(server);
    const cases = [
        [{ model: 'another' }, OpenAI.NotFoundError, 404, 'model', 'model_not_found'],
        [{ temperature: 9 }, OpenAI.BadRequestError, 400, 'temperature', null],
        [{ messages: [] }, OpenAI.BadRequestError, 400, 'messages', null],
        [{ audio: { voice: 'alloy', format: 'mp3' } }, OpenAI.BadRequestError, 400, 'audio', 'unsupported_parameter'],
        [{ messages: [{ role: 'user', content: 'word '.repeat(5000) }] },
            OpenAI.BadRequestError, 400, 'messages', 'context_length_exceeded'],
        [{ deadline_ms: 1, max_tokens: 900, ignore_eos: true },
            OpenAI.InternalServerError, 504, 'deadline_ms', 'deadline_exceeded'],
    ];
    for (const [more, type, status, param, code] of cases) {
        await assert.rejects(client.chat.completions.create({ ...ASK, ...more }), (error) => {
            assert.ok(error instanceof type, `${error}`);
            assert.deepEqual([error.status, error.param, error.code], [status, param, code], error.message);
            return true;
        });
    }
    const strangers = clientOf(server, { apiKey: 'wrong' });
    await assert.rejects(strangers.models.list(), OpenAI.AuthenticationError);
    await assert.rejects(strangers.chat.completions.create({ ...ASK, stream: true }), (error) => {
        assert.ok(error instanceof OpenAI.AuthenticationError, `${error}`);
        assert.equal(error.code, 'invalid_api_key');
        return true;
    });
    await assert.rejects(client.post('/no/such/route', { body: {} }), OpenAI.NotFoundError);
});

test('openai: an error in the midst of a stream is thrown', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const late = { ...STORY, n: 16, stream: true, deadline_ms: 300 };
    await assert.rejects(async () => {
        for await (const _ of await client.chat.completions.create(late)); // until it fails
    }, (error) => {
        assert.ok(error instanceof OpenAI.APIError, `${error}`);
        assert.equal(error.code, 'deadline_exceeded');
        return true;
    });
});

test('openai: what a filter ends has its own finish reason, and parse says so', { skip }, async (t) => {
    const chain = { name: 'default', filters: [{ type: 'wordlist', words: ['68'], action: 'stop' }] };
    const client = clientOf(await start(t, { args: ['--filters', writeFile(makeFolder(t), 'chain.json', chain)] }));
    const { choices } = await client.chat.completions.create(ASK);
    assert.equal(choices[0].finish_reason, 'content_filter');
    assert.doesNotMatch(choices[0].message.content, /68/);
    const streamed = await client.chat.completions.stream(ASK).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.content, choices[0].message.content);
    const format = { type: 'json_schema', json_schema: { name: 'n', schema: { enum: ['68'] } } };
    await assert.rejects(client.chat.completions.parse({ ...ASK, response_format: format }),
        OpenAI.ContentFilterFinishReasonError);
});

test('openai: a client that is refused for want of room comes back when it was told to', { skip }, async (t) => {
    const server = await start(t, { args: ['--parallel', '1', '--queue', '0'] });
    const leave = await occupy(server);
    await assert.rejects(clientOf(server).chat.completions.create(ASK), (error) => {
        assert.ok(error instanceof OpenAI.RateLimitError, `${error}`);
        assert.equal(error.code, 'queue_full');
        assert.ok(Number(error.headers.get('retry-after')) >= 1);
        return true;
    });
    const statuses = [];
    const noting = async (...request) => {
        const response = await fetch(...request);
        statuses.push(response.status);
        leave();
        return response;
    };
    const { choices } = await clientOf(server, { maxRetries: 5, fetch: noting }).chat.completions.create(ASK);
    assert.match(choices[0].message.content, /68/);
    assert.deepEqual(statuses, [429, 200]);
});
