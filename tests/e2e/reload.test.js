'use strict';
// A model file that changes while the server serves: nobody notices but by the answers.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { makeFolder, writeOtherVersion, writeOverflowing } = require('./lib/files.js');
const { startServer, missing, modelPath } = require('./lib/server.js');

const skip = missing();
const RELOAD = '/admin/models/reload';
const QUESTIONS = ['Hello', 'Tell me a story.', 'What is 2 plus 3?', 'Who are you?', 'Count to ten.'];

// Puts a file in the served one's place, as a publisher does: whole, by a rename.
function putInPlace(source, served) {
    fs.copyFileSync(source, `${served}.new`);
    fs.renameSync(`${served}.new`, served);
}

async function startOnCopy(t) {
    const folder = makeFolder(t);
    const served = path.join(folder, 'served.gguf');
    putInPlace(modelPath(), served);
    return { server: await startServer(t, { model: served }), served, folder };
}

async function reload(server, value) {
    const answer = await server.admin('POST', RELOAD, value);
    return { status: answer.status, body: await answer.json() };
}

async function answersByQuestion(server) {
    const answers = {};
    for (const question of QUESTIONS) {
        const { text, madeBy } = await whole(server, ask(question));
        answers.model = madeBy.model;
        answers[question] = text;
    }
    return answers;
}

test('no stream is dropped or mixed while versions change', { skip, timeout: 240_000 }, async (t) => {
    const { server, served, folder } = await startOnCopy(t);
    const versions = [modelPath(), path.join(folder, 'other.gguf')];
    writeOtherVersion(versions[0], versions[1]);

    // What each version answers when nothing else happens, by its name in the weir-model header.
    const wanted = {};
    for (const file of [versions[1], versions[0]]) {
        putInPlace(file, served);
        assert.equal((await reload(server)).body.status, 'published');
        const answers = await answersByQuestion(server);
        wanted[answers.model] = answers;
    }
    const names = Object.keys(wanted);
    assert.equal(names.length, 2);
    assert.notDeepEqual(QUESTIONS.map((q) => wanted[names[0]][q]), QUESTIONS.map((q) => wanted[names[1]][q]));

    // 50 clients ask again and again until several versions have come and gone, and each was met.
    const seen = new Set();
    let published = 0;
    const changing = () => published < 4 || seen.size < 2;
    const clients = Array.from({ length: 50 }, async (_, i) => {
        for (let round = 0; round === 0 || changing(); round++) {
            const question = QUESTIONS[(i + round) % QUESTIONS.length];
            const { text, madeBy, finish } = await readStream(await beginStream(server, ask(question)));
            assert.match(finish, /^(stop|length)$/);
            assert.equal(text, wanted[madeBy.model][question]);
            seen.add(madeBy.model);
        }
    });
    const publisher = (async () => {
        for (let i = 0; changing(); i++) {
            putInPlace(versions[(i + 1) % 2], served);
            if (i % 3 === 2) {
                server.child.kill('SIGHUP');
            }
            const { status, body } = await reload(server);
            assert.ok(status === 200 || status === 409, JSON.stringify(body));
            published += body.status === 'published';
        }
    })();
    await Promise.all([...clients, publisher]);

    // Generations that nobody holds are gone.
    const gone = () => (server.stderr.match(/generation \d+ is gone/g) ?? []).length;
    const begun = () => (server.stderr.match(/model .* is published/g) ?? []).length;
    for (let i = 0; i < 100 && gone() < begun() - 1; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(gone(), begun() - 1);
});

test('a file that cannot serve leaves the old one serving', { skip, timeout: 240_000 }, async (t) => {
    const { server, served, folder } = await startOnCopy(t);
    const before = await whole(server, ask('Hello'));
    const model = fs.readFileSync(modelPath());
    const overflowing = path.join(folder, 'overflowing.gguf');
    writeOverflowing(modelPath(), overflowing);
    const broken = {
        'not a GGUF': Buffer.from('this is text, not a model\n'.repeat(100)),
        empty: Buffer.alloc(0),
        'without its end': model.subarray(0, model.length - 5000),
        'cut in the header': model.subarray(0, 3000),
        'of an unknown version': Buffer.concat([model.subarray(0, 4), Buffer.from([99]), model.subarray(5)]),
        'with NaN in its last weights': Buffer.concat([model.subarray(0, -4096), Buffer.alloc(4096, 0xff)]),
        'of finite weights that overflow': fs.readFileSync(overflowing),
    };
    for (const [what, bytes] of Object.entries(broken)) {
        const file = path.join(folder, 'broken.gguf');
        fs.writeFileSync(file, bytes);
        putInPlace(file, served);
        const { status, body } = await reload(server);
        assert.equal(status, 422, `${what}: ${JSON.stringify(body)}`);
        assert.deepEqual(Object.keys(body.error).sort(), ['code', 'message', 'param', 'type']);
        const after = await whole(server, ask('Hello'));
        assert.deepEqual([after.text, after.madeBy], [before.text, before.madeBy], what);
    }
    fs.unlinkSync(served);
    assert.equal((await reload(server)).status, 422);
    assert.equal((await whole(server, ask('Hello'))).text, before.text);

    // The right file again: the server has not lost its way.
    putInPlace(modelPath(), served);
    assert.equal((await reload(server)).body.status, 'unchanged');
    assert.equal((await reload(server, { force: true })).body.status, 'published');
    assert.equal((await whole(server, ask('Hello'))).text, before.text);
});

test('a served file that is truncated in place does not end the server', { skip }, async (t) => {
    const { server, served } = await startOnCopy(t);
    const before = await whole(server, ask('Tell me a story.'));
    fs.truncateSync(served, 4096);
    assert.equal((await whole(server, ask('Tell me a story.'))).text, before.text);
    assert.equal((await reload(server)).status, 422);
});

test('a reload needs the admin key and a right body', { skip }, async (t) => {
    const { server } = await startOnCopy(t);
    assert.equal((await server.post(RELOAD, {})).status, 401);
    assert.equal((await reload(server, { force: 'yes' })).body.error.param, 'force');
    assert.equal((await reload(server, [])).status, 400);
});
