'use strict';
// What a request's sampling fields do to its answer.

const assert = require('node:assert/strict');
const test = require('node:test');

const { ROUTE, ask, whole } = require('./lib/chat.js');
const { startServer, missing } = require('./lib/server.js');

const ID = 300; // a token with a text, whichever it is

// Everything on at once.
const ALL = {
    temperature: 1, seed: 7, top_k: 0, top_p: 0.95, typical_p: 0.95, top_n_sigma: 3, xtc_probability: 0.3,
    xtc_threshold: 0.1, repetition_penalty: 1.1, presence_penalty: 0.3, frequency_penalty: 0.3, dry_multiplier: 0.8,
    dry_sequence_breakers: ['\n', '.'], min_tokens: 5, logit_bias: { [ID]: 1 },
};

test('sampling', { skip: missing() }, async (t) => {
    const server = await startServer(t);
    const text = async (more) => (await whole(server, ask('Tell me a story.', more))).text;

    await t.test('a bias brings a token, false keeps it away for ever', async () => {
        const piece = await text({ max_tokens: 1, logit_bias: { [ID]: 100 } });
        assert.ok(piece.length > 0);
        assert.equal(await text({ max_tokens: 5, logit_bias: [[ID, 100]] }), piece.repeat(5));
        const banned = { max_tokens: 5, logit_bias: [[ID, 100], [ID, false]] };
        assert.equal(await text(banned), await text({ max_tokens: 5 }));
    });

    await t.test('a stop id ends the answer, not before min_tokens', async () => {
        const more = { max_tokens: 5, logit_bias: { [ID]: 100 }, stop_token_ids: [ID] };
        const stopped = await whole(server, ask('Tell me a story.', more));
        assert.equal(stopped.text, '');
        assert.equal(stopped.finish, 'stop');
        const later = await whole(server, ask('Tell me a story.', { ...more, min_tokens: 3 }));
        assert.equal(later.usage.completion_tokens, 3);
        assert.equal(later.finish, 'stop');
    });

    await t.test('penalties keep a token from coming again and again', async () => {
        const bias = { max_tokens: 8, logit_bias: { [ID]: 40 } };
        const piece = await text({ ...bias, max_tokens: 1 });
        const count = (answer) => answer.split(piece).length - 1;
        assert.equal(count(await text(bias)), 8);
        assert.ok(count(await text({ ...bias, repetition_penalty: 10 })) < 8);
        assert.ok(count(await text({ ...bias, dry_multiplier: 100, dry_allowed_length: 1 })) < 8);
    });

    await t.test('with a seed the answer is the same, alone and beside others', async () => {
        for (const more of [ALL, { ...ALL, mirostat: 2, mirostat_tau: 4 }]) {
            const alone = await text(more);
            const all = await Promise.all(Array.from({ length: 8 }, (_, i) => text({ ...more, seed: 7 + (i % 2) })));
            all.forEach((answer, i) => assert.equal(answer === alone, i % 2 === 0, answer));
        }
    });

    await t.test('an id outside the vocabulary is refused by the field', async () => {
        for (const [param, more] of [['logit_bias', { logit_bias: { 2147483647: 1 } }],
            ['stop_token_ids', { stop_token_ids: [2147483647] }]]) {
            const answer = await server.post(ROUTE, ask('Hello', more));
            assert.equal(answer.status, 400);
            assert.equal((await answer.json()).error.param, param);
        }
    });
});
