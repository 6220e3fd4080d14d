'use strict';
// What users of one server share and what they do not: caches, turns, deadlines, a full queue.

const assert = require('node:assert/strict');
const net = require('node:net');
const test = require('node:test');

const { ROUTE, ask, whole, streamed, beginStream, readStream } = require('./lib/chat.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');

const skip = missing();
// More than a page of the KV cache.
const LONG_TEXT = 'The office opens at nine and closes at five. '.repeat(12);
// Runs until it is stopped, whatever the model would like.
const ENDLESS = ask('Tell me a story.', { max_tokens: 900, ignore_eos: true, temperature: 1 });

const cached = ({ usage }) => usage.prompt_tokens_details.cached_tokens;

async function stats(server) {
    return (await server.admin('GET', '/admin/models')).json();
}

test('n answers differ, are the same each time, and share the reading of the prompt', { skip }, async (t) => {
    const server = await startServer(t);
    const request = ask(`${LONG_TEXT} Tell me a story.`, { n: 3, temperature: 1, seed: 7, max_tokens: 20 });
    const { body } = await whole(server, request);
    const texts = body.choices.map((choice) => choice.message.content);
    assert.deepEqual(body.choices.map((choice) => choice.index), [0, 1, 2]);
    assert.equal(new Set(texts).size, 3);
    const { prompt_tokens: read, cached_tokens: found } = await stats(server);
    assert.ok(found >= 2 * (body.usage.prompt_tokens - 1), `${found} of ${read} were shared`);

    // The first one is what a request for one gets; a stream says the same by index.
    assert.equal((await whole(server, { ...request, n: 1 })).text, texts[0]);
    const { chunks } = await streamed(server, request);
    const joined = ['', '', ''];
    const finishes = [];
    for (const { index, delta, finish_reason: finish } of chunks.flatMap((chunk) => chunk.choices)) {
        joined[index] += delta.content ?? '';
        finishes[index] = finish;
    }
    assert.deepEqual(joined, texts);
    assert.deepEqual(finishes, body.choices.map((choice) => choice.finish_reason));
    assert.equal(chunks.at(-1).usage.completion_tokens, body.usage.completion_tokens);
});

test('the next turn of a conversation finds the turns before it', { skip }, async (t) => {
    const server = await startServer(t);
    const first = await whole(server, ask(LONG_TEXT));
    assert.equal(cached(first), 0);
    const messages = [
        { role: 'user', content: LONG_TEXT },
        { role: 'assistant', content: first.text },
        { role: 'user', content: 'And on Sundays?' },
    ];
    const second = await whole(server, ask('', { messages }));
    assert.ok(cached(second) > 0.8 * first.usage.prompt_tokens, `${cached(second)}`);
    assert.ok(cached(second) < second.usage.prompt_tokens);
});

test('a system prompt is in the cache before the first request, for every caller', { skip }, async (t) => {
    const folder = makeFolder(t);
    const keys = writeFile(folder, 'keys', '# two callers\nalpha\nbeta\n');
    const server = await startServer(t, { args: ['--api-key-file', keys] });
    const as = (key, request) => server.post(ROUTE, request, { headers: { authorization: `Bearer ${key}` } })
        .then((response) => response.json());
    assert.equal((await server.post(ROUTE, ask('Hello'))).status, 401);

    await server.admin('PUT', '/admin/prompts/default', { text: `Your name is Marlow. ${LONG_TEXT}` });
    const question = ask(`${LONG_TEXT} Who are you?`);
    const alpha = await as('alpha', question);
    assert.ok(cached(alpha) >= 64, `${cached(alpha)}`);
    // Beta finds the owner's text, and nothing of what alpha asked; alpha finds both.
    assert.equal(cached(await as('beta', question)), cached(alpha));
    const again = await as('alpha', question);
    assert.ok(cached(again) > cached(alpha) + 32);
    assert.equal(again.choices[0].message.content, alpha.choices[0].message.content);
    // A caller may keep its own users apart as well.
    const salted = await as('alpha', { ...question, cache_salt: 'user 17' });
    assert.equal(cached(salted), cached(alpha));
});

test('a deadline ends an answer, whole or streamed, running or waiting', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--parallel', '1', '--threads', '1', '--guess', 'never'] });
    const late = { ...ENDLESS, deadline_ms: 20 }; // 900 tokens in that time would be 45,000 a second
    const began = Date.now();
    const answers = await Promise.all([server.post(ROUTE, late), server.post(ROUTE, late)]);
    for (const answer of answers) {
        const body = await answer.json();
        assert.equal(answer.status, 504, JSON.stringify(body));
        assert.equal(body.error.code, 'deadline_exceeded');
        assert.equal(body.error.param, 'deadline_ms');
        assert.equal(answer.headers.get('x-should-retry'), 'false');
    }
    assert.ok(Date.now() - began < 5000);
    const stream = await (await beginStream(server, late)).text();
    assert.match(stream, /"code":"deadline_exceeded"/);
    assert.doesNotMatch(stream, /\[DONE\]/);
    assert.equal((await whole(server, ask('Hello', { deadline_ms: 60_000 }))).finish, 'stop');
});

test('a conversation that is too long is refused, or cut where the client says so', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--context', '256'] });
    const turn = (i) => [
        { role: 'user', content: `Question ${i}: what is ${i} plus 1?` },
        { role: 'assistant', content: `${i} plus 1 is ${i + 1}.` },
    ];
    const messages = [
        { role: 'system', content: 'Your name is Marlow.' },
        ...Array.from({ length: 40 }, (_, i) => turn(i)).flat(),
        { role: 'user', content: 'What is your name?' },
    ];
    const refused = await server.post(ROUTE, ask('', { messages }));
    assert.equal(refused.status, 400);
    assert.equal((await refused.json()).error.code, 'context_length_exceeded');
    const { text, usage } = await whole(server, ask('', { messages, truncation: 'auto' }));
    assert.match(text, /Marlow/);
    assert.ok(usage.prompt_tokens + 24 <= 256 && usage.prompt_tokens > 150, `${usage.prompt_tokens}`);
    // One enormous message among small ones costs no time to speak of.
    const enormous = [{ role: 'user', content: LONG_TEXT.repeat(10_000) }, ...messages.slice(-3)];
    const cut = await whole(server, ask('', { messages: enormous, truncation: 'auto' }));
    assert.ok(cut.usage.prompt_tokens < 256);
    const one = [{ role: 'user', content: LONG_TEXT.repeat(3) }];
    const hopeless = await server.post(ROUTE, ask('', { messages: one, truncation: 'auto' }));
    assert.equal(hopeless.status, 400);
});

test('a refusal for want of room says when to come back', { skip }, async (t) => {
    const server = await startServer(t, {
        args: ['--parallel', '1', '--queue', '8', '--queue-tokens', '300', '--guess', 'never'],
    });
    const gone = new AbortController();
    const post = (request) => server.post(ROUTE, request, { signal: gone.signal });
    const running = post({ ...ENDLESS, n: 6, stream: true }); // one runs, the others wait for a while
    await (await running).body.getReader().read();
    // One waits, though it is long; with it the next one is too much, while a short one still fits.
    const waiting = post(ask(LONG_TEXT)).catch(() => 'gone');
    while ((await stats(server)).waiting < 6) {
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const refused = await post(ask(LONG_TEXT.repeat(2)));
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('x-should-retry'), 'true');
    const seconds = Number(refused.headers.get('retry-after'));
    assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60);
    assert.equal((await refused.json()).error.code, 'queue_full');
    gone.abort();
    await waiting;
});

test('a stream that waits gets comments, which clients skip', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--parallel', '1', '--ping', '1', '--guess', 'never'] });
    const gone = new AbortController();
    // Four times 16 answers one after another: seconds, wherever this runs.
    const before = Array.from({ length: 4 }, () => server.post(ROUTE, { ...ENDLESS, n: 16 }, { signal: gone.signal })
        .then((response) => response.text()).catch(() => 'gone'));
    while ((await stats(server)).waiting < 50) {
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const waiting = await beginStream(server, ask('Hello'));
    setTimeout(() => gone.abort(), 2500);
    const [forText, forEvents] = waiting.body.tee();
    const text = await new Response(forText).text();
    assert.match(text, /: ping\n\n/);
    const { finish } = await readStream(new Response(forEvents, { headers: waiting.headers }));
    assert.equal(finish, 'stop');
    await Promise.all(before);
});

test('callers take turns, whoever asks more', { skip }, async (t) => {
    const folder = makeFolder(t);
    const keys = writeFile(folder, 'keys', 'many\nfew\n');
    const server = await startServer(t, { args: ['--parallel', '1', '--api-key-file', keys] });
    const ends = [];
    const as = async (key) => {
        const request = ask('Tell me a story.', { max_tokens: 30, ignore_eos: true });
        const response = await server.post(ROUTE, request, { headers: { authorization: `Bearer ${key}` } });
        await response.json();
        ends.push(key);
    };
    const many = Array.from({ length: 20 }, () => as('many'));
    while ((await stats(server)).waiting < 15) {
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all([...many, as('few')]);
    assert.ok(ends.indexOf('few') < 12, ends.join(' '));
});

test('a client that does not read makes its own answers wait, and gets all of them later', { skip }, async (t) => {
    const server = await startServer(t);
    // About 4 MB: more than the kernel keeps for a connection.
    const body = JSON.stringify({ ...ENDLESS, n: 16, stream: true, stream_options: { include_usage: true } });
    const slow = net.connect(server.port, server.host.replace(/^\[|\]$/g, ''));
    t.after(() => slow.destroy());
    slow.pause();
    slow.write(`POST ${ROUTE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`);
    let before = -1;
    let now = await stats(server);
    while (now.output_tokens === 0 || now.output_tokens !== before) {
        before = now.output_tokens;
        await new Promise((resolve) => setTimeout(resolve, 1500));
        now = await stats(server);
    }
    assert.equal(now.running, 16, 'the engine waits for the client');
    // Nor does it keep others from running.
    assert.ok(now.output_tokens < 16 * 900, `${now.output_tokens}`);
    assert.equal((await whole(server, ask('What is 2 plus 3?'))).finish, 'stop');

    let text = '';
    slow.setEncoding('utf8').on('data', (piece) => (text += piece));
    slow.resume();
    await new Promise((resolve) => slow.once('close', resolve));
    assert.match(text, /"completion_tokens":14400/);
    assert.match(text, /data: \[DONE\]/);
});

test('an answer is the same alone, among 31 others, and where memory is short', { skip }, async (t) => {
    const questions = Array.from({ length: 32 }, (_, i) =>
        ask(`${LONG_TEXT.slice(0, 45 * (i % 5))}What is ${i} plus ${i * 3 % 17}?`,
            { temperature: i % 2, seed: i, max_tokens: 40, ignore_eos: true }));
    const plain = await startServer(t, { args: ['--parallel', '1', '--guess', 'never', '--threads', '1'] });
    const alone = [];
    for (const question of questions) {
        alone.push((await whole(plain, question)).text);
    }
    const crowded = await startServer(t, { args: ['--parallel', '32', '--threads', '2', '--kv-memory', '3'] });
    for (const warm of [false, true]) {
        const answers = await Promise.all(questions.map((question) => whole(crowded, question)));
        assert.deepEqual(answers.map(({ text }) => text), alone, `warm: ${warm}`);
    }
    const { preemptions, cached_tokens: found } = await stats(crowded);
    assert.ok(preemptions > 0 && found > 0, `${preemptions} preemptions, ${found} tokens found`);
});
