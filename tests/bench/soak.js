'use strict';
// Mixed load for an hour: what clients do and what they do wrong, all at once, and at the end a look at what it has
// left behind in the server. Made for Weir; its counters are read from GET /admin/models.
//
//   node tests/bench/soak.js --pid PID --admin-key KEY [options]
//
//   --url URL             the server (http://127.0.0.1:8080)
//   --model NAME          model to ask for (the server's own)
//   --key KEY             API key
//   --admin-key KEY       admin key; without it the server's counters are not checked
//   --pid PID             the server's process; without it its memory is not checked
//   --minutes N           length (60)
//   --streams N           clients at once (20)
//   --context N           tokens of the server's context (as /v1/models says)
//   --max-growth N        percent that resident memory may grow after the warm-up (1)
//   --seed N              of what is asked, in which order and when clients leave (1); when answers come is up to the
//                         server, so that a repeated run is alike but not the same
//   --json                the last report as one line of JSON
//
// Each client picks one scenario after another: a streamed answer, a whole one, leaving in the middle of an answer,
// leaving while the prompt is read or waits, a prompt beyond the context (400 context_length_exceeded), a body that is
// no chat request (400), n = 2, reading slowly. Some share a system prompt. A 429 with Retry-After is
// right for all of them, and is waited for.
//
// Prints a line a minute and a report with these checks: no request ended in a way that its scenario does not allow;
// the server still answers; within a minute it says running 0 and waiting 0; its counts of tokens lie between what
// clients have seen and that plus the most that those who left can have cost; resident memory, as the median of each
// tenth of the time, stays within 1 % of what it was in the second tenth. Exit status: 0, 1 when a check failed, 2
// without a server.

const { Client, isAnswered, isRefused, outcome, waitAsTold } = require('./client.js');
const { calibrate, conversation } = require('./prompts.js');
const { fail, USAGE_STATUS, readOptions, randomFrom, between, distribution, sum, residentBytes, inMib, sleep } =
    require('./tools.js');

const options = readOptions({
    url: 'http://127.0.0.1:8080', model: null, key: null, adminKey: null, pid: null, minutes: 60, streams: 20,
    context: 0, maxGrowth: 1, seed: 1, json: false,
});

const MEMORY_EVERY_MS = 10_000;
const PROGRESS_EVERY_MS = 60_000;
const QUIET_WITHIN_MS = 60_000;
const LONGEST_WAIT_MS = 2000; // after a 429
const EXAMPLES = 10;          // of unexpected ends that are printed
const SHARED_PROMPTS = 4;

/* --- scenarios --- */

// What a scenario needs: the client, sizes and texts. `random` is that of the worker.
class Kit {
    constructor(client, calibration, context) {
        this.client = client;
        this.calibration = calibration;
        this.context = context;
        const random = randomFrom(options.seed);
        this.systems = Array.from({ length: SHARED_PROMPTS }, () => calibration.text(random, context * 0.3));
    }

    // A request whose prompt is about that share of the context, behind a shared system prompt or alone.
    request(random, { share = 0.1, shared = random() < 0.6, maxTokens, stream = true }) {
        const system = this.systems[between(random, 0, SHARED_PROMPTS - 1)];
        const messages = conversation(system, this.calibration.text(random, this.context * share));
        return {
            ...(options.model && { model: options.model }),
            messages: shared ? messages : messages.slice(1),
            max_tokens: maxTokens ?? between(random, 4, Math.ceil(this.context / 12)),
            temperature: random() < 0.5 ? 0 : 1,
            seed: between(random, 0, 2 ** 31),
            stream,
            ...(stream && { stream_options: { include_usage: true } }),
        };
    }

    // The most tokens a request's prompt can have.
    promptBound({ messages }) {
        const characters = sum(messages.map(({ content }) => content.length));
        return Math.ceil(characters * this.calibration.tokensPerCharacter * 1.5) + this.calibration.templateTokens + 32;
    }
}

const NO_REQUESTS = ['', 'hello', '{"messages": [', '{"messages": []}', '{"messages": "hello"}', '[1, 2, 3]',
    '{"messages": [{"role": "nobody", "content": "hello"}]}', '{"messages": [{"role": "user", "content": 7}]}',
    '{"messages": [{"role": "user", "content": "hello"}], "temperature": "hot"}', '{"a": '.repeat(200)];

const hasUsage = (answer) => isAnswered(answer) && answer.usage !== null;
const isBadRequest = (answer) => answer.status === 400 && answer.failure === null && answer.error !== null;
const hasLeft = (answer) => answer.failure === 'left' || hasUsage(answer);

// name: weight, run (a request to its answer) and isRight. `request` is null where the server must not get as far as
// tokens.
const SCENARIOS = {
    stream: {
        weight: 34, isRight: hasUsage,
        run: (kit, random) => ask(kit, kit.request(random, {})),
    },
    whole: {
        weight: 20, isRight: hasUsage,
        run: (kit, random) => ask(kit, kit.request(random, { stream: false })),
    },
    'leave answer': {
        weight: 12, isRight: hasLeft,
        run: (kit, random) => {
            const chunks = between(random, 1, 12);
            const onEvent = (answer, call) => answer.textAt.length >= chunks && call.leave();
            return ask(kit, kit.request(random, { maxTokens: Math.ceil(kit.context / 4) }), { onEvent });
        },
    },
    'leave prompt': {
        weight: 10, isRight: hasLeft,
        run: (kit, random) => {
            const request = kit.request(random, { share: 0.7, shared: false, stream: random() < 0.5 });
            return ask(kit, request, { leaveAfterMs: between(random, 1, 100) });
        },
    },
    'too long': {
        weight: 6, isRight: (answer) => isBadRequest(answer) && answer.error.code === 'context_length_exceeded',
        run: async (kit, random) =>
            ({ ...await ask(kit, kit.request(random, { share: 1 + 2 * random(), stream: random() < 0.5 })), request: null }),
    },
    'no request': {
        weight: 6, isRight: isBadRequest,
        run: async (kit, random) =>
            ({ answer: await kit.client.chat(NO_REQUESTS[between(random, 0, NO_REQUESTS.length - 1)]), request: null }),
    },
    'n = 2': {
        weight: 4, isRight: hasUsage,
        run: (kit, random) => ask(kit, { ...kit.request(random, { stream: random() < 0.5 }), n: 2 }),
    },
    'slow reader': {
        weight: 8, isRight: hasUsage,
        run: (kit, random) => {
            let pauses = between(random, 1, 5);
            const onEvent = (answer, call) => pauses-- > 0 && call.pause(between(random, 50, 1000));
            return ask(kit, kit.request(random, {}), { onEvent });
        },
    },
};

async function ask(kit, request, how) {
    return { request, answer: await kit.client.chat(request, how) };
}

function pickScenario(random) {
    const entries = Object.entries(SCENARIOS);
    let at = random() * sum(entries.map(([, { weight }]) => weight));
    return entries.find(([, { weight }]) => (at -= weight) < 0) ?? entries[0];
}

/* --- what is counted --- */

class Totals {
    constructor() {
        this.byScenario = Object.fromEntries(Object.keys(SCENARIOS).map((name) => [name, 0]));
        this.refused = 0;
        this.reconnects = 0;
        this.unexpected = [];
        // Tokens of answers that came to their end, and the most that the others can have cost.
        this.finished = { answers: 0, prompt: 0, cached: 0, output: 0 };
        this.left = { requests: 0, prompt: 0, output: 0, seen: 0 };
    }

    get requests() {
        return sum(Object.values(this.byScenario));
    }

    add(name, { isRight }, { request, answer }, kit) {
        this.byScenario[name]++;
        this.reconnects += answer.reconnects;
        if (isRefused(answer) && Number(answer.headers['retry-after']) >= 1) {
            this.refused++;
            return;
        }
        if (!isRight(answer)) {
            this.unexpected.push(`${name}: ${outcome(answer)}${answer.error ? ` (${answer.error.message})` : ''}`);
        }
        if (hasUsage(answer)) {
            const { prompt_tokens: prompt, completion_tokens: output, prompt_tokens_details: details } = answer.usage;
            this.finished.answers++;
            this.finished.prompt += prompt;
            this.finished.cached += details?.cached_tokens ?? 0;
            this.finished.output += output;
        } else if (request && answer.status !== 400) {
            this.left.requests++;
            this.left.prompt += kit.promptBound(request);
            this.left.output += request.max_tokens;
            this.left.seen += answer.textAt.length;
        }
    }
}

async function worker(kit, totals, random, endsAt) {
    while (performance.now() < endsAt) {
        const [name, scenario] = pickScenario(random);
        const result = await scenario.run(kit, random);
        totals.add(name, scenario, result, kit);
        if (isRefused(result.answer)) {
            await waitAsTold(result.answer, LONGEST_WAIT_MS);
        } else if (result.answer.status === 0 && result.answer.failure !== 'left') {
            await sleep(LONGEST_WAIT_MS); // no server: do not spin
        }
    }
}

class Memory {
    constructor(pid, everyMs) {
        this.pid = pid;
        this.begin = performance.now();
        this.samples = []; // {at: ms since the begin, bytes}
        this.timer = pid ? setInterval(() => this.sample(), everyMs) : null;
    }

    sample() {
        this.samples.push({ at: performance.now() - this.begin, bytes: residentBytes(this.pid) });
    }

    stop() {
        clearInterval(this.timer);
    }

    // Medians of the tenths of the time.
    tenths(lengthMs) {
        return Array.from({ length: 10 }, (_, i) => distribution(this.samples
            .filter(({ at, bytes }) => bytes !== null && Math.min(9, Math.floor((10 * at) / lengthMs)) === i)
            .map(({ bytes }) => bytes)).p50);
    }
}

/* --- checks at the end --- */

// {name, ok, text}
function check(name, ok, text) {
    return { name, ok, text };
}

// What GET /admin/models says; null when nothing answers.
async function counters(admin) {
    const answer = await admin.get('/admin/models').catch(() => null);
    if (answer && answer.status !== 200) {
        fail(`GET /admin/models: status ${answer.status}; is the admin key right?`, USAGE_STATUS);
    }
    return answer?.body ?? null;
}

async function checkQuiet(admin) {
    const begin = performance.now();
    let last;
    do {
        last = await counters(admin);
        if (last?.running === 0 && last.waiting === 0) {
            return check('quiet', true, `running 0, waiting 0 after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
        }
        await sleep(200);
    } while (performance.now() - begin < QUIET_WITHIN_MS);
    return check('quiet', false, last === null ? 'the server does not answer'
        : `running ${last.running}, waiting ${last.waiting} after a minute without requests`);
}

// A count may lack what came from a cache, and holds what those who left had got.
function checkCount(name, counted, low, high) {
    return check(name, counted >= low && counted <= high, `${counted} counted, ${low} to ${high} expected`);
}

function checkCounters(before, after, { finished, left }) {
    if (after?.generation !== before.generation) {
        return [check('counters', false, `those of generation ${before.generation} are gone`)];
    }
    const grown = (field) => after[field] - before[field];
    return [
        checkCount('prompt tokens', grown('prompt_tokens'), finished.prompt - finished.cached, finished.prompt + left.prompt),
        // The token that ends an answer is sampled, but is not in its usage.
        checkCount('output tokens', grown('output_tokens'), finished.output + left.seen,
            finished.output + finished.answers + left.output + left.requests),
    ];
}

function checkMemory(memory, lengthMs) {
    const tenths = memory.tenths(lengthMs);
    const [base, ...later] = tenths.slice(1);
    if (base === null || memory.samples.some(({ bytes }) => bytes === null)) {
        return check('memory', false, base === null ? 'no samples after the warm-up' : 'the process is gone');
    }
    const growth = 100 * (Math.max(...later) / base - 1);
    return check('memory', growth <= options.maxGrowth, `${growth.toFixed(2)} % growth at the most after the warm-up; ` +
        `medians of tenths: ${tenths.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(' ')} MiB`);
}

async function checkAlive(kit, random) {
    const { answer } = await ask(kit, kit.request(random, {}));
    return check('alive', hasUsage(answer), `a last request: ${outcome(answer)}`);
}

function checkUnexpected({ unexpected }) {
    const more = unexpected.length > EXAMPLES ? `; and ${unexpected.length - EXAMPLES} more` : '';
    return check('ends', unexpected.length === 0, unexpected.length === 0 ? 'every request ended as it should'
        : `${unexpected.length} ended otherwise: ${unexpected.slice(0, EXAMPLES).join('; ')}${more}`);
}

/* --- the run --- */

const scenarioCounts = ({ byScenario }) => Object.entries(byScenario).map(([name, n]) => `${name} ${n}`).join(', ');

function printProgress(totals, memory, begin) {
    const minutes = Math.round((performance.now() - begin) / 60_000);
    const rss = memory.pid ? `; memory ${inMib(residentBytes(memory.pid))}` : '';
    console.error(`${minutes}/${options.minutes} min: ${totals.requests} requests, ${totals.refused} refused, ` +
        `${totals.unexpected.length} unexpected${rss}`);
}

async function runLoad(kit, totals, lengthMs) {
    const begin = performance.now();
    const memory = new Memory(options.pid, Math.min(MEMORY_EVERY_MS, lengthMs / 100));
    const progress = setInterval(printProgress, PROGRESS_EVERY_MS, totals, memory, begin);
    await Promise.all(Array.from({ length: options.streams }, (_, i) =>
        worker(kit, totals, randomFrom(options.seed * 1000 + i), begin + lengthMs)));
    clearInterval(progress);
    memory.stop();
    return memory;
}

function printReport({ totals, checks, skipped }) {
    const { finished, left } = totals;
    console.log(`${options.url}: ${options.minutes} min, ${options.streams} clients, seed ${options.seed}`);
    console.log(`  ${totals.requests} requests: ${scenarioCounts(totals)}; ` +
        `${totals.refused} refused, ${totals.reconnects} sent again as the server had closed the connection`);
    console.log(`  ${finished.answers} answers of ${finished.output} tokens to prompts of ${finished.prompt} ` +
        `(${finished.cached} from a cache); ${left.requests} requests left`);
    checks.forEach(({ name, ok, text }) => console.log(`  ${ok ? 'ok    ' : 'FAILED'} ${name}: ${text}`));
    skipped.forEach((text) => console.log(`  not checked: ${text}`));
}

async function main() {
    const client = new Client({ url: options.url, key: options.key });
    const admin = options.adminKey ? new Client({ url: options.url, key: options.adminKey }) : null;
    const model = await client.model();
    const context = options.context || model.context_length;
    if (!context) {
        fail('/v1/models does not say how long the context is: give --context', USAGE_STATUS);
    }
    if (options.pid && residentBytes(options.pid) === null) {
        fail(`there is no process ${options.pid}`, USAGE_STATUS);
    }
    const random = randomFrom(options.seed);
    const calibration = await calibrate(client, options.model ? { model: options.model } : {}, random);
    const before = admin && await counters(admin);
    const kit = new Kit(client, calibration, context);
    const totals = new Totals();
    const lengthMs = options.minutes * 60_000;
    const memory = await runLoad(kit, totals, lengthMs);

    const checks = [checkUnexpected(totals)];
    if (admin) {
        checks.push(await checkQuiet(admin), ...checkCounters(before, await counters(admin), totals));
    }
    checks.push(await checkAlive(kit, random));
    if (options.pid) {
        checks.push(checkMemory(memory, lengthMs));
    }
    const skipped = [admin ? null : 'counters (no --admin-key)', options.pid ? null : 'memory (no --pid)'].filter(Boolean);
    client.close();
    admin?.close();
    if (options.json) {
        console.log(JSON.stringify({ ...options, key: undefined, adminKey: undefined, requests: totals.requests,
            scenarios: totals.byScenario, refused: totals.refused, reconnects: totals.reconnects,
            finished: totals.finished, left: totals.left, checks, skipped, rss_bytes: memory.samples.map(({ bytes }) => bytes) }));
    } else {
        printReport({ totals, checks, skipped });
    }
    process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1;
}

main();
