'use strict';
// Whether answers stay as they were: the baseline of a version with a prompt, alerts with both distributions in the
// log, in metrics, on the admin's route and in a terminal, and new baselines.

const assert = require('node:assert/strict');
const http = require('node:http');
const path = require('node:path');
const test = require('node:test');

const { weir } = require('./lib/command.js');
const { makeFolder } = require('./lib/files.js');
const { readMetrics } = require('./lib/metrics.js');
const { validator } = require('./lib/schema.js');
const { startServer, missing } = require('./lib/server.js');
const { startUpgrading } = require('./lib/upgrading.js');
const { until } = require('./lib/wait.js');

const skip = missing();
const SMALL = ['--drift-baseline', '100', '--drift-window', '50'];

let asked = 0;

// n answers of `tokens` tokens to questions that are all different, eight at a time. Their ids.
async function answers(server, n, tokens) {
    const ids = [];
    const ask = async () => {
        while (ids.length < n) {
            const at = ids.push(null) - 1;
            const body = { prompt: `Story ${asked++}: once`, max_tokens: tokens, ignore_eos: true, seed: asked };
            const response = await server.post('/v1/completions', body);
            assert.equal(response.status, 200);
            ids[at] = (await response.json()).id;
        }
    };
    await Promise.all(Array.from({ length: 8 }, ask));
    return ids;
}

const { fits } = validator(require('../../runtime/api/openapi.json'));

// What is there is as openapi.json says.
async function get(server, route) {
    const body = await (await server.admin('GET', route)).json();
    for (const [name, schema] of [['series', 'DriftSeries'], ['alerts', 'DriftAlert']]) {
        (body[name] ?? []).forEach((item) =>
            assert.ok(fits(item, { $ref: `#/components/schemas/${schema}` }), JSON.stringify(item)));
    }
    return body;
}

async function take(server, body) {
    const response = await server.admin('POST', '/admin/drift/baseline', body);
    return { status: response.status, body: await response.json() };
}

const ctl = (server, ...args) =>
    weir(['ctl', 'drift', ...args, '--url', server.url, '--admin-key', server.adminKey]);

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

test('answers become longer: an alert shows both distributions, and a restart forgets nothing', { skip }, async (t) => {
    const args = [...SMALL, '--state', path.join(makeFolder(t), 'state.db')];
    let server = await startServer(t, { args });
    await answers(server, 99, 3);
    let [series] = (await get(server, '/admin/drift')).series;
    assert.deepEqual([series.state, series.baseline.answers, series.baseline.wanted], ['taking_baseline', 99, 100]);
    assert.match(ctl(server, 'show').stdout, /baseline: 99 answers of 100/);
    await answers(server, 1, 3);
    assert.match(server.stderr, /drift of weir-tiny@\S+, prompt default@0: the baseline is taken, 100 answers/);

    await answers(server, 50, 3); // as before
    [series] = (await get(server, '/admin/drift')).series;
    assert.deepEqual([series.state, series.looks], ['watched', 1]);
    assert.deepEqual((await get(server, '/admin/drift/alerts')).alerts, []);
    const labels = { model: 'weir-tiny', prompt: 'default@0', measure: 'answer_tokens' };
    assert.equal((await readMetrics(server)).value('weir_drift', labels), 0);

    await answers(server, 50, 12);
    const { model, version } = series;
    const [alert] = (await get(server, '/admin/drift/alerts')).alerts.filter((a) => a.measure === 'answer_tokens');
    assert.deepEqual([alert.model, alert.version, alert.prompt, alert.ended], [model, version, 'default@0', null]);
    assert.deepEqual([alert.test, alert.difference, alert.margin, alert.unit],
        ['kolmogorov_smirnov', 1, 0.1, 'tokens']);
    assert.ok(alert.at_least > alert.margin && alert.at_least < 1, `${alert.at_least}`);
    assert.equal(alert.baseline.quantiles['50'], 3);
    assert.ok(alert.now.quantiles['10'] >= 12); // a bin holds 12 and 13
    assert.deepEqual([sum(alert.baseline.bins), sum(alert.now.bins)], [100, 50]);
    assert.equal(alert.baseline.bins[alert.bounds.indexOf(3)], 100);
    assert.equal(alert.now.bins[alert.bounds.indexOf(12)], 50);
    assert.match(server.stderr, / warn drift of weir-tiny@\S+, prompt default@0: answer_tokens differs from the baseline by 1, by 0\.\d+ at least \(margin 0\.1, level 0\.00028\): now 50 values, quantiles 10 to 90 %: 1\d.*; baseline 100 values, quantiles 10 to 90 %: 3 3 3 3 3 \(alert \d+\)/);
    const metrics = await readMetrics(server);
    assert.equal(metrics.value('weir_drift', labels), 1);
    assert.equal(metrics.value('weir_drift_difference', labels), 0.5); // of the 100 newest
    assert.equal(metrics.value('weir_drift_alerts_total', labels), 1);
    assert.equal(metrics.value('weir_drift_looks_total', { model: 'weir-tiny' }), 3); // 50, 50, 100
    assert.equal(metrics.value('weir_model_answer_entropy_nats', {}, '_count'), 200);
    assert.ok(metrics.value('weir_model_answer_entropy_nats', {}, '_sum') > 10);
    assert.match(ctl(server, 'list').stdout, /weir-tiny +\S+ +default@0 +differs +100 .* 3 +answer_tokens/);
    assert.match(ctl(server, 'show', model).stdout, /answer_tokens +tokens +3 3 3 3 3 /);
    assert.match(ctl(server, 'alerts').stdout, /answer_tokens +3 3 3 3 3 +1\d/);
    assert.equal(ctl(server, 'show', 'nobody').status, 1);

    await server.stop();
    server.killed = true;
    server = await startServer(t, { args });
    [series] = (await get(server, '/admin/drift')).series;
    assert.deepEqual([series.state, series.baseline.answers, series.looks], ['differs', 100, 3]);
    assert.deepEqual((await get(server, '/admin/drift/alerts')).alerts.find((a) => a.number === alert.number), alert);
    assert.equal((await readMetrics(server)).value('weir_drift', labels), 1);

    // The owner says that this is how it shall be.
    const few = await take(server, { model });
    assert.deepEqual([few.status, few.body.error.code], [409, 'drift_conflict']);
    assert.match(few.body.error.message, /0 answers yet, 100 are needed/);
    await answers(server, 100, 12);
    assert.match(ctl(server, 'baseline', `${model}@${version}`, '--actor', 'ann').stdout, /watched\nbaseline: 100 answers, by ann/);
    const after = (await get(server, '/admin/drift/alerts')).alerts;
    assert.ok(after.every(({ ended }) => ended !== null));
    assert.equal((await readMetrics(server)).value('weir_drift', labels), 0);
    await answers(server, 50, 12);
    [series] = (await get(server, `/admin/drift?model=${model}&distributions=true`)).series;
    assert.deepEqual([series.state, series.looks, series.baseline.by], ['watched', 1, 'ann']);
    assert.equal(sum(series.measures[0].baseline.bins), 100);
});

test('a prompt that changes is watched by itself, and can take the other one\'s baseline', { skip }, async (t) => {
    const server = await startServer(t, { args: [...SMALL, '--feedback', 'ids', '--feedback-answers', '10'] });
    const ask = async (n) => {
        for (let i = 0; i < n; i++) {
            const messages = [{ role: 'user', content: `What is ${i} + ${i}?` }];
            const response = await server.post('/v1/chat/completions', { messages, max_tokens: 2 });
            assert.equal(response.status, 200);
        }
    };
    const put = (text) => server.admin('PUT', '/admin/prompts/default', { text });
    assert.ok((await put('You are kind.')).ok);
    await ask(1);
    assert.ok((await put('You are short.')).ok);
    await ask(1);
    const ids = await answers(server, 100, 2);
    const { series } = await get(server, '/admin/drift');
    assert.deepEqual(series.map(({ prompt, state }) => [prompt, state]).sort(),
        [['default@1', 'taking_baseline'], ['default@2', 'watched']]);
    const { model } = series[0];
    const wrong = async (body, status, param, message) => {
        const answer = await take(server, body);
        assert.equal(answer.status, status, JSON.stringify(answer.body));
        assert.equal(answer.body.error.param, param);
        assert.match(answer.body.error.message, message);
    };
    await wrong({ model }, 409, 'model', /2 series of answers match/);
    await wrong({ model: 'none' }, 404, 'model', /no answers of none@any version/);
    await wrong({ model, prompt: 'default@1' }, 409, 'take', /there are 1 answers yet/);
    await wrong({ model, take: 'all' }, 400, 'take', /"newest" or "next"/);
    await wrong({ model, stars: 1 }, 400, 'stars', /"stars" is not known/);
    await wrong({ model, take: 'next', from: {} }, 400, 'from', /beside "take"/);
    await wrong({ model, prompt: 'default@1', from: { prompt: 'default@7' } }, 404, 'from', /default@7/);
    assert.equal((await server.fetch('/admin/drift')).status, 401);
    assert.equal(ctl(server, 'baseline', model, '--next', '--from', model).status, 2);

    const taken = ctl(server, 'baseline', model, '--prompt', 'default@1', '--from', model, '--from-prompt', 'default@2');
    assert.match(taken.stdout, /prompt default@1: watched\nbaseline: 100 answers/, taken.stderr);
    const again = await take(server, { model, prompt: 'default@1', take: 'next' });
    assert.deepEqual([again.status, again.body.state, again.body.baseline.answers], [200, 'taking_baseline', 0]);

    // What users say of answers counts once for each, when nobody can speak of them any more.
    for (const thumb of ['down', 'down', 'up']) {
        assert.equal((await server.post('/v1/feedback', { id: ids[99], thumb })).status, 201);
    }
    assert.equal((await server.post('/v1/feedback', { id: ids[98], over: ids[97] })).status, 201);
    assert.equal((await server.post('/v1/feedback', { id: 'cmpl-none', thumb: 'up' })).status, 404);
    const shares = async (name) => {
        const { measures } = (await get(server, '/admin/drift?prompt=default%402')).series[0];
        const { baseline, now } = measures.find(({ measure }) => measure === name);
        return [baseline.hits + now.hits, baseline.n + now.n];
    };
    assert.deepEqual(await shares('feedback_rate'), [0, 91]);
    await answers(server, 10, 2);
    assert.deepEqual(await shares('feedback_rate'), [3, 101]);
    assert.deepEqual(await shares('dislike_rate'), [2, 3]);
    const metrics = await readMetrics(server);
    assert.equal(metrics.value('weir_feedback_total', { kind: 'down' }), 2);
    assert.equal(metrics.value('weir_feedback_total', { kind: 'up' }), 1);
    assert.equal(metrics.value('weir_feedback_total', { kind: 'preferred' }), 1);
    assert.equal(metrics.value('weir_feedback_refused_total', { reason: 'unknown_answer' }), 1);
    assert.equal((await server.admin('DELETE', '/admin/feedback?user=nobody')).status, 200);
    assert.equal((await readMetrics(server)).value('weir_feedback_deleted_total'), 0);
});

test('an upgrade goes on with the last baseline, and nothing of the old process comes over it', { skip }, async (t) => {
    const server = await startUpgrading(t, { args: [...SMALL, '--state', path.join(makeFolder(t), 'state.db')] });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const answer = () =>
        server.json('POST', '/v1/completions', { prompt: `Story ${asked++}: once`, max_tokens: 2 }, { agent });
    const series = async () => (await server.json('GET', '/admin/drift')).body.series[0];
    for (let i = 0; i < 99; i++) {
        assert.equal((await answer()).status, 200);
    }
    const { model } = await series();
    const first = (await server.status()).pid;
    server.installSlow(1);
    const upgrade = server.upgrade();
    await until(async () => (await server.status()).state === 'upgrading', 'it has begun');
    const early = await server.json('POST', '/admin/drift/baseline', { model, take: 'next' });
    assert.deepEqual([early.status, early.body.error.code], [503, 'upgrading']);
    const second = await upgrade;
    assert.notEqual(second, first);
    assert.equal((await series()).baseline.answers, 99); // also those that were in memory

    const taken = await server.json('POST', '/admin/drift/baseline', { model, take: 'next' });
    assert.deepEqual([taken.status, taken.body.baseline.answers, taken.body.baseline.by], [200, 0, 'admin']);
    const late = await answer(); // with it the old process has a baseline of 100
    assert.deepEqual([late.status, late.headers.connection], [200, 'close']);
    await server.ended(first);
    server.install();
    assert.notEqual(await server.upgrade(), second);
    const { state, baseline } = await series();
    assert.deepEqual([state, baseline.answers, baseline.by], ['taking_baseline', 0, 'admin']);
});

test('options: off is off, and what is wrong is named', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--drift', 'off'] });
    await answers(server, 1, 2);
    const response = await server.admin('GET', '/admin/drift');
    assert.deepEqual([response.status, (await response.json()).error.code], [404, 'drift_off']);
    assert.match(ctl(server, 'list').stderr, /--drift off/);
    const wrong = (args, message) => {
        const { status, stderr } = weir(['serve', '--model', 'x.gguf', ...args]);
        assert.equal(status, 2, stderr);
        assert.match(stderr, message);
    };
    wrong(['--drift', 'perhaps'], /--drift: "perhaps" is not known/);
    wrong(['--drift-window', '3'], /--drift-window/);
    wrong(['--drift-alpha', '0'], /--drift-alpha: above 0 and up to 0\.5/);
    wrong(['--drift-margin', 'length=1'], /MEASURE=X.*"length=1".*answer_tokens, entropy/);
    wrong(['--drift-margin', 'entropy=2'], /entropy: a number from 0 to below 1, or off/);
});
