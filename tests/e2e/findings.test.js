'use strict';
// What filters found is kept, without the text unless the owner asks for it, and can be gone through again with
// another chain before that is activated.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { ROUTE, ask, beginStream, readStream, whole } = require('./lib/chat.js');
const { succeed, weir } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { readMetrics } = require('./lib/metrics.js');
const { startServer, missing, modelPath } = require('./lib/server.js');
const { sleep, until } = require('./lib/wait.js');

const skip = missing();
const QUESTION = 'canarybird: What is 23 + 45?';
const CHAIN = {
    name: 'shop',
    version: 7,
    filters: [
        { type: 'wordlist', words: ['canarybird'], side: 'input', action: 'replace', replacement: 'number' },
        { type: 'wordlist', words: ['forbiddenword'], side: 'both' },
        { type: 'regex', patterns: ['[0-9]+'], side: 'output', action: 'note' },
    ],
};
const ROUTES = {
    [ROUTE]: ask(QUESTION),
    '/v1/completions': { prompt: 'canarybird 1. The capital of France is', temperature: 0, max_tokens: 24 },
    '/v1/responses': { input: QUESTION, temperature: 0, max_output_tokens: 24 },
    '/v1/messages': { messages: [{ role: 'user', content: QUESTION }], temperature: 0, max_tokens: 24 },
};

async function startWith(t, chain, args = []) {
    const file = writeFile(makeFolder(t), 'chain.json', chain);
    return startServer(t, { args: ['--filters', file, ...args] });
}

async function findings(server, query = '') {
    const response = await server.admin('GET', `/admin/findings${query}`);
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body.findings;
}

const ctl = (server, ...args) => succeed(['ctl', 'findings', ...args, '--url', server.url, '--admin-key', server.adminKey]);

test('each verdict is a row that says where it was found, and never what', { skip }, async (t) => {
    const folder = makeFolder(t);
    const keys = path.join(folder, 'keys');
    const state = path.join(folder, 'state.db');
    const key = /weir-[0-9a-f]{64}/.exec(succeed(['keys', 'add', '--file', keys, '--name', 'ann']))[0];
    const server = await startWith(t, CHAIN, ['--api-key-file', keys, '--state', state]);
    let known = 0;
    for (const [route, request] of Object.entries(ROUTES)) {
        for (const stream of [false, true]) {
            const id = `test-${route.replaceAll('/', '-')}-${stream}`;
            const response = await server.post(route, { ...request, stream }, { headers: { authorization: `Bearer ${key}`, 'x-request-id': id } });
            assert.equal(response.status, 200);
            await response.text();
            const rows = (await findings(server)).slice(0, -known || undefined);
            known += rows.length;
            const input = rows.filter(({ side }) => side === 'input');
            assert.equal(input.length, 1, id);
            const { time, answer, text_id, id: row, ...said } = input[0];
            assert.ok(row > 0 && Math.abs(time - Date.now() / 1000) < 60 && text_id === 0);
            assert.deepEqual(said, {
                request: id, key: 'ann', route, place: route === '/v1/completions' ? 'prompt' : 'messages[0].content', chain: 'shop',
                version: 7, side: 'input', channel: 'content', ordinal: 0, filter: 0, name: '0', type: 'wordlist', code: 'wordlist',
                verdict: 'replace', message: 'words[0]', recorded: false, from: 0, to: 10, at: 0,
            });
            const output = rows.filter(({ side }) => side === 'output');
            output.forEach((one) => assert.deepEqual([one.type, one.verdict, one.request, one.answer], ['regex', 'note', id, answer]));
        }
    }
    await server.post('/v1/embeddings', { input: ['fine', 'a forbiddenword'] }, { headers: { authorization: `Bearer ${key}` } });
    const [embedded] = await findings(server, '?limit=1');
    assert.deepEqual([embedded.route, embedded.place, embedded.verdict, embedded.answer], ['/v1/embeddings', 'input[1]', 'stop', '']);
    await server.post('/v1/moderations', { input: 'a forbiddenword' }, { headers: { authorization: `Bearer ${key}` } });
    const [moderated] = await findings(server, '?limit=1');
    assert.equal(moderated.route, '/v1/moderations');
    assert.match(moderated.answer, /^modr-/);

    const all = await (await server.admin('GET', '/admin/findings?texts=true&limit=1000')).text();
    assert.doesNotMatch(all, /canarybird|forbiddenword|What is/);
    await server.kill();
    for (const name of fs.readdirSync(folder).filter((one) => one.includes('findings'))) {
        const bytes = fs.readFileSync(path.join(folder, name), 'latin1');
        assert.doesNotMatch(bytes, /canarybird|forbiddenword|What is/, name);
    }
    const again = await startServer(t, { args: ['--state', state] });
    assert.equal((await findings(again, '?limit=1000')).length, JSON.parse(all).findings.length, 'they survive kill -9');
});

test('lists are in pages, and by what is asked for', { skip }, async (t) => {
    const server = await startWith(t, CHAIN);
    await server.post('/v1/moderations', { input: Array.from({ length: 30 }, (_, i) => `${i} canarybird`) });
    await server.post('/v1/moderations', { input: 'forbiddenword' });
    const pages = [];
    for (let before = ''; ;) {
        const page = await findings(server, `?limit=7${before}`);
        if (page.length === 0) break;
        pages.push(...page);
        before = `&before=${page.at(-1).id}`;
    }
    assert.deepEqual(pages.map(({ id }) => id), Array.from({ length: 62 }, (_, i) => 62 - i));
    const count = async (query) => (await findings(server, `?limit=1000&${query}`)).length;
    assert.equal(await count('chain=shop'), 62);
    assert.equal(await count('chain=shop@7'), 62);
    assert.equal(await count('chain=shop%408'), 0);
    assert.equal(await count('chain=other'), 0);
    assert.equal(await count('code=regex'), 30);
    assert.equal(await count('verdict=stop&side=input'), 1);
    for (const wrong of ['limit=0', 'limit=1001', 'before=x', 'chain=a@b', 'code=%ff', `code=${'x'.repeat(40)}`]) {
        assert.equal((await server.admin('GET', `/admin/findings?${wrong}`)).status, 400, wrong);
    }
    assert.equal((await server.fetch('/admin/findings')).status, 401);
    const table = ctl(server, '--verdict', 'stop').trim().split('\n');
    assert.equal(table.length, 3);
    assert.match(table[1], /shop +7 +output +1 +wordlist +wordlist +stop/);
    assert.equal(JSON.parse(ctl(server, 'list', '--json', '--limit', '3')).findings.length, 3);
});

test('texts are kept if the owner wants it: those in which something was found, or all', { skip }, async (t) => {
    for (const [which, want] of [['found', false], ['all', true]]) {
        const server = await startWith(t, CHAIN, ['--filter-log-text', which]);
        await whole(server, ask('Hello there'));
        const { text } = await readStream(await beginStream(server, ask(QUESTION)));
        const rows = await findings(server, '?texts=true&limit=1000');
        const input = rows.find(({ side }) => side === 'input');
        assert.equal(input.text, QUESTION, 'as it was before the filters');
        const output = rows.filter(({ side }) => side === 'output');
        output.forEach((row) => assert.equal(row.text, text));
        assert.ok(output.length > 0);
        const replay = await (await server.admin('POST', '/admin/filters/replay', { chain: { name: 'x', filters: [] }, stored: 1000 })).json();
        assert.equal(replay.texts > 2, want, JSON.stringify(replay));
        assert.match(ctl(server, '--with-texts'), /canarybird/);
        assert.doesNotMatch(server.stderr, /canarybird/);
    }
});

test('stored texts tell what another chain would do, before it is activated', { skip }, async (t) => {
    const server = await startWith(t, CHAIN, ['--filter-log-text', 'all']);
    const { text } = await whole(server, ask(QUESTION));
    await whole(server, ask('Tell me a story.'));
    const published = await (await server.admin('GET', '/admin/filters/default')).json();
    const next = {
        name: 'shop',
        filters: [...CHAIN.filters, { type: 'wordlist', words: ['68', 'story'], side: 'both' }],
    };
    const report = await (await server.admin('POST', '/admin/filters/replay', { chain: next, stored: 100 })).json();
    assert.equal(report.complete, true);
    assert.equal(report.before.version, 7);
    assert.equal(report.texts, 4);
    assert.equal(report.newly_stopped, report.differences.filter(({ change }) => change === 'newly_stopped').length);
    const question = report.differences.find(({ side }) => side === 'input');
    assert.equal(question.change, 'newly_stopped');
    const answer = report.differences.find(({ side, differs_at }) => side === 'output' && differs_at === text.indexOf('68'));
    assert.equal(answer.after.stop.code, 'wordlist');
    assert.deepEqual(answer.added.map(({ verdict }) => verdict), ['stop']);
    const rule = report.rules.find(({ type, verdict }) => type === 'wordlist' && verdict === 'stop');
    assert.deepEqual([rule.before, rule.after], [0, report.newly_stopped]);
    assert.doesNotMatch(JSON.stringify(report), /story|canarybird/);
    const quoted = await (await server.admin('POST', '/admin/filters/replay', { chain: next, stored: 100, show_text: true })).json();
    assert.match(JSON.stringify(quoted), /story/);
    assert.deepEqual(await (await server.admin('GET', '/admin/filters/default')).json(), published, 'nothing has changed');
    const before = await findings(server, '?limit=1000');

    // The same from a terminal; and what it said is what happens then.
    const file = writeFile(makeFolder(t), 'next.json', next);
    const told = ctl(server, 'replay', file, '--stored', '100');
    assert.match(told, new RegExp(`${report.newly_stopped} newly stopped`));
    assert.equal((await findings(server, '?limit=1000')).length, before.length, 'a replay is no finding');
    await server.admin('PUT', '/admin/filters/default', next);
    const now = await whole(server, ask(QUESTION));
    assert.equal(now.text, text.slice(0, text.indexOf('68')));
    assert.equal((await server.post(ROUTE, ask('Tell me a story.'))).status, 400);
});

test('a replay takes texts with the request, and refuses what is wrong', { skip }, async (t) => {
    const server = await startWith(t, CHAIN);
    const post = async (body) => {
        const response = await server.admin('POST', '/admin/filters/replay', body);
        return { status: response.status, body: await response.json() };
    };
    const chain = { name: 'x', filters: [{ type: 'wordlist', words: ['bad'], side: 'both' }] };
    const { body } = await post({ chain, against: { name: 'y', filters: [] }, texts: ['a bad one', { id: 'b', side: 'input', text: 'fine' }, { text: 'bad', channel: 'reasoning' }] });
    assert.deepEqual([body.texts, body.newly_stopped, body.unchanged], [3, 2, 1]);
    assert.deepEqual(body.differences.map(({ id }) => id), ['0', '2']);
    assert.equal((await post({ chain: 'shop', against: 'shop@7', texts: ['x'] })).body.unchanged, 1);
    for (const [wrong, status, param] of [
        [{ texts: ['x'] }, 400, 'chain'],
        [{ chain: 3, texts: ['x'] }, 400, 'chain'],
        [{ chain: 'nobody', texts: ['x'] }, 404, 'chain'],
        [{ chain: { name: 'x', filters: [{ type: 'none' }] }, texts: ['x'] }, 400, null],
        [{ chain: { name: 'x', filters: [{ type: 'wordlist', file: '/etc/passwd' }] }, texts: ['x'] }, 400, null],
        [{ chain }, 400, 'texts'],
        [{ chain, texts: ['x'], stored: 3 }, 400, 'texts'],
        [{ chain, stored: 0 }, 400, 'stored'],
        [{ chain, stored: 1e9 }, 400, 'stored'],
        [{ chain, texts: 'x' }, 400, 'texts'],
        [{ chain, texts: ['a', 7] }, 400, 'texts[1]'],
        [{ chain, texts: ['x'], show_text: 1 }, 400, 'show_text'],
        [[], 400, null],
    ]) {
        const answer = await post(wrong);
        assert.equal(answer.status, status, JSON.stringify(answer.body));
        if (param) assert.equal(answer.body.error.param, param, JSON.stringify(answer.body));
    }
    assert.equal((await server.post('/admin/filters/replay', { chain, texts: [] })).status, 401);
});

test('one replay at a time, and one whose client has left ends', { skip }, async (t) => {
    const server = await startServer(t);
    const chain = { name: 'x', filters: Array.from({ length: 32 }, () => ({ type: 'repetition', action: 'note' })) };
    const texts = Array.from({ length: 100 }, (_, i) => `${'write to ann or bob '.repeat(3500)}${i}`);
    const small = { chain: { name: 'y', filters: [] }, texts: ['a'] };
    // A machine that stands still for seconds lets it end before its client leaves; then once more.
    const leave = async () => {
        const gone = new AbortController();
        const first = server.fetch('/admin/filters/replay', {
            method: 'POST',
            body: JSON.stringify({ chain, against: chain, texts }), signal: gone.signal,
            headers: { authorization: `Bearer ${server.adminKey}`, 'content-type': 'application/json' },
        }).then(() => 'ended', () => 'gone');
        await sleep(700);
        const second = await server.admin('POST', '/admin/filters/replay', small);
        const { status } = await server.fetch('/healthz');
        gone.abort();
        return { how: await first, second, status };
    };
    const { second, status: health } = await until(async () => {
        const left = await leave();
        return left.how === 'gone' && left;
    }, 'one that was left at work');
    assert.equal(second.status, 429, 'the first one is at work');
    assert.ok(Number(second.headers.get('retry-after')) > 0);
    assert.equal(health, 200);
    let status = 429;
    for (let i = 0; status === 429 && i < 100; i++) {
        await sleep(50);
        ({ status } = await server.admin('POST', '/admin/filters/replay', small));
    }
    assert.equal(status, 200);
});

test('ten thousand verdicts at once do not hold up answers, and none is lost uncounted', { skip }, async (t) => {
    const filters = [{ type: 'wordlist', words: ['canarybird'], side: 'input', action: 'note' }];
    const state = path.join(makeFolder(t), 'state.db');
    const server = await startWith(t, { name: 'x', filters }, ['--state', state]);
    const quick = async () => {
        const begin = process.hrtime.bigint();
        await (await server.fetch('/healthz')).text();
        return Number(process.hrtime.bigint() - begin) / 1e6;
    };
    const request = ask('What is 23 + 45?');
    const { text } = await whole(server, request);
    const body = { input: Array(2).fill('canarybird '.repeat(50)) };
    const flood = Promise.all(Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 25; i++) {
            assert.equal((await server.post('/v1/moderations', body)).status, 200);
        }
    }));
    const waits = [];
    let over = false;
    flood.then(() => (over = true), () => (over = true));
    while (!over) {
        waits.push(await quick());
        assert.equal((await whole(server, request)).text, text);
    }
    await flood;
    const rows = await findings(server, '?limit=1000');
    assert.equal(rows.length, 1000);
    const { value } = await readMetrics(server);
    assert.equal(value('weir_filter_verdicts_total'), 10000);
    assert.equal(value('weir_findings_written_total') + value('weir_findings_dropped_total'), 10000);
    assert.equal(value('weir_findings_dropped_total', { reason: 'not_written' }), 0);
    waits.sort((a, b) => a - b);
    t.diagnostic(`healthz beside it: median ${waits[waits.length >> 1].toFixed(1)} ms, longest ${waits.at(-1).toFixed(1)} ms`);
    assert.ok(waits[waits.length >> 1] < 1000);
});

test('a file for findings that cannot be used is told at the start', { skip }, (t) => {
    const folder = makeFolder(t);
    const foreign = writeFile(folder, 'foreign', 'this is a text and no database\n'.repeat(100));
    for (const [file, message] of [[path.join(folder, 'none', 'f'), /cannot create/], [foreign, /no SQLite database/]]) {
        const { status, stderr } = weir(['serve', '--model', modelPath(), '--port', '0', '--findings', file]);
        assert.equal(status, 1);
        assert.match(stderr, message);
    }
    for (const wrong of [['--metrics', 'some'], ['--filter-log-text', 'some'], ['--metrics', 'key']]) {
        assert.equal(weir(['serve', '--model', modelPath(), ...wrong]).status, 2);
    }
});

test('weir filter compares two chains on files of texts', { skip: skip && 'not built' }, (t) => {
    const folder = makeFolder(t);
    const before = writeFile(folder, 'a.json', { name: 'a', version: 1, filters: [{ type: 'wordlist', words: ['bad'] }] });
    const after = writeFile(folder, 'b.json', { name: 'a', version: 2, filters: [{ type: 'wordlist', file: 'words.txt' }] });
    writeFile(folder, 'words.txt', 'worse\nbad\n');
    const plain = writeFile(folder, 'texts.txt', 'a worse one\n\n{"text": "is JSON only in .jsonl"}\r\na bad one\n');
    const args = ['filter', '--chain', after, '--against', before];
    const report = JSON.parse(succeed([...args, '--texts', plain, '--json']));
    assert.deepEqual([report.texts, report.newly_stopped, report.unchanged], [3, 1, 2]);
    assert.equal(report.differences[0].id, '1');
    const lines = writeFile(folder, 'texts.jsonl', '{"id":"x","text":"a worse one"}\n"bad"\n{"text":"worse","side":"input"}\n');
    const told = succeed([...args, '--texts', lines, '--show-text']);
    assert.match(told, /^3 texts$/m);
    assert.match(told, /x \(output, content\): newly_stopped\n  \+ stop wordlist\/wordlist at 2: .*\n  - "a worse one"\n  \+ "a "/);
    assert.match(succeed([...args, '--texts', '-'], 'worse\n'), /1 newly stopped/);
    for (const [wrong, status, message] of [
        [[...args], 2, /--against and --texts/],
        [['filter', '--chain', after, '--texts', plain], 2, /--against and --texts/],
        [[...args, '--texts', path.join(folder, 'none')], 1, /none: cannot open/],
        [[...args, '--texts', writeFile(folder, 'wrong.jsonl', '"a"\n{"text":3}\n')], 1, /wrong.jsonl:2: .*text/],
        [['filter', '--chain', after, '--against', path.join(folder, 'none'), '--texts', plain], 1, /none/],
    ]) {
        const { status: got, stderr } = weir(wrong);
        assert.equal(got, status, stderr);
        assert.match(stderr, message);
    }
});

test('a stored version is tried before it is activated', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--filter-log-text', 'all'] });
    const words = (...list) => ({ filters: [{ type: 'wordlist', words: list, side: 'both' }] });
    await server.admin('PUT', '/admin/filters/shop', words('zebra'));
    await server.admin('PUT', '/admin/filters/default', words('zebra'));
    await server.admin('PUT', '/admin/filters/default?activate=false', words('zebra', 'horse'));
    await server.admin('PUT', '/admin/filters/default/labels/next', { version: 2 });
    await whole(server, ask('I have a horse.'));
    for (const chain of ['default@2', 'default@next', 'default@latest']) {
        const report = await (await server.admin('POST', '/admin/filters/replay', { chain, stored: 10 })).json();
        assert.equal(report.before.version, 1, JSON.stringify(report));
        assert.equal(report.after.version, 2);
        assert.equal(report.newly_stopped >= 1, true);
    }
    const back = await (await server.admin('POST', '/admin/filters/replay', { chain: 'default', against: 'default@2', texts: ['a horse'] })).json();
    assert.equal(back.no_longer_stopped, 1);
    assert.equal((await server.admin('POST', '/admin/filters/replay', { chain: 'default@9', texts: ['x'] })).status, 404);
    assert.match(ctl(server, 'replay', 'default@next', '--stored', '10'), /newly stopped/);
});
