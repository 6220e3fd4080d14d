// What the chat page asks of the server.

import { ApiError, brokenOff, keptKey, request } from '../shared/server.js';

export const apiKey = keptKey('weir-key');

const call = (method, path, options) => request(method, path, { key: apiKey.get(), ...options });

// The JSON of each event of a stream (text/event-stream), up to [DONE].
async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
        const part = await reader.read().catch((error) => {
            throw brokenOff(error);
        });
        if (part.done) throw brokenOff();
        const parts = (rest + part.value).split('\n\n');
        rest = parts.pop();
        for (const event of parts) {
            if (event === 'data: [DONE]') return;
            if (event.startsWith('data: ')) yield JSON.parse(event.slice(6));
        }
    }
}

const firstResult = (moderation, side) => moderation?.[side]?.results?.[0];

function flagged(result) {
    return Object.entries(result?.categories ?? {}).filter(([, is]) => is).map(([name]) => name);
}

// Asks for an answer. onPart gets what there is of it so far, each time there is more:
//   id, content, reasoning
//   madeBy  {model, prompt, filters}, what the server says has made it
//   finish  "stop", "length" or "content_filter"; null while it goes on
//   spans   where filters have changed it, [{at, bytes, verdict, name, code}] in bytes of UTF-8
//   found   {input, output}: what filters have found, names
export async function ask({ messages, model, signal, onPart }) {
    const response = await call('POST', '/v1/chat/completions', {
        signal,
        body: { messages, stream: true, moderation: {}, ...(model ? { model } : {}) },
    });
    const header = (name) => response.headers.get(`weir-${name}`)?.split(';')[0] ?? null;
    const answer = {
        id: null, content: '', reasoning: '', finish: null, spans: [], found: { input: [], output: [] },
        madeBy: { model: header('model'), prompt: header('prompt'), filters: header('filters') },
    };
    for await (const chunk of events(response)) {
        if (chunk.error) throw new ApiError(chunk.error.message, { status: response.status, code: chunk.error.code });
        const choice = chunk.choices?.[0];
        answer.id = chunk.id;
        answer.content += choice?.delta?.content ?? '';
        answer.reasoning += choice?.delta?.reasoning_content ?? '';
        answer.finish = choice?.finish_reason ?? answer.finish;
        if (chunk.moderation) {
            const output = firstResult(chunk.moderation, 'output');
            answer.spans = output?.spans ?? [];
            answer.found = { input: flagged(firstResult(chunk.moderation, 'input')), output: flagged(output) };
        }
        onPart({ ...answer });
    }
}

export async function models() {
    return (await (await call('GET', '/v1/models')).json()).data.filter((model) => !model.capabilities || model.capabilities.includes('chat'));
}

export const sendThumb = (id, thumb) => call('POST', '/v1/feedback', { body: { id, thumb } });
