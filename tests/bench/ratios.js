'use strict';
// Puts reports of load.js beside each other: medians over the lines (rounds) of each file, and the first file's
// figures divided by those of each other. For serve_compare.sh.
//
//   node tests/bench/ratios.js weir.json other.json ...       files of what load.js --json printed, a line a run

const fs = require('node:fs');
const path = require('node:path');

const { distribution } = require('./tools.js');

const COLUMNS = [
    ['ok', (r) => r.ok, 0],
    ['of', (r) => r.requests, 0],
    ['prompt', (r) => r.prompt_tokens.mean, 1],
    ['answer', (r) => r.answer_tokens.mean, 1],
    ['tokens/s', (r) => r.tokens_per_s, 1, 'ratio'],
    ['first p50 ms', (r) => r.ttft_ms.p50, 0, 'ratio'],
    ['p95', (r) => r.ttft_ms.p95, 0, 'ratio'],
    ['max', (r) => r.ttft_ms.max, 0],
    ['between p50 ms', (r) => r.gap_ms.p50, 1, 'ratio'],
    ['p99', (r) => r.gap_ms.p99, 1, 'ratio'],
    ['max', (r) => r.gap_ms.max, 0],
];

function medians(file) {
    const runs = fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    return {
        name: path.basename(file, '.json'),
        figures: COLUMNS.map(([, figure]) => distribution(runs.map(figure)).p50),
    };
}

function row(name, cells) {
    return name.padEnd(20) + cells.map((cell, i) => cell.padStart(Math.max(9, COLUMNS[i][0].length + 2))).join('');
}

const number = (value, i) => (value === null ? '-' : value.toFixed(COLUMNS[i][2]));
const ratio = (a, b, i) => (COLUMNS[i][3] && a !== null && b > 0 ? `${(a / b).toFixed(2)}x` : '');

const [first, ...others] = process.argv.slice(2).map(medians);
console.log(row('', COLUMNS.map(([name]) => name)));
for (const { name, figures } of [first, ...others]) {
    console.log(row(name, figures.map(number)));
}
for (const { name, figures } of others) {
    console.log(row(`${first.name} / ${name}`, figures.map((b, i) => ratio(first.figures[i], b, i))));
}
