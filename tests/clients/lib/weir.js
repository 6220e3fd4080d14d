'use strict';
// What the tests of client libraries have in common: servers to talk to, and what they ask.

const { isDeepStrictEqual } = require('node:util');

const { missing, modelPath, startServer } = require('../../e2e/lib/server.js');
const { writeThinkingModel } = require('./thinking_model.js');

const API_KEY = 'an-api-key-for-tests';
const MODEL = 'weir-tiny';
const QUESTION = 'What is 23 + 45?'; // the answer has 68 in it

// The arguments of a tool that tests offer, short enough for every model to end them.
const CITY = {
    type: 'object',
    properties: { city: { type: 'string', maxLength: 8 } },
    required: ['city'],
    additionalProperties: false,
};

// Two models: the shipped one, which is told of tools in words, and one whose template knows tools and reasoning.
const MODELS = { shipped: () => modelPath(), thinking: writeThinkingModel };

const start = (t, { model = 'shipped', args = [] } = {}) =>
    startServer(t, { model: MODELS[model](t), args: ['--api-key', API_KEY, '--temperature', '0', ...args] });

// A fetch for clients that run tools by themselves: where a result of a tool is in the request, the answer may call no
// more. The models here do not decide that on their own.
function answerAfterResult(url, init) {
    const body = JSON.parse(init.body);
    const hasResult = body.messages.some(({ role, content }) =>
        role === 'tool' || (Array.isArray(content) && content.some(({ type }) => type === 'tool_result')));
    const none = typeof body.tool_choice === 'string' ? 'none' : { type: 'none' };
    return fetch(url, { ...init, body: JSON.stringify(hasResult ? { ...body, tool_choice: none } : body) });
}

const IDLE = { running: 0, waiting: 0 };
const BUSY = { running: 1, waiting: 0 };

// Until so many requests run and wait; fails if they never do.
async function waitForLoad(server, wanted) {
    let load;
    for (let i = 0; i < 300; i++) {
        const { running, waiting } = await (await server.admin('GET', '/admin/models')).json();
        load = { running, waiting };
        if (isDeepStrictEqual(load, wanted)) {
            return;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`the load is ${JSON.stringify(load)}, not ${JSON.stringify(wanted)}`);
}

// Has a request run that takes long; returns what ends it. The server takes one request at a time.
async function occupy(server) {
    const controller = new AbortController();
    const body = { messages: [{ role: 'user', content: QUESTION }], max_tokens: 900, ignore_eos: true, stream: true };
    await waitForLoad(server, IDLE); // a server that has just begun reads the system prompt first
    const response = await server.post('/v1/chat/completions', body,
        { headers: { authorization: `Bearer ${API_KEY}` }, signal: controller.signal });
    if (response.status !== 200) {
        throw new Error(await response.text());
    }
    await waitForLoad(server, BUSY);
    return () => controller.abort();
}

// Some libraries are modules that only a newer Node can require().
const skipModules = missing() ||
    (!process.features.require_module && `Node ${process.version} is too old for this library`);

module.exports = {
    API_KEY, BUSY, CITY, IDLE, MODEL, MODELS, QUESTION, answerAfterResult, occupy, skip: missing(), skipModules, start,
    waitForLoad,
};
