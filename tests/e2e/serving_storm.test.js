'use strict';
// Many clients on all routes, some of which do not wait, while filter chains, prompts and model versions are changed all
// the time: every answer is whole or a clear error and was made by versions that were published, memory stays flat, and
// the server ends in order while they still ask. WEIR_STORM_SECONDS sets how long (5), WEIR_STORM_CLIENTS how many (12),
// WEIR_STORM_SEED which storm (1).

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeOtherVersion } = require('./lib/files.js');
const { startRepo } = require('./lib/model_repo.js');
const { missing, modelPath } = require('./lib/server.js');
const { readEvents } = require('./lib/sse.js');
const { startService, sleep, until } = require('./lib/webhook.js');

const skip = missing();
const SECONDS = Number(process.env.WEIR_STORM_SECONDS ?? 5);
const CLIENTS = Number(process.env.WEIR_STORM_CLIENTS ?? 12);
const GROWTH_MAX_MB = 128; // caches fill up first: 170 MB after a minute, and no more
const SANITIZER_SPACE_KB = 1 << 30; // a sanitizer maps far more than any model here

// mulberry32: the storm's own numbers, so that a seed gives much the same storm again.
let seed = Number(process.env.WEIR_STORM_SEED ?? 1);
function random() {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), seed | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

// ---- what clients ask ----

const TEXTS = ['Tell me a story.', 'Write to jane.doe@example.org or call +49 30 123456.', 'A heron stood in the water.',
    'You are a stupid worthless idiot.', 'The office opens at nine. It closes at five. '.repeat(8)];
const FORM = (n) => ({ type: 'json_schema', json_schema: { name: 'form', schema: {
    type: 'object', properties: { [`field${n}`]: { type: 'string', maxLength: 12 } }, required: [`field${n}`], additionalProperties: false,
} } });
const CALLS = [{ id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"at": "heron", "n": 17}' } }];

const model = () => pick([undefined, undefined, 'tiny', 'tiny@1', 'tiny@2']);
const user = () => ({ role: 'user', content: pick(TEXTS) });
const tokens = () => 1 + below(40);
const chat = () => ({
    messages: random() < 0.2 ? [user(), { role: 'assistant', content: null, tool_calls: CALLS }, { role: 'tool', tool_call_id: 'call_1', content: pick(TEXTS) }]
        : [user()],
    max_tokens: tokens(),
    n: pick([undefined, undefined, 2]),
    stop: pick([undefined, ['e ']]),
    response_format: random() < 0.2 ? FORM(below(50)) : undefined,
    deadline_ms: pick([undefined, undefined, undefined, 30]),
    moderation: pick([undefined, undefined, { model: 'default', policy: { input: { mode: 'score' }, output: { mode: 'block' } } }]),
});

const isDone = ({ data }) => data === '[DONE]';
const isTyped = (...types) => ({ data }) => types.includes(JSON.parse(data).type);
const hasChoices = (body) => body.choices.length > 0 && body.choices.every(({ finish_reason: finish }) => finish);

// [method, route, body, of a whole answer: whether it is one, of a stream's last event: the same]
const PUBLIC = [
    ['POST', '/v1/chat/completions', chat, hasChoices, isDone],
    ['POST', '/v1/chat/completions', chat, hasChoices, isDone],
    ['POST', '/v1/completions', () => ({ prompt: [pick(TEXTS), pick(TEXTS)], max_tokens: tokens() }), hasChoices, isDone],
    ['POST', '/v1/messages', () => ({ messages: [user()], max_tokens: tokens() }), ({ stop_reason: reason }) => reason, isTyped('message_stop', 'error')],
    ['POST', '/v1/responses', () => ({ input: pick(TEXTS), max_output_tokens: tokens() }), ({ status }) => ['completed', 'incomplete'].includes(status),
        isTyped('response.completed', 'response.incomplete', 'response.failed')],
    ['POST', '/v1/embeddings', () => ({ input: [pick(TEXTS), pick(TEXTS)] }), ({ data }) => data.length === 2],
    ['POST', '/v1/moderations', () => ({ input: [pick(TEXTS), pick(TEXTS)], model: undefined }), ({ results }) => results.length === 2],
    ['POST', '/tokenize', () => ({ content: pick(TEXTS) }), ({ tokens: ids }) => ids.length > 0],
    ['GET', '/v1/models', null, ({ data }) => data.length > 0],
    ['GET', '/metrics', null, null],
];
const ADMIN = [
    ['GET', '/admin/findings?texts=true', null, ({ findings }) => findings],
    ['GET', '/admin/filters', null, ({ served }) => served.length > 0],
    ['GET', '/admin/filters/default/versions?limit=20', null, ({ versions }) => versions],
    ['GET', '/admin/prompts', null, ({ profiles }) => profiles],
    ['GET', '/admin/audit?limit=20', null, ({ audit }) => audit],
    ['GET', '/admin/models', null, ({ versions }) => versions.length === 2],
    ['POST', '/admin/filters/replay', () => ({ chain: pick(CHAINS)('http://127.0.0.1:9/'), stored: 50 }), ({ complete }) => complete !== undefined],
    ['POST', '/admin/filters/default/dry-run', () => ({ text: pick(TEXTS) }), ({ events }) => events],
];

// ---- what is changed ----

const hook = (url, more = {}) => ({ type: 'webhook', url, timeout_ms: 150, retries: 1, breaker_failures: 0, ...more });
const words = (more) => ({ type: 'wordlist', words: ['heron', 'idiot'], ...more });
const named = (...filters) => ({ name: 'default', filters });
const CHAINS = [
    () => named(),
    () => named(words({ side: 'both', action: 'mask' }), { type: 'pii', side: 'both' }),
    (url) => named(hook(url, { side: 'output', fail: 'open', max_batch_bytes: 64 }), words({ view: 'normalised', mode: 'record', name: 'watched' })),
    (url) => named(hook(url, { side: 'both', fail: 'closed' }), { type: 'classifier', side: 'input', action: 'note' }),
    (url) => named({ type: 'classifier', side: 'both', action: 'note' }, hook(url, { side: 'input', fail: 'open', batch: 'text' }),
        { type: 'pii', side: 'output', mode: 'record' }),
    () => named(words({ side: 'input', action: 'stop', view: 'normalised' })),
];

// The service answers late, wrongly or not at all at times.
async function rule({ text }) {
    await sleep(below(25));
    const n = below(20);
    return n === 0 ? null : n === 1 ? 500 : n === 2 ? 'no JSON' : n === 3 ? { verdict: 'stop', code: 'enough' }
        : n < 8 ? { verdict: 'replace', text: text.toUpperCase() } : { verdict: 'pass' };
}

class Storm {
    constructor(server, service) {
        this.server = server;
        this.service = service;
        this.seen = { model: new Set(), prompt: new Set(), filters: new Set() };
        this.published = { model: new Set(), prompt: new Set(['default@0']), filters: new Set() };
        this.counts = new Map();
        this.running = true;
        this.stopping = false;
    }

    count(what) {
        this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    }

    note(headers) {
        for (const kind of Object.keys(this.seen)) {
            const name = headers.get(`weir-${kind}`);
            if (name) {
                assert.match(name, /^[^;]+@\w+; sha256=[0-9a-f]{12}$/, kind);
                this.seen[kind].add(name);
            }
        }
    }

    // A stream is whole when its last event says how it ended, and nothing comes after that.
    async checkStream(response, isLast, what) {
        let last = null;
        let failed = false;
        for await (const event of readEvents(response)) {
            assert.ok(last === null || !isLast(last), `${what}: ${event.data} after the end`);
            last = event;
            failed ||= event.data !== '[DONE]' && (JSON.parse(event.data).error ?? null) !== null;
        }
        assert.ok(last && (failed || isLast(last)), `${what}: ends with ${last?.data}`);
        this.count(failed ? `${what}: ended by an error` : what);
    }

    async check(response, isWhole, isLast, what) {
        this.note(response.headers);
        if (response.status === 200 && response.headers.get('content-type').startsWith('text/event-stream')) {
            await this.checkStream(response, isLast, what);
            return;
        }
        const text = await response.text();
        if (response.status === 200) {
            const whole = isWhole ? isWhole(JSON.parse(text)) : text.includes('weir_http_requests_total');
            assert.ok(whole, `${what}: ${text}`);
            this.count(what);
            return;
        }
        const { error } = JSON.parse(text);
        const isClear = error.type && error.message && [400, 404, 408, 409, 422, 429, 503, 504].includes(response.status);
        assert.ok(isClear, `${what}: ${response.status} ${text}`);
        this.count(`${what}: ${response.status} ${error.code ?? error.type}`);
    }

    async ask() {
        const isAdmin = random() < 0.15;
        const [method, route, make, isWhole, isLast] = pick(isAdmin ? ADMIN : PUBLIC);
        const stream = isLast !== undefined && random() < 0.6;
        const body = make && { ...(isAdmin ? {} : { model: model() }), ...make(), ...(stream ? { stream } : {}) };
        const leaves = random() < 0.25;
        const leave = new AbortController();
        const timer = leaves && setTimeout(() => leave.abort(), below(120));
        const what = `${route.replace(/\?.*/, '')}${stream ? ', streamed' : ''}`;
        try {
            const response = await this.server.fetch(route, {
                method,
                headers: { 'content-type': 'application/json', ...(isAdmin ? { authorization: `Bearer ${this.server.adminKey}` } : {}) },
                body: body ? JSON.stringify(body) : undefined,
                signal: leave.signal,
            });
            await this.check(response, isWhole, isLast, what);
        } catch (error) {
            if (error instanceof assert.AssertionError || !(leave.signal.aborted || this.stopping)) {
                throw new Error(`${what}, ${JSON.stringify(body)}: ${error.stack} ${error.cause ?? ''}\n${this.server.stderr.slice(-3000)}`);
            }
            this.count(leave.signal.aborted ? 'left early' : 'cut by the end');
        } finally {
            clearTimeout(timer);
        }
    }

    async client() {
        while (this.running) {
            await this.ask();
        }
    }

    async change(method, route, value) {
        const response = await this.server.admin(method, route, value);
        const body = await response.json();
        this.count(`${method} ${route}: ${response.status}`);
        assert.ok([200, 409].includes(response.status), `${method} ${route}: ${response.status} ${JSON.stringify(body)}`);
        return response.status === 200 ? body : null;
    }

    async swap(kind, pathName, make) {
        const route = `/admin/${pathName}/default`;
        for (let n = 0; this.running; n++) {
            const act = n % 5;
            const body = act === 3 ? await this.change('POST', `${route}/rollback`)
                : act === 4 ? await this.change('POST', `${route}/activate`, { version: 1 + below(n < 5 ? 2 : 4) })
                : await this.change('PUT', route, make());
            if (body) {
                this.published[kind].add(`default@${body.version ?? body.active}`);
            }
            await sleep(10 + below(40));
        }
    }

    async swapModels() {
        while (this.running) {
            const what = random() < 0.2 ? ['rollback'] : ['activate', { version: pick(['1', '2']) }];
            await this.change('POST', `/admin/models/tiny/${what[0]}`, what[1]);
            await sleep(30 + below(150));
        }
    }

    async forget() {
        while (this.running) {
            this.service.questions.length = 0;
            await sleep(100);
        }
    }

    begin() {
        const changes = [
            this.swap('filters', 'filters', () => pick(CHAINS)(this.service.url)),
            this.swap('prompt', 'prompts', () => ({ text: `You are number ${below(20)}. ${'Be kind. '.repeat(below(20))}` })),
            this.swapModels(),
            this.forget(),
        ];
        const clients = Array.from({ length: CLIENTS }, () => this.client());
        const all = [...changes, ...clients].map((one) => one.catch((error) => {
            this.running = false;
            throw error;
        }));
        return Promise.all(all);
    }
}

function memory(server) {
    const status = fs.readFileSync(`/proc/${server.child.pid}/status`, 'utf8');
    const kb = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]);
    return { mb: kb('VmRSS') / 1024, isSanitized: kb('VmSize') > SANITIZER_SPACE_KB };
}

const sha256 = (file) => crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex').slice(0, 12);

// What the server keeps of every version that there ever was.
async function versionsOf(server, kind) {
    const all = new Set();
    for (let before = 0; ;) {
        const page = await (await server.admin('GET', `/admin/${kind}/default/versions?limit=1000&before=${before}`)).json();
        page.versions.forEach(({ version, sha256: hash }) => all.add(`default@${version}; sha256=${hash.slice(0, 12)}`));
        if (page.versions.length < 1000) {
            return all;
        }
        before = page.versions.at(-1).version;
    }
}

test('a storm of clients and changes', { skip, timeout: (SECONDS + 120) * 1000 }, async (t) => {
    const folder = makeFolder(t);
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const service = await startService(t);
    service.rule = rule;
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: other } },
        ['--state', path.join(folder, 'state.db'), '--filter-log-text', 'found', '--findings-rows', '2000', '--drain-timeout', '20']);
    for (let i = 0; i < 4; i++) {
        assert.equal((await server.admin('PUT', '/admin/filters/default', CHAINS[i](service.url))).status, 200);
        assert.equal((await server.admin('PUT', '/admin/prompts/default', { text: `You are number ${-i}.` })).status, 200);
    }

    const storm = new Storm(server, service);
    const sizes = [];
    const measure = setInterval(() => sizes.push(memory(server)), SECONDS * 25);
    setTimeout(() => (storm.running = false), SECONDS * 1000);
    try {
        await storm.begin();
    } finally {
        clearInterval(measure);
        t.diagnostic(JSON.stringify(Object.fromEntries([...storm.counts].sort())));
    }

    const known = {
        model: new Set([`tiny@1; sha256=${sha256(modelPath())}`, `tiny@2; sha256=${sha256(other)}`]),
        prompt: await versionsOf(server, 'prompts'),
        filters: await versionsOf(server, 'filters'),
    };
    for (const [kind, names] of Object.entries(storm.seen)) {
        for (const name of names) {
            assert.ok(known[kind].has(name), `${kind}: ${name} is no version`);
            assert.ok(kind === 'model' || storm.published[kind].has(name.split(';')[0]) || /@[1-4];/.test(name), `${kind}: ${name} was never published`);
        }
        assert.ok(names.size > 1, `${kind}: changes were seen`);
    }
    const [early, late] = [sizes.slice(12, 20), sizes.slice(-8)].map((part) => Math.max(...part.map(({ mb }) => mb)));
    t.diagnostic(`${early.toFixed(0)} MB after the first part, ${late.toFixed(0)} MB at the end`);
    assert.ok(sizes[0].isSanitized || late - early < GROWTH_MAX_MB, `memory grew from ${early} to ${late} MB`);

    // Nothing is left of those who did not wait.
    await t.test('afterwards it is at rest', async () => {
        let stats;
        const isAtRest = () => stats && stats.running === 0 && stats.waiting === 0;
        const looking = setInterval(async () => (stats = await (await server.admin('GET', '/admin/models')).json()), 50);
        await until(isAtRest, 20_000, () => JSON.stringify(stats)).finally(() => clearInterval(looking));
    });

    await t.test('it ends in order while they still ask', async () => {
        storm.running = true;
        const over = storm.begin().catch((error) => error);
        await sleep(500);
        storm.stopping = true;
        const { code, signal } = await server.stop();
        storm.running = false;
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, server.stderr.slice(-5000));
        await over;
    });
});
