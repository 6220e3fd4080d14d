'use strict';
// weir curate: raw text to training data, with the real program.

const assert = require('node:assert/strict');
const { execFile, spawn, spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeFile } = require('./lib/files.js');
const { programPath } = require('./lib/server.js');

const skip = fs.existsSync(programPath()) ? false : `${programPath()} is not built`;
// Token files are the trainer's.
const noTrainer = skip || (/no trainer because OpenBLAS/.test(spawnSync(programPath(), ['train', 'tokenize', '--help']).stderr)
    && 'built without OpenBLAS');

function run(args, options = {}) {
    return new Promise((resolve) => {
        execFile(programPath(), args, { timeout: 240_000, maxBuffer: 1 << 28, ...options },
            (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }));
    });
}

const lines = (file) => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const sha256 = (file) => crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');

// Conversations that differ from each other, with a repeat now and then.
function conversations(n) {
    const word = (i) => `w${(i * 7919) % 99991}`;
    return Array.from({ length: n }, (_, i) => {
        const k = i % 10 === 9 ? i - 5 : i;
        const content = Array.from({ length: 20 }, (_unused, j) => word(k * 20 + j)).join(' ');
        return JSON.stringify({ messages: [{ role: 'user', content: `What is ${content}?` }, { role: 'assistant', content: `It is ${content}.` }] });
    }).join('\n');
}

// Everything but times: the sidecars say when they were made.
function contents(folder) {
    return fs.readdirSync(folder).filter((name) => !name.endsWith('.lineage.json')).sort()
        .map((name) => `${name} ${sha256(path.join(folder, name))}`).join('\n');
}

test('from raw text to token files, with a manifest that is true', { skip: noTrainer }, async (t) => {
    const folder = makeFolder(t);
    const data = writeFile(folder, 'chats.jsonl', `${conversations(200)}\n{"text": broken}\n`);
    const prose = writeFile(folder, 'prose.txt', 'The lake was quiet that morning.\n\nNobody had come yet.\n');
    const evaluation = writeFile(folder, 'eval.jsonl', `${conversations(1)}\n`);
    const vocab = path.join(folder, 'vocab.gguf');
    const out = path.join(folder, 'out');
    assert.equal((await run(['train', 'vocab', '--data', writeFile(folder, 'v.jsonl', conversations(50)), '--size', '320', '--out', vocab])).status, 0);
    const { status, stderr } = await run(['curate', data, prose, '--out', out, '--split-on', 'blank', '--exclude', evaluation,
        '--heldout', '0.2', '--quality', 'off', '--vocab', vocab, '--shard-tokens', '4000']);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^read 203 documents, /m);
    assert.match(stderr, /^dropped 20: exact$/m);
    assert.match(stderr, /^dropped 1: leak$/m);

    const manifest = JSON.parse(fs.readFileSync(path.join(out, 'manifest.json'), 'utf8'));
    const { documents } = manifest;
    assert.equal(documents.train + documents.heldout + documents.malformed + documents.exact + documents.leak, documents.read);
    assert.ok(documents.heldout > 10);
    for (const { file, sha256: hash } of [...manifest.inputs, ...manifest.excluded]) {
        assert.equal(sha256(file), hash);
    }
    for (const { file, sha256: hash, bytes } of manifest.outputs) {
        assert.equal(sha256(path.join(out, file)), hash, file);
        assert.equal(fs.statSync(path.join(out, file)).size, bytes);
    }
    assert.equal(lines(path.join(out, 'train.jsonl')).length, documents.train);
    const malformed = lines(path.join(out, 'dropped.jsonl')).find(({ step }) => step === 'malformed');
    assert.match(malformed.error, /chats\.jsonl:201: /);
    const shards = manifest.outputs.filter(({ file }) => /^train-\d{5}\.tok$/.test(file));
    assert.ok(shards.length > 1);
    assert.equal(shards.reduce((sum, shard) => sum + shard.documents, 0), documents.train);

    const lineage = await run(['lineage', path.join(out, shards[1].file)]);
    assert.equal(lineage.status, 0, lineage.stderr);
    assert.match(lineage.stdout, /chats\.jsonl/);
});

test('no held-out document has a twin among the others', { skip }, async (t) => {
    const folder = makeFolder(t);
    const data = writeFile(folder, 'chats.jsonl', conversations(400));
    const out = path.join(folder, 'out');
    const { status, stderr } = await run(['curate', data, '--out', out, '--no-exact', '--no-near', '--heldout', '0.3', '--quality', 'off']);
    assert.equal(status, 0, stderr);
    const train = new Set(lines(path.join(out, 'train.jsonl')).map((line) => JSON.stringify(line)));
    const heldout = lines(path.join(out, 'heldout.jsonl')).map((line) => JSON.stringify(line));
    assert.ok(heldout.length > 50 && new Set(heldout).size < heldout.length, 'twins are held out together');
    assert.deepEqual(heldout.filter((line) => train.has(line)), []);
});

test('killed, and run again: the same result as without', { skip }, async (t) => {
    const folder = makeFolder(t);
    const data = writeFile(folder, 'chats.jsonl', conversations(5000));
    const args = ['curate', data, '--heldout', '0.1', '--quality', 'off'];
    const whole = path.join(folder, 'whole');
    const out = path.join(folder, 'out');
    assert.equal((await run([...args, '--out', whole, '--threads', '1'])).status, 0);
    for (const ms of [30, 100, 250]) {
        const child = spawn(programPath(), [...args, '--out', out, '--replace'], { stdio: 'ignore' });
        const ended = new Promise((resolve) => child.on('exit', resolve));
        setTimeout(() => child.kill('SIGKILL'), ms);
        await ended;
        // There whole, or not at all.
        assert.ok(!fs.existsSync(out) || contents(out) === contents(whole));
    }
    const { status, stderr } = await run([...args, '--out', out, '--replace', '--threads', '3']);
    assert.equal(status, 0, stderr);
    assert.equal(contents(out), contents(whole));
    assert.ok(!fs.existsSync(`${out}.partial`));
});

test('a disk that is full: an error that says so, and no result', { skip: skip || !fs.existsSync('/bin/bash') }, async (t) => {
    const folder = makeFolder(t);
    const data = writeFile(folder, 'chats.jsonl', conversations(3000));
    const out = path.join(folder, 'out');
    // A limit on the size of files fails a write as a full disk does.
    const { status, stderr } = await new Promise((resolve) => {
        execFile('/bin/bash', ['-c', `trap '' XFSZ; ulimit -f 100; exec "$0" "$@"`, programPath(), 'curate', data, '--out', out, '--quality', 'off'],
            (error, stdout, text) => resolve({ status: error ? error.code : 0, stderr: text }));
    });
    assert.equal(status, 1);
    assert.match(stderr, /train\.jsonl: cannot write: File too large/);
    assert.ok(!fs.existsSync(out) && !fs.existsSync(`${out}.partial`));
});

test('dirt of weir-tiny\'s generator is found', { skip }, async (t) => {
    const generator = path.join(path.dirname(programPath()), 'models/weir-tiny/corpus/weir-tiny-corpus');
    if (!fs.existsSync(generator)) {
        t.skip(`${generator} is not built`);
        return;
    }
    const folder = makeFolder(t);
    const at = (name) => path.join(folder, name);
    const generate = (args) => new Promise((resolve, reject) => {
        execFile(generator, args, (error) => (error ? reject(error) : resolve()));
    });
    await generate(['--conversations', '1500', '--documents', '500', '--dirt', '20', '--dirt-split', 'heldout', '--leak-items', '20', '--out', at('dirty.jsonl')]);
    await generate(['--split', 'heldout', '--seed', '2', '--conversations', '20', '--out', at('eval.jsonl')]);
    const { status, stdout, stderr } = await run(['curate', at('dirty.jsonl'), '--out', at('out'), '--exclude', at('eval.jsonl'),
        '--language', 'en', '--filters', 'default', '--labels']);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^leak\.whole +\d+ +\d+ +\d+ +100\.0 %$/m);
    const { labels } = JSON.parse(fs.readFileSync(at('out/labels.json'), 'utf8'));
    const recall = (kind) => {
        const of = labels.filter(({ label }) => label.split('.')[0] === kind);
        const sum = (key) => of.reduce((n, label) => n + label[key], 0);
        return sum('found') / sum('planted');
    };
    assert.equal(recall('exact_duplicate'), 1);
    assert.equal(recall('leak'), 1);
    for (const [kind, least] of [['near_duplicate', 0.75], ['other_language', 0.85], ['junk', 0.7], ['personal', 0.7], ['spam', 0.3]]) {
        assert.ok(recall(kind) >= least, `${kind}: ${recall(kind)}`);
    }
    assert.ok(recall('clean') < 0.05, `clean: ${recall('clean')}`);
});

test('mistakes on the command line are named', { skip }, async (t) => {
    const folder = makeFolder(t);
    const data = writeFile(folder, 'a.jsonl', '{"text":"Some words are here."}\n');
    const out = path.join(folder, 'out');
    for (const [args, status, message] of [
        [[], 2, /inputs and --out are needed/],
        [[data, '--out', out, '--quality', 'best'], 2, /--quality "best": must be short, web or off/],
        [[data, '--out', out, '--bound', 'length<=3'], 2, /--bound "length<=3"/],
        [[data, '--out', out, '--shingle', 'words:0'], 2, /--shingle "words:0"/],
        [[data, '--out', out, '--near-threshold', '2'], 2, /--near-threshold: must be/],
        [[data, '--out', out, '--language', 'klingon'], 1, /--language "klingon"/],
        [[path.join(folder, 'none.jsonl'), '--out', out], 1, /none\.jsonl: .*No such file/],
        [[data, '--out', out, '--vocab', data], 1, /a\.jsonl|no OpenBLAS/],
    ]) {
        const result = await run(['curate', ...args]);
        assert.equal(result.status, status, result.stderr);
        assert.match(result.stderr, message);
        assert.ok(!fs.existsSync(out));
    }
    assert.match((await run(['curate', '--list'])).stdout, /^mean_word +1 to 14 +3 to 10 .*\n[^]*\nlanguages: en de fr/m);
});
