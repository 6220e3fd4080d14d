'use strict';
// Filter chains as versioned objects: history, rollback, labels, trials; swapped under load, kept over restarts; from
// files that are watched; another one for a key or a model.

const assert = require('node:assert/strict');
const { execFile, execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { admin } = require('./lib/admin.js');
const { ROUTE, ask, whole, beginStream, readStream } = require('./lib/chat.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing, programPath } = require('./lib/server.js');
const { until } = require('./lib/wait.js');

const skip = missing();
const FILTERS = '/admin/filters';
const STORY = ask('Tell me a story.', { max_tokens: 24 });

async function put(server, name, value, headers) {
    const { status, body } = await admin(server, 'PUT', `${FILTERS}/${name}`, value, headers);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
}

// A chain that puts `mark` in place of every vowel.
const marks = (mark, more = {}) => ({ name: 'default', filters: [{ type: 'wordlist', words: ['a', 'e', 'i', 'o', 'u'],
    word_boundaries: false, action: 'replace', replacement: mark }], ...more });
const blocks = (...words) => ({ name: 'default', filters: [{ type: 'wordlist', side: 'input', words }] });

const servedBy = async (server, options) => {
    const response = await server.post(ROUTE, ask('Hi', { max_tokens: 1 }), options);
    const body = await response.json();
    return response.status === 200 ? response.headers.get('weir-filters').split(';')[0] : body.error;
};

test('the walk-through of docs/filter-authors.md', { skip }, async (t) => {
    const text = fs.readFileSync(path.resolve(__dirname, '../../docs/filter-authors.md'), 'utf8');
    const block = (language) => new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm').exec(text)[1];
    const folder = makeFolder(t);
    const script = writeFile(folder, 'digits.lua', block('lua'));
    const chain = writeFile(folder, 'chain.json', block('json'));
    const [, said, args, output, verdict] = /^\$ echo "(.*)" \| weir (filter .*)\n(.*\n)(.*\n)/m.exec(text);
    const run = spawnSync(programPath(), args.split(' '), { cwd: folder, input: `${said}\n`, encoding: 'utf8' });
    assert.equal(run.stdout, output);
    assert.equal(run.stderr.slice(0, verdict.length), verdict);

    const server = await startServer(t, { args: ['--filters', chain] });
    assert.equal(await servedBy(server), 'default@0');
    const refused = await admin(server, 'PUT', `${FILTERS}/default`, JSON.parse(block('json')));
    assert.match(refused.body.error.message, /only a chain that is read from a file may name files/);
    assert.match(text, /--rawfile code digits\.lua .*"script", code: \$code.* \| weir ctl filters put default -$/m);
    await put(server, 'default', { name: 'default', filters: [{ type: 'script', code: fs.readFileSync(script, 'utf8') }] });
    assert.equal(await servedBy(server), 'default@1');
});

test('versions: history, diff, rollback, labels, deletion, audit', { skip }, async (t) => {
    const server = await startServer(t);
    const none = (await admin(server, 'GET', `${FILTERS}/default`)).body;
    assert.deepEqual([none.active, none.version, none.filters, none.from], [0, 0, 0, 'nobody']);
    const first = await put(server, 'default', marks('1'));
    assert.deepEqual([first.version, first.filters, first.from, first.active], [1, 1, 'store', 1]);
    await put(server, 'default', marks('2', { note: 'second', author: 'me' }));
    assert.match((await whole(server, STORY)).text, /2/);
    const { body: list } = await admin(server, 'GET', `${FILTERS}/default/versions`);
    assert.deepEqual(list.versions.map(({ version, note, author, filters }) => [version, note, author, filters]),
        [[2, 'second', 'me', 1], [1, '', '', 1]]);
    const { body: diff } = await admin(server, 'GET', `${FILTERS}/default/diff?from=1&to=2`);
    assert.match(diff, /^--- default@1\n\+\+\+ default@2\n/);
    assert.match(diff, /\n-      "replacement": "1"\n\+      "replacement": "2"\n/);

    const back = await admin(server, 'POST', `${FILTERS}/default/rollback`);
    assert.equal(back.body.active, 1);
    const answer = await whole(server, STORY);
    assert.match(answer.text, /1/);
    assert.equal(answer.madeBy.filters, `default@1; sha256=${first.sha256.slice(0, 12)}`);

    await admin(server, 'PUT', `${FILTERS}/default/labels/stable`, { version: 2 });
    const refused = await admin(server, 'DELETE', `${FILTERS}/default/versions/2`);
    assert.equal(refused.status, 400, 'it has a label');
    const labelled = await admin(server, 'POST', `${FILTERS}/default/activate`, { version: 'stable' });
    assert.deepEqual([labelled.body.active, labelled.body.labels], [2, { stable: 2 }]);
    assert.equal((await admin(server, 'DELETE', `${FILTERS}/default/versions/1`)).status, 204);
    assert.equal((await admin(server, 'GET', `${FILTERS}/default/versions/1`)).status, 404);
    const { body: one } = await admin(server, 'GET', `${FILTERS}/default/versions/stable`);
    assert.deepEqual([one.version, one.note, one.chain.filters[0].replacement], [2, 'second', '2']);

    assert.equal((await put(server, 'other', blocks('x'))).active, 1);
    const { body: { chains, served } } = await admin(server, 'GET', FILTERS);
    assert.deepEqual(chains.map(({ name }) => name), ['default', 'other']);
    assert.deepEqual(served.map(({ name, version, filters, from }) => [name, version, filters, from]),
        [['default', 2, 1, 'store'], ['other', 1, 1, 'store']]);
    assert.equal((await admin(server, 'DELETE', `${FILTERS}/other`)).status, 204);
    assert.equal((await admin(server, 'GET', `${FILTERS}/other`)).status, 404);
    assert.equal((await admin(server, 'DELETE', `${FILTERS}/default`)).status, 400);

    await admin(server, 'PUT', '/admin/prompts/default', { text: 'Be brief.' });
    const { body: { audit } } = await admin(server, 'GET', '/admin/audit?limit=3');
    assert.deepEqual(audit.map(({ kind, action, profile }) => [kind, action, profile]),
        [['prompt', 'put', 'default'], ['filters', 'delete_chain', 'other'], ['filters', 'put', 'other']]);
    const { body: { audit: mine } } = await admin(server, 'GET', '/admin/audit?kind=filters&profile=default');
    assert.deepEqual(mine.map(({ action }) => action), ['delete_version', 'activate', 'label', 'rollback', 'put', 'put']);
    assert.equal((await admin(server, 'GET', '/admin/audit?kind=models')).status, 400);
});

test('what is wrong changes nothing, and says where it is', { skip }, async (t) => {
    const server = await startServer(t);
    const { etag } = await admin(server, 'PUT', `${FILTERS}/strict`, blocks('heron'));
    for (const [value, param] of [
        [{ filters: [{ type: 'wordlist', words: ['a'] }, { type: 'oracle' }] }, 'filters[1].type'],
        [{ filters: [{ type: 'wordlist', file: 'words.txt' }] }, 'filters[0].file'],
        [{ filters: [{ type: 'plugin', path: 'a.so' }] }, 'filters[0].path'],
        [{ filters: [], note: 3 }, 'note'], [{ filters: [], colour: 'red' }, 'colour']]) {
        const { status, body } = await admin(server, 'PUT', `${FILTERS}/strict`, value);
        assert.deepEqual([status, body.error.param], [400, param], JSON.stringify(body));
    }
    const stale = await admin(server, 'PUT', `${FILTERS}/strict`, blocks('egret'), { 'if-match': '"9"' });
    assert.deepEqual([stale.status, stale.body.error.code], [412, 'precondition_failed']);
    const again = await admin(server, 'PUT', `${FILTERS}/strict`, blocks('egret'), { 'if-none-match': '*' });
    assert.equal(again.status, 412);
    const now = await admin(server, 'GET', `${FILTERS}/strict`);
    assert.deepEqual([now.etag, now.body.latest], [etag, 1]);
    await put(server, 'strict', blocks('egret'), { 'if-match': etag });
    for (const [method, target] of [['GET', '/none'], ['POST', '/none/rollback'], ['GET', '/strict/versions/9'],
        ['DELETE', '/strict/labels/none'], ['GET', '/strict/diff?from=7'], ['POST', '/none/activate']]) {
        const { status } = await admin(server, method, FILTERS + target, method === 'POST' ? { version: 1 } : undefined);
        assert.equal(status, 404, `${method} ${target}`);
    }
    const split = await admin(server, 'PUT', `${FILTERS}/strict/split`, { version: 1, percent: 5 });
    assert.equal(split.status, 404, 'chains have no trials by chance');
});

test('dry-run: what a version, or a chain that is not stored, makes of a text', { skip }, async (t) => {
    const server = await startServer(t);
    await put(server, 'default', { filters: [{ type: 'wordlist', words: ['heron'], action: 'mask' },
        { type: 'wordlist', side: 'input', words: ['egret'] }] });
    await put(server, 'default', { filters: [] });
    const run = async (value) => (await admin(server, 'POST', `${FILTERS}/default/dry-run`, value)).body;
    const masked = await run({ text: 'A heron.', version: 1 });
    assert.deepEqual([masked.text, masked.version, masked.stopped, masked.truncated], ['A *****.', 1, false, false]);
    assert.deepEqual(masked.events.map(({ verdict, filter, type, from, to, channel }) => [verdict, filter, type, from, to, channel]),
        [['replace', 0, 'wordlist', 2, 7, 'content']]);
    const stopped = await run({ text: 'An egret!', version: 1, side: 'input', channel: 'content' });
    assert.deepEqual([stopped.text, stopped.stopped, stopped.events[0].verdict], ['An ', true, 'stop']);
    assert.equal((await run({ text: 'A heron.' })).text, 'A heron.', 'what is active');
    const other = await run({ text: 'My heron.', chain: marks('_') });
    assert.deepEqual([other.text, other.version], ['My h_r_n.', 0]);
    for (const [value, param] of [[{}, 'text'], [{ text: 'a', side: 'both' }, 'side'], [{ text: 'a', version: 9 }, 'version'],
        [{ text: 'a', chain: { filters: [{ type: 'x' }] } }, 'filters[0].type'], [{ text: 'a', channel: 'x' }, 'channel']]) {
        assert.equal((await run(value)).error.param, param);
    }
    assert.equal((await admin(server, 'GET', `${FILTERS}/default`)).body.latest, 2);
    const mixed = await run({ text: 'One. A heron. Two.', chain: { filters: [
        { type: 'webhook', url: 'http://127.0.0.1:9/' },
        { type: 'wordlist', name: 'birds', words: ['heron'], mode: 'record' },
        { type: 'wordlist', words: ['two'], action: 'mask' }] } });
    assert.deepEqual([mixed.text, mixed.stopped, mixed.left_out], ['One. A heron. ***.', false, [0]], 'no service is asked');
    assert.deepEqual(mixed.events.map(({ verdict, name, recorded }) => [verdict, name, recorded]),
        [['stop', 'birds', true], ['replace', 'wordlist', false]]);
});

test('each answer goes through one chain from beginning to end, whatever is activated meanwhile', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--parallel', '16'] });
    for (const mark of ['1', '2', '3']) {
        await put(server, 'default', marks(mark));
    }
    let running = true;
    const answers = [];
    const client = async () => {
        while (running) {
            answers.push(await readStream(await beginStream(server, ask('Tell me a story.', { max_tokens: 40 }))));
        }
    };
    const clients = Array.from({ length: 16 }, client);
    for (let i = 0; i < 30 || answers.length <= 32; i++) {
        await admin(server, 'POST', `${FILTERS}/default/${i % 5 === 4 ? 'rollback' : 'activate'}`, { version: 1 + (i % 3) });
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    running = false;
    await Promise.all(clients);
    for (const { text, madeBy } of answers) {
        const version = /^default@(\d);/.exec(madeBy.filters)[1];
        assert.ok(text.includes(version), text);
        assert.doesNotMatch(text, /[aeiou]/);
        assert.ok(!/[123]/.test(text.replaceAll(version, '')), `${madeBy.filters}: ${text}`);
    }
    assert.ok(new Set(answers.map(({ madeBy }) => madeBy.filters)).size > 1);
});

test('what was acknowledged is there after kill -9; --filters is for a store that knows nothing', { skip }, async (t) => {
    const folder = makeFolder(t);
    const state = path.join(folder, 'state.db');
    const file = writeFile(folder, 'house.json', { name: 'house', version: 3, filters: [] });
    const args = ['--state', state, '--filters', file];
    let server = await startServer(t, { args });
    assert.equal(await servedBy(server), 'house@3');
    await put(server, 'strict', blocks('heron'));
    for (let i = 4; i <= 5; i++) {
        assert.equal((await put(server, 'default', marks(String(i)))).version, i, 'numbers of one name go up');
        await server.kill();
        server = await startServer(t, { args });
        assert.match((await whole(server, STORY)).text, new RegExp(i));
        assert.match(server.stderr, /house\.json: not read, the filter chain "default" has version/);
    }
    const { results } = await (await server.post('/v1/moderations', { model: 'strict@1', input: 'a heron' })).json();
    assert.equal(results[0].flagged, true);
});

test('a file that was watched: changed, broken, with a list of words', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'house.json', blocks('heron'));
    const server = await startServer(t, { args: ['--filters', file, '--state', path.join(folder, 'state.db')] });
    const refuses = async (text) => (await server.post(ROUTE, ask(text, { max_tokens: 1 }))).status === 400;
    assert.equal(await refuses('a heron'), true);
    writeFile(folder, 'house.json', blocks('egret'));
    await until(() => refuses('an egret'), 'the change');
    assert.equal(await refuses('a heron'), false);

    writeFile(folder, 'house.json', '{"name": "default", "filters": [{"type": "wordlist", "word": []}]}');
    await until(() => /house\.json: filters\[0\]/.test(server.stderr), 'the complaint');
    assert.equal(await refuses('an egret'), true);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(server.stderr.match(/house\.json: filters\[0\]/g).length, 1, 'it is said once');

    writeFile(folder, 'words.txt', 'stork\n');
    writeFile(folder, 'house.json', { name: 'house', version: 2, filters: [{ type: 'wordlist', side: 'input', file: 'words.txt' }] });
    await until(() => refuses('a stork'), 'the list');
    writeFile(folder, 'words.txt', 'stork\ncrane\n');
    server.child.kill('SIGHUP');
    await until(() => refuses('a crane'), 'the longer list');
    const { body } = await admin(server, 'GET', `${FILTERS}/default`);
    assert.deepEqual([body.active, body.version, body.filters, body.from], [0, 2, 1, 'file']);
    assert.equal((await admin(server, 'GET', FILTERS)).body.served[0].from, 'file');
    for (const model of ['default', 'default@2', 'house', 'house@2', 'omni-moderation-latest', undefined]) {
        const moderation = await (await server.post('/v1/moderations', { model, input: 'a stork' })).json();
        assert.deepEqual([moderation.model, moderation.results[0].flagged], ['house@2', true], model);
    }
    assert.equal((await server.post('/v1/moderations', { model: 'house@1', input: 'a' })).status, 404);

    // From here on the store decides, also of what the file says later.
    await put(server, 'default', blocks('ibis'));
    assert.deepEqual([await refuses('an ibis'), await refuses('a crane')], [true, false]);
    writeFile(folder, 'words.txt', 'heron\n');
    await until(() => /house\.json: not read/.test(server.stderr), 'the word');
    assert.deepEqual([await refuses('an ibis'), await refuses('a heron')], [true, false]);
});

test('a server does not begin with files that are broken', { skip }, async (t) => {
    const folder = makeFolder(t);
    const dir = path.join(folder, 'chains');
    fs.mkdirSync(dir);
    const broken = { name: 'a', filters: [{ type: 'wordlist', file: 'none.txt' }] };
    writeFile(dir, 'a.json', broken);
    for (const [args, message] of [
        [['--filters', path.join(folder, 'none.json')], /none\.json: cannot open/],
        [['--filters', writeFile(folder, 'b.json', broken)], /b\.json: filters\[0\]\.file: .*none\.txt/],
        [['--filters-dir', dir], /chains\/a\.json: filters\[0\]\.file/],
        [['--filters-dir', path.join(folder, 'none')], /none: cannot open the folder/]]) {
        await assert.rejects(startServer(t, { args }), message);
    }
});

test('a folder of chains', { skip }, async (t) => {
    const folder = makeFolder(t);
    const dir = path.join(folder, 'chains');
    fs.mkdirSync(dir);
    const state = path.join(folder, 'state.db');
    writeFile(dir, 'default.json', marks('1', { author: 'Anna' }));
    writeFile(dir, 'words.txt', 'heron\n');
    writeFile(dir, 'strict.json', { filters: [{ type: 'wordlist', side: 'input', file: 'words.txt' }] });
    const args = ['--filters-dir', dir, '--state', state];
    let server = await startServer(t, { args });
    const flagged = async (text) => (await (await server.post('/v1/moderations', { model: 'strict', input: text })).json()).results[0].flagged;
    assert.equal(await servedBy(server), 'default@1');
    assert.deepEqual([await flagged('a heron'), await flagged('an egret')], [true, false]);
    const strict = await admin(server, 'GET', `${FILTERS}/strict`);
    assert.deepEqual([strict.body.active, strict.body.filters, strict.body.from, strict.etag], [0, 1, 'file', null]);
    assert.deepEqual((await admin(server, 'GET', FILTERS)).body.chains.map(({ name }) => name), ['default'],
        'one that names files is not in the store');

    writeFile(dir, 'default.json', marks('2'));
    await until(async () => await servedBy(server) === 'default@2', 'version 2');
    const { body: { versions } } = await admin(server, 'GET', `${FILTERS}/default/versions`);
    assert.deepEqual(versions.map(({ version, author }) => [version, author]), [[2, ''], [1, 'Anna']]);
    const { body: { audit } } = await admin(server, 'GET', '/admin/audit?kind=filters');
    assert.deepEqual(audit.map(({ actor }) => actor), ['filters-dir', 'filters-dir']);
    writeFile(dir, 'words.txt', 'egret\n');
    await until(() => flagged('an egret'), 'the other word');
    writeFile(dir, 'extra.json', blocks('x'));
    await until(async () => (await admin(server, 'GET', `${FILTERS}/extra`)).status === 200, 'a new chain');
    writeFile(dir, 'extra.json', '{');
    await until(() => /extra\.json: /.test(server.stderr), 'the complaint');
    assert.equal((await admin(server, 'GET', `${FILTERS}/extra`)).body.active, 1);

    // What an admin activates stays until the file's content changes.
    await admin(server, 'POST', `${FILTERS}/default/activate`, { version: 1 });
    fs.utimesSync(path.join(dir, 'default.json'), new Date(), new Date());
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(await servedBy(server), 'default@1');
    writeFile(dir, 'extra.json', blocks('y'));
    await until(async () => (await admin(server, 'GET', `${FILTERS}/extra`)).body.active === 2, 'whole again');
    assert.equal((await server.stop()).code, 0);
    server.killed = true;
    server = await startServer(t, { args });
    assert.equal(await servedBy(server), 'default@3', 'the folder counts at the start');
});

test('a key and a model have chains of their own, and no client has a say', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'keys');
    const makeKey = (name, ...more) =>
        execFileSync(programPath(), ['keys', 'add', '--file', file, '--name', name, ...more], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const free = makeKey('free');
    const kids = makeKey('kids', '--filters', 'kids');
    const lost = makeKey('lost', '--filters', 'nobody-made-it');
    assert.match(fs.readFileSync(file, 'utf8'), /^kids:[0-9a-f]{64}:\*:::kids$/m);
    const rows = execFileSync(programPath(), ['keys', 'list', '--file', file, '--json'], { encoding: 'utf8' }).trim().split('\n');
    assert.deepEqual(rows.map((row) => JSON.parse(row).filters), ['', 'kids', 'nobody-made-it']);

    const server = await startServer(t, { args: ['--api-key-file', file, '--filters-chain', 'house', '--filters-for', 'other=lax'] });
    const as = (key, headers = {}) => servedBy(server, { headers: { authorization: `Bearer ${key}`, ...headers } });
    assert.match(server.stderr, /filter chain "house" is not published: requests that must pass it are refused/);
    assert.equal((await as(free)).param, 'filters');
    await put(server, 'house', marks('1'));
    await put(server, 'kids', marks('2'));
    assert.equal(await as(free), 'house@1');
    assert.equal(await as(kids), 'kids@1');
    assert.equal(await as(kids, { 'weir-filters': 'house' }), 'kids@1');
    const refused = await as(lost);
    assert.match(refused.message, /"nobody-made-it", which this request must pass, is not published/);
    assert.match(server.stderr, /error a request is refused: filter chain "nobody-made-it"/);
    for (const [route, value] of [['/v1/embeddings', { input: 'a' }], ['/v1/moderations', { input: 'a' }], ['/v1/responses', { input: 'a' }],
        ['/v1/messages', { model: 'weir-tiny', max_tokens: 1, messages: [{ role: 'user', content: 'a' }] }], ['/v1/completions', { prompt: 'a' }]]) {
        const headers = (key) => ({ headers: { authorization: `Bearer ${key}` } });
        assert.equal((await server.post(route, value, headers(lost))).status, 404, route);
        const answer = await server.post(route, value, headers(kids));
        assert.match(answer.headers.get('weir-filters'), /^kids@1;/, route);
    }
    await put(server, 'nobody-made-it', marks('3'));
    assert.equal(await as(lost), 'nobody-made-it@1');
    await admin(server, 'DELETE', `${FILTERS}/nobody-made-it`);
    assert.equal((await as(lost)).param, 'filters');

    const byModel = await startServer(t, { args: ['--api-key-file', file, '--filters-for', 'other=kids', '--filters-for', 'weir-tiny=lax'] });
    await put(byModel, 'lax', { filters: [] });
    await put(byModel, 'kids', marks('2'));
    const asModel = (key) => servedBy(byModel, { headers: { authorization: `Bearer ${key}` } });
    assert.deepEqual([await asModel(free), await asModel(kids)], ['lax@1', 'kids@1']);
});

test('weir ctl filters', { skip }, async (t) => {
    const folder = makeFolder(t);
    const house = writeFile(folder, 'house.json', { name: 'house', version: 3, filters: [] });
    const server = await startServer(t, { args: ['--filters', house] });
    const ctl = (args, input = '') => new Promise((resolve) => {
        const child = execFile(programPath(), ['ctl', 'filters', ...args],
            { env: { PATH: process.env.PATH, USER: 'berta', WEIR_ADMIN_KEY: server.adminKey }, timeout: 60_000 },
            (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }));
        child.stdin.on('error', () => {}).end(input);
    });
    const ok = async (args, input) => {
        const { status, stdout, stderr } = await ctl([...args, '--url', server.url], input);
        assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
        return stdout;
    };
    assert.equal(await ok(['show', 'default']),
        'default: no version is active, the latest is 0, requests get version 3 of a file (revision 0)\n');
    const first = writeFile(folder, 'first.json', marks('1'));
    const second = writeFile(folder, 'second.json', marks('2', { author: 'Anna' }));
    assert.equal(await ok(['put', 'shop', first, '--note', 'one']), 'shop: version 1 is active, the latest is 1 (revision 1)\n');
    assert.equal(await ok(['put', 'shop', second, '--no-activate']), 'shop: version 1 is active, the latest is 2 (revision 2)\n');
    assert.match(await ok(['diff', 'shop']), /\+ +"replacement": "2"/);
    assert.match(await ok(['activate', 'shop', '2', '--if-match', '2']), /version 2 is active/);
    assert.match(await ok(['rollback', 'shop']), /version 1 is active/);
    assert.match(await ok(['label', 'shop', 'next', '2']), /labels next=2/);
    const rows = (await ok(['list'])).split('\n');
    assert.match(rows[0], /^NAME +ACTIVE +LATEST +VERSIONS +REVISION +UPDATED$/);
    assert.match(rows[1], /^shop +1 +2 +2 +5 /);
    assert.match(rows[2], /^default is served from a file \(sha256 [0-9a-f]{12}\)$/);
    assert.match(await ok(['versions', 'shop']), /^2 +\S+ \S+ +1 +\d+ +Anna +-\n1 +\S+ \S+ +1 +\d+ +berta +one$/m);
    assert.match(await ok(['show', 'shop']), /^shop: version 1 is active.*\n\{\n(.*\n)+.*"replacement":\t"1"/);
    assert.match(await ok(['show', 'shop@next']), /^name +shop\nversion +2\nsha256 .*\ncreated .*\nauthor +Anna\n\n\{/);
    assert.match(await ok(['audit', 'shop']), /berta +label +shop +next +- +2/);
    assert.match(await ok(['try', 'shop@next'], 'My heron'), /^replace +filters\[0\] wordlist 4-5 .*\nreplace.*\n\nMy h2r2n\n$/);
    const text = writeFile(folder, 'text', 'heron');
    assert.match(await ok(['try', 'shop', text]), /\nh1r1n\n$/);
    assert.match(await ok(['try', 'shop', text, '--side', 'input']), /^\nheron\n$/);
    assert.match(await ok(['try', 'shop', text, '--chain', writeFile(folder, 'third.json', marks('3'))]), /\nh3r3n\n$/);
    assert.equal(JSON.parse(await ok(['try', 'shop', text, '--json'])).events.length, 2);
    assert.match(await ok(['unlabel', 'shop', 'next']), /latest is 2 \(/);
    assert.equal(await ok(['delete', 'shop@2']), '');
    assert.equal(await ok(['delete', 'shop']), '');
    for (const [args, status] of [[['show', 'shop'], 1], [['put', 'shop', text], 1], [['put', 'shop'], 2], [['split', 'shop', '1', '2'], 2],
        [['try', 'shop@1', text, '--chain', first], 2], [['list', '--side', 'x'], 2]]) {
        assert.equal((await ctl([...args, '--url', server.url])).status, status, args.join(' '));
    }
});

test('trace: what a chain releases and holds, step by step', { skip }, async (t) => {
    const server = await startServer(t);
    await put(server, 'default', { filters: [{ type: 'wordlist', words: ['heron'], action: 'mask' }] });
    const trace = async (value) => admin(server, 'POST', `${FILTERS}/default/trace`, value);
    const text = 'My herons: a heron.';
    const { status, body } = await trace({ text });
    assert.equal(status, 200);
    assert.deepEqual([body.text, body.version, body.stopped, body.steps.length], ['My herons: a *****.', 1, false, text.length + 1]);
    assert.equal(body.steps.map(({ released }) => released).join(''), body.text);
    assert.deepEqual(body.steps[5], { fed: 6, released: '', held_bytes: 3, held: 'her', events: [] });
    assert.deepEqual(body.steps.flatMap(({ events }) => events), body.events);
    assert.equal(body.steps.findIndex(({ events }) => events.length > 0), text.length - 1, 'the byte behind the word decides');
    for (const chunk of [2, 5, 16384]) {
        const other = (await trace({ text, chunk })).body;
        assert.deepEqual([other.text, other.events], [body.text, body.events], 'as for any other cut');
        assert.equal(other.steps.length, Math.ceil(text.length / chunk) + 1);
    }
    const stopped = (await trace({ text, chain: { filters: [{ type: 'wordlist', words: ['a'] }] } })).body;
    assert.deepEqual([stopped.text, stopped.stopped, stopped.steps.at(-1).held], ['My herons: ', true, '']);
    const empty = (await trace({ text: '' })).body;
    assert.deepEqual(empty.steps, [{ fed: 0, released: '', held_bytes: 0, held: '', events: [] }]);
    for (const [value, param] of [[{}, 'text'], [{ text: 'a', chunk: 0 }, 'chunk'], [{ text: 'a'.repeat(16385), chunk: 16384 }, 'text'],
        [{ text: 'a'.repeat(4097) }, 'chunk'], [{ text: 'a', side: 'x' }, 'side'], [{ text: 'a', version: 9 }, 'version']]) {
        assert.equal((await trace(value)).body.error.param, param);
    }
    assert.equal((await admin(server, 'POST', `${FILTERS}/nobody/trace`, { text: 'a' })).status, 404);
});
