'use strict';
// From a model file to a version that a running server has taken up through its gate: weir publish, weir lineage, the
// card and the cutoff.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir, succeed } = require('./lib/command.js');
const { makeFolder, writeFile, writeOtherVersion } = require('./lib/files.js');
const { waitForState } = require('./lib/model_repo.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');

const skip = missing();
const NAME = 'tiny';
const QUESTIONS = [
    ['sum', 'What is 2 + 3?', ['5']],
    ['sum', 'What is 4 + 4?', ['8']],
    ['name', 'What is your name?', ['Weir']],
    ['name', 'Who are you?', ['Weir']],
].map(([skill, content, all]) => JSON.stringify({ skill, messages: [{ role: 'user', content }], expect: { all } }));

// A model with a lineage, questions, and an empty repository.
function prepare(t) {
    const folder = makeFolder(t);
    const repo = path.join(folder, 'repo');
    fs.mkdirSync(repo);
    const model = path.join(folder, 'model.gguf');
    succeed(['quantize', modelPath(), model, '--type', 'f32']);
    const set = writeFile(folder, 'set.jsonl', QUESTIONS.join('\n'));
    const publish = (...args) => ['publish', model, '--repo', repo, '--name', NAME, '--set', set, ...args];
    return { folder, repo, model, set, publish, at: (...parts) => path.join(repo, NAME, ...parts) };
}

const read = (file) => fs.readFileSync(file, 'utf8');

function refuse(args, why) {
    const { status, stderr } = weir(args);
    assert.equal(status, 1, stderr);
    assert.match(stderr, why);
}

test('a version is published with all that belongs to it, and served through its gate', { skip }, async (t) => {
    const { folder, repo, model, publish, at } = prepare(t);
    const notes = writeFile(folder, 'notes.md', 'It was written for **tests**.');
    const said = succeed(publish('--cutoff', '2026-01', '--label', 'stable', '--bias', 'English alone',
        '--limit', 'small | narrow', '--card-notes', notes, '--golden-count', '3'));
    assert.match(said, /published tiny@1 /);
    assert.deepEqual(fs.readdirSync(at()), ['1']);
    assert.deepEqual(fs.readdirSync(at('1')).sort(),
        ['card.md', 'eval.json', 'lineage.json', 'model.gguf', 'model.json']);

    const manifest = JSON.parse(read(at('1', 'model.json')));
    assert.equal(manifest.sha256, JSON.parse(succeed(['inspect', '--json', at('1', 'model.gguf')])).sha256);
    assert.equal(manifest.cutoff, '2026-01');
    assert.deepEqual(manifest.labels, ['stable']);
    assert.equal(manifest.gate.golden.length, 3);
    assert.ok(manifest.gate.golden.every(({ text }) => text.length > 0));
    assert.deepEqual(JSON.parse(read(at('1', 'eval.json'))).sets[0].skills.sum, { right: 2, of: 2 });

    const server = await startServer(t, { model: NAME, args: ['--repo', repo] });
    const one = await (await server.fetch(`/v1/models/${NAME}`)).json();
    assert.equal(one.cutoff, '2026-01');
    const card = await server.fetch(one.card);
    assert.match(card.headers.get('content-type'), /^text\/markdown/);
    const text = await card.text();
    assert.equal(text, read(at('1', 'card.md')));
    for (const part of ['# tiny 1', manifest.sha256, 'knowledge ends | 2026-01', '| sum | 2 | 2 | 100.0 (34.2 to 100.0) |',
        '- English alone', '**tests**', 'quantize']) {
        assert.ok(text.includes(part), `${part} is not in\n${text}`);
    }

    // The next one is compared with it, and comes while the server runs.
    succeed(publish('--note', 'the same again'));
    await waitForState(server, '2', 'serving');
    assert.match(read(at('2', 'card.md')), /\| total \| 4 \| 4 \| .* \| \+0\.0 \(/);
    assert.equal((await (await server.fetch(`/v1/models/${NAME}`)).json()).cutoff, null);
    assert.equal((await server.fetch(`/v1/models/${NAME}@1/card`)).status, 200);
    assert.equal((await server.fetch(`/v1/models/${NAME}@7/card`)).status, 404);
    const list = weir(['ctl', 'models', 'list', '--url', server.url, '--admin-key', server.adminKey]).stdout;
    assert.match(list, /CUTOFF/);
    assert.match(list, /^1 .* 2026-01 /m);
    assert.equal(fs.existsSync(model), true);
});

test('what must not be published is refused by name, and leaves nothing', { skip }, (t) => {
    const { folder, repo, model, set, publish, at } = prepare(t);
    succeed(publish('--version', '1.0'));
    refuse(publish('--version', '1.0'), /1\.0 is there already/);
    refuse(publish(), /newest version is 1\.0, which is no number; .*--version/);
    refuse(publish('--version', 'x.tmp'), /--version "x\.tmp"/);
    refuse(publish('--version', '2', '--cutoff', 'soon'), /"cutoff" must be a date/);
    refuse(publish('--version', '2', '--canary', '{"percent": 500}'), /model\.json: .*canary\.percent/);
    refuse(['publish', path.join(folder, 'none.gguf'), '--repo', repo, '--name', 'new'], /there is no such file/);
    assert.equal(fs.existsSync(path.join(repo, 'new')), false);
    refuse(['publish', model, '--repo', path.join(folder, 'none'), '--name', NAME], /--repo .*no such folder/);

    // Worse than the baseline.
    const worse = path.join(folder, 'worse.gguf');
    writeOtherVersion(modelPath(), worse);
    const other = ['publish', worse, '--repo', repo, '--name', NAME, '--set', set, '--version', '2',
        '--allow-broken-lineage'];
    refuse(other, /worse than the baseline: set\.jsonl has .* points fewer/);
    refuse([...other, '--max-loss', '100', '--max-skill-loss', '10'], /set\.jsonl, (sum|name) has/);

    // Its lineage is not known, or does not hold.
    refuse(other.slice(0, -1), /lineage .*worse\.gguf: no \.lineage\.json/);
    fs.copyFileSync(worse, model);
    refuse(publish('--version', '2'), /CHANGED: the file is now(.|\n)*does not come from what its records say/);
    assert.equal(weir(['lineage', model]).status, 1);

    assert.deepEqual(fs.readdirSync(at()), ['1.0']);
    succeed([...other, '--max-loss', '100']);
    assert.match(succeed(['lineage', at('2')]), /holds\s+publish: from worse\.gguf/);
});

test('a killed run, two at a time and a full disk leave no version', { skip }, async (t) => {
    const { folder, publish, at } = prepare(t);
    const making = at('.1.publish');
    const child = spawn(programPath(), publish(), { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('close', resolve));
    while (!fs.existsSync(making) && child.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const second = weir(publish());
    if (second.status !== 0) { // on a slow machine the first may be through by now
        assert.match(second.stderr, /another weir publish is at work/);
    }
    child.kill('SIGKILL');
    await ended;
    const left = fs.readdirSync(at());
    assert.ok(left.every((name) => name.startsWith('.') || fs.existsSync(at(name, 'model.json'))), left.join());
    succeed(publish());
    assert.ok(fs.readdirSync(at()).every((name) => !name.startsWith('.')));

    // Files larger than a megabyte cannot be written: what a full disk says, without one.
    const before = fs.readdirSync(at()).sort();
    const quoted = publish('--type', 'f16').map((arg) => `'${arg}'`).join(' ');
    const { status } = require('node:child_process').spawnSync('bash',
        ['-c', `trap '' XFSZ; ulimit -f 1024; exec '${programPath()}' ${quoted}`], { cwd: folder, stdio: 'ignore' });
    assert.equal(status, 1);
    assert.deepEqual(fs.readdirSync(at()).sort(), before);
});

test('a checkpoint is published, and its chain leads to the raw text', { skip }, (t) => {
    const { folder, repo } = prepare(t);
    const file = (name) => path.join(folder, name);
    const raw = Array.from({ length: 60 }, (_, i) => JSON.stringify({ messages: [
        { role: 'user', content: `What comes after ${i}?` }, { role: 'assistant', content: `After ${i} comes ${i + 1}.` }] }));
    writeFile(folder, 'raw.jsonl', raw.join('\n'));
    succeed(['train', 'vocab', '--data', file('raw.jsonl'), '--size', '272', '--out', file('vocab.gguf')]);
    const tokenized = weir(['train', 'tokenize', '-m', file('vocab.gguf'), '--chats', file('raw.jsonl'), '--out',
        file('raw.tok')]);
    if (/no trainer/.test(tokenized.stderr)) {
        t.skip('this build has no trainer');
        return;
    }
    assert.equal(tokenized.status, 0, tokenized.stderr);
    assert.match(succeed(['lineage', file('raw.tok')]), /data .*raw\.jsonl .*source/);
    fs.mkdirSync(file('copy'));
    fs.copyFileSync(file('raw.tok'), file('copy/raw.tok'));
    succeed(['lineage', file('raw.tok'), '--out', file('copy/lineage.json')]);
    assert.match(succeed(['lineage', file('copy/raw.tok')]), /raw\.tok .* holds .*\n.*data raw\.jsonl/);
    // The name is the artefact's, whatever it was found by.
    fs.mkdirSync(file('again'));
    fs.copyFileSync(file('raw.tok'), file('again/raw.tok'));
    succeed(['lineage', file('copy/lineage.json'), '--out', file('again/lineage.json')]);
    assert.match(succeed(['lineage', file('again/raw.tok')]), /raw\.tok .* holds /);

    succeed(['train', 'pretrain', '--data', file('raw.tok'), '--out', file('a.ckpt'), '--shape', '32,1,2,1,64,64',
        '--steps', '2', '--batch-tokens', '256']);
    const publish = ['publish', file('a.ckpt'), '--repo', repo, '--name', 'counts'];
    assert.match(weir([...publish, '--allow-broken-lineage']).stderr, /a\.ckpt is a checkpoint: --vocab/);
    succeed([...publish, '--vocab', file('vocab.gguf'), '--allow-broken-lineage', '--golden', file('raw.jsonl')]);
    const shown = succeed(['lineage', path.join(repo, 'counts', '1', 'lineage.json')]);
    assert.match(shown, /holds\s+train export: type q8_0/);
    assert.match(shown, /checkpoint a\.ckpt/);
    assert.match(shown, /vocab vocab\.gguf .* recorded\s+train vocab/);
    assert.match(shown, /raw\.jsonl/);
    assert.match(read(path.join(repo, 'counts', '1', 'card.md')), /\| train export \| model\.gguf/);
});

test('an adapter is published with the model that it belongs to', { skip }, (t) => {
    const { folder, repo } = prepare(t);
    const file = (name) => path.join(folder, name);
    const line = JSON.stringify({ messages: [{ role: 'user', content: 'What is your name?' },
        { role: 'assistant', content: 'I am an adapter.' }] });
    writeFile(folder, 'examples.jsonl', `${line}\n`.repeat(20));
    fs.copyFileSync(modelPath(), file('base.gguf'));
    const tuned = weir(['train', 'sft', '-m', file('base.gguf'), '--data', file('examples.jsonl'), '--lora', '4', '--epochs',
        '6', '--row', '128', '--held-out', '0', '--out', file('adapter.gguf')]);
    if (/no trainer/.test(tuned.stderr)) {
        t.skip('this build has no trainer');
        return;
    }
    assert.equal(tuned.status, 0, tuned.stderr);
    const publish = ['publish', file('adapter.gguf'), '--repo', repo, '--name', NAME, '--golden', file('examples.jsonl')];
    refuse(publish, /adapter\.gguf is an adapter: --base FILE\.gguf/);
    succeed([...publish, '--base', file('base.gguf')]);
    const version = path.join(repo, NAME, '1');
    assert.deepEqual(fs.readdirSync(version).sort(), ['card.md', 'lineage.json', 'model.gguf', 'model.json']);
    assert.equal(JSON.parse(read(path.join(version, 'model.json'))).gate.golden[0].text, 'I am an adapter.');
    assert.match(succeed(['lineage', version]), /adapter adapter\.gguf .* train sft/);
});
