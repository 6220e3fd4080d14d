'use strict';
// What an owner has decided about versions of a model is there again after a restart, and every change is in the audit.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole } = require('./lib/chat.js');
const { weir } = require('./lib/command.js');
const { makeFolder, writeOtherVersion } = require('./lib/files.js');
const { putVersion, listVersions, waitFor, waitForState } = require('./lib/model_repo.js');
const { missing, modelPath, startServer } = require('./lib/server.js');

const skip = missing();
const NAME = 'tiny';
const NEVER = { gate: { golden: [{ prompt: 'a', text: 'What it never says.' }] } };

// A repository, and servers on it one after the other that have one state file.
class Place {
    constructor(t, versions, args = []) {
        this.t = t;
        this.folder = makeFolder(t);
        this.repo = path.join(this.folder, 'repo');
        this.state = path.join(this.folder, 'state.db');
        this.args = args;
        for (const [version, what] of Object.entries(versions)) {
            this.put(version, what);
        }
    }

    put(version, what = { file: modelPath() }) {
        putVersion(this.repo, NAME, version, what);
    }

    remove(version) {
        fs.rmSync(path.join(this.repo, NAME, version), { recursive: true });
    }

    other() {
        const file = path.join(this.folder, 'other.gguf');
        if (!fs.existsSync(file)) {
            writeOtherVersion(modelPath(), file);
        }
        return file;
    }

    async start() {
        this.server = await startServer(this.t, { model: NAME, args: ['--repo', this.repo, '--state', this.state, ...this.args] });
        return this.server;
    }

    // As a power cut would.
    async restart() {
        await this.server.kill();
        return this.start();
    }

    // {status, body}
    async post(what, value, actor) {
        const answer = await this.server.post(`/admin/models/${NAME}/${what}`, value,
            { headers: { authorization: `Bearer ${this.server.adminKey}`, ...(actor && { 'weir-actor': actor }) } });
        return { status: answer.status, body: await answer.json() };
    }

    async activate(version, actor) {
        const { status, body } = await this.post('activate', { version }, actor);
        assert.equal(status, 200, JSON.stringify(body));
        return body.model.version;
    }

    async serving() {
        return (await whole(this.server, ask('Hello'))).madeBy.model.match(/^tiny@([^;]+);/)[1];
    }

    async audit(query = '') {
        const answer = await this.server.admin('GET', `/admin/audit?kind=model${query}`);
        return (await answer.json()).audit;
    }

    async show(version) {
        return (await this.server.admin('GET', `/admin/models/${NAME}/versions/${version}`)).json();
    }
}

const three = { 1: { file: modelPath() }, 2: { file: modelPath() }, 3: { file: modelPath() } };
const rows = (audit) => audit.map(({ action, actor, subject, before, after }) => [action, actor, subject, before, after].join(' '));

test('what was activated serves after kill -9, until a newer version comes', { skip }, async (t) => {
    const place = new Place(t, three);
    await place.start();
    assert.equal(await place.serving(), '3');
    await place.activate('1');
    await place.activate('2');
    await place.restart();
    assert.equal(await place.serving(), '2');
    assert.deepEqual(await listVersions(place.server), { 3: 'available', 2: 'serving', 1: 'available' });

    // It goes back as far as before.
    assert.equal((await place.post('rollback')).body.model.version, 'tiny@1');
    await place.restart();
    assert.equal(await place.serving(), '1');
    assert.equal((await place.post('rollback')).body.model.version, 'tiny@3');
    assert.equal((await place.post('rollback')).status, 409);
    await place.activate('2');
    await place.restart();
    assert.equal((await place.post('rollback')).body.model.version, 'tiny@3');
    await place.activate('1');

    // A newer one that comes is published, and that is kept too.
    place.put('4');
    await waitForState(place.server, '4', 'serving');
    await waitFor(async () => (await place.audit())[0].subject === '4');
    await place.restart();
    assert.equal(await place.serving(), '4');
    assert.equal((await place.post('rollback')).body.model.version, 'tiny@1');

    // Nobody looks while the server is down; a version that is older than what serves is only there.
    await place.activate('2');
    await place.server.kill();
    place.put('1.5');
    await place.start();
    assert.equal(await place.serving(), '2');
    assert.deepEqual(await listVersions(place.server), { 4: 'available', 3: 'available', 2: 'serving', '1.5': 'available', 1: 'available' });
    await place.server.kill();
    place.put('10');
    await place.start();
    await waitForState(place.server, '10', 'serving');
    assert.equal((await place.post('rollback')).body.model.version, 'tiny@2');
});

test('files that were copied anew are no news where somebody has chosen', { skip }, async (t) => {
    const place = new Place(t, three);
    await place.start();
    await place.activate('2');
    await place.server.kill();
    for (const version of ['1', '2', '3']) {
        place.put(version);
    }
    await place.start();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.deepEqual(await listVersions(place.server), { 3: 'available', 2: 'serving', 1: 'available' });
    assert.doesNotMatch(place.server.stderr, /was chosen|is being loaded/);
});

test('every change is a row, with who made it', { skip }, async (t) => {
    const place = new Place(t, { 1: three[1], 2: three[2] });
    await place.start();
    await place.activate('1', 'anna');
    await place.post('rollback', undefined, 'berta');
    await place.server.admin('POST', '/admin/models/reload', { force: true });
    place.put('3', { file: modelPath(), manifest: NEVER });
    await waitForState(place.server, '3', 'failed');
    place.put('4', { file: place.other() });
    await waitForState(place.server, '4', 'serving');
    place.put('5', { file: __filename });
    await waitForState(place.server, '5', 'failed');
    await waitFor(async () => (await place.audit()).length === 7);
    const audit = await place.audit();
    assert.deepEqual(rows(audit).reverse(), [
        'publish weir 2  2',
        'activate anna 1 2 1',
        'rollback berta 2 1 2',
        'reload admin 2 2 2',
        'gate_failed weir 3 2 2',
        'publish weir 4 2 4',
        'load_failed weir 5 4 4',
    ]);
    assert.match(audit[2].reason, /golden prompts were answered otherwise/);
    assert.match(audit[0].reason, /GGUF/);
    assert.ok(audit.every(({ kind, profile }) => kind === 'model' && profile === NAME));

    // What changed nothing has none; neither has what was refused.
    await place.activate('4');
    assert.equal((await place.post('activate', { version: '9' })).status, 404);
    assert.equal((await place.post('activate', { version: '3' })).status, 422);
    await waitFor(async () => (await place.audit()).length === 8);
    assert.equal(rows(await place.audit())[0], 'gate_failed admin 3 4 4');

    // In pages, in one order with those of other things, and from a terminal.
    await place.server.admin('PUT', '/admin/prompts/default', { text: 'Be brief.' });
    const all = (await (await place.server.admin('GET', '/admin/audit?limit=2')).json()).audit;
    assert.deepEqual(all.map(({ kind, action }) => `${kind} ${action}`), ['prompt put', 'model gate_failed']);
    assert.deepEqual(rows(await place.audit(`&limit=2&before=${all[1].id}`)), ['load_failed weir 5 4 4', 'publish weir 4 2 4']);
    assert.deepEqual(await place.audit('&profile=other'), []);
    const ctl = (...args) => weir(['ctl', ...args, '--url', place.server.url, '--admin-key', place.server.adminKey]);
    const list = ctl('audit', '--limit', '2');
    assert.equal(list.status, 0, list.stderr);
    assert.match(list.stdout, /^ID +TIME +KIND .*REASON$/m);
    assert.match(list.stdout, /prompt +admin +put +default/);
    assert.match(list.stdout, /model +admin +gate_failed +tiny +3 +4 +4 +\S/);
    assert.equal(ctl('audit', NAME, '--kind', 'model', '--before', String(all[1].id)).stdout.trim().split('\n').length, 8);
    assert.match(ctl('models', 'audit').stdout, /anna +activate +tiny +1 +2 +1 /);
    assert.match(ctl('audit', '--kind', 'x').stderr, /"kind" is "prompt", "filters" or "model"/);
});

test('a version that failed is not tried again after a restart, until its files change', { skip }, async (t) => {
    const place = new Place(t, { 1: three[1] });
    await place.start();
    place.put('2', { file: modelPath(), manifest: NEVER });
    await waitForState(place.server, '2', 'failed');
    await waitFor(async () => (await place.audit())[0].action === 'gate_failed');
    await place.restart();
    assert.deepEqual(await listVersions(place.server), { 2: 'failed', 1: 'serving' });
    const { problem, gate } = await place.show('2');
    assert.match(problem, /golden prompts were answered otherwise/);
    assert.equal(gate.passed, false);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.doesNotMatch(place.server.stderr, /is being loaded|cannot serve/);

    await place.server.kill();
    place.put('2');
    await place.start();
    await waitForState(place.server, '2', 'serving');

    // Where it is all that is left it is tried.
    await place.server.kill();
    place.put('2', { file: modelPath(), manifest: NEVER });
    await place.start();
    assert.equal(await place.serving(), '1');
    await place.server.kill();
    place.remove('1');
    const none = weir(['serve', '--model', NAME, '--port', '0', '--admin-key', 'a', '--repo', place.repo, '--state', place.state]);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /golden prompts were answered otherwise/);
});

test('where what was chosen cannot serve the newest that can does, and the choice stays', { skip }, async (t) => {
    const place = new Place(t, three);
    await place.start();
    await place.activate('1');
    await place.activate('2');
    await place.server.kill();
    fs.renameSync(path.join(place.repo, NAME, '2'), path.join(place.folder, '2'));
    await place.start();
    assert.equal(await place.serving(), '3');
    assert.match(place.server.stderr, /tiny@2 was chosen.*cannot serve.*tiny@3/);
    await waitFor(async () => (await place.audit())[0].action === 'fallback');
    const [row] = await place.audit();
    assert.deepEqual([row.actor, row.subject, row.before, row.after], ['weir', '3', '2', '3']);
    assert.match(row.reason, /tiny@2/);

    await place.server.kill();
    fs.renameSync(path.join(place.folder, '2'), path.join(place.repo, NAME, '2'));
    await place.start();
    assert.equal(await place.serving(), '2');
    assert.equal((await place.post('rollback')).body.model.version, 'tiny@1');

    // Broken: the same.
    await place.activate('2');
    await place.server.kill();
    fs.truncateSync(path.join(place.repo, NAME, '2', 'model.gguf'), 4096);
    await place.start();
    assert.equal(await place.serving(), '3');
    assert.match(place.server.stderr, /tiny@2 was chosen.*cannot serve/);
});

test('other files under the name that was chosen are told', { skip }, async (t) => {
    const place = new Place(t, three);
    await place.start();
    await place.activate('2');
    await place.server.kill();
    place.put('2', { file: place.other() });
    await place.start();
    assert.equal(await place.serving(), '2');
    assert.match(place.server.stderr, /tiny@2 had the SHA-256 [0-9a-f]{12}.* when it was chosen, and has [0-9a-f]{12}/);
    await waitFor(async () => (await place.audit())[0].action === 'reload');
    await place.restart();
    assert.doesNotMatch(place.server.stderr, /had the SHA-256/);
});

test('shares of traffic and labels are in force again', { skip, timeout: 120_000 }, async (t) => {
    const place = new Place(t, three);
    const traffic = async () => {
        const { split, shadow, moved_labels: labels } = await (await place.server.admin('GET', '/admin/models')).json();
        return { split, shadow, labels };
    };
    const change = async (what, value) => {
        const { status, body } = await place.post(what, value, 'anna');
        assert.equal(status, 200, JSON.stringify(body));
    };
    await place.start();
    await place.activate('2');
    await change('split', { version: '1', percent: 25, by: 'conversation' });
    await change('labels', { label: 'good', version: '1' });
    await change('labels', { label: 'bad', version: '3' });
    await change('labels', { label: 'bad', version: null });
    await change('shadow', { version: '3', percent: 100 });
    const before = await traffic();
    assert.deepEqual(before, { split: { version: '1', percent: 25, by: 'conversation' }, shadow: { version: '3', percent: 100 }, labels: { good: '1' } });
    await place.restart();
    await waitFor(async () => (await traffic()).shadow !== null);
    assert.deepEqual(await traffic(), before);
    assert.deepEqual(await listVersions(place.server), { 3: 'shadow', 2: 'serving', 1: 'split' });
    assert.match((await whole(place.server, ask('Hello', { model: 'tiny@good' }))).madeBy.model, /^tiny@1;/);
    assert.deepEqual(rows(await place.audit()).slice(0, 5).reverse(), [
        'split anna 1 2 2 and 25% 1', 'label anna good  1', 'label anna bad  3', 'unlabel anna bad 3 ',
        'shadow anna 3 2 and 25% 1 2 and 25% 1, shadow 100% 3']);

    // What ends by itself is a row too, and does not come back.
    await place.activate('1');
    await waitFor(async () => (await place.audit())[0].action === 'split');
    const [end] = await place.audit();
    assert.deepEqual([end.actor, end.subject, end.after, end.reason], ['weir', '1', '1, shadow 100% 3', 'it serves now']);
    await place.server.kill();
    place.remove('3');
    await place.start();
    await waitFor(async () => (await place.audit())[0].action === 'shadow');
    assert.deepEqual(await traffic(), { split: null, shadow: null, labels: { good: '1' } });
    assert.match(place.server.stderr, /tiny@3: its shadow is not put back/);
    await place.restart();
    assert.deepEqual(await traffic(), { split: null, shadow: null, labels: { good: '1' } });
    assert.doesNotMatch(place.server.stderr, /is not put back/);
});

test('a shadow that ends because its version gets a share is in the audit, and does not come back', { skip }, async (t) => {
    const place = new Place(t, three, ['--publish', 'manual']);
    await place.start();
    assert.equal((await place.post('shadow', { version: '1', percent: 20 })).status, 200);
    assert.deepEqual((await place.post('split', { version: '1', percent: 10 })).body.shadow, null);
    assert.deepEqual(rows(await place.audit('&limit=2')), ['shadow weir 1 3 and 10% 1, shadow 20% 1 3 and 10% 1',
        'split admin 1 3, shadow 20% 1 3 and 10% 1, shadow 20% 1']);
    assert.equal((await place.post('split')).body.split, null);
    await place.restart();
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.deepEqual(await listVersions(place.server), { 3: 'serving', 2: 'available', 1: 'available' });
});

test('a canary goes on after a restart, and its end stays', { skip, timeout: 120_000 }, async (t) => {
    const place = new Place(t, three, ['--publish', 'manual', '--keep-generations', '0']);
    const canary = async () => (await place.server.admin('GET', `/admin/models/${NAME}/canary`)).json();
    await place.start();
    await place.activate('1');
    await place.post('split', { version: '2', percent: 20 }, 'anna');
    const plan = { version: '3', steps: [7, 50], min_answers: 40, max_answers: 80, margins: { answer_tokens: null } };
    const begun = await place.post('canary', plan, 'anna');
    assert.equal(begun.status, 200, JSON.stringify(begun.body));
    for (let i = 0; i < 2; i++) {
        await place.restart();
        await waitFor(async () => (await canary()).state === 'running');
        const { version, stable, percent, by, started_at: startedAt, plan: { margins, ...rest } } = await canary();
        assert.deepEqual([version, stable, percent, by, startedAt], ['3', '1', 7, 'anna', begun.body.started_at]);
        assert.deepEqual([margins, rest], [begun.body.plan.margins, (({ margins: _, ...others }) => others)(begun.body.plan)]);
        assert.deepEqual(await listVersions(place.server), { 3: 'canary', 2: 'available', 1: 'serving' });
    }
    assert.deepEqual(rows(await place.audit()).slice(0, 2),
        ['canary_begin anna 3 1 and 20% 2 1, canary 3', 'split anna 2 1 1 and 20% 2']);

    // One that has failed is not tried again.
    assert.equal((await place.post('canary', { action: 'rollback' }, 'berta')).body.state, 'rolled_back');
    await place.restart();
    assert.deepEqual(await listVersions(place.server), { 3: 'failed', 2: 'available', 1: 'serving' });
    assert.match((await place.show('3')).problem, /^canary: by hand \(berta\)$/);
    assert.equal(rows(await place.audit())[0], 'canary_rollback berta 3 1, canary 3 1');
    assert.equal((await place.audit())[0].reason, 'canary: by hand (berta)');

    // One that is promoted serves, and there is a way back.
    await place.post('canary', { version: '2' }, 'anna');
    assert.equal((await place.post('canary', { action: 'promote' }, 'anna')).body.state, 'promoted');
    await place.restart();
    assert.deepEqual(await listVersions(place.server), { 3: 'failed', 2: 'serving', 1: 'available' });
    assert.equal(rows(await place.audit())[0], 'canary_promote anna 2 1, canary 2 2');
    assert.equal((await place.post('rollback')).body.model.version, 'tiny@1');

    // Where its version is gone it ends.
    await place.post('canary', { version: '2' }, 'anna');
    await place.server.kill();
    place.remove('2');
    await place.start();
    await waitFor(async () => (await place.audit())[0].action === 'canary_end');
    assert.match(place.server.stderr, /tiny@2: its canary is not put back/);
    await place.restart();
    assert.doesNotMatch(place.server.stderr, /canary/);
});

test('models beside the default have a state of their own', { skip, timeout: 120_000 }, async (t) => {
    const place = new Place(t, three, ['--load-on-demand']);
    putVersion(place.repo, 'second', '1', { file: modelPath() });
    putVersion(place.repo, 'second', '2', { file: place.other() });
    await place.start();
    const second = async (what, value) => (await place.server.admin('POST', `/admin/models/second/${what}`, value)).status;
    assert.equal(await second('load', {}), 200);
    assert.equal(await second('activate', { version: '1' }), 200);
    assert.equal(await second('unload', {}), 200);
    await waitFor(async () => (await place.audit('&profile=second')).length === 4);
    assert.deepEqual(rows(await place.audit('&profile=second')).reverse(),
        ['publish admin 2  2', 'activate admin 1 2 1', 'unload admin 2 1 1', 'unload admin 1 1 1']);
    await place.restart();
    const answer = await whole(place.server, ask('Hello', { model: 'second' }));
    assert.match(answer.madeBy.model, /^second@1;/);
    await waitFor(async () => (await place.audit('&profile=second')).length === 5);
    assert.equal(rows(await place.audit('&profile=second'))[0], 'load weir 1 1 1');
});

// Holds the file until it is killed.
async function hold(t, file) {
    const code = `import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()`;
    const child = spawn('python3', ['-c', code, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return async () => {
        child.kill('SIGKILL');
        await new Promise((resolve) => child.once('close', resolve));
    };
}

const noPython = spawnSync('python3', ['-c', 'import sqlite3']).status !== 0 && 'python3 is not there';

test('a state file that is held refuses what admins decide, and nothing changes', { skip: skip || noPython, timeout: 120_000 }, async (t) => {
    const place = new Place(t, three);
    await place.start();
    await place.activate('2');
    const letGo = await hold(t, place.state);
    const refused = await place.post('activate', { version: '3' }); // that is kept
    assert.deepEqual([refused.status, refused.body.error.code, refused.body.error.type], [503, 'not_stored', 'server_error']);
    assert.match(refused.body.error.message, /nothing has changed: .*state\.db: another process has held the file/);
    assert.equal((await place.post('activate', { version: '1' })).status, 503); // that is not
    assert.equal((await place.post('rollback')).status, 503);
    assert.equal((await place.post('labels', { label: 'good', version: '1' })).status, 503);
    assert.equal((await place.post('split', { version: '3', percent: 10 })).status, 503);
    const { split, moved_labels: labels } = await (await place.server.admin('GET', '/admin/models')).json();
    assert.deepEqual([split, labels], [null, {}]);
    assert.equal(await place.serving(), '2');

    // What comes by itself serves, and is stored later; requests do not wait.
    place.put('4');
    await waitForState(place.server, '4', 'serving');
    const begin = Date.now();
    assert.equal(await place.serving(), '4');
    assert.ok(Date.now() - begin < 4000);
    assert.equal((await place.audit())[0].subject, '2');
    await letGo();
    await waitFor(async () => (await place.audit())[0].subject === '4');
    await waitFor(() => /what has changed cannot be stored[^]*changes are stored again/.test(place.server.stderr));
    assert.equal((await place.post('rollback')).body.model.version, 'tiny@2');
    assert.equal(rows(await place.audit())[0], 'rollback admin 2 4 2');
});

test('a state file that cannot be written is refused at the start', { skip: skip || (process.getuid() === 0 && 'root may write all') }, async (t) => {
    const place = new Place(t, { 1: three[1] });
    await place.start();
    await place.server.kill();
    fs.chmodSync(place.state, 0o400);
    const { status, stderr } = weir(['serve', '--model', NAME, '--port', '0', '--admin-key', 'a', '--repo', place.repo, '--state', place.state]);
    assert.equal(status, 1);
    assert.match(stderr, /state\.db: cannot be written/);
});

test('without --state all is forgotten, and the audit is there until then', { skip }, async (t) => {
    const place = new Place(t, three);
    const start = async () => {
        place.server = await startServer(t, { model: NAME, args: ['--repo', place.repo] });
    };
    await start();
    await place.activate('2', 'anna');
    assert.deepEqual(rows(await place.audit()), ['activate anna 2 3 2', 'publish weir 3  3']);
    await place.server.kill();
    await start();
    assert.equal(await place.serving(), '3');
});

test('a version is let go of after decisions about it that were stored at the same time', { skip }, async (t) => {
    const place = new Place(t, { 1: { file: modelPath() } }, ['--publish', 'manual', '--keep-generations', '0']);
    const server = await place.start();
    place.put('2');
    await waitForState(server, '2', 'available');
    assert.equal((await place.post('split', { version: '2', percent: 5 })).status, 200);
    const orders = [['split', 10], ['split', 20], ['shadow', 5], ['split', 30]];
    await Promise.all(orders.map(([what, percent]) => place.post(what, { version: '2', percent })));
    assert.equal((await place.post('split', {})).status, 200);
    await waitForState(server, '2', 'available');
});
