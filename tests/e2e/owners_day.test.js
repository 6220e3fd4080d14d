'use strict';
// A day of an owner: versions of a model come, are tried, serve, are taken back, and outlive a restart and an upgrade of
// the program. Everything an owner does goes through weir ctl and the repository's folder, as a person does it; clients
// ask all the while.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir } = require('./lib/command.js');
const { makeFolder, writeFile, writeOtherVersion } = require('./lib/files.js');
const { parseMetrics } = require('./lib/metrics.js');
const { putVersion } = require('./lib/model_repo.js');
const { missing, modelPath } = require('./lib/server.js');
const { ADMIN_KEY, startUpgrading } = require('./lib/upgrading.js');
const { until } = require('./lib/wait.js');

const skip = missing();
const CHAT = '/v1/chat/completions';
const CLIENTS = 8;

// Small numbers and wide margins: what is tested is what an owner sees, not the test that decides.
const CANARY = {
    percent: 50, min_answers: 40, max_answers: 160, looks: 3, alpha: 0.05,
    margins: { error_rate: 0.12, block_rate: 0.12, refusal_rate: 0.12, cut_rate: 1, first_token: 100, token_time: 100, answer_tokens: 2 },
};

// A template that tells the model a name before all else.
const named = (name) => `<|im_start|>system\nYour name is ${name}.<|im_end|>\n`
    + "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";

class Owner {
    constructor(t, server, key) {
        Object.assign(this, { t, server, key });
    }

    run(...args) {
        return weir(['ctl', ...args, '--url', this.server.url, '--admin-key', ADMIN_KEY, '--actor', 'anna']);
    }

    // What a command prints.
    ctl(...args) {
        const { status, stdout, stderr } = this.run(...args);
        assert.equal(status, 0, `weir ctl ${args.join(' ')}: ${stderr}`);
        return stdout;
    }

    models(...args) {
        return this.ctl('models', ...args);
    }

    // What a command that cannot be done says.
    refused(...args) {
        const { status, stderr } = this.run('models', ...args);
        assert.equal(status, 1, `weir ctl models ${args.join(' ')} is not refused`);
        return stderr;
    }

    // Until a line of the list looks so.
    async sees(line) {
        await until(() => line.test(this.models('list')), `a line ${line} in\n${this.models('list')}${this.server.stderr}`);
    }

    async ask(text, { model, key = this.key, more = {} } = {}) {
        const response = await fetch(this.server.url + CHAT, {
            method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
            body: JSON.stringify({ model, messages: [{ role: 'user', content: text }], temperature: 0, max_tokens: 8, ...more }),
        });
        const body = await response.json();
        return { status: response.status, body, version: /@([^;]+);/.exec(response.headers.get('weir-model') ?? '')?.[1] };
    }

    async version(model, options) {
        const { status, body, version } = await this.ask('Hello', { model, ...options });
        assert.equal(status, 200, JSON.stringify(body));
        return version;
    }

    // Clients that ask different things until it is over; none may fail. How often each version answered comes back.
    async keepAsking(isOver, text) {
        const seen = {};
        let asked = 0;
        let over = false;
        const client = async () => {
            while (!over) {
                const n = asked++;
                const { status, body, version } = await this.ask(text(n));
                assert.equal(status, 200, JSON.stringify(body));
                seen[version] = (seen[version] ?? 0) + 1;
                over = over || (n % 20 === 0 && (await isOver())) || asked > 10_000;
            }
        };
        await Promise.all(Array.from({ length: CLIENTS }, client));
        return seen;
    }

    async canaryIsOver() {
        const { body } = await this.server.json('GET', '/admin/models/tiny/canary');
        return body.state !== 'running';
    }

    async metrics() {
        return parseMetrics(await (await fetch(`${this.server.url}/metrics`)).text());
    }
}

test('an owner\'s day', { skip, timeout: 300_000 }, async (t) => {
    const folder = makeFolder(t);
    const repo = path.join(folder, 'repo');
    const keys = path.join(folder, 'keys');
    const state = path.join(folder, 'state.db');
    const pidFile = path.join(folder, 'weir.pid');
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const keyOf = (name, ...more) => weir(['keys', 'add', '--file', keys, '--name', name, ...more]).stdout.trim();
    const ann = keyOf('ann'), shop = keyOf('shop', '--model', 'tiny@1'), beta = keyOf('beta', '--model', 'tiny@next');
    const put = (version, what) => putVersion(repo, 'tiny', version, { file: modelPath(), ...what });
    put('1', { manifest: { labels: ['stable'], deprecated: '2030-01-31' } });
    const start = () => startUpgrading(t, { model: 'tiny', args: ['--repo', repo, '--state', state, '--api-key-file', keys,
        '--keep-generations', '2', '--pid-file', pidFile] });
    const owner = new Owner(t, await start(), ann);
    assert.match(owner.models('list'), /^model tiny\nVERSION +STATE .*\n1 +serving +[0-9a-f]{12} +1 +stable +2030-01-31 +- +-\n$/);
    assert.equal(await owner.version(), '1');
    owner.ctl('filters', 'put', 'default', writeFile(folder, 'chain.json', { filters: [{ type: 'wordlist', words: ['Marlow'], action: 'stop' }] }));

    await t.test('a version whose gate fails does not serve, and the owner reads why', async () => {
        put('2', { manifest: { gate: { golden: [{ messages: [{ role: 'user', content: 'What is 23 + 45?' }], text: 'It is 69.' }] } } });
        await owner.sees(/^2 +failed .* gate: 1 of 1 golden prompts were answered otherwise, the first is gate\.golden\[0\]$/m);
        const { gate } = JSON.parse(owner.models('show', '2'));
        assert.equal(gate.golden.answers[0].wanted_text, 'It is 69.');
        assert.match(gate.golden.answers[0].text, /68/);
        assert.match(owner.refused('activate', '2'), /422: gate: 1 of 1 golden/);
        assert.match(owner.refused('activate', '9'), /tiny has no version "9"; there are: 2, 1/);
        assert.match(owner.refused('rollback'), /no other version served before/);
        assert.equal(await owner.version(), '1');

        put('2', { manifest: { gate: { golden: [{ messages: [{ role: 'user', content: 'What is 23 + 45?' }], text: gate.golden.answers[0].text }] } } });
        await owner.sees(/^2 +serving .*\n1 +kept +[0-9a-f]{12} +1 +stable /m);
        assert.equal(JSON.parse(owner.models('show', '2', '--json')).gate.passed, true);
        assert.equal((await owner.metrics()).value('weir_model_load_failures_total', { model: 'tiny' }), 2);
    });

    await t.test('a key keeps the version that it is pinned to', async () => {
        assert.equal(await owner.version(), '2');
        assert.equal(await owner.version(undefined, { key: shop }), '1');
        const { status, body } = await owner.ask('Hello', { model: 'tiny@2', key: shop });
        assert.deepEqual([status, body.error.code], [403, 'model_not_allowed'], JSON.stringify(body));
        const gone = await owner.ask('Hello', { key: beta });
        assert.deepEqual([gone.status, gone.body.error.code], [404, 'model_not_found']);
        assert.match(gone.body.error.message, /"tiny@next"/);
    });

    await t.test('a good canary is promoted, a bad one rolled back, and nobody does it', async () => {
        put('3', { manifest: { labels: ['next'], canary: CANARY } });
        await owner.sees(/^3 +canary 50 % by conversation .*\n2 +serving /m);
        assert.equal(await owner.version(undefined, { key: beta }), '3', 'a label leads to a canary');
        const good = await owner.keepAsking(() => owner.canaryIsOver(), (n) => `${n} + ${n % 7}?`);
        assert.ok(good['2'] >= 40 && good['3'] >= 40, JSON.stringify(good));
        assert.match(owner.models('canary'), /^promoted: canary tiny@3 against 2, step 1 \(50 %\), /);
        assert.match(owner.models('list'), /^3 +serving /m);

        put('4', { files: { 'chat.jinja': named('Marlow') }, manifest: { template: 'chat.jinja', canary: CANARY } });
        await owner.sees(/^4 +canary 50 % by conversation /m);
        const bad = await owner.keepAsking(() => owner.canaryIsOver(), (n) => `I am guest ${n}. What is your name?`);
        assert.ok(bad['3'] > 0 && bad['4'] > 0, JSON.stringify(bad));
        const report = owner.models('canary');
        assert.match(report, /^rolled_back: canary tiny@4 against 3, .*\nblock_rate is .* is allowed; /);
        assert.match(report, /^MEASURE +STABLE +CANARY [^]*^block_rate .* worse$/m);
        assert.doesNotMatch(report, /nan/);
        assert.match(owner.models('list'), /^4 +failed .* canary: block_rate is .*\n3 +serving /m);
        const { value } = await owner.metrics();
        assert.equal(value('weir_canary_decisions_total', { decision: 'promoted' }), 1);
        assert.equal(value('weir_canary_decisions_total', { decision: 'rolled_back', measure: 'block_rate' }), 1);
        assert.ok(value('weir_model_answers_total', { version: '4', outcome: 'blocked' }) > 0);
    });

    await t.test('a version that disappoints is taken back, and watched as a shadow', async () => {
        put('5', { file: other, manifest: { labels: ['next'] } });
        await owner.sees(/^5 +serving /m);
        assert.match(owner.models('rollback'), /^published: tiny@3, sha256 [0-9a-f]{12}\n/);
        assert.equal(await owner.version(), '3');
        assert.match(owner.models('shadow', '5', '100'), /^model tiny: version 3 serves\nsplit: none\nshadow: version 5, 100 %\n/);
        assert.match(owner.models('list'), /^5 +shadow 100 % /m);
        for (let i = 0; i < 4; i++) {
            assert.equal((await owner.ask(`Tell me of ${i} foxes.`)).version, '3');
        }
        await until(() => /different [1-9]/.test(owner.models('shadow')), 'copies are compared');
        assert.match(owner.models('shadow', 'off'), /^shadow: none$/m);
        const compared = owner.models('diff', '3', '5', '--n', '4', '--max-tokens', '8', '--load', '--api-key', ann);
        assert.match(compared, /^4 prompts, answered greedily with at most 8 tokens\./);
    });

    await t.test('labels, a share for some, and back and forth', async () => {
        assert.match(owner.models('label', 'stable', '3'), /^label stable: version 3$/m);
        assert.equal(await owner.version('tiny@stable'), '3');
        assert.equal(await owner.version(undefined, { key: beta }), '5', 'the newest that has the label');
        owner.models('activate', '5');
        assert.equal(await owner.version(), '5');
        assert.equal(await owner.version('tiny@stable'), '3');
        owner.models('rollback');
        assert.equal(await owner.version(), '3');
        assert.match(owner.models('split', '5', '30', 'conversation'), /^split: version 5, 30 % by conversation$/m);
        const seen = {};
        for (let i = 0; i < 60; i++) {
            const { version } = await owner.ask(`Greet ${i} friends.`, { more: { max_tokens: 1 } });
            seen[version] = (seen[version] ?? 0) + 1;
        }
        assert.ok(seen['5'] >= 5 && seen['5'] <= 35 && seen['3'] + seen['5'] === 60, JSON.stringify(seen));
        assert.equal((await owner.metrics()).value('weir_split_percent', { version: '5' }), 30);
    });

    // What must be the same after a restart and after an upgrade.
    const shown = /^5 +split 30 % by conversation .*\n4 +failed .* canary: block_rate is .*\n3 +serving .* stable next/m; // 5 gets "next" when it serves
    const answers = async () => {
        const list = [];
        for (let i = 0; i < 10; i++) {
            const { version, body } = await owner.ask(`Greet ${i} friends.`);
            list.push([version, body.choices[0].message.content]);
        }
        return list;
    };
    await owner.sees(shown);
    const before = await answers();

    await t.test('a restart forgets nothing of that', async () => {
        process.kill(Number(fs.readFileSync(pidFile, 'utf8')), 'SIGTERM');
        assert.deepEqual(await owner.server.exited, { code: 0, signal: null }, owner.server.stderr);
        owner.server = await start();
        await owner.sees(shown);
        assert.deepEqual(await answers(), before);
        assert.equal(await owner.version(undefined, { key: beta }), '3'); // "next" is 5 when that serves
        assert.match(owner.models('rollback'), /^published: tiny@2/, 'what served before is known, step by step');
        assert.match(owner.models('activate', 'stable'), /^published: tiny@3/);
    });

    await t.test('nor does an upgrade of the program, and no request fails', async () => {
        const old = Number(fs.readFileSync(pidFile, 'utf8'));
        assert.match(owner.ctl('server', 'show'), new RegExp(`^process ${old}, version \\S+, serving$`, 'm'));
        owner.server.install();
        process.kill(old, 'SIGUSR2');
        const isNew = async () => (await owner.server.status()).pid !== old;
        const seen = await owner.keepAsking(isNew, (n) => `Greet ${n % 10} friends.`);
        assert.ok(seen['3'] > 0 && seen['5'] > 0, JSON.stringify(seen));
        await owner.server.ended(old);
        assert.notEqual(Number(fs.readFileSync(pidFile, 'utf8')), old);
        await owner.sees(shown);
        assert.deepEqual(await answers(), before);
        assert.equal((await owner.metrics()).value('weir_upgrades_total', { outcome: 'done' }), 1);
    });

    await t.test('the audit tells the day, and every command speaks JSON', async () => {
        const { audit } = JSON.parse(owner.ctl('audit', 'tiny', '--kind', 'model', '--limit', '100', '--json'));
        const told = audit.reverse().map(({ actor, action, subject }) => `${actor} ${action} ${subject}`);
        let at = 0;
        for (const row of ['weir publish 1', 'weir gate_failed 2', 'anna gate_failed 2', 'weir publish 2', 'weir canary_begin 3',
            'weir canary_promote 3', 'weir canary_begin 4', 'weir canary_rollback 4', 'weir publish 5', 'anna rollback 3',
            'anna shadow 5', 'anna label stable', 'anna activate 5', 'anna rollback 3', 'anna split 5', 'anna rollback 2', 'anna activate 3']) {
            at = told.indexOf(row, at) + 1;
            assert.ok(at > 0, `${row} in its place in\n${told.join('\n')}`);
        }
        assert.match(owner.models('audit'), /^ID +TIME +KIND +ACTOR +ACTION +NAME +SUBJECT +BEFORE +AFTER +REASON\n\d+ /);
        for (const args of [['list'], ['show', '3'], ['shadow'], ['split', 'off'], ['label', 'stable', 'off'], ['reload'],
            ['activate', '3'], ['load', 'tiny@1'], ['unload', 'tiny@1'], ['audit'], ['canary', '5', '--percent', '10'], ['canary', 'rollback']]) {
            assert.equal(typeof JSON.parse(owner.models(...args, '--json')), 'object', args.join(' '));
        }
        assert.equal(JSON.parse(owner.ctl('server', 'show', '--json')).state, 'serving');
    });
});
