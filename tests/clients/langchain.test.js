'use strict';
// LangChain's classes for OpenAI, against the real server.

const assert = require('node:assert/strict');
const test = require('node:test');

const { z } = require('zod');

const { API_KEY, IDLE, MODEL, MODELS, QUESTION, skipModules: skip, start, waitForLoad } = require('./lib/weir.js');

const { AIMessageChunk, HumanMessage, SystemMessage, ToolMessage } = skip ? {} : require('@langchain/core/messages');
const { tool } = skip ? {} : require('@langchain/core/tools');
const { ChatOpenAI, OpenAIEmbeddings } = skip ? {} : require('@langchain/openai');

const Person = z.object({ name: z.string().max(8), age: z.int().min(0).max(120) });
const weather = () => tool(({ city }) => `clear sky over ${city}`,
    { name: 'get_weather', description: 'The weather', schema: z.object({ city: z.string().max(8) }) });

const chat = (server, more = {}) => new ChatOpenAI({
    model: MODEL, temperature: 0, maxTokens: 120, maxRetries: 0, apiKey: API_KEY,
    configuration: { baseURL: `${server.url}/v1` }, ...more,
});

async function gather(stream) {
    let sum;
    let count = 0;
    for await (const chunk of stream) {
        sum = sum ? sum.concat(chunk) : chunk;
        count++;
    }
    assert.ok(sum instanceof AIMessageChunk);
    return { sum, count };
}

for (const useResponsesApi of [false, true]) {
    const through = useResponsesApi ? 'responses' : 'chat completions';

    test(`langchain: invoke and stream, through ${through}`, { skip }, async (t) => {
        const model = chat(await start(t), { useResponsesApi });
        const whole = await model.invoke(QUESTION);
        assert.match(whole.text, /68/);
        const { input_tokens: read, output_tokens: made, total_tokens: all } = whole.usage_metadata;
        assert.equal(all, read + made);
        const { sum, count } = await gather(await model.stream(QUESTION));
        assert.equal(sum.text, whole.text);
        assert.ok(count > 2, 'it came in pieces');
        assert.equal(sum.usage_metadata.total_tokens, all);
        const named = await model.invoke([new SystemMessage('Your name is Marlow.'), new HumanMessage('Who are you?')]);
        assert.match(named.text, /Marlow/);
        const batch = await model.batch([QUESTION, QUESTION]);
        assert.deepEqual(batch.map(({ text }) => text), [whole.text, whole.text]);
    });

    for (const name of Object.keys(MODELS)) {
        const what = `through ${through}, ${name} model`;

        test(`langchain: a tool is called, and its result is read, ${what}`, { skip }, async (t) => {
            const model = chat(await start(t, { model: name }), { useResponsesApi });
            const get_weather = weather();
            // Through responses LangChain passes on no tool_choice but a name.
            const bound = model.bindTools([get_weather],
                { tool_choice: 'get_weather', parallel_tool_calls: false, strict: true });
            const called = await bound.invoke(QUESTION);
            assert.deepEqual(called.tool_calls.map((call) => [call.name, typeof call.args.city]),
                [['get_weather', 'string']]);
            assert.deepEqual(called.invalid_tool_calls, []);
            const { sum } = await gather(await bound.stream(QUESTION));
            assert.deepEqual(sum.tool_calls.map(({ args }) => args), called.tool_calls.map(({ args }) => args));
            const result = await get_weather.invoke(called.tool_calls[0]);
            assert.ok(result instanceof ToolMessage);
            assert.match(result.content, /^clear sky over /);
            const after = await model.bindTools([get_weather]).invoke([new HumanMessage(QUESTION), called, result]);
            assert.ok(after.usage_metadata.input_tokens > called.usage_metadata.input_tokens);
        });

        test(`langchain: withStructuredOutput, ${what}`, { skip }, async (t) => {
            const model = chat(await start(t, { model: name }), { useResponsesApi });
            for (const method of ['jsonSchema', 'functionCalling']) {
                const asking = model.withStructuredOutput(Person, { name: 'person', method, includeRaw: true });
                const { raw, parsed } = await asking.invoke(QUESTION);
                assert.deepEqual(parsed, Person.parse(parsed), `${method}: ${JSON.stringify(raw.content)}`);
            }
        });
    }
}

test('langchain: reasoning stands apart', { skip }, async (t) => {
    const server = await start(t, { model: 'thinking' });
    const answer = await chat(server).invoke(QUESTION);
    assert.equal(answer.text, '68.');
    assert.equal(answer.additional_kwargs.reasoning_content, '23 + 45');
    const { sum } = await gather(await chat(server).stream(QUESTION));
    assert.equal(sum.text, '68.');
    const item = await chat(server, { useResponsesApi: true }).invoke(QUESTION);
    assert.equal(item.text, '68.');
});

test('langchain: embeddings', { skip }, async (t) => {
    const server = await start(t);
    const embeddings = new OpenAIEmbeddings(
        { model: MODEL, apiKey: API_KEY, maxRetries: 0, configuration: { baseURL: `${server.url}/v1` } });
    const query = await embeddings.embedQuery('a fox in the snow');
    const [fox, copper] = await embeddings.embedDocuments(['a fox in snow', 'the price of copper']);
    const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    assert.equal(query.length, 256);
    assert.ok(dot(query, fox) > dot(query, copper));
});

test('langchain: aborting ends the work, errors name the status', { skip }, async (t) => {
    const server = await start(t);
    const controller = new AbortController();
    const story = chat(server, { maxTokens: 900, modelKwargs: { ignore_eos: true } });
    await assert.rejects(async () => {
        for await (const _ of await story.stream('Tell me a story about a fox.', { signal: controller.signal })) {
            controller.abort();
        }
    });
    await waitForLoad(server, IDLE);
    const { output_tokens: made } = await (await server.admin('GET', '/admin/models')).json();
    assert.ok(made < 900, `${made} tokens were made`);
    await assert.rejects(chat(server, { apiKey: 'wrong' }).invoke(QUESTION), ({ status }) => status === 401);
    await assert.rejects(chat(server, { model: 'another' }).invoke(QUESTION), ({ status }) => status === 404);
});
