'use strict';
// Versions of a model from a repository: they come, are tried, serve, and go, while answers are being written.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { makeFolder, writeOtherVersion } = require('./lib/files.js');
const { startRepo, putVersion, listVersions, waitFor, waitForState } = require('./lib/model_repo.js');
const { missing, modelPath, programPath } = require('./lib/server.js');
const { weir } = require('./lib/command.js');

const skip = missing();
const NAME = 'tiny';

function other(folder) {
    const file = path.join(folder, 'other.gguf');
    if (!fs.existsSync(file)) {
        writeOtherVersion(modelPath(), file);
    }
    return file;
}

function modelPromptFile(t) {
    const file = path.join(makeFolder(t), 'prompt.txt');
    fs.writeFileSync(file, 'You are a helpful assistant. '.repeat(12));
    return file;
}

async function post(server, what, value) {
    const answer = await server.admin('POST', `/admin/models/${NAME}/${what}`, value);
    return { status: answer.status, body: await answer.json() };
}

const show = async (server, version) => (await server.admin('GET', `/admin/models/${NAME}/versions/${version}`)).json();

test('a new version is served once it is there, and an old one on demand', { skip }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() } });
    assert.deepEqual(await listVersions(server), { 2: 'serving', 1: 'available' });
    const first = await whole(server, ask('Tell me a story.'));
    assert.match(first.madeBy.model, /^tiny@2; sha256=/);

    putVersion(repo, NAME, '10', { file: other(folder), manifest: { labels: ['stable'], note: 'ten' } });
    await waitForState(server, '10', 'serving');
    const second = await whole(server, ask('Tell me a story.'));
    assert.match(second.madeBy.model, /^tiny@10; /);
    assert.notEqual(second.text, first.text);
    assert.deepEqual(await listVersions(server), { 10: 'serving', 2: 'kept', 1: 'available' });

    // An older one that appears is there, and no more.
    putVersion(repo, NAME, '3', { file: modelPath() });
    await waitForState(server, '3', 'available');

    // Back, at once; and one that is not loaded.
    assert.deepEqual(await post(server, 'rollback').then(({ status, body }) => [status, body.status, body.model.version]),
        [200, 'published', 'tiny@2']);
    assert.deepEqual(await listVersions(server), { 10: 'kept', 3: 'available', 2: 'serving', 1: 'available' });
    assert.equal((await whole(server, ask('Tell me a story.'))).text, first.text);
    assert.equal((await post(server, 'rollback')).status, 409);
    assert.equal((await post(server, 'activate', { version: 'stable' })).body.model.version, 'tiny@10');
    assert.equal((await post(server, 'activate', { version: '10' })).body.status, 'unchanged');
    assert.equal((await post(server, 'activate', { version: '1' })).body.model.version, 'tiny@1');
    assert.deepEqual(await listVersions(server), { 10: 'kept', 3: 'available', 2: 'available', 1: 'serving' });
    assert.equal((await post(server, 'rollback')).body.model.version, 'tiny@10');
    // What was rolled back to was loaded before 2 was forgotten: it is loaded anew.
    assert.equal((await post(server, 'rollback')).body.model.version, 'tiny@2');

    const missingVersion = await post(server, 'activate', { version: '4' });
    assert.equal(missingVersion.status, 404);
    assert.match(missingVersion.body.error.message, /there are: 10, 3, 2, 1/);
    assert.equal((await post(server, 'activate', {})).body.error.param, 'version');

    // A version whose folder goes is forgotten, unless it is loaded.
    fs.rmSync(path.join(repo, NAME, '1'), { recursive: true });
    fs.rmSync(path.join(repo, NAME, '10'), { recursive: true });
    await waitFor(async () => !('1' in (await listVersions(server))));
    assert.deepEqual(await listVersions(server), { 10: 'kept', 3: 'available', 2: 'serving' });
});

test('requests may name what serves and what is kept', { skip }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath(), manifest: { deprecated: '2027-01-31' } } });
    const one = await whole(server, ask('Hello'));
    putVersion(repo, NAME, '2', { file: other(folder) });
    await waitForState(server, '2', 'serving');
    const two = await whole(server, ask('Hello'));
    const { data } = await (await server.fetch('/v1/models')).json();
    assert.deepEqual(data.map(({ id, version, state, deprecated }) => [id, version, state, deprecated]),
        [['tiny', 'tiny@2', 'serving', null], ['tiny@1', 'tiny@1', 'kept', '2027-01-31']]);

    const hash = data[1].sha256;
    for (const [model, wanted] of [['tiny', two], ['tiny@2', two], ['tiny@1', one], [`tiny@sha256:${hash.slice(0, 12)}`, one]]) {
        const answer = await whole(server, ask('Hello', { model }));
        assert.deepEqual([answer.text, answer.madeBy, answer.body.model], [wanted.text, wanted.madeBy, wanted.body.model], model);
    }
    const embed = async (model) => (await (await server.post('/v1/embeddings', { model, input: 'Hello' })).json());
    assert.deepEqual((await embed('tiny@1')).model, 'tiny@1');
    assert.notDeepEqual((await embed('tiny@1')).data, (await embed('tiny')).data);
    assert.equal((await (await server.post('/tokenize', { model: 'tiny@1', content: 'Hello' })).json()).error, undefined);
    assert.equal((await (await server.fetch('/v1/models/tiny@1')).json()).state, 'kept');

    for (const model of ['tiny@3', 'tiny@sha256:00000000', 'other']) {
        const refused = await server.post('/v1/chat/completions', ask('Hello', { model }));
        const { error } = await refused.json();
        assert.deepEqual([refused.status, error.code, error.param], [404, 'model_not_found', 'model']);
        assert.match(error.message, /"tiny" \("tiny@2"\), "tiny@1" may be asked for/);
    }
});

test('what cannot serve is refused by name, and is not tried again until its files change', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath() } });
    const before = await whole(server, ask('Hello'));
    const model = fs.readFileSync(modelPath());
    const file = (bytes) => {
        const name = path.join(folder, 'broken.gguf');
        fs.writeFileSync(name, bytes);
        return name;
    };
    const bad = Buffer.from(model);
    const architecture = bad.indexOf('general.architecture') + 'general.architecture'.length + 4 + 8;
    bad.write('wonder'.slice(0, 5), architecture);
    const cases = [
        [{ file: file(model.subarray(0, model.length - 5000)) }, /outside|end|bytes/],
        [{ file: modelPath(), manifest: { sha256: '0'.repeat(64) } }, /its SHA-256 is [0-9a-f]{64}/],
        [{ file: modelPath(), manifest: { gate: { golden: [{ prompt: 'a', text: 'b' }] } } }, /golden prompts were answered otherwise/],
        [{ file: modelPath(), manifest: { gate: { goldn: [] } } }, /"gate\.goldn" is not known/],
        [{ file: modelPath(), manifest: { template: 'none.jinja' } }, /none\.jinja: cannot open/],
    ];
    let version = 1;
    for (const [what, reason] of cases) {
        version++;
        if (version === 2) what.file = file(model.subarray(0, model.length - 5000));
        putVersion(repo, NAME, String(version), what);
        await waitForState(server, String(version), 'failed');
        assert.match((await show(server, version)).problem, reason);
        assert.match(server.stderr, reason);
    }
    for (const [bytes, reason] of [[bad, /wonde/], [Buffer.from('no model\n'.repeat(500)), /GGUF/],
        [Buffer.concat([model.subarray(0, -4096), Buffer.alloc(4096, 0xff)]), /finite/]]) {
        version++;
        putVersion(repo, NAME, String(version), { file: file(bytes) });
        await waitForState(server, String(version), 'failed');
        assert.match((await show(server, version)).problem, reason);
    }
    version++;
    // More than any machine has, and nothing on the disk.
    putVersion(repo, NAME, String(version), { file: modelPath(), grow: 4e12 });
    await waitForState(server, String(version), 'failed');
    assert.match((await show(server, version)).problem, /the model has 38\d+ MiB, and \d+ MiB of memory are left/);
    const after = await whole(server, ask('Hello'));
    assert.deepEqual([after.text, after.madeBy], [before.text, before.madeBy]);
    const attempts = () => server.stderr.match(/is being loaded/g).length;
    const had = attempts();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(attempts(), had);

    // An admin is told, and a version that is mended serves.
    const refused = await post(server, 'activate', { version: '4' });
    assert.deepEqual([refused.status, refused.body.error.code], [422, 'load_failed']);
    putVersion(repo, NAME, String(version), { file: modelPath() });
    await waitForState(server, String(version), 'serving');
});

test('no first answer is slow: prompts are read ahead on all versions that are loaded', { skip }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath() } }, ['--keep-generations', '2']);
    const putPrompt = async (word) => {
        const answer = await server.admin('PUT', '/admin/prompts/default', { text: `${word} `.repeat(100) });
        assert.equal(answer.status, 200, await answer.text());
    };
    // What the first answer of a version found, which nobody has asked since the prompt has changed.
    const assertReady = async (...versions) => {
        for (const version of versions) {
            const { usage, madeBy } = await whole(server, ask('Who are you?', { model: `${NAME}@${version}`, max_tokens: 1 }));
            assert.match(madeBy.model, new RegExp(`^${NAME}@${version};`));
            const found = usage.prompt_tokens_details.cached_tokens;
            assert.ok(found >= 96 && usage.prompt_tokens - found < 40, `version ${version}: ${JSON.stringify(usage)}`);
        }
    };
    const prefix = async () => (await (await server.admin('GET', '/admin/prompts')).json()).prefix;
    await putPrompt('one');
    await assertReady('1');
    putVersion(repo, NAME, '2', { file: other(folder) });
    await waitForState(server, '2', 'serving');
    await assertReady('2', '1');
    await putPrompt('two');
    await assertReady('1', '2');
    putVersion(repo, NAME, '3', { file: modelPath() });
    await waitForState(server, '3', 'serving');
    await putPrompt('three');
    await assertReady('1', '2', '3');
    await putPrompt('four');
    // One that was kept has read it already, and none is read again for being what serves.
    assert.equal((await post(server, 'activate', { version: '1' })).status, 200);
    await assertReady('1', '2', '3');
    // Beyond what is kept one is gone, and nothing waits for it.
    putVersion(repo, NAME, '4', { file: modelPath() });
    await waitForState(server, '4', 'serving');
    await putPrompt('five');
    await assertReady('4', '1', '3');
    await waitFor(() => /generation 2 is gone/.test(server.stderr));
    const { hits, misses } = await prefix();
    assert.deepEqual([hits, misses], [14, { variables: 0, not_served: 0, not_read: 0, evicted: 0 }]);
});

test('half-written folders are not looked at', { skip }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } });
    const model = fs.readFileSync(modelPath());
    const slow = path.join(repo, NAME, '2');
    for (const name of ['.3', '3.tmp', '3.part', '3~']) {
        fs.mkdirSync(path.join(repo, NAME, name));
        fs.writeFileSync(path.join(repo, NAME, name, 'a.gguf'), model.subarray(0, 1000));
    }
    // Piece by piece, in place, with another name while it is not whole.
    fs.mkdirSync(slow);
    for (let i = 0; i < 8; i++) {
        fs.appendFileSync(path.join(slow, 'a.gguf.part'), model.subarray((i * model.length) / 8, ((i + 1) * model.length) / 8));
        await new Promise((resolve) => setTimeout(resolve, 150));
    }
    assert.ok(!(await listVersions(server))[3]);
    fs.renameSync(path.join(slow, 'a.gguf.part'), path.join(slow, 'a.gguf'));
    await waitForState(server, '2', 'serving');
    assert.deepEqual(await listVersions(server), { 2: 'serving', 1: 'kept' });
});

test('the gate lets the right version through, and keeps what it found', { skip }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath() } });
    const { body } = await whole(server, ask('Hello', { max_tokens: 8, ignore_eos: false }));
    const completion = await (await server.post('/v1/completions', { prompt: 'Once upon a time', temperature: 0, max_tokens: 12 })).json();
    const ids = await (await server.post('/tokenize', { content: body.choices[0].message.content, add_special: false })).json();
    const golden = [
        { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 8, text: body.choices[0].message.content },
        { prompt: 'Once upon a time', max_tokens: 12, text: completion.choices[0].text },
    ];
    assert.ok(ids.tokens.length > 0);
    const loss = { file: 'loss.txt', max_increase: 0.02 };
    const files = { 'loss.txt': 'The sun is warm. Children play in the garden, and the dog sleeps. '.repeat(8) };
    putVersion(repo, NAME, '2', { file: modelPath(), files, manifest: { gate: { golden, loss, speed: { min_ratio: 0.2 } } } });
    await waitForState(server, '2', 'serving');
    const { gate } = await show(server, '2');
    assert.equal(gate.passed, true);
    assert.deepEqual([gate.golden.passed, gate.golden.prompts, gate.golden.wrong], [true, 2, 0]);
    assert.ok(gate.loss.nats_per_byte > 0 && gate.loss.increase === 0, JSON.stringify(gate.loss));
    assert.ok(gate.speed.ratio > 0.2);

    // Golden tokens, exactly; and one that is worse.
    putVersion(repo, NAME, '3', { file: modelPath(), manifest: { gate: { golden: [{ ...golden[1], tokens: [1] }] } } });
    await waitForState(server, '3', 'failed');
    const { answers } = (await show(server, '3')).gate.golden;
    assert.equal(answers[0].text, golden[1].text);
    putVersion(repo, NAME, '4', { file: modelPath(), manifest: { gate: { golden: [{ ...golden[1], tokens: answers[0].tokens }] } } });
    await waitForState(server, '4', 'serving');
    putVersion(repo, NAME, '5', { file: other(folder), files, manifest: { gate: { loss } } });
    await waitForState(server, '5', 'failed');
    assert.match((await show(server, '5')).problem, /the loss on the text is .* more than/);
    putVersion(repo, NAME, '6', { file: modelPath(), manifest: { gate: { speed: { min_ratio: 10 } } } });
    await waitForState(server, '6', 'failed');
    assert.match((await show(server, '6')).problem, /gate\.speed wants 10/);
});

// The server's other work, and other programs, take processor time from the gate, which steps back behind them.
test('a busy machine makes no version look slow', { skip }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } });
    for (let i = 0; i < 2 * os.cpus().length; i++) {
        const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
        t.after(() => busy.kill('SIGKILL'));
        os.setPriority(busy.pid, 12); // before the gate, and behind the server
    }
    for (const version of ['2', '3', '4']) {
        putVersion(repo, NAME, version, { file: modelPath(), manifest: { gate: { speed: { min_ratio: 0.7 } } } });
        await waitForState(server, version, 'serving');
    }
});

test('what model.json sets counts for requests that say nothing', { skip }, async (t) => {
    const manifest = { defaults: { temperature: 0, max_tokens: 5 }, limits: { context: 128, max_tokens: 9 }, template: 'chat.jinja' };
    const files = { 'chat.jinja': "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n" };
    const { server } = await startRepo(t, { 1: { file: modelPath(), manifest, files } });
    const say = async (more) => (await (await server.post('/v1/chat/completions',
        { messages: [{ role: 'user', content: 'Tell me a story.' }], ignore_eos: true, ...more })).json());
    const one = await say({});
    assert.equal(one.usage.completion_tokens, 5);
    assert.equal((await say({})).choices[0].message.content, one.choices[0].message.content);
    assert.equal((await say({ max_tokens: 3 })).usage.completion_tokens, 3);
    assert.equal((await say({ max_tokens: 50 })).usage.completion_tokens, 9);
    assert.equal((await (await server.fetch('/v1/models/tiny')).json()).context_length, 128);
    const { tokens } = await (await server.post('/tokenize', { messages: [{ role: 'user', content: 'Hi' }] })).json();
    const { content } = await (await server.post('/detokenize', { tokens })).json();
    assert.ok(!content.includes('system'), content);
});

for (const type of ['q8_0', 'packed']) {
    test(`a ${type} file that is cut short while it serves changes no answer`, { skip }, async (t) => {
        const folder = makeFolder(t);
        const file = path.join(folder, 'model.gguf');
        assert.equal(weir(['quantize', modelPath(), file, '--type', type]).status, 0);
        const { server, repo } = await startRepo(t, { 1: { file } });
        const served = path.join(repo, NAME, '1', 'model.gguf');
        const before = await whole(server, ask('Tell me a story.'));
        fs.truncateSync(served, 4096);
        assert.equal((await whole(server, ask('Tell me a story.'))).text, before.text);
        await waitFor(async () => (await show(server, '1')).problem);
        assert.equal((await show(server, '1')).state, 'serving');
        fs.writeFileSync(served, 'x'.repeat(100));
        assert.equal((await whole(server, ask('What is 2 plus 3?'))).finish, 'stop');
    });
}

test('a file that is cut short while it is loaded is refused, and the server lives', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: { file: modelPath() } });
    const size = fs.statSync(modelPath()).size;
    const before = await whole(server, ask('Tell me a story.'));
    for (let i = 2; i < 14; i++) {
        putVersion(repo, NAME, String(i), { file: modelPath() });
        await waitFor(() => server.stderr.includes(`${NAME}@${i} is being loaded`), 1);
        await new Promise((resolve) => setTimeout(resolve, (i % 4) * 4));
        fs.truncateSync(path.join(repo, NAME, String(i), 'model.gguf'), Math.floor((size * (i % 3)) / 3));
        // Refused, or loaded in time: then its files are refused now.
        await waitFor(async () => (await show(server, String(i))).problem);
        assert.equal((await whole(server, ask('Tell me a story.'))).text, before.text);
    }
});

test('answers are wholly of the version that they name while versions come and go', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo, folder } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath() } }, ['--keep-generations', '2']);
    putVersion(repo, NAME, '3', { file: other(folder) });
    await waitForState(server, '3', 'serving');
    const questions = ['Hello', 'Tell me a story.', 'Who are you?'];
    const wanted = {};
    for (const version of ['1', '2', '3']) {
        await post(server, 'activate', { version });
        for (const question of questions) {
            const { text, madeBy } = await whole(server, ask(question));
            wanted[madeBy.model] = { ...wanted[madeBy.model], [question]: text };
        }
    }
    assert.equal(Object.keys(wanted).length, 3);
    const running = { now: true, answers: 0, seen: new Set() };
    const clients = Array.from({ length: 32 }, async (_, i) => {
        for (let round = 0; running.now; round++) {
            const question = questions[(i + round) % questions.length];
            const { text, madeBy } = await readStream(await beginStream(server, ask(question)));
            assert.equal(text, wanted[madeBy.model][question]);
            running.seen.add(madeBy.model);
            running.answers++;
        }
    });
    const begunAtTheSwap = async (ms) => {
        await new Promise((resolve) => setTimeout(resolve, ms));
        const { text, madeBy } = await readStream(await beginStream(server, ask(questions[0])));
        assert.equal(text, wanted[madeBy.model][questions[0]]);
    };
    for (let i = 0; i < 24; i++) {
        const begun = [0, 0, 1, 2, 4].map(begunAtTheSwap);
        const { status, body } = i % 4 === 3 ? await post(server, 'rollback')
            : await post(server, 'activate', { version: String(1 + (i % 3)) });
        assert.equal(status, 200, JSON.stringify(body));
        await Promise.all(begun);
        await waitFor(() => running.answers > 8 * i);
    }
    running.now = false;
    await Promise.all(clients);
    assert.equal(running.seen.size, 3);
    assert.ok(running.answers >= 32);
});

test('every route holds while versions are swapped as fast as they can be', { skip, timeout: 240_000 }, async (t) => {
    const { server, folder, repo } = await startRepo(t, { 1: { file: modelPath() } }, ['--system-prompt', modelPromptFile(t)]);
    putVersion(repo, NAME, '2', { file: other(folder) });
    putVersion(repo, NAME, '3', { file: modelPath() });
    await waitForState(server, '3', 'serving');
    const running = { now: true, done: 0 };
    const keep = async (work) => {
        while (running.now) {
            const response = await work();
            const body = await response.text();
            // A version that was named may have gone meanwhile.
            assert.ok([200, 404].includes(response.status), `${response.url}: ${response.status} ${body}`);
            running.done++;
        }
    };
    const input = 'The quick brown fox';
    const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
    const works = [
        () => server.post('/v1/chat/completions', ask('Hello', { stream: true })),
        () => server.post('/v1/chat/completions', ask('Hello', { model: 'tiny@2', max_tokens: 8 })),
        () => server.post('/v1/chat/completions', ask('Hi', { n: 3, max_tokens: 4, response_format: { type: 'json_schema', json_schema: { name: 's', schema } } })),
        () => server.post('/v1/completions', { prompt: ['Once', 'There'], max_tokens: 6 }),
        () => server.post('/v1/responses', { input, max_output_tokens: 16 }),
        () => server.post('/v1/messages', { messages: [{ role: 'user', content: input }], max_tokens: 8 }),
        () => server.post('/v1/messages/count_tokens', { messages: [{ role: 'user', content: input }] }),
        () => server.post('/v1/embeddings', { input: [input, 'b'] }),
        () => server.post('/v1/embeddings', { input, model: 'tiny@1' }),
        () => server.post('/tokenize', { content: input, model: 'tiny@3' }),
        () => server.post('/detokenize', { tokens: [1, 2, 3] }),
        () => server.fetch('/v1/models'),
        () => server.fetch('/v1/models/tiny@2'),
        () => server.admin('GET', '/admin/models'),
        () => server.admin('GET', '/admin/models/tiny/versions/2'),
        () => server.admin('PUT', '/admin/prompts/default', { text: `Be brief. ${Math.random()}` }),
        () => server.admin('POST', '/admin/prompts/default/dry-run', { text: 'Be brief.' }),
    ];
    const clients = works.map(keep);
    for (let i = 0; i < 30; i++) {
        const { status, body } = i % 5 === 4 ? await post(server, 'rollback') : await post(server, 'activate', { version: String(1 + (i % 3)) });
        assert.ok([200, 409].includes(status), JSON.stringify(body));
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    running.now = false;
    await Promise.all(clients);
    assert.ok(running.done >= works.length);
});

test('a repository is refused by name where it cannot serve', { skip }, (t) => {
    const folder = makeFolder(t);
    const start = (...args) => weir(['serve', '--port', '0', '--admin-key', 'a', ...args]);
    const refused = (pattern, ...args) => {
        const { status, stderr } = start(...args);
        assert.equal(status, 1, stderr);
        assert.match(stderr, pattern);
    };
    refused(/cannot open the repository/, '--repo', path.join(folder, 'none'));
    refused(/no model is in it/, '--repo', folder);
    putVersion(folder, 'a', '1', { file: modelPath(), manifest: { labels: 1 } });
    refused(/a@1: .*"labels" must be an array/, '--repo', folder);
    fs.mkdirSync(path.join(folder, 'b'));
    refused(/several models \((a, b|b, a)\)/, '--repo', folder);
    refused(/b: no version is in it/, '--repo', folder, '--model', 'b');
    refused(/no name of a model/, '--repo', folder, '--model', '../b');
    const { status, stderr } = weir(['serve']);
    assert.equal(status, 2);
    assert.match(stderr, /--model FILE or --repo DIR/);
});

test('weir ctl models lists, shows, activates and rolls back', { skip }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath() }, 2: { file: modelPath(), manifest: { labels: ['new'] } } });
    const ctl = (...args) => weir(['ctl', 'models', ...args, '--url', server.url, '--admin-key', server.adminKey]);
    const list = ctl('list');
    assert.equal(list.status, 0, list.stderr);
    assert.match(list.stdout, /^2 +serving +[0-9a-f]{12} +1 +new/m);
    assert.match(list.stdout, /^1 +available/m);
    assert.match(ctl('activate', '1').stdout, /^published: tiny@1, sha256 [0-9a-f]{12}$/m);
    assert.match(ctl('rollback').stdout, /^published: tiny@2/m);
    assert.match(ctl('reload').stdout, /^unchanged: tiny@2/m);
    assert.equal(JSON.parse(ctl('show', '2').stdout).state, 'serving');
    const none = ctl('activate', '7');
    assert.equal(none.status, 1);
    assert.match(none.stderr, /no version "7"; there are: 2, 1/);
});

const SLOW = { gate: { golden: Array.from({ length: 256 }, (_, i) => ({ prompt: `Number ${i}`, text: 'What it never says.', max_tokens: 64 })) } };

test('a server that stops says so to who waits for a version', { skip }, async (t) => {
    const { server } = await startRepo(t, { 1: { file: modelPath(), manifest: SLOW }, 2: { file: modelPath() } });
    const waits = post(server, 'activate', { version: '1' });
    await waitForState(server, '1', 'loading');
    server.child.kill('SIGTERM');
    const { status, body: { error } } = await waits;
    assert.deepEqual([status, error.type, error.code], [503, 'server_error', 'stopping'], JSON.stringify(error));
});

test('a server that stops gives a load up, and does not wait for its gate', { skip }, async (t) => {
    const long = { gate: { golden: [{ prompt: 'Once', text: 'What it never says.', max_tokens: 400 }] } };
    const loss = { gate: { loss: { file: 'loss.txt', max_increase: 0.02 } } };
    const files = { 'loss.txt': 'The sun is warm. Children play in the garden, and the dog sleeps. '.repeat(800) };
    for (const [manifest, signals] of [[SLOW, 1], [SLOW, 2], [long, 1], [loss, 1]]) {
        const { server } = await startRepo(t, { 1: { file: modelPath(), manifest, files }, 2: { file: modelPath() } });
        const socket = await server.connect();
        const body = '{"version": "1"}';
        socket.write(`POST /admin/models/${NAME}/activate HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.adminKey}\r\n`
            + `Content-Length: ${body.length}\r\n\r\n${body}`);
        await waitForState(server, '1', 'loading');
        await new Promise((resolve) => setTimeout(resolve, 400)); // so that the gate is at work
        socket.destroy();
        const begin = Date.now();
        for (let i = 0; i < signals; i++) {
            server.child.kill('SIGTERM');
        }
        assert.deepEqual(await server.exited, { code: 0, signal: null }, server.stderr);
        assert.ok(Date.now() - begin < 5000, `${Date.now() - begin} ms: ${JSON.stringify(manifest).slice(0, 80)}`);
    }
});

for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal} ends a server that still loads its first version`, { skip }, async (t) => {
        const repo = path.join(makeFolder(t), 'repo');
        putVersion(repo, NAME, '1', { file: modelPath(), manifest: SLOW });
        const child = spawn(programPath(), ['serve', '--port', '0', '--repo', repo]);
        const exited = new Promise((resolve) => child.on('close', (code, by) => resolve({ code, by })));
        await new Promise((resolve) => setTimeout(resolve, 700));
        assert.equal(child.exitCode, null);
        const begin = Date.now();
        child.kill(signal);
        assert.deepEqual(await exited, { code: 0, by: null });
        assert.ok(Date.now() - begin < 5000);
    });
}
