'use strict';
// Drives an OpenAI-compatible server with concurrent streams and tells how fast it answers: Weir, llama-server,
// any other. The same code for all, so that their figures can be compared.
//
//   node tests/bench/load.js [options]
//
//   --url URL             the server (http://127.0.0.1:8080)
//   --model NAME          model to ask for (the server's own)
//   --key KEY             API key
//   --streams N           requests at once (16)
//   --requests N          requests in all (32)
//   --system-tokens N     tokens of the system prompt, the same in all requests (600; 0: none)
//   --question-tokens N   tokens of the question, different from the start in each (80)
//   --answer-tokens N     max_tokens (64)
//   --ignore-eos          ask for "ignore_eos": answers have their full length also with random weights
//   --retry               ask again after a 429, when Retry-After says
//   --timeout S           seconds that a request may take (600)
//   --seed N              of the texts (from the clock): the same seed asks the same, and finds it in a prompt cache
//   --json                one line of JSON instead of the report
//
// Two requests before the measured ones find out how many tokens the server's tokenizer makes of a text. They
// share no text with those measured: a prompt cache is cold at the beginning, but for what the requests share.
//
// Prints tokens in prompts (and how many of them came from a cache, if the server says) and in answers, output
// tokens per second of wall time by the server's own counts, requests by their end, the time to the first token
// (p50, p95, max; with --retry from the first attempt on) and the time between two chunks with text of one stream
// (p50, p99, max over all streams). A chunk is a token, unless a token has no text of its own: the number of
// chunks stands beside that of tokens. An answer that breaks off has failed, but the chunks that came of it count.
// Exit status: 0, 1 when a request failed, 2 without a server.

const { Client, isAnswered, isRefused, outcome, waitAsTold } = require('./client.js');
const { calibrate, conversation } = require('./prompts.js');
const { readOptions, randomFrom, distribution, sum, tally, inMs } = require('./tools.js');

const options = readOptions({
    url: 'http://127.0.0.1:8080', model: null, key: null, streams: 16, requests: 32, systemTokens: 600,
    questionTokens: 80, answerTokens: 64, ignoreEos: false, retry: false, timeout: 600, seed: Date.now() % 2 ** 31,
    json: false,
});

// Bodies of all requests, made before the clock starts.
function makeRequests(calibration, random) {
    const system = options.systemTokens > 0 ? calibration.text(random, options.systemTokens) : null;
    return Array.from({ length: options.requests }, () => {
        const messages = conversation(system, calibration.text(random, options.questionTokens));
        return {
            ...(options.model && { model: options.model }),
            messages: system === null ? messages.slice(1) : messages,
            max_tokens: options.answerTokens,
            temperature: 0,
            stream: true,
            stream_options: { include_usage: true },
            ...(options.ignoreEos && { ignore_eos: true }),
        };
    });
}

// One request to its end: {answer, refusals, firstMs}.
async function drive(client, request) {
    const begin = performance.now();
    let refusals = 0;
    for (;;) {
        const answer = await client.chat(request, { timeoutMs: options.timeout * 1000 });
        refusals += isRefused(answer) ? 1 : 0;
        if (!isRefused(answer) || !options.retry) {
            return { answer, refusals, firstMs: answer.firstAt === null ? null : answer.firstAt - begin };
        }
        await waitAsTold(answer);
    }
}

async function driveAll(client, requests) {
    const results = [];
    const left = [...requests];
    const stream = async () => {
        while (left.length > 0) {
            results.push(await drive(client, left.shift()));
        }
    };
    const begin = performance.now();
    await Promise.all(Array.from({ length: options.streams }, stream));
    return { results, wallS: (performance.now() - begin) / 1000 };
}

const gaps = (times) => times.slice(1).map((time, i) => time - times[i]);
const mean = (values) => (values.length > 0 ? sum(values) / values.length : null);

// As the server counts them; of an answer that broke off, the chunks that came.
const outputTokens = ({ usage, textAt }) => usage?.completion_tokens ?? textAt.length;

function summarize({ results, wallS }, calibration) {
    const answers = results.filter(({ answer }) => isAnswered(answer)).map(({ answer }) => answer);
    const failed = results.filter(({ answer }) => !isAnswered(answer)).map(({ answer }) => outcome(answer));
    const prompts = answers.map(({ usage }) => usage?.prompt_tokens ?? 0);
    const cached = answers.map(({ usage }) => usage?.prompt_tokens_details?.cached_tokens);
    const all = results.map(({ answer }) => answer);
    const tokens = sum(all.map(outputTokens));
    return {
        url: options.url, streams: options.streams, requests: options.requests, seed: options.seed,
        tokens_per_s: tokens / wallS,
        wall_s: wallS,
        ok: answers.length,
        failed: Object.fromEntries(tally(failed)),
        refusals: sum(results.map(({ refusals }) => refusals)),
        reconnects: sum(results.map(({ answer }) => answer.reconnects)),
        ttft_ms: distribution(results.map(({ firstMs }) => firstMs).filter((ms) => ms !== null)),
        gap_ms: distribution(all.flatMap(({ textAt }) => gaps(textAt))),
        prompt_tokens: { mean: mean(prompts), min: Math.min(...prompts), max: Math.max(...prompts), sum: sum(prompts),
            template: calibration.templateTokens, cached: cached.includes(undefined) ? null : sum(cached) },
        answer_tokens: { mean: mean(answers.map(outputTokens)), sum: tokens },
        chunks: sum(all.map(({ textAt }) => textAt.length)),
    };
}

function printReport(r) {
    const line = (name, text) => console.log(`  ${name.padEnd(16)}${text}`);
    const { prompt_tokens: prompt, answer_tokens: answer, ttft_ms: ttft, gap_ms: gap } = r;
    const failed = Object.entries(r.failed).map(([what, count]) => `${count} x ${what}`).join(', ');
    console.log(`${r.url}: ${r.requests} requests, ${r.streams} at once, seed ${r.seed}`);
    line('requests', `${r.ok} ok, ${r.requests - r.ok} failed${failed && ` (${failed})`}, ${r.refusals} answers of 429` +
        (r.reconnects > 0 ? `, ${r.reconnects} sent again as the server had closed the connection` : ''));
    if (r.ok > 0) {
        line('prompts', `${prompt.mean.toFixed(1)} tokens in the mean (${prompt.min} to ${prompt.max}): system prompt ` +
            `~${options.systemTokens}, question ~${options.questionTokens}, template ~${prompt.template}`);
        line('', prompt.cached === null ? 'the server does not say how many came from a cache'
            : `${prompt.cached} of ${prompt.sum} came from a cache`);
        line('answers', `${answer.mean.toFixed(1)} tokens in the mean, ${answer.sum} in all, in ${r.chunks} chunks`);
        line('total', `${r.tokens_per_s.toFixed(1)} tokens/s, ${r.wall_s.toFixed(2)} s`);
        line('first token', `p50 ${inMs(ttft.p50)}, p95 ${inMs(ttft.p95)}, max ${inMs(ttft.max)}`);
        line('between tokens', `p50 ${inMs(gap.p50)}, p99 ${inMs(gap.p99)}, max ${inMs(gap.max)}`);
    }
}

async function main() {
    const client = new Client({ url: options.url, key: options.key, connections: options.streams });
    await client.model();
    const random = randomFrom(options.seed);
    const calibration = await calibrate(client, options.model ? { model: options.model } : {}, random);
    const report = summarize(await driveAll(client, makeRequests(calibration, random)), calibration);
    client.close();
    if (options.json) {
        console.log(JSON.stringify(report));
    } else {
        printReport(report);
    }
    process.exitCode = report.ok === options.requests ? 0 : 1;
}

main();
