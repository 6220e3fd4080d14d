'use strict';
// GET /metrics: every verdict of a filter is counted once, on every route, and no text stands in it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ROUTE, ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { succeed } = require('./lib/command.js');
const { makeFolder, writeFile, writeOtherVersion } = require('./lib/files.js');
const { parseMetrics, readMetrics } = require('./lib/metrics.js');
const { lintMetrics } = require('./lib/prometheus.js');
const { startRepo, putVersion, waitFor, waitForState } = require('./lib/model_repo.js');
const { startServer, missing, modelPath } = require('./lib/server.js');
const { readEvents } = require('./lib/sse.js');
const { startService } = require('./lib/webhook.js');

const skip = missing();
const REPO = path.resolve(__dirname, '../..');
const VERDICTS = 'weir_filter_verdicts_total';

const CHAIN = {
    name: 'shop',
    version: 7,
    filters: [
        { type: 'wordlist', words: ['canarybird'], side: 'input', action: 'replace', replacement: 'number' },
        { type: 'wordlist', words: ['forbiddenword'], side: 'both' },
        { type: 'regex', patterns: ['[0-9]+'], side: 'output', action: 'note' },
    ],
};

async function startWith(t, chain, args = []) {
    const file = writeFile(makeFolder(t), 'chain.json', chain);
    return startServer(t, { args: ['--filters', file, ...args] });
}

test('the reader of these tests refuses what is malformed', () => {
    const good = '# HELP a_total x\n# TYPE a_total counter\na_total{b="c\\"d\\n"} 1\n';
    assert.equal(parseMetrics(good).value('a_total', { b: 'c"d\n' }), 1);
    for (const bad of [
        good.slice(0, -1), good.replace('counter', 'gauge'), good.replace('} 1', '} one'), good.replace('\\"', '"'),
        good + good, `${good}a_total{b="c\\"d\\n"} 2\n`, good.replace('a_total{', 'b_total{'), '# HELP a x\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n',
    ]) {
        assert.throws(() => parseMetrics(bad), bad);
    }
});

test('the documentation lists what there is', () => {
    const table = fs.readFileSync(path.join(REPO, 'runtime/serve/server_metrics.h'), 'utf8');
    const names = [...table.matchAll(/"((?:weir_|gen_ai_server_|vllm:)[a-z0-9_]+)"/g)].map(([, name]) => name);
    const docs = fs.readFileSync(path.join(REPO, 'docs/operations.md'), 'utf8');
    const listed = [...docs.matchAll(/^\| (`(?:weir_|gen_ai_server_|vllm:)[^|]+) \|/gm)].flatMap(([, cell]) => cell.replaceAll('`', '').split(', '));
    assert.ok(names.length > 10);
    assert.deepEqual(listed.sort(), names.sort());
});

// What each route is asked so that its text is replaced on the way in.
const QUESTION = 'canarybird: What is 23 + 45?';
const ROUTES = {
    [ROUTE]: ask(QUESTION),
    '/v1/completions': { prompt: 'canarybird 1. The capital of France is', temperature: 0, max_tokens: 24 },
    '/v1/responses': { input: QUESTION, temperature: 0, max_output_tokens: 24 },
    '/v1/messages': { messages: [{ role: 'user', content: QUESTION }], temperature: 0, max_tokens: 24 },
};

test('verdicts are counted on all routes that make text, streamed or not', { skip }, async (t) => {
    const server = await startWith(t, CHAIN);
    let before = await readMetrics(server);
    const noted = new Map();
    for (const [route, request] of Object.entries(ROUTES)) {
        for (const stream of [false, true]) {
            const response = await server.post(route, { ...request, stream });
            assert.equal(response.status, 200);
            if (stream) {
                for await (const event of readEvents(response)) assert.ok(event);
            } else {
                await response.text();
            }
            const now = await readMetrics(server);
            const grown = (name, labels) => now.value(name, labels) - before.value(name, labels);
            const where = `${route} ${stream ? 'streamed' : 'whole'}`;
            const chain = { chain: 'shop', version: 7 };
            assert.equal(grown(VERDICTS, { ...chain, filter: 0, type: 'wordlist', side: 'input', channel: 'content', code: 'wordlist', verdict: 'replace', mode: 'enforce' }), 1, where);
            assert.equal(grown(VERDICTS, { side: 'input' }), 1, where);
            const notes = grown(VERDICTS, { ...chain, filter: 2, type: 'regex', side: 'output', verdict: 'note' });
            noted.set(route, noted.get(route) ?? notes);
            assert.equal(notes, noted.get(route), `${where}: streamed and whole are the same`);
            assert.equal(grown('weir_chain_texts_total', { ...chain, side: 'input' }), 1, where);
            assert.equal(grown('weir_chain_texts_total', { ...chain, side: 'output' }), 1, where);
            assert.ok(grown('weir_filter_calls_total', { filter: 2, side: 'output' }) > 0, where);
            assert.ok(grown('weir_filter_bytes_total', { filter: 0, side: 'input' }) >= QUESTION.length, where);
            assert.ok(grown('weir_filter_seconds_total', { filter: 2 }) > 0, where);
            assert.equal(now.value('weir_filter_held_bytes', chain, '_count') - before.value('weir_filter_held_bytes', chain, '_count'), 1, where);
            assert.equal(grown('weir_http_requests_total', { route, method: 'POST', code: 200 }), 1, where);
            before = now;
        }
    }
    assert.ok(noted.get(ROUTE) > 0, 'the answer has numbers in it');
    assert.doesNotMatch(before.text, /canarybird|What is/);
    assert.doesNotMatch(server.stderr, /canarybird/);
    assert.equal(lintMetrics(before.text), '');
});

test('stops are counted by code, on both sides and on the routes without answers', { skip }, async (t) => {
    const server = await startWith(t, CHAIN);
    const stops = async (labels) => (await readMetrics(server)).value('weir_chain_stops_total', { code: 'wordlist', verdict: 'stop', ...labels });
    for (const stream of [false, true]) {
        assert.equal((await server.post(ROUTE, ask('forbiddenword', { stream }))).status, 400);
    }
    assert.equal(await stops({ side: 'input' }), 2);
    assert.equal((await server.post('/v1/embeddings', { input: ['fine', 'a forbiddenword'] })).status, 400);
    assert.equal(await stops({ side: 'input' }), 3);
    assert.equal((await server.post('/v1/moderations', { input: 'a forbiddenword' })).status, 200);
    assert.equal(await stops({ side: 'input' }), 4);
    assert.equal(await stops({ side: 'output' }), 1);

    await server.admin('PUT', '/admin/filters/default', { name: 'shop', filters: [{ type: 'wordlist', words: ['68'] }] });
    await (await server.post(ROUTE, ask('What is 23 + 45?'))).text();
    await readStream(await beginStream(server, ask('What is 23 + 45?')));
    assert.equal(await stops({ side: 'output', version: 8 }), 2);
});

test('failures are counted, also those that were let pass', { skip }, async (t) => {
    const failing = { type: 'regex', patterns: ['(a+)+[bd]'], side: 'input' };
    const server = await startWith(t, { name: 'x', version: 1, filters: [{ ...failing, fail: 'open' }] });
    const request = ask(`${'a'.repeat(60)}c`, { max_tokens: 1 });
    const failures = async (version) => (await readMetrics(server)).value('weir_filter_failures_total', { version, filter: 0, type: 'regex' });
    const stops = async () => (await readMetrics(server)).value('weir_chain_stops_total', { verdict: 'fail' });
    assert.equal((await server.post(ROUTE, request)).status, 200);
    assert.equal(await failures(1), 1);
    assert.equal(await stops(), 0);
    await server.admin('PUT', '/admin/filters/default', { name: 'x', filters: [failing] });
    assert.equal((await server.post(ROUTE, request)).status, 400);
    assert.equal(await failures(2), 1);
    assert.equal(await stops(), 1);
});

test('codes that a filter invents do not make series without end', { skip }, async (t) => {
    const code = 'local n = 0 return function(span) n = n + 1 if span.ended then return end ' +
        'return note(#span.text, span.text, "m") end';
    const chain = { name: 'x', filters: [{ type: 'script', side: 'input', code }] };
    const server = await startServer(t);
    const put = await server.admin('PUT', '/admin/filters/default', chain);
    if (put.status !== 200) {
        t.diagnostic(`scripts are not built in: ${await put.text()}`);
        return;
    }
    for (let i = 0; i < 8; i++) {
        const input = Array.from({ length: 50 }, (_, k) => String.fromCodePoint(0x4e00 + 50 * i + k)).join('');
        await server.post('/v1/moderations', { input: `"\\\n${input}` });
    }
    const { families, value } = await readMetrics(server);
    assert.equal(value(VERDICTS), 8 * 53);
    assert.ok(families.get(VERDICTS).samples.length <= 33);
    assert.ok(value(VERDICTS, { code: 'other' }) > 300);
    assert.equal(value(VERDICTS, { code: '"' }), 8);
    assert.equal(value(VERDICTS, { code: '\n' }), 8);
});

test('requests are counted by route and outcome', { skip }, async (t) => {
    const server = await startServer(t);
    await server.fetch('/healthz');
    await server.fetch('/healthz', { method: 'HEAD' });
    await server.fetch('/no/such/path/with/canarybird');
    await server.fetch('/healthz', { method: 'DELETE' });
    await server.post(ROUTE, { model: 3 });
    await server.fetch('/admin/models');
    await server.fetch('/v1/models/none-such');
    const gone = new AbortController();
    const stream = await server.post(ROUTE, ask('Tell me a long story.', { stream: true, max_tokens: 400, ignore_eos: true }), { signal: gone.signal });
    await stream.body.getReader().read();
    gone.abort();
    const counted = async () => (await readMetrics(server)).value('weir_http_requests_aborted_total', { route: ROUTE });
    for (let i = 0; i < 100 && (await counted()) === 0; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { text, value } = await readMetrics(server);
    const requests = (labels) => value('weir_http_requests_total', labels);
    assert.equal(requests({ route: '/healthz', method: 'GET', code: 200 }), 2);
    assert.equal(requests({ route: 'none', code: 404 }), 1);
    assert.equal(requests({ route: 'none', code: 405 }), 1);
    assert.equal(requests({ route: ROUTE, code: 400 }), 1);
    assert.equal(requests({ route: ROUTE, code: 200 }), 1);
    assert.equal(requests({ route: '/admin/models', code: 401 }), 1);
    assert.equal(requests({ route: '/v1/models/{id}', code: 404 }), 1);
    assert.equal(await counted(), 1);
    assert.ok(value('weir_http_connections') >= 1);
    assert.equal(value('weir_build_info'), 1);
    assert.doesNotMatch(text, /canarybird|none-such/);
});

test('who may read them is for the owner to say', { skip }, async (t) => {
    const folder = makeFolder(t);
    const keys = path.join(folder, 'keys');
    const key = (name, scopes) => /weir-[0-9a-f]{64}/.exec(succeed(['keys', 'add', '--file', keys, '--name', name, '--scopes', scopes]))[0];
    const chat = key('chat', 'chat');
    const scraper = key('scraper', 'metrics');
    const bearer = (value) => ({ headers: { authorization: `Bearer ${value}` } });

    const open = await startServer(t, { args: ['--api-key-file', keys] });
    await readMetrics(open);
    const closed = await startServer(t, { args: ['--api-key-file', keys, '--metrics', 'key'] });
    assert.equal((await closed.fetch('/metrics')).status, 401);
    assert.equal((await closed.fetch('/metrics', bearer(chat))).status, 403);
    await readMetrics(closed, bearer(scraper));
    assert.equal((await closed.post(ROUTE, ask('Hi'), bearer(scraper))).status, 403);
    const off = await startServer(t, { args: ['--metrics', 'off'] });
    assert.equal((await off.fetch('/metrics')).status, 404);
    // The owner reads them anyhow, as the console does.
    const owner = await off.admin('GET', '/admin/stats');
    assert.equal(owner.status, 200);
    assert.equal(parseMetrics(await owner.text()).value('weir_build_info'), 1);
});

test('names of filters and verdicts that are only recorded', { skip }, async (t) => {
    const bad = { type: 'wordlist', words: ['badword'], side: 'input' };
    const server = await startWith(t, { name: 'x', filters: [{ ...bad, name: 'trial', mode: 'record' }, { ...bad, words: ['worse'] }] });
    const put = { name: 'x', filters: [{ ...bad, name: 'trial' }, { ...bad, words: ['worse'] }] };
    assert.equal((await server.post(ROUTE, ask('badword', { max_tokens: 1 }))).status, 200);
    const { value } = await readMetrics(server);
    assert.equal(value(VERDICTS, { filter: 'trial', type: 'wordlist', verdict: 'stop', mode: 'record' }), 1);
    assert.equal(value('weir_chain_stops_total'), 0);
    assert.ok(value('weir_filter_calls_total', { filter: 1 }) > 0);
    const { findings: [row] } = await (await server.admin('GET', '/admin/findings')).json();
    assert.deepEqual([row.name, row.filter, row.recorded, row.verdict], ['trial', 0, true, 'stop']);
    const replay = await (await server.admin('POST', '/admin/filters/replay', { chain: put, texts: [{ text: 'badword', side: 'input' }] })).json();
    assert.equal(replay.newly_stopped, 1);
    assert.deepEqual(replay.rules.map(({ name, recorded, before, after }) => [name, recorded, before, after]), [['trial', true, 1, 0], ['trial', false, 0, 1]]);
});

test('metrics of models, versions and shares are there and move', { skip }, async (t) => {
    const other = path.join(makeFolder(t), 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } },
        ['--keep-generations', '0', '--models-memory', '4000', '--unload-idle', '1']);
    putVersion(repo, 'b', '1', { file: modelPath() });
    putVersion(repo, 'b', '2', { file: other });
    const value = async (name, labels, suffix) => (await readMetrics(server)).value(name, labels, suffix);
    const states = async () => Object.fromEntries((await readMetrics(server)).families.get('weir_model_loaded').samples
        .filter(({ value: is }) => is === 1).map(({ labels }) => [`${labels.model}@${labels.version}`, labels.state]));
    const admin = async (model, what, body) => {
        const response = await server.admin('POST', `/admin/models/${model}/${what}`, body);
        assert.equal(response.status, 200, await response.text());
    };
    const say = (text, more) => whole(server, ask(text, more));

    assert.deepEqual(await states(), { 'tiny@1': 'serving' });
    assert.equal(await value('weir_models_memory_limit_bytes'), 4000 * 2 ** 20);
    const alone = await value('weir_models_memory_bytes');
    assert.ok(alone > 0);
    assert.ok(await value('weir_model_load_seconds', { model: 'tiny' }) > 0);
    assert.equal(await value('weir_model_loads_total', { model: 'tiny' }), 1);

    // Another model, loaded and gone for being idle.
    await waitFor(async () => (await server.admin('GET', '/admin/models/b/versions/2')).status === 200);
    await admin('b', 'load');
    assert.deepEqual(await states(), { 'tiny@1': 'serving', 'b@2': 'serving' });
    assert.equal(await value('weir_models_memory_bytes'), 2 * alone);
    await waitFor(async () => !('b@2' in (await states())));
    assert.equal(await value('weir_model_unloads_total', { model: 'b', reason: 'idle' }), 1);
    await waitFor(async () => (await value('weir_models_memory_bytes')) === alone);

    // A version that cannot be loaded, and one that takes the place of another.
    putVersion(repo, 'tiny', '2', { file: modelPath(), manifest: { sha256: '0'.repeat(64) } });
    await waitForState(server, '2', 'failed');
    assert.equal(await value('weir_model_load_failures_total', { model: 'tiny' }), 1);
    putVersion(repo, 'tiny', '3', { file: other });
    await waitForState(server, '3', 'serving');
    assert.equal(await value('weir_model_unloads_total', { model: 'tiny', reason: 'replaced' }), 1);
    assert.equal(await value('weir_model_loads_total', { model: 'tiny' }), 2);

    // Shares, while they are there and when they have ended.
    await admin('tiny', 'activate', { version: '1' });
    await admin('tiny', 'split', { version: '3', percent: 20 });
    assert.deepEqual(await states(), { 'tiny@1': 'serving', 'tiny@3': 'split' });
    assert.equal(await value('weir_split_percent', { model: 'tiny', version: '3' }), 20);
    await admin('tiny', 'split', { percent: 0 });
    assert.equal(await value('weir_split_percent', { model: 'tiny', version: '3' }), 0);
    await admin('tiny', 'shadow', { version: '3', percent: 100 });
    assert.deepEqual(await states(), { 'tiny@1': 'serving', 'tiny@3': 'shadow' });
    assert.equal(await value('weir_shadow_percent', { model: 'tiny', version: '3' }), 100);
    await say('Tell me a story.');
    await waitFor(async () => (await value('weir_shadow_copies_total', { version: '3' })) === 1);
    await admin('tiny', 'shadow', { percent: 0 });
    assert.equal(await value('weir_shadow_percent', { version: '3' }), 0);
    await admin('tiny', 'canary', { version: '3', percent: 10 });
    assert.deepEqual(await states(), { 'tiny@1': 'serving', 'tiny@3': 'canary' });
    assert.equal(await value('weir_canary_state', { version: '3', state: 'running' }), 1);
    await admin('tiny', 'canary', { action: 'rollback' });
    assert.equal(await value('weir_canary_state', { version: '3', state: 'running' }), 0);
    assert.equal(await value('weir_canary_state', { version: '3', state: 'rolled_back' }), 1);
    assert.equal(await value('weir_canary_decisions_total', { model: 'tiny', decision: 'rolled_back' }), 1);
    assert.equal(await value('weir_model_unloads_total', { model: 'tiny', reason: 'canary' }), 1);

    // Answers, by version and by what became of them.
    const answers = async (outcome) => value('weir_model_answers_total', { model: 'tiny', version: '1', outcome });
    const before = { length: await answers('length'), complete: await answers('complete'),
        tokens: await value('weir_model_answer_tokens', { version: '1' }, '_sum'), first: await value('weir_model_first_token_seconds', { version: '1' }, '_count'),
        between: await value('weir_model_token_seconds', { version: '1' }, '_count') };
    await say('Count.', { max_tokens: 7, ignore_eos: true });
    assert.equal(await answers('length'), before.length + 1);
    assert.equal(await value('weir_model_answer_tokens', { version: '1' }, '_sum'), before.tokens + 7);
    assert.equal(await value('weir_model_first_token_seconds', { version: '1' }, '_count'), before.first + 1);
    assert.equal(await value('weir_model_token_seconds', { version: '1' }, '_count'), before.between + 1);
    assert.equal((await say('What is 23 + 45?')).finish, 'stop');
    assert.equal(await answers('complete'), before.complete + 1);
    const late = await server.post(ROUTE, ask('Count.', { max_tokens: 900, ignore_eos: true, deadline_ms: 10 }));
    assert.equal(late.status, 504);
    assert.equal(await answers('late'), 1);
    const leaver = new AbortController();
    const left = await server.post(ROUTE, ask('Count.', { max_tokens: 900, ignore_eos: true, stream: true }), { signal: leaver.signal });
    await left.body.getReader().read();
    leaver.abort();
    await waitFor(async () => (await answers('left')) === 1);
    const refusal = await say('', { messages: [{ role: 'system', content: 'Do not talk about chess.' },
        { role: 'user', content: 'Do you have advice about chess?' }] });
    assert.equal(refusal.finish, 'stop', refusal.text);
    assert.equal(await value('weir_model_refusals_total', { model: 'tiny', version: '1' }), 1, refusal.text);
});

// Of each request that a model was asked for, under all names.
test('requests are counted by outcome, their stages are timed, and tokens are told while they come', { skip }, async (t) => {
    const server = await startWith(t, { ...CHAIN, filters: [...CHAIN.filters, { type: 'wordlist', words: ['number'], side: 'output', action: 'note' }] },
        ['--parallel', '1', '--queue', '1']);
    const story = (more) => ask('Tell me a story.', { max_tokens: 12, ignore_eos: true, ...more });
    const outcomes = async () => {
        const { families } = await readMetrics(server);
        return Object.fromEntries((families.get('weir_requests_total')?.samples ?? [])
            .map(({ labels: { operation, model, outcome }, value }) => [[operation, model, outcome].join(' '), value]));
    };
    assert.deepEqual(await outcomes(), {});
    assert.equal((await whole(server, story())).finish, 'length');
    assert.equal((await whole(server, ask('What is 23 + 45?'))).finish, 'stop');
    for (const [route, body, status] of [
        [ROUTE, { ...ask('x'), model: 'gpt-9' }, 404], [ROUTE, '{', 400], [ROUTE, ask('forbiddenword'), 400], ['/v1/embeddings', { input: 'x' }, 200],
        ['/v1/completions', { prompt: 'x', max_tokens: 900, deadline_ms: 20, ignore_eos: true }, 504],
    ]) {
        const response = await server.post(route, body);
        assert.equal(response.status, status, await response.text());
    }
    assert.deepEqual(await outcomes(), {
        'chat weir-tiny length': 1, 'chat weir-tiny complete': 1, 'chat  invalid': 2, 'chat weir-tiny blocked': 1, 'embeddings weir-tiny complete': 1,
        'text_completion weir-tiny late': 1,
    });
    // What is too long is read by nobody, nor is what was asked for with it.
    const read = async () => (await readMetrics(server)).value('weir_prompt_tokens_total');
    const readBefore = await read();
    const { usage: { prompt_tokens: embedded } } = await (await server.post('/v1/embeddings', { input: ['Two', 'texts'] })).json();
    assert.ok(embedded > 1);
    assert.equal(await read(), readBefore + embedded);
    for (const prompt of ['word '.repeat(8000), ['x', 'word '.repeat(8000)]]) {
        const response = await server.post('/v1/completions', { prompt, max_tokens: 1 });
        assert.equal(response.status, 400, await response.text());
        assert.equal(await read(), readBefore + embedded);
    }
    const { value, families, text } = await readMetrics(server);
    const both = [['weir_request_queue_seconds', 'vllm:request_queue_time_seconds'], ['weir_request_prefill_seconds', 'vllm:request_prefill_time_seconds'],
        ['weir_request_decode_seconds', 'vllm:request_decode_time_seconds'], ['weir_inter_token_seconds', 'vllm:inter_token_latency_seconds']];
    for (const [own, alias] of both) {
        assert.ok(value(own, {}, '_count') >= 2, own);
        assert.equal(value(own, {}, '_count'), value(alias, { model_name: 'weir-tiny' }, '_count'), alias);
        assert.equal(value(own, {}, '_sum'), value(alias, {}, '_sum'), alias);
    }
    assert.equal(value('vllm:request_success_total', { finished_reason: 'length' }), 1);
    assert.equal(value('vllm:request_success_total', { finished_reason: 'stop' }), 1);
    assert.equal(value('vllm:e2e_request_latency_seconds', {}, '_count'), 2);
    assert.equal(value('weir_filter_hold_seconds', { chain: 'shop', version: 7 }, '_count'), value('weir_filter_held_bytes', {}, '_count'));
    const duration = (labels) => value('gen_ai_server_request_duration_seconds', labels, '_count');
    assert.equal(duration({}), 10);
    assert.equal(duration({ gen_ai_operation_name: 'chat', gen_ai_provider_name: 'weir', gen_ai_request_model: 'weir-tiny', error_type: '' }), 2);
    assert.equal(duration({ error_type: '504', gen_ai_operation_name: 'text_completion' }), 1);
    assert.equal(duration({ error_type: '400' }), 4);
    assert.equal(value('gen_ai_server_time_to_first_token_seconds', {}, '_count'), 2);
    assert.equal(value('gen_ai_server_time_per_output_token_seconds', {}, '_count'), 2);
    assert.doesNotMatch(text, /gpt-9/, 'what a client calls a model is no label');
    const edges = (name) => [...new Set(families.get(name).samples.filter(({ labels }) => labels.le).map(({ labels: { le } }) => le))].slice(0, -1).map(Number);
    assert.deepEqual(edges('gen_ai_server_request_duration_seconds'), Array.from({ length: 14 }, (_, i) => Number((0.01 * 2 ** i).toFixed(2))));
    assert.deepEqual(edges('gen_ai_server_time_to_first_token_seconds'),
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80]);
    assert.deepEqual(edges('gen_ai_server_time_per_output_token_seconds'), [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]);

    // While one runs and one waits, a third is turned away; tokens of the one that runs are told already.
    const before = await readMetrics(server);
    const leaver = new AbortController();
    const running = await beginStream(server, story({ max_tokens: 900 }), { signal: leaver.signal });
    await running.body.getReader().read();
    const waiting = server.post(ROUTE, story({ max_tokens: 900 }), { signal: leaver.signal }).catch(() => null);
    await waitFor(async () => {
        const now = await readMetrics(server);
        return now.value('weir_requests_running') === 1 && now.value('weir_requests_waiting', { model: 'weir-tiny' }) === 1;
    });
    const busy = await server.post(ROUTE, story());
    assert.equal(busy.status, 429, await busy.text());
    const during = await readMetrics(server);
    assert.equal(during.value('weir_requests_running'), 1);
    assert.equal(during.value('vllm:num_requests_running', { model_name: 'weir-tiny' }), 1);
    assert.equal(during.value('vllm:num_requests_waiting', { model_name: 'weir-tiny' }), 1);
    assert.ok(during.value('weir_requests_waiting_tokens') > 0);
    assert.ok(during.value('weir_kv_cache_pages_used') > 0 && during.value('weir_kv_cache_pages_used') <= during.value('weir_kv_cache_pages'));
    assert.equal(during.value('vllm:kv_cache_usage_perc'), during.value('weir_kv_cache_pages_used') / during.value('weir_kv_cache_pages'));
    assert.ok(during.value('weir_output_tokens_total') > before.value('weir_output_tokens_total'));
    assert.ok(during.value('weir_prompt_tokens_total') > before.value('weir_prompt_tokens_total'));
    leaver.abort();
    await waiting;
    await waitFor(async () => (await outcomes())['chat weir-tiny left'] === 2);
    assert.equal((await outcomes())['chat  busy'], 1);
    await waitFor(async () => {
        const now = await readMetrics(server);
        return now.value('weir_requests_running') + now.value('weir_requests_waiting') === 0;
    });
    const { usage } = await whole(server, story());
    const after = await readMetrics(server);
    assert.equal(after.value('vllm:generation_tokens_total'), after.value('weir_output_tokens_total'));
    assert.equal(after.value('vllm:prompt_tokens_total'), after.value('weir_prompt_tokens_total'));
    assert.ok(after.value('vllm:prefix_cache_queries_total') <= after.value('weir_prompt_tokens_total') - embedded, 'vectors are made without a cache');
    assert.equal(after.value('vllm:prefix_cache_hits_total'), after.value('weir_cached_prompt_tokens_total'));
    assert.ok(usage.prompt_tokens > 0);
    assert.equal(after.value('weir_model_generation', { model: 'weir-tiny' }), 1);
});

test('requests on a version that is not loaded any more are seen until they have ended', { skip }, async (t) => {
    const other = path.join(makeFolder(t), 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const service = await startService(t);
    let go;
    const told = new Promise((resolve) => (go = resolve));
    service.rule = () => told.then(() => ({ verdict: 'pass' }));
    const chain = { name: 'x', filters: [{ type: 'webhook', url: service.url, side: 'input', timeout_ms: 30_000 }] };
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } },
        ['--keep-generations', '0', '--filters', writeFile(makeFolder(t), 'chain.json', chain)]);
    const waiting = async () => {
        const { value, families } = await readMetrics(server);
        const loaded = families.get('weir_model_loaded').samples.filter(({ value: is }) => is === 1).map(({ labels }) => labels.version);
        return [loaded, value('weir_requests_waiting', { version: '1' }), value('weir_requests_waiting'), value('vllm:num_requests_waiting', { model_name: 'tiny' })];
    };
    const answers = [1, 2].map(() => whole(server, ask('What is 23 + 45?')));
    await service.asked(2);
    assert.deepEqual(await waiting(), [['1'], 2, 2, 2]);
    putVersion(repo, 'tiny', '2', { file: other });
    await waitForState(server, '2', 'serving');
    await waitFor(async () => (await waiting())[0].join() === '2');
    assert.deepEqual(await waiting(), [['2'], 2, 2, 2]);
    go();
    for (const { finish } of await Promise.all(answers)) assert.equal(finish, 'stop');
    await waitFor(async () => (await waiting()).slice(1).join() === '0,0,0');
});
