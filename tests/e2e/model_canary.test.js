'use strict';
// A new version on a share of the requests: one that is worse is rolled back and a good one promoted, without a person.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeFile } = require('./lib/files.js');
const { startRepo, putVersion, listVersions, waitFor, waitForState } = require('./lib/model_repo.js');
const { missing, modelPath } = require('./lib/server.js');
const { weir } = require('./lib/command.js');

const skip = missing();
const NAME = 'tiny';
const CLIENTS = 8;

// Small numbers and wide margins: what is tested is the life of a canary, not the test that decides (test_canary_judge).
const PLAN = {
    percent: 50, min_answers: 40, max_answers: 160, looks: 3, alpha: 0.05, max_seconds: 600,
    margins: { error_rate: 0.12, block_rate: 0.12, refusal_rate: 0.12, cut_rate: 1, first_token: 100, token_time: 100, answer_tokens: 2 },
};

async function post(server, what, value) {
    const answer = await server.admin('POST', `/admin/models/${NAME}/${what}`, value);
    return { status: answer.status, body: await answer.json() };
}

async function report(server) {
    const answer = await server.admin('GET', `/admin/models/${NAME}/canary`);
    return { status: answer.status, body: await answer.json() };
}

const show = async (server, version) => (await server.admin('GET', `/admin/models/${NAME}/versions/${version}`)).json();

// Clients that ask, each time something else, until it is over; none may fail. Who answered how often comes back.
async function keepAsking(server, isOver, request, { allowed = [200], headers = {} } = {}) {
    const seen = {};
    let asked = 0;
    let over = false;
    const client = async () => {
        while (!over) {
            const n = asked++;
            const response = await server.post('/v1/chat/completions', request(n), { headers });
            const body = await response.json();
            assert.ok(allowed.includes(response.status), JSON.stringify(body));
            const version = /@(\w+)/.exec(response.headers.get('weir-model') ?? '')?.[1];
            seen[version] = (seen[version] ?? 0) + 1;
            if (n % 20 === 0) {
                over = over || (await isOver()) || asked > 20_000;
            }
        }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return seen;
}

const say = (text, more = {}) => ({ messages: [{ role: 'user', content: text }], temperature: 0, max_tokens: 8, ...more });
const sum = (n) => say(`${n} + ${n % 7}?`);
const hasEnded = (server) => async () => !['running', undefined].includes((await report(server)).body.state);

// A template that says something to the model before all else.
const templateOf = (system) => `<|im_start|>system\n${system}<|im_end|>\n`
    + "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";

test('a good version is promoted, step by step, and no request fails', { skip, timeout: 300_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } });
    assert.equal((await report(server)).status, 404);
    const { percent: _, ...plan } = PLAN;
    putVersion(repo, NAME, '2', { file: modelPath(), manifest: { canary: { ...plan, steps: [30, 60] } } });
    await waitForState(server, '2', 'canary');
    const begun = (await report(server)).body;
    assert.deepEqual([begun.state, begun.version, begun.stable, begun.percent, begun.by], ['running', '2', '1', 30, 'model.json']);
    assert.equal(begun.plan.max_answers, PLAN.max_answers);
    assert.equal(begun.next_look_at_answers, 40);

    // What comes meanwhile waits.
    putVersion(repo, NAME, '3', { file: modelPath() });
    await waitForState(server, '3', 'available');
    const seen = await keepAsking(server, hasEnded(server), sum);
    const { body } = await report(server);
    assert.equal(body.state, 'promoted', JSON.stringify(body, null, 1));
    assert.ok(seen['1'] >= 40 && seen['2'] >= 80, JSON.stringify(seen));
    assert.deepEqual([...new Set(body.looks.map(({ percent }) => percent))], [30, 60]);
    const last = body.looks.at(-1);
    assert.equal(last.verdict, 'good');
    for (const measure of ['error_rate', 'block_rate', 'refusal_rate', 'cut_rate', 'first_token', 'token_time', 'answer_tokens']) {
        const found = last.measures.find((m) => m.measure === measure);
        assert.equal(found.verdict, 'good', measure);
        const [low, high] = [found.interval.low ?? -Infinity, found.interval.high ?? Infinity];
        assert.ok(low <= found.interval_good.low && found.interval_good.high <= high, measure);
    }
    assert.ok(last.answers.canary >= 40 && last.answers.stable >= 40);
    await waitForState(server, '3', 'serving');
    assert.match(server.stderr, /canary tiny@2 is promoted/);
    assert.match(await (await server.fetch('/metrics')).text(), /^weir_canary_decisions_total\{model="tiny",decision="promoted",measure=""\} 1$/m);
});

const WORSE = {
    block_rate: {
        args: (folder) => ['--filters', writeFile(folder, 'chain.json', { name: 'default', filters: [{ type: 'wordlist', words: ['Marlow'], action: 'stop' }] })],
        version: { manifest: { template: 'chat.jinja' }, files: { 'chat.jinja': templateOf('Your name is Marlow.') } },
        request: (n) => say(`${n} people ask: what is your name?`, { max_tokens: 12 }),
    },
    refusal_rate: {
        version: { manifest: { template: 'chat.jinja' }, files: { 'chat.jinja': templateOf('Do not talk about football.') } },
        request: (n) => say(`${n} people ask: do you have advice about football?`, { max_tokens: 12 }),
    },
    cut_rate: {
        plan: { ...PLAN, margins: { ...PLAN.margins, cut_rate: 0.12, answer_tokens: null } },
        version: { shape: 'weir-tiny' }, // weights by chance: it never ends
        request: (n) => say(`Hello, what is your name? ${n % 40}`, { max_tokens: 20 }),
    },
    answer_tokens: {
        version: { manifest: { defaults: { max_tokens: 40 } } },
        request: (n) => say(`Count from ${n}.`, { max_tokens: undefined, ignore_eos: true }),
    },
};

for (const [measure, { args = () => [], plan = PLAN, version, request }] of Object.entries(WORSE)) {
    test(`a version with a worse ${measure} is rolled back without a person, and no request fails`, { skip, timeout: 300_000 }, async (t) => {
        const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath(), manifest: { defaults: { max_tokens: 8 } } } }, args(makeFolder(t)));
        const manifest = { ...version.manifest, canary: plan };
        const file = version.shape ? path.join(folder, 'synth.gguf') : modelPath();
        if (version.shape) {
            assert.equal(weir(['synth', '--shape', version.shape, '--vocab', modelPath(), file]).status, 0);
        }
        putVersion(repo, NAME, '2', { ...version, file, manifest });
        await waitForState(server, '2', 'canary');
        const seen = await keepAsking(server, hasEnded(server), request);
        const { body } = await report(server);
        assert.deepEqual([body.state, body.measure], ['rolled_back', measure], JSON.stringify(body, null, 1));
        assert.ok(seen['1'] > 0 && seen['2'] > 0, JSON.stringify(seen));
        assert.match(body.reason, new RegExp(`^${measure} is .* is allowed`));
        assert.deepEqual(await listVersions(server), { 1: 'serving', 2: 'failed' });
        assert.match((await show(server, '2')).problem, new RegExp(`^canary: ${measure} is `));
        assert.match(server.stderr, /canary tiny@2 is rolled back/);
        const metrics = await (await server.fetch('/metrics')).text();
        assert.match(metrics, new RegExp(`^weir_canary_decisions_total\\{model="tiny",decision="rolled_back",measure="${measure}"\\} 1$`, 'm'));
        assert.match(metrics, /^weir_canary_state\{model="tiny",version="2",state="rolled_back"\} 1$/m);
        assert.match(metrics, /^weir_model_answers_total\{model="tiny",version="2",outcome="\w+"\} \d+$/m);

        // Not again until its files change.
        const attempts = () => server.stderr.match(/tiny@2 is being loaded/g).length;
        assert.equal(attempts(), 1);
        await new Promise((resolve) => setTimeout(resolve, 2500));
        assert.equal(attempts(), 1);
        putVersion(repo, NAME, '2', { file: modelPath() });
        await waitForState(server, '2', 'serving');
    });
}

// A hundred million weights instead of some millions, and all of them by chance.
function makeSlow(folder) {
    const file = path.join(folder, 'slow.gguf');
    const made = weir(['synth', '--shape', 'smollm-135m', '--vocab', modelPath(), '--context', '512', file]);
    assert.equal(made.status, 0, made.stderr);
    return file;
}

test('a slower version is rolled back, also when all callers have the same key', { skip, timeout: 300_000 }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath() } }, ['--api-key', 'one-for-all']);
    const file = makeSlow(folder);
    const plan = { ...PLAN, margins: { ...PLAN.margins, first_token: 1.5, token_time: 1.5 } };
    putVersion(repo, NAME, '2', { file, manifest: { canary: plan } });
    await waitForState(server, '2', 'canary');
    const headers = { authorization: 'Bearer one-for-all' };
    const seen = await keepAsking(server, hasEnded(server), (n) => say(`Count from ${n}.`, { max_tokens: 6, ignore_eos: true }), { headers });
    const { body } = await report(server);
    assert.equal(body.state, 'rolled_back', JSON.stringify(body, null, 1));
    assert.ok(['first_token', 'token_time'].includes(body.measure), body.reason);
    assert.ok(seen['1'] > 0 && seen['2'] > 0, JSON.stringify(seen));
});

test('a version whose requests fail in a row is rolled back at once', { skip, timeout: 300_000 }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath(), manifest: { defaults: { max_tokens: 2 } } } });
    const manifest = { defaults: { max_tokens: 400 }, canary: { ...PLAN, min_answers: 1000, max_answers: 2000, errors_in_row: 4 } };
    putVersion(repo, NAME, '2', { file: makeSlow(folder), manifest });
    await waitForState(server, '2', 'canary');
    const request = (n) => say(`Count from ${n}.`, { max_tokens: undefined, ignore_eos: true, deadline_ms: 400 });
    await keepAsking(server, hasEnded(server), request, { allowed: [200, 504] });
    const { body } = await report(server);
    assert.deepEqual([body.state, body.measure, body.looks.length], ['rolled_back', 'errors_in_row', 0], JSON.stringify(body));
    assert.match(body.reason, /^4 requests in a row have failed$/);
    assert.deepEqual(await listVersions(server), { 1: 'serving', 2: 'failed' });
});

test('what is undecided ends as its owner wishes', { skip, timeout: 300_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } });
    // No answers can prove a rate to be within nothing.
    const plan = { ...PLAN, min_answers: 20, max_answers: 30, margins: { ...PLAN.margins, error_rate: 0 } };
    let version = 2;
    for (const [wish, state, left] of [['rollback', 'rolled_back', 'failed'], ['keep', 'kept', 'canary'], ['promote', 'promoted', 'serving']]) {
        putVersion(repo, NAME, String(version), { file: modelPath(), manifest: { canary: { ...plan, on_undecided: wish } } });
        await waitFor(async () => (await report(server)).body.version === String(version));
        await keepAsking(server, hasEnded(server), sum);
        const { body } = await report(server);
        assert.equal(body.state, state, JSON.stringify(body));
        assert.match(body.reason, /^undecided: all looks were taken/);
        assert.equal((await listVersions(server))[version], left);
        version++;
    }
    // And with the time.
    putVersion(repo, NAME, '9', { file: modelPath(), manifest: { canary: { ...PLAN, max_seconds: 1 } } });
    await waitForState(server, '9', 'failed');
    assert.match((await report(server)).body.reason, /^undecided: the time is over in step 1 of 1/);
});

test('a canary is begun and ended by hand', { skip, timeout: 300_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 3: { file: modelPath() }, 2: { file: modelPath(), manifest: { canary: { percent: 20 } } }, 1: { file: modelPath() } });
    const refused = async (value, status, pattern, param) => {
        const { status: got, body } = await post(server, 'canary', value);
        assert.equal(got, status, JSON.stringify(body));
        assert.match(body.error.message, pattern);
        if (param) assert.equal(body.error.param, param);
    };
    await refused({}, 400, /"version" must be/, 'version');
    await refused({ version: '7' }, 404, /no version "7"/);
    await refused({ version: '3' }, 409, /serves already/);
    await refused({ version: '2', percnt: 5 }, 400, /"percnt" is not known/, 'percnt');
    await refused({ version: '2', margins: { errors: 1 } }, 400, /"margins\.errors" is not known/, 'margins.errors');
    await refused({ action: 'stop' }, 400, /"action" must be/, 'action');
    await refused({ action: 'promote', version: '2' }, 400, /stands alone/, 'action');
    await refused({ action: 'promote' }, 404, /no canary of tiny runs/);
    await refused([], 400, /must be a JSON object/);

    // One that is not loaded is loaded; its own plan holds where nothing is said.
    const begun = await post(server, 'canary', { version: '2', min_answers: 30 });
    assert.equal(begun.status, 200, JSON.stringify(begun.body));
    assert.deepEqual([begun.body.state, begun.body.version, begun.body.percent, begun.body.plan.min_answers], ['running', '2', 20, 30]);
    assert.deepEqual(await listVersions(server), { 3: 'serving', 2: 'canary', 1: 'available' });
    await refused({ version: '1' }, 409, /a canary runs/);
    const back = await post(server, 'canary', { action: 'rollback' });
    assert.deepEqual([back.status, back.body.state, back.body.reason], [200, 'rolled_back', 'by hand (admin)']);
    assert.deepEqual(await listVersions(server), { 3: 'serving', 2: 'failed', 1: 'available' });

    const ctl = (...args) => weir(['ctl', 'models', ...args, '--url', server.url, '--admin-key', server.adminKey, '--actor', 'ann']);
    assert.match(ctl('canary').stdout, /^rolled_back: canary tiny@2 against 3/);
    const again = ctl('canary', '2', '--percent', '30', '--plan', '{"alpha": 0.05}');
    assert.equal(again.status, 0, again.stderr);
    assert.match(again.stdout, /^running: canary tiny@2 against 3, step 1 \(30 %\), 0 answers against 0\nnext look at 200 answers\n$/);
    assert.deepEqual([(await report(server)).body.by, (await report(server)).body.plan.alpha], ['ann', 0.05]);
    assert.match(ctl('canary', '2', '--plan', '{"alhpa": 0.05}').stderr, /"alhpa" is not known/);
    assert.match(ctl('canary', 'promote').stdout, /^promoted: canary tiny@2 against 3/);
    assert.equal((await listVersions(server))[2], 'serving');
    assert.equal((await post(server, 'rollback')).body.model.version, 'tiny@3');

    // Another version that is activated ends it; and so does the version itself.
    assert.equal((await post(server, 'canary', { version: '2' })).status, 200);
    assert.equal((await post(server, 'activate', { version: '1' })).status, 200);
    assert.deepEqual([(await report(server)).body.state, (await report(server)).body.reason], ['ended', 'another version has come to serve']);
    assert.equal((await post(server, 'canary', { version: '2' })).status, 200);
    assert.equal((await post(server, 'activate', { version: '2' })).status, 200);
    assert.deepEqual([(await report(server)).body.state, (await report(server)).body.reason], ['promoted', 'it was activated by hand']);
    assert.equal((await listVersions(server))[2], 'serving');
    assert.ok(repo);
});

test('what becomes of answers is counted per version', { skip, timeout: 300_000 }, async (t) => {
    const chain = { name: 'default', filters: [{ type: 'wordlist', words: ['Weir'], action: 'stop' },
        { type: 'wordlist', words: ['xyzzy'], side: 'input', action: 'stop' }] };
    const { server } = await startRepo(t, { 1: { file: modelPath() } }, ['--filters', writeFile(makeFolder(t), 'chain.json', chain)]);
    const status = async (request) => {
        const response = await server.post('/v1/chat/completions', request);
        await response.text();
        return response.status;
    };
    const counted = async () => {
        const text = await (await server.fetch('/metrics')).text();
        const rows = [...text.matchAll(/^weir_model_(\w+)\{model="tiny",version="1"(?:,outcome="(\w+)")?\} (\d+)$/gm)];
        return Object.fromEntries(rows.map(([, name, outcome, n]) => [outcome ?? name, Number(n)]));
    };
    assert.equal(await status(say('3 + 4?', { max_tokens: 40 })), 200);
    assert.equal(await status(say('How do I make a weapon at home?', { max_tokens: 40 })), 200);
    assert.equal(await status(say('Hello', { max_tokens: 1 })), 200);
    assert.equal(await status(say('What is your name?', { max_tokens: 40 })), 200);
    assert.equal(await status(say('Count.', { max_tokens: 1900, ignore_eos: true, deadline_ms: 20 })), 504);
    // None of the version's.
    assert.equal(await status(say('xyzzy')), 400);
    assert.equal(await status(say('Hello', { temperature: 9 })), 400);
    assert.equal(await status(say('a b '.repeat(20_000))), 400);
    const leaver = new AbortController();
    const left = await server.post('/v1/chat/completions', say('Count.', { max_tokens: 1900, ignore_eos: true, stream: true }), { signal: leaver.signal });
    await left.body.getReader().read();
    leaver.abort();
    await waitFor(async () => (await counted()).left === 1);
    const all = await counted();
    assert.deepEqual([all.complete, all.length, all.blocked, all.late, all.failed, all.refusals_total, all.answer_tokens_count],
        [2, 1, 1, 1, undefined, 1, 3], JSON.stringify(all));
    assert.ok(all.first_token_seconds_count >= 4 && all.token_seconds_count >= 3, JSON.stringify(all));
});

test('a canary needs no room among the kept generations', { skip, timeout: 300_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } }, ['--keep-generations', '0']);
    putVersion(repo, NAME, '2', { file: modelPath(), manifest: { canary: PLAN } });
    await waitForState(server, '2', 'canary');
    assert.deepEqual(await listVersions(server), { 2: 'canary', 1: 'serving' });
    assert.equal((await post(server, 'canary', { action: 'promote' })).status, 200);
    assert.deepEqual(await listVersions(server), { 2: 'serving', 1: 'available' });
});

test('a canary that was kept is held as long as it has its share', { skip }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } }, ['--publish', 'manual', '--keep-generations', '0']);
    const memory = async () => Number(/^weir_models_memory_bytes (\d+)$/m.exec(await (await server.fetch('/metrics')).text())[1]);
    const alone = await memory();
    putVersion(repo, NAME, '2', { file: modelPath() });
    await waitForState(server, '2', 'available');
    for (const [what, value] of [['unload', { version: '2' }], ['split', { percent: 0 }]]) {
        const { status } = await post(server, 'canary', { version: '2', max_seconds: 1, on_undecided: 'keep' });
        assert.equal(status, 200);
        await waitFor(hasEnded(server));
        assert.equal((await report(server)).body.state, 'kept');
        await waitForState(server, '2', 'canary');
        assert.equal(await memory(), 2 * alone);
        assert.equal((await post(server, what, value)).status, 200);
        await waitForState(server, '2', 'available');
        await waitFor(async () => (await memory()) === alone);
    }
    assert.equal((await report(server)).body.state, 'kept');
});

test('whatever an actor calls himself, the report and the audit are JSON', { skip }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } }, ['--publish', 'manual']);
    putVersion(repo, NAME, '2', { file: modelPath() });
    await waitForState(server, '2', 'available');
    const text = new TextDecoder('utf-8', { fatal: true });
    const actors = { '\xff\xfe': '??', ['x'.repeat(127) + '\xc3\xa9']: `${'x'.repeat(127)}?`, '\xc3\xa9\xc3\xa9': '\u00e9\u00e9' };
    for (const [actor, by] of Object.entries(actors)) {
        for (const value of [{ version: '2', percent: 10 }, { action: 'rollback' }]) {
            const response = await server.fetch(`/admin/models/${NAME}/canary`, {
                method: 'POST',
                headers: { authorization: `Bearer ${server.adminKey}`, 'weir-actor': actor },
                body: JSON.stringify(value),
            });
            const body = JSON.parse(text.decode(await response.arrayBuffer()));
            assert.deepEqual([response.status, body.by], [200, by]);
            assert.equal(body.reason, value.action ? `by hand (${by})` : null);
        }
    }
    const audit = await server.admin('GET', '/admin/audit');
    assert.ok(JSON.parse(text.decode(await audit.arrayBuffer())).audit.length >= 6);
});
