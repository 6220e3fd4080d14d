// Requests of a page to the server that it came from.

// A key that somebody gives stays in this tab (sessionStorage), under `name`.
export const keptKey = (name) => ({
    get: () => sessionStorage.getItem(name),
    set: (key) => sessionStorage.setItem(name, key),
    forget: () => sessionStorage.removeItem(name),
});

// What the server said, word for word. status 0: there was no answer. retryAfter: seconds, or null.
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

// Headers carry bytes: text in other letters goes as its UTF-8.
export const headerBytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));

// Why there is no answer, or no more of it; but what `signal` ended stays an AbortError.
const failure = (error, message) => (error?.name === 'AbortError' ? error : new ApiError(message));
export const brokenOff = (error) => failure(error, 'The connection broke off before the answer was complete.');
const notReached = (error) => failure(error, 'The server cannot be reached. It may have been stopped, or the network is down.');

// The response, if all is well; else an ApiError, or an AbortError when `signal` says so. key goes into the header of
// this request and nowhere else; body becomes JSON; more: other options of fetch.
export async function request(method, path, { key, headers = {}, body, ...more } = {}) {
    const all = { ...headers };
    if (key) all.Authorization = `Bearer ${headerBytes(key)}`;
    if (body !== undefined) all['Content-Type'] = 'application/json';
    const sent = { ...more, method, headers: all, body: body === undefined ? undefined : JSON.stringify(body) };
    const response = await fetch(path, sent).catch((error) => {
        throw notReached(error);
    });
    if (!response.ok) throw await errorOf(response);
    return response;
}
