'use strict';
// Many clients on all routes, some of which do not wait, while filter chains, prompts and model versions are changed all
// the time: every answer is whole or an error that was to be expected and was made by versions that were published, memory
// stays flat, and the server ends in order while they still ask. A model version is asked for every 20 ms, whether or not
// the load before is over; the server gets SIGHUP, and versions appear in the repository and vanish. WEIR_STORM_SECONDS sets
// how long (20), WEIR_STORM_CLIENTS how many (12), WEIR_STORM_SEED which storm (1).

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeOtherVersion } = require('./lib/files.js');
const { startRepo, putVersion } = require('./lib/model_repo.js');
const { missing, modelPath } = require('./lib/server.js');
const { readEvents } = require('./lib/sse.js');
const { random, below, pick, modelName, PUBLIC, ADMIN, CHAINS } = require('./lib/storm_requests.js');
const { sleep } = require('./lib/wait.js');
const { startService, until } = require('./lib/webhook.js');

const skip = missing();
const SECONDS = Number(process.env.WEIR_STORM_SECONDS ?? 20);
const CLIENTS = Number(process.env.WEIR_STORM_CLIENTS ?? 12);
const GROWTH_MAX_MB = 128; // caches fill up first: 170 MB after a minute, and no more
const SANITIZER_SPACE_KB = 1 << 30; // a sanitizer maps far more than any model here
const RELOAD_EVERY_MS = 20;
const GENERATIONS_MIN = 6;
const PATIENCE_S = 120;

// Why a request may fail here: the error's code, or its type where an API has no codes.
const EXPECTED = [
    [400, 'content_filter'], [400, 'invalid_request_error'], // the text was stopped
    [400, 'unsupported_parameter'], // logprobs beside a chain that changes answers
    [404, 'model_not_found'], [404, 'model_not_loaded'], [404, 'not_found_error'], // a version that was named is not there
    [429, 'queue_full'], // of replays there is one at a time
    [504, 'deadline_exceeded'],
];
const EXPECTED_OF_CHANGES = [[409, 'load_running'], [409, 'no_earlier_version'], [404, 'version_not_found'], [422, 'load_failed']];

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

    fail(error) {
        this.running = false;
        this.failure ??= error;
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
        this.checkError(response.status, text, EXPECTED, what);
    }

    checkError(status, text, expected, what) {
        const { error } = JSON.parse(text);
        const why = error.code ?? error.type;
        const isExpected = error.message && expected.some(([s, w]) => s === status && w === why);
        assert.ok(isExpected || this.stopping, `${what}: ${status} ${text}`);
        this.count(`${what}: ${status} ${why}`);
    }

    async ask() {
        const isAdmin = random() < 0.15;
        const [method, route, make, isWhole, isLast] = pick(isAdmin ? ADMIN : PUBLIC);
        const stream = isLast !== undefined && random() < 0.6;
        const body = make && { ...(isAdmin ? {} : { model: modelName() }), ...make(), ...(stream ? { stream } : {}) };
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

    async changeModel(what, value) {
        const response = await this.server.admin('POST', `/admin/models/${what}`, value);
        const text = await response.text();
        if (response.status === 200) {
            this.count(`model ${JSON.parse(text).status}`);
        } else {
            this.checkError(response.status, text, EXPECTED_OF_CHANGES, `model ${what}`);
        }
    }

    // Asks again and again, while what was asked before is under way.
    async swapModels() {
        const asked = [];
        while (this.running) {
            const [what, value] = pick([['tiny/activate', { version: pick(['1', '2', '3']) }], ['tiny/activate', { version: pick(['1', '2', '3']) }],
                ['tiny/rollback'], ['reload']]);
            asked.push(this.changeModel(what, value).catch((error) => this.fail(error)));
            await sleep(RELOAD_EVERY_MS);
        }
        await Promise.all(asked);
    }

    // The newest version, which is loaded by itself, comes and goes; the others' files seem to be new now and then.
    async moveVersions(repo) {
        const folder = path.join(repo, 'tiny');
        for (let n = 0; this.running; n++) {
            putVersion(repo, 'tiny', '3', { file: modelPath(), manifest: { note: String(n) } });
            await sleep(200 + below(1500));
            fs.utimesSync(path.join(folder, pick(['1', '2']), 'model.gguf'), n, n);
            fs.renameSync(path.join(folder, '3'), path.join(folder, '.gone'));
            fs.rmSync(path.join(folder, '.gone'), { recursive: true });
            await sleep(below(1000));
        }
    }

    async hangUp() {
        while (this.running) {
            this.server.child.kill('SIGHUP');
            await sleep(100 + below(400));
        }
    }

    async forget() {
        while (this.running) {
            this.service.questions.length = 0;
            await sleep(100);
        }
    }

    async begin(repo) {
        const changes = [
            this.swap('filters', 'filters', () => pick(CHAINS)(this.service.url)),
            this.swap('prompt', 'prompts', () => ({ text: `You are number ${below(20)}. ${'Be kind. '.repeat(below(20))}` })),
            this.swapModels(),
            this.moveVersions(repo),
            this.hangUp(),
            this.forget(),
        ];
        const clients = Array.from({ length: CLIENTS }, () => this.client());
        await Promise.all([...changes, ...clients].map((one) => one.catch((error) => this.fail(error))));
        if (this.failure) {
            throw this.failure;
        }
    }
}

function memory(server) {
    const status = fs.readFileSync(`/proc/${server.child.pid}/status`, 'utf8');
    const kb = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]);
    return { mb: kb('VmRSS') / 1024, isSanitized: kb('VmSize') > SANITIZER_SPACE_KB };
}

// So many were published.
const generationsOf = (server) => Math.max(...[...server.stderr.matchAll(/\(generation (\d+),/g)].map(([, n]) => Number(n)));

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

test('a storm of clients and changes', { skip, timeout: (SECONDS + PATIENCE_S + 120) * 1000 }, async (t) => {
    const folder = makeFolder(t);
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const service = await startService(t);
    service.rule = rule;
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: other } },
        ['--state', path.join(folder, 'state.db'), '--filter-log-text', 'found', '--findings-rows', '2000', '--drain-timeout', '20']);
    for (let i = 0; i < 4; i++) {
        assert.equal((await server.admin('PUT', '/admin/filters/default', CHAINS[i](service.url))).status, 200);
        assert.equal((await server.admin('PUT', '/admin/prompts/default', { text: `You are number ${-i}.` })).status, 200);
    }

    const storm = new Storm(server, service);
    const sizes = [];
    const measure = setInterval(() => sizes.push(memory(server)), SECONDS * 25);
    // A machine that does much else, or a sanitizer, may need longer for the loads that this is about.
    const begin = Date.now();
    const isOver = () => {
        const seconds = (Date.now() - begin) / 1000;
        return seconds > SECONDS + PATIENCE_S || (seconds > SECONDS && generationsOf(server) > GENERATIONS_MIN && storm.seen.model.size > 1);
    };
    const end = setInterval(() => (storm.running &&= !isOver()), 100);
    try {
        await storm.begin(repo);
    } finally {
        clearInterval(measure);
        clearInterval(end);
        t.diagnostic(JSON.stringify(Object.fromEntries([...storm.counts].sort())));
    }

    const known = {
        model: new Set([`tiny@1; sha256=${sha256(modelPath())}`, `tiny@2; sha256=${sha256(other)}`, `tiny@3; sha256=${sha256(modelPath())}`]),
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
    const loads = (server.stderr.match(/is being loaded/g) ?? []).length;
    const generations = generationsOf(server);
    t.diagnostic(`${loads} loads begun, ${generations} generations, ${storm.counts.get('model published')} published by request`);
    assert.ok(generations > GENERATIONS_MIN, 'versions were loaded');
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
        const over = storm.begin(repo).catch((error) => error);
        await sleep(500);
        storm.stopping = true;
        const { code, signal } = await server.stop();
        storm.running = false;
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, server.stderr.slice(-5000));
        await over;
    });
});
