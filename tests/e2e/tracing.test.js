'use strict';
// Traces, and the log that goes with them: what a client's traceparent becomes, what a collector is told, and that
// neither it nor its absence is felt by requests. No text of a user stands anywhere.

const assert = require('node:assert/strict');
const net = require('node:net');
const test = require('node:test');
const { setTimeout: delay } = require('node:timers/promises');

const { ROUTE, ask, whole, beginStream } = require('./lib/chat.js');
const { startCollector } = require('./lib/collector.js');
const { weir } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { readMetrics } = require('./lib/metrics.js');
const { waitFor } = require('./lib/model_repo.js');
const { freePort } = require('./lib/port.js');
const { startServer, missing, modelPath } = require('./lib/server.js');
const { startService } = require('./lib/webhook.js');

const skip = missing();
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const PARENT = `00-${TRACE}-${SPAN}-01`;
const OURS = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/;

const readParent = (response) => {
    const [, trace, span, flags] = OURS.exec(response.headers.get('traceparent')) ?? assert.fail(response.headers.get('traceparent'));
    return { trace, span, flags };
};

test('a trace goes on through the server, and to the collector', { skip }, async (t) => {
    const collector = await startCollector(t);
    const filters = writeFile(makeFolder(t), 'chain.json', { name: 'shop', filters: [{ type: 'wordlist', words: ['forbiddenword'], side: 'both' }] });
    const server = await startServer(t, {
        args: ['--otlp-endpoint', `${collector.url}/`, '--filters', filters],
        env: { OTEL_EXPORTER_OTLP_HEADERS: 'x-key=s3=cret , authorization = Basic%20YTpi%2c ,other=1', OTEL_SERVICE_NAME: 'shop' },
    });
    const response = await server.post(ROUTE, ask('Tell me a secretive story.', { max_tokens: 8, ignore_eos: true }),
        { headers: { traceparent: PARENT, 'x-request-id': 'mine"1' } });
    const body = await response.json();
    const answered = readParent(response);
    assert.equal(answered.trace, TRACE);
    assert.notEqual(answered.span, SPAN);
    assert.equal(answered.flags, '01');

    const blocked = await server.post(ROUTE, ask('forbiddenword'));
    assert.equal(blocked.status, 400, await blocked.text());
    const embedded = await server.post('/v1/embeddings', { input: 'secretive' });
    await embedded.text();
    const lost = await server.fetch('/nowhere/secretive');
    await lost.text();

    await waitFor(() => collector.spans.length >= 7);
    const { chat, queue, prefill, decode } = Object.fromEntries(
        Object.entries(collector.trace(TRACE)).map(([name, span]) => [name.split(' ')[0], span]));
    assert.equal(chat.spanId, answered.span);
    assert.equal(chat.parentSpanId, SPAN);
    assert.equal(chat.kind, 2);
    assert.equal(chat.name, 'chat weir-tiny');
    assert.equal(chat.status, undefined);
    const { attributes } = chat;
    assert.deepEqual({
        method: attributes['http.request.method'], route: attributes['http.route'], status: attributes['http.response.status_code'],
        id: attributes['weir.request_id'], operation: attributes['gen_ai.operation.name'], model: attributes['gen_ai.response.model'],
        answer: attributes['gen_ai.response.id'], input: attributes['gen_ai.usage.input_tokens'], output: attributes['gen_ai.usage.output_tokens'],
        finish: attributes['gen_ai.response.finish_reasons'], outcome: attributes['weir.outcome'], filters: attributes['weir.filters'],
    }, {
        method: 'POST', route: ROUTE, status: 200, id: response.headers.get('x-request-id'), operation: 'chat', model: body.model,
        answer: body.id, input: body.usage.prompt_tokens, output: 8, finish: ['length'], outcome: 'length',
        filters: response.headers.get('weir-filters').split(';')[0],
    });
    assert.equal(attributes['weir.request_id'], 'mine"1');
    for (const stage of [queue, prefill, decode]) {
        assert.equal(stage.parentSpanId, chat.spanId);
        assert.ok(stage.begin >= chat.begin && stage.end <= chat.end, stage.name);
    }
    assert.ok(queue.end <= prefill.begin && prefill.end === decode.begin && decode.end > decode.begin);
    assert.ok(Math.abs(Number(chat.begin / 1_000_000n) - Date.now()) < 60_000, 'by the clock on the wall');

    const other = collector.trace(readParent(blocked).trace)['chat weir-tiny'];
    assert.equal(other.parentSpanId, undefined);
    assert.equal(other.attributes['weir.outcome'], 'blocked');
    assert.equal(other.status, undefined, 'no fault of the server');
    assert.ok(collector.trace(readParent(embedded).trace)['embeddings weir-tiny']);
    const none = collector.trace(readParent(lost).trace)['none none'];
    assert.equal(none.attributes['http.response.status_code'], 404);

    const [resource] = collector.resources;
    assert.equal(resource['service.name'], 'shop');
    assert.match(resource['service.instance.id'], /^[0-9a-f]{24}$/);
    assert.deepEqual({ ...collector.requests[0].headers, path: collector.requests[0].path, host: '', 'content-length': '' }, {
        host: '', 'content-length': '', accept: 'application/json', 'content-type': 'application/json', 'x-key': 's3=cret', authorization: 'Basic YTpi,', other: '1', path: '/v1/traces',
    });
    assert.doesNotMatch(JSON.stringify(collector.spans.map(({ name, attributes: all }) => [name, all])), /secretive|story|forbiddenword/i);
    const taken = collector.spans.filter(({ kind }) => kind === 2).length;
    await waitFor(async () => (await readMetrics(server)).value('weir_traces_exported_total') === taken);
    assert.equal((await readMetrics(server)).value('weir_traces_export_failures_total'), 0);
});

test('a client decides whether its trace is recorded, and what is no traceparent begins one', { skip }, async (t) => {
    const collector = await startCollector(t);
    const server = await startServer(t, { args: ['--otlp-endpoint', collector.url, '--trace-share', '0'] });
    const send = async (traceparent) => {
        const response = await server.post('/tokenize', { content: 'x' }, { headers: traceparent === undefined ? {} : { traceparent } });
        await response.text();
        assert.equal(response.status, 200);
        return readParent(response);
    };
    const quiet = await send(`00-${TRACE}-${SPAN}-00`);
    assert.deepEqual([quiet.trace, quiet.flags], [TRACE, '00']);
    for (const bad of [undefined, 'x', `00-${'0'.repeat(32)}-${SPAN}-01`, PARENT.toUpperCase(), `${PARENT}-more`, `ff${PARENT.slice(2)}`]) {
        const made = await send(bad);
        assert.notEqual(made.trace, TRACE, bad);
        assert.equal(made.flags, '00', 'of traces that begin here none is recorded');
    }
    const later = await send(`cc${PARENT.slice(2)}-more`);
    assert.deepEqual([later.trace, later.flags], [TRACE, '01']);
    assert.equal((await send(PARENT)).flags, '01');
    await waitFor(() => collector.spans.length === 2);
    assert.deepEqual(new Set(collector.spans.map(({ traceId }) => traceId)), new Set([TRACE]));
    // What monitors and the console ask all the time is nobody's trace.
    for (const route of ['/readyz', '/healthz', '/metrics', '/admin/stats']) {
        const response = await server.fetch(route, { headers: { traceparent: PARENT, authorization: `Bearer ${server.adminKey}` } });
        assert.equal(response.status, 200, await response.text());
    }
    await send(PARENT);
    await waitFor(() => collector.spans.length >= 3);
    assert.equal(collector.spans.length, 3);
});

test('services that filters ask are within the trace, on both sides', { skip }, async (t) => {
    const service = await startService(t);
    const chain = { name: 'x', filters: [{ type: 'webhook', url: service.url, side: 'both', headers: ['x-key: 1'] }] };
    const server = await startServer(t, { args: ['--filters', writeFile(makeFolder(t), 'chain.json', chain)] });
    const ids = async (route, body, headers) => {
        service.questions.length = 0;
        const response = await server.post(route, body, { headers });
        assert.equal(response.status, 200, await response.text());
        const { trace, span, flags } = readParent(response);
        assert.ok(service.questions.length > 0);
        for (const { headers: { traceparent, 'x-key': key } } of service.questions) {
            assert.deepEqual([traceparent, key], [`00-${trace}-${span}-${flags}`, '1']);
        }
        return [trace, new Set(service.questions.map(({ side }) => side)).size];
    };
    const text = { ...ask('Tell me a story.', { ignore_eos: true }), max_tokens: 12 };
    assert.deepEqual(await ids(ROUTE, text, { traceparent: PARENT }), [TRACE, 2]);
    assert.notEqual((await ids(ROUTE, text, {}))[0], TRACE);
    assert.deepEqual(await ids('/v1/embeddings', { input: 'x' }, { traceparent: PARENT }), [TRACE, 1]);
    assert.equal((await ids('/v1/moderations', { input: 'x' }, { traceparent: PARENT }))[0], TRACE);
});

// Asks so often for what is not there, on one connection.
async function getMany(server, count) {
    const socket = net.connect(server.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (piece) => (text += piece));
    socket.write(`GET /nowhere HTTP/1.1\r\nHost: ${server.host}\r\n\r\n`.repeat(count));
    await waitFor(() => text.split('HTTP/1.1 404 ').length === count + 1);
    socket.destroy();
}

test('without a collector there is one warning; what waits is bounded, and told once it is back', { skip }, async (t) => {
    const port = await freePort();
    const server = await startServer(t, { args: ['--otlp-endpoint', `http://127.0.0.1:${port}`] });
    const total = 2048 + 256 + 200;
    await getMany(server, 1);
    await waitFor(() => /warn traces: the collector at http:\/\/127\.0\.0\.1:\d+\/v1\/traces takes none: /.test(server.stderr));
    await getMany(server, total - 1);
    const before = await readMetrics(server);
    const dropped = before.value('weir_traces_dropped_total', { reason: 'queue_full' });
    assert.ok(dropped >= 200, `${dropped} were dropped`);
    assert.equal(before.value('weir_traces_waiting'), total - dropped, 'what is being tried again waits too');
    assert.ok(before.value('weir_traces_export_failures_total') >= 1);
    assert.equal(server.stderr.split('warn traces:').length, 2, 'it is said once');

    const collector = await startCollector(t, port);
    await waitFor(() => collector.spans.length >= total - dropped, 200);
    assert.equal(collector.spans.length, total - dropped);
    assert.match(server.stderr, /info traces: the collector takes them again/);
    assert.ok(collector.requests.length <= 12, 'many in one call');
});

test('a collector that never answers holds up neither requests nor the end; one that refuses is obeyed', { skip }, async (t) => {
    const collector = await startCollector(t);
    collector.status = null;
    const server = await startServer(t, { args: ['--otlp-endpoint', collector.url] });
    assert.equal((await whole(server, ask('What is 23 + 45?'))).finish, 'stop');
    await waitFor(() => collector.requests.length === 1);
    assert.equal((await whole(server, ask('What is 23 + 45?'))).finish, 'stop');
    const begin = Date.now();
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - begin < 10_000, `it took ${Date.now() - begin} ms`);
    assert.match(server.stderr, /warn traces: 2 were not taken before the end/);

    const strict = await startCollector(t);
    strict.status = 400;
    const other = await startServer(t, { args: ['--otlp-endpoint', strict.url] });
    assert.equal((await whole(other, ask('What is 23 + 45?'))).finish, 'stop');
    await waitFor(async () => (await readMetrics(other)).value('weir_traces_dropped_total', { reason: 'refused' }) === 1);
    assert.match(other.stderr, /takes none: HTTP 400/);

    // It is asked again with the next request, also when the time for another try has passed without one.
    await delay(1500);
    strict.status = 200;
    assert.equal((await whole(other, ask('What is 23 + 45?'))).finish, 'stop');
    await waitFor(() => strict.spans.length > 0);
    await waitFor(() => /info traces: the collector takes them again/.test(other.stderr));
});

test('what is wrong about traces and logs is told before anything starts', { skip }, () => {
    for (const [args, message] of [
        [['--otlp-endpoint', 'collector:4318'], /--otlp-endpoint: "collector:4318" is none; http:\/\/127\.0\.0\.1:4318 is/],
        [['--otlp-endpoint', 'http://ann:pass@collector'], /--otlp-endpoint: .* no user/],
        [['--trace-share', '1.5'], /--trace-share: .*0 to 1 are allowed/],
        [['--trace-share', 'nan'], /--trace-share/],
        [['--log-format', 'xml'], /--log-format: "xml" is not known/],
    ]) {
        const { status, stderr } = weir(['serve', '--model', modelPath(), ...args]);
        assert.equal(status, 2, stderr);
        assert.match(stderr, message);
    }
});

test('as JSON each line of the log is an object, and none holds a text or a key', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--log-format', 'json', '--log-requests', '--api-key', 'sk-hidden-key', '--cors-origin', 'https://x.example'] });
    const headers = { authorization: 'Bearer sk-hidden-key', traceparent: PARENT };
    const response = await server.post(ROUTE, ask('Tell a canarybird "story".\n', { max_tokens: 6, ignore_eos: true }), { headers });
    const body = await response.json();
    const denied = await server.post(ROUTE, ask('canarybird'), { headers: { authorization: 'Bearer sk-wrong-key' } });
    assert.equal(denied.status, 401);
    await denied.text();
    const leaver = new AbortController();
    const left = await beginStream(server, ask('canarybird', { max_tokens: 900, ignore_eos: true }), { headers, signal: leaver.signal });
    await left.body.getReader().read();
    leaver.abort();
    await (await server.fetch('/healthz')).text();
    const requests = () => server.stderr.split('\n').slice(0, -1).map((line) => JSON.parse(line)).filter(({ message }) => message === 'request');
    await waitFor(() => requests().length === 3);
    const [first, second, third] = requests();
    assert.match(first.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual({ ...first, time: '', seconds: 0, first_token_seconds: 0 }, {
        time: '', level: 'info', message: 'request', request_id: response.headers.get('x-request-id'), trace_id: TRACE, span_id: readParent(response).span,
        method: 'POST', route: ROUTE, status: 200, seconds: 0, outcome: 'length', model: body.model,
        prompt: response.headers.get('weir-prompt').split(';')[0], filters: response.headers.get('weir-filters').split(';')[0], answer_id: body.id,
        prompt_tokens: body.usage.prompt_tokens, cached_tokens: 0, completion_tokens: 6, first_token_seconds: 0,
    });
    assert.ok(first.seconds >= first.first_token_seconds && first.first_token_seconds > 0);
    assert.deepEqual([second.status, second.outcome, second.first_token_seconds], [401, 'denied', undefined]);
    assert.equal(third.outcome, 'left');
    assert.doesNotMatch(server.stderr, /canarybird|story|hidden|wrong|Bearer/);

    // A key that was made for this run goes to a terminal, and into no log.
    const { stderr } = weir(['serve', '--model', '/nowhere.gguf', '--log-format', 'json', '--port', '0']);
    const [line] = stderr.split('\n');
    assert.equal(JSON.parse(line).level, 'warn');
    assert.doesNotMatch(stderr, /admin key \(made/);
});
