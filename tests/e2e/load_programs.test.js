'use strict';
// The load programs of tests/bench still speak to the server, and what they report is true of a small run. How
// fast it is does not matter here.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');

const { startServer, missing } = require('./lib/server.js');

const skip = missing();

// {status, report, stderr} of one of them, run against a server.
function run(program, server, args) {
    const all = [path.join(__dirname, '../bench', program), ...(server ? ['--url', server.url] : []), '--json', ...args];
    return new Promise((resolve) => {
        execFile(process.execPath, all, (error, stdout, stderr) =>
            resolve({ status: error?.code ?? 0, report: stdout && JSON.parse(stdout), stderr }));
    });
}

test('load.js counts what the server counts', { skip }, async (t) => {
    const server = await startServer(t);
    const { status, report, stderr } = await run('load.js', server, ['--requests', '6', '--streams', '3',
        '--system-tokens', '100', '--question-tokens', '40', '--answer-tokens', '8', '--seed', '7']);
    assert.equal(status, 0, stderr);
    assert.equal(report.ok, 6);
    assert.ok(Math.abs(report.prompt_tokens.mean - 140 - report.prompt_tokens.template) < 30, stderr);
    assert.ok(report.answer_tokens.sum <= 48 && report.chunks <= report.answer_tokens.sum + 6);
    assert.equal(report.ttft_ms.count, 6);
    const { output_tokens: counted } = await (await server.admin('GET', '/admin/models')).json();
    assert.ok(counted >= report.answer_tokens.sum);
});

test('load.js asks again after a 429 when it is told to', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--parallel', '1', '--queue', '1'] });
    const args = ['--requests', '5', '--streams', '5', '--answer-tokens', '8', '--system-tokens', '0'];
    const once = await run('load.js', server, args);
    assert.equal(once.status, 1);
    assert.ok(once.report.failed['429 queue_full'] >= 1);
    const again = await run('load.js', server, [...args, '--retry']);
    assert.equal(again.status, 0, again.stderr);
    assert.equal(again.report.ok, 5);
});

test('flood.js sees every request end', { skip }, async (t) => {
    const server = await startServer(t);
    const { status, report, stderr } = await run('flood.js', server, ['--connections', '40', '--answer-tokens', '4']);
    assert.equal(status, 0, stderr);
    assert.deepEqual(report.counts, { answered: 40 });
    assert.ok(report.health_before.count > 0);
});

test('soak.js finds the server as it should be', { skip }, async (t) => {
    const server = await startServer(t);
    const { status, report, stderr } = await run('soak.js', server, ['--minutes', '0.05', '--streams', '8',
        '--admin-key', server.adminKey]);
    assert.equal(status, 0, stderr + JSON.stringify(report.checks));
    assert.ok(report.requests > 0);
    assert.ok(report.checks.length >= 4);
});

test('without a server they say so', async () => {
    for (const program of ['load.js', 'flood.js', 'soak.js']) {
        const { status, stderr } = await run(program, { url: 'http://127.0.0.1:9' }, []);
        assert.equal(status, 2);
        assert.match(stderr, /^\w+\.js: nothing answers at /);
    }
});

// The program starts its own server.
test('reloads.js: versions that are loaded beside answers are not noticed', { skip, timeout: 240_000 }, async () => {
    const { status, report, stderr } = await run('reloads.js', null, ['--reloads', '20', '--streams', '12', '--seconds', '1',
        '--max-growth', '1']);
    assert.equal(status, 0, `${stderr} ${JSON.stringify(report)}`);
    assert.deepEqual([report.failed, report.wrong, report.load_ms.count], [[], 0, 20]);
    assert.ok(report.answers >= 24);
    assert.equal(Object.keys(report.by_version).length, 2);
});
