'use strict';
// What the published filters say about a text.

const assert = require('node:assert/strict');
const test = require('node:test');

const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing } = require('./lib/server.js');

const skip = missing();
const ROUTE = '/v1/moderations';

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
                assert.equal(result.category_scores[name], result.categories[name] ? 1 : 0);
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

    await t.test('a chain without filters claims nothing', async () => {
        const put = await server.admin('PUT', '/admin/filters/default', { filters: [] });
        assert.equal(put.status, 200);
        const { results: [result], model } = await moderate({ input: 'a heron' });
        assert.equal(model, 'default@4');
        assert.deepEqual(result, { flagged: false, categories: {}, category_scores: {}, category_applied_input_types: {} });
    });
});
