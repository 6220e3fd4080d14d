'use strict';
// OpenAI's own client library against the real server: chat completions, the model list, errors.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { default: OpenAI } = require('openai');

const { weir } = require('../e2e/lib/command.js');
const { makeFolder, writeFile, writeOtherVersion } = require('../e2e/lib/files.js');
const { putVersion } = require('../e2e/lib/model_repo.js');
const { modelPath, startServer } = require('../e2e/lib/server.js');
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

test('openai: versions of several models, by name, label and hash; what may not be had is an exception', { skip }, async (t) => {
    const folder = makeFolder(t);
    const repo = path.join(folder, 'repo');
    const keys = path.join(folder, 'keys');
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    putVersion(repo, 'tiny', '1', { file: other, manifest: { labels: ['stable'], deprecated: '2030-01-31' } });
    putVersion(repo, 'tiny', '2', { file: modelPath() });
    putVersion(repo, 'large', '1', { file: modelPath() });
    const keyOf = (name, ...more) => weir(['keys', 'add', '--file', keys, '--name', name, ...more]).stdout.trim();
    const all = keyOf('all'), pinned = keyOf('pinned', '--model', 'tiny@stable'), indexer = keyOf('indexer', '--scopes', 'embeddings');
    const server = await startServer(t, { model: 'tiny', args: ['--repo', repo, '--api-key-file', keys, '--temperature', '0'] });
    assert.equal((await server.admin('POST', '/admin/models/tiny/load', { version: '1' })).status, 200);
    const client = clientOf(server, { apiKey: all });
    const listed = [];
    for await (const model of client.models.list()) {
        listed.push([model.id, model.object, model.owned_by, model.state, model.labels, model.deprecated]);
    }
    assert.deepEqual(listed, [['tiny', 'model', 'weir', 'serving', [], null],
        ['tiny@1', 'model', 'weir', 'kept', ['stable'], '2030-01-31']]);
    const one = await client.models.retrieve('tiny@1');
    assert.deepEqual([one.id, one.version, one.labels], ['tiny@1', 'tiny@1', ['stable']]);
    assert.ok(one.created > 1.7e9);
    assert.equal((await client.models.retrieve('tiny@stable')).sha256, one.sha256);

    const ask = (model, from = client) => from.chat.completions.create({ ...ASK, model, max_tokens: 8 }).withResponse();
    const served = await ask('tiny');
    for (const name of ['tiny@1', 'tiny@stable', `tiny@sha256:${one.sha256.slice(0, 12)}`]) {
        const { data, response } = await ask(name);
        assert.equal(data.model, 'tiny@1');
        assert.match(response.headers.get('weir-model'), /^tiny@1; sha256=/);
        assert.notEqual(data.system_fingerprint, served.data.system_fingerprint);
    }
    assert.equal(served.data.model, 'tiny@2');
    const stream = await client.chat.completions.create({ ...ASK, model: 'tiny@stable', max_tokens: 8, stream: true });
    for await (const chunk of stream) {
        assert.equal(chunk.model, 'tiny@1');
    }

    // What the exceptions say: what is wrong, and what may be asked for.
    const refused = async (promise, kind, code, pattern) => {
        const error = await promise.then(() => assert.fail('it is not refused'), (e) => e);
        assert.ok(error instanceof kind, error.stack);
        assert.equal(error.code, code);
        assert.match(error.message, pattern);
    };
    for (const once of [() => ask('tiny@7'), () => client.models.retrieve('tiny@7')]) {
        await refused(once(), OpenAI.NotFoundError, 'model_not_found', /^404 the model "tiny@7" does not exist here; "tiny" \("tiny@2"\), "tiny@1" \("tiny@stable"\) may be asked for$/);
    }
    await refused(ask('large'), OpenAI.NotFoundError, 'model_not_loaded', /^404 the model "large" is not loaded .*; "tiny" /);
    await refused(ask('tiny', clientOf(server, { apiKey: indexer })), OpenAI.PermissionDeniedError, 'missing_scope', /^403 .*chat/);
    await refused(ask('tiny', clientOf(server, { apiKey: 'wrong' })), OpenAI.AuthenticationError, 'invalid_api_key', /^401 /);
    const bound = clientOf(server, { apiKey: pinned });
    assert.equal((await ask('tiny', bound)).data.model, 'tiny@1');
    for (const once of [() => ask('tiny@2', bound), () => bound.models.retrieve('tiny@2')]) {
        await refused(once(), OpenAI.PermissionDeniedError, 'model_not_allowed', /^403 .*tiny@stable/);
    }
    const own = [];
    for await (const { id, version } of bound.models.list()) {
        own.push([id, version]);
    }
    assert.deepEqual(own, [['tiny@1', 'tiny@1']]);
    assert.equal((await ask('tiny@1', bound)).data.model, 'tiny@1');
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
