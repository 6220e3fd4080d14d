'use strict';
// Holds Weir to llama.cpp on one model file: the same tokens for the same texts, and logits that differ by
// no more than quantisation does.
//
//   node tests/parity/compare.js --weir build/release/weir --reference ./reference --model FILE.gguf [--f32]
//
// With --f32 Weir keeps weights, activations, keys and values as floats, and so does the other side with a file
// of type f32: what is left is the order of sums.
//
// Without it both are also held to Weir's floats, which with --f32 are the reference's: how often each has the most
// likely token of the floats, how large its noise is (root of the mean square of differences of logits), and how
// often the two have that token where the floats' first two lie further apart than DECIDED times the reference's noise.
//
// With --embed the model is an encoder: one vector for each text is compared.
//
// `reference` is built from llama_cpp_reference.c, which says how. The texts are conversations of weir-tiny's
// held-out set, each rendered by its chat template, and lines that tokenizers get wrong.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const ROOT = path.resolve(__dirname, '../..');
const N_CONVERSATIONS = 24;
const LOGITS_TOKENS = 240; // the smallest synthetic models have a context of 256
const DECIDED = 4;
const HARD_LINES = [
    'Hello, world! 1234567890', "It's what we're after; they'll say I've no idea.", '   three   blanks   ',
    'tab\tand "quotes" and (parentheses)', 'Ünïcödé — “quotes” … €', '日本語のテキスト', '🙂🙃 emoji 👩‍👩‍👧',
    'CamelCase snake_case kebab-case', '3.14159 and -2e10', 'line one\nline two\n\n\nline five', '<|im_start|>',
];

const { values: args } = parseArgs({
    options: {
        weir: { type: 'string', default: path.join(ROOT, 'build/release/weir') },
        reference: { type: 'string' },
        embed: { type: 'boolean', default: false },
        f32: { type: 'boolean', default: false },
        model: { type: 'string', default: path.join(ROOT, 'models/weir-tiny/weir-tiny.gguf') },
    },
});
if (!args.reference) {
    console.error('--reference PROGRAM is needed; tests/parity/llama_cpp_reference.c says how to build it');
    process.exit(2);
}

const run = (file, argv, input) =>
    execFileSync(file, argv, { input, maxBuffer: 1 << 30, stdio: ['pipe', 'pipe', 'inherit'] }).toString();

function rendered(messages, folder) {
    const file = path.join(folder, 'messages.json');
    fs.writeFileSync(file, JSON.stringify(messages));
    return run(args.weir, ['render', '-m', args.model, '--messages', file]);
}

function heldOutTexts() {
    const lines = fs.readFileSync(path.join(ROOT, 'models/weir-tiny/heldout.jsonl'), 'utf8').trim().split('\n');
    const every = Math.floor(lines.length / N_CONVERSATIONS);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-parity-'));
    const texts = [];
    for (let i = 0; i < N_CONVERSATIONS; i++) {
        texts.push(rendered(JSON.parse(lines[i * every]).messages, folder));
    }
    fs.rmSync(folder, { recursive: true });
    return texts;
}

// Control tokens are read as such on both sides: these texts are ours.
function compareTokens(texts) {
    const wanted = run(args.reference, [args.model, 'tokens'],
        texts.map((text) => text.replaceAll('\n', '\\n')).join('\n') + '\n').trimEnd().split('\n');
    let different = 0;
    texts.forEach((text, i) => {
        const got = run(args.weir, ['tokenize', '-m', args.model], text).trim();
        if (got !== wanted[i].trim()) {
            different++;
            console.log(`tokens differ for ${JSON.stringify(text)}\n  weir      ${got}\n  reference ${wanted[i]}`);
        }
    });
    console.log(`tokens: ${texts.length - different} of ${texts.length} texts the same`);
    return { ids: wanted.map((line) => line.trim().split(' ')), different };
}

const precision = args.f32 ? ['--weights', 'f32', '--kv-type', 'f32'] : [];
const logitsOf = (row, options) => run(args.weir, ['logits', '-m', args.model, '--tokens', row.join(','), '--all', ...options])
    .trim().split('\n').map((line) => JSON.parse(line));
const top = (x) => x.indexOf(Math.max(...x));
const percent = (part, whole) => `${(100 * part / whole).toFixed(2)} %`;

function compareLogits(ids) {
    let worst = 0, positions = 0, agree = 0, kl = 0;
    const floats = args.f32 ? null : besideFloats();
    for (const row of ids) {
        const theirs = JSON.parse(run(args.reference, [args.model, args.f32 ? 'logits-f32' : 'logits'], row.join(' ') + '\n'));
        const ours = logitsOf(row, precision);
        floats?.add(logitsOf(row, ['--weights', 'f32', '--kv-type', 'f32']), ours, theirs);
        theirs.forEach((reference, i) => {
            const range = Math.max(...reference) - Math.min(...reference);
            const delta = Math.max(...reference.map((x, v) => Math.abs(x - ours[i][v])));
            worst = Math.max(worst, delta / range);
            agree += top(reference) === top(ours[i]);
            kl += divergence(reference, ours[i]);
            positions++;
        });
    }
    console.log(`logits: ${positions} positions, largest difference ${(100 * worst).toPrecision(2)} % of the range, ` +
        `same most likely token ${percent(agree, positions)}, ` +
        `mean KL divergence ${(kl / positions).toExponential(2)} nats`);
    floats?.report();
    return { agreement: agree / positions, worst };
}

// What int8 changes on either side.
function besideFloats() {
    const squares = { ours: 0, theirs: 0, count: 0 }, seen = [];
    const add = (floats, ours, theirs) => floats.forEach((x, i) => {
        const first = top(x), second = Math.max(...x.map((v, id) => (id === first ? -Infinity : v)));
        const square = (y) => y.reduce((sum, v, id) => sum + (v - x[id]) ** 2, 0);
        squares.ours += square(ours[i]);
        squares.theirs += square(theirs[i]);
        squares.count += x.length;
        seen.push({ gap: x[first] - second, ours: top(ours[i]) === first, theirs: top(theirs[i]) === first,
            same: top(ours[i]) === top(theirs[i]) });
    });
    const share = (list, key) => percent(list.filter((p) => p[key]).length, list.length);
    const report = () => {
        const noise = (key) => Math.sqrt(squares[key] / squares.count);
        const decided = seen.filter(({ gap }) => gap > DECIDED * noise('theirs'));
        console.log(`beside floats: same most likely token weir ${share(seen, 'ours')}, reference ${share(seen, 'theirs')}; ` +
            `noise weir ${noise('ours').toExponential(2)}, reference ${noise('theirs').toExponential(2)}\n` +
            `decided: ${percent(decided.length, seen.length)} of positions; there weir and the reference have the same ` +
            `token in ${share(decided, 'same')}, weir that of the floats in ${share(decided, 'ours')}, ` +
            `the reference in ${share(decided, 'theirs')}`);
    };
    return { add, report };
}

function divergence(a, b) {
    const logSum = (x) => {
        const top = Math.max(...x);
        return top + Math.log(x.reduce((sum, v) => sum + Math.exp(v - top), 0));
    };
    const sumA = logSum(a), sumB = logSum(b);
    return a.reduce((sum, x, v) => sum + Math.exp(x - sumA) * (x - sumA - (b[v] - sumB)), 0);
}

function compareVectors(ids) {
    let worst = 0, cosines = 0;
    const unit = (x) => x.map((v) => v / Math.hypot(...x));
    for (const row of ids) {
        const theirs = unit(JSON.parse(run(args.reference, [args.model, 'embed'], row.join(' ') + '\n')));
        const ours = JSON.parse(run(args.weir, ['embed', '-m', args.model, '--tokens', row.join(','), ...precision]));
        worst = Math.max(worst, ...theirs.map((x, i) => Math.abs(x - ours[i])));
        cosines += theirs.reduce((sum, x, i) => sum + x * ours[i], 0);
    }
    console.log(`vectors of length 1: ${ids.length} texts, largest difference ${worst.toPrecision(2)}, ` +
        `mean cosine ${(cosines / ids.length).toFixed(6)}`);
    return worst;
}

const conversations = heldOutTexts();
const { ids, different } = compareTokens([...conversations, ...HARD_LINES]);
const rows = ids.slice(0, conversations.length).map((row) => row.slice(0, LOGITS_TOKENS));
let good;
if (args.embed) {
    good = compareVectors(rows) <= (args.f32 ? 1e-3 : 0.05);
} else {
    const { agreement, worst } = compareLogits(rows);
    good = args.f32 ? worst <= 1e-3 : agreement >= 0.98;
}
process.exitCode = different === 0 && good ? 0 : 1;
