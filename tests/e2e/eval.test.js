'use strict';
// weir eval: suites, figures against what `weir logits` says, models side by side, a server, wrong input.

const assert = require('node:assert/strict');
const { execFile, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir, succeed } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');

const skip = missing();
const SUITE = path.resolve(__dirname, '../../models/weir-tiny/suite');
const lines = (rows) => rows.map((row) => JSON.stringify(row)).join('\n');
const evaluate = (args) => JSON.parse(succeed(['eval', ...args, '--json']));
const measure = (report, part, name) => report.parts.find((p) => p.name === part).measures.find((m) => m.name === name);

// Log-probabilities as floating point has them, from the logits of all positions.
function logits(tokens, weights) {
    const out = execFileSync(programPath(), ['logits', '-m', modelPath(), '--all', '--weights', weights,
        '--tokens', tokens.join(',')], { encoding: 'utf8', maxBuffer: 1 << 28 });
    return out.trim().split('\n').map((line) => {
        const row = JSON.parse(line);
        const max = Math.max(...row);
        const log = max + Math.log(row.reduce((sum, x) => sum + Math.exp(x - max), 0));
        return row.map((x) => x - log);
    });
}

const tokens = (text, flags = ['--no-special']) =>
    succeed(['tokenize', '-m', modelPath(), ...flags], text).trim().split(' ').map(Number);

const near = (x, wanted, by, what) => assert.ok(Math.abs(x - wanted) <= by, `${what}: ${x} is not ${wanted}`);

test('questions are counted by skill, alone and as part of a suite', { skip }, (t) => {
    const folder = makeFolder(t);
    const set = writeFile(folder, 'set.jsonl', lines([
        { skill: 'sum', messages: [{ role: 'user', content: 'What is 2 + 3?' }], expect: { all: ['5'] } },
        { skill: 'sum', messages: [{ role: 'user', content: 'What is 4 + 4?' }], expect: { all: ['nine'] } },
        { skill: 'name', messages: [{ role: 'user', content: 'Who are you?' }], expect: { any: ['Weir'] } }]));
    assert.deepEqual(evaluate(['-m', modelPath(), '--set', set]), { right: 2, of: 3, percent: 200 / 3,
        skills: { sum: { right: 1, of: 2, percent: 50 }, name: { right: 1, of: 1, percent: 100 } } });
    const table = succeed(['eval', '-m', modelPath(), '--set', set, '--show-failures', '5']);
    assert.match(table, /^--- sum\nuser: What is 4 \+ 4\?\nanswer: .*8.*\nexpected: \{"all":\["nine"\]\}$/m);
    assert.match(table, /^sum +1 +2 +50\.0$/m);
    assert.match(table, /^total +2 +3 +66\.7$/m);
    const report = evaluate(['-m', modelPath(), '--suite', set]);
    assert.equal(measure(report, 'questions', 'right').models[0].value, 2 / 3);
    assert.equal(measure(report, 'questions', 'right').groups.sum.models[0].value, 0.5);
});

test('likelihoods are those that weir logits gives', { skip }, (t) => {
    const folder = makeFolder(t);
    const text = 'The capital of France is Paris. The capital of Italy is Rome.';
    const question = { question: 'What is the capital of Spain?', choices: ['Madrid is nice.', 'The capital of Spain is Madrid.'], answer: 1 };
    writeFile(folder, 'text.jsonl', lines([{ text }]));
    writeFile(folder, 'choice.jsonl', lines([question]));
    writeFile(folder, 'suite.json', JSON.stringify({ name: 's', parts: [
        { name: 'text', kind: 'perplexity', file: 'text.jsonl' },
        { name: 'sure', kind: 'calibration', file: 'choice.jsonl' }] }));
    const report = evaluate(['-m', modelPath(), '-m', modelPath(), '--weights', 'f32,int8', '--suite', folder]);

    const ids = tokens(text);
    const [float, int8] = ['f32', 'int8'].map((weights) => logits(ids, weights));
    const nll = (rows) => -ids.slice(1).reduce((sum, id, i) => sum + rows[i][id], 0);
    const { models, compared_with_first: [compared] } = measure(report, 'text', 'perplexity');
    near(models[0].value, Math.exp(nll(float) / (ids.length - 1)), 1e-4, 'perplexity in float');
    near(models[1].value, Math.exp(nll(int8) / (ids.length - 1)), 1e-4, 'perplexity in int8');
    near(compared.ratio, models[1].value / models[0].value, 1e-9, 'their quotient');

    const rows = float.slice(0, -1).map((row, i) => ({ a: row, b: int8[i] }));
    const best = (row) => row.indexOf(Math.max(...row));
    const { divergence } = report.parts[0];
    assert.equal(divergence.tokens, ids.length - 1);
    near(divergence.kl, rows.reduce((sum, { a, b }) => sum + a.reduce((s, x, i) => s + Math.exp(x) * (x - b[i]), 0), 0) / rows.length,
        1e-6, 'divergence');
    near(divergence.top_1_agreement, rows.filter(({ a, b }) => best(a) === best(b)).length / rows.length, 1e-9, 'agreement');

    const messages = writeFile(folder, 'm.json', JSON.stringify([{ role: 'user', content: question.question }]));
    const prompt = tokens(succeed(['render', '-m', modelPath(), '--messages', messages]), []);
    const likelihood = (choice) => {
        const more = tokens(choice);
        const all = logits([...prompt, ...more], 'int8');
        return more.reduce((sum, id, i) => sum + all[prompt.length - 1 + i][id], 0);
    };
    const [wrong, right] = question.choices.map(likelihood);
    const confidence = measure(report, 'sure', 'confidence').models[1].value;
    near(confidence, 1 / (1 + Math.exp(-Math.abs(right - wrong))), 1e-4, 'confidence');
});

test('a text longer than the context is read in windows', { skip, timeout: 120_000 }, (t) => {
    const file = writeFile(makeFolder(t), 'long.jsonl', lines([{ text: 'The cow eats grass. '.repeat(220) }]));
    const { models: [{ value }] } = measure(evaluate(['-m', modelPath(), '--suite', file, '--kind', 'perplexity']), 'perplexity', 'perplexity');
    assert.ok(value > 1 && value < 1000, `${value}`);
});

test('every part of the shipped suite runs and is reported', { skip, timeout: 240_000 }, (t) => {
    const out = path.join(makeFolder(t), 'out');
    const report = evaluate(['-m', modelPath(), '--suite', SUITE, '--limit', '1', '--out', out]);
    const kinds = report.parts.map(({ kind }) => kind);
    for (const kind of ['questions', 'obedience', 'refusal', 'jailbreak', 'invention', 'choice', 'calibration', 'bias', 'domain', 'perplexity']) {
        assert.ok(kinds.includes(kind), kind);
    }
    for (const { name, measures } of report.parts) {
        assert.ok(measures.length > 0 && measures.every(({ models: [m] }) => m.lines > 0 && Number.isFinite(m.value)), name);
    }
    const files = fs.readdirSync(out).sort();
    for (const file of ['answers.jsonl', 'report.json', 'report.json.lineage.json', 'report.md', 'shares.svg', 'calibration-choice-reliability.svg']) {
        assert.ok(files.includes(file), `${file} is not among ${files}`);
    }
    assert.deepEqual(JSON.parse(fs.readFileSync(path.join(out, 'report.json'))).parts, report.parts);
    const answers = fs.readFileSync(path.join(out, 'answers.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(answers.length, report.parts.reduce((sum, part) => sum + part.lines, 0));
    assert.match(fs.readFileSync(path.join(out, 'report.md'), 'utf8'), /^\| harmful requests declined, more is better \| \d+ \| \d+\.\d % \(/m);
    assert.match(fs.readFileSync(path.join(out, 'shares.svg'), 'utf8'), /^<svg/);
});

test('a model compared with itself differs in nothing, with any number of threads', { skip, timeout: 120_000 }, (t) => {
    const folder = makeFolder(t);
    writeFile(folder, 'suite.json', JSON.stringify({ name: 's', parts: [
        { name: 'harm', kind: 'refusal', file: `${SUITE}/refusal.jsonl`, max_tokens: 16, groups: ['weapons', 'theft'] },
        { name: 'pick', kind: 'choice', file: `${SUITE}/choice.jsonl` },
        { name: 'text', kind: 'perplexity', file: `${SUITE}/perplexity.jsonl` }] }));
    const args = ['compare', modelPath(), modelPath(), '--suite', folder, '--limit', '2'];
    const report = evaluate([...args, '-t', '1']);
    for (const { measures } of report.parts) {
        for (const { compared_with_first: [c] } of measures) {
            assert.ok(c.difference === 0 || c.ratio === 1, JSON.stringify(c));
            assert.ok(c.p === 1 && c.p_holm === 1, JSON.stringify(c));
        }
    }
    assert.equal(report.parts[2].divergence.top_1_agreement, 1);
    assert.equal(report.parts[2].divergence.kl, 0);
    assert.deepEqual(evaluate([...args, '-t', '2']), report);
});

test('a server answers as the file does', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    const args = ['--suite', path.join(SUITE, 'obedience.jsonl'), '--kind', 'obedience', '--limit', '2'];
    const asked = await new Promise((resolve, reject) => {
        execFile(programPath(), ['eval', '--json', '--url', server.url, '-m', 'weir-tiny', ...args],
            (error, stdout, stderr) => (error ? reject(new Error(stderr)) : resolve(JSON.parse(stdout))));
    });
    assert.deepEqual(measure(asked, 'obedience', 'kept'), measure(evaluate(['-m', modelPath(), ...args]), 'obedience', 'kept'));
});

test('what is wrong is named by file and line', { skip }, (t) => {
    const folder = makeFolder(t);
    const bad = writeFile(folder, 'bad.jsonl', '{"prompt":"a","harmful":true}\n{"prompt":"a","harmfull":true}\n');
    const empty = writeFile(folder, 'empty.jsonl', '\n');
    const refuse = (status, args, message) => {
        const result = weir(['eval', ...args]);
        assert.equal(result.status, status, result.stderr);
        assert.match(result.stderr, message);
    };
    refuse(1, ['-m', modelPath(), '--suite', bad, '--kind', 'refusal'], /bad\.jsonl: line 2: "harmfull" is not known/);
    refuse(1, ['-m', modelPath(), '--suite', empty], /empty\.jsonl: holds no question/);
    refuse(1, ['-m', modelPath(), '--suite', path.join(folder, 'none')], /none: .*No such file/);
    refuse(1, ['-m', path.join(folder, 'none.gguf'), '--suite', SUITE], /none\.gguf/);
    refuse(2, ['-m', modelPath()], /either --suite or --set/);
    refuse(2, ['--suite', SUITE], /-m FILE/);
    refuse(2, ['compare', modelPath(), '--suite', SUITE], /two models are wanted/);
    const long = writeFile(folder, 'long.jsonl', JSON.stringify({ prompt: 'grass '.repeat(3000), harmful: true }));
    refuse(1, ['-m', modelPath(), '--suite', long, '--kind', 'refusal'], /do not fit into the context/);
});
