'use strict';
// The console's view of prompts, in a real browser.

const assert = require('node:assert/strict');
const test = require('node:test');

const { startServer } = require('../e2e/lib/server.js');
const { FAILED_REQUESTS, missingBrowser, openConsole, confirm, done, holdRequests } = require('./lib/console.js');

const skip = missingBrowser();

test('console: a prompt is edited, tried, stored, compared, activated and rolled back', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    const state = async (name = 'default') => (await server.admin('GET', `/admin/prompts/${name}`)).json();
    const page = await openConsole(t, server, { view: 'prompts', expected: FAILED_REQUESTS });
    const button = (name) => page.getByRole('button', { name, exact: true });
    const text = page.getByLabel('Text', { exact: true });

    // A dry run says what the model reads, and changes nothing.
    await text.fill('Your name is Marlow.');
    await button('Dry run').click();
    await page.getByLabel('What the model reads').filter({ hasText: 'Your name is Marlow.' }).waitFor();
    assert.equal((await state()).latest, 0);

    await page.getByLabel('Note, for the list').fill('a name');
    await confirm(page, button('Store and activate'), 'Cancel');
    assert.equal((await state()).latest, 0);
    await confirm(page, button('Store and activate'), 'Store and activate');
    await page.getByText('version 1 is active').waitFor();
    assert.deepEqual([(await state()).text, (await state()).active], ['Your name is Marlow.', 1]);

    // A second version that is only stored; the comparison; its activation shows the difference.
    await text.fill('Your name is Otto.');
    await confirm(page, button('Store'), 'Store');
    await page.getByRole('row', { name: /^2 / }).waitFor();
    assert.equal((await state()).active, 1);
    const diff = page.getByLabel('Difference').first();
    await diff.filter({ hasText: 'Otto' }).waitFor();
    assert.match(await diff.textContent(), /-Your name is Marlow\.[^]*\+Your name is Otto\./);
    await button('activate version 2').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Difference').filter({ hasText: 'Otto' }).waitFor();
    await dialog.getByRole('button', { name: 'Activate', exact: true }).click();
    await page.getByText('version 2 is active').waitFor();
    assert.equal((await state()).text, 'Your name is Otto.');
    await confirm(page, button('Roll back'), 'Roll back');
    await page.getByText('version 1 is active').waitFor();

    // An old version in the editor.
    await button('open version 2').click();
    await page.getByRole('heading', { name: 'Edit, from version 2' }).waitFor();
    assert.equal(await text.inputValue(), 'Your name is Otto.');
    await text.fill('Your name is nobody\'s.');
    await button('open version 2').click();
    await page.waitForFunction(() => document.querySelector('main textarea').value === 'Your name is Otto.');

    // Variables; and what the server says of one that is not declared.
    await text.fill('Today is {{day}}.');
    await button('Dry run').click();
    await page.getByRole('alert').filter({ hasText: 'day' }).waitFor();
    await page.getByText('Variables, examples, documents').click();
    await page.getByLabel('JSON', { exact: true }).fill('{"variables": {"day": "Monday"}}');
    await button('Dry run').click();
    await page.getByLabel('What the model reads').filter({ hasText: 'Monday' }).waitFor();
    await page.getByLabel('JSON', { exact: true }).fill('{"variables": ');
    await button('Dry run').click();
    await page.getByRole('alert').filter({ hasText: 'no JSON' }).waitFor();

    // What was written for a new one is there until it is stored.
    await button('New prompt').click();
    const made = page.getByRole('dialog');
    await made.getByLabel('Name').fill('default');
    await made.getByLabel('Text').fill('You help.');
    await made.getByRole('button', { name: 'Make it' }).click();
    await made.getByRole('alert').filter({ hasText: 'HTTP 412' }).waitFor();
    assert.equal(await made.getByLabel('Text').inputValue(), 'You help.');
    await made.getByLabel('Name').fill('support');
    await made.getByRole('button', { name: 'Make it' }).click();
    await made.waitFor({ state: 'hidden' });
    await page.getByRole('heading', { name: /^support/ }).waitFor();
    assert.equal((await state('support')).text, 'You help.');
    await done(page, 'Make a new prompt');
});

test('console: who was slower is told, and overwrites nothing', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    await server.admin('PUT', '/admin/prompts/default', { text: 'One.' });
    const page = await openConsole(t, server, { view: 'prompts', expected: FAILED_REQUESTS });
    await page.getByText('version 1 is active').waitFor();
    await page.getByLabel('Text', { exact: true }).fill('Two.');
    await page.getByRole('button', { name: 'Store and activate', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await server.admin('PUT', '/admin/prompts/default', { text: 'Somebody else\'s.' });
    await dialog.getByRole('button', { name: 'Store and activate', exact: true }).click();
    const alert = page.getByRole('alert').filter({ hasText: 'precondition_failed' });
    await alert.waitFor();
    const text = async () => (await (await server.admin('GET', '/admin/prompts/default')).json()).text;
    assert.equal(await text(), 'Somebody else\'s.');
    assert.equal(await page.getByLabel('Text', { exact: true }).inputValue(), 'Two.', 'what was written is still there');

    // Also when the page has seen the other's version: that is not enough to overwrite it.
    await page.getByText('version 2 is active').waitFor();
    const store = page.getByRole('button', { name: 'Store and activate', exact: true });
    await page.getByRole('button', { name: 'Close the error' }).click();
    await confirm(page, store, 'Store and activate');
    await alert.waitFor();
    assert.equal(await text(), 'Somebody else\'s.');
    await page.getByRole('button', { name: 'Store on top of that' }).click();
    await confirm(page, store, 'Store and activate');
    await page.getByText('version 3 is active').waitFor();
    assert.equal(await text(), 'Two.');
});

for (const [view, noun, label, before, now] of [
    ['prompts', 'default', 'Text', 'One.', 'Two.'],
    ['filters', 'default', 'Chain as JSON', '{"filters": []}', '{"filters": [{"type": "length", "max_chars": 9}]}'],
]) {
    test(`console: what is written in ${view} while the draft is stored stays, and nobody else is blamed`, { skip, timeout: 240_000 }, async (t) => {
        const server = await startServer(t);
        const page = await openConsole(t, server, { view });
        const field = page.getByLabel(label, { exact: true });
        const route = new RegExp(`/admin/${view}/${noun}(\\?|$)`);
        const puts = await holdRequests(page, (request) => request.method() === 'PUT');
        await field.fill(before);
        await confirm(page, page.getByRole('button', { name: 'Store', exact: true }), 'Store');
        const put = await puts.next();
        await field.fill(now);
        const gets = await holdRequests(page, (request) => request.method() === 'GET' && route.test(request.url()));
        const stored = page.waitForResponse((response) => response.request().method() === 'PUT');
        await put.continue();
        await stored;
        const blamed = page.getByText('Somebody has changed it');
        const get = await gets.next();
        assert.equal(await blamed.count(), 0);
        await get.continue();
        await gets.end();
        await done(page, 'Store a new version of default');
        assert.equal(await blamed.count(), 0);
        assert.equal(await field.inputValue(), now);
    });
}
