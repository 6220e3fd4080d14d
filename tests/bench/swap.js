'use strict';
// What a change of the system prompt costs the next answer: the time to the first token right after a swap beside that
// of answers before it, with a long prompt. Made for Weir; the server's admin routes are used.
//
//   node tests/bench/swap.js --admin-key KEY [options]
//
//   --url URL        the server (http://127.0.0.1:8080)
//   --admin-key KEY  admin key
//   --tokens N       length of the prompt (1024)
//   --rounds N       swaps (20)
//   --streams N      answers that are being written all the while (0)
//   --json           the report as one line of JSON
//
// Each round asks three questions, then swaps to another text of the same length, and asks again at once. All
// questions differ. Exit status: 0, 2 without a server.

const { fail, USAGE_STATUS, readOptions, randomFrom, distribution } = require('./tools.js');

const options = readOptions({ url: 'http://127.0.0.1:8080', adminKey: null, tokens: 1024, rounds: 20, streams: 0, json: false });
const PROMPT = '/admin/prompts/default';
const random = randomFrom(1);

const headers = { authorization: `Bearer ${options.adminKey}`, 'content-type': 'application/json' };

async function admin(method, target, value) {
    const response = await fetch(options.url + target, { method, headers, body: JSON.stringify(value) });
    const body = await response.json();
    return response.ok ? body : fail(USAGE_STATUS, `${method} ${target}: ${JSON.stringify(body)}`);
}

function words(n) {
    const letters = () => Array.from({ length: 5 }, () => 'abcdefghijklmnopqrstuvwxyz'[Math.floor(random() * 26)]);
    return Array.from({ length: n }, () => letters().join('')).join(' ');
}

// A new text of about so many tokens.
async function prompt(tokens) {
    const { tokens: measured } = await admin('POST', `${PROMPT}/dry-run`, { text: words(200) });
    return words(Math.round((200 * tokens) / measured));
}

async function ask(maxTokens) {
    const response = await fetch(`${options.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ messages: [{ role: 'user', content: words(8) }], max_tokens: maxTokens, stream: true, ignore_eos: true }),
    });
    return response.ok ? response : fail(USAGE_STATUS, `${response.status}: ${await response.text()}`);
}

// One answer after another until `running.now` is false; each must end as it should.
async function keepAnswering(running) {
    while (running.now) {
        const text = await (await ask(600)).text();
        running.whole += text.trimEnd().endsWith('data: [DONE]');
        running.all++;
    }
}

// Milliseconds from the question to the first piece of its answer.
async function firstToken() {
    const begin = performance.now();
    const response = await ask(4);
    let time = 0;
    let text = '';
    for await (const bytes of response.body) {
        text += Buffer.from(bytes).toString();
        time ||= text.includes('"content"') ? performance.now() - begin : 0;
    }
    return time;
}

async function main() {
    if (!options.adminKey) {
        fail(USAGE_STATUS, '--admin-key is needed');
    }
    const before = [];
    const after = [];
    const swap = [];
    const running = { now: true, whole: 0, all: 0 };
    const streams = Array.from({ length: options.streams }, () => keepAnswering(running));
    for (let round = 0; round < options.rounds; round++) {
        const text = await prompt(options.tokens);
        const begin = performance.now();
        await admin('PUT', PROMPT, { text });
        swap.push(performance.now() - begin);
        after.push(await firstToken());
        for (let i = 0; i < 3; i++) {
            before.push(await firstToken());
        }
    }
    running.now = false;
    await Promise.all(streams);
    const report = { first_after_swap_ms: distribution(after), others_ms: distribution(before), swap_ms: distribution(swap) };
    if (options.json) {
        console.log(JSON.stringify(report));
        return;
    }
    for (const [name, { p50, p95, max }] of Object.entries(report)) {
        console.log(`${name}: p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, max ${max.toFixed(1)}`);
    }
    if (options.streams > 0) {
        console.log(`answers beside them: ${running.all}, whole: ${running.whole}`);
    }
    const ratio = report.first_after_swap_ms.p50 / report.others_ms.p50;
    console.log(`the first answer after a swap takes ${ratio.toFixed(3)} times as long as others to its first token`);
}

main().catch((error) => fail(USAGE_STATUS, error.message));
