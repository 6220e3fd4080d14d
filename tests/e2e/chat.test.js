'use strict';
// What a chat answers: whole and streamed, and what its fields say.

const assert = require('node:assert/strict');
const test = require('node:test');

const { ask, whole, streamed } = require('./lib/chat.js');
const { startServer, missing } = require('./lib/server.js');

test('chat', { skip: missing() }, async (t) => {
    const server = await startServer(t);

    await t.test('a whole answer and a streamed one are the same', async () => {
        for (const question of ['Hello', 'What is 2 plus 3?', 'Wie heißt du? 你好 🙂']) {
            const one = await whole(server, ask(question));
            const two = await streamed(server, ask(question));
            assert.equal(two.text, one.text);
            assert.equal(two.finish, one.finish);
            assert.deepEqual(two.usage, one.usage);
            assert.equal(two.fingerprint, one.fingerprint);
            assert.deepEqual(two.madeBy, one.madeBy);
        }
    });

    await t.test('a stream has the shape that clients need', async () => {
        const { chunks } = await streamed(server, ask('Hello'));
        const [first, ...rest] = chunks;
        const usage = rest.pop();
        const finish = rest.pop();
        assert.deepEqual(first.choices[0].delta, { role: 'assistant' });
        for (const chunk of [first, ...rest]) {
            assert.equal(chunk.object, 'chat.completion.chunk');
            assert.equal(chunk.id, first.id);
            assert.equal(chunk.choices[0].finish_reason, null);
            assert.equal(chunk.usage, null);
        }
        assert.deepEqual(finish.choices[0].delta, {});
        assert.match(finish.choices[0].finish_reason, /^(stop|length)$/);
        assert.deepEqual(usage.choices, []);
        assert.equal(usage.usage.total_tokens, usage.usage.prompt_tokens + usage.usage.completion_tokens);
    });

    await t.test('usage is sent only to who asks for it', async () => {
        const { chunks } = await streamed(server, { ...ask('Hello'), stream_options: null });
        assert.ok(chunks.every((chunk) => !('usage' in chunk)));
    });

    await t.test('max_tokens ends an answer with "length" at exactly that many', async () => {
        for (const max of [1, 2, 5]) {
            const { finish, usage } = await whole(server, ask('Tell me a story.', { max_tokens: max }));
            assert.equal(usage.completion_tokens, max);
            assert.equal(finish, 'length');
        }
    });

    await t.test('a stop string ends an answer before itself', async () => {
        const { text } = await whole(server, ask('Tell me a story.', { max_tokens: 40 }));
        const stop = text.slice(5, 8);
        const wanted = text.slice(0, text.indexOf(stop));
        for (const run of [whole, streamed]) {
            const cut = await run(server, ask('Tell me a story.', { max_tokens: 40, stop: ['\u0001', stop] }));
            assert.equal(cut.text, wanted);
            assert.equal(cut.finish, 'stop');
        }
    });

    await t.test('a seed gives the same answer again, another seed another', async () => {
        const draw = async (seed) =>
            (await whole(server, ask('Tell me a story.', { temperature: 1.5, seed }))).text;
        assert.equal(await draw(7), await draw(7));
        assert.ok(new Set(await Promise.all([1, 2, 3, 4, 5, 6].map(draw))).size > 1);
    });

    await t.test('an answer does not depend on what runs beside it', async () => {
        const questions = ['Hello', 'Tell me a story.', 'What is 7 minus 2?', 'Who are you?'];
        const alone = [];
        for (const question of questions) {
            alone.push((await whole(server, ask(question))).text);
        }
        const together = await Promise.all(questions.concat(questions).map((q) => whole(server, ask(q))));
        together.forEach(({ text }, i) => assert.equal(text, alone[i % questions.length]));
    });

    await t.test('an answer says what made it', async () => {
        const { body, madeBy, fingerprint } = await whole(server, ask('Hello'));
        assert.match(madeBy.model, /^\S+@\S+; sha256=[0-9a-f]{12}$/);
        assert.match(madeBy.prompt, /^default@0; sha256=[0-9a-f]{12}$/);
        assert.match(madeBy.filters, /^default@0; sha256=[0-9a-f]{12}$/);
        const hashes = Object.values(madeBy).map((header) => header.split('sha256=')[1]);
        assert.equal(fingerprint, `weir-${hashes.join('-')}`);
        assert.ok(madeBy.model.startsWith(`${body.model};`));
    });

    await t.test('a model is found by name, version and hash', async () => {
        const { data } = await (await server.fetch('/v1/models')).json();
        const { id, version, sha256 } = data[0];
        for (const model of [id, version, `${id}@sha256:${sha256}`, `${id}@sha256:${sha256.slice(0, 12)}`]) {
            await whole(server, ask('Hello', { model, max_tokens: 1 }));
        }
        assert.equal((await server.fetch(`/v1/models/${id}`)).status, 200);
    });
});
