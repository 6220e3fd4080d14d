'use strict';
// The web pages as files: how they are packed, what browsers may keep, and what the pages are allowed to do.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const { dirname, join, resolve } = require('node:path');
const test = require('node:test');
const zlib = require('node:zlib');

const { makeFolder } = require('./lib/files.js');
const { startServer, missing, programPath } = require('./lib/server.js');

const skip = missing();

// fetch() unpacks what it gets; this shows what was sent.
function ask(server, path, headers = {}, method = 'GET') {
    return new Promise((resolve, reject) => {
        http.request(server.url + path, { method, headers }, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('end', () => resolve({
                status: response.statusCode, headers: response.headers, bytes: Buffer.concat(parts),
            }));
        }).on('error', reject).end();
    });
}

async function assetPaths(server, page = '/') {
    const html = await (await server.fetch(page)).text();
    return [...html.matchAll(/(?:src|href|content)="(\/assets\/[^"]+)"/g)].map(([, path]) => path);
}

test('each form of a page is the same page, and has an ETag of its own', { skip }, async (t) => {
    const server = await startServer(t);
    const paths = ['/', ...await assetPaths(server)];
    assert.ok(paths.length >= 4, `${paths}`);
    for (const path of paths) {
        const plain = await ask(server, path);
        assert.equal(plain.status, 200);
        assert.equal(plain.headers['content-encoding'], undefined);
        assert.equal(plain.headers.vary, 'Accept-Encoding');
        const unpack = { gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync };
        for (const [coding, unpacked] of Object.entries(unpack)) {
            const packed = await ask(server, path, { 'Accept-Encoding': coding });
            assert.equal(packed.headers['content-encoding'], coding);
            assert.deepEqual(unpacked(packed.bytes), plain.bytes);
            assert.ok(packed.bytes.length < plain.bytes.length);
            assert.notEqual(packed.headers.etag, plain.headers.etag);
        }
    }
});

test('what Accept-Encoding says is done', { skip }, async (t) => {
    const server = await startServer(t);
    const cases = [
        ['gzip, deflate, br, zstd', 'br'],
        ['gzip;q=1.0, br;q=0.5', 'gzip'],
        ['gzip;q=0, br;q=0', undefined],
        ['identity, gzip;q=0.2', undefined],
        ['*', 'br'],
        ['br;q=0, *', 'gzip'],
        ['GZIP ; q=0.7', 'gzip'],
        ['compress', undefined],
        ['', undefined],
        [',;=,q', undefined],
    ];
    for (const [accepted, coding] of cases) {
        const response = await ask(server, '/', { 'Accept-Encoding': accepted });
        assert.equal(response.status, 200);
        assert.equal(response.headers['content-encoding'], coding, accepted);
    }
});

test('a page that is known is not sent again; scripts and styles are kept for good', { skip }, async (t) => {
    const server = await startServer(t);
    const [script] = (await assetPaths(server)).filter((path) => path.endsWith('.js'));
    for (const path of ['/', script]) {
        const headers = { 'Accept-Encoding': 'br' };
        const { etag } = (await ask(server, path, headers)).headers;
        for (const known of [etag, `"other", W/${etag}`, '*']) {
            const again = await ask(server, path, { ...headers, 'If-None-Match': known });
            assert.equal(again.status, 304, known);
            assert.equal(again.bytes.length, 0);
            assert.equal(again.headers.etag, etag);
            assert.equal(again.headers.vary, 'Accept-Encoding');
        }
        // Of another form, of other content, and not a tag at all.
        for (const other of [etag.replace('-br', ''), '"abc"', etag.slice(1, -1), '']) {
            assert.equal((await ask(server, path, { ...headers, 'If-None-Match': other })).status, 200, other);
        }
    }
    assert.equal((await ask(server, '/')).headers['cache-control'], 'no-cache');
    assert.match((await ask(server, script)).headers['cache-control'], /immutable/);
});

test('a page may load and run nothing but what this server has', { skip }, async (t) => {
    const server = await startServer(t);
    const { headers } = await ask(server, '/');
    const policy = Object.fromEntries(headers['content-security-policy'].split('; ').map((rule) => {
        const [name, ...values] = rule.split(' ');
        return [name, values.join(' ')];
    }));
    assert.equal(policy['default-src'], "'none'");
    assert.equal(policy['script-src'], "'self'");
    assert.equal(policy['style-src'], "'self'");
    assert.equal(policy['frame-ancestors'], "'none'");
    assert.equal(policy['require-trusted-types-for'], "'script'");
    assert.doesNotMatch(headers['content-security-policy'], /unsafe|https?:|\*/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal(headers['x-frame-options'], 'DENY');
    const html = await (await server.fetch('/')).text();
    assert.doesNotMatch(html, /<script>|<style>|\son\w+=|\sstyle=|https?:/);
});

test('HEAD is GET without the body, and what is not there is 404', { skip }, async (t) => {
    const server = await startServer(t);
    for (const path of ['/', ...await assetPaths(server)]) {
        const got = await ask(server, path, { 'Accept-Encoding': 'gzip' });
        const head = await ask(server, path, { 'Accept-Encoding': 'gzip' }, 'HEAD');
        assert.equal(head.status, 200);
        assert.equal(head.headers['content-length'], String(got.bytes.length));
        assert.equal(head.headers.etag, got.headers.etag);
    }
    for (const path of ['/assets/chat-0.js', '/assets/', '/assets/..%2fchat', '/assets']) {
        const response = await ask(server, path);
        assert.equal(response.status, 404, path);
        assert.equal(JSON.parse(response.bytes).error.code, 'route_not_found');
    }
    assert.equal((await ask(server, '/', {}, 'DELETE')).status, 405);
});


test('the licences of what is in the pages are served', { skip }, async (t) => {
    const server = await startServer(t);
    const [path] = (await assetPaths(server)).filter((each) => each.endsWith('.txt'));
    const text = await (await server.fetch(path)).text();
    for (const name of ['preact', 'marked', 'dompurify', 'highlight.js']) {
        assert.match(text, new RegExp(`^${name} \\d`, 'm'));
    }
});

const modules = resolve(dirname(programPath()), 'runtime/web/node_modules');
const skipBuild = fs.existsSync(modules) ? false : `${modules} is not there`;

test('a link on the way to the packages does not lose their licences', { skip: skipBuild }, (t) => {
    const folder = makeFolder(t);
    fs.symlinkSync(modules, join(folder, 'linked'));
    const report = execFileSync(process.execPath, [
        resolve(__dirname, '../../runtime/web/build.js'),
        '--modules', join(folder, 'linked'), '--out', join(folder, 'pages.c'), '--depfile', join(folder, 'pages.c.d'),
    ], { encoding: 'utf8' });
    const [, bytes] = /licences-\w+\.txt: (\d+) bytes/.exec(report);
    assert.ok(Number(bytes) > 1000, report);
});
