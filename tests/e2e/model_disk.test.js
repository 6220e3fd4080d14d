'use strict';
// What may happen to the files of model versions on disk: the version that serves serves on, and the reason why another
// one does not is told in its state and in the log.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole } = require('./lib/chat.js');
const { makeFolder } = require('./lib/files.js');
const { startRepo, putVersion, listVersions, waitFor, waitForState } = require('./lib/model_repo.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');
const { sleep } = require('./lib/wait.js');

const skip = missing();
const NAME = 'tiny';
const MANIFEST_MAX = 4 << 20;
const NOBODY = 65534;

const show = async (server, version) => (await server.admin('GET', `/admin/models/${NAME}/versions/${version}`)).json();
const pipe = (file) => execFileSync('mkfifo', [file]);

async function activate(server, version) {
    const response = await server.admin('POST', `/admin/models/${NAME}/activate`, { version });
    return { status: response.status, body: await response.json() };
}

// A server on version 1, and what it answers.
async function startServing(t, args) {
    const started = await startRepo(t, { 1: { file: modelPath() } }, args);
    const answer = await whole(started.server, ask('Tell me a story.'));
    return { ...started, folder: path.join(started.repo, NAME), answer };
}

async function assertServing({ server, answer }) {
    const now = await whole(server, ask('Tell me a story.'));
    assert.deepEqual([now.text, now.madeBy], [answer.text, answer.madeBy]);
}

// Makes the folder of a version appear when `fill` has filled it.
function putFolder(folder, version, fill) {
    const making = path.join(folder, `${version}.tmp`);
    fs.mkdirSync(making);
    fill((name) => path.join(making, name));
    fs.renameSync(making, path.join(folder, version));
}

const copyModel = (file) => fs.copyFileSync(modelPath(), file);
const manifest = (file, value) => fs.writeFileSync(file, JSON.stringify(value));

const ODD = {
    'a directory in place of the model': [(at) => fs.mkdirSync(at('model.gguf')), /not a regular file|no model file/],
    'a pipe in place of the model': [(at) => pipe(at('model.gguf')), /not a regular file|no model file/],
    'a pipe that model.json names': [(at) => {
        pipe(at('pipe'));
        manifest(at('model.json'), { file: 'pipe' });
    }, /not a regular file/],
    'a pipe for a template': [(at) => {
        copyModel(at('model.gguf'));
        pipe(at('pipe'));
        manifest(at('model.json'), { template: 'pipe' });
    }, /not a regular file/],
    'a pipe for a text of the gate': [(at) => {
        copyModel(at('model.gguf'));
        pipe(at('pipe'));
        manifest(at('model.json'), { gate: { loss: { file: 'pipe', max_increase: 0.1 } } });
    }, /not a regular file/],
    'a pipe for model.json': [(at) => {
        copyModel(at('model.gguf'));
        pipe(at('model.json'));
    }, /model\.json.*not a regular file/],
    'a folder of safetensors with a pipe': [(at) => {
        manifest(at('config.json'), { architectures: ['LlamaForCausalLM'] });
        pipe(at('tokenizer.json'));
    }, /not a regular file/],
    'a directory for model.json': [(at) => {
        copyModel(at('model.gguf'));
        fs.mkdirSync(at('model.json'));
    }, /model\.json.*not a regular file/],
    'a link to nothing for model.json': [(at) => {
        copyModel(at('model.gguf'));
        fs.symlinkSync('none.json', at('model.json'));
    }, /model\.json: cannot open/],
    'a link out of the repository': [(at) => fs.symlinkSync(modelPath(), at('model.gguf')), /a link leads out of the repository/],
    'a link up and out': [(at) => fs.symlinkSync('../../../other.gguf', at('model.gguf')), /a link leads out of the repository/],
    'a link out for model.json': [(at) => {
        copyModel(at('model.gguf'));
        fs.symlinkSync('/etc/hostname', at('model.json'));
    }, /a link leads out of the repository/],
    'a link to nothing': [(at) => fs.symlinkSync('none.gguf', at('model.gguf')), /no model file/],
    'a link to itself': [(at) => fs.symlinkSync('model.gguf', at('model.gguf')), /links|levels|leads/],
    'an empty file': [(at) => fs.writeFileSync(at('model.gguf'), ''), /GGUF|empty|bytes/],
    'nothing': [() => {}, /no model file/],
    'two models': [(at) => {
        copyModel(at('a.gguf'));
        copyModel(at('b.gguf'));
    }, /several \*\.gguf/],
    'model.json of more than 4 MiB': [(at) => {
        copyModel(at('model.gguf'));
        fs.writeFileSync(at('model.json'), `{${' '.repeat(MANIFEST_MAX)}}`);
    }, /larger than 4194304 bytes/],
    'model.json of 4 MiB of brackets': [(at) => {
        copyModel(at('model.gguf'));
        fs.writeFileSync(at('model.json'), '['.repeat(MANIFEST_MAX));
    }, /model\.json/],
    'model.json of 4 MiB of keys': [(at) => {
        copyModel(at('model.gguf'));
        fs.writeFileSync(at('model.json'), `{${Array.from({ length: 300_000 }, (_, i) => `"k${i}":0`).join(',')}}`);
    }, /model\.json/],
    'model.json with a NUL': [(at) => {
        copyModel(at('model.gguf'));
        fs.writeFileSync(at('model.json'), '{"note": "a\0b"}');
    }, /model\.json/],
};

test('what is no model is refused by name', { skip, timeout: 240_000 }, async (t) => {
    const serving = await startServing(t);
    let version = 1;
    for (const [what, [fill, reason]] of Object.entries(ODD)) {
        version++;
        putFolder(serving.folder, String(version), fill);
        await waitForState(serving.server, String(version), 'failed');
        assert.match((await show(serving.server, version)).problem, reason, what);
        assert.match(serving.server.stderr, reason, what);
        const refused = await activate(serving.server, String(version));
        assert.deepEqual([refused.status, refused.body.error.code], [422, 'load_failed'], what);
    }
    await assertServing(serving);
});

test('model.json may have 4 MiB', { skip }, async (t) => {
    const { server, folder } = await startServing(t);
    putFolder(folder, '2', (at) => {
        copyModel(at('model.gguf'));
        fs.writeFileSync(at('model.json'), `{"note": "long"${' '.repeat(MANIFEST_MAX - 16)}}`);
    });
    await waitForState(server, '2', 'serving');
    assert.equal((await show(server, '2')).note, 'long');
});

// Root may read every file, so a server of root's tests would be another user's.
function ordinaryUser() {
    return process.getuid() === 0 ? { uid: NOBODY } : {};
}

const canBeOrdinary = () => spawnSync(programPath(), ['--version'], ordinaryUser()).status === 0;

test('a file that may not be read is refused', { skip: skip || (!canBeOrdinary() && 'no other user may run the program') }, async (t) => {
    const root = makeFolder(t);
    fs.chmodSync(root, 0o755);
    putVersion(root, NAME, '1', { file: modelPath() });
    const server = await startServer(t, { model: NAME, args: ['--repo', root], ...ordinaryUser() });
    const serving = { server, answer: await whole(server, ask('Tell me a story.')) };
    const hidden = { 2: (at) => fs.chmodSync(at('model.gguf'), 0), 3: (at) => fs.chmodSync(at('.'), 0) };
    for (const [version, hide] of Object.entries(hidden)) {
        putFolder(path.join(root, NAME), version, (at) => {
            copyModel(at('model.gguf'));
            hide(at);
        });
        await waitForState(server, version, 'failed');
        assert.match((await show(server, version)).problem, /cannot open.*ermission/);
        await assertServing(serving);
    }
});

test('a file that grows is not taken before it stands still', { skip, timeout: 120_000 }, async (t) => {
    const serving = await startServing(t);
    const file = path.join(serving.folder, '2', 'model.gguf');
    putFolder(serving.folder, '2', (at) => copyModel(at('model.gguf')));
    for (let i = 0; i < 40; i++) {
        fs.appendFileSync(file, 'x'.repeat(1000));
        await sleep(50);
    }
    await assertServing(serving); // from 0 to 250 ms apart from each other two looks never saw the same
    await waitForState(serving.server, '2', 'serving');
    // While it is loaded: it is tried again when it stands still, and nobody sees the halves.
    for (let round = 0; round < 5; round++) {
        fs.appendFileSync(file, 'x');
        const loads = serving.server.stderr.split('tiny@2 is being loaded').length;
        await waitFor(() => serving.server.stderr.split('tiny@2 is being loaded').length > loads, 1);
        fs.appendFileSync(file, 'y');
        const size = fs.statSync(file).size;
        await waitFor(async () => (await show(serving.server, '2')).file_bytes === size);
        assert.equal((await show(serving.server, '2')).state, 'serving');
    }
    assert.equal((await whole(serving.server, ask('Tell me a story.'))).text, serving.answer.text);
});

test('a version that vanishes while it is loaded is not served', { skip, timeout: 240_000 }, async (t) => {
    const serving = await startServing(t);
    for (let i = 0; i < 12; i++) {
        const version = String(i + 2);
        putVersion(serving.repo, NAME, version, { file: modelPath() });
        await waitFor(() => serving.server.stderr.includes(`${NAME}@${version} is being loaded`), 1);
        await sleep((i % 4) * 15);
        const gone = path.join(serving.folder, `.gone-${version}`);
        fs.renameSync(path.join(serving.folder, version), gone);
        fs.rmSync(gone, { recursive: true });
        // It has served, if it was quick enough; or it is not known any more.
        await waitFor(async () => ['serving', undefined].includes((await listVersions(serving.server))[version]));
        const now = await whole(serving.server, ask('Tell me a story.'));
        assert.equal(now.text, serving.answer.text);
    }
});

for (const [how, leave, comeBack] of [
    ['is moved away and back', (repo) => fs.renameSync(repo, `${repo}-away`), (repo) => fs.renameSync(`${repo}-away`, repo)],
    ['is removed and made anew', (repo) => fs.rmSync(repo, { recursive: true }), () => {}],
    ['is empty for a while', (repo) => {
        fs.renameSync(repo, `${repo}-away`);
        fs.mkdirSync(repo);
    }, () => {}],
]) {
    test(`a repository that ${how}`, { skip, timeout: 120_000 }, async (t) => {
        const serving = await startServing(t);
        leave(serving.repo);
        await waitFor(() => /--repo: .*(cannot open|No such file)/.test(serving.server.stderr));
        assert.deepEqual(await listVersions(serving.server), { 1: 'serving' }, 'nothing counts as gone');
        await assertServing(serving);
        const refused = await activate(serving.server, '1');
        assert.equal(refused.body.status, 'unchanged');
        const reload = await serving.server.admin('POST', '/admin/models/reload');
        assert.ok([200, 422].includes(reload.status), 'what is held open may still be read');

        comeBack(serving.repo);
        putVersion(serving.repo, NAME, '2', { file: modelPath() });
        await waitForState(serving.server, '2', 'serving');
    });
}

test('another repository in the place of the first is served', { skip, timeout: 120_000 }, async (t) => {
    const serving = await startServing(t);
    const next = `${serving.repo}-next`;
    putVersion(next, NAME, '3', { file: modelPath() });
    fs.renameSync(serving.repo, `${serving.repo}-old`);
    fs.renameSync(next, serving.repo);
    await waitForState(serving.server, '3', 'serving');
});

test('a thousand versions are listed, and one more is a problem that is told', { skip, timeout: 240_000 }, async (t) => {
    const { server, folder, answer } = await startServing(t);
    const first = path.join(folder, '1', 'model.gguf');
    const put = (version) => putFolder(folder, `0.${version}`, (at) => fs.linkSync(first, at('model.gguf')));
    for (let i = 0; i < 999; i++) {
        put(i);
    }
    await waitFor(async () => Object.keys(await listVersions(server)).length === 1000);
    await assertServing({ server, answer });
    assert.equal((await activate(server, '0.500')).body.status, 'published');
    assert.equal((await activate(server, '1')).body.status, 'published');
    const { error } = (await activate(server, 'none')).body;
    assert.match(error.message, /there are: 1, 0\.998, /);

    put('one-more');
    await waitFor(() => /more than 1000 versions/.test(server.stderr));
    await assertServing({ server, answer: await whole(server, ask('Tell me a story.')) });
    fs.rmSync(path.join(folder, '0.one-more'), { recursive: true });
    putVersion(path.dirname(folder), NAME, '1', { file: modelPath() });
    await waitFor(async () => (await show(server, '1')).generation === 3);
});
