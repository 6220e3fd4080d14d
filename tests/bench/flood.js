'use strict';
// Opens many connections at once against a server with a bounded queue and sends a streaming chat request on all of
// them at the same moment. Each must end in an answer (200 to [DONE]) or in a refusal that a client can act on
// (429 with Retry-After and x-should-retry), and the server must go on answering /healthz meanwhile.
//
//   node tests/bench/flood.js [options]       e.g. against: weir serve -m MODEL --parallel 16 --queue 64
//
//   --url URL             the server (http://127.0.0.1:8080)
//   --model NAME          model to ask for (the server's own)
//   --key KEY             API key
//   --connections N       connections and requests (1000); both sides need as many file descriptors
//   --answer-tokens N     max_tokens (16)
//   --timeout S           seconds within which every request must have ended (120)
//   --health PATH         route that is asked every 10 ms on a connection of its own (/healthz)
//   --pid PID             the server's process: tells its resident memory
//   --json                one line of JSON instead of the report
//
// Prints how many were answered and refused, every other end with its count (hung: no end within the timeout), when
// the last refusal and the last answer had come, the latency of the health route before and during the flood (p50,
// p99, max; asked from a thread of its own), and with --pid resident memory before, at its peak, and after.
// Exit status: 0, 1 when a request hung or ended otherwise or a health probe failed, 2 without a server.

const net = require('node:net');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const { Client, isAnswered, isRefused, outcome } = require('./client.js');
const { readOptions, distribution, tally, residentBytes, inMs, inMib, sleep } = require('./tools.js');

const PROBE_EVERY_MS = 10;
const CALM_MS = 1000; // probes before the flood, to compare with
const MEMORY_EVERY_MS = 20;

/* --- the thread that probes --- */

// Asks the route every 10 ms on one connection. A probe that is due while another waits is counted from when it was
// due. Any message takes what was measured so far, with the age of probes that are late.
function probeForever({ url, health }) {
    const client = new Client({ url, connections: 1 });
    const waiting = new Set();
    let latencies = [], failed = 0;
    setInterval(async () => {
        const begin = performance.now();
        waiting.add(begin);
        try {
            const { status } = await client.get(health);
            failed += status === 200 ? 0 : 1;
            latencies.push(performance.now() - begin);
        } catch {
            failed++;
        }
        waiting.delete(begin);
    }, PROBE_EVERY_MS);
    parentPort.on('message', () => {
        const late = [...waiting].map((begin) => performance.now() - begin).filter((ms) => ms > PROBE_EVERY_MS);
        parentPort.postMessage({ latencies: [...latencies, ...late], failed });
        latencies = [];
        failed = 0;
    });
}

class Probe {
    constructor(settings) {
        this.worker = new Worker(__filename, { workerData: settings, argv: process.argv.slice(2) });
    }

    take() {
        return new Promise((resolve) => {
            this.worker.once('message', ({ latencies, failed }) => resolve({ ...distribution(latencies), failed }));
            this.worker.postMessage('take');
        });
    }

    stop() {
        return this.worker.terminate();
    }
}

/* --- the flood --- */

function connect({ hostname, port }) {
    return new Promise((resolve, reject) => {
        const socket = net.connect({ host: hostname.replace(/^\[|\]$/g, ''), port });
        socket.once('connect', () => {
            socket.off('error', reject);
            socket.on('error', () => {}); // the request on it reports that
            resolve(socket);
        });
        socket.once('error', reject);
    });
}

// All connections, or the codes of errors in their places.
async function connectAll(url, count) {
    const opened = await Promise.allSettled(Array.from({ length: count }, () => connect(url)));
    return opened.map(({ value, reason }) => value ?? reason.code);
}

// What a request came to: 'answered', 'refused', or in words what was wrong.
function judge(answer) {
    if (isAnswered(answer)) {
        return 'answered';
    }
    if (!isRefused(answer)) {
        return answer.failure === 'timeout' ? 'hung' : outcome(answer);
    }
    const missing = [
        Number(answer.headers['retry-after']) >= 1 ? null : 'Retry-After',
        answer.headers['x-should-retry'] === undefined ? 'x-should-retry' : null,
    ].filter(Boolean);
    return missing.length === 0 ? 'refused' : `429 without ${missing.join(' and ')}`;
}

// Samples the process's memory until stopped; the result is its peak.
function watchMemory(pid) {
    let peak = pid ? residentBytes(pid) : null;
    const timer = setInterval(() => {
        peak = Math.max(peak, residentBytes(pid));
    }, MEMORY_EVERY_MS);
    return () => {
        clearInterval(timer);
        return peak;
    };
}

async function flood(client, sockets, options) {
    const ask = (socket, i) => client.chat({
        ...(options.model && { model: options.model }),
        messages: [{ role: 'user', content: `${i}: how many are we?` }],
        max_tokens: options.answerTokens, temperature: 0, stream: true, stream_options: { include_usage: true },
    }, { socket, timeoutMs: options.timeout * 1000 });
    const begin = performance.now();
    const ends = await Promise.all(sockets.map(async (socket, i) => {
        if (typeof socket === 'string') {
            return { verdict: `no connection: ${socket}`, afterMs: 0 };
        }
        const answer = await ask(socket, i);
        socket.destroy();
        return { verdict: judge(answer), afterMs: answer.endedAt - begin };
    }));
    const last = (verdict) => Math.max(0, ...ends.filter((end) => end.verdict === verdict).map(({ afterMs }) => afterMs));
    return {
        counts: Object.fromEntries(tally(ends.map(({ verdict }) => verdict))),
        last_refusal_ms: last('refused'),
        last_answer_ms: last('answered'),
    };
}

/* --- the report --- */

function printReport(r) {
    const line = (name, text) => console.log(`  ${name.padEnd(18)}${text}`);
    const latency = (p) => `p50 ${inMs(p.p50)}, p99 ${inMs(p.p99)}, max ${inMs(p.max)} ` +
        `(${p.count} probes, ${p.failed} failed)`;
    console.log(`${r.url}: ${r.connections} connections, open within ${inMs(r.connect_ms)}`);
    line('answered', `${r.counts.answered ?? 0}, the last after ${inMs(r.last_answer_ms)}`);
    line('refused', `${r.counts.refused ?? 0}, the last after ${inMs(r.last_refusal_ms)}`);
    line('otherwise', r.otherwise.length === 0 ? 'none'
        : r.otherwise.map(([what, count]) => `${count} x ${what}`).join('; '));
    line('health before', latency(r.health_before));
    line('health meanwhile', latency(r.health_meanwhile));
    if (r.rss_bytes) {
        const { before, peak, after } = r.rss_bytes;
        line('resident memory', `${inMib(before)} before, ${inMib(peak)} at the peak, ${inMib(after)} after`);
    }
}

async function main() {
    const options = readOptions({
        url: 'http://127.0.0.1:8080', model: null, key: null, connections: 1000, answerTokens: 16, timeout: 120,
        health: '/healthz', pid: null, json: false,
    });
    const client = new Client({ url: options.url, key: options.key });
    await client.model();
    const probe = new Probe({ url: options.url, health: options.health });
    await sleep(CALM_MS);
    const before = options.pid ? residentBytes(options.pid) : null;
    const healthBefore = await probe.take();
    const peakMemory = watchMemory(options.pid);
    const begin = performance.now();
    const sockets = await connectAll(client.url, options.connections);
    const connectMs = performance.now() - begin;
    const result = await flood(client, sockets, options);
    const peak = peakMemory();
    const healthMeanwhile = await probe.take();
    await probe.stop();
    client.close();
    const report = {
        url: options.url, connections: options.connections, connect_ms: connectMs, ...result,
        otherwise: Object.entries(result.counts).filter(([verdict]) => verdict !== 'answered' && verdict !== 'refused'),
        health_before: healthBefore, health_meanwhile: healthMeanwhile,
        rss_bytes: options.pid ? { before, peak, after: residentBytes(options.pid) } : null,
    };
    if (options.json) {
        console.log(JSON.stringify(report));
    } else {
        printReport(report);
    }
    process.exitCode = report.otherwise.length === 0 && healthMeanwhile.failed === 0 ? 0 : 1;
}

if (isMainThread) {
    main();
} else {
    probeForever(workerData);
}
