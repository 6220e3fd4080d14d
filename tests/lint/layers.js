'use strict';
// Reads every #include "..." of the program's sources and holds it against the layers of docs/design.md:
// which folder may use which. Also: a .c file includes its own header first.

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const ALL = ['net', 'api', 'sched', 'engine', 'ranks', 'grammar', 'registry', 'filters', 'models', 'quant', 'base'];

// A layer may always use itself.
const MAY_USE = {
    main: ['cli', ...ALL],
    cli: ['serve', 'curate', 'train', ...ALL],
    serve: ['web', ...ALL],
    web: [],
    net: ['base'],
    api: ['grammar', 'registry', 'models', 'base'],
    registry: ['models', 'filters', 'base'],
    sched: ['engine', 'base'],
    engine: ['ranks', 'grammar', 'models', 'quant', 'base'],
    ranks: ['models', 'base'],
    grammar: ['models', 'base'],
    models: ['quant', 'base'],
    curate: ['train', 'models', 'filters', 'base'],
    train: ['models', 'filters', 'quant', 'base'],
    filters: ['base'],
    quant: [],
    base: [],
};

function layerOf(file) {
    const parts = file.split('/');
    if (parts[0] !== 'runtime') {
        const own = ['train', 'curate'].find((folder) => file.startsWith(`models/${folder}/`));
        return own ?? parts[0];
    }
    return parts.length === 2 ? path.basename(parts[1], path.extname(parts[1])) : parts[1];
}

function* sourcesUnder(folder) {
    for (const entry of fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true })) {
        const file = `${folder}/${entry.name}`;
        if (entry.isDirectory()) {
            yield* sourcesUnder(file);
        } else if (/\.(c|h|inc)$/.test(entry.name)) {
            yield file;
        }
    }
}

function problemsOf(file) {
    const problems = [];
    const from = layerOf(file);
    const lines = fs.readFileSync(path.join(ROOT, file), 'utf8').split('\n');
    const includes = lines.flatMap((line, i) => {
        const match = /^\s*#\s*include\s+"([^"]+)"/.exec(line);
        return match ? [{ line: i + 1, target: match[1] }] : [];
    });
    if (!(from in MAY_USE)) {
        problems.push(`${file}: the folder has no entry in tests/lint/layers.js`);
        return problems;
    }
    for (const { line, target } of includes) {
        if (!fs.existsSync(path.join(ROOT, target))) {
            problems.push(`${file}:${line}: "${target}" is not a path from the repository's root`);
        } else if (layerOf(target) !== from && !MAY_USE[from].includes(layerOf(target))) {
            problems.push(`${file}:${line}: ${from} may not use ${layerOf(target)} ("${target}")`);
        }
    }
    const own = file.replace(/\.c$/, '.h');
    if (own !== file && fs.existsSync(path.join(ROOT, own)) && includes.length > 0 &&
        includes[0].target !== own) {
        problems.push(`${file}:${includes[0].line}: its own header "${own}" comes first`);
    }
    return problems;
}

const files = ['runtime', 'filters', 'models', 'quant'].flatMap((folder) => [...sourcesUnder(folder)]);
const problems = files.flatMap(problemsOf);
problems.forEach((problem) => console.error(problem));
console.log(`${files.length} files, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
