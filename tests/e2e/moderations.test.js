'use strict';
// What the published filters say about a text.

const assert = require('node:assert/strict');
const test = require('node:test');

const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');

const skip = missing();
const ROUTE = '/v1/moderations';
const CATEGORIES = ['harassment', 'violence', 'self-harm', 'sexual', 'illicit', 'injection'];
const INSULT = 'You are a stupid worthless idiot.';

test('moderations', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'chain.json', { name: 'house', version: 3, filters: [
        { type: 'wordlist', side: 'input', words: ['heron'] },
        { type: 'wordlist', side: 'output', words: ['xyzzy'], action: 'mask' },
        { type: 'wordlist', side: 'output', words: ['trial'], mode: 'record', name: 'trials' },
        { type: 'wordlist', side: 'output', words: ['sight'], name: 'sights' },
    ] });
    const server = await startServer(t, { args: ['--filters', file] });
    const moderate = async (request, status = 200) => {
        const response = await server.post(ROUTE, request);
        const body = await response.json();
        assert.equal(response.status, status, JSON.stringify(body));
        return { ...body, headers: response.headers };
    };
    const flags = ({ results }) => results.map(({ flagged }) => flagged);

    await t.test('both sides of the chain read a text', async () => {
        const answer = await moderate({ input: ['nothing', 'a heron', 'say xyzzy'] });
        assert.match(answer.id, /^modr-[0-9a-f]{24}$/);
        assert.equal(answer.model, 'house@3');
        assert.match(answer.headers.get('weir-filters'), /^house@3; sha256=[0-9a-f]{12}$/);
        assert.deepEqual(flags(answer), [false, true, true]);
        for (const result of answer.results) {
            const names = Object.keys(result.categories);
            assert.ok(names.includes('wordlist'));
            assert.equal(result.categories.wordlist, result.flagged);
            assert.equal(result.categories.sights, false);
            for (const name of names) {
                const score = result.category_scores[name];
                if (CATEGORIES.includes(name)) {
                    assert.ok(score >= 0 && score <= 1, `${name} ${score}`);
                } else {
                    assert.equal(score, result.categories[name] ? 1 : 0);
                }
                assert.deepEqual(result.category_applied_input_types[name], ['text']);
            }
        }
    });

    await t.test('a filter has the category of its name, and what is only recorded is not flagged', async () => {
        const { results: [{ categories, flagged }] } = await moderate({ input: 'a trial of sight' });
        assert.equal(flagged, true);
        assert.deepEqual([categories.sights, categories.trials], [true, false]);
        assert.deepEqual(flags(await moderate({ input: 'a trial' })), [false]);
    });

    await t.test('parts are one input', async () => {
        const part = (text) => ({ type: 'text', text });
        assert.deepEqual(flags(await moderate({ input: [part('one'), part('heron')] })), [true]);
        assert.deepEqual(flags(await moderate({ input: [part('her'), part('on')] })), [false]);
        const image = { type: 'image_url', image_url: { url: 'https://example.org/a.png' } };
        const { error } = await moderate({ input: [part('one'), image] }, 400);
        assert.deepEqual([error.param, error.code], ['input[1]', 'unsupported_parameter']);
    });

    await t.test('the model is the chain, or one of those that clients ask for', async () => {
        for (const model of [undefined, null, 'house', 'house@3', 'omni-moderation-latest', 'text-moderation-stable']) {
            await moderate({ input: 'a', model });
        }
        assert.equal((await moderate({ input: 'a', model: 'house@2' }, 404)).error.code, 'model_not_found');
    });

    await t.test('too much is refused', async () => {
        assert.equal((await moderate({ input: 'a'.repeat((1 << 20) + 1) }, 400)).error.param, 'input');
        assert.equal((await moderate({ input: Array(1025).fill('a') }, 400)).error.param, 'input');
        assert.deepEqual(flags(await moderate({ input: `${'a '.repeat(500_000)}heron` })), [true]);
        for (const input of [undefined, '3', 3, [3], [], {}]) {
            if (input !== '3') {
                await moderate({ input }, 400);
            }
        }
    });

    await t.test('scores come from the classifier that is built in if the chain has none', async () => {
        const { results: [harmless, insult] } = await moderate({ input: ['The soup is ready.', INSULT] });
        for (const result of [harmless, insult]) {
            assert.deepEqual(Object.keys(result.categories), ['wordlist', 'trials', 'sights', ...CATEGORIES]);
        }
        assert.equal(harmless.flagged, false);
        assert.ok(CATEGORIES.every((name) => harmless.category_scores[name] < 0.5));
        assert.equal(insult.flagged, true);
        assert.equal(insult.categories.harassment, true);
        assert.ok(insult.category_scores.harassment > 0.5);
        const { results: [long] } = await moderate({ input: `The soup is ready. ${INSULT} It is warm. Good night!` });
        assert.equal(long.category_scores.harassment, insult.category_scores.harassment, 'the greatest of all sentences');
    });

    await t.test('the thresholds are those of the chain if it has a classifier', async () => {
        const chain = (filters) => server.admin('PUT', '/admin/filters/default', { filters });
        assert.equal((await chain([{ type: 'classifier', side: 'both', harassment: 1, action: 'note' }])).status, 200);
        const off = (await moderate({ input: INSULT })).results[0];
        assert.deepEqual(Object.keys(off.categories), CATEGORIES);
        assert.equal(off.categories.harassment, false);
        assert.ok(off.category_scores.harassment > 0.5);
        assert.equal((await chain([{ type: 'classifier', illicit: 1e-9 }])).status, 200);
        const low = (await moderate({ input: 'The soup is ready.' })).results[0];
        assert.deepEqual([low.flagged, low.categories.illicit], [true, true]);
        assert.equal((await chain([{ type: 'classifier', action: 'note', mode: 'record' }])).status, 200);
        const recorded = (await moderate({ input: INSULT })).results[0];
        assert.deepEqual([recorded.flagged, recorded.category_scores.harassment], [false, off.category_scores.harassment]);
        assert.equal((await chain([{ type: 'classifier', channels: ['reasoning'] }])).status, 200);
        const elsewhere = (await moderate({ input: INSULT })).results[0];
        assert.equal(elsewhere.category_scores.harassment, off.category_scores.harassment, 'it does not see such texts');
        const refused = await chain([{ type: 'classifier', violence: 2 }]);
        assert.equal(refused.status, 400);
        assert.equal((await refused.json()).error.param, 'filters[0].violence');
    });

    await t.test('a chain without filters claims nothing but what the classifier says', async () => {
        const put = await server.admin('PUT', '/admin/filters/default', { filters: [] });
        assert.equal(put.status, 200);
        const { results: [result], model } = await moderate({ input: 'a heron' });
        assert.equal(model, 'default@8');
        assert.equal(result.flagged, false);
        assert.deepEqual(result.categories, Object.fromEntries(CATEGORIES.map((name) => [name, false])));
        const { results: [empty] } = await moderate({ input: '' });
        assert.deepEqual(empty.category_scores, Object.fromEntries(CATEGORIES.map((name) => [name, 0])));
    });
});
