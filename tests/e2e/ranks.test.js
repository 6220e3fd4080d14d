'use strict';
// A model that is shared out among processes (MPI ranks) says what one process says, bit for bit, and holds together:
// all ranks load a version or none does, and when one is lost all end and say so.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole } = require('./lib/chat.js');
const { weir, succeed } = require('./lib/command.js');
const { makeFolder, writeOtherVersion, writeOverflowing } = require('./lib/files.js');
const { writeAdapter } = require('./lib/gguf.js');
const { putVersion, waitFor } = require('./lib/model_repo.js');
const { missingRanks, mpirun, run, startRanks } = require('./lib/ranks.js');
const { startServer, modelPath, programPath } = require('./lib/server.js');

const skip = missingRanks();
const NAME = 'tiny';
const TOKENS = '1,5,9,200,33,7,300,2,8,8,8,19';

// With the number of ranks: where there are fewer KV heads than ranks, query heads are split.
const SHAPES = {
    'tiny-test': 4, // llama
    'tiny-test-mixtral': 3,
    'tiny-test-qwen2moe': 2,
    'tiny-test-gpt2': 4,
    'tiny-test-olmo2': 4, // normalises whole rows of queries and keys
    'tiny-test-phi': 2, // fused tensors
    'tiny-test-stablelm12': 2,
};

function makeModel(folder, shape) {
    const file = path.join(folder, `${shape}.gguf`);
    succeed(['synth', '--shape', shape, file]);
    return file;
}

for (const [shape, n] of Object.entries(SHAPES)) {
    test(`${shape}: the same logits with ${n} ranks`, { skip, timeout: 120_000 }, (t) => {
        const model = makeModel(makeFolder(t), shape);
        const args = ['logits', '-m', model, '--tokens', TOKENS, '--all'];
        const { status, stdout, stderr } = mpirun(n, [programPath(), ...args, '--ranks', String(n)]);
        assert.equal(status, 0, stderr);
        assert.ok(stdout.length > 1000);
        assert.equal(stdout, succeed([...args, '-t', '1']));
    });
}

test('a packed file and float weights are shared out too', { skip, timeout: 120_000 }, (t) => {
    const folder = makeFolder(t);
    const packed = path.join(folder, 'packed.gguf');
    succeed(['quantize', modelPath(), packed, '--type', 'packed']);
    for (const args of [['-m', packed], ['-m', modelPath(), '--weights', 'f32']]) {
        const all = ['logits', ...args, '--tokens', TOKENS, '-t', '1'];
        const { status, stdout, stderr } = mpirun(3, [programPath(), ...all]);
        assert.equal(status, 0, stderr);
        assert.equal(stdout, succeed(all));
    }
});

test('bench runs with ranks, and rank 0 tells', { skip, timeout: 120_000 }, (t) => {
    const model = makeModel(makeFolder(t), 'tiny-test');
    const args = ['bench', '-m', model, '-p', '16', '-n', '4', '-b', '1,2', '--json'];
    const { status, stdout, stderr } = mpirun(2, [programPath(), ...args]);
    assert.equal(status, 0, stderr);
    assert.ok(JSON.parse(stdout).decode_tps > 0);
});

// --- serving ---

const QUESTIONS = ['Hello', 'Tell me a story.', 'What is 2 plus 3?', 'Who are you?', 'Count to ten.'];
const SHARED = 'The same beginning for all of them, long enough for several pages of the cache. '.repeat(6);

function requests() {
    return [
        ...QUESTIONS.map((q) => ask(q, { logprobs: true, top_logprobs: 3 })),
        ...QUESTIONS.map((q) => ask(SHARED + q)),
        ...QUESTIONS.map((q, i) => ask(q, { temperature: 0.9, seed: i })),
    ];
}

async function answers(server) {
    const all = await Promise.all(requests().map((request) => whole(server, request)));
    return all.map(({ text, finish, madeBy, body }) => ({ text, finish, madeBy, logprobs: body.choices[0].logprobs }));
}

const share = (server, rank) => Number(new RegExp(`rank ${rank} of \\d+ has its share of .*: ([\\d.]+) MiB`).exec(server.stderr)?.[1]);

async function shares(server) {
    await waitFor(() => server.pids.every((_, rank) => share(server, rank) > 0));
    return server.pids.map((_, rank) => share(server, rank));
}

test('four ranks answer as one process, in any company, and load new versions together', { skip, timeout: 240_000 }, async (t) => {
    const folder = makeFolder(t);
    const served = path.join(folder, 'served.gguf');
    const other = path.join(folder, 'other.gguf');
    fs.copyFileSync(modelPath(), served);
    writeOtherVersion(modelPath(), other);
    const few = ['--kv-memory', '1', '--context', '256', '--parallel', '6', '-t', '1']; // some give their pages up
    const alone = await startServer(t, { model: served, args: few });
    const wanted = await answers(alone);
    const ranks = await startRanks(t, 4, { model: served, args: [...few, '--ranks', '4'] });
    const parts = await shares(ranks);
    const size = fs.statSync(served).size / 2 ** 20;
    for (const part of parts) {
        assert.ok(part > size / 5 && part < size / 3, `${part} of ${size} MiB`);
    }
    assert.deepEqual(await answers(ranks), wanted);
    assert.deepEqual(await answers(ranks), wanted); // with a warm cache

    fs.copyFileSync(other, `${served}.new`);
    fs.renameSync(`${served}.new`, served);
    assert.equal((await ranks.admin('POST', '/admin/models/reload')).status, 200);
    assert.equal((await alone.admin('POST', '/admin/models/reload')).status, 200);
    const changed = await answers(alone);
    assert.notDeepEqual(changed.map(({ text }) => text), wanted.map(({ text }) => text));
    assert.deepEqual(await answers(ranks), changed);

    fs.writeFileSync(`${served}.new`, fs.readFileSync(other).subarray(0, 100_000));
    fs.renameSync(`${served}.new`, served);
    assert.equal((await ranks.admin('POST', '/admin/models/reload')).status, 422);
    assert.deepEqual(await answers(ranks), changed);

    writeOverflowing(other, `${served}.new`); // what rank 0 alone can see, in a test that all compute
    fs.renameSync(`${served}.new`, served);
    const refused = await ranks.admin('POST', '/admin/models/reload');
    assert.equal(refused.status, 422);
    assert.match((await refused.json()).error.message, /self-test: the model's logits are not finite/);
    assert.deepEqual(await answers(ranks), changed);

    const vectors = await ranks.post('/v1/embeddings', { input: 'x' });
    assert.equal(vectors.status, 400);
    assert.match((await vectors.json()).error.message, /shared out among processes/);
    const [model] = (await (await ranks.fetch('/v1/models')).json()).data;
    assert.deepEqual(model.capabilities, ['chat']);
    const upgrade = await ranks.admin('POST', '/admin/upgrade');
    assert.equal(upgrade.status, 409);
});

function cpuTicks(pid) {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
}

test('ranks that wait use next to no processor time', { skip, timeout: 120_000 }, async (t) => {
    const server = await startRanks(t, 2, { args: ['-t', '1'] });
    await whole(server, ask('Hello', { max_tokens: 4 }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const before = server.pids.map(cpuTicks);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const used = server.pids.map((pid, rank) => cpuTicks(pid) - before[rank]);
    assert.ok(used.every((ticks) => ticks < 30), `${used} of 200 ticks`); // measured: 1 or 2
});

test('all ranks log as they are asked to', { skip, timeout: 120_000 }, async (t) => {
    const server = await startRanks(t, 2, { args: ['-t', '1', '--log-format', 'json'] });
    const ofRank1 = () => server.stderr.split('\n').find((line) => line.includes('rank 1 of 2 has its share'));
    await waitFor(() => ofRank1());
    assert.match(JSON.parse(ofRank1()).message, /^rank 1 of 2 has its share/);
});

// --- what goes wrong ---

test('ranks that have read other files refuse to serve', { skip, timeout: 120_000 }, (t) => {
    const folder = makeFolder(t);
    for (const rank of [0, 1]) {
        fs.mkdirSync(path.join(folder, String(rank)));
    }
    fs.copyFileSync(modelPath(), path.join(folder, '0/m.gguf'));
    writeOtherVersion(modelPath(), path.join(folder, '1/m.gguf'));
    for (const command of ['serve --port 0 -m m.gguf', `logits -m m.gguf --tokens ${TOKENS}`]) {
        const script = `cd $OMPI_COMM_WORLD_RANK && exec ${programPath()} ${command}`;
        const { status, stdout, stderr } = mpirun(2, ['sh', '-c', script], { cwd: folder });
        assert.notEqual(status, 0);
        assert.equal(stdout, '');
        assert.match(stderr, /rank 1 \(.*\) has not the same file as rank 0/);
    }
    fs.rmSync(path.join(folder, '1/m.gguf'));
    const script = `cd $OMPI_COMM_WORLD_RANK && exec ${programPath()} serve --port 0 -m m.gguf`;
    const { status, stderr } = mpirun(2, ['sh', '-c', script], { cwd: folder });
    assert.notEqual(status, 0);
    assert.match(stderr, /weir serve: rank 1 \(.*\): m.gguf: .*No such file/);
});

test('when a rank is killed all end', { skip, timeout: 120_000 }, async (t) => {
    const server = await startRanks(t, 2, { args: ['-t', '1'] });
    server.killed = true;
    process.kill(server.pids[1], 'SIGKILL');
    const { code } = await server.exited;
    assert.notEqual(code, 0);
});

test('when a rank hangs all end and say which', { skip, timeout: 120_000 }, async (t) => {
    const server = await startRanks(t, 2, { args: ['-t', '1', '--rank-timeout', '2'] });
    server.killed = true;
    process.kill(server.pids[1], 'SIGSTOP');
    const answer = whole(server, ask('Hello')).catch((e) => e);
    const { code } = await server.exited;
    assert.notEqual(code, 0);
    assert.match(server.stderr, /rank 0 of 2: rank 1 \(.*\) has not answered for 2 s; all ranks end/);
    assert.ok((await answer) instanceof Error);
});

test('when rank 0 hangs the others end', { skip, timeout: 120_000 }, async (t) => {
    const server = await startRanks(t, 2, { args: ['-t', '1', '--rank-timeout', '2'] });
    server.killed = true;
    process.kill(server.pids[0], 'SIGSTOP');
    const { code } = await server.exited;
    assert.notEqual(code, 0);
    assert.match(server.stderr, /rank 1 of 2: rank 0 \(.*\) has not answered for 2 s/);
});

test('what ranks cannot share is refused by name', { skip, timeout: 240_000 }, (t) => {
    const folder = makeFolder(t);
    const adapter = path.join(folder, 'a.gguf');
    writeAdapter(modelPath(), adapter, { seed: 1 });
    const bert = makeModel(folder, 'tiny-test-bert');
    const heads = makeModel(folder, 'tiny-test-heads20');
    const cases = [
        [2, ['serve', '--port', '0', '-m', modelPath(), '--adapter', `a=${adapter}`], /adapters cannot be shared out/],
        [2, ['serve', '--port', '0', '-m', bert], /an encoder \(bert\) cannot be shared out/],
        [2, ['logits', '-m', heads, '--tokens', '1'], /heads of 20 numbers cannot be shared out/],
        [2, ['logits', '-m', modelPath(), '--tokens', '1', '--adapter', adapter], /adapters cannot be shared out/],
        [2, ['serve', '--port', '0', '-m', modelPath(), '--pin'], /--pin: .* mpirun ties processes to cores/],
        [2, ['bench', '-m', modelPath(), '-p', '1', '-n', '1', '--pin'], /--pin: .* mpirun ties processes to cores/],
        [2, ['logits', '-m', modelPath(), '--tokens', '1', '--ranks', '3'], /3 are wanted, 2 were started; give mpirun -np 3/],
    ];
    for (const [n, args, expected] of cases) {
        const { status, stderr } = mpirun(n, [programPath(), ...args]);
        assert.notEqual(status, 0);
        assert.match(stderr, expected);
    }
    const otherMpi = run([programPath(), 'logits', '-m', modelPath(), '--tokens', '1'], { env: { PMI_SIZE: '2' } });
    assert.equal(otherMpi.status, 1);
    assert.match(otherMpi.stderr, /2 processes were started together, this MPI sees 1; use the mpirun of the MPI/);
    const alone = weir(['logits', '-m', modelPath(), '--tokens', '1', '--ranks', '2']);
    assert.equal(alone.status, 1);
    assert.match(alone.stderr, /started alone; start it with mpirun -np 2 weir/);
});

// Of the versions of which a rank says so.
const hashesOf = (server, rank, what) =>
    [...server.stderr.matchAll(new RegExp(`rank ${rank} of \\d+ ${what} .*sha256 (\\w+)`, 'g'))].map(([, hash]) => hash);
const letGo = (server, rank) => hashesOf(server, rank, 'has let go of its share of');

test('versions of a repository come and go on all ranks', { skip, timeout: 120_000 }, async (t) => {
    const few = { max_tokens: 8 };
    const repo = makeFolder(t);
    const other = path.join(makeFolder(t), 'other.gguf');
    writeOtherVersion(modelPath(), other);
    putVersion(repo, NAME, '1', { file: modelPath() });
    const server = await startRanks(t, 2, { model: NAME, args: ['--repo', repo, '--keep-generations', '1', '-t', '1', '--rank-timeout', '6'] });
    const answersAs = async (version) => (await whole(server, ask('Hello', few))).madeBy.model.includes(`@${version}`);
    const first = await whole(server, ask('Hello', few));
    putVersion(repo, NAME, '2', { file: other });
    await waitFor(() => answersAs('2'));
    const pinned = await whole(server, ask('Hello', { ...few, model: `${NAME}@1` })); // it is kept, with an engine of its own
    assert.equal(pinned.text, first.text);
    assert.deepEqual(letGo(server, 1), []);
    putVersion(repo, NAME, '3', { file: modelPath() });
    await waitFor(() => answersAs('3'));
    await waitFor(() => letGo(server, 1).length > 0); // of the first, for one is kept beside the one that serves
    const [one, two, three] = hashesOf(server, 1, 'has its share of');
    assert.deepEqual([letGo(server, 1), one], [[one], three]);
    assert.notEqual(one, two);
    assert.equal((await whole(server, ask('Hello', few))).text, first.text);
});
