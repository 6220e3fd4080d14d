'use strict';
// Loads one version of a model after another while answers are being written, and looks whether anybody notices. Made
// for Weir: it starts its own server on a repository of two versions, the model and one that answers differently.
//
//   node tests/bench/reloads.js [options]
//
//   --model FILE     the model (models/weir-tiny/weir-tiny.gguf); the other version is made from it
//   --reloads N      loads of a version, by turns (200)
//   --streams N      answers that are being written at any time (32)
//   --seconds S      how long answers are timed without loads (10)
//   --keep N         --keep-generations of the server: with 1 or more versions are swapped, not loaded (0)
//   --max-ratio X    of the 99th percentile of the time between tokens, with and without loads; 0: any (0)
//   --max-growth X   of memory, as a share (0.1)
//   --json           the report as one line of JSON
//
// Every answer must be, byte for byte, what the version that it names answers alone. The loads come in rounds; memory
// is the server's resident memory at rest behind each, when no stream runs and versions before are gone. Its growth is
// that over the last two of five rounds: before, the heap finds its size.
// Exit status: 0; 1 when a request failed, an answer was another, or a bound was exceeded; 2 wrong usage.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');

const { fail, USAGE_STATUS, readOptions, distribution, residentBytes, inMs, inMib, sleep } = require('./tools.js');
const { writeOtherVersion } = require('../e2e/lib/files.js');
const { programPath, modelPath } = require('../e2e/lib/server.js');

const options = readOptions({ model: modelPath(), reloads: 200, streams: 32, seconds: 10, keep: 0, maxRatio: 0, maxGrowth: 0.1, json: false });
const KEY = 'reloads';
const NAME = 'model';
const ROUNDS = 5;
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
        '--parallel', String(options.streams), '--keep-generations', String(options.keep)],
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

// {version, text, gaps}: gaps are the times between pieces. Throws when the answer does not come to its end.
async function ask(server, question) {
    const response = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST',
        body: JSON.stringify({ messages: [{ role: 'user', content: question }], temperature: 0, max_tokens: 48, stream: true }) });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
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

// Keeps streams going until running.now is false.
function keepAsking(server, running, wanted) {
    return Array.from({ length: options.streams }, async (_, i) => {
        for (let round = i; running.now; round++) {
            const question = QUESTIONS[round % QUESTIONS.length];
            running.answers++;
            try {
                const { version, text, gaps } = await ask(server, question);
                running.gaps.push(...gaps);
                running.byVersion[version] = (running.byVersion[version] ?? 0) + 1;
                running.wrong += text !== wanted[version]?.[question];
            } catch (error) {
                running.failed.push(String(error.cause?.code ?? error.message));
            }
        }
    });
}

const begun = () => ({ now: true, answers: 0, wrong: 0, failed: [], gaps: [], byVersion: {} });

// Resident memory when all but the serving versions (and those kept) are gone.
async function memoryAtRest({ child }) {
    for (let waited = 0; child.loaded > 1 + options.keep && waited < REST_MS; waited += 50) {
        await sleep(50);
    }
    return residentBytes(child.pid);
}

async function measure(server) {
    const wanted = {};
    for (const version of ['1', '2']) {
        await activate(server, version);
        for (const question of QUESTIONS) {
            const answer = await ask(server, question);
            (wanted[answer.version] ??= {})[question] = answer.text;
        }
    }
    const quiet = begun();
    const before = keepAsking(server, quiet, wanted);
    await sleep(options.seconds * 1000);
    quiet.now = false;
    await Promise.all(before);

    const busy = begun();
    const memory = [];
    const loads = [];
    let most = 0;
    for (let round = 1; round <= ROUNDS; round++) {
        busy.now = true;
        const during = keepAsking(server, busy, wanted);
        while (loads.length < (options.reloads * round) / ROUNDS) {
            loads.push(await activate(server, String(1 + (loads.length % 2))));
            most = Math.max(most, residentBytes(server.child.pid));
        }
        busy.now = false;
        await Promise.all(during);
        memory.push(await memoryAtRest(server));
    }
    return { quiet, busy, memory, most, loads };
}

function report({ quiet, busy, memory, most, loads }) {
    const gaps = [distribution(quiet.gaps), distribution(busy.gaps)];
    return {
        reloads: options.reloads, load_ms: distribution(loads),
        answers: quiet.answers + busy.answers, by_version: busy.byVersion,
        failed: [...quiet.failed, ...busy.failed], wrong: quiet.wrong + busy.wrong,
        gap_ms: { without: gaps[0], with: gaps[1], p99_ratio: gaps[1].p99 / gaps[0].p99 },
        memory: { at_rest: memory, most, growth: memory.at(-1) / memory.at(-3) - 1 },
    };
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
}

async function main() {
    if (!options.model || options.reloads < ROUNDS) {
        fail(`a model and ${ROUNDS} reloads or more are needed`, USAGE_STATUS);
    }
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-reloads-'));
    process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
    makeRepository(folder);
    const server = await startServer(folder);
    const r = report(await measure(server));
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
