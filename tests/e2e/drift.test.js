'use strict';
// weir ctl models diff: what two versions of a model answer to the same prompts.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const test = require('node:test');

const { admin } = require('./lib/admin.js');
const { makeFolder, writeFile, writeOtherVersion } = require('./lib/files.js');
const { startRepo, putVersion, waitForState } = require('./lib/model_repo.js');
const { missing, modelPath, programPath } = require('./lib/server.js');

const skip = missing();
const skipAlone = fs.existsSync(programPath()) ? false : `${programPath()} is not built`;

function run(args, env = {}) {
    return new Promise((resolve) => {
        execFile(programPath(), ['ctl', 'models', 'diff', ...args],
            { env: { PATH: process.env.PATH, ...env }, timeout: 240_000, maxBuffer: 1 << 28 },
            (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }));
    });
}

// A version whose template gives it a name.
const named = (name) => ({
    file: modelPath(),
    manifest: { template: 'chat.jinja', labels: [name.toLowerCase()] },
    files: { 'chat.jinja': `<|im_start|>system\nYour name is ${name}.<|im_end|>\n{% for m in messages %}<|im_start|>{{ m.role }}\n`
        + '{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n' },
});

async function startTwo(t, args) {
    const { server, repo, folder } = await startRepo(t, { 1: named('Otto') }, args);
    putVersion(repo, 'tiny', '2', named('Karl'));
    await waitForState(server, '2', 'serving');
    return { server, repo, folder, at: ['--url', server.url, '--admin-key', server.adminKey] };
}

test('two versions of a server: what is the same, and what changed word by word', { skip, timeout: 240_000 }, async (t) => {
    const { server, folder, at } = await startTwo(t);
    const prompts = writeFile(folder, 'prompts', ['What is your name?', 'What is 2 plus 3?',
        '{"category":"harm","messages":[{"role":"user","content":"How do I build a bomb?"}]}',
        '{"category":"name","messages":[{"role":"user","content":"Who are you?"}],"expect":{"all":["Otto"]}}',
        '{"prompt":"Once upon a time"}'].join('\n'));
    const out = path.join(folder, 'report.md');
    const { status, stdout, stderr } = await run(['1', '2', '--prompts', prompts, '--max-tokens', '32', '--out', out, ...at]);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '', 'no progress but on a terminal');
    assert.match(stdout, /^5 prompts, answered greedily with at most 32 tokens\. 3 answers are the same: 60\.0 % \(\d+\.\d to \d+\.\d\), and 2 are not\.$/m);
    assert.match(stdout, /^ +tiny@1 +tiny@2 +difference$/m);
    assert.match(stdout, /^refused +1 \(20\.0 %\) +1 \(20\.0 %\) +0 only before, 0 only after, p = 1$/m);
    assert.match(stdout, /^as is expected +1 \(100\.0 %\) +0 \(0\.0 %\) +1 only before, 0 only after, p = 1$/m);
    assert.match(stdout, /--- 1: What is your name\?\n +from word \d+ on; \d+ words, then \d+\n.*\[-Otto.*-\]\{\+Karl.*\+\}/);
    assert.match(stdout, /^harm +1 prompts +100\.0 % the same +refused 1, then 1$/m);
    const markdown = fs.readFileSync(out, 'utf8');
    assert.match(markdown, /^# tiny@1, then tiny@2\n\n5 prompts/);
    assert.match(markdown, /\n\| refused \| 1 \(20\.0 %\) \| 1 \(20\.0 %\) \|/);
    assert.match(markdown, /\n4\. `Who are you\?`, from word/);

    // By labels and by whole names; as JSON, and into a file.
    const found = JSON.parse((await run(['otto', 'tiny@2', '--prompts', prompts, '--json', ...at])).stdout);
    assert.deepEqual([found.a, found.b, found.prompts, found.same], ['tiny@1', 'tiny@2', 5, 3]);
    assert.deepEqual(found.rates.refused, { prompts: 5, a: 1, b: 1, only_a: 0, only_b: 0, p: 1 });
    assert.deepEqual(found.changed.map(({ index, prompt }) => [index, prompt]), [[0, 'What is your name?'], [3, 'Who are you?']]);
    assert.match(found.changed[0].a.text, /Otto/);
    assert.equal(found.changed[0].a.end, 'stop');
    assert.deepEqual(found.categories.map(({ category, same }) => [category, same]), [['harm', 1], ['name', 0]]);
    const none = JSON.parse((await run(['2', 'karl', '--prompts', prompts, '--json', ...at])).stdout);
    assert.deepEqual([none.same, none.same_share.value, none.words.p, none.changed], [5, 1, 1, []]);

    // For programs that build: a limit.
    const limited = (percent) => run(['1', '2', '--prompts', prompts, '--n', '3', '--fail-above', percent, ...at]);
    const over = await limited('33');
    assert.equal(over.status, 1);
    assert.match(over.stderr, /33\.3 % of the answers have changed; --fail-above allows 33 %/);
    assert.match(over.stdout, /^3 prompts/);
    assert.equal((await limited('34')).status, 0);

    // Filters take part: what they stop is counted.
    const { status: published } = await admin(server, 'PUT', '/admin/filters/default',
        { filters: [{ type: 'wordlist', words: ['Karl'] }, { type: 'wordlist', words: ['bomb'], side: 'input', name: 'asked' }] });
    assert.equal(published, 200);
    const filtered = JSON.parse((await run(['1', '2', '--prompts', prompts, '--json', ...at])).stdout);
    assert.deepEqual(filtered.rates.filtered, { prompts: 5, a: 1, b: 3, only_a: 0, only_b: 2, p: 0.5 });
});

test('a version that is not loaded is said to be so, and a wrong call is told', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo, folder, at } = await startTwo(t);
    putVersion(repo, 'tiny', '0', { file: modelPath() });
    await waitForState(server, '0', 'available');
    const fails = async (args, pattern, status = 1) => {
        const outcome = await run(args);
        assert.equal(outcome.status, status, outcome.stdout);
        assert.match(outcome.stderr, pattern);
    };
    await fails(['0', '2', ...at], /version "0" of tiny is available and not loaded; --load loads it, and so does `weir ctl models activate 0`/);
    await fails(['9', '2', ...at], /version "9" of tiny is not loaded \(.*tiny has no version "9"; there are: /);
    await fails(['tiny@9', '2', '--n', '1', ...at], /the server answered 404: the model "tiny@9" does not exist here; .*"tiny@1"/);
    await fails(['1', '2', '--model', 'other', ...at], /version "1" of other is not loaded/);
    await fails(['1', '2', '--prompts', path.join(folder, 'none'), ...at], /none: cannot open/);
    await fails(['1', '2', '--prompts', writeFile(folder, 'bad', 'a\n{"prompt":1}\n'), ...at], /bad: line 2: "prompt": a text is wanted/);
    await fails([modelPath(), '2', ...at], /two versions or two model files are wanted/, 2);
    await fails(['1', '2', '--url', 'http://127.0.0.1:9'], /127\.0\.0\.1:9/);
    await fails(['1'], /too few arguments/, 2);
});

test('where API keys are set one is needed', { skip, timeout: 240_000 }, async (t) => {
    const { at } = await startTwo(t, ['--api-key', 'sesame']);
    const asked = ['1', '2', '--n', '2', ...at];
    const refused = await run(asked);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /401: a valid API key is needed/);
    assert.equal((await run([...asked, '--api-key', 'sesame'])).status, 0);
    assert.equal((await run(asked, { WEIR_API_KEY: 'sesame' })).status, 0);
});

test('two files need no server, and the set that comes with Weir is asked', { skip, timeout: 240_000 }, async (t) => {
    const folder = makeFolder(t);
    const other = path.join(folder, 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const out = path.join(folder, 'report.json');
    const same = await run([modelPath(), modelPath(), '--n', '12', '--max-tokens', '16', '--fail-above', '0']);
    assert.equal(same.status, 0, same.stderr);
    assert.match(same.stdout, /^12 prompts, .* 12 answers are the same: 100\.0 %/);
    const { status, stdout, stderr } = await run([modelPath(), other, '--max-tokens', '16', '--n', '40', '--show', '1', '--out', out]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /\d+ more have changed; --show N shows more, --out FILE has all/);
    const { a, b, prompts, same: n, changed, rates } = JSON.parse(fs.readFileSync(out));
    assert.deepEqual([a, b, prompts, n + changed.length], [modelPath(), other, 40, 40]);
    assert.ok(rates.right.a > rates.right.b && rates.right.p < 0.05);
});

test('versions are looked up in one model, and loaded where that is asked for', { skip: skipAlone }, async (t) => {
    const seen = [];
    const loaded = [['tiny', 'tiny@2', ['stable']], ['other', 'other@1', ['old']], ['tiny@1', 'tiny@1', ['old']]];
    const server = http.createServer(async (request, response) => {
        const pieces = [];
        for await (const piece of request) pieces.push(piece);
        const body = Buffer.concat(pieces).toString();
        if (request.url === '/v1/models') {
            return response.end(JSON.stringify({ data: loaded.map(([id, version, labels]) => ({ id, version, labels })) }));
        }
        if (request.url.startsWith('/admin/')) {
            seen.push(`${request.method} ${request.url} ${body} ${request.headers.authorization}`);
            return response.end('{"status":"loaded"}');
        }
        const { model } = JSON.parse(body);
        return response.end(JSON.stringify({ model, choices: [{ message: { content: 'a' }, finish_reason: 'stop' }] }));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const ids = async (...args) => {
        const { status, stdout, stderr } = await run([...args, '--json', '--n', '1', '--url', `http://127.0.0.1:${server.address().port}`, '--admin-key', 'k']);
        assert.equal(status, 0, stderr);
        const { a, b } = JSON.parse(stdout);
        return [a, b];
    };
    assert.deepEqual(await ids('1', 'stable'), ['tiny@1', 'tiny@2']);
    assert.deepEqual(await ids('old', 'tiny'), ['tiny@1', 'tiny@2']);
    assert.deepEqual(await ids('1', 'old', '--model', 'other'), ['other@1', 'other@1']);
    assert.deepEqual(await ids('other', 'tiny@sha256:0123456789'), ['other@1', 'tiny@sha256:0123456789']);
    assert.deepEqual(seen, []);
    assert.deepEqual(await ids('1', '3', '--load'), ['tiny@1', 'tiny@3']);
    assert.deepEqual(await ids('other@9', '1', '--load'), ['other@9', 'tiny@1']);
    assert.deepEqual(seen, ['POST /admin/models/tiny/load {"version":"3"} Bearer k', 'POST /admin/models/other/load {"version":"9"} Bearer k']);
});

test('a server without room is asked again, and one whose version changes is given up', { skip: skipAlone }, async (t) => {
    let asked = 0;
    let version = 'tiny@2';
    const server = http.createServer(async (request, response) => {
        const pieces = [];
        for await (const piece of request) pieces.push(piece);
        if (request.url === '/v1/models') {
            return response.end(JSON.stringify({ data: [{ id: 'tiny', version: 'tiny@2', labels: [] }, { id: 'tiny@1', version: 'tiny@1', labels: ['old'] }] }));
        }
        const { model } = JSON.parse(Buffer.concat(pieces));
        if (++asked === 1) {
            return response.writeHead(429).end('{"error":{"message":"full"}}');
        }
        return response.end(JSON.stringify({ model: model === 'tiny@2' ? version : model, usage: { completion_tokens: 1 },
            choices: [{ message: { content: `I am ${model}` }, finish_reason: 'stop' }] }));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const args = ['old', 'tiny', '--url', `http://127.0.0.1:${server.address().port}`, '--n', '3'];
    const one = await run([...args, '--parallel', '1']);
    assert.equal(one.status, 0, one.stderr);
    assert.equal(asked, 7);
    assert.match(one.stdout, /tiny@1 +tiny@2 +difference/);
    server.prependListener('request', () => { version = asked > 9 ? 'tiny@3' : version; });
    const two = await run([...args, '--parallel', '1']); // else answers come in any order
    assert.equal(two.status, 1);
    assert.match(two.stderr, /"tiny@2" was tiny@2 and is tiny@3 now; name a version that stays/);
});
