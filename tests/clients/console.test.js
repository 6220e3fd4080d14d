'use strict';
// The owner's console in a real browser: signing in, what the page may load, the keyboard, dark mode, phone width.

const assert = require('node:assert/strict');
const test = require('node:test');

const { startServer } = require('../e2e/lib/server.js');
const { FAILED_REQUESTS, missingBrowser, openPage, openConsole, signIn, holdRequests } = require('./lib/console.js');
const { focusComes, focusComesTo } = require('./lib/focus.js');

const skip = missingBrowser();
const VIEWS = { models: 'Models', prompts: 'Prompts', filters: 'Filters', live: 'Live', audit: 'Audit' };

test('console: only the admin key opens it, and it stays in the tab', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t, { args: ['--api-key', 'the-api-key'] });
    const requests = [];
    const page = await openPage(t, `${server.url}/admin`, {
        expected: FAILED_REQUESTS,
        before: (opened) => opened.on('request', (request) => requests.push(request.url())),
    });
    await page.getByRole('heading', { name: 'Weir console' }).waitFor();
    assert.deepEqual(requests.filter((url) => url.includes('/admin/')), [], 'nothing is asked for without a key');
    for (const key of ['wrong', 'the-api-key']) {
        await signIn(page, key);
        const alert = page.getByRole('alert');
        await alert.waitFor();
        const { error } = await (await server.fetch('/admin/upgrade', { headers: { authorization: `Bearer ${key}` } })).json();
        assert.match(await alert.textContent(), new RegExp(`${error.message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}.*invalid_api_key.*HTTP 401`));
        assert.equal(await page.evaluate(() => sessionStorage.getItem('weir-admin-key')), null);
    }
    await signIn(page, server.adminKey);
    await page.getByRole('heading', { name: 'Models' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Models' }).waitFor();
    const stored = await page.evaluate(() => [sessionStorage.getItem('weir-admin-key'), localStorage.length, document.cookie]);
    assert.deepEqual(stored, [server.adminKey, 0, '']);
    assert.ok(requests.every((url) => !url.includes(server.adminKey)), 'the key stands in no address');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Admin key').waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem('weir-admin-key')), null);

    // A key that is not good any more leads back to the sign-in, with the server's words.
    await page.evaluate(() => sessionStorage.setItem('weir-admin-key', 'an-old-key'));
    await page.reload();
    await page.getByLabel('Admin key').waitFor();
    assert.match(await page.getByRole('alert').textContent(), /invalid_api_key/);
});

test('console: the page is public, strict about what it runs, and holds nothing secret', { skip }, async (t) => {
    const server = await startServer(t);
    const response = await server.fetch('/admin');
    const html = await response.text();
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/html/);
    const policy = response.headers.get('content-security-policy');
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'",
        "base-uri 'none'", "form-action 'none'"]) {
        assert.ok(policy.includes(part), `${part} is missing in ${policy}`);
    }
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.doesNotMatch(html, /<style|style=|<script>|\son\w+=|an-admin-key|https?:\/\//);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
});

test('console: by keyboard alone', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    const page = await openPage(t, `${server.url}/admin`);
    await page.getByLabel('Admin key').waitFor();
    await focusComes(page, (at) => at.type === 'password', 'the key is asked for at once');
    await page.keyboard.type(server.adminKey);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Models' }).waitFor();
    await page.keyboard.press('Tab');
    await focusComesTo(page, 'To the content');
    for (const name of ['Models', 'Prompts']) {
        await page.keyboard.press('Tab');
        await focusComesTo(page, name);
    }
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Prompts' }).waitFor();
    await focusComes(page, (at) => at.id === 'main', 'the view has the focus');
    // A question takes the focus; Escape means no, and gives it back.
    const button = page.getByRole('button', { name: 'New prompt' });
    await button.focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Make a new prompt?' });
    await dialog.waitFor();
    await focusComes(page, (at) => at.closest('dialog') !== null, 'the question has the focus');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await focusComesTo(page, 'New prompt');
});

test('console: a slow server is waited for, and asked no more often for that', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    const page = await openConsole(t, server, { view: 'audit' });
    await page.clock.install();
    const held = await holdRequests(page, (request) => request.url().endsWith('/admin/models'));
    await page.getByRole('link', { name: 'Models' }).click();
    const first = await held.next();
    await page.clock.runFor(60_000);
    assert.equal(held.count, 1);
    await first.continue();
    await page.getByText('One file, without a repository').waitFor();
    await page.clock.runFor(10_000);
    await held.next(); // and again after that
});

test('console: that the server is gone is said in words', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    const page = await openConsole(t, server, { view: 'audit', expected: FAILED_REQUESTS });
    await server.stop();
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByRole('alert').getByText('The server cannot be reached.').waitFor();
});

test('console: every view fits a phone, light and dark, and says what its parts are', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    await server.admin('PUT', '/admin/prompts/default', { text: 'Your name is Marlow.' });
    await server.admin('PUT', '/admin/filters/default', { filters: [{ type: 'wordlist', words: ['heron'], action: 'mask' }] });
    for (const colorScheme of ['light', 'dark']) await t.test(colorScheme, async (t) => {
        const page = await openConsole(t, server, { colorScheme, viewport: { width: 360, height: 720 } });
        for (const [view, name] of Object.entries(VIEWS)) {
            await page.goto(`${server.url}/admin#/${view}`);
            await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
            await page.locator('main table, main dl, main svg, main textarea').first().waitFor();
            assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${view} is wider than the phone`);
            const nameless = await page.evaluate(() => [...document.querySelectorAll('main button, main a, main input, main select, main textarea, main svg')]
                .filter((element) => !(element.getAttribute('aria-label') || element.labels?.length || element.textContent.trim()))
                .map((element) => element.outerHTML));
            assert.deepEqual(nameless, [], view);
            assert.match(await page.title(), /Weir console/);
        }
        const [ink, back] = await page.evaluate(() => ['color', 'backgroundColor'].map((name) =>
            getComputedStyle(document.body)[name].match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)));
        assert.equal(ink > back, colorScheme === 'dark');
    });
});
