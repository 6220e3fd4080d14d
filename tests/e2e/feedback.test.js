'use strict';
// What users say of answers: POST /v1/feedback, what is kept of it and what is not, and the pairs that come of it.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir } = require('./lib/command.js');
const { makeFolder } = require('./lib/files.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');

const skip = missing();

const ask = async (server, content, { key, ...more } = {}) => {
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    const messages = [{ role: 'user', content }];
    const answer = await server.post('/v1/chat/completions', { messages, temperature: 0, ...more }, { headers });
    const { id, choices } = await answer.json();
    return { id, messages, text: choices[0].message.content, texts: choices.map(({ message }) => message.content) };
};

async function say(server, value, key) {
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    const answer = await server.post('/v1/feedback', value, { headers });
    return { status: answer.status, body: await answer.json(), headers: answer.headers };
}

const list = async (server, query = '') =>
    (await (await server.admin('GET', `/admin/feedback?${query}`)).json()).feedback;

const ctl = (server, ...args) =>
    weir(['ctl', 'feedback', ...args, '--url', server.url, '--admin-key', server.adminKey]);

const lines = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));

test('texts: feedback by id alone becomes pairs and labels', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--feedback', 'texts'] });
    const corrected = await ask(server, 'What is 2 + 3?');
    const disliked = await ask(server, 'What is your name?');
    const two = await ask(server, 'Tell me a story.', { n: 2, temperature: 1.5, seed: 3 });
    assert.notEqual(two.texts[0], two.texts[1]);

    const first = await say(server, { id: corrected.id, correction: 'It is "five".', user: 'ann', comment: 'in words' });
    assert.equal(first.status, 201);
    assert.match(first.body.id, /^fb-[0-9a-f]{24}$/);
    assert.equal(first.body.object, 'feedback');
    assert.equal(first.body.answer, corrected.id);
    assert.equal((await say(server, { id: disliked.id, thumb: 'down', user: 'bob' })).status, 201);
    assert.equal((await say(server, { id: two.id, choice: 1, over: { id: two.id, choice: 0 }, user: 'ann' })).status, 201);

    const pairs = [
        { messages: corrected.messages, chosen: 'It is "five".', rejected: corrected.text },
        { messages: two.messages, chosen: two.texts[1], rejected: two.texts[0] },
    ];
    assert.deepEqual(lines(ctl(server, 'export', '--pairs').stdout), pairs);
    const label = { messages: disliked.messages, answer: disliked.text, label: false };
    assert.deepEqual(lines(ctl(server, 'export').stdout), [pairs[0], label, pairs[1]]);
    assert.deepEqual(lines(ctl(server, 'export', '--user', 'bob').stdout), [label]);
    const file = path.join(makeFolder(t), 'pairs.jsonl');
    assert.match(ctl(server, 'export', '--pairs', '--out', file).stderr, /2 examples/);
    assert.deepEqual(lines(fs.readFileSync(file, 'utf8')), pairs);

    // Page by page, as ctl reads it.
    const page = await (await server.admin('GET', '/admin/feedback/export?limit=2')).json();
    assert.equal(page.examples.length, 2);
    const rest = await (await server.admin('GET', `/admin/feedback/export?after=${page.next}`)).json();
    assert.deepEqual([rest.examples.length, rest.next], [1, null]);

    const rows = await list(server);
    assert.deepEqual(rows.map(({ user }) => user), ['ann', 'bob', 'ann']);
    assert.equal(rows[2].comment, 'in words');
    assert.match(rows[0].model, /^weir-tiny@/);
    assert.match(ctl(server, 'list').stdout, /correction +yes +in words/);

    // A user is forgotten.
    assert.equal(ctl(server, 'delete').status, 2);
    assert.equal(ctl(server, 'delete', '--user', 'ann').stdout, '2 deleted\n');
    assert.equal(ctl(server, 'delete', rows[1].id).stdout, '1 deleted\n');
    assert.deepEqual(await list(server), []);
});

test('every route gives ids that can be spoken of, streams too', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--feedback', 'texts'] });
    const messages = [{ role: 'user', content: 'What is 2 + 2?' }];
    const ids = [];
    ids.push((await (await server.post('/v1/completions', { prompt: 'Once there', max_tokens: 60, temperature: 0 })).json()).id);
    ids.push((await (await server.post('/v1/messages', { messages, max_tokens: 30, model: 'weir-tiny' })).json()).id);
    ids.push((await (await server.post('/v1/responses', { input: 'What is 2 + 2?' })).json()).id);
    const stream = await (await server.post('/v1/chat/completions', { messages, stream: true })).text();
    ids.push(/"id":"(chatcmpl-[^"]+)"/.exec(stream)[1]);
    for (const id of ids) {
        assert.equal((await say(server, { id, correction: 'So.' })).status, 201, id);
    }
    const pairs = lines(ctl(server, 'export', '--pairs').stdout);
    assert.ok(pairs.length >= 3, JSON.stringify(pairs)); // the first may have been cut, which makes no example
    assert.ok(pairs.every(({ messages: m, prompt }) => prompt === 'Once there' || m[0].content === 'What is 2 + 2?'));
});

test('ids: no content is kept but what the client sends', { skip }, async (t) => {
    const folder = makeFolder(t);
    const state = path.join(folder, 'state.db');
    const server = await startServer(t, { args: ['--feedback', 'ids', '--state', state] });
    const secret = 'zebra-crossing-47';
    const one = await ask(server, `What is ${secret}?`);
    assert.equal((await say(server, { id: one.id, thumb: 'up' })).status, 201);
    assert.equal((await say(server, { id: one.id, correction: 'A word.' })).status, 201);
    assert.equal(ctl(server, 'export').stdout, '');
    for (const name of fs.readdirSync(folder)) {
        assert.ok(!fs.readFileSync(path.join(folder, name)).includes(secret), name);
    }
    assert.equal(fs.statSync(`${state}.feedback`).mode & 0o777, 0o600);

    const whole = { id: one.id, correction: 'Stripes.', messages: one.messages, answer: one.text };
    assert.equal((await say(server, whole)).status, 201);
    assert.deepEqual(lines(ctl(server, 'export', '--pairs').stdout),
        [{ messages: one.messages, chosen: 'Stripes.', rejected: one.text }]);
    assert.equal((await say(server, { id: one.id, thumb: 'down', prompt: 'Once', answer: 'upon' })).status, 201);
    assert.deepEqual(lines(ctl(server, 'export').stdout)[1], { prompt: 'Once', answer: 'upon', label: false });
});

test('what is wrong is named, and off is off', { skip }, async (t) => {
    const off = await startServer(t);
    const refused = await say(off, { id: 'chatcmpl-1', thumb: 'up' });
    assert.deepEqual([refused.status, refused.body.error.code], [404, 'feedback_off']);
    assert.equal((await off.admin('GET', '/admin/feedback')).status, 404);

    const server = await startServer(t, { args: ['--feedback', 'texts', '--feedback-answers', '2'] });
    const a = await ask(server, 'What is 1 + 1?');
    const b = await ask(server, 'What is 2 + 2?');
    const wrong = async (value, status, param, message) => {
        const { status: was, body } = await say(server, value);
        assert.equal(was, status, JSON.stringify(body));
        assert.equal(body.error.param, param);
        assert.match(body.error.message, message);
    };
    await wrong({ id: a.id }, 400, 'thumb', /one of "thumb", "correction" and "over"/);
    await wrong({ thumb: 'up' }, 400, 'id', /"id" must be/);
    await wrong({ id: a.id, thumb: 'sideways' }, 400, 'thumb', /"up" or "down"/);
    await wrong({ id: a.id, thumb: 'up', stars: 5 }, 400, 'stars', /"stars" is not known/);
    await wrong({ id: a.id, thumb: 'up', choice: 1 }, 400, 'id', /has 1 choices/);
    await wrong({ id: a.id, over: a.id }, 400, 'over', /the same answer/);
    await wrong({ id: a.id, over: b.id }, 400, 'over', /no answers to the same messages/);
    await wrong({ id: a.id, over: b.id, correction: 'x' }, 400, 'over', /beside "correction"/);
    await wrong({ id: a.id, over: 'chatcmpl-none' }, 404, 'over', /no answer "chatcmpl-none" is known/);
    await wrong({ id: a.id, thumb: 'up', comment: 'x'.repeat(5000) }, 400, 'comment', /more than 4096 bytes/);
    await wrong({ id: a.id, thumb: 'up', messages: [{ role: 'user' }] }, 400, 'messages', /role and content/);
    assert.equal((await say(server, { id: 'chatcmpl-none', thumb: 'up' })).body.error.code, 'answer_not_found');
    await ask(server, 'What is 3 + 3?'); // the third: the first is forgotten
    await wrong({ id: a.id, thumb: 'up' }, 404, 'id', /is too old/);
    assert.equal((await say(server, { id: b.id, thumb: 'up' })).status, 201);
    assert.equal((await server.admin('DELETE', '/admin/feedback')).status, 400);
    assert.equal((await server.fetch('/admin/feedback')).status, 401);
});

test('a key speaks of its own answers alone', { skip }, async (t) => {
    const folder = makeFolder(t);
    const keys = path.join(folder, 'keys');
    const make = (...args) => weir(['keys', 'add', '--file', keys, ...args]).stdout.trim().split('\n').pop().split(' ').pop();
    const ann = make('--name', 'ann');
    const bob = make('--name', 'bob');
    const chats = make('--name', 'chats', '--scopes', 'chat');
    const server = await startServer(t, { args: ['--feedback', 'texts', '--api-key-file', keys] });
    const one = await ask(server, 'What is 1 + 1?', { key: ann });
    assert.equal((await say(server, { id: one.id, thumb: 'up' }, bob)).status, 404);
    assert.equal((await say(server, { id: one.id, thumb: 'up' }, chats)).status, 403);
    assert.equal((await say(server, { id: one.id, thumb: 'up' })).status, 401);
    assert.equal((await say(server, { id: one.id, thumb: 'up' }, ann)).status, 201);
    assert.equal((await list(server))[0].key, 'ann');
    assert.equal((await list(server, 'key=bob')).length, 0);
});

test('what was acknowledged survives kill -9, and retention is kept to', { skip }, async (t) => {
    const state = path.join(makeFolder(t), 'state.db');
    const args = ['--feedback', 'texts', '--state', state];
    let server = await startServer(t, { args });
    const one = await ask(server, 'What is 1 + 1?');
    const acknowledged = [];
    let killed = false;
    const speak = async (who) => {
        for (let i = 0; !killed; i++) {
            const said = await say(server, { id: one.id, thumb: 'up', user: `${who}-${i}` }).catch(() => ({}));
            if (said.status === 201) {
                acknowledged.push(`${who}-${i}`);
            }
        }
    };
    const speakers = ['a', 'b', 'c', 'd'].map(speak);
    while (acknowledged.length < 20) {
        await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await server.kill();
    killed = true;
    await Promise.all(speakers);
    server = await startServer(t, { args });
    const stored = new Set((await list(server, 'limit=1000')).map(({ user }) => user));
    assert.deepEqual(acknowledged.filter((user) => !stored.has(user)), []);
    // Answers from before are not known any more.
    assert.equal((await say(server, { id: one.id, thumb: 'up' })).status, 404);
    await server.stop();
    server.killed = true;

    server = await startServer(t, { args: [...args, '--feedback-rows', '3'] });
    const two = await ask(server, 'What is 1 + 1?');
    for (let i = 0; i < 5; i++) {
        assert.equal((await say(server, { id: two.id, thumb: 'up', user: `v${i}` })).status, 201);
    }
    assert.deepEqual((await list(server)).map(({ user }) => user), ['v4', 'v3', 'v2']);
});

test('a full disk refuses feedback by name, and answers go on', { skip }, async (t) => {
    const folder = makeFolder(t);
    // Files of 256 KiB at most: the state fits, and feedback with a large correction soon does not.
    const args = ['serve', '--model', modelPath(), '--port', '0', '--feedback', 'texts', '--feedback-file',
        path.join(folder, 'feedback.db'), '--admin-key', 'k'].map((arg) => `'${arg}'`).join(' ');
    const child = spawn('bash', ['-c', `trap '' XFSZ; ulimit -f 256; exec '${programPath()}' ${args}`],
        { stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    let log = '';
    child.stderr.on('data', (text) => (log += text));
    const url = await new Promise((resolve) => child.stdout.on('data', (text) => {
        const match = /listening on (\S+)/.exec(text);
        if (match) {
            resolve(match[1]);
        }
    }));
    const server = { post: (route, value, { headers = {} } = {}) => fetch(url + route, { method: 'POST',
        headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }) };
    const one = await ask(server, 'What is 1 + 1?');
    let stored = 0, refusal;
    while (!refusal && stored < 100) {
        const { status, body } = await say(server, { id: one.id, correction: 'x'.repeat(50_000) });
        refusal = status === 201 ? undefined : { status, body };
        stored += status === 201;
    }
    assert.deepEqual([refusal.status, refusal.body.error.code], [503, 'not_stored']);
    assert.match(log, /feedback is not stored: .*feedback\.db/);
    assert.equal((await ask(server, 'What is 1 + 1?')).text, one.text);
    const kept = await (await fetch(`${url}/admin/feedback`, { headers: { authorization: 'Bearer k' } })).json();
    assert.equal(kept.feedback.length, stored);
});
