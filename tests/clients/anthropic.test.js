'use strict';
// Anthropic's own client library against the real server.

const assert = require('node:assert/strict');
const test = require('node:test');

const { default: Anthropic } = require('@anthropic-ai/sdk');
const { betaZodTool } = require('@anthropic-ai/sdk/helpers/beta/zod');
const { zodOutputFormat } = require('@anthropic-ai/sdk/helpers/zod');
const { z } = require('zod');

const { makeFolder, writeFile } = require('../e2e/lib/files.js');
const {
    API_KEY, CITY, IDLE, MODEL, MODELS, QUESTION, answerAfterResult, occupy, skip, start, waitForLoad,
} = require('./lib/weir.js');

const ASK = { model: MODEL, temperature: 0, max_tokens: 120, messages: [{ role: 'user', content: QUESTION }] };
const WEATHER = { name: 'get_weather', description: 'The weather', input_schema: CITY };
const CALL = { ...ASK, tools: [WEATHER], tool_choice: { type: 'any', disable_parallel_tool_use: true } };
const STORY = {
    ...ASK, messages: [{ role: 'user', content: 'Tell me a story about a fox.' }], max_tokens: 900, ignore_eos: true,
};

const clientOf = (server, more = {}) => new Anthropic({ baseURL: server.url, apiKey: API_KEY, maxRetries: 0, ...more });
const textOf = ({ content }) => content.map(({ text }) => text ?? '').join('');

test('anthropic: a whole message, a system prompt, counted tokens, models', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const answer = await client.messages.create(ASK);
    assert.deepEqual([answer.type, answer.role], ['message', 'assistant']);
    assert.deepEqual([answer.stop_reason, answer.stop_sequence], ['end_turn', null]);
    assert.match(textOf(answer), /68/);
    const request = { ...ASK, system: 'Your name is Marlow.', messages: [{ role: 'user', content: 'Who are you?' }] };
    const named = await client.messages.create(request);
    assert.match(textOf(named), /Marlow/);
    const { max_tokens, temperature, ...counted } = request;
    const { input_tokens: count } = await client.messages.countTokens(counted);
    assert.equal(count, named.usage.input_tokens + named.usage.cache_read_input_tokens);
    const ids = [];
    for await (const model of client.models.list()) {
        ids.push(model.id);
    }
    assert.deepEqual(ids, [MODEL]);
    const cut = await client.messages.create({ ...ASK, max_tokens: 2 });
    assert.deepEqual([cut.stop_reason, cut.usage.output_tokens], ['max_tokens', 2]);
});

test('anthropic: stop sequences end the message before them', { skip }, async (t) => {
    const client = clientOf(await start(t));
    for (const message of [await client.messages.create({ ...ASK, stop_sequences: ['6'] }),
        await client.messages.stream({ ...ASK, stop_sequences: ['6'] }).finalMessage()]) {
        assert.deepEqual([message.stop_reason, message.stop_sequence], ['stop_sequence', '6']);
        assert.doesNotMatch(textOf(message), /6/);
    }
});

test('anthropic: the stream helper puts the message together and tells of each piece', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const whole = await client.messages.create(ASK);
    const deltas = [];
    const blocks = [];
    const stream = client.messages.stream(ASK)
        .on('text', (delta) => deltas.push(delta))
        .on('contentBlock', (block) => blocks.push(block.type));
    const message = await stream.finalMessage();
    assert.deepEqual(message.content, whole.content);
    assert.equal(deltas.join(''), textOf(whole));
    assert.ok(deltas.length > 1, 'it came in pieces');
    assert.deepEqual(blocks, ['text']);
    assert.equal(message.stop_reason, 'end_turn');
    assert.equal(message.usage.output_tokens, whole.usage.output_tokens);
});

for (const model of Object.keys(MODELS)) {
    test(`anthropic: a tool is used, and its result is read, ${model} model`, { skip }, async (t) => {
        const client = clientOf(await start(t, { model }));
        const answer = await client.messages.create(CALL);
        assert.equal(answer.stop_reason, 'tool_use');
        const use = answer.content.at(-1);
        assert.deepEqual([use.type, use.name, Object.keys(use.input)], ['tool_use', 'get_weather', ['city']]);
        assert.equal(typeof use.input.city, 'string');

        const pieces = [];
        const stream = client.messages.stream(CALL).on('inputJson', (piece) => pieces.push(piece));
        const streamed = await stream.finalMessage();
        assert.equal(streamed.stop_reason, 'tool_use');
        assert.deepEqual(streamed.content.at(-1).input, use.input);
        assert.deepEqual(JSON.parse(pieces.join('')), use.input);

        const messages = [...ASK.messages, { role: 'assistant', content: answer.content },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'clear sky' }] }];
        const after = await client.messages.create(
            { ...CALL, messages, tool_choice: { type: 'auto' }, max_tokens: 20 });
        assert.equal(after.role, 'assistant');
        const count = async (list) =>
            (await client.messages.countTokens({ model: MODEL, messages: list, tools: [WEATHER] })).input_tokens;
        assert.ok(await count(messages) > await count(ASK.messages) + 10, 'call and result are in the prompt');
    });
}

test('anthropic: the tool runner calls a function', { skip }, async (t) => {
    const client = clientOf(await start(t), { fetch: answerAfterResult });
    const cities = [];
    const tool = betaZodTool({
        name: 'get_weather', description: 'The weather', inputSchema: z.object({ city: z.enum(['Paris', 'Rome']) }),
        run: ({ city }) => {
            cities.push(city);
            return 'clear sky';
        },
    });
    const message = await client.beta.messages.toolRunner({ ...CALL, tools: [tool] });
    assert.equal(cities.length, 1);
    assert.ok(['Paris', 'Rome'].includes(cities[0]));
    assert.equal(message.stop_reason, 'end_turn');
});

test('anthropic: parse gives an object of the schema', { skip }, async (t) => {
    const client = clientOf(await start(t));
    // The helper takes limits of strings and numbers out of schemas.
    const Person = z.object({ job: z.enum(['baker', 'sailor']), retired: z.boolean().nullable() });
    const answer = await client.messages.parse({ ...ASK, output_config: { format: zodOutputFormat(Person) } });
    assert.deepEqual(answer.parsed_output, Person.parse(JSON.parse(textOf(answer))));
});

test('anthropic: thinking is a block of its own, and can be switched off', { skip }, async (t) => {
    const client = clientOf(await start(t, { model: 'thinking' }));
    const request = { ...ASK, max_tokens: 1200, thinking: { type: 'enabled', budget_tokens: 1024 } };
    const { content } = await client.messages.create(request);
    assert.deepEqual(content.map(({ type, thinking, text }) => [type, thinking ?? text]),
        [['thinking', '23 + 45'], ['text', '68.']]);
    const thoughts = [];
    const stream = client.messages.stream(request).on('thinking', (delta) => thoughts.push(delta));
    assert.deepEqual((await stream.finalMessage()).content, content);
    assert.equal(thoughts.join(''), '23 + 45');
    const longer = await client.messages.create({
        ...request, messages: [...ASK.messages, { role: 'assistant', content }, { role: 'user', content: QUESTION }] });
    assert.equal(longer.role, 'assistant');
    const quick = await client.messages.create({ ...ASK, thinking: { type: 'disabled' } });
    assert.deepEqual(quick.content.map(({ type }) => type), ['text']);
});

test('anthropic: what a filter ends is a refusal', { skip }, async (t) => {
    const chain = { name: 'default', filters: [{ type: 'wordlist', words: ['68'], action: 'stop' }] };
    const client = clientOf(await start(t, { args: ['--filters', writeFile(makeFolder(t), 'chain.json', chain)] }));
    for (const message of [await client.messages.create(ASK), await client.messages.stream(ASK).finalMessage()]) {
        assert.equal(message.stop_reason, 'refusal');
        assert.equal(message.stop_details.type, 'refusal');
        assert.doesNotMatch(textOf(message), /68/);
    }
});

test('anthropic: aborting a stream ends the work', { skip }, async (t) => {
    const server = await start(t);
    const stream = clientOf(server).messages.stream(STORY);
    stream.once('text', () => stream.abort());
    await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
    await waitForLoad(server, IDLE);
    const { output_tokens: made } = await (await server.admin('GET', '/admin/models')).json();
    assert.ok(made < STORY.max_tokens, `${made} tokens were made`);
});

test('anthropic: errors are of the class that the status calls for', { skip }, async (t) => {
    const server = await start(t);
    const client = clientOf(server);
    const cases = [
        [{ model: 'another' }, Anthropic.NotFoundError, 'not_found_error'],
        [{ temperature: 9 }, Anthropic.BadRequestError, 'invalid_request_error'],
        [{ messages: [] }, Anthropic.BadRequestError, 'invalid_request_error'],
        [{ messages: [{ role: 'user', content: [{ type: 'image', source: {} }] }] },
            Anthropic.BadRequestError, 'invalid_request_error'],
    ];
    for (const [more, type, name] of cases) {
        for (const stream of [false, true]) {
            await assert.rejects(client.messages.create({ ...ASK, ...more, stream }), (error) => {
                assert.ok(error instanceof type, `${error}`);
                assert.deepEqual([error.error.type, error.error.error.type, error.type], ['error', name, name]);
                return true;
            });
        }
    }
    const strangers = [[{ apiKey: 'wrong' }, 'x-api-key'], [{ apiKey: null, authToken: 'wrong' }, 'authorization']];
    for (const [stranger, header] of strangers) {
        await assert.rejects(clientOf(server, stranger).messages.create(ASK), (error) => {
            assert.ok(error instanceof Anthropic.AuthenticationError, `${header}: ${error}`);
            assert.equal(error.type, 'authentication_error');
            return true;
        });
    }
    const bearer = clientOf(server, { apiKey: null, authToken: API_KEY });
    assert.equal((await bearer.messages.create(ASK)).type, 'message', 'a key as a bearer token is one too');
    const late = client.messages.stream({ ...STORY, deadline_ms: 30 });
    await assert.rejects(late.finalMessage(), Anthropic.APIError);
});

test('anthropic: a client that is refused for want of room is told so', { skip }, async (t) => {
    const server = await start(t, { args: ['--parallel', '1', '--queue', '0'] });
    await occupy(server);
    await assert.rejects(clientOf(server).messages.create(ASK), (error) => {
        assert.ok(error instanceof Anthropic.RateLimitError, `${error}`);
        assert.equal(error.type, 'rate_limit_error');
        return true;
    });
});
