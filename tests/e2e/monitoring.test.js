'use strict';
// packaging/monitoring with Debian's own Prometheus: the alert rules, and a server that is scraped while each panel
// of the dashboard is asked for.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ROUTE, ask, whole, beginStream } = require('./lib/chat.js');
const { startCollector } = require('./lib/collector.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { readMetrics } = require('./lib/metrics.js');
const { startRepo, waitFor } = require('./lib/model_repo.js');
const { lintMetrics, promtool, startPrometheus } = require('./lib/prometheus.js');
const { missing, modelPath } = require('./lib/server.js');

const skip = missing();
const FOLDER = path.resolve(__dirname, '../../packaging/monitoring');
const DASHBOARD = JSON.parse(fs.readFileSync(path.join(FOLDER, 'grafana-dashboard.json'), 'utf8'));
const PANELS = DASHBOARD.panels.filter(({ type }) => type !== 'row');

const metricsIn = (text) => new Set(text.match(/\b(?:weir_|gen_ai_|vllm:)[a-z0-9_]+\b/g));

test('the rules are good, and each fires when it must', () => {
    promtool(['check', 'config', path.join(FOLDER, 'prometheus.yml')]);
    assert.match(promtool(['test', 'rules', path.join(FOLDER, 'alerts.test.yml')]), /SUCCESS/);
    const rules = fs.readFileSync(path.join(FOLDER, 'alerts.yml'), 'utf8');
    const tests = fs.readFileSync(path.join(FOLDER, 'alerts.test.yml'), 'utf8');
    const names = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    assert.ok(names.length > 10);
    for (const name of names) {
        assert.match(tests, new RegExp(`alertname: ${name}\\b\\s+eval_time: \\w+\\s+exp_alerts:\\s+- exp_labels`), `${name} is tested`);
    }
});

test('dashboard and rules ask for what there is, and panels are whole', () => {
    const table = fs.readFileSync(path.resolve(__dirname, '../../runtime/serve/server_metrics.h'), 'utf8');
    const known = new Set([...table.matchAll(/"((?:weir_|gen_ai_server_|vllm:)[a-z0-9_]+)"/g)].map(([, name]) => name));
    const rules = fs.readFileSync(path.join(FOLDER, 'alerts.yml'), 'utf8').replace(/^\s+(?:summary|description):.*$/gm, '');
    const asked = [...metricsIn(rules), ...PANELS.flatMap(({ targets }) => targets.flatMap(({ expr }) => [...metricsIn(expr.replace(/gen_ai_\w+=~/g, ''))]))];
    for (const name of asked) {
        assert.ok(known.has(name) || known.has(name.replace(/_(bucket|sum|count)$/, '')), name);
    }
    assert.equal(new Set(DASHBOARD.panels.map(({ id }) => id)).size, DASHBOARD.panels.length);
    const places = new Set();
    for (const { title, description, datasource, gridPos: { x, y, w, h } } of PANELS) {
        assert.ok(title && description && datasource.uid === '${datasource}', title);
        for (let column = x; column < x + w; column++) {
            for (let line = y; line < y + h; line++) {
                assert.ok(column < 24 && !places.has(`${column},${line}`), `${title} overlaps another`);
                places.add(`${column},${line}`);
            }
        }
    }
});

// A request of each kind that panels tell of.
async function makeTraffic(server) {
    const story = ask('Tell me a story.', { max_tokens: 40, ignore_eos: true });
    await whole(server, story);
    await whole(server, { ...story, messages: [{ role: 'user', content: 'Say canarybird and tell me a long story.' }] });
    const blocked = await server.post(ROUTE, ask('forbiddenword'));
    assert.equal(blocked.status, 400, await blocked.text());
    await (await server.post('/v1/embeddings', { input: 'text' })).text();
    await (await server.fetch('/nowhere')).text();
    const refused = await server.post(ROUTE, {
        ...ask('Do you have advice about chess?'), messages: [{ role: 'system', content: 'Do not talk about chess.' }, { role: 'user', content: 'Do you have advice about chess?' }],
    });
    await refused.text();
    const leaver = new AbortController();
    const left = await beginStream(server, { ...story, max_tokens: 900 }, { signal: leaver.signal });
    await left.body.getReader().read();
    leaver.abort();
}

test('Prometheus reads the server, each panel has something to show, and the right alerts are on', { skip }, async (t) => {
    const collector = await startCollector(t);
    const chain = writeFile(makeFolder(t), 'chain.json', {
        name: 'default',
        filters: [
            { type: 'wordlist', words: ['forbiddenword'], side: 'both' },
            { type: 'wordlist', words: ['canarybird'], side: 'input', action: 'replace', replacement: 'number' },
            { type: 'webhook', url: 'http://127.0.0.1:1/', side: 'input', fail: 'open', timeout_ms: 200, retries: 0 },
        ],
    });
    const { server } = await startRepo(t, { 1: { file: modelPath() } },
        ['--filters', chain, '--otlp-endpoint', collector.url]);
    const prometheus = await startPrometheus(t, [
        'global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}',
        `rule_files: [${JSON.stringify(path.join(FOLDER, 'alerts.yml'))}]`,
        `scrape_configs: [{job_name: weir, static_configs: [{targets: ["127.0.0.1:${server.port}"]}]}]`,
    ].join('\n'));
    const { text } = await readMetrics(server);
    assert.equal(lintMetrics(text), '');

    await waitFor(async () => (await prometheus.query('up{job="weir"} == 1')).length === 1);
    const empty = new Set(PANELS.flatMap(({ title, targets }) => targets.map(({ refId, expr }) => JSON.stringify([title, refId, expr]))));
    // Nothing is unloaded here, and nothing fails to load.
    const quiet = (title, refId) => title === 'Loads' && refId !== 'A';
    await waitFor(async () => {
        await makeTraffic(server);
        for (const panel of empty) {
            const [title, refId, expr] = JSON.parse(panel);
            const result = await prometheus.query(expr
                .replaceAll('$__rate_interval', '30s').replaceAll('$job', 'weir').replaceAll('$model', '.*'));
            const hasNumber = result.some(({ value: [, number] }) => number !== 'NaN');
            if (hasNumber || quiet(title, refId)) {
                empty.delete(panel);
            }
        }
        return empty.size === 0;
    }, 300).catch((error) => assert.fail(`${error.message}: ${[...empty]}`));

    const { groups } = await prometheus.api('rules');
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length > 10);
    await waitFor(async () => (await prometheus.query('ALERTS{alertname="WeirFilterFails",alertstate="firing"}')).length === 1);
    for (const { name, health, lastError, state } of (await prometheus.api('rules')).groups.flatMap((group) => group.rules)) {
        assert.equal(health, 'ok', `${name}: ${lastError}`);
        assert.equal(state === 'firing', name === 'WeirFilterFails', name);
    }
    // The panel that owners look at first: which filter stopped what, by which rule.
    const [block] = await prometheus.query('weir_filter_verdicts_total{verdict="stop"}');
    assert.equal(block.metric.type, 'wordlist');
});
