'use strict';
// Alignment as its user sees it: `weir align` on a model of a few thousand weights.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
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
    const { stderr } = weir(['align', 'dpo', '--help']);
    return /no trainer because OpenBLAS/.test(stderr) ? 'built without OpenBLAS' : false;
}

const skip = skipReason();

const lines = (items) => `${items.map((item) => JSON.stringify(item)).join('\n')}\n`;
const ask = (text) => [{ role: 'user', content: text }];
const colours = 'red blue green old new big small'.split(' ');

// A vocabulary, a model that has hardly learnt anything, pairs and questions.
function makeData(t) {
    const folder = makeFolder(t);
    const file = (name) => path.join(folder, name);
    const words = (i) => `The ${colours[i % 7]} fox has ${i % 5} hats.`;
    const numbers = Array.from({ length: 60 }, (_, i) => i);
    writeFile(folder, 'all.jsonl', lines(numbers.map((i) => ({ text: words(i) }))));
    const pair = (i) => ({ messages: ask(`fox ${i}?`), chosen: `${colours[i % 7]} hats`, rejected: 'The shoes.' });
    writeFile(folder, 'pairs.jsonl', lines(numbers.slice(0, 40).map(pair)));
    writeFile(folder, 'held.jsonl', lines(numbers.slice(40).map(pair)));
    writeFile(folder, 'questions.jsonl', lines(numbers.slice(0, 8).map((i) => (
        { skill: 'fox', messages: ask(`fox ${i}?`), answer: 'red', expect: { any: ['a', 'e', 'o'] } }))));
    succeed(['train', 'vocab', '--data', file('all.jsonl'), '--size', '320', '--out', file('vocab.gguf')]);
    succeed(['train', 'tokenize', '-m', file('vocab.gguf'), '--chats', file('all.jsonl'), '--out', file('all.tok')]);
    succeed(['train', 'pretrain', '--data', file('all.tok'), '--shape', '32,2,2,1,64,64', '--batch-tokens', '256',
        '--row', '64', '--steps', '5', '--out', file('base.ckpt')]);
    const begin = ['-m', file('vocab.gguf'), '--init', file('base.ckpt')];
    return { folder, file, begin };
}

// Starts a run and kills it when its checkpoint is there.
async function kill(args, checkpoint) {
    const child = spawn(programPath(), args, { stdio: 'ignore' });
    const ended = new Promise((resolve) => { child.on('exit', resolve); });
    while (child.exitCode === null && !fs.existsSync(checkpoint)) {
        await new Promise((resolve) => { setTimeout(resolve, 2); });
    }
    child.kill('SIGKILL');
    await ended;
}

const logged = (name) => fs.readFileSync(name, 'utf8').trim().split('\n').slice(1).map((line) => JSON.parse(line));

test('preference training raises what is chosen, and goes on after kill -9 to the same weights', { skip }, async (t) => {
    const { file, begin } = makeData(t);
    const run = (out) => ['align', 'dpo', ...begin, '--pairs', file('pairs.jsonl'), '--validate', file('held.jsonl'),
        '--steps', '60', '--batch-pairs', '8', '--lr', '2e-3', '--checkpoint-every', '1', '--validate-every', '30',
        '--out', file(out), '--log', file(`${out}.jsonl`)];
    succeed(run('whole.ckpt'));
    await kill(run('killed.ckpt'), file('killed.ckpt'));
    succeed([...run('killed.ckpt'), '--resume']);
    assert.ok(fs.readFileSync(file('whole.ckpt')).equals(fs.readFileSync(file('killed.ckpt'))));
    assert.deepEqual(logged(file('killed.ckpt.jsonl')), logged(file('whole.ckpt.jsonl')));
    const last = logged(file('whole.ckpt.jsonl')).at(-1);
    assert.equal(last.step, 60);
    assert.equal(last.val_accuracy, 1);
    assert.ok(last.chosen > last.rejected, JSON.stringify(last));
    assert.match(fs.readFileSync(file('whole.ckpt.jsonl.svg'), 'utf8'), /<svg/);
    const lineage = JSON.parse(fs.readFileSync(file('whole.ckpt.lineage.json'), 'utf8'));
    assert.deepEqual(lineage.parents.map((parent) => parent.role), ['checkpoint', 'base', 'pairs']);
});

test('a reward model says which answer is better, and reinforcement goes by it', { skip }, async (t) => {
    const { folder, file, begin } = makeData(t);
    const trained = succeed(['align', 'reward', ...begin, '--pairs', file('pairs.jsonl'), '--validate', file('held.jsonl'),
        '--steps', '40', '--batch-pairs', '8', '--lr', '5e-3', '--out', file('a.reward')]);
    assert.match(trained, /held-out pairs 20 {2}accuracy 1\.0000 .* calibration error 0\.\d+/);
    const scores = succeed(['align', 'score', '-m', file('vocab.gguf'), '--reward', file('a.reward'),
        '--set', file('held.jsonl')]).trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(scores.length, 20);
    assert.ok(scores.every(({ chosen, rejected }) => chosen > rejected));
    writeFile(folder, 'one.jsonl', lines([{ messages: [...ask('fox 41?'), { role: 'assistant', content: 'red hats' }] }]));
    const one = succeed(['align', 'score', '-m', file('vocab.gguf'), '--reward', file('a.reward'),
        '--set', file('one.jsonl')]);
    assert.match(one, /^\{"reward":-?\d+\.\d+\}\n$/);

    const run = (out) => ['align', 'grpo', ...begin, '--set', file('questions.jsonl'), '--reward', file('a.reward'),
        '--rounds', '4', '--checkpoint-every', '1', '--questions', '4', '--group', '4', '--max-tokens', '12', '--lr', '1e-3',
        '--out', file(out), '--log', file(`${out}.jsonl`)];
    succeed(run('g.ckpt'));
    await kill(run('h.ckpt'), file('h.ckpt'));
    succeed([...run('h.ckpt'), '--resume']);
    assert.ok(fs.readFileSync(file('g.ckpt')).equals(fs.readFileSync(file('h.ckpt'))));
    assert.deepEqual(logged(file('h.ckpt.jsonl')), logged(file('g.ckpt.jsonl')));
    const other = weir([...run('h.ckpt'), '--resume', '--beta', '0.5']);
    assert.match(other.stderr, /began with other data or other options/);
    const rounds = logged(file('g.ckpt.jsonl'));
    assert.deepEqual(rounds.map(({ step }) => step), [1, 2, 3, 4]);
    assert.equal(rounds[0].kl, 0);
    assert.ok(rounds.every(({ entropy, tokens }) => entropy > 0 && tokens >= 1));
    assert.ok(!fs.existsSync(file('g.ckpt.policy.gguf')));
});

test('lines that are no pairs are named, and left out where that is wanted', { skip }, (t) => {
    const { folder, file, begin } = makeData(t);
    const good = { prompt: 'fox?', chosen: 'red', rejected: 'blue' };
    writeFile(folder, 'mixed.jsonl', lines([good, { prompt: 'fox?', chosen: 'red' },
        { messages: ask('fox?'), ranking: ['red', 'green', 'blue'] },
        { messages: ask('fox?'), chosen: 'red', rejected: 'red' }]));
    const run = ['align', 'dpo', ...begin, '--pairs', file('mixed.jsonl'), '--steps', '1', '--out', file('x.ckpt')];
    const refused = weir(run);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /mixed\.jsonl: line 2: "rejected" is missing/);
    const taken = weir([...run, '--on-error', 'skip']);
    assert.equal(taken.status, 0, taken.stderr);
    assert.match(taken.stderr, /line 4: "chosen" and "rejected" are the same/);
    assert.match(taken.stderr, /4 pairs, 2 lines left out/);
    const long = weir([...run, '--row', '65']);
    assert.equal(long.status, 1);
    assert.match(long.stderr, /--row 65: the model's context is 64/);
});
