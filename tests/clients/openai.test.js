'use strict';
// OpenAI's own client library against the real server.

const assert = require('node:assert/strict');
const test = require('node:test');

const { default: OpenAI } = require('openai');

const { startServer, missing } = require('../e2e/lib/server.js');

const skip = missing();
const API_KEY = 'an-api-key-for-tests';
const ASK = { model: 'weir-tiny', temperature: 0, messages: [{ role: 'user', content: 'What is 23 + 45?' }] };

const clientOf = (server, apiKey = API_KEY) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
const start = (t) => startServer(t, { args: ['--api-key', API_KEY] });

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
    assert.deepEqual(usage, whole.usage);
});

test('openai: the stream helper puts the answer together', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const deltas = [];
    const stream = client.chat.completions.stream(ASK).on('content', (delta) => deltas.push(delta));
    const answer = await stream.finalChatCompletion();
    assert.equal(answer.choices[0].message.content, deltas.join(''));
    assert.match(answer.choices[0].message.content, /68/);
});

test('openai: leaving a stream early ends the work', { skip }, async (t) => {
    const server = await start(t);
    const client = clientOf(server);
    const stream = await client.chat.completions.create({
        ...ASK, messages: [{ role: 'user', content: 'Tell me a story about a fox.' }], stream: true });
    for await (const chunk of stream) {
        if (chunk.choices[0]?.delta?.content) {
            break;
        }
    }
    const running = async () => (await (await server.admin('GET', '/admin/models')).json()).running;
    for (let i = 0; i < 100 && (await running()) > 0; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(await running(), 0);
});

test('openai: errors are of the class that the status calls for', { skip }, async (t) => {
    const server = await start(t);
    const client = clientOf(server);
    await assert.rejects(client.chat.completions.create({ ...ASK, model: 'another' }), (error) => {
        assert.ok(error instanceof OpenAI.NotFoundError, `${error}`);
        assert.equal(error.code, 'model_not_found');
        assert.equal(error.param, 'model');
        return true;
    });
    await assert.rejects(client.chat.completions.create({ ...ASK, temperature: 9 }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
        assert.equal(error.param, 'temperature');
        return true;
    });
    await assert.rejects(client.chat.completions.create({ ...ASK, messages: [] }), OpenAI.BadRequestError);
    await assert.rejects(clientOf(server, 'wrong').models.list(), OpenAI.AuthenticationError);
});

test('openai: the model list', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const ids = [];
    for await (const model of client.models.list()) {
        ids.push(model.id);
    }
    assert.deepEqual(ids, ['weir-tiny']);
    assert.equal((await client.models.retrieve('weir-tiny')).object, 'model');
});

test('openai: the stream helper keeps n answers apart', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const request = { ...ASK, n: 2, temperature: 1, seed: 5, messages: [{ role: 'user', content: 'Tell me a story.' }] };
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    const whole = await client.chat.completions.create(request);
    const texts = ({ choices }) => choices.map((choice) => choice.message.content);
    assert.equal(streamed.choices.length, 2);
    assert.deepEqual(texts(streamed), texts(whole));
    assert.notEqual(texts(whole)[0], texts(whole)[1]);
});

test('openai: a client that is refused for want of room comes back when it was told to', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--api-key', API_KEY, '--parallel', '1', '--queue', '0'] });
    const patient = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: API_KEY, maxRetries: 5 });
    const long = { ...ASK, max_tokens: 300, ignore_eos: true };
    const answers = await Promise.all(Array.from({ length: 3 }, () => patient.chat.completions.create(long)));
    for (const answer of answers) {
        assert.equal(answer.usage.completion_tokens, 300);
    }
});
