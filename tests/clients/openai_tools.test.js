'use strict';
// OpenAI's own client library: calls of tools, answers of a stated form, reasoning; through chat completions.

const assert = require('node:assert/strict');
const test = require('node:test');

const { default: OpenAI } = require('openai');
const { zodFunction, zodResponseFormat } = require('openai/helpers/zod');
const { z } = require('zod');

const { API_KEY, CITY, MODEL, MODELS, QUESTION, answerAfterResult, skip, start } = require('./lib/weir.js');

const ASK = { model: MODEL, temperature: 0, max_tokens: 120, messages: [{ role: 'user', content: QUESTION }] };
const WEATHER = {
    type: 'function', function: { name: 'get_weather', description: 'The weather', parameters: CITY, strict: true },
};
const CALL = { ...ASK, tools: [WEATHER], tool_choice: 'required', parallel_tool_calls: false };
const Person = z.object({
    name: z.string().max(8), age: z.int().min(0).max(120), job: z.enum(['baker', 'sailor']).nullable(),
});

const clientOf = (server, more = {}) =>
    new OpenAI({ baseURL: `${server.url}/v1`, apiKey: API_KEY, maxRetries: 0, ...more });

for (const model of Object.keys(MODELS)) {
    test(`openai: a tool is called, and its result is read, ${model} model`, { skip }, async (t) => {
        const client = clientOf(await start(t, { model }));
        const [choice] = (await client.chat.completions.create(CALL)).choices;
        assert.equal(choice.finish_reason, 'tool_calls');
        assert.equal(choice.message.content, null);
        const [call, ...others] = choice.message.tool_calls;
        assert.deepEqual(others, []);
        assert.equal(call.function.name, 'get_weather');
        assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');

        const after = await client.chat.completions.create({
            ...CALL, tool_choice: 'auto', max_tokens: 20,
            messages: [...ASK.messages, choice.message,
                { role: 'tool', tool_call_id: call.id, content: '{"sky": "clear"}' }],
        });
        assert.equal(after.choices[0].message.role, 'assistant');
        const before = await client.chat.completions.create({ ...CALL, tool_choice: 'auto', max_tokens: 1 });
        assert.ok(after.usage.prompt_tokens > before.usage.prompt_tokens + 10, 'call and result are in the prompt');
    });

    test(`openai: the stream helper puts a call together, ${model} model`, { skip }, async (t) => {
        const client = clientOf(await start(t, { model }));
        const whole = (await client.chat.completions.create(CALL)).choices[0].message.tool_calls[0].function;
        let text = '';
        const done = [];
        const stream = client.chat.completions.stream(CALL)
            .on('tool_calls.function.arguments.delta', ({ arguments_delta: delta }) => (text += delta))
            .on('tool_calls.function.arguments.done', (call) => done.push(call));
        const { choices } = await stream.finalChatCompletion();
        assert.equal(choices[0].finish_reason, 'tool_calls');
        const [call] = choices[0].message.tool_calls;
        assert.match(call.id, /^call_/);
        assert.deepEqual([call.function.name, call.function.arguments], [whole.name, whole.arguments]);
        assert.equal(text, whole.arguments);
        assert.deepEqual(done.map(({ name, parsed_arguments: parsed }) => [name, parsed]),
            [['get_weather', JSON.parse(whole.arguments)]]);
    });

    for (const stream of [false, true]) {
        const how = `${stream ? 'streamed' : 'whole'}, ${model} model`;
        test(`openai: the tools runner calls a function, ${how}`, { skip }, async (t) => {
            const client = clientOf(await start(t, { model }), { fetch: answerAfterResult });
            const cities = [];
            const tool = zodFunction({
                name: 'get_weather', parameters: z.object({ city: z.string().max(8) }),
                function: ({ city }) => {
                    cities.push(city);
                    return { sky: 'clear' };
                },
            });
            const runner = client.chat.completions.runTools({
                ...CALL, tools: [tool], reasoning_effort: 'none',
                ...(stream && { stream, stream_options: { include_usage: true } }),
            });
            const answer = await runner.finalContent();
            assert.equal(typeof answer, 'string');
            assert.equal(cities.length, 1);
            assert.equal(typeof cities[0], 'string');
            const roles = runner.messages.map(({ role }) => role);
            assert.deepEqual(roles, ['user', 'assistant', 'tool', 'assistant']);
            assert.equal(runner.messages[2].content, '{"sky":"clear"}');
            assert.equal(runner.messages[3].content, answer);
            assert.ok((await runner.totalUsage()).completion_tokens > 0);
        });
    }

    test(`openai: parse gives an object of the schema, ${model} model`, { skip }, async (t) => {
        const client = clientOf(await start(t, { model }));
        const request = { ...ASK, response_format: zodResponseFormat(Person, 'person') };
        const [{ message }] = (await client.chat.completions.parse(request)).choices;
        assert.deepEqual(message.parsed, Person.parse(JSON.parse(message.content)));
        const streamed = await client.chat.completions.stream(request).finalChatCompletion();
        assert.deepEqual(streamed.choices[0].message.parsed, message.parsed);
        await assert.rejects(client.chat.completions.parse({ ...request, max_tokens: 4 }),
            OpenAI.LengthFinishReasonError);
    });
}

test('openai: a model calls as its template taught it to', { skip }, async (t) => {
    const wrote = { shipped: /^\s*\{\s*"tool_calls"/, thinking: /<tool_call>\s*\{\s*"name"\s*:\s*"get_weather"/ };
    for (const [model, pattern] of Object.entries(wrote)) {
        const client = clientOf(await start(t, { model }));
        const { choices } = await client.chat.completions.create({ ...CALL, logprobs: true });
        assert.match(choices[0].logprobs.content.map(({ token }) => token).join(''), pattern);
    }
});

test('openai: parse gives arguments of a strict tool', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const tool = zodFunction({ name: 'add_person', parameters: Person });
    const [{ message }] = (await client.chat.completions.parse({ ...CALL, tools: [tool] })).choices;
    const { name, parsed_arguments: parsed } = message.tool_calls[0].function;
    assert.equal(name, 'add_person');
    assert.deepEqual(parsed, Person.parse(parsed));
});

test('openai: a tool is chosen by name, among those allowed, or not at all', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const other = { type: 'function', function: { name: 'now' } };
    const called = async (tool_choice) => {
        const { choices } = await client.chat.completions.create({ ...CALL, tools: [WEATHER, other], tool_choice });
        return choices[0].message.tool_calls?.map((call) => call.function);
    };
    const now = [{ name: 'now', arguments: '{}' }];
    assert.deepEqual(await called({ type: 'function', function: { name: 'now' } }), now);
    assert.deepEqual(await called({ type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [other] } }), now);
    assert.equal(await called('none'), undefined);
});

test('openai: a schema that cannot be enforced is refused, not forgotten', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const schema = { type: 'object', properties: { a: { type: 'array', contains: { type: 'string' } } } };
    const response_format = { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } };
    await assert.rejects(client.chat.completions.create({ ...ASK, response_format }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
        assert.equal(error.param, 'response_format.json_schema.schema');
        assert.match(error.message, /contains/);
        return true;
    });
});

test('openai: reasoning stands apart from the answer, and can be switched off', { skip }, async (t) => {
    const client = clientOf(await start(t, { model: 'thinking' }));
    const { choices: [{ message }], usage } = await client.chat.completions.create(ASK);
    assert.equal(message.reasoning_content, '23 + 45');
    assert.equal(message.content, '68.');
    assert.ok(usage.completion_tokens_details.reasoning_tokens > 0);
    const streamed = await client.chat.completions.stream(ASK).finalChatCompletion();
    assert.equal(streamed.choices[0].message.content, message.content);
    let reasoning = '';
    for await (const chunk of await client.chat.completions.create({ ...ASK, stream: true })) {
        reasoning += chunk.choices[0]?.delta.reasoning_content ?? '';
    }
    assert.equal(reasoning, message.reasoning_content);
    const quick = await client.chat.completions.create({ ...ASK, reasoning_effort: 'none' });
    assert.equal(quick.choices[0].message.reasoning_content, undefined);
    assert.equal(quick.usage.completion_tokens_details.reasoning_tokens, 0);
});
