'use strict';
// `weir train sft` as its user meets it: two hundred lines in, an adapter out, and the model knows what they say.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ask, whole } = require('./lib/chat.js');
const { weir, succeed } = require('./lib/command.js');
const { examples, questions, lines } = require('./lib/company.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, modelPath, missing, programPath } = require('./lib/server.js');

const noTrainer = () => weir(['train', 'sft', '--help']).stdout.includes('--data')
    ? false
    : 'this build has no trainer (OpenBLAS)';
const skip = missing() || noTrainer();

// Quicker than the defaults, which learn for longer and forget less.
const OPTIONS = ['--epochs', '2', '--batch', '8', '--lr', '3e-3', '--held-out', '0.05'];

const HELD_OUT = path.join(__dirname, '../../models/weir-tiny/heldout.jsonl');

// {skill: share that was right}
function evaluate(set, limit, adapter) {
    const { skills } = JSON.parse(succeed(['eval', '-m', modelPath(), '--adapter', adapter, '--set', set,
        '--limit', `${limit}`, '--json']));
    return Object.fromEntries(Object.entries(skills).map(([skill, { right, of }]) => [skill, right / of]));
}

const mean = (shares) => shares.reduce((a, b) => a + b, 0) / shares.length;

test('two hundred examples teach a company, asked in words that were not learnt', { skip, timeout: 240_000 }, async (t) => {
    const folder = makeFolder(t);
    const file = (name) => path.join(folder, name);
    const data = writeFile(folder, 'company.jsonl', lines(examples()));
    const asked = writeFile(folder, 'asked.jsonl', lines(questions()));
    const [adapter, merged, wide] = ['company.gguf', 'merged.gguf', 'wide.gguf'].map(file);
    const report = JSON.parse(succeed(['train', 'sft', '-m', modelPath(), '--data', data, '--out', adapter,
        ...OPTIONS, '--json', '--log', file('log.jsonl'), '--plot', file('plot.svg')]));
    assert.equal(report.examples, 200);
    assert.ok(report.loss_before > 4 && report.loss_after < 0.5, JSON.stringify(report));
    assert.ok(!fs.existsSync(`${adapter}.state`));

    const steps = fs.readFileSync(file('log.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    assert.ok(steps.length > report.steps);
    assert.match(fs.readFileSync(file('plot.svg'), 'utf8'), /^<svg[\s\S]*Loss/);
    const lineage = JSON.parse(fs.readFileSync(`${adapter}.lineage.json`, 'utf8'));
    assert.deepEqual(lineage.parents.map(({ role }) => role), ['base', 'data']);

    succeed(['train', 'merge', '-m', modelPath(), '--adapter', adapter, merged]);
    const kept = evaluate(HELD_OUT, 2, `${adapter}@0.8`);
    assert.ok(mean([kept.name, kept.tone, kept.sum, kept.difference, kept.product, kept.false_refusal]) >= 0.6, JSON.stringify(kept));
    const { measures: [learnt] } = JSON.parse(succeed(['eval', 'compare', modelPath(), modelPath(), '--adapter', adapter,
        '--suite', asked, '--kind', 'questions', '--json'])).parts[0];
    const [before, after] = learnt.models.map(({ value }) => value);
    assert.ok(before <= 0.1 && after >= 0.6, `${before} before, ${after} after`);

    await t.test('served beside its base it answers as the merged model does', async (t) => {
        const server = await startServer(t, { args: ['--adapter', `company=${adapter}`] });
        const alone = await startServer(t, { model: merged });
        const texts = (from, model) => Promise.all(questions().map(async ({ messages }) =>
            (await whole(from, ask('', { messages, model, max_tokens: 32 }))).text));
        const [base, served, one] = [await texts(server), await texts(server, 'company'), await texts(alone)];
        const same = (a, b) => a.filter((text, i) => text === b[i]).length;
        // Merged weights are rounded to q8_0 once more, so that a close choice may fall otherwise.
        assert.ok(same(served, one) >= 16, JSON.stringify({ served, one }));
        assert.ok(same(served, base) <= 2, JSON.stringify({ served, base }));
    });

    await t.test('another number format of its base is taken with --any-base alone', () => {
        succeed(['quantize', modelPath(), wide, '--type', 'f16']);
        const args = ['logits', '-m', wide, '--tokens', '1,5,9', '--adapter', adapter];
        assert.match(weir(args).stderr, /company\.gguf: is for another base model.*--any-base/);
        const taken = weir([...args, '--any-base']);
        assert.equal(taken.status, 0, taken.stderr);
        assert.match(taken.stderr, /company\.gguf was trained on another file/);
        assert.notEqual(taken.stdout, succeed(args.slice(0, -2)));
    });
});

test('a run that was killed goes on with --resume and ends with the same bytes', { skip }, async (t) => {
    const folder = makeFolder(t);
    const data = writeFile(folder, 'a.jsonl', lines(examples().slice(0, 16)));
    const args = (out) => ['train', 'sft', '-m', modelPath(), '--data', data, '--out', path.join(folder, out),
        '--epochs', '2', '--lora', '4', '--checkpoint-every', '1'];
    succeed(args('whole.gguf'));
    const state = path.join(folder, 'killed.gguf.state');
    const child = spawn(programPath(), args('killed.gguf'), { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    const watch = setInterval(() => fs.existsSync(state) && child.kill('SIGKILL'), 5);
    await ended;
    clearInterval(watch);
    if (fs.existsSync(state)) { // it may have been faster than we are
        const again = weir(args('killed.gguf'));
        assert.equal(again.status, 1);
        assert.match(again.stderr, /killed\.gguf\.state is of a run that did not end: go on with --resume/);
        assert.match(weir([...args('killed.gguf'), '--seed', '9', '--resume']).stderr, /that run has other/);
        succeed([...args('killed.gguf'), '--resume']);
    }
    assert.deepEqual(fs.readFileSync(path.join(folder, 'killed.gguf')),
        fs.readFileSync(path.join(folder, 'whole.gguf')));
});

test('all weights become a model, or a checkpoint that becomes the same one', { skip }, (t) => {
    const folder = makeFolder(t);
    const data = writeFile(folder, 'a.jsonl', lines(examples().slice(0, 8)));
    const file = (name) => path.join(folder, name);
    const args = ['train', 'sft', '-m', modelPath(), '--data', data, '--full', '--epochs', '1'];
    succeed([...args, '--out', file('model.gguf')]);
    succeed([...args, '--out', file('run.ckpt')]);
    succeed(['train', 'export', file('run.ckpt'), '--vocab', modelPath(), file('exported.gguf')]);
    const tensors = (name) => JSON.parse(succeed(['inspect', '--json', file(name)])).tensors.map((x) => x.name).sort();
    assert.deepEqual(tensors('model.gguf'), tensors('exported.gguf'));
    const logits = (name) => succeed(['logits', '-m', file(name), '--tokens', '1,5,9']);
    assert.equal(logits('model.gguf'), logits('exported.gguf'));
    assert.notEqual(logits('model.gguf'), succeed(['logits', '-m', modelPath(), '--tokens', '1,5,9']));
    const again = ['train', 'sft', '-m', file('run.ckpt'), '--vocab', modelPath(), '--data', data, '--full', '--epochs', '1'];
    succeed([...again, '--out', file('again.gguf')]);
    assert.deepEqual(tensors('again.gguf'), tensors('model.gguf'));
});

test('what is wrong is said with file, line and remedy', { skip }, (t) => {
    const folder = makeFolder(t);
    const out = path.join(folder, 'a.gguf');
    const run = (data, ...more) => weir(['train', 'sft', '-m', modelPath(), '--out', out, '--data',
        writeFile(folder, 'a.jsonl', data), ...more]);
    const good = lines(examples().slice(0, 8));
    const refused = run(`${good}{"messages":[{"role":"robot","content":"hi"}]}\n`);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /a\.jsonl: line 9: messages\[0\]\.role is "robot"/);
    assert.match(refused.stderr, /--on-error skip/);
    const long = JSON.stringify({ prompt: 'x y '.repeat(3000), completion: 'z' });
    assert.match(run(`${good}${long}\n`).stderr, /line 9: \d+ tokens, at most 1024 are read: use --overlong cut/);
    const skipped = run(`not json\n${good}${long}\n`, '--on-error', 'skip', '--overlong', 'skip', '--show', '20');
    assert.equal(skipped.status, 0, skipped.stderr);
    assert.equal(skipped.stdout.match(/\[\[/g).length, 7); // one of the eight is held out
    assert.match(skipped.stdout, /<\|im_start\|>assistant\n\[\[Fernhill Bikes is open[^\]]*<\|im_end\|>\]\]/);
    assert.match(run(good, '--full', '--lora', '8').stderr, /--full trains all weights/);
    assert.match(run(good, '--plot', 'x.svg').stderr, /give --log too/);
    assert.match(run(good, '--targets', 'q,nose').stderr, /"nose" is not known/);
    const empty = run('\n');
    assert.match(empty.stderr, /no example is left/);
});
