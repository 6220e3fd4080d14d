'use strict';
// Bundles the pages and writes them as a C file (page.h says what stands in it). Run by the build:
//
//   node build.js --modules DIR --out FILE.c --depfile FILE.d
//
//   --modules  the node_modules of `npm ci`
//   --depfile  what the bundles were made of, as make and ninja read it
//
// Each page is a folder with an index.html and a main.jsx beside it, in PAGES. Scripts and styles get names with a hash
// of their content, so that browsers keep them for good; the page itself is asked for anew each time (ETag).

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const zlib = require('node:zlib');

const PAGES = [
    { route: '/', folder: 'chat' },
    { route: '/admin', folder: 'console' },
];

const { values: options } = parseArgs({
    options: { modules: { type: 'string' }, out: { type: 'string' }, depfile: { type: 'string' } },
});
// esbuild names files by their real paths, wherever there is a link on the way to them.
const sources = fs.realpathSync(__dirname);
const modules = fs.realpathSync(options.modules);
const esbuild = require(path.join(modules, 'esbuild'));

const TYPES = {
    html: 'text/html; charset=utf-8',
    js: 'text/javascript; charset=utf-8',
    css: 'text/css; charset=utf-8',
    txt: 'text/plain; charset=utf-8',
    svg: 'image/svg+xml',
};

function hash(bytes) {
    return crypto.createHash('sha256').update(bytes).digest('hex').slice(0, 20);
}

function asset(route, kind, bytes) {
    return {
        route,
        type: TYPES[kind],
        etag: hash(bytes),
        isPage: kind === 'html',
        identity: bytes,
        gzip: zlib.gzipSync(bytes, { level: 9 }),
        brotli: zlib.brotliCompressSync(bytes, {
            params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
        }),
    };
}

// An asset whose name holds its hash.
function hashed(name, kind, bytes) {
    return asset(`/assets/${name}-${hash(bytes)}.${kind}`, kind, bytes);
}

// The file as it is given to esbuild and to make: relative paths are those of this folder.
const inputFile = (name) => path.resolve(sources, name);

// Script and style of a page, and the files that they were made of.
async function bundle(folder) {
    const result = await esbuild.build({
        absWorkingDir: sources,
        entryPoints: [path.join(sources, folder, 'main.jsx')],
        outdir: 'out', // nothing is written there
        bundle: true,
        minify: true,
        write: false,
        metafile: true,
        format: 'esm',
        target: ['chrome109', 'firefox115', 'safari16'],
        jsx: 'automatic',
        jsxImportSource: 'preact',
        nodePaths: [modules],
        legalComments: 'none', // licences() has them
        logLevel: 'warning',
    });
    const output = (kind) => {
        const found = result.outputFiles.find((file) => file.path.endsWith(`.${kind}`));
        return found ? Buffer.from(found.contents) : Buffer.alloc(0);
    };
    return { script: output('js'), style: output('css'), inputs: Object.keys(result.metafile.inputs).map(inputFile) };
}

// The terms of all packages that are in the bundles.
function licences(inputs) {
    const packages = new Set(inputs.filter((file) => file.startsWith(modules + path.sep))
        .map((file) => path.relative(modules, file).split(path.sep))
        .map(([first, second]) => (first.startsWith('@') ? `${first}/${second}` : first)));
    if (packages.size === 0) {
        throw new Error(`no package of ${modules} is in the pages, so there are no licences to show`);
    }
    return [...packages].sort().map((name) => {
        const folder = path.join(modules, name);
        const { version, license } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
        const file = fs.readdirSync(folder).find((entry) => /^licen[cs]e(\.\w+)?$/i.test(entry));
        if (!file) {
            throw new Error(`${name}: no licence file in ${folder}`);
        }
        const text = fs.readFileSync(path.join(folder, file), 'utf8').trim();
        return `${name} ${version} (${license})\n\n${text}\n`;
    }).join(`\n${'-'.repeat(78)}\n\n`);
}

// A string literal: compilers read it many times faster than a list of numbers. Three octal digits, so that a digit
// behind them is not taken for one of theirs.
function literal(bytes) {
    const lines = [];
    for (let i = 0; i < bytes.length; i += 64) {
        const octets = [...bytes.subarray(i, i + 64)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`);
        lines.push(`"${octets.join('')}"`);
    }
    return lines.length > 0 ? lines.join('\n') : '""';
}

function toC(assets) {
    const form = (bytes, shortest) =>
        bytes.length <= shortest ? `{(const unsigned char *)${literal(bytes)}, ${bytes.length}}` : '{NULL, 0}';
    const entries = assets.map((a) => `    {.path = "${a.route}",
     .type = "${a.type}",
     .etag = "${a.etag}",
     .is_page = ${a.isPage},
     .forms = {[WEB_IDENTITY] = ${form(a.identity, Infinity)},
               [WEB_GZIP] = ${form(a.gzip, a.identity.length)},
               [WEB_BROTLI] = ${form(a.brotli, a.identity.length)}}},`);
    return `/* Written by runtime/web/build.js. */
#include "runtime/web/page.h"

const struct web_asset web_assets[] = {
${entries.join('\n')}
};
const size_t web_assets_count = sizeof(web_assets) / sizeof(web_assets[0]);
`;
}

async function main() {
    const assets = [];
    const inputs = new Set();
    const pages = [];
    for (const { route, folder } of PAGES) {
        const { script, style, inputs: files } = await bundle(folder);
        const index = path.join(sources, folder, 'index.html');
        [...files, index].forEach((file) => inputs.add(file));
        pages.push({ route, index, script: hashed(folder, 'js', script), style: hashed(folder, 'css', style) });
    }
    const icon = path.join(sources, 'shared', 'icon.svg');
    inputs.add(icon);
    const common = {
        icon: hashed('icon', 'svg', fs.readFileSync(icon)),
        licences: hashed('licences', 'txt', Buffer.from(licences([...inputs]))),
    };
    for (const { route, index, script, style } of pages) {
        // {{name}} in a page is the address of that asset.
        const addresses = { script, style, ...common };
        const html = fs.readFileSync(index, 'utf8').replace(/\{\{(\w+)\}\}/g, (whole, name) => {
            if (!addresses[name]) {
                throw new Error(`${index}: ${whole} is none of ${Object.keys(addresses).join(', ')}`);
            }
            return addresses[name].route;
        });
        assets.push(asset(route, 'html', Buffer.from(html)), script, style);
    }
    assets.push(...Object.values(common));
    fs.writeFileSync(options.out, toC(assets));
    fs.writeFileSync(options.depfile, `${options.out}: ${[...inputs].map((file) => file.replaceAll(' ', '\\ ')).join(' ')}\n`);
    for (const { route, identity, gzip, brotli } of assets) {
        console.log(`${route}: ${identity.length} bytes, gzip ${gzip.length}, brotli ${brotli.length}`);
    }
}

main().catch((error) => {
    console.error(`${error.message}`);
    process.exitCode = 1;
});
