'use strict';
// OpenAI's own client library: responses, completions, embeddings, moderations.

const assert = require('node:assert/strict');
const test = require('node:test');

const { default: OpenAI } = require('openai');
const { zodResponsesFunction, zodTextFormat } = require('openai/helpers/zod');
const { z } = require('zod');

const { makeFolder, writeFile } = require('../e2e/lib/files.js');
const { API_KEY, CITY, MODEL, MODELS, QUESTION, skip, start } = require('./lib/weir.js');

const ASK = { model: MODEL, temperature: 0, max_output_tokens: 120, input: QUESTION };
const WEATHER = { type: 'function', name: 'get_weather', description: 'The weather', parameters: CITY, strict: true };
const CALL = { ...ASK, tools: [WEATHER], tool_choice: 'required', parallel_tool_calls: false };
const Person = z.object({ name: z.string().max(8), age: z.int().min(0).max(120) });

const clientOf = (server, more = {}) =>
    new OpenAI({ baseURL: `${server.url}/v1`, apiKey: API_KEY, maxRetries: 0, ...more });

// What items say; their ids differ from answer to answer.
const textOf = (item) => (item.type === 'function_call' ? item.arguments : item.content[0].text);
const said = ({ output }) => output.map((item) => [item.type, textOf(item)]);

test('responses: a whole answer, instructions, a conversation', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const answer = await client.responses.create(ASK);
    assert.equal(answer.status, 'completed');
    assert.match(answer.output_text, /68/);
    assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens);
    const named = await client.responses.create({
        ...ASK, instructions: 'Your name is Marlow.', input: 'Who are you?' });
    assert.match(named.output_text, /Marlow/);
    const longer = await client.responses.create({
        ...ASK,
        input: [{ role: 'user', content: QUESTION }, ...answer.output, { role: 'user', content: 'Who are you?' }],
    });
    assert.equal(longer.status, 'completed');
    assert.ok(longer.usage.input_tokens > answer.usage.total_tokens);
    const cut = await client.responses.create({ ...ASK, max_output_tokens: 2 });
    assert.deepEqual([cut.status, cut.incomplete_details], ['incomplete', { reason: 'max_output_tokens' }]);
    await assert.rejects(client.responses.create({ ...ASK, previous_response_id: answer.id }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
        assert.equal(error.param, 'previous_response_id');
        return true;
    });
});

for (const model of Object.keys(MODELS)) {
    test(`responses: streamed events make the whole answer, ${model} model`, { skip }, async (t) => {
        const client = clientOf(await start(t, { model }));
        for (const request of [ASK, CALL, { ...ASK, max_output_tokens: 3 }]) {
            const whole = await client.responses.create(request);
            const texts = {};
            let sequence = 0;
            const stream = client.responses.stream(request);
            for await (const event of stream) {
                assert.equal(event.sequence_number, sequence++);
                if (event.type.endsWith('.delta')) {
                    texts[event.item_id] = (texts[event.item_id] ?? '') + event.delta;
                }
            }
            const final = await stream.finalResponse();
            assert.equal(final.status, whole.status);
            assert.equal(final.output_text, whole.output_text);
            assert.deepEqual(said(final), said(whole));
            for (const item of final.output) {
                assert.equal(texts[item.id], textOf(item), 'deltas carry the id of their item');
            }
        }
    });

    test(`responses: a function is called, and its result is read, ${model} model`, { skip }, async (t) => {
        const client = clientOf(await start(t, { model }));
        const tool = zodResponsesFunction({ name: 'get_weather', parameters: z.object({ city: z.string().max(8) }) });
        const answer = await client.responses.parse({ ...CALL, tools: [tool] });
        const calls = answer.output.filter(({ type }) => type === 'function_call');
        assert.equal(calls.length, 1);
        assert.equal(calls[0].name, 'get_weather');
        assert.equal(typeof calls[0].parsed_arguments.city, 'string');
        const after = await client.responses.create({
            ...CALL, tool_choice: 'auto', max_output_tokens: 20,
            input: [{ role: 'user', content: QUESTION }, ...answer.output,
                { type: 'function_call_output', call_id: calls[0].call_id, output: '{"sky": "clear"}' }],
        });
        assert.ok(after.usage.input_tokens > answer.usage.input_tokens);
    });
}

test('responses: parse gives an object of the schema', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const request = { ...ASK, text: { format: zodTextFormat(Person, 'person') } };
    const answer = await client.responses.parse(request);
    assert.deepEqual(answer.output_parsed, Person.parse(JSON.parse(answer.output_text)));
    const streamed = await client.responses.stream(request).finalResponse();
    assert.deepEqual(streamed.output_parsed, answer.output_parsed);
});

test('responses: reasoning is an item of its own, and can be switched off', { skip }, async (t) => {
    const client = clientOf(await start(t, { model: 'thinking' }));
    const { output, output_text: text, usage } = await client.responses.create(ASK);
    assert.deepEqual(output.map(({ type }) => type), ['reasoning', 'message']);
    assert.deepEqual(output[0].content, [{ type: 'reasoning_text', text: '23 + 45' }]);
    assert.equal(text, '68.');
    assert.ok(usage.output_tokens_details.reasoning_tokens > 0);
    const quick = await client.responses.create({ ...ASK, reasoning: { effort: 'none' } });
    assert.deepEqual(quick.output.map(({ type }) => type), ['message']);
});

test('completions: whole, streamed, several, with logprobs', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const request = { model: MODEL, prompt: 'Tell me a story about a fox.', temperature: 0, max_tokens: 8, logprobs: 2 };
    const { choices: [whole] } = await client.completions.create(request);
    assert.equal(whole.finish_reason, 'length');
    assert.equal(whole.logprobs.tokens.join(''), whole.text);
    assert.equal(whole.logprobs.token_logprobs.length, 8);
    let text = '';
    for await (const chunk of await client.completions.create({ ...request, stream: true })) {
        text += chunk.choices[0].text;
    }
    assert.equal(text, whole.text);
    const both = await client.completions.create({ ...request, prompt: ['The sun', request.prompt] });
    assert.deepEqual(both.choices.map(({ index }) => index), [0, 1]);
    assert.equal(both.choices[1].text, whole.text);
});

test('embeddings: as base64 that the client decodes, and as numbers', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const request = { model: MODEL, input: ['a fox in the snow', 'a fox in snow', 'the price of copper'] };
    const { data, usage } = await client.embeddings.create(request); // the client asks for base64 by itself
    const plain = await client.embeddings.create({ ...request, encoding_format: 'float' });
    assert.deepEqual(data.map(({ index }) => index), [0, 1, 2]);
    assert.ok(usage.prompt_tokens > 0 && usage.total_tokens === usage.prompt_tokens);
    for (const [i, { embedding }] of data.entries()) {
        assert.equal(embedding.length, 256);
        embedding.forEach((x, j) => assert.ok(Math.abs(x - plain.data[i].embedding[j]) < 1e-6));
    }
    const dot = (a, b) => data[a].embedding.reduce((sum, x, i) => sum + x * data[b].embedding[i], 0);
    assert.ok(Math.abs(dot(0, 0) - 1) < 1e-4, 'of length 1');
    assert.ok(dot(0, 1) > dot(0, 2), 'what means the same lies closer');
    const short = await client.embeddings.create({ ...request, input: 'a fox', dimensions: 16 });
    assert.equal(short.data[0].embedding.length, 16);
    await assert.rejects(client.embeddings.create({ ...request, input: '' }), OpenAI.BadRequestError);
});

test('moderations: what the filters find', { skip }, async (t) => {
    const chain = { name: 'default', filters: [{ type: 'wordlist', words: ['heron'], action: 'stop' }] };
    const client = clientOf(await start(t, { args: ['--filters', writeFile(makeFolder(t), 'chain.json', chain)] }));
    const { results } = await client.moderations.create({ input: ['a heron', 'a fox'] });
    assert.deepEqual(results.map(({ flagged }) => flagged), [true, false]);
    const found = Object.keys(results[0].categories).filter((name) => results[0].categories[name]);
    assert.equal(found.length, 1);
    assert.equal(results[0].category_scores[found[0]], 1);
    assert.deepEqual(results[0].category_applied_input_types[found[0]], ['text']);
});

test('moderations: scores of the usual categories without any filter', { skip }, async (t) => {
    const client = clientOf(await start(t));
    const input = ['You are a stupid worthless idiot.', 'The soup is ready.'];
    const { results: [insult, harmless] } = await client.moderations.create({ model: 'omni-moderation-latest', input });
    assert.equal(insult.categories.harassment, true);
    assert.ok(insult.category_scores.harassment > 0.5);
    assert.equal(harmless.flagged, false);
    for (const name of ['harassment', 'violence', 'self-harm', 'sexual', 'illicit']) {
        assert.equal(typeof harmless.category_scores[name], 'number', name);
        assert.deepEqual(harmless.category_applied_input_types[name], ['text']);
    }
});
