'use strict';
// A training run as its owner sees it: `weir train pretrain` with its log and charts, stopped in every way
// there is, and gone on with; `weir train bench`.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir, succeed } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { missing, programPath } = require('./lib/server.js');

// A build without OpenBLAS says so.
function skipReason() {
    const absent = missing();
    if (absent) {
        return absent;
    }
    const { stderr } = weir(['train', 'bench', '--help']);
    return /no trainer because OpenBLAS/.test(stderr) ? 'built without OpenBLAS' : false;
}

const skip = skipReason();
const MODEL = ['--shape', '32,2,2,1,64,64', '--batch-tokens', '512', '--row', '64', '--warmup', '5', '--lr', '5e-3'];

// Sentences with a pattern that a small model learns in some dozen steps.
function sentences(from, to) {
    const lines = [];
    for (let i = from; i < to; i++) {
        const [a, b] = [i % 7, i % 5];
        lines.push(JSON.stringify({ text: `The ${'red blue green old new big small'.split(' ')[a]} ` +
            `${'fox cat dog bird fish'.split(' ')[b]} has ${a} hats and ${b} shoes.` }));
    }
    return `${lines.join('\n')}\n`;
}

// A folder with a vocabulary, the shards train/a.tok and train/b.tok, and heldout.tok.
function makeData(t) {
    const folder = makeFolder(t);
    const file = (name) => path.join(folder, name);
    fs.mkdirSync(file('train'));
    writeFile(folder, 'all.jsonl', sentences(0, 200));
    for (const [name, from, to] of [['train/a', 0, 100], ['train/b', 100, 200], ['heldout', 200, 240]]) {
        writeFile(folder, `${name}.jsonl`, sentences(from, to));
    }
    succeed(['train', 'vocab', '--data', file('all.jsonl'), '--size', '320', '--out', file('vocab.gguf')]);
    for (const name of ['train/a', 'train/b', 'heldout']) {
        succeed(['train', 'tokenize', '-m', file('vocab.gguf'), '--chats', file(`${name}.jsonl`),
            '--out', file(`${name}.tok`)]);
    }
    return { folder, file };
}

function pretrain(...args) {
    return weir(['train', 'pretrain', ...args]);
}

// A log's steps without what depends on the clock.
function steps(log) {
    return fs.readFileSync(log, 'utf8').trim().split('\n').slice(1).map((line) => {
        const { tokens_per_s: speed, peak_fraction: share, ...rest } = JSON.parse(line);
        assert.ok(speed > 0 && share > 0, line);
        return rest;
    });
}

// Starts a run and kills it with `signal` when its checkpoint is there and its log some steps further.
async function killRun(args, checkpoint, log, signal) {
    const child = spawn(programPath(), ['train', 'pretrain', ...args], { stdio: 'ignore' });
    const ended = new Promise((resolve) => {
        child.on('exit', (code, by) => resolve({ code, by }));
    });
    const count = () => (fs.existsSync(log) ? fs.readFileSync(log, 'utf8').split('\n').length : 0);
    while (child.exitCode === null && !(fs.existsSync(checkpoint) && count() > 25)) {
        await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
    child.kill(signal);
    return ended;
}

test('a run tells what it does, logs it, draws it, and where its checkpoint comes from', { skip }, (t) => {
    const { folder, file } = makeData(t);
    const run = pretrain('--data', file('train'), '--validate', file('heldout.tok'), '--validate-every', '20',
        ...MODEL, '--steps', '40', '--out', file('x.ckpt'), '--log', file('x.jsonl'), '--plot', file('x.svg'));
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /data: 2 files, 200 documents/);
    assert.match(run.stderr, /float32 peak \d+ GFLOPS with 2 threads; memory \d+ MB/);
    assert.match(run.stderr, /^pretrain {2}40\/40 +100 % {2}loss [\d.]+ .* val [\d.]+ \(perplexity [\d.]+\)/m);
    assert.match(run.stderr, /^speed: \d+ tokens\/s, .* % of the float32 peak/m);
    assert.ok(!run.stderr.includes('\r'), 'no bar where stderr is no terminal');

    const [first] = fs.readFileSync(file('x.jsonl'), 'utf8').split('\n');
    const about = JSON.parse(first).run;
    assert.equal(about.tool, 'train pretrain');
    assert.equal(about.options.steps, 40);
    assert.equal(about.options.lr, 0.005);
    assert.equal(about.model.d_model, 32);
    assert.equal(about.data.files.length, 2);
    assert.ok(about.machine.peak_gflops > 0);
    const logged = steps(file('x.jsonl'));
    assert.deepEqual(logged.map(({ step }) => step), Array.from({ length: 40 }, (_, i) => i + 1));
    assert.ok(logged[39].loss < logged[0].loss - 1, `${logged[0].loss} to ${logged[39].loss}`);
    const validated = logged.filter((s) => 'val_loss' in s);
    assert.deepEqual(validated.map(({ step }) => step), [20, 40]);
    assert.ok(Math.abs(Math.log(validated[1].val_perplexity) - validated[1].val_loss) < 1e-5);
    const svg = fs.readFileSync(file('x.svg'), 'utf8');
    assert.match(svg, /^<svg [^]*Validation perplexity[^]*<\/svg>\n$/);

    const lineage = JSON.parse(fs.readFileSync(file('x.ckpt.lineage.json'), 'utf8'));
    assert.equal(lineage.tool, 'train pretrain');
    assert.deepEqual(lineage.parents.map((p) => [p.role, p.file]), [['data', 'train/a.tok'], ['data', 'train/b.tok']]);
    assert.equal(lineage.metrics.step, 40);
    assert.match(succeed(['lineage', file('x.ckpt')]), /vocab\.gguf/);

    // The next stage begins with it.
    const next = (init, name) => pretrain('--data', file('heldout.tok'), '--init', file(init), '--batch-tokens', '512',
        '--steps', '2', '--lr', '1e-3', '--out', file(`${name}.ckpt`), '--log', file(`${name}.jsonl`));
    const tuned = next('x.ckpt', 'y');
    assert.equal(tuned.status, 0, tuned.stderr);
    assert.ok(steps(file('y.jsonl'))[0].loss < logged[0].loss - 1);
    const roles = JSON.parse(fs.readFileSync(file('y.ckpt.lineage.json'), 'utf8')).parents.map(({ role }) => role);
    assert.deepEqual(roles, ['data', 'init']);

    // A model file is another beginning: the same weights as the checkpoint that it was made from.
    succeed(['train', 'export', file('x.ckpt'), '--vocab', file('vocab.gguf'), file('x.gguf')]);
    const imported = next('x.gguf', 'z');
    assert.equal(imported.status, 0, imported.stderr);
    const [y, z] = ['y', 'z'].map((name) => steps(file(`${name}.jsonl`))[0].loss);
    assert.ok(Math.abs(y - z) < 1e-4, `${y} and ${z}`);
    assert.deepEqual(fs.readdirSync(folder).filter((name) => name.endsWith('.tmp')), []);
});

test('a run that was killed, or stopped, goes on to the same weights to the last bit', { skip }, async (t) => {
    const { file } = makeData(t);
    const all = ['--data', file('train'), ...MODEL, '--steps', '200', '--checkpoint-every', '10'];
    const straight = pretrain(...all, '--out', file('straight.ckpt'), '--log', file('straight.jsonl'));
    assert.equal(straight.status, 0, straight.stderr);
    const ends = { SIGKILL: { code: null, by: 'SIGKILL' }, SIGTERM: { code: 0, by: null } };
    for (const [signal, end] of Object.entries(ends)) {
        const [out, log] = [file(`${signal}.ckpt`), file(`${signal}.jsonl`)];
        const ended = await killRun([...all, '--out', out, '--log', log], out, log, signal);
        assert.deepEqual(ended, end);
        const before = steps(log).length;
        assert.ok(before < 200, `${signal} came after ${before} steps`);
        const resumed = pretrain('--data', file('train'), '--resume', '--out', out, '--log', log);
        assert.equal(resumed.status, 0, resumed.stderr);
        assert.match(resumed.stderr, /^resumed after step \d+$/m);
        assert.ok(fs.readFileSync(out).equals(fs.readFileSync(file('straight.ckpt'))), signal);
        assert.deepEqual(steps(log), steps(file('straight.jsonl')), signal);
    }
});

test('a checkpoint that finds no room is an error, and the one before it stays', { skip }, (t) => {
    const { file } = makeData(t);
    const out = file('x.ckpt');
    const all = ['--data', file('train'), '--out', out];
    assert.equal(pretrain(...all, ...MODEL, '--steps', '5').status, 0);
    const good = fs.readFileSync(out);
    // A file may not grow beyond half of what a checkpoint needs: write() fails as on a full disk.
    const blocks = Math.floor(good.length / 2 / 1024);
    const limited = (args) => spawnSync('bash', ['-c', `ulimit -f ${blocks}; exec "$0" "$@"`, programPath(), 'train',
        'pretrain', ...args], { encoding: 'utf8' });
    const run = limited([...all, '--resume', '--steps', '10']);
    assert.equal(run.status, 1, run.stderr);
    assert.match(run.stderr, /x\.ckpt is still that of step 5: the checkpoint of step 10 is not written: .*: cannot/);
    assert.ok(fs.readFileSync(out).equals(good));
    assert.ok(!fs.existsSync(`${out}.tmp`));
    const first = limited(['--data', file('train'), '--out', file('y.ckpt'), ...MODEL, '--steps', '2']);
    assert.equal(first.status, 1);
    assert.match(first.stderr, /the checkpoint of step 2 is not written/);

    assert.equal(pretrain(...all, '--resume', '--steps', '10').status, 0);
});

test('other data, and options that do not fit, are refused before anything is written', { skip }, (t) => {
    const { file } = makeData(t);
    const out = file('x.ckpt');
    assert.equal(pretrain('--data', file('train'), '--out', out, ...MODEL, '--steps', '3').status, 0);
    const good = fs.readFileSync(out);
    const refused = (pattern, status, ...args) => {
        const run = pretrain(...args);
        assert.equal(run.status, status, run.stderr);
        assert.match(run.stderr, pattern);
    };
    refused(/the same files in the same order/, 1, '--data', file('train/b.tok'), file('train/a.tok'), '--out', out,
        '--resume');
    refused(/named twice/, 1, '--data', file('train/a.tok'), '--data', file('train'), '--out', out, ...MODEL);
    refused(/no \.tok file in this folder/, 1, '--data', path.dirname(path.dirname(file('x'))), '--out', out, ...MODEL);
    refused(/not a token file/, 1, '--data', file('all.jsonl'), '--out', out, ...MODEL);
    refused(/--log/, 2, '--data', file('train'), '--out', out, '--plot', file('x.svg'));
    refused(/--init brings its shape/, 2, '--data', file('train'), '--out', out, '--init', out, ...MODEL);
    refused(/--seed, --row and --micro-tokens/, 2, '--data', file('train'), '--out', out, '--resume', '--row', '9');
    refused(/six whole numbers/, 1, '--data', file('train'), '--out', out, '--shape', '1,2');
    refused(/cannot (open|write)/, 1, '--data', file('train'), '--out', out, ...MODEL, '--log', file('no/x.jsonl'));
    refused(/--data FILE\.tok/, 2, '--out', out);
    assert.ok(fs.readFileSync(out).equals(good));
    const old = weir(['train', '--data', file('train/a.tok'), '--out', out]);
    assert.equal(old.status, 2);
    assert.match(old.stderr, /unknown word "--data"[^]*pretrain/);
});

test('bench measures steps against the peak of the same run', { skip }, () => {
    const b = JSON.parse(succeed(['train', 'bench', '--shape', '64,2,4,2,128,64', '--vocab', '256', '--batch-tokens',
        '1024', '--steps', '2', '--json']));
    assert.ok(b.parameters > 50_000 && b.tokens_per_s > 0 && b.peak_gflops > 0 && b.loss > 5 && b.loss < 7, b);
    assert.ok(b.peak_fraction > 0 && b.best_peak_fraction >= b.peak_fraction);
    assert.ok(Math.abs(b.gflops / b.peak_gflops - b.peak_fraction) < 0.05, b);
    // 6 for each weight of a matrix, and attention beside it.
    assert.ok(b.flops_per_token > 6 * b.parameters && b.flops_per_token < 8 * b.parameters);
});
