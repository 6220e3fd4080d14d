'use strict';
// What the load programs of this folder share and that has nothing to do with HTTP: options, seeded random
// numbers, percentiles, a process's memory, figures as text.

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');

const USAGE_STATUS = 2;

// Ends the program with a message that begins with its name.
function fail(message, status = 1) {
    console.error(`${path.basename(process.argv[1])}: ${message}`);
    process.exit(status);
}

// The comment at the top of the program is its help text.
function helpText() {
    const lines = fs.readFileSync(process.argv[1], 'utf8').split('\n');
    const begin = lines.findIndex((line) => line.startsWith('// '));
    const length = lines.slice(begin).findIndex((line) => !line.startsWith('//'));
    return lines.slice(begin, begin + length).map((line) => line.replace(/^\/\/ ?/, '')).join('\n');
}

const kebab = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function optionValue(name, text, standard) {
    if (typeof standard !== 'number') {
        return text;
    }
    const number = Number(text);
    if (text.trim() === '' || !Number.isFinite(number) || number < 0) {
        fail(`--${kebab(name)} is "${text}", a number from 0 is needed`, USAGE_STATUS);
    }
    return number;
}

// Options by their defaults: {answerTokens: 64} reads --answer-tokens N. A default that is a number asks for a
// number, one that is false makes a switch, one that is null a string that may be absent.
function readOptions(defaults) {
    const options = { help: { type: 'boolean' } };
    for (const [name, standard] of Object.entries(defaults)) {
        options[kebab(name)] = { type: standard === false ? 'boolean' : 'string' };
    }
    let given;
    try {
        given = parseArgs({ options }).values;
    } catch (error) {
        fail(`${error.message.split('\n')[0]} (--help lists the options)`, USAGE_STATUS);
    }
    if (given.help) {
        console.log(helpText());
        process.exit(0);
    }
    return Object.fromEntries(Object.entries(defaults).map(([name, standard]) => {
        const value = given[kebab(name)];
        return [name, value === undefined ? standard : optionValue(name, value, standard)];
    }));
}

// Numbers in [0, 1) that a seed repeats: mulberry32.
function randomFrom(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let x = state;
        x = Math.imul(x ^ (x >>> 15), x | 1);
        x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
        return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
    };
}

// A whole number from low to high, both included.
function between(random, low, high) {
    return low + Math.floor(random() * (high - low + 1));
}

// The smallest value that at least that share of all values does not exceed; null of none.
function percentile(sorted, share) {
    return sorted.length > 0 ? sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] : null;
}

// What reports tell of a list of times.
function distribution(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1].map((share) => percentile(sorted, share));
    return { count: sorted.length, p50, p95, p99, max };
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

// Counts of equal texts, the most frequent first.
function tally(texts) {
    const counts = new Map();
    for (const text of texts) {
        counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return new Map([...counts].sort((a, b) => b[1] - a[1]));
}

// Resident memory of a process in bytes; null when it is gone.
function residentBytes(pid) {
    try {
        return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
    } catch {
        return null;
    }
}

const inMs = (ms) => (ms === null ? '-' : `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`);
const inMib = (bytes) => (bytes === null ? 'gone' : `${(bytes / 2 ** 20).toFixed(1)} MiB`);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

module.exports = { fail, USAGE_STATUS, readOptions, randomFrom, between, distribution, percentile, sum, tally,
    residentBytes, inMs, inMib, sleep };
