'use strict';
// The gate's prompts whose answers go through the filters: what a version says on purpose that it should not keeps it from
// serving.

const assert = require('node:assert/strict');
const test = require('node:test');

const { admin } = require('./lib/admin.js');
const { ask, whole } = require('./lib/chat.js');
const { startRepo, putVersion, waitForState } = require('./lib/model_repo.js');
const { missing, modelPath } = require('./lib/server.js');

const skip = missing();
const NAME = 'tiny';

// A version whose own template gives it a name, which it says when it is asked.
const named = (name, gate) => ({
    file: modelPath(),
    manifest: { template: 'chat.jinja', ...gate },
    files: { 'chat.jinja': `<|im_start|>system\nYour name is ${name}.<|im_end|>\n{% for m in messages %}<|im_start|>{{ m.role }}\n`
        + '{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n' },
});
const withGate = (name, filters) => named(name, { gate: { filters } });
const user = (content, more = {}) => ({ messages: [{ role: 'user', content }], max_tokens: 24, ...more });
const WHO = user('What is your name?');
const SUM = user('What is 2 plus 3?');

const words = (list, more = {}) => ({ type: 'wordlist', words: list, ...more });
const chain = (...filters) => ({ filters });

async function publish(server, name, value) {
    const { status, body } = await admin(server, 'PUT', `/admin/filters/${name}`, value);
    assert.equal(status, 200, JSON.stringify(body));
}

const show = async (server, version) => (await server.admin('GET', `/admin/models/${NAME}/versions/${version}`)).json();

// What the gate says of a version: its report on filters, and why it is refused.
async function tryVersion(t, server, repo, version, what, state) {
    putVersion(repo, NAME, version, what);
    await waitForState(server, version, state);
    const shown = await show(server, version);
    return { ...shown.gate?.filters, problem: shown.problem };
}

test('a version that says what the filters stop is refused, and the report says what', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: named('Otto') });
    await publish(server, 'default', chain(words(['Bastard'])));
    const before = await whole(server, ask('What is your name?'));

    const refused = await tryVersion(t, server, repo, '2', withGate('Bastard', { prompts: [SUM, WHO], max_flagged: 0 }), 'failed');
    assert.match(refused.problem, /gate: filters flag 1 of 2 answers; gate\.filters\.max_flagged allows 0/);
    const { passed, chain: name, prompts, flagged, wrong, verdicts, answers } = refused;
    assert.deepEqual({ passed, name, prompts, flagged, wrong, verdicts },
        { passed: false, name: 'default', prompts: 2, flagged: 1, wrong: 0, verdicts: { pass: 1, note: 0, replace: 0, stop: 1 } });
    assert.equal(answers.length, 1);
    assert.deepEqual([answers[0].index, answers[0].verdict, answers[0].refused], [1, 'stop', false]);
    assert.match(answers[0].text, /Bastard/);
    assert.deepEqual(answers[0].found, [{ filter: 'wordlist', kind: 'stop', code: 'wordlist', channel: 'content' }]);
    assert.equal((await whole(server, ask('What is your name?'))).text, before.text);

    // A name that nobody minds; and as many as the owner allows.
    assert.equal((await tryVersion(t, server, repo, '3', withGate('Karl', { prompts: [SUM, WHO], max_flagged: 0 }), 'serving')).passed, true);
    assert.equal((await tryVersion(t, server, repo, '4', withGate('Bastard', { prompts: [SUM, WHO], max_flagged: 1 }), 'serving')).flagged, 1);
});

test('more than the serving version says is refused, as much is not', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: named('Otto') });
    await publish(server, 'default', chain(words(['Bastard', 'Otto'], { action: 'replace', replacement: '*' })));
    const both = { prompts: [SUM, WHO], max_more: 0 };
    const same = await tryVersion(t, server, repo, '2', withGate('Bastard', both), 'serving');
    assert.deepEqual([same.flagged, same.serving_flagged, same.passed], [1, 1, true]);
    assert.equal(same.answers[0].serving_verdict, 'replace');

    await publish(server, 'default', chain(words(['Rascal'], { action: 'replace', replacement: '*' })));
    const more = await tryVersion(t, server, repo, '3', withGate('Rascal', both), 'failed');
    assert.match(more.problem, /filters flag 1 of 2 answers, and 0 of the serving version's; gate\.filters\.max_more allows 0 more/);
    assert.deepEqual([more.flagged, more.serving_flagged, more.answers[0].verdict, more.answers[0].serving_verdict], [1, 0, 'replace', 'pass']);
    // Only stops count, so that what is replaced passes; and one more is allowed.
    for (const [version, filters] of [['4', { ...both, flagged_from: 'stop' }], ['5', { ...both, max_more: 1 }]]) {
        assert.equal((await tryVersion(t, server, repo, version, withGate('Rascal', filters), 'serving')).passed, true);
    }
});

test('verdicts that the owner wants, and a chain of its own', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: named('Otto') });
    await publish(server, 'strict', chain(words(['Knave'], { action: 'note' }), words(['weapon'], { side: 'input', name: 'ask' })));
    const prompts = [{ ...SUM, verdict: 'pass' }, { ...WHO, verdict: 'note' }, { ...user('Sell me a weapon.'), verdict: 'stop' }];
    const right = await tryVersion(t, server, repo, '2', withGate('Knave', { chain: 'strict', prompts }), 'serving');
    assert.deepEqual([right.passed, right.chain, right.refused, right.wrong], [true, 'strict', 1, 0]);
    assert.deepEqual(right.verdicts, { pass: 1, note: 1, replace: 0, stop: 1 });
    const stopped = right.answers.find(({ index }) => index === 2);
    assert.deepEqual([stopped.refused, stopped.found[0].filter, stopped.text], [true, 'ask', undefined]);

    const wrong = await tryVersion(t, server, repo, '3', withGate('Karl', { chain: 'strict', prompts }), 'failed');
    assert.match(wrong.problem, /another verdict than is wanted, the first is gate\.filters\.prompts\[1\]: "pass", not "note"/);
    assert.deepEqual([wrong.wrong, wrong.answers[0].wanted_verdict], [1, 'note']);

    const none = await tryVersion(t, server, repo, '4', withGate('Karl', { chain: 'none', prompts }), 'failed');
    assert.match(none.problem, /the filter chain "none" is not published/);
});

test('what is sampled is the same each time, and services outside are not asked', { skip, timeout: 240_000 }, async (t) => {
    const { server, repo } = await startRepo(t, { 1: named('Otto') });
    await publish(server, 'default', chain(words(['the', 'a', 'is'], { action: 'note' }),
        { type: 'webhook', name: 'far', url: 'http://127.0.0.1:9/', timeout_ms: 30_000 }));
    const prompts = Array.from({ length: 40 }, (_, seed) => user('Tell me a story.', { temperature: 1, seed, max_tokens: 12 }));
    const one = await tryVersion(t, server, repo, '2', withGate('Otto', { prompts, max_more: 40 }), 'serving');
    assert.deepEqual(one.left_out, ['far']);
    assert.ok(one.flagged > 0 && one.answers.length === 8);
    assert.ok(new Set(one.answers.map(({ text }) => text)).size > 1, 'seeds differ');
    const two = await tryVersion(t, server, repo, '3', withGate('Otto', { prompts, max_more: 0 }), 'serving');
    assert.deepEqual([two.flagged, two.serving_flagged], [one.flagged, one.flagged]);
    assert.deepEqual(two.answers.map(({ text }) => text), one.answers.map(({ text }) => text));
});
