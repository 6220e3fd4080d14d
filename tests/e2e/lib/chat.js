'use strict';
// Chat requests, and answers in the one shape that tests compare: streamed or not.

const assert = require('node:assert/strict');

const { readEvents } = require('./sse.js');

const ROUTE = '/v1/chat/completions';

// A request that gives the same answer every time.
function ask(text, more = {}) {
    return { messages: [{ role: 'user', content: text }], temperature: 0, max_tokens: 24, ...more };
}

function provenance(response) {
    return {
        model: response.headers.get('weir-model'),
        prompt: response.headers.get('weir-prompt'),
        filters: response.headers.get('weir-filters'),
    };
}

async function whole(server, request) {
    const response = await server.post(ROUTE, request);
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    const [choice] = body.choices;
    return {
        text: choice.message.content,
        finish: choice.finish_reason,
        usage: body.usage,
        fingerprint: body.system_fingerprint,
        madeBy: provenance(response),
        body,
    };
}

// Reads a stream that has begun. onText is called with each piece.
async function readStream(response, onText = () => {}) {
    const chunks = [];
    let done = false;
    for await (const { data } of readEvents(response)) {
        assert.equal(done, false, 'nothing comes after [DONE]');
        done = data === '[DONE]';
        if (!done) {
            chunks.push(JSON.parse(data));
            const piece = chunks.at(-1).choices[0]?.delta.content;
            if (piece !== undefined) {
                await onText(piece);
            }
        }
    }
    assert.equal(done, true, 'the stream ends with [DONE]');
    const choices = chunks.flatMap((chunk) => chunk.choices);
    return {
        text: choices.map((choice) => choice.delta.content ?? '').join(''),
        finish: choices.at(-1).finish_reason,
        usage: chunks.at(-1).usage,
        fingerprint: chunks[0].system_fingerprint,
        madeBy: provenance(response),
        chunks,
    };
}

async function beginStream(server, request, options) {
    const body = { stream: true, stream_options: { include_usage: true }, ...request };
    const response = await server.post(ROUTE, body, options);
    assert.equal(response.status, 200);
    return response;
}

async function streamed(server, request) {
    return readStream(await beginStream(server, request));
}

module.exports = { ROUTE, ask, whole, streamed, beginStream, readStream };
