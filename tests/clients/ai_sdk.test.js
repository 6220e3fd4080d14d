'use strict';
// Vercel's AI SDK with its provider for servers that are compatible with OpenAI's, against the real server.

const assert = require('node:assert/strict');
const test = require('node:test');

const { z } = require('zod');

const { API_KEY, IDLE, MODEL, MODELS, QUESTION, skipModules: skip, start, waitForLoad } = require('./lib/weir.js');

const { createOpenAICompatible } = skip ? {} : require('@ai-sdk/openai-compatible');
const {
    APICallError, NoObjectGeneratedError, Output, cosineSimilarity, embed, embedMany, generateObject, generateText,
    isStepCount, streamText, tool,
} = skip ? {} : require('ai');

const Person = z.object({ name: z.string().max(8), age: z.int().min(0).max(120) });
const STORY = {
    prompt: 'Tell me a story about a fox.', maxOutputTokens: 900, providerOptions: { weir: { ignore_eos: true } },
};

const provider = (server, apiKey = API_KEY) => createOpenAICompatible(
    { name: 'weir', baseURL: `${server.url}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const asking = (server, apiKey) => ({
    model: provider(server, apiKey)(MODEL), prompt: QUESTION, temperature: 0, maxOutputTokens: 120, maxRetries: 0 });

test('ai: a text, whole and streamed', { skip }, async (t) => {
    const ask = asking(await start(t));
    const whole = await generateText(ask);
    assert.match(whole.text, /68/);
    assert.equal(whole.finishReason, 'stop');
    assert.equal(whole.usage.totalTokens, whole.usage.inputTokens + whole.usage.outputTokens);
    const stream = streamText(ask);
    const deltas = [];
    for await (const delta of stream.textStream) {
        deltas.push(delta);
    }
    assert.equal(deltas.join(''), whole.text);
    assert.ok(deltas.length > 1, 'it came in pieces');
    assert.equal(await stream.finishReason, 'stop');
    assert.equal((await stream.usage).totalTokens, whole.usage.totalTokens);
    const named = await generateText({ ...ask, instructions: 'Your name is Marlow.', prompt: 'Who are you?' });
    assert.match(named.text, /Marlow/);
    const cut = await generateText({ ...ask, maxOutputTokens: 2 });
    assert.equal(cut.finishReason, 'length');
});

for (const model of Object.keys(MODELS)) {
    test(`ai: an object of a schema, whole and streamed, ${model} model`, { skip }, async (t) => {
        const ask = { ...asking(await start(t, { model })), output: Output.object({ schema: Person }) };
        const { output, warnings } = await generateText(ask);
        assert.deepEqual(output, Person.parse(output));
        assert.deepEqual(warnings, [], 'the schema was sent');
        const { object } = await generateObject({ ...ask, output: undefined, schema: Person });
        assert.deepEqual(object, output, 'the older function does the same');
        const stream = streamText(ask);
        let last;
        for await (const partial of stream.partialOutputStream) {
            last = partial;
        }
        assert.deepEqual(last, output);
        const cut = { ...ask, maxOutputTokens: 3, providerOptions: { weir: { reasoningEffort: 'none' } } };
        await assert.rejects(generateText(cut), (error) => NoObjectGeneratedError.isInstance(error));
    });

    for (const streamed of [false, true]) {
        const how = `${streamed ? 'streamed' : 'whole'}, ${model} model`;
        test(`ai: a tool is run, and its result is read, ${how}`, { skip }, async (t) => {
            const cities = [];
            const get_weather = tool({
                description: 'The weather', inputSchema: z.object({ city: z.string().max(8) }),
                execute: async ({ city }) => {
                    cities.push(city);
                    return { sky: 'clear' };
                },
            });
            const request = {
                ...asking(await start(t, { model })), tools: { get_weather },
                toolChoice: { type: 'tool', toolName: 'get_weather' }, stopWhen: isStepCount(2),
                providerOptions: { weir: { parallel_tool_calls: false, reasoningEffort: 'none' } },
                // The models here do not decide on their own that a result is enough.
                prepareStep: ({ stepNumber }) => (stepNumber > 0 ? { toolChoice: 'none' } : {}),
            };
            const result = streamed ? streamText(request) : await generateText(request);
            const steps = await result.steps;
            assert.equal(steps.length, 2);
            assert.equal(steps[0].finishReason, 'tool-calls');
            assert.deepEqual(steps[0].toolCalls.map((call) => [call.toolName, call.input]),
                [['get_weather', { city: cities[0] }]]);
            assert.deepEqual(steps[0].toolResults.map((r) => r.output), [{ sky: 'clear' }]);
            assert.equal(cities.length, 1);
            assert.equal(typeof cities[0], 'string');
            assert.notEqual(steps[1].text, '');
        });
    }
}

test('ai: reasoning stands apart from the text, and can be switched off', { skip }, async (t) => {
    const ask = asking(await start(t, { model: 'thinking' }));
    const whole = await generateText(ask);
    assert.deepEqual([whole.reasoningText, whole.text], ['23 + 45', '68.']);
    assert.ok(whole.usage.outputTokenDetails.reasoningTokens > 0);
    const stream = streamText(ask);
    assert.deepEqual([await stream.reasoningText, await stream.text], ['23 + 45', '68.']);
    const quick = await generateText({ ...ask, providerOptions: { weir: { reasoningEffort: 'none' } } });
    assert.equal(quick.reasoningText, undefined);
});

test('ai: embeddings', { skip }, async (t) => {
    const model = provider(await start(t)).embeddingModel(MODEL);
    const { embedding, usage } = await embed({ model, value: 'a fox in the snow' });
    assert.equal(embedding.length, 256);
    assert.ok(usage.tokens > 0);
    const { embeddings: [fox, copper] } = await embedMany({ model, values: ['a fox in snow', 'the price of copper'] });
    assert.ok(cosineSimilarity(embedding, fox) > cosineSimilarity(embedding, copper));
});

test('ai: aborting a stream ends the work', { skip }, async (t) => {
    const server = await start(t);
    const controller = new AbortController();
    const stream = streamText({ ...asking(server), ...STORY, abortSignal: controller.signal });
    for await (const _ of stream.textStream) {
        controller.abort();
    }
    await waitForLoad(server, IDLE);
    const { output_tokens: made } = await (await server.admin('GET', '/admin/models')).json();
    assert.ok(made < STORY.maxOutputTokens, `${made} tokens were made`);
});

test('ai: errors carry the status and the message', { skip }, async (t) => {
    const server = await start(t);
    const late = (ms) => (
        { ...asking(server), ...STORY, providerOptions: { weir: { ignore_eos: true, deadline_ms: ms } } });
    const cases = [
        [{ ...asking(server), model: provider(server)('another') }, 404, /another/, false],
        [{ ...asking(server), temperature: 9 }, 400, /temperature/, false],
        [asking(server, 'wrong'), 401, /key/, false],
        [late(1), 504, /deadline/, true],
    ];
    for (const [request, status, message, retryable] of cases) {
        await assert.rejects(generateText(request), (error) => {
            assert.ok(APICallError.isInstance(error), `${error}`);
            assert.deepEqual([error.statusCode, error.isRetryable], [status, retryable]);
            assert.match(error.message, message);
            return true;
        });
    }
    let failure;
    await streamText({ ...late(30), onError: ({ error }) => (failure = error) }).consumeStream();
    assert.ok(failure, 'an error in the midst of a stream is told');
});
