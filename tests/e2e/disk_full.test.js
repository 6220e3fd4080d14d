'use strict';
// A disk that is full beneath SQLite: what cannot be stored is refused by name, answers go on, nothing that was
// acknowledged is lost, and once there is room everything is stored again.
//
// The disk is a limit on the size of files (RLIMIT_FSIZE) that is set on the running server, and taken off again.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');

const { makeFolder } = require('./lib/files.js');
const { waitFor } = require('./lib/model_repo.js');
const { readMetrics } = require('./lib/metrics.js');
const { startServer, missing } = require('./lib/server.js');

const skip = missing();

const limitFiles = (server, bytes) => execFileSync('prlimit', ['--pid', String(server.child.pid), `--fsize=${bytes}:unlimited`]);

async function ask(server, content) {
    const messages = [{ role: 'user', content }];
    const response = await server.post('/v1/chat/completions', { messages, max_tokens: 2, temperature: 0 });
    assert.equal(response.status, 200);
    return response.json();
}

async function askMany(server, n) {
    const askSome = async (from) => {
        for (let i = from; i < n; i += 8) {
            await ask(server, `What is ${i}?`);
        }
    };
    await Promise.all(Array.from({ length: 8 }, (_, from) => askSome(from)));
}

const json = async (response) => ({ status: response.status, body: await response.json() });

test('feedback, baselines, prompts on a full disk', { skip }, async (t) => {
    const args = ['--feedback', 'texts', '--state', path.join(makeFolder(t), 'state.db'),
        '--drift-baseline', '100', '--drift-window', '50'];
    let server = await startServer(t, { args, ignoresFileLimit: true });
    const say = async (id, user) => json(await server.post('/v1/feedback', { id, thumb: 'up', user, comment: 'x'.repeat(3000) }));
    const put = async (text) => json(await server.admin('PUT', '/admin/prompts/shop', { text }));
    const take = async () => json(await server.admin('POST', '/admin/drift/baseline', { take: 'newest' }));
    await askMany(server, 100);
    const { id, choices } = await ask(server, 'What is 1 + 1?');
    const acknowledged = [];
    const speak = async (user) => {
        const said = await say(id, user);
        if (said.status === 201) {
            acknowledged.push(user);
        }
        return said;
    };
    assert.equal((await speak('first')).status, 201);
    assert.equal((await put('You sell tea.')).status, 200);

    limitFiles(server, 4096); // a page: no file can grow beyond it
    const refused = await speak('full');
    assert.deepEqual([refused.status, refused.body.error.code], [503, 'not_stored']);
    assert.match(refused.body.error.message, /nothing of it is kept/);
    const prompt = await put('You sell coffee.');
    assert.ok(prompt.status >= 500, JSON.stringify(prompt));
    assert.ok(prompt.body.error.message);
    const series = async () => (await (await server.admin('GET', '/admin/drift')).json()).series[0];
    const before = await series();
    await server.admin('GET', '/admin/drift/alerts').then((r) => assert.equal(r.status, 200));
    assert.equal((await ask(server, 'What is 1 + 1?')).choices[0].message.content, choices[0].message.content);
    assert.equal((await server.fetch('/readyz')).status, 200);
    const unknown = await say('chatcmpl-none', 'full');
    assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'answer_not_found']);
    await askMany(server, 100); // two windows, which are to be stored
    await waitFor(() => /baselines and alerts of drift are not stored: .*state\.db\.drift/.test(server.stderr));
    const taken = await take();
    assert.deepEqual([taken.status, taken.body.error.code], [503, 'not_stored']);
    assert.deepEqual((await series()).baseline, before.baseline);
    assert.match(server.stderr, /feedback is not stored: .*state\.db\.feedback/);
    assert.equal((await readMetrics(server)).value('weir_feedback_refused_total', { reason: 'not_stored' }), 1);

    limitFiles(server, 'unlimited'); // somebody has made room
    assert.equal((await speak('room')).status, 201);
    assert.equal((await put('You sell cocoa.')).status, 200);
    assert.equal((await take()).status, 200);
    await waitFor(() => /drift are stored again/.test(server.stderr) && /feedback is stored again/.test(server.stderr));
    const looks = (await series()).looks;
    await server.kill();

    server = await startServer(t, { args });
    const { feedback } = await (await server.admin('GET', '/admin/feedback')).json();
    assert.deepEqual(feedback.map(({ user }) => user).reverse(), acknowledged);
    assert.deepEqual(acknowledged, ['first', 'room']);
    const shop = await (await server.admin('GET', '/admin/prompts/shop')).json();
    assert.match(JSON.stringify(shop), /cocoa/);
    const after = await series();
    assert.deepEqual([after.baseline.by, after.looks], ['admin', looks]);
    assert.ok(after.baseline.answers >= 100);
});
