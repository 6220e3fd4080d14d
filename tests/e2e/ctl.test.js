'use strict';
// weir ctl against a stand-in for the server, which shows what is asked, and answers what a test wants.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeFile } = require('./lib/files.js');
const { programPath } = require('./lib/server.js');

const skip = fs.existsSync(programPath()) ? false : `${programPath()} is not built`;
const PROFILE = {
    name: 'shop', revision: 9, latest: 5, active: 3, split: { version: 4, percent: 10 }, versions: 5,
    updated: 1767225600, labels: { stable: 3, next: 5 },
};
const VERSION = {
    name: 'shop', version: 3, sha256: 'ab'.repeat(32), created: 1767225600, text: 'You sell in {{city}}.\nBe brief.',
    mode: 'override', examples: [{ user: 'Hi', assistant: 'Hello!' }], documents: [{ title: 'Hours', text: '9 to 5' }],
    variables: { city: 'Bern', customer: null }, author: 'Anna', note: 'two\nlines',
};

// answer(request) gives {status, body}: an object is sent as JSON.
async function standIn(t, answer, where = { port: 0, host: '127.0.0.1' }) {
    const requests = [];
    const server = http.createServer(async (incoming, response) => {
        const pieces = [];
        for await (const piece of incoming) pieces.push(piece);
        const body = Buffer.concat(pieces).toString();
        const request = { method: incoming.method, url: incoming.url, headers: incoming.headers, body };
        requests.push(request);
        const { status = 200, body: sent = PROFILE } = answer(request) ?? {};
        response.writeHead(status).end(typeof sent === 'string' ? sent : JSON.stringify(sent));
    });
    await new Promise((resolve) => server.listen(where, resolve));
    t.after(() => server.close());
    const url = where.path ? `unix:${where.path}` : `http://127.0.0.1:${server.address().port}`;
    return { url, requests };
}

function run(args, { input = '', env = {} } = {}) {
    return new Promise((resolve) => {
        const child = execFile(programPath(), ['ctl', ...args],
            { env: { PATH: process.env.PATH, USER: 'berta', ...env }, timeout: 60_000 },
            (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }));
        child.stdin.on('error', () => {}).end(input);
    });
}

// Runs against a stand-in and gives the one request it has seen.
async function request(t, args, options = {}) {
    const { url, requests } = await standIn(t, options.answer ?? (() => ({})));
    const outcome = await run([...args, '--url', url, '--admin-key', 'k', ...(options.more ?? [])], options);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.equal(requests.length, 1);
    return { ...requests[0], stdout: outcome.stdout };
}

const SUMMARY = 'shop: version 3 is active, the latest is 5, split 4: 10%, labels stable=3 next=5 (revision 9)\n';
const CHANGES = [
    [['activate', 'shop', '4'], 'POST', '/admin/prompts/shop/activate', { version: 4 }],
    [['activate', 'shop', 'stable'], 'POST', '/admin/prompts/shop/activate', { version: 'stable' }],
    [['rollback', 'shop'], 'POST', '/admin/prompts/shop/rollback', null],
    [['label', 'shop', 'next', '5'], 'PUT', '/admin/prompts/shop/labels/next', { version: 5 }],
    [['unlabel', 'shop', 'next'], 'DELETE', '/admin/prompts/shop/labels/next', null],
    [['split', 'shop', '4', '10'], 'PUT', '/admin/prompts/shop/split', { version: 4, percent: 10 }],
    [['delete', 'shop'], 'DELETE', '/admin/prompts/shop', null],
    [['delete', 'shop@2'], 'DELETE', '/admin/prompts/shop/versions/2', null],
    [['delete', 'a b/../c?#@é'], 'DELETE', '/admin/prompts/a%20b%2F..%2Fc%3F%23/versions/%C3%A9', null],
];

test('changes are asked for as the admin routes take them', { skip }, async (t) => {
    for (const [args, method, url, body] of CHANGES) {
        await t.test(args.join(' '), async (t) => {
            const seen = await request(t, ['prompts', ...args], { more: ['--if-match', '9'] });
            assert.deepEqual([seen.method, seen.url], [method, url]);
            assert.deepEqual(seen.body === '' ? null : JSON.parse(seen.body), body);
            assert.equal(seen.headers.authorization, 'Bearer k');
            assert.equal(seen.headers['weir-actor'], 'berta');
            assert.equal(seen.headers['if-match'], '"9"');
            assert.equal(seen.stdout, SUMMARY);
        });
    }
});

test('what has no content prints nothing; --json prints what the server says', { skip }, async (t) => {
    const empty = await request(t, ['prompts', 'delete', 'shop'], { answer: () => ({ status: 204, body: '' }) });
    assert.equal(empty.stdout, '');
    const json = await request(t, ['prompts', 'rollback', 'shop', '--json']);
    assert.deepEqual(JSON.parse(json.stdout), PROFILE);
    assert.equal(json.headers['if-match'], undefined);
});

test('put reads Markdown, JSON and text', { skip }, async (t) => {
    const folder = makeFolder(t);
    const markdown = '---\nmode: override\nauthor: Anna\nnote: old\nvariables:\n  city: Bern\n---\nIn {{city}}.\n';
    const files = {
        'a.md': [markdown, { mode: 'override', author: 'Anna', note: 'old', variables: { city: 'Bern' }, text: 'In {{city}}.' }],
        'b.txt': ['You are Otto.\n\n', { text: 'You are Otto.', author: 'berta' }],
        'c.json': ['{"text":"x","examples":[]}', { text: 'x', examples: [], author: 'berta' }],
    };
    for (const [name, [content, wanted]] of Object.entries(files)) {
        const seen = await request(t, ['prompts', 'put', 'shop', writeFile(folder, name, content)]);
        assert.deepEqual([seen.method, seen.url], ['PUT', '/admin/prompts/shop']);
        assert.deepEqual(JSON.parse(seen.body), wanted, name);
        assert.equal(seen.stdout, SUMMARY);
    }
    for (const [input, wanted] of [[markdown, files['a.md'][1]], ['{"text":"x"}', { text: 'x', author: 'berta' }],
        ['{{name}} is you.', { text: '{{name}} is you.', author: 'berta' }]]) {
        const seen = await request(t, ['prompts', 'put', 'shop', '-'], { input });
        assert.deepEqual(JSON.parse(seen.body), wanted);
    }
    const later = await request(t, ['prompts', 'put', 'shop', path.join(folder, 'a.md'), '--no-activate', '--note', 'new',
        '--actor', 'Cem']);
    assert.equal(later.url, '/admin/prompts/shop?activate=false');
    assert.equal(later.headers['weir-actor'], 'Cem');
    assert.deepEqual([JSON.parse(later.body).note, JSON.parse(later.body).author], ['new', 'Anna']);
});

test('a broken file is told and not sent', { skip }, async (t) => {
    const folder = makeFolder(t);
    const { url, requests } = await standIn(t, () => ({}));
    const cases = [['a.md', '---\nmode: never\n---\nx', /a\.md:2: mode is one of/], ['b.json', '{"text":', /b\.json: invalid JSON/],
        ['c.json', '[]', /c\.json: an object is wanted/], ['d.txt', '', /d\.txt:1: there is no text/]];
    for (const [name, content, message] of cases) {
        for (const command of ['put', 'dry-run']) {
            const { status, stderr } = await run(['prompts', command, 'shop', writeFile(folder, name, content), '--url', url]);
            assert.equal(status, 1);
            assert.match(stderr, message);
        }
    }
    const { status, stderr } = await run(['prompts', 'put', 'shop', path.join(folder, 'none'), '--url', url]);
    assert.equal(status, 1);
    assert.match(stderr, /none: cannot open/);
    assert.equal(requests.length, 0);
});

test('list goes through all pages and shows a table', { skip }, async (t) => {
    const all = Array.from({ length: 230 }, (_, i) => ({ ...PROFILE, name: `p${1000 + i}`, split: null }));
    all[3] = { ...PROFILE, name: 'p1003', active: 0 };
    const answer = ({ url }) => {
        const query = new URL(url, 'http://x').searchParams;
        const from = all.findIndex(({ name }) => name > (query.get('after') ?? ''));
        return { body: { profiles: from < 0 ? [] : all.slice(from, from + Number(query.get('limit'))) } };
    };
    const { url, requests } = await standIn(t, answer);
    const table = (await run(['prompts', 'list', '--url', url])).stdout.split('\n');
    assert.equal(table.length, 232);
    assert.equal(table[0], 'NAME   ACTIVE  LATEST  VERSIONS  SPLIT   REVISION  UPDATED');
    assert.equal(table[3], 'p1002  3       5       5         -       9         2026-01-01 00:00:00Z');
    assert.equal(table[4], 'p1003  0       5       5         4: 10%  9         2026-01-01 00:00:00Z');
    assert.equal(requests.length, 3);
    const json = JSON.parse((await run(['prompts', 'list', '--url', url, '--json'])).stdout);
    assert.deepEqual(json, { profiles: all });
});

test('show prints a profile and a version', { skip }, async (t) => {
    const active = await request(t, ['prompts', 'show', 'shop'], { answer: () => ({ body: { ...PROFILE, prompt: VERSION } }) });
    const one = await request(t, ['prompts', 'show', 'shop@stable'], { answer: () => ({ body: VERSION }) });
    assert.deepEqual([active.url, one.url], ['/admin/prompts/shop', '/admin/prompts/shop/versions/stable']);
    assert.equal(active.stdout, SUMMARY + one.stdout);
    assert.equal(one.stdout, [
        'name          shop', 'version       3', `sha256        ${'ab'.repeat(32)}`, 'created       2026-01-01 00:00:00Z',
        'mode          override', 'author        Anna', 'note          two lines', '{{city}}      Bern',
        '{{customer}}  (each request gives it)', '', 'Example', 'User: Hi', 'Assistant: Hello!', '', 'Document: Hours',
        '9 to 5', '', VERSION.text, ''].join('\n'));
    const none = await request(t, ['prompts', 'show', 'shop'],
        { answer: () => ({ body: { ...PROFILE, active: 0, prompt: null, split: null, labels: {} } }) });
    assert.equal(none.stdout, 'shop: no version is active, the latest is 5 (revision 9)\n');
});

test('versions, audit, diff and dry-run', { skip }, async (t) => {
    const versions = await request(t, ['prompts', 'versions', 'shop', '--limit', '2'], { answer: () => ({ body: { versions: [
        { version: 10, sha256: 'x', created: 1767225600, mode: 'prepend', text_bytes: 120, author: 'Zoë', note: 'a\tb' },
        { version: 9, sha256: 'x', created: 1767225600, mode: 'override', text_bytes: 7, author: '', note: 'n'.repeat(70) }] } }) });
    assert.equal(versions.url, '/admin/prompts/shop/versions?limit=2');
    assert.equal(versions.stdout, [
        'VERSION  CREATED               MODE      BYTES  AUTHOR  NOTE',
        '10       2026-01-01 00:00:00Z  prepend   120    Zoë     a b',
        `9        2026-01-01 00:00:00Z  override  7      -       ${'n'.repeat(64)}...`, ''].join('\n'));

    const row = { id: 7, time: 1767225600, actor: 'berta', action: 'activate', profile: 'shop', subject: '4', before: 3,
        after: { version: 4 }, revision: 9 };
    const audit = await request(t, ['prompts', 'audit', 'shop'], { answer: () => ({ body: { audit: [row] } }) });
    assert.equal(audit.url, '/admin/audit?limit=50&kind=prompt&profile=shop');
    assert.match(audit.stdout, /^7 +2026-01-01 00:00:00Z +berta +activate +shop +4 +3 +\.\.\.$/m);

    const diff = await request(t, ['prompts', 'diff', 'shop', '3', 'a&b'], { answer: () => ({ body: '-old\n+new\n' }) });
    assert.equal(diff.url, '/admin/prompts/shop/diff?from=3&to=a%26b');
    assert.equal(diff.stdout, '-old\n+new\n');
    assert.equal((await request(t, ['prompts', 'diff', 'shop'], { answer: () => ({ body: '' }) })).url, '/admin/prompts/shop/diff');

    const dry = { text: 'You are Otto.', tokens: 12, shared_tokens: 10, context: 2048, left: 2036, warnings: ['long'] };
    const tried = await request(t, ['prompts', 'dry-run', 'shop'], { answer: () => ({ body: dry }) });
    assert.deepEqual([tried.method, tried.url, tried.body], ['POST', '/admin/prompts/shop/dry-run', '']);
    assert.equal(tried.stdout, 'tokens         12\nshared_tokens  10\ncontext        2048\nleft           2036\n' +
        'warning: long\n\nYou are Otto.\n');
});

test('the key comes from an option, a file or the environment', { skip }, async (t) => {
    const folder = makeFolder(t);
    const { url, requests } = await standIn(t, () => ({}));
    const key = async (args, env) => {
        const outcome = await run(['prompts', 'rollback', 'shop', '--url', url, ...args], { env });
        return outcome.status === 0 ? requests.at(-1).headers.authorization : outcome.stderr;
    };
    const file = writeFile(folder, 'key', '# ours\n\nfrom-file\n');
    assert.equal(await key([]), undefined);
    assert.equal(await key([], { WEIR_ADMIN_KEY: 'env' }), 'Bearer env');
    assert.equal(await key(['--admin-key-file', file], { WEIR_ADMIN_KEY: 'env' }), 'Bearer from-file');
    assert.equal(await key(['--admin-key', 'here', '--admin-key-file', file]), 'Bearer here');
    assert.match(await key(['--admin-key-file', writeFile(folder, 'hash', `a:${'0'.repeat(64)}\n`)]), /hash is in it/);
    assert.match(await key(['--admin-key', 'a\r\nb: c']), /control character/);
});

test('a unix socket', { skip }, async (t) => {
    const socket = path.join(makeFolder(t), 'socket');
    const { url } = await standIn(t, () => ({}), { path: socket });
    const { status, stdout, stderr } = await run(['prompts', 'rollback', 'shop', '--url', url]);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, SUMMARY);
});

test('errors are the server\'s words and status 1', { skip }, async (t) => {
    const error = (status, message) => () => ({ status, body: { error: { message, type: 'x', code: 'y' } } });
    const outcome = async (answer) => run(['prompts', 'rollback', 'shop', '--url', (await standIn(t, answer)).url]);
    for (const [answer, message] of [
        [error(412, 'the profile is at revision 10'), /^weir ctl prompts rollback: .*412.*: the profile is at revision 10\n$/],
        [error(404, 'there is no profile "shop"'), /there is no profile "shop"/],
        [() => ({ status: 502, body: '<html>' }), /502: <html>/],
        [() => ({ body: 'no JSON' }), /the server's answer: invalid JSON/],
        [() => ({ status: 302, body: '' }), /302: nothing/],
    ]) {
        const { status, stdout, stderr } = await outcome(answer);
        assert.deepEqual([status, stdout], [1, '']);
        assert.match(stderr, message);
    }
    const { status, stderr } = await run(['prompts', 'list', '--url', 'http://127.0.0.1:1']);
    assert.equal(status, 1);
    assert.match(stderr, /http:\/\/127\.0\.0\.1:1: /);
});

test('wrong usage is status 2, help is there for each command', { skip }, async (t) => {
    for (const args of [[], ['nonsense'], ['prompts'], ['prompts', 'nonsense'], ['prompts', 'put', 'shop'], ['prompts', 'list', 'x'],
        ['prompts', 'show', '@2'], ['prompts', 'show', 'a@'], ['prompts', 'split', 'shop', '4', '101'],
        ['prompts', 'split', 'shop', '4', 'x'], ['prompts', 'list', '--note', 'x'], ['prompts', 'rollback', 'shop', '--if-match', '-1']]) {
        const { status, stderr } = await run(args);
        assert.equal(status, 2, args.join(' '));
        assert.notEqual(stderr, '');
    }
    assert.match((await run(['--help'])).stdout, /prompts/);
    const { stdout } = await run(['prompts', '--help']);
    const names = [...stdout.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name);
    assert.deepEqual(names.sort(), ['activate', 'audit', 'delete', 'diff', 'dry-run', 'label', 'list', 'put', 'rollback', 'show',
        'split', 'unlabel', 'versions']);
    for (const name of names) {
        const help = await run(['prompts', name, '--help']);
        assert.equal(help.status, 0);
        assert.match(help.stdout, new RegExp(`^usage: weir ctl prompts ${name} .*\\[options\\]`));
        assert.match(help.stdout, /--admin-key-file/);
    }
});
