'use strict';
// Requests to admin routes, with what answers about things that have versions carry.

// {status, body, etag}; body: a value where it is JSON, else text. headers: more of them, as If-Match.
async function admin(server, method, target, value, headers = {}) {
    const response = await server.fetch(target, {
        method,
        headers: { authorization: `Bearer ${server.adminKey}`, ...headers },
        body: value === undefined ? undefined : JSON.stringify(value),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    return { status: response.status, body: isJson && text ? JSON.parse(text) : text, etag: response.headers.get('etag') };
}

module.exports = { admin };
