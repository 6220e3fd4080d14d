// Requests to the admin routes, with the key that the owner signed in with. It stays in this tab's sessionStorage and
// goes nowhere but into the header of requests to this server.

const KEY = 'weir-admin-key';
const ACTOR = 'weir-actor';

export const session = {
    key: () => sessionStorage.getItem(KEY),
    actor: () => sessionStorage.getItem(ACTOR) ?? '',
    begin(key, actor) {
        sessionStorage.setItem(KEY, key);
        sessionStorage.setItem(ACTOR, actor);
    },
    end() {
        sessionStorage.removeItem(KEY);
    },
};

// What the server said, word for word.
export class ApiError extends Error {
    constructor(status, error, request) {
        super(error?.message ?? `the server answered ${status}`);
        this.status = status;
        this.code = error?.code ?? null;
        this.param = error?.param ?? null;
        this.request = request;
    }
}

// Headers carry bytes; a name in UTF-8 goes as its bytes.
function headerBytes(text) {
    return String.fromCharCode(...new TextEncoder().encode(text));
}

// {value, etag}: JSON as a value, other answers as text. A key that cannot stand in a header cannot be right.
export async function call(method, path, { body, ifMatch, ifNew, signal } = {}) {
    const headers = { Authorization: `Bearer ${headerBytes(session.key() ?? '')}` };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (ifMatch) headers['If-Match'] = ifMatch;
    if (ifNew) headers['If-None-Match'] = '*';
    if (method !== 'GET' && session.actor()) headers['weir-actor'] = headerBytes(session.actor());
    const response = await fetch(path, {
        method,
        headers,
        signal,
        cache: 'no-store',
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    let value = text;
    if (isJson && text) value = JSON.parse(text);
    if (!response.ok) throw new ApiError(response.status, value?.error, response.headers.get('x-request-id'));
    return { value, etag: response.headers.get('etag') };
}

export const get = async (path, options) => (await call('GET', path, options)).value;

// A part of a path.
export const part = encodeURIComponent;
