'use strict';
// The console's filter playground, in a real browser: what a chain releases and holds, byte by byte.

const assert = require('node:assert/strict');
const test = require('node:test');

const { startServer } = require('../e2e/lib/server.js');
const { FAILED_REQUESTS, missingBrowser, openConsole, confirm, picture } = require('./lib/console.js');

const skip = missingBrowser();
const FILTERS = '/admin/filters';

test('console: a text goes through a chain byte by byte', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    await server.admin('PUT', `${FILTERS}/default`, { filters: [{ type: 'wordlist', words: ['heron'], action: 'mask' }], note: 'no herons' });
    await server.admin('PUT', `${FILTERS}/strict`, { filters: [{ type: 'wordlist', words: ['heron'] }] });
    const page = await openConsole(t, server, { view: 'filters', expected: FAILED_REQUESTS, viewport: { width: 1000, height: 980 } });
    const button = (name) => page.getByRole('button', { name, exact: true });
    const strip = (name) => page.locator(`[data-strip="${name}"]`);
    const trace = async (text) => {
        await page.getByLabel('Text to send through the chain').fill(text);
        await button('Trace').click();
        await page.getByRole('region', { name: 'Trace' }).waitFor();
    };
    await trace('My herons: a heron.');
    const slider = page.getByRole('slider');
    assert.equal(await slider.getAttribute('max'), '19');
    // By keyboard to the step where "her" is held.
    await slider.focus();
    for (let i = 0; i < 5; i++) {
        await page.keyboard.press('ArrowRight');
    }
    await strip('held').filter({ hasText: 'her 3 bytes' }).waitFor();
    assert.equal(await strip('released').textContent(), 'My ');
    await button('Last').click();
    await strip('released').filter({ hasText: 'My herons: a *****.' }).waitFor();
    assert.match(await strip('held').textContent(), /^\s*0 bytes$/);
    await page.locator('.verdict:visible', { hasText: /wordlist: .*bytes 13 to 18/ }).first().waitFor();
    await page.getByText('All 20 steps as a table').click();
    await page.getByRole('row', { name: /^6 / }).getByText('her', { exact: true }).waitFor();
    await button('6').click();
    await strip('held').filter({ hasText: 'her 3 bytes' }).waitFor();
    await page.getByText('All 20 steps as a table').click();
    await picture(page, 'filters');
    await button('Play').click();
    await strip('released').filter({ hasText: 'My herons: a *****.' }).waitFor();

    // Another chain; it stops. And larger steps.
    await page.getByRole('link', { name: 'strict' }).click();
    await page.getByRole('heading', { name: 'strict' }).waitFor();
    await page.getByLabel('Bytes a step').fill('4');
    await trace('A heron flies off.');
    await page.locator('.outcome .badge', { hasText: 'stopped' }).waitFor();
    await button('Last').click();
    assert.equal(await strip('released').textContent(), 'A ');

    // A draft that nobody gets, until it is stored and activated.
    await page.getByLabel('Chain as JSON').fill('{"filters": [{"type": "wordlist", "words": ["off"], "action": "mask"}]}');
    await page.getByLabel('Chain', { exact: true }).selectOption('the draft below');
    await trace('A heron flies off.');
    await page.locator('.outcome .badge', { hasText: 'passed' }).waitFor();
    await button('Last').click();
    await strip('released').filter({ hasText: 'A heron flies ***.' }).waitFor();
    const active = async () => (await (await server.admin('GET', `${FILTERS}/strict`)).json()).active;
    assert.equal(await active(), 1);
    await confirm(page, button('Store and activate'), 'Store and activate');
    await page.getByText('Requests get version 2').waitFor();
    assert.equal(await active(), 2);
    await confirm(page, button('activate version 1'), 'Activate');
    await page.getByText('Requests get version 1').waitFor();
    await confirm(page, button('Roll back'), 'Roll back');
    await page.getByText('Requests get version 2').waitFor();

    // The server's words for a chain that is none, and for a text that is too long.
    await page.getByLabel('Chain as JSON').fill('{"filters": [{"type": "herons"}]}');
    await page.getByLabel('Text to send through the chain').fill('a');
    await button('Trace').click();
    await page.getByRole('alert').filter({ hasText: 'filters[0].type' }).waitFor();
    await page.getByLabel('Chain', { exact: true }).selectOption('what requests get');
    await page.getByLabel('Text to send through the chain').fill('a'.repeat(20000));
    await button('Trace').click();
    await page.getByRole('alert').filter({ hasText: '16384' }).waitFor();
});
