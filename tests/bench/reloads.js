'use strict';
// Loads one version of a model after another while answers are being written, and looks whether anybody notices. Made
// for Weir: it starts its own server on a repository of two versions, the model and one that answers differently.
//
//   node tests/bench/reloads.js [options]
//
//   --model FILE     the model (models/weir-tiny/weir-tiny.gguf); the other version is made from it
//   --reloads N      loads of a version, by turns (200)
//   --every MS       a load begins no earlier than so long after the one before (0)
//   --rounds N       so many times answers are timed without loads, and then with their share of them (5)
//   --streams N      answers that are being written at any time (32)
//   --others N       requests of other kinds at any time: two answers at once, calls of tools, embeddings (3)
//   --seconds S      of each round without loads (5)
//   --keep N         --keep-generations of the server: with 1 or more versions are swapped, not loaded (0)
//   --max-ratio X    of the 99th percentile of the time between tokens, with and without loads; 0: any (0)
//   --max-growth X   of memory, as a share (0.1)
//   --report FILE    the report so far, as JSON, after each round
//   --json           the report as one line of JSON
//
// Every answer must be, byte for byte, what the version that it names answers alone. Each round is told on stderr when it
// is over. Percentiles are medians over the rounds, so that what else the machine does counts for less. Memory, threads
// and open files (sockets are the clients') are the server's at rest behind each round, when no stream runs and versions before are gone; growth of
// memory is that from two fifths of the rounds on: before, the heap finds its size.
// Exit status: 0; 1 when a request failed, an answer was another, or a bound was exceeded; 2 wrong usage.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');

const { fail, USAGE_STATUS, readOptions, distribution, percentile, sum, residentBytes, inMs, inMib, sleep } = require('./tools.js');
const { writeOtherVersion } = require('../e2e/lib/files.js');
const { programPath, modelPath } = require('../e2e/lib/server.js');

const options = readOptions({ model: modelPath(), reloads: 200, every: 0, rounds: 5, streams: 32, others: 3, seconds: 5, keep: 0, maxRatio: 0,
    maxGrowth: 0.1, report: null, json: false });
const KEY = 'reloads';
const NAME = 'model';
const REST_MS = 5000; // that versions may take to go
const QUESTIONS = ['Hello', 'Tell me a story.', 'What is 2 plus 3?', 'Who are you?', 'Count to ten.', 'Why is the sky blue?'];

function makeRepository(folder) {
    for (const version of ['1', '2']) {
        fs.mkdirSync(path.join(folder, NAME, version), { recursive: true });
    }
    fs.copyFileSync(options.model, path.join(folder, NAME, '1', 'model.gguf'));
    writeOtherVersion(options.model, path.join(folder, NAME, '2', 'model.gguf'));
}

// Resolves to {child, url} when it listens.
function startServer(folder) {
    const child = spawn(programPath(), ['serve', '--repo', folder, '--port', '0', '--admin-key', KEY,
        '--parallel', String(options.streams + 2 * options.others), '--keep-generations', String(options.keep)],
    { stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    child.loaded = 0; // versions in memory
    child.stderr.setEncoding('utf8').on('data', (text) => {
        log = (log + text).slice(-4000);
        child.loaded += (text.match(/ is published/g) ?? []).length - (text.match(/generation \d+ is gone/g) ?? []).length;
    });
    return new Promise((resolve) => {
        let out = '';
        child.stdout.setEncoding('utf8').on('data', (text) => {
            const found = /^listening on (\S+)$/m.exec(out += text);
            if (found) resolve({ child, url: found[1] });
        });
        child.on('exit', (code, signal) => {
            if (!child.isAwaited) fail(`the server ended (${code ?? signal}):\n${log}`);
        });
    });
}

async function activate(server, version) {
    const begin = performance.now();
    const response = await fetch(`${server.url}/admin/models/${NAME}/activate`, { method: 'POST',
        headers: { authorization: `Bearer ${KEY}` }, body: JSON.stringify({ version }) });
    const body = await response.json();
    return response.ok ? performance.now() - begin : fail(`activate ${version}: ${JSON.stringify(body)}`);
}

async function post(server, route, body) {
    const response = await fetch(server.url + route, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    return response;
}

// {version, text, gaps}: gaps are the times between pieces. Throws when the answer does not come to its end.
async function readStreamed(server, question) {
    const response = await post(server, '/v1/chat/completions', { ...chat(question, 48), stream: true });
    const gaps = [];
    const decoder = new TextDecoder();
    let raw = '';
    let last = 0;
    for await (const bytes of response.body) {
        const now = performance.now();
        raw += decoder.decode(bytes, { stream: true });
        if (last) gaps.push(now - last);
        last = now;
    }
    const lines = raw.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
    if (lines.pop() !== '[DONE]') throw new Error('the stream was cut');
    const text = lines.map((line) => JSON.parse(line).choices[0]?.delta.content ?? '').join('');
    return { version: response.headers.get('weir-model'), text, gaps };
}

// The same of an answer that comes as a whole: `pick` says what of it counts.
async function readWhole(server, route, body, pick) {
    const response = await post(server, route, body);
    return { version: response.headers.get('weir-model'), text: JSON.stringify(pick(await response.json())), gaps: [] };
}

const chat = (question, tokens) => ({ messages: [{ role: 'user', content: question }], temperature: 0, max_tokens: tokens });
const messages = ({ choices }) => choices.map(({ message }) => [message.content, message.tool_calls?.map(({ function: call }) => call)]);
const TOOL = { type: 'function', function: { name: 'note', description: 'Takes a note.', parameters: {
    type: 'object', properties: { text: { type: 'string', maxLength: 24 } }, required: ['text'], additionalProperties: false,
} } };

// {name: ask}: all that is asked.
const STREAMED = Object.fromEntries(QUESTIONS.map((question) => [question, (server) => readStreamed(server, question)]));
const OTHERS = {
    'two answers': (server) => readWhole(server, '/v1/chat/completions', { ...chat(QUESTIONS[1], 12), n: 2 }, messages),
    'a call': (server) => readWhole(server, '/v1/chat/completions', { ...chat(QUESTIONS[1], 48), tools: [TOOL], tool_choice: 'required' }, messages),
    embeddings: (server) => readWhole(server, '/v1/embeddings', { input: QUESTIONS }, ({ data }) => data.map(({ embedding }) => embedding)),
};

async function keepAskingOne(server, running, wanted, kinds, begin) {
    const names = Object.keys(kinds);
    for (let round = begin; running.now; round++) {
        const name = names[round % names.length];
        running.answers++;
        try {
            const { version, text, gaps } = await kinds[name](server);
            running.gaps.push(...gaps);
            running.byVersion[version] = (running.byVersion[version] ?? 0) + 1;
            running.wrong += text !== wanted[version]?.[name];
        } catch (error) {
            running.failed.push(`${name}: ${error.cause?.code ?? error.message}`);
        }
    }
}

// Keeps requests going until running.now is false.
function keepAsking(server, running, wanted) {
    const many = (n, kinds) => Array.from({ length: n }, (_, i) => keepAskingOne(server, running, wanted, kinds, i));
    return Promise.all([...many(options.streams, STREAMED), ...many(options.others, OTHERS)]);
}

const begun = () => ({ now: true, answers: 0, wrong: 0, failed: [], gaps: [], byVersion: {} });

// {memory, threads, files} when all but the serving versions (and those kept) are gone.
async function stateAtRest({ child }) {
    for (let waited = 0; child.loaded > 1 + options.keep && waited < REST_MS; waited += 50) {
        await sleep(50);
    }
    const proc = `/proc/${child.pid}`;
    const files = fs.readdirSync(`${proc}/fd`).filter((fd) => !fs.readlinkSync(`${proc}/fd/${fd}`).startsWith('socket:')).length;
    return { memory: residentBytes(child.pid), threads: fs.readdirSync(`${proc}/task`).length, files };
}

// What each version answers alone: {version: {name: text}}.
async function askAlone(server) {
    const wanted = {};
    for (const version of ['1', '2']) {
        await activate(server, version);
        for (const [name, ask] of Object.entries({ ...STREAMED, ...OTHERS })) {
            const answer = await ask(server);
            (wanted[answer.version] ??= {})[name] = answer.text;
        }
    }
    return wanted;
}

// Keeps requests going while `work` runs; what became of them.
async function phase(server, wanted, work) {
    const running = begun();
    const asking = keepAsking(server, running, wanted);
    await work();
    running.now = false;
    await asking;
    const { answers, wrong, failed, gaps, byVersion } = running;
    return { answers, wrong, failed, gaps: distribution(gaps), byVersion };
}

async function measure(server, tell) {
    const wanted = await askAlone(server);
    const m = { rounds: [], loads: [], most: 0 };
    for (let round = 1; round <= options.rounds; round++) {
        const without = await phase(server, wanted, () => sleep(options.seconds * 1000));
        const with_ = await phase(server, wanted, async () => {
            while (m.loads.length < (options.reloads * round) / options.rounds) {
                const pause = sleep(options.every);
                m.loads.push(await activate(server, String(1 + (m.loads.length % 2))));
                m.most = Math.max(m.most, residentBytes(server.child.pid));
                await pause;
            }
        });
        m.rounds.push({ without, with: with_, rest: await stateAtRest(server) });
        tell(m);
    }
    return m;
}

const median = (values) => percentile([...values].sort((a, b) => a - b), 0.5);

// Medians over the rounds; count and max over all of them.
function overRounds(gaps) {
    const [p50, p95, p99] = ['p50', 'p95', 'p99'].map((name) => median(gaps.map((one) => one[name])));
    return { count: sum(gaps.map(({ count }) => count)), p50, p95, p99, max: Math.max(...gaps.map(({ max }) => max)) };
}

function report({ rounds, loads, most }) {
    const phases = rounds.flatMap((round) => [round.without, round.with]);
    const byVersion = {};
    for (const [version, count] of rounds.flatMap((round) => Object.entries(round.with.byVersion))) {
        byVersion[version] = (byVersion[version] ?? 0) + count;
    }
    const gaps = { without: overRounds(rounds.map(({ without }) => without.gaps)), with: overRounds(rounds.map((round) => round.with.gaps)) };
    const at = (what) => rounds.map(({ rest }) => rest[what]);
    const early = rounds[Math.floor(rounds.length * 0.4)].rest.memory;
    return {
        reloads: loads.length, load_ms: distribution(loads),
        answers: sum(phases.map(({ answers }) => answers)), by_version: byVersion,
        failed: phases.flatMap(({ failed }) => failed), wrong: sum(phases.map(({ wrong }) => wrong)),
        gap_ms: { ...gaps, p99_ratio: gaps.with.p99 / gaps.without.p99 },
        memory: { at_rest: at('memory'), most, growth: at('memory').at(-1) / early - 1 }, threads: at('threads'), files: at('files'),
    };
}

// After each round.
function tellRound(measured) {
    const { rounds, loads } = measured;
    const { without, with: with_, rest } = rounds.at(-1);
    console.error(`round ${rounds.length} of ${options.rounds}: ${loads.length} loads; p99 ${inMs(without.gaps.p99)} without, ${inMs(with_.gaps.p99)} with; `
        + `${without.failed.length + with_.failed.length} failed, ${without.wrong + with_.wrong} wrong; `
        + `${inMib(rest.memory)}, ${rest.threads} threads, ${rest.files} files`);
    if (options.report) {
        fs.writeFileSync(options.report, JSON.stringify(report(measured)));
    }
}

function print(r) {
    const row = (name, ...cells) => console.log(name.padEnd(26) + cells.map((cell) => String(cell).padStart(12)).join(''));
    row('', 'p50', 'p95', 'p99', 'max');
    const times = ({ p50, p95, p99, max }) => [p50, p95, p99, max].map(inMs);
    row('a load', ...times(r.load_ms));
    row('between pieces, without', ...times(r.gap_ms.without));
    row('between pieces, with', ...times(r.gap_ms.with));
    console.log(`p99 with loads is ${r.gap_ms.p99_ratio.toFixed(2)} times that without`);
    console.log(`${r.reloads} loads, ${r.answers} answers: ${r.failed.length} failed ${JSON.stringify(r.failed.slice(0, 3))}, ${r.wrong} other than alone`);
    console.log(`by version: ${JSON.stringify(r.by_version)}`);
    console.log(`memory at rest: ${r.memory.at_rest.map(inMib).join(', ')}; growth ${(100 * r.memory.growth).toFixed(1)} %; at most ${inMib(r.memory.most)}`);
    console.log(`threads at rest: ${r.threads.join(', ')}; open files: ${r.files.join(', ')}`);
}

async function main() {
    if (!options.model || options.rounds < 1 || options.reloads < options.rounds) {
        fail('a model, and for each round a reload or more, are needed', USAGE_STATUS);
    }
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-reloads-'));
    process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
    makeRepository(folder);
    const server = await startServer(folder);
    const r = report(await measure(server, tellRound));
    server.child.isAwaited = true;
    const ended = new Promise((resolve) => server.child.on('exit', (code) => resolve(code)));
    server.child.kill('SIGTERM');
    const status = await ended;
    if (options.json) {
        console.log(JSON.stringify({ ...r, status }));
    } else {
        print(r);
    }
    const slow = options.maxRatio > 0 && r.gap_ms.p99_ratio > options.maxRatio;
    process.exit(r.failed.length > 0 || r.wrong > 0 || r.memory.growth > options.maxGrowth || status !== 0 || slow ? 1 : 0);
}

main().catch((error) => fail(error.stack));
