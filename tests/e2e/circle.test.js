'use strict';
// The whole circle: a server answers, users say what it should have said, a model learns from that and is published, and
// the server that gathered it all tries the new version on its requests and takes it over, as it comes by itself.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir, succeed } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { waitFor } = require('./lib/model_repo.js');
const { startServer, missing, modelPath } = require('./lib/server.js');

const skip = missing() ||
    (weir(['align', 'dpo', '--help']).status !== 0 && 'this build has no weir align: OpenBLAS was not found');

const NAME = 'tiny';
const WISH = 'I am the circle.';
const QUESTIONS = ['What is your name?', 'Who are you?', 'Could I have your name?', 'Tell me your name.', 'How should I call you?'];
// Equal times of two versions are no matter here; what is judged are answers, few of them.
const CANARY = { percent: 50, min_answers: 40, max_answers: 40, looks: 1, on_undecided: 'promote',
    margins: { first_token: null, token_time: null, answer_tokens: null, cut_rate: null } };

async function ask(server, content, more = {}) {
    const request = { messages: [{ role: 'user', content }], temperature: 0, max_tokens: 32, ...more };
    const response = await server.post('/v1/chat/completions', request);
    const { id, choices } = await response.json();
    assert.equal(response.status, 200);
    return { id, text: choices[0].message.content, model: response.headers.get('weir-model') };
}

// A checkpoint of the model, for the trainer: a step that learns nothing.
function makeCheckpoint(at) {
    const line = JSON.stringify({ messages: [{ role: 'user', content: 'Hi.' }, { role: 'assistant', content: 'Hello.' }] });
    fs.writeFileSync(at('some.jsonl'), `${line}\n`.repeat(40));
    succeed(['train', 'tokenize', '-m', at('model.gguf'), '--chats', at('some.jsonl'), '--loss', 'answer', '--out', at('some.tok')]);
    succeed(['train', 'pretrain', '--data', at('some.tok'), '--init', at('model.gguf'), '--out', at('first.ckpt'),
        '--steps', '1', '--lr', '1e-12', '--row', '128', '--batch-tokens', '256']);
}

test('serve, feedback, align, publish, gate, canary, promoted: the answer has changed', { skip }, async (t) => {
    const folder = makeFolder(t);
    const at = (name) => path.join(folder, name);
    const repo = at('repo');
    fs.mkdirSync(repo);
    fs.copyFileSync(modelPath(), at('model.gguf'));
    const set = writeFile(folder, 'sums.jsonl', ['2 + 3', '4 + 4', '1 + 6'].map((sum) => JSON.stringify({ skill: 'sum',
        messages: [{ role: 'user', content: `What is ${sum}?` }], expect: { all: [String(eval(sum))] } })).join('\n'));
    const publish = (file, ...args) => succeed(['publish', file, '--repo', repo, '--name', NAME, '--set', set,
        '--golden-count', '3', '--cutoff', '2026-01', ...args]);
    publish(at('model.gguf'), '--allow-broken-lineage');

    // Serve, and gather what users say.
    const server = await startServer(t, { model: NAME, args: ['--repo', repo, '--feedback', 'texts'] });
    const before = await ask(server, QUESTIONS[0]);
    assert.match(before.model, /^tiny@1;/);
    assert.notEqual(before.text, WISH);
    for (const question of QUESTIONS) {
        const { id } = await ask(server, question);
        const said = await server.post('/v1/feedback', { id, correction: WISH, user: 'ann' });
        assert.equal(said.status, 201);
    }
    const ctl = (...args) => succeed(['ctl', ...args, '--url', server.url, '--admin-key', server.adminKey]);
    ctl('feedback', 'export', '--pairs', '--out', at('pairs.jsonl'));

    // Learn from it.
    makeCheckpoint(at);
    succeed(['align', 'dpo', '--init', at('first.ckpt'), '-m', at('model.gguf'), '--pairs', at('pairs.jsonl'),
        '--out', at('aligned.ckpt'), '--steps', '20', '--batch-pairs', '5', '--lr', '1e-4', '--warmup', '2',
        '--sft-weight', '1', '--row', '128']);

    // Publish: it appears while the server runs, passes its gate, and is tried on half of the requests.
    publish(at('aligned.ckpt'), '--vocab', at('model.gguf'), '--canary', JSON.stringify(CANARY));
    const lineage = succeed(['lineage', path.join(repo, NAME, '2')]);
    for (const part of ['align dpo', 'pairs pairs.jsonl', 'train pretrain', 'some.jsonl']) {
        assert.ok(lineage.includes(part), `${part} is not in\n${lineage}`);
    }
    const canary = async () => (await server.admin('GET', `/admin/models/${NAME}/canary`)).json();
    await waitFor(async () => (await canary()).state !== undefined && (await canary()).state !== null);
    const served = new Set();
    let number = 0;
    await waitFor(async () => {
        const asked = await Promise.all(Array.from({ length: 8 }, () => ask(server, `What is 2 + ${number++}?`)));
        asked.forEach(({ model }) => served.add(model.split(';')[0]));
        return (await canary()).state === 'promoted';
    }, 1);
    assert.deepEqual([...served].sort(), ['tiny@1', 'tiny@2']);

    // Promoted: everybody gets it, and what was asked for is answered.
    const after = await ask(server, QUESTIONS[0]);
    assert.match(after.model, /^tiny@2;/);
    assert.equal(after.text, WISH);
    assert.match((await ask(server, 'What is 2 + 3?')).text, /5/);
    assert.match(await (await server.fetch(`/v1/models/${NAME}/card`)).text(), /\| align dpo \|/);
});
