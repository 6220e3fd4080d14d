'use strict';
// The filter "webhook": a service outside rules on what goes in and out, and whatever it does, the stated policy
// holds, in bounded time, and others are not kept.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeCertificate } = require('./lib/certificate.js');
const { ROUTE, ask, whole, streamed, beginStream, readStream } = require('./lib/chat.js');
const { weir } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');
const { readEvents } = require('./lib/sse.js');
const { sleep } = require('./lib/wait.js');
const { startService, until } = require('./lib/webhook.js');

const skip = missing();
const REQUEST = ask('Tell me a story.', { max_tokens: 60 });

function chain(...filters) {
    return { name: 'default', filters };
}

async function publish(server, ...filters) {
    const put = await server.admin('PUT', '/admin/filters/default', chain(...filters));
    assert.equal(put.status, 200, await put.text());
}

function hook(service, more = {}) {
    return { type: 'webhook', url: service.url, breaker_failures: 0, ...more };
}

const ROUTES = [
    ['/v1/chat/completions', { messages: REQUEST.messages, max_tokens: 60 }],
    ['/v1/messages', { messages: REQUEST.messages, max_tokens: 60 }],
    ['/v1/responses', { input: 'Tell me a story.', max_output_tokens: 60 }],
    ['/v1/completions', { prompt: 'Tell me a story.', max_tokens: 60 }],
];

// The text and the way it ended, streamed or not.
async function answer(server, route, body, stream) {
    const response = await server.post(route, { ...body, temperature: 0, stream });
    assert.equal(response.status, 200, await (response.status === 200 ? '' : response.text()));
    if (!stream) {
        return route === '/v1/responses' ? readResponse(await response.json()) : readWhole(await response.json());
    }
    let text = '';
    let finish;
    for await (const { data } of readEvents(response)) {
        const event = data === '[DONE]' ? {} : JSON.parse(data);
        const choice = event.choices?.[0];
        text += choice?.delta?.content ?? choice?.text ?? (event.type === 'response.output_text.delta' ? event.delta : event.delta?.text) ?? '';
        finish = choice?.finish_reason ?? event.delta?.stop_reason ?? event.response?.incomplete_details?.reason ?? finish;
    }
    return { text, finish };
}

function readWhole(body) {
    const choice = body.choices?.[0];
    return choice ? { text: choice.message?.content ?? choice.text, finish: choice.finish_reason }
        : { text: body.content.map((part) => part.text).join(''), finish: body.stop_reason, details: body.stop_details };
}

function readResponse(body) {
    const text = body.output.flatMap((item) => item.content ?? []).map((part) => part.text ?? '').join('');
    return { text, finish: body.incomplete_details?.reason };
}

const FILTERED = ['content_filter', 'refusal'];

test('a service rules on answers, on every route, streamed or not', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    const plain = new Map();
    for (const [route, body] of ROUTES) {
        plain.set(route, (await answer(server, route, body, false)).text);
    }
    await publish(server, hook(service, { max_batch_bytes: 64, headers: ['X-Key: hush'] }));
    for (const [route, body] of ROUTES) {
        for (const stream of [false, true]) {
            const name = `${route}${stream ? ', streamed' : ''}`;
            const text = plain.get(route);
            await t.test(`${name}: pass`, async () => {
                service.questions = [];
                service.rule = () => ({ verdict: 'pass' });
                assert.equal((await answer(server, route, body, stream)).text, text);
                assert.equal(service.texts().join(''), text);
                assert.ok(service.questions.length > 1, 'in pieces');
                const [first] = service.questions;
                const { chain: name_, filter, side, channel, ordinal, offset } = first;
                assert.deepEqual({ name_, filter, side, channel, ordinal, offset },
                    { name_: 'default', filter: 0, side: 'output', channel: 'content', ordinal: 0, offset: 0 });
                assert.deepEqual([first.path, first.headers['x-key']], ['/rule?x=1', 'hush']);
            });
            await t.test(`${name}: replace`, async () => {
                service.rule = async ({ text: piece }) => {
                    await sleep(Math.random() * 20);
                    return { verdict: 'replace', text: `<${piece.replaceAll('e', 'é')}>`, code: 'marks' };
                };
                const changed = (await answer(server, route, body, stream)).text;
                assert.equal(changed.replace(/[<>]/g, ''), text.replaceAll('e', 'é'));
                assert.match(changed, /^<.*>$/s);
            });
            await t.test(`${name}: stop`, async () => {
                service.rule = (_, n) => (n < 2 ? { verdict: 'pass' } : { verdict: 'stop', from: 3, code: 'enough', message: 'no more' });
                service.questions = [];
                const { text: said, finish, details } = await answer(server, route, body, stream);
                const [one, two] = service.texts();
                assert.equal(said, one + Array.from(two).slice(0, 3).join(''));
                assert.ok(FILTERED.includes(finish), finish);
                assert.equal(details?.explanation ?? 'no more', 'no more');
                assert.equal(service.questions.length, 2);
            });
        }
    }
});

test('nothing of a piece leaves before it was ruled on', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    await publish(server, hook(service, { max_batch_bytes: 64, timeout_ms: 20_000 }));
    let release;
    service.rule = (_, n) => (n === 2 ? new Promise((resolve) => (release = () => resolve({ verdict: 'pass' }))) : { verdict: 'pass' });
    let seen = '';
    const answered = readStream(await beginStream(server, REQUEST), (piece) => (seen += piece));
    await service.asked(2);
    await sleep(200); // the model has long written on
    assert.equal(seen, service.texts()[0]);
    release();
    assert.equal((await answered).text, service.texts().join(''));
});

test('a service that hangs: the time is bounded, and the stated policy applied', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    const { text } = await whole(server, REQUEST);
    service.rule = (_, n) => (n === 1 ? { verdict: 'pass' } : null);
    for (const run of [whole, streamed]) {
        await t.test(`closed, ${run.name}`, async () => {
            await publish(server, hook(service, { max_batch_bytes: 64, timeout_ms: 150, retries: 1 }));
            service.questions = [];
            const began = Date.now();
            const ended = await run(server, REQUEST);
            assert.ok(Date.now() - began < 5000);
            assert.equal(ended.text, service.texts()[0]);
            assert.equal(ended.finish, 'content_filter');
            assert.equal(service.questions.length, 3); // one good, two in vain
        });
        await t.test(`open, ${run.name}`, async () => {
            await publish(server, hook(service, { max_batch_bytes: 64, timeout_ms: 150, retries: 0, fail: 'open' }));
            service.questions = [];
            assert.equal((await run(server, REQUEST)).text, text);
            assert.equal(service.questions.length, 2);
            const told = await whole(server, { ...REQUEST, moderation: { model: 'default' } });
            assert.equal(told.body.moderation.output.results[0].categories.filter_failed, true);
        });
    }
    await t.test('the reason is told', async () => {
        await publish(server, hook(service, { max_batch_bytes: 64, timeout_ms: 150, retries: 1 }));
        service.questions = [{}]; // so that all questions hang
        const body = { messages: REQUEST.messages, max_tokens: 60 };
        const { details } = await answer(server, '/v1/messages', body, false);
        assert.equal(details.explanation, 'the service gave no answer within 150 ms (2 tries)');
    });
});

test('what fails in passing is tried again; what keeps failing is left alone, and comes back', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    const { text } = await whole(server, REQUEST);
    await publish(server, hook(service, { batch: 'text', retries: 2 }));
    service.rule = (_, n) => (n < 3 ? 503 : { verdict: 'pass' });
    assert.equal((await whole(server, REQUEST)).text, text);
    assert.equal(service.questions.length, 3);
    for (const wrong of [404, 'no JSON', { verdict: 'allow' }]) {
        service.questions = [];
        service.rule = () => wrong;
        const refused = await whole(server, REQUEST);
        assert.deepEqual([refused.text, refused.finish, service.questions.length], ['', 'content_filter', 1]);
    }

    // Short ones, so that the while is longer than a few of them take.
    const short = { ...REQUEST, max_tokens: 2 };
    await publish(server, hook(service, { batch: 'text', retries: 0, breaker_failures: 2, breaker_seconds: 3 }));
    service.questions = [];
    service.rule = () => 500;
    for (let i = 0; i < 4; i++) {
        assert.equal((await whole(server, short)).finish, 'content_filter');
    }
    assert.equal(service.questions.length, 2);
    assert.match(server.stderr, /filter webhook, http:\/\/127\.0\.0\.1:\d+: 2 failures in a row \(the service answered 500\)/);
    assert.doesNotMatch(server.stderr, /rule\?x/);
    await sleep(3100);
    assert.equal((await whole(server, short)).finish, 'content_filter'); // a trial, in vain
    assert.equal((await whole(server, short)).finish, 'content_filter');
    assert.equal(service.questions.length, 3);
    await sleep(3100);
    service.rule = () => ({ verdict: 'pass' });
    for (let i = 0; i < 3; i++) {
        assert.notEqual((await whole(server, short)).finish, 'content_filter');
    }
    assert.equal(service.questions.length, 6);
});

test('a client that asks to block gets nothing of what was found', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    await publish(server, hook(service, { max_batch_bytes: 64 }));
    service.rule = async (_, n) => (await sleep(20), n % 3 ? { verdict: 'pass' } : { verdict: 'note', code: 'odd' });
    const request = { ...REQUEST, moderation: { model: 'default', policy: { output: { mode: 'block' } } } };
    for (const run of [whole, streamed]) {
        service.questions = [];
        const { text, finish } = await run(server, request);
        assert.equal(finish, 'content_filter');
        assert.equal(text, service.texts().slice(0, 2).join(''));
    }
});

test('stop strings and limits end an answer whose last piece waits', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    const { text } = await whole(server, REQUEST);
    const stop = text.slice(20, 26);
    const plain = await whole(server, { ...REQUEST, stop });
    const cut = await whole(server, { ...REQUEST, max_tokens: 9 });
    assert.deepEqual([plain.finish, cut.finish], ['stop', 'length']);
    await publish(server, hook(service));
    service.rule = async () => (await sleep(100), { verdict: 'pass' });
    for (const run of [whole, streamed]) {
        const stopped = await run(server, { ...REQUEST, stop });
        assert.deepEqual([stopped.text, stopped.finish], [plain.text, 'stop']);
        const short = await run(server, { ...REQUEST, max_tokens: 9 });
        assert.deepEqual([short.text, short.finish, short.usage.completion_tokens], [cut.text, 'length', 9]);
        const both = await server.post(ROUTE, { ...REQUEST, n: 3, stop });
        const { choices } = await both.json();
        assert.deepEqual(choices.map(({ message }) => message.content), [plain.text, plain.text, plain.text]);
    }
});

test('the input side: the request waits, is changed or refused', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    service.rule = async ({ text }) => {
        await sleep(20);
        return text.includes('xyzzy') ? { verdict: 'stop', message: 'not this' }
            : { verdict: 'replace', text: text.replace('lights', 'Heron') };
    };
    await publish(server, hook(service, { side: 'input' }));
    for (const [route, body] of ROUTES) {
        for (const stream of [false, true]) {
            const said = JSON.parse(JSON.stringify(body).replace('Tell me a story.', 'Hello there. Say xyzzy!'));
            const refused = await server.post(route, { ...said, stream });
            assert.equal(refused.status, 400, route);
            assert.match((await refused.json()).error.message, /a filter refused "(messages\[0\]\.content|prompt|input.*)": not this/);
            assert.ok((await answer(server, route, body, stream)).text.length > 0);
        }
    }
    assert.deepEqual(service.texts().slice(0, 2), ['Hello there. ', 'Say xyzzy!']);
    assert.deepEqual(service.questions[0].side, 'input');

    const many = { ...REQUEST, messages: Array.from({ length: 9 }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: `No ${i}. Yes.` })) };
    service.questions = [];
    await whole(server, many);
    assert.deepEqual(service.texts(), many.messages.flatMap((_, i) => [`No ${i}. `, 'Yes.']));

    const moderate = async (input) => {
        const response = await server.post('/v1/moderations', { input });
        assert.equal(response.status, 200);
        return (await response.json()).results.map(({ flagged }) => flagged);
    };
    service.rule = async ({ text }) => (await sleep(20), text.includes('xyzzy') ? { verdict: 'note', code: 'magic' } : { verdict: 'pass' });
    assert.deepEqual(await moderate(['one', 'xyzzy. two', 'three']), [false, true, false]);

    const embed = (input) => server.post('/v1/embeddings', { input });
    service.rule = async ({ text }) => (await sleep(20), text.includes('stop') ? { verdict: 'stop', message: 'no' } : { verdict: 'replace', text: 'a bird' });
    const { data } = await (await embed(['a heron', 'a bird', 'a house'])).json();
    assert.deepEqual(data[0].embedding, data[1].embedding);
    assert.deepEqual(data[0].embedding, data[2].embedding);
    const wrong = await embed(['fine', 'stop']);
    assert.deepEqual([wrong.status, (await wrong.json()).error.param], [400, 'input[1]']);
});

test('the deadline of a request runs while a service is asked', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    service.rule = async () => (await sleep(300), { verdict: 'pass' });
    for (const side of ['input', 'output']) {
        await publish(server, hook(service, { side, max_batch_bytes: 64 }));
        const messages = Array.from({ length: 40 }, () => ({ role: 'user', content: 'Tell me a story.' }));
        const began = Date.now();
        const late = await server.post(ROUTE, { ...REQUEST, messages: side === 'input' ? messages : REQUEST.messages, deadline_ms: 500 });
        assert.deepEqual([late.status, (await late.json()).error.param], [504, 'deadline_ms']);
        assert.ok(Date.now() - began < 5000);
    }
});

test('arguments of calls stay JSON and in order while their strings wait', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    const parameters = { type: 'object', additionalProperties: false, required: ['colour', 'n', 'why'],
        properties: { colour: { enum: ['red'] }, n: { enum: [1] }, why: { enum: ['so'] } } };
    const tools = [{ type: 'function', function: { name: 'paint', parameters } }];
    const request = { ...REQUEST, max_tokens: 200, tools, tool_choice: 'required', parallel_tool_calls: false };
    await publish(server, hook(service));
    service.rule = async ({ text }) => (await sleep(10), { verdict: 'replace', text: text === 'red' ? 'a "b"\n' : text });
    const { message, finish_reason: finish } = (await (await server.post(ROUTE, request)).json()).choices[0];
    assert.equal(finish, 'tool_calls');
    const [call] = message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), { colour: 'a "b"\n', n: 1, why: 'so' });
    assert.ok(service.questions.every(({ channel }) => channel === 'tool_args'));
    assert.deepEqual(service.texts(), ['colour', 'red', 'n', '1', 'why', 'so']);
    assert.deepEqual(service.questions.map(({ ordinal }) => ordinal), [0, 1, 2, 3, 4, 5]);

    const deltas = (await streamed(server, request)).chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    assert.equal(deltas[0].function.name, 'paint');
    assert.equal(deltas.map((delta) => delta.function.arguments ?? '').join(''), call.function.arguments);
    service.rule = async ({ text }) => (await sleep(10), text === 'why' ? { verdict: 'stop' } : { verdict: 'pass' });
    const stopped = (await (await server.post(ROUTE, request)).json()).choices[0];
    assert.equal(stopped.finish_reason, 'content_filter');
});

test('a client that leaves takes its question back', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    service.rule = () => null;
    for (const side of ['output', 'input']) {
        await publish(server, hook(service, { side, timeout_ms: 30_000, retries: 0 }));
        for (const [route, body] of [...ROUTES, ['/v1/embeddings', { input: 'a' }], ['/v1/moderations', { input: 'a' }]]) {
            if (side === 'output' && route === '/v1/embeddings') {
                continue;
            }
            const [asked, gone] = [service.questions.length, service.gone];
            const abort = new AbortController();
            const request = server.post(route, { ...body, temperature: 0 }, { signal: abort.signal });
            request.catch(() => {});
            await service.asked(asked + 1);
            abort.abort();
            await until(() => service.gone === gone + 1, 5000, () => `${route}, ${side}`);
        }
    }
    // One may wait in front of a chain that was replaced meanwhile: it keeps the one it began with.
    await publish(server, hook(service, { timeout_ms: 30_000, retries: 0, batch: 'text' }));
    let release;
    service.rule = () => new Promise((resolve) => (release = () => resolve({ verdict: 'replace', text: 'by the old one' })));
    const asked = service.questions.length;
    const answered = whole(server, REQUEST);
    await service.asked(asked + 1);
    await publish(server);
    assert.notEqual((await whole(server, REQUEST)).text, 'by the old one');
    release();
    assert.equal((await answered).text, 'by the old one');
});

test('many wait, and nobody else does', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    const { text } = await whole(server, REQUEST);
    await publish(server, hook(service, { max_batch_bytes: 64, timeout_ms: 20_000 }));
    service.rule = async () => (await sleep(1500), { verdict: 'pass' });
    const waiting = Array.from({ length: 8 }, (_, i) => (i % 2 ? whole : streamed)(server, REQUEST));
    await service.asked(4);
    let slowest = 0;
    for (let i = 0; i < 40; i++) {
        const began = Date.now();
        assert.equal((await server.fetch('/healthz')).status, 200);
        slowest = Math.max(slowest, Date.now() - began);
    }
    assert.ok(slowest < 1000, `${slowest} ms`);
    for (const ended of await Promise.all(waiting)) {
        assert.equal(ended.text, text);
    }
});

test('a service with TLS must have a certificate that is trusted', { skip }, async (t) => {
    const folder = makeFolder(t);
    const [cert, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
    makeCertificate(cert, key);
    const service = await startService(t, { cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
    const run = (more) => {
        const file = writeFile(folder, 'chain.json', chain(hook(service, { retries: 0, ...more })));
        return runFilter(file, 'One. Two.');
    };
    const refused = await run({});
    assert.equal(refused.stdout, '');
    assert.match(refused.stderr, /the service's certificate is not trusted/);
    assert.equal(service.questions.length, 0);
    const trusted = await run({ ca_file: 'cert.pem' });
    assert.deepEqual([trusted.stdout, trusted.stderr], ['One. Two.', '']);
});

// The service lives in this process, so that the program must not be waited for in the way of spawnSync.
function runFilter(file, input, args = []) {
    const { spawn } = require('node:child_process');
    const { programPath } = require('./lib/server.js');
    return new Promise((resolve) => {
        const child = spawn(programPath(), ['filter', '--chain', file, ...args]);
        const out = { stdout: '', stderr: '' };
        child.stdout.on('data', (bytes) => (out.stdout += bytes));
        child.stderr.on('data', (bytes) => (out.stderr += bytes));
        child.on('close', (status) => resolve({ ...out, status }));
        child.stdin.end(input);
    });
}

test('weir filter waits for a service, for any chunks', { skip }, async (t) => {
    const service = await startService(t);
    const file = writeFile(makeFolder(t), 'chain.json', chain(hook(service), { type: 'wordlist', words: ['Two'], action: 'mask' }));
    service.rule = async ({ text }) => (await sleep(5), text.startsWith('Three') ? { verdict: 'stop', code: 'three' } : { verdict: 'pass' });
    const results = [];
    for (const chunk of ['1', '7', '4096']) {
        results.push(await runFilter(file, 'One. Two. Three. Four.', ['--chunk', chunk]));
    }
    for (const result of results) {
        assert.deepEqual(result, results[0]);
    }
    assert.deepEqual([results[0].status, results[0].stdout], [0, 'One. ***. ']);
    assert.match(results[0].stderr, /"verdict":"stop".*"code":"three"/);
    assert.equal(weir(['filter', '--chain', file], '').status, 0); // nothing to ask about
});

test('a server that stops does not wait for ever for a service', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t, { args: ['--drain-timeout', '1'] });
    await publish(server, hook(service, { side: 'both', timeout_ms: 30_000 }));
    service.rule = ({ side }) => (side === 'input' && service.questions.length < 3 ? { verdict: 'pass' } : null);
    const waiting = [server.post(ROUTE, REQUEST), server.post(ROUTE, REQUEST), server.post('/v1/embeddings', { input: 'a' })];
    waiting.forEach((request) => request.catch(() => {}));
    await service.asked(4);
    const began = Date.now();
    const { code, signal } = await server.stop();
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, server.stderr);
    assert.ok(Date.now() - began < 5000);
});

test('a storm: a service of every mood, clients that leave, chains that are swapped', { skip }, async (t) => {
    const service = await startService(t);
    const server = await startServer(t);
    const pick = (list) => list[Math.floor(Math.random() * list.length)];
    const answers = [{ verdict: 'pass' }, { verdict: 'pass' }, { verdict: 'replace', text: 'x' }, { verdict: 'note' }, { verdict: 'stop' }, 500, 404, 'what?', null];
    service.rule = async () => (await sleep(pick([0, 0, 1, 5, 50])), pick(answers));
    const hooks = () => hook(service, {
        side: pick(['input', 'output', 'both']), fail: pick(['open', 'closed']), batch: pick(['sentence', 'text']),
        timeout_ms: pick([50, 200]), retries: pick([0, 1, 3]), breaker_failures: pick([0, 3]), breaker_seconds: 1,
    });
    const end = Date.now() + 8000;
    let complete = 0;
    async function client() {
        while (Date.now() < end) {
            const [route, body] = pick([...ROUTES, ['/v1/embeddings', { input: ['a. b', 'c'] }], ['/v1/moderations', { input: ['a. b', 'c'] }]]);
            const abort = new AbortController();
            const timer = setTimeout(() => abort.abort(), pick([5, 50, 200, 5000]));
            try {
                const response = await server.post(route, { ...body, stream: pick([true, false]) }, { signal: abort.signal });
                await response.text();
                assert.ok([200, 400, 429].includes(response.status), String(response.status));
                complete++;
            } catch (e) {
                assert.equal(e.name, 'AbortError', String(e));
            }
            clearTimeout(timer);
        }
    }
    async function owner() {
        while (Date.now() < end) {
            await publish(server, ...pick([[], [hooks()], [hooks(), hooks()], [hooks(), { type: 'wordlist', words: ['the'], action: 'mask' }, hooks()]]));
            await sleep(pick([10, 300]));
        }
    }
    await Promise.all([...Array.from({ length: 12 }, client), owner()]);
    assert.ok(complete > 20, `${complete} answers`);
    await publish(server);
    await whole(server, REQUEST);
});

test('a deadline ends what waits for a service, on either side, streamed or not', { skip }, async (t) => {
    const service = await startService(t);
    service.rule = () => null;
    const server = await startServer(t);
    for (const side of ['input', 'output']) {
        await publish(server, hook(service, { side, timeout_ms: 20_000, retries: 0 }));
        for (const stream of [false, true]) {
            const begin = Date.now();
            const response = await server.post(ROUTE, { ...REQUEST, stream, deadline_ms: 300 });
            const text = await response.text();
            const took = Date.now() - begin;
            const name = `${side}, ${stream}: ${response.status} after ${took} ms: ${text}`;
            assert.equal(response.status, stream && side === 'output' ? 200 : 504, name);
            assert.match(text, /deadline of 300 ms/, name);
            assert.doesNotMatch(text, /\[DONE\]/, name);
            assert.ok(took >= 290 && took < 10_000, name);
        }
    }
    await until(() => service.gone === service.questions.length, 10_000, () => `${service.gone} of ${service.questions.length}`);
});
