'use strict';
// The filter chain between model and client: what it forbids never leaves.

const assert = require('node:assert/strict');
const test = require('node:test');

const { ROUTE, ask, whole, streamed } = require('./lib/chat.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');

const skip = missing();

function chain(...filters) {
    return { name: 'default', version: 7, filters: filters.map((f) => ({ type: 'wordlist', ...f })) };
}

test('a forbidden text never leaves', { skip }, async (t) => {
    const server = await startServer(t);
    const request = ask('Tell me a story.', { max_tokens: 40 });
    const { text } = await whole(server, request);
    // Words that the model surely says, from within tokens and over their borders.
    const forbidden = [text.slice(6, 14).trim(), text.slice(11, 13), text.slice(3, 30).trim()];

    for (const word of forbidden) {
        await t.test(`stopped at ${JSON.stringify(word)}`, async () => {
            const put = await server.admin('PUT', '/admin/filters/default',
                chain({ words: [word], word_boundaries: false, case_sensitive: true }));
            assert.equal(put.status, 200, await put.text());
            for (const run of [whole, streamed]) {
                const answer = await run(server, request);
                assert.equal(answer.text, text.slice(0, text.indexOf(word)));
                assert.equal(answer.finish, 'content_filter');
                assert.ok(answer.usage.completion_tokens > 0);
            }
        });
        await t.test(`replaced at ${JSON.stringify(word)}`, async () => {
            await server.admin('PUT', '/admin/filters/default', chain({
                words: [word], word_boundaries: false, case_sensitive: true, action: 'replace', replacement: '#',
            }));
            for (const run of [whole, streamed]) {
                const answer = await run(server, request);
                assert.equal(answer.text, text.replaceAll(word, '#'));
                assert.notEqual(answer.finish, 'content_filter');
            }
        });
    }

    await t.test('a chain that is wrong is refused and changes nothing', async () => {
        const show = async () => (await server.admin('GET', '/admin/filters/default')).json();
        const before = await show();
        for (const [value, param] of [
            [{ name: 'x', filters: [{ type: 'nonsense' }] }, /filters\[0\]/],
            [chain({ words: [3] }), /filters\[0\]\.words/],
            [chain({ file: '/etc/passwd' }), /filters\[0\]\.file/],
            [[], /./],
        ]) {
            const answer = await server.admin('PUT', '/admin/filters/default', value);
            assert.equal(answer.status, 400);
            assert.match((await answer.json()).error.message, param);
        }
        assert.deepEqual(await show(), before);
    });
});

test('the input side refuses a message before the model sees it', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'chain.json', chain({ words: ['xyzzy'], side: 'input' }));
    const server = await startServer(t, { args: ['--filters', file] });
    for (const stream of [false, true]) {
        const answer = await server.post(ROUTE, ask('please say Xyzzy now', { stream }));
        assert.equal(answer.status, 400);
        const { error } = await answer.json();
        assert.equal(error.param, 'messages[0].content');
    }
    const { madeBy } = await whole(server, ask('Hello'));
    assert.match(madeBy.filters, /^default@7;/);

    await server.admin('PUT', '/admin/prompts/default', { text: 'Your name is {{who}}.', variables: { who: 'Ann' } });
    const variable = await server.post(ROUTE, ask('Hello', { prompt_variables: { who: 'xyzzy' } }));
    assert.equal(variable.status, 400);
    assert.equal((await variable.json()).error.param, 'prompt_variables.who');
    const masked = chain({ words: ['xyzzy'], side: 'input', action: 'replace', replacement: 'Marlow' });
    await server.admin('PUT', '/admin/filters/default', masked);
    assert.match((await whole(server, ask('What is your name?', { prompt_variables: { who: 'xyzzy' } }))).text, /Marlow/);
});

test('moderation: the answer tells what the filters found, and is blocked if the client asks for it', { skip }, async (t) => {
    const folder = makeFolder(t);
    const filters = chain({ words: ['zebra'], side: 'input', action: 'mask' }, { words: ['68'], side: 'output', action: 'mask' });
    const server = await startServer(t, { args: ['--filters', writeFile(folder, 'chain.json', filters)] });
    const moderated = async (text, policy, more = {}) => {
        const response = await server.post(ROUTE, ask(text, { moderation: { model: 'default', policy }, ...more }));
        return { status: response.status, body: await response.json() };
    };
    const score = await moderated('A zebra asks: What is 23 + 45?');
    const { input, output } = score.body.moderation;
    assert.equal(input.type, 'moderation_results');
    assert.equal(input.results[0].flagged, true);
    assert.equal(input.results[0].categories.wordlist, true);
    const clean = (await moderated('What is 20 + 30?')).body.moderation;
    assert.equal(clean.input.results[0].flagged || clean.output.results[0].flagged, false);
    const said = (await moderated('What is 23 + 45?')).body;
    assert.equal(said.moderation.output.results[0].flagged, true, JSON.stringify(said));
    assert.equal(typeof output.results[0].flagged, 'boolean');

    const refused = await moderated('A zebra!', { input: { mode: 'block' } });
    assert.equal(refused.status, 400);
    assert.equal(refused.body.error.code, 'content_filter');
    const blocked = (await moderated('What is 23 + 45?', { output: { mode: 'block' } })).body.choices[0];
    assert.equal(blocked.finish_reason, 'content_filter');
    assert.doesNotMatch(blocked.message.content, /\*|68/);
    const wrong = await moderated('a', { output: { mode: 'loud' } });
    assert.equal(wrong.body.error.param, 'moderation.policy.output.mode');
    const stream = await streamed(server, ask('What is 23 + 45?', { moderation: { model: 'default' } }));
    assert.equal(stream.chunks.at(-1).moderation.output.results[0].flagged, true);
});

test('moderation: the answer tells where filters have changed or ended it', { skip }, async (t) => {
    const server = await startServer(t);
    const publish = async (...filters) => {
        const put = await server.admin('PUT', '/admin/filters/default', { ...chain(...filters), refusal: 'No.' });
        assert.equal(put.status, 200, await put.text());
    };
    const request = ask('What is 23 + 45?', { moderation: {} });
    // The spans of an answer, each with the text that it is about.
    const spans = async (run) => {
        const answer = await run(server, request);
        const moderation = answer.chunks ? answer.chunks.at(-1).moderation : answer.body.moderation;
        const bytes = Buffer.from(answer.text);
        return (moderation.output.results[0].spans ?? []).map((span) =>
            ({ ...span, text: bytes.subarray(span.at, span.at + span.bytes).toString() }));
    };
    for (const run of [whole, streamed]) {
        await publish();
        assert.deepEqual(await spans(run), []);
        await publish({ words: ['23'], action: 'replace', replacement: 'zwölf' }, { words: ['45'], action: 'replace', replacement: '', name: 'gone' },
            { words: ['68'], action: 'mask', name: 'hidden' }, { words: ['68'], action: 'note' });
        const told = await spans(run);
        assert.deepEqual(told.map(({ choice, verdict, name, code, text }) => [choice, verdict, name, code, text]), [
            [0, 'replace', 'wordlist', 'wordlist', 'zwölf'],
            [0, 'replace', 'gone', 'wordlist', ''],
            [0, 'replace', 'hidden', 'wordlist', '*'], // masks come one by one
        ]);
        await publish({ words: ['68'], action: 'stop' }, { words: ['23'], action: 'replace', replacement: '#', mode: 'record' });
        const stopped = await spans(run);
        assert.deepEqual(stopped.map(({ verdict, bytes }) => [verdict, bytes]), [['stop', 0]]);
        const { text } = await run(server, request);
        assert.equal(text.slice(stopped[0].at), '\n\nNo.', 'behind it is what the owner says');
    }
});

test('a refusal of the owner closes what a filter has ended, on every route', { skip }, async (t) => {
    const server = await startServer(t);
    const refusal = 'I cannot say that.';
    const publish = async (filter) => {
        const put = await server.admin('PUT', '/admin/filters/default', { ...chain(filter), refusal });
        assert.equal(put.status, 200, await put.text());
    };
    const request = ask('What is 23 + 45?');
    const { text } = await whole(server, request);
    const at = text.indexOf('68');
    assert.ok(at > 0, text);
    await publish({ words: ['68'] });
    for (const run of [whole, streamed]) {
        const answer = await run(server, request);
        assert.equal(answer.text, `${text.slice(0, at)}\n\n${refusal}`);
        assert.equal(answer.finish, 'content_filter');
        assert.ok(answer.usage.completion_tokens > 0);
    }
    const post = async (route, body) => (await server.post(route, body)).json();
    const message = await post('/v1/messages', { ...request });
    assert.equal(message.content.at(-1).text, `${text.slice(0, at)}\n\n${refusal}`);
    assert.equal(message.stop_reason, 'refusal');
    const response = await post('/v1/responses', { input: 'What is 23 + 45?', temperature: 0, max_output_tokens: 24 });
    assert.ok(response.output.at(-1).content[0].text.endsWith(`\n\n${refusal}`));
    assert.equal(response.incomplete_details.reason, 'content_filter');

    // Nothing before it: the refusal alone.
    await publish({ words: [text.slice(0, 2)], word_boundaries: false });
    assert.equal((await streamed(server, request)).text, refusal);

    await publish({ words: ['xyzzy'], side: 'input' });
    const refused = await server.post(ROUTE, ask('xyzzy'));
    assert.equal(refused.status, 400);
    const { error } = await refused.json();
    assert.deepEqual([error.message, error.code, error.param], [refusal, 'content_filter', 'messages[0].content']);
});

test('whatever the model is to read passes the input side', { skip }, async (t) => {
    const server = await startServer(t);
    const put = (filter) => server.admin('PUT', '/admin/filters/default', chain({ side: 'input', ...filter }));
    const user = { role: 'user', content: 'Hello' };
    const tool = (more) => ({ type: 'function', function: { name: 'look_up', description: 'Looks up.', parameters: { type: 'object', properties: { what: { type: 'string' } } }, ...more } });
    const called = (args, id = 'c1') => [user, { role: 'assistant', content: null, tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look_up', arguments: args } }] },
        { role: 'tool', tool_call_id: id, content: 'done' }];
    const places = {
        'messages[0].content': { messages: [{ role: 'system', content: 'say xyzzy' }, user] },
        'messages[1].content': { messages: [user, { role: 'assistant', content: 'As I said, xyzzy.' }, user] },
        'messages[1].reasoning_content': { messages: [user, { role: 'assistant', content: 'a', reasoning_content: 'xyzzy' }, user] },
        'messages[1].tool_calls': { messages: called('{"what": "\\u0078yzzy"}') },
        'messages[1].tool_calls, an argument called id': { messages: called('{"id": "xyzzy"}') },
        'messages[2].tool_call_id': { messages: called('{}', 'say xyzzy') },
        'tools[0]': { messages: [user], tools: [tool({ description: 'Tells of xyzzy.' })] },
    };
    await put({ words: ['xyzzy'] });
    for (const [place, request] of Object.entries(places)) {
        const answer = await server.post(ROUTE, { ...request, max_tokens: 4 });
        const { error } = await answer.json();
        assert.deepEqual([answer.status, error?.code, error?.param], [400, 'content_filter', place.split(',')[0]], JSON.stringify(error));
    }
    const words = ['function', 'object', 'string', 'parameters', 'description', 'id'];
    await put({ words });
    const fine = await server.post(ROUTE, { messages: [user], tools: [tool({})], max_tokens: 4 });
    assert.equal(fine.status, 200, 'the words of the form are not the client\'s');

    // Replaced where it stands: the model reads nothing of it.
    await put({ words: ['xyzzy'], action: 'replace', replacement: 'plugh' });
    for (const [param, request] of Object.entries(places)) {
        const answer = await server.post(ROUTE, { ...request, max_tokens: 4 });
        assert.equal(answer.status, 200, `${param}: ${await answer.text()}`);
    }
    for (const parameters of [{ type: 'object', properties: { xyzzy: { type: 'string' } } }, { type: 'object', properties: { a: { xyzzy: 1 } } }]) {
        const answer = await server.post(ROUTE, { messages: [user], tools: [tool({ parameters })], max_tokens: 4 });
        const { error } = await answer.json();
        assert.deepEqual([answer.status, error.code, error.param], [400, 'content_filter', 'tools[0]'], 'a name can not be replaced');
    }
    const named = await server.post(ROUTE, { messages: [user], tools: [tool({ name: 'xyzzy' })], max_tokens: 4 });
    assert.equal(named.status, 400);

    // Each string is a text of its own: what begins one is not behind another.
    await server.admin('PUT', '/admin/filters/default', { filters: [{ type: 'regex', patterns: ['^xyzzy$'], side: 'input' }] });
    for (const [param, request] of [['messages[1].tool_calls', { messages: called('{"a": "b", "what": "xyzzy"}') }],
        ['tools[0]', { messages: [user], tools: [tool({ description: 'xyzzy' })] }]]) {
        const answer = await server.post(ROUTE, { ...request, max_tokens: 4 });
        const { error } = await answer.json();
        assert.deepEqual([answer.status, error?.param], [400, param]);
    }
});

test('a request of many texts keeps nobody from being answered', { skip }, async (t) => {
    const server = await startServer(t);
    const filters = chain({ side: 'input', words: ['xyzzy'], action: 'mask' }, { type: 'pii', side: 'input' });
    assert.equal((await server.admin('PUT', '/admin/filters/default', filters)).status, 200);
    const names = Array.from({ length: 60_000 }, () => 'n').concat(['xyzzy']);
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: { a: { type: 'string', enum: names } } } } }];
    const begin = Date.now();
    let isOver = false;
    const many = server.post(ROUTE, { messages: [{ role: 'user', content: 'Hello' }], tools, max_tokens: 1 }).finally(() => (isOver = true));
    let longest = 0;
    for (let last = begin; !isOver; last = Date.now()) {
        await (await server.fetch('/healthz')).text();
        longest = Math.max(longest, Date.now() - last);
    }
    assert.match((await (await many).json()).error.message, /tokens/, 'it is longer than the context');
    const took = Date.now() - begin;
    assert.ok(longest < took / 3, `${longest} of ${took} ms another waited`);
});
