// Requests to the admin routes, with the key that the owner signed in with.

import { brokenOff, headerBytes, keptKey, request } from '../shared/server.js';

const adminKey = keptKey('weir-admin-key');
const ACTOR = 'weir-actor';

export const session = {
    key: adminKey.get,
    actor: () => sessionStorage.getItem(ACTOR) ?? '',
    begin(key, actor) {
        adminKey.set(key);
        sessionStorage.setItem(ACTOR, actor);
    },
    end: adminKey.forget,
};

// {value, etag}: JSON as a value, other answers as text.
export async function call(method, path, { body, ifMatch, ifNew } = {}) {
    const headers = {};
    if (ifMatch) headers['If-Match'] = ifMatch;
    if (ifNew) headers['If-None-Match'] = '*';
    if (method !== 'GET' && session.actor()) headers['weir-actor'] = headerBytes(session.actor());
    const response = await request(method, path, { key: session.key(), headers, body, cache: 'no-store' });
    const text = await response.text().catch((error) => {
        throw brokenOff(error);
    });
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    return { value: isJson && text ? JSON.parse(text) : text, etag: response.headers.get('etag') };
}

export const get = async (path, options) => (await call('GET', path, options)).value;

// A part of a path.
export const part = encodeURIComponent;
