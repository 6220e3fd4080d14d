'use strict';
// The console's view of models, in a real browser, on a repository: what each button does, and what it asks before.

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');

const { makeFolder, writeOtherVersion } = require('../e2e/lib/files.js');
const { startRepo, listVersions, waitForState } = require('../e2e/lib/model_repo.js');
const { startServer, modelPath } = require('../e2e/lib/server.js');
const { FAILED_REQUESTS, missingBrowser, openConsole, confirm, done, picture } = require('./lib/console.js');

const skip = missingBrowser();

async function begin(t, args = []) {
    const other = path.join(makeFolder(t), 'other.gguf');
    writeOtherVersion(modelPath(), other);
    const { server } = await startRepo(t, { 1: { file: modelPath(), manifest: { labels: ['stable'] } }, 2: { file: other } }, args);
    await waitForState(server, '2', 'serving');
    const page = await openConsole(t, server, { expected: FAILED_REQUESTS, viewport: { width: 1000, height: 660 } });
    await page.getByRole('heading', { name: 'tiny' }).waitFor();
    const button = (name) => page.getByRole('button', { name, exact: true });
    const badge = (version, state) => page.getByRole('row', { name: new RegExp(`^${version} `) }).locator('.badge', { hasText: state }).waitFor();
    const audit = async () => (await (await server.admin('GET', '/admin/audit?kind=model')).json()).audit;
    return { server, page, button, badge, audit };
}

test('console: models are loaded, activated, rolled back and unloaded, and nothing without a yes', { skip, timeout: 240_000 }, async (t) => {
    const { server, page, button, badge, audit } = await begin(t);
    await badge('2', 'serving');
    await badge('1', 'available');
    assert.match(await page.getByRole('row', { name: /^1 / }).textContent(), /stable/);

    await confirm(page, button('activate tiny 1'), 'Cancel');
    assert.deepEqual(await listVersions(server), { 2: 'serving', 1: 'available' });

    await confirm(page, button('load tiny 1'), 'Load');
    await done(page, 'Load tiny 1');
    await badge('1', 'kept');
    await confirm(page, button('activate tiny 1'), 'Activate');
    await done(page, 'Activate tiny 1');
    await badge('1', 'serving');
    assert.deepEqual(await listVersions(server), { 2: 'kept', 1: 'serving' });
    await confirm(page, button('Roll back'), 'Roll back');
    await done(page, 'Roll tiny back');
    await badge('2', 'serving');
    await confirm(page, button('unload tiny 1'), 'Unload');
    await done(page, 'Unload tiny 1');
    await badge('1', 'available');
    assert.ok((await audit()).some(({ actor, action }) => actor === 'Ada' && action === 'activate'));

    // The server's error, word for word.
    await confirm(page, button('Roll back'), 'Roll back');
    const alert = page.getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.textContent(), /no_earlier_version.*HTTP 409/);
    await page.getByRole('button', { name: 'Close the error' }).click();
    await alert.waitFor({ state: 'hidden' });
});

test('console: shares of traffic: split, shadow and canary', { skip, timeout: 240_000 }, async (t) => {
    const { server, page, button, badge } = await begin(t);
    const model = async () => (await (await server.admin('GET', '/admin/models')).json());
    await confirm(page, button('split tiny 1'), 'Split', { 'Percent of the requests': '25' });
    await done(page, 'Split: a share for tiny 1');
    await badge('1', 'split');
    assert.deepEqual((await model()).split, { version: '1', percent: 25, by: 'key' });
    await page.getByText('version 1 gets 25 percent').waitFor();
    await confirm(page, button('End the split'), 'End the split');
    await badge('1', 'kept');
    assert.equal((await model()).split, null);

    await confirm(page, button('shadow tiny 1'), 'Begin the shadow', { 'Percent of the requests': '100' });
    await badge('1', 'shadow');
    await confirm(page, button('End the shadow'), 'End the shadow');
    await button('End the shadow').waitFor({ state: 'hidden' });
    assert.equal((await model()).shadow, null);

    await confirm(page, button('canary tiny 1'), 'Begin the canary', { 'Percent of the requests': '20' });
    await badge('1', 'canary');
    const canary = page.getByRole('region', { name: 'Canary of tiny' });
    await canary.getByText('Version 1 against 2: 20 percent').waitFor();
    await picture(page, 'models');
    await confirm(page, button('Roll the canary back'), 'Roll back');
    await canary.locator('.badge', { hasText: 'rolled back' }).waitFor();
    await confirm(page, button('canary tiny 1'), 'Begin the canary');
    await canary.getByText('Version 1 against 2: 10 percent').waitFor();
    await confirm(page, button('Promote'), 'Promote');
    await badge('1', 'serving');
    assert.deepEqual(await listVersions(server), { 2: 'kept', 1: 'serving' });
});

test('console: a server with one file', { skip, timeout: 240_000 }, async (t) => {
    const server = await startServer(t);
    const page = await openConsole(t, server);
    await page.getByText('One file, without a repository').waitFor();
    await confirm(page, page.getByRole('button', { name: 'Load anew' }), 'Load anew');
    await done(page, 'Load the model file anew');
});
