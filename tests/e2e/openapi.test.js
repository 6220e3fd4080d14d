'use strict';
// GET /openapi.json: every route of runtime/api/routes.h is described and no other, and answers are what it
// says.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ROUTE: CHAT, ask, beginStream, readStream } = require('./lib/chat.js');
const { startRepo } = require('./lib/model_repo.js');
const { validator } = require('./lib/schema.js');
const { startServer, missing, modelPath } = require('./lib/server.js');

const API = path.resolve(__dirname, '../../runtime/api');
const FILE = fs.readFileSync(path.join(API, 'openapi.json'), 'utf8');
const document = JSON.parse(FILE);

const SECURITY = {
    ROUTE_OPEN: [],
    ROUTE_PUBLIC: [{ apiKey: [] }, { apiKeyHeader: [] }, {}], // {}: no key is needed if none was set
    ROUTE_ADMIN: [{ adminKey: [] }, { adminKeyHeader: [] }],
};

function routes() {
    const source = fs.readFileSync(path.join(API, 'routes.h'), 'utf8').split('#define ROUTES(X)')[1];
    const rows = [...source.matchAll(/X\((\w+),\s*"([A-Z]+)",\s*"([^"]+)",\s*(?:\\\s*)?(ROUTE_\w+),\s*(?:\\\s*)?SCOPE_\w+\)/g)];
    assert.ok(rows.length > 10);
    assert.equal(rows.length, source.match(/^ +X\(/gm).length, 'a row could not be read');
    return rows.map(([, , method, route, auth]) => ({ key: `${method} ${route.replace(/\*$/, '{id}')}`, auth }));
}

function operations() {
    return Object.entries(document.paths).flatMap(([route, item]) =>
        Object.entries(item).map(([method, operation]) => ({ key: `${method.toUpperCase()} ${route}`, operation })));
}

function* nodesOf(value) {
    if (typeof value === 'object' && value !== null) {
        yield value;
        for (const child of Object.values(value)) {
            yield* nodesOf(child);
        }
    }
}

test('the document and the table of routes are about the same', () => {
    const described = new Map(operations().map(({ key, operation }) => [key, operation]));
    const table = routes();
    assert.deepEqual([...described.keys()].sort(), table.map(({ key }) => key).sort());
    for (const { key, auth } of table) {
        assert.deepEqual(described.get(key).security, SECURITY[auth], key);
        assert.equal('401' in described.get(key).responses, auth !== 'ROUTE_OPEN', key);
    }
});

test('the document is well-formed', () => {
    const { find } = validator(document);
    assert.equal(document.openapi, '3.1.0');
    const names = operations().map(({ operation }) => operation.operationId);
    assert.equal(new Set(names).size, names.length);
    const used = new Set();
    for (const node of nodesOf(document)) {
        if (typeof node.$ref === 'string') {
            assert.ok(find(node.$ref));
            used.add(node.$ref);
        }
    }
    for (const kind of ['schemas', 'responses', 'headers']) {
        for (const name of Object.keys(document.components[kind])) {
            assert.ok(used.has(`#/components/${kind}/${name}`), `${kind}/${name} is not used`);
        }
    }
    for (const { key, operation } of operations()) {
        const wanted = (key.match(/\{\w+\}/g) ?? []).map((name) => name.slice(1, -1));
        const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
        assert.deepEqual(inPath.map(({ name }) => name), wanted);
        const good = ['200', '201', '204'].find((status) => status in operation.responses);
        assert.ok(operation.summary && operation.responses[good].description);
    }
});

// Sends a request, expects what is described for the status, and what is described of the request itself.
function checker(server) {
    const { fits, find } = validator(document);
    const schemaOf = (method, route, status) => {
        let response = document.paths[route][method].responses[status];
        assert.ok(response, `${method} ${route}: ${status} is not described`);
        response = response.$ref ? find(response.$ref) : response;
        return response.content['application/json'].schema;
    };
    return async (method, route, value, status = 200, target = route) => {
        const answer = await server.admin(method.toUpperCase(), target, value);
        const body = await answer.json();
        assert.equal(answer.status, status, JSON.stringify(body));
        assert.ok(fits(body, schemaOf(method, route, status)), `${method} ${route}: ${JSON.stringify(body)}`);
        const request = document.paths[route][method].requestBody?.content['application/json'];
        if (request && status === 200 && value) {
            assert.ok(fits(value, request.schema), JSON.stringify(value));
        }
        for (const name of Object.keys(document.paths[route][method].responses[status].headers ?? {})) {
            assert.ok(answer.headers.get(name), `${method} ${route}: no ${name}`);
        }
        return body;
    };
}

test('answers are what the document says', { skip: missing() }, async (t) => {
    const server = await startServer(t);
    const check = checker(server);
    const { fits, find } = validator(document);

    const served = await server.fetch('/openapi.json');
    assert.equal(served.headers.get('content-type'), 'application/json');
    assert.equal(await served.text(), FILE);

    for (const { key, operation } of operations()) {
        const example = operation.requestBody?.content['application/json'].example;
        const [method, route] = [key.split(' ')[0].toLowerCase(), key.split(' ')[1]];
        if (example) {
            await check(method, route, example);
            await check(method, route, { model: 3 }, 400);
        }
    }
    for (const route of ['/healthz', '/readyz', '/v1/models', '/admin/models', '/admin/prompts', '/admin/audit', '/admin/filters', '/admin/upgrade', '/admin/drift', '/admin/drift/alerts']) {
        await check('get', route);
    }
    await check('get', '/v1/models/{id}', undefined, 200, '/v1/models/weir-tiny');
    await check('get', '/v1/models/{id}', undefined, 404, '/v1/models/none');
    const prompt = '/admin/prompts/{name}';
    await check('put', prompt, { text: 'Be brief.' }, 200, '/admin/prompts/default');
    await check('put', prompt, {}, 400, '/admin/prompts/default');
    await check('get', prompt, undefined, 200, '/admin/prompts/default');
    await check('get', prompt, undefined, 404, '/admin/prompts/nobody');
    await check('get', `${prompt}/versions`, undefined, 200, '/admin/prompts/default/versions');
    await check('get', `${prompt}/versions/{version}`, undefined, 200, '/admin/prompts/default/versions/1');
    await check('post', `${prompt}/dry-run`, { text: 'Be brief.' }, 200, '/admin/prompts/default/dry-run');
    await check('put', `${prompt}/labels/{label}`, { version: 1 }, 200, '/admin/prompts/default/labels/stable');
    const chain = '/admin/filters/{name}';
    const herons = { name: 'x', filters: [{ type: 'wordlist', words: ['heron'], side: 'both', action: 'note' }] };
    await check('get', chain, undefined, 200, '/admin/filters/default');
    await check('put', chain, herons, 200, '/admin/filters/default');
    await check('put', chain, {}, 400, '/admin/filters/default');
    await check('get', chain, undefined, 200, '/admin/filters/default');
    await check('get', chain, undefined, 404, '/admin/filters/nobody');
    await check('get', `${chain}/versions`, undefined, 200, '/admin/filters/default/versions');
    await check('get', `${chain}/versions/{version}`, undefined, 200, '/admin/filters/default/versions/1');
    await check('post', `${chain}/dry-run`, { text: 'A heron.', chain: herons }, 200, '/admin/filters/default/dry-run');
    await check('post', `${chain}/trace`, { text: 'A heron.', chain: herons, chunk: 3 }, 200, '/admin/filters/default/trace');
    await check('post', `${chain}/trace`, { text: 'A heron.', chunk: 0 }, 400, '/admin/filters/default/trace');
    await check('put', `${chain}/labels/{label}`, { version: 1 }, 200, '/admin/filters/default/labels/stable');
    await check('post', '/v1/moderations', { input: ['a heron', 'nothing'] });
    await check('get', '/admin/findings');
    await check('get', '/admin/findings', undefined, 400, '/admin/findings?limit=many');
    await check('post', '/admin/filters/replay', {
        chain: { name: 'x', filters: [{ type: 'wordlist', words: ['nothing'] }] }, texts: ['nothing', { text: 'a heron', id: 7 }],
    });
    await check('post', '/admin/filters/replay', { chain: 'nobody', texts: [] }, 404);
    await check('post', '/v1/embeddings', { input: [[1, 2], [3]], encoding_format: 'base64', dimensions: 3 });
    await check('post', '/tokenize', { content: 'Hi ü', with_pieces: true, return_token_strs: true });
    await check('post', '/tokenize', { messages: [{ role: 'user', content: 'Hi' }] });
    await check('post', CHAT, ask('Hi', { max_tokens: 2, n: 2, stop: ['x'] }));
    const { chunks } = await readStream(await beginStream(server, ask('Hi', { max_tokens: 3 })));
    chunks.forEach((chunk) => assert.ok(fits(chunk, find('#/components/schemas/ChatCompletionChunk')), JSON.stringify(chunk)));
    await check('post', '/admin/models/reload', { force: true });
});

test('answers about versions of a repository are what the document says', { skip: missing() }, async (t) => {
    const gate = { golden: [{ prompt: 'a', text: 'b' }] };
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath(), manifest: { gate, labels: ['new'] } },
        3: { file: modelPath(), manifest: { labels: 3 } } });
    const check = checker(server);
    const model = '/admin/models/{name}';
    const { versions } = await check('get', '/admin/models');
    assert.deepEqual(versions.map(({ state }) => state), ['failed', 'failed', 'serving']);
    for (const version of ['1', '2', '3']) {
        await check('get', `${model}/versions/{version}`, undefined, 200, `/admin/models/tiny/versions/${version}`);
    }
    await check('get', `${model}/versions/{version}`, undefined, 404, '/admin/models/tiny/versions/4');
    await check('get', `${model}/versions/{version}`, undefined, 404, '/admin/models/huge/versions/1');
    await check('post', `${model}/activate`, { version: '1' }, 200, '/admin/models/tiny/activate');
    await check('post', `${model}/activate`, { version: 1 }, 400, '/admin/models/tiny/activate');
    await check('post', `${model}/activate`, { version: 'new' }, 422, '/admin/models/tiny/activate');
    await check('post', `${model}/rollback`, undefined, 409, '/admin/models/tiny/rollback');
    await check('post', '/admin/models/reload', { force: true });
    await check('get', '/v1/models');
    await check('post', `${model}/rollback`, undefined, 200, '/admin/models/tiny/rollback');
    await check('get', '/v1/models/{id}', undefined, 404, '/v1/models/tiny@3');
});

test('how requests are shared is told as the document says', { skip: missing() }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() } });
    const check = checker(server);
    const model = '/admin/models/{name}';
    const at = (what) => `/admin/models/tiny/${what}`;
    assert.equal((await check('get', `${model}/shadow`, undefined, 200, at('shadow'))).report, null);
    await check('post', `${model}/split`, { version: '1', percent: 10 }, 200, at('split'));
    await check('post', `${model}/split`, { version: '1', percent: 100 }, 400, at('split'));
    await check('post', `${model}/split`, { version: '2', percent: 10 }, 409, at('split'));
    await check('post', `${model}/labels`, { label: 'old', version: '1' }, 200, at('labels'));
    await check('post', `${model}/labels`, { label: '1', version: '2' }, 409, at('labels'));
    await check('post', `${model}/shadow`, { version: '1', percent: 10 }, 409, at('shadow'));
    const list = await check('get', '/admin/models');
    assert.deepEqual([list.split, list.moved_labels], [{ version: '1', percent: 10, by: 'key' }, { old: '1' }]);
    await check('get', '/v1/models');
    await check('post', `${model}/split`, undefined, 200, at('split'));
    await check('post', `${model}/shadow`, { version: '1', percent: 100 }, 200, at('shadow'));
    await (await server.post(CHAT, ask('Hello'))).json();
    let report;
    do {
        ({ report } = await check('get', `${model}/shadow`, undefined, 200, at('shadow')));
    } while (report.comparisons.length === 0);
    await check('get', '/v1/models/{id}', undefined, 200, '/v1/models/tiny@old');
});

test('a canary is told as the document says', { skip: missing() }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() } });
    const check = checker(server);
    const canary = '/admin/models/{name}/canary';
    const at = '/admin/models/tiny/canary';
    await check('get', canary, undefined, 404, at);
    await check('post', canary, { version: '1', percent: 50, min_answers: 20, margins: { error_rate: 0, refusal_rate: null } }, 200, at);
    await check('post', canary, { version: '1' }, 409, at);
    await check('post', canary, { version: '1', looks: 0 }, 400, at);
    assert.equal((await check('get', '/admin/models')).versions[1].state, 'canary');
    await check('get', '/v1/models');
    let report;
    for (let n = 0; !report?.looks.length; n++) {
        await (await server.post(CHAT, ask(`${n} + 1?`, { max_tokens: 4 }))).json();
        report = await check('get', canary, undefined, 200, at);
    }
    assert.equal(report.looks[0].measures.length, 6);
    assert.equal((await check('post', canary, { action: 'rollback' }, 200, at)).state, 'rolled_back');
    await check('post', canary, { action: 'rollback' }, 404, at);
});

test('without a repository there are no versions', { skip: missing() }, async (t) => {
    const check = checker(await startServer(t));
    await check('post', '/admin/models/{name}/rollback', undefined, 404, '/admin/models/weir-tiny/rollback');
});
