'use strict';
// The console's live charts and its audit log, in a real browser.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { pathToFileURL } = require('node:url');

const { ROUTE, ask } = require('../e2e/lib/chat.js');
const { startServer } = require('../e2e/lib/server.js');
const { missingBrowser, openConsole, picture } = require('./lib/console.js');

const skip = missingBrowser();
const SOURCES = path.resolve(__dirname, '../../runtime/web/console');

test('console: numbers for the charts are read as Prometheus reads them', async () => {
    const { parse, sum, buckets, quantile } = await import(pathToFileURL(path.join(SOURCES, 'prometheus.mjs')));
    const families = parse('# TYPE a counter\na{b="x\\"y\\\\n\\n",c="1"} 3\na{b="z",c="2"} 4.5\nh_bucket{m="1",le="0.1"} 1\n' +
        'h_bucket{m="2",le="0.1"} 1\nh_bucket{m="1",le="+Inf"} 2\nh_bucket{m="2",le="+Inf"} 1\nplain 7\n');
    assert.deepEqual(families.get('a')[0].labels, { b: 'x"y\\n\n', c: '1' });
    assert.equal(sum(families, 'a'), 7.5);
    assert.equal(sum(families, 'a', ({ c }) => c === '2'), 4.5);
    assert.equal(sum(families, 'none'), 0);
    assert.equal(families.get('plain')[0].value, 7);
    assert.deepEqual(buckets(families, 'h'), [[0.1, 2], [Infinity, 3]]);
    const before = [[1, 5], [2, 5], [Infinity, 5]];
    assert.equal(quantile(before, [[1, 5], [2, 15], [Infinity, 15]], 0.5), 1.5);
    assert.equal(quantile(before, [[1, 15], [2, 15], [Infinity, 15]], 0.5), 0.5);
    assert.equal(quantile(before, before, 0.5), null, 'nothing came');
    assert.equal(quantile(before, [[1, 5], [2, 5], [Infinity, 9]], 0.5), 2, 'beyond the last bound');
});

test('console: the charts draw what happens, and say it', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t, { args: ['--metrics', 'off'] });
    const page = await openConsole(t, server, { view: 'live', colorScheme: 'dark', viewport: { width: 1000, height: 860 } });
    const plot = (name) => page.getByRole('img', { name: new RegExp(`^${name}\\.`) });
    for (const name of ['Requests', 'Time to the first token', 'Tokens', 'Queue', 'Keys and values in use']) {
        await plot(name).waitFor();
    }
    let isOver = false;
    const work = (async () => {
        while (!isOver) {
            assert.equal((await server.post(ROUTE, ask('Tell me a story.', { max_tokens: 40, ignore_eos: true }))).status, 200);
        }
    })();
    const says = (name, pattern) => page.waitForFunction(([label, source]) => [...document.querySelectorAll('svg')].some((svg) =>
        svg.getAttribute('aria-label').startsWith(`${label}.`) && new RegExp(source).test(svg.getAttribute('aria-label'))), [name, pattern]);
    await says('Requests', 'all: now [^;]*at most [0-9.]*[1-9]');
    await says('Time to the first token', 'median: now [^;]*at most [0-9.e-]+ s');
    await says('Tokens', 'written: now [^;]*at most [0-9.]*[1-9]');
    await says('Queue', 'running: now [^;]*at most [0-9.]*[1-9]');
    await says('Keys and values in use', 'at most [0-9.]*[1-9]');
    if (process.env.WEIR_SCREENSHOTS) {
        await new Promise((resolve) => setTimeout(resolve, 60_000)); // lines that are long enough to look at
    }
    await picture(page, 'live');
    isOver = true;
    await work;
    const paths = await page.locator('svg path.line').evaluateAll((lines) => lines.filter((line) => /M.*[Lh]/.test(line.getAttribute('d'))).length);
    assert.ok(paths >= 4, `${paths} lines are drawn`);
});

test('console: the audit log has pages and filters', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    for (let i = 1; i <= 60; i++) {
        await server.admin('PUT', '/admin/filters/many?activate=false', { filters: [], note: `${i}` });
    }
    await server.admin('PUT', '/admin/prompts/default', { text: 'Be brief.' });
    const page = await openConsole(t, server, { view: 'audit' });
    const numbers = () => page.locator('tbody th').allTextContents();
    const first = page.locator('tbody th').first();
    await first.filter({ hasText: /^61$/ }).waitFor();
    assert.deepEqual(await numbers(), Array.from({ length: 50 }, (_, i) => `${61 - i}`));
    await page.getByRole('button', { name: 'Older' }).click();
    await first.filter({ hasText: /^11$/ }).waitFor();
    assert.equal((await numbers()).length, 11);
    assert.ok(await page.getByRole('button', { name: 'Older' }).isDisabled());
    await page.getByRole('button', { name: 'Newer' }).click();
    await first.filter({ hasText: /^61$/ }).waitFor();
    await page.getByLabel('What').selectOption('filter chains');
    await first.filter({ hasText: /^60$/ }).waitFor();
    await page.getByLabel('What').selectOption('all');
    await page.getByLabel('Name, exactly').fill('default');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
    assert.match(await page.locator('tbody tr').textContent(), /admin.*prompt.*default.*put/);
    await page.getByLabel('Name, exactly').fill('nobody');
    await page.getByText('Nothing is there.').waitFor();
});
