// Requests to the server that the page came from.

const KEY = 'weir-key';

// The API key stays in this tab, and goes nowhere but into the header of requests to this server.
export const apiKey = {
    get: () => sessionStorage.getItem(KEY),
    set: (key) => sessionStorage.setItem(KEY, key),
    forget: () => sessionStorage.removeItem(KEY),
};

// status 0: there was no answer. retryAfter: seconds, or null.
export class ApiError extends Error {
    constructor(message, { status = 0, code = null, param = null, retryAfter = null, request = null } = {}) {
        super(message);
        Object.assign(this, { status, code, param, retryAfter, request });
    }
}

async function errorOf(response) {
    const body = await response.json().catch(() => null);
    const retryAfter = Number(response.headers.get('retry-after'));
    return new ApiError(body?.error?.message ?? `the server answered ${response.status}`, {
        status: response.status,
        code: body?.error?.code ?? null,
        param: body?.error?.param ?? null,
        retryAfter: retryAfter > 0 ? retryAfter : null,
        request: response.headers.get('x-request-id'),
    });
}

// The response, if all is well; else an ApiError, or an AbortError when `signal` says so.
export async function call(path, { body, signal } = {}) {
    const headers = {};
    const key = apiKey.get();
    // Headers carry bytes: a key in other letters goes as its UTF-8.
    if (key) headers.Authorization = `Bearer ${String.fromCharCode(...new TextEncoder().encode(key))}`;
    if (body) headers['Content-Type'] = 'application/json';
    let response;
    try {
        response = await fetch(path, { method: body ? 'POST' : 'GET', headers, signal, body: body && JSON.stringify(body) });
    } catch (error) {
        if (error.name === 'AbortError') throw error;
        throw new ApiError('The server cannot be reached. It may have been stopped, or the network is down.');
    }
    if (!response.ok) throw await errorOf(response);
    return response;
}

// The JSON of each event of a stream (text/event-stream), up to [DONE].
async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
        let part;
        try {
            part = await reader.read();
        } catch (error) {
            if (error.name === 'AbortError') throw error;
            part = { done: true };
        }
        if (part.done) throw new ApiError('The connection broke off before the answer was complete.');
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
    const response = await call('/v1/chat/completions', {
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
    return (await (await call('/v1/models')).json()).data.filter((model) => !model.capabilities || model.capabilities.includes('chat'));
}

export const sendThumb = (id, thumb) => call('/v1/feedback', { body: { id, thumb } });
