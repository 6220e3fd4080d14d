'use strict';
// Chats are kept in the browser: listed, opened again, renamed, exported, deleted.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const test = require('node:test');

const { startServer } = require('../e2e/lib/server.js');
const { missingBrowser, openPage, field, button, ask, answerWith, sendAndHold } = require('./lib/chat_page.js');

const options = { skip: missingBrowser(), timeout: 240_000 };
const start = (t) => startServer(t, { args: ['--temperature', '0'] });
const chats = (page) => page.getByRole('navigation', { name: 'Kept chats' });
const titles = (page) => chats(page).getByRole('link').allTextContents();

// Two chats, without a model that thinks about it.
async function openWithChats(t, server) {
    const page = await openPage(t, server.url);
    await answerWith(page, 'One.');
    await ask(page, 'The first chat');
    await button(page, 'New chat').click();
    await answerWith(page, 'Two.');
    await ask(page, 'The second chat');
    return page;
}

async function downloaded(page, act) {
    const waiting = page.waitForEvent('download');
    await act();
    const download = await waiting;
    return { name: download.suggestedFilename(), text: fs.readFileSync(await download.path(), 'utf8') };
}

test('chat history: chats are there after a reload, the newest first', options, async (t) => {
    const server = await start(t);
    const page = await openWithChats(t, server);
    await page.reload();
    assert.deepEqual(await titles(page), ['The second chat', 'The first chat']);
    assert.deepEqual(await page.locator('.bubble').allTextContents(), ['The second chat'], 'the one that was open is open');
    await chats(page).getByRole('link', { name: 'The first chat' }).click();
    await page.getByText('One.').waitFor();
    assert.match(await page.locator('.made-by').textContent(), /test@1/, 'and what had answered');
    assert.equal(await chats(page).locator('[aria-current=page]').textContent(), 'The first chat');
    await page.goBack();
    await page.getByText('Two.').waitFor();
    // It goes on where it was left.
    await chats(page).getByRole('link', { name: 'The first chat' }).click();
    const asked = page.waitForRequest('**/v1/chat/completions');
    await ask(page, 'What is 23 + 45?');
    assert.deepEqual((await asked).postDataJSON().messages.map(({ content }) => content),
        ['The first chat', 'One.', 'What is 23 + 45?']);
    assert.deepEqual(await titles(page), ['The first chat', 'The second chat']);
});

test('chat history: a chat can be renamed and deleted', options, async (t) => {
    const server = await start(t);
    const page = await openWithChats(t, server);
    await button(page, 'Rename The second chat').click();
    const name = page.getByLabel('Name of the chat');
    await name.fill('Number two');
    await name.press('Enter');
    await chats(page).getByRole('link', { name: 'Number two' }).waitFor();
    await button(page, 'Rename Number two').click();
    await name.fill('something else');
    await name.press('Escape');
    assert.deepEqual(await titles(page), ['Number two', 'The first chat'], 'Escape leaves the name');

    await button(page, 'Delete Number two').click();
    const dialog = page.getByRole('dialog', { name: 'Delete “Number two”?' });
    await button(dialog, 'Keep').click();
    assert.deepEqual(await titles(page), ['Number two', 'The first chat']);
    await button(page, 'Delete Number two').click();
    await button(dialog, 'Delete').click();
    await page.getByText('Ask something').waitFor();
    assert.deepEqual(await titles(page), ['The first chat']);
    await page.reload();
    assert.deepEqual(await titles(page), ['The first chat']);

    await button(page, 'Delete all').click();
    await button(page.getByRole('dialog'), 'Delete').click();
    await page.getByText('Chats are kept in this browser').waitFor();
    assert.equal(await page.evaluate(() => Object.keys(localStorage).length), 0, 'nothing is left of them');
});

test('chat history: a chat that is left while it is answered keeps what had come; one that is deleted is gone', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    await sendAndHold(t, page, server, 'What is 23 + 45?');
    await button(page, 'New chat').click();
    await page.getByText('Ask something').waitFor();
    await chats(page).getByRole('link', { name: 'What is 23 + 45?' }).click();
    await page.getByText('You stopped this answer.').waitFor();
    await button(page, 'New chat').click();
    const held = await sendAndHold(t, page, server, 'What is 20 + 30?');
    await button(page, 'Delete What is 20 + 30?').click();
    await button(page.getByRole('dialog'), 'Delete').click();
    await page.getByText('Ask something').waitFor();
    await held.left; // the answer has ended
    assert.match(await ask(page, 'What is 23 + 45?'), /68/);
    assert.deepEqual(await titles(page), ['What is 23 + 45?', 'What is 23 + 45?']);
});

test('chat history: a chat is exported as Markdown, all of them as JSON', options, async (t) => {
    const server = await start(t);
    const page = await openWithChats(t, server);
    const one = await downloaded(page, () => button(page, 'Export The second chat').click());
    assert.equal(one.name, 'The-second-chat.md');
    assert.match(one.text, /^# The second chat\n\n## You\n\nThe second chat\n\n## Weir\n\nTwo\.\n\n.*test@1/);
    const all = await downloaded(page, () => button(page, 'Export all').click());
    assert.equal(all.name, 'weir-chats.json');
    assert.deepEqual(JSON.parse(all.text).map(({ messages }) => messages.map(({ role, content }) => [role, content])), [
        [['user', 'The second chat'], ['assistant', 'Two.']],
        [['user', 'The first chat'], ['assistant', 'One.']],
    ]);
});

test('chat history: two tabs know of each other, and a full browser says so', options, async (t) => {
    const server = await start(t);
    const page = await openWithChats(t, server);
    const other = await page.context().newPage();
    await other.goto(server.url);
    assert.deepEqual(await titles(other), ['The second chat', 'The first chat']);
    await answerWith(other, 'Three.');
    await ask(other, 'The third chat');
    await chats(page).getByRole('link', { name: 'The third chat' }).waitFor();

    await page.evaluate(() => {
        let text = 'x'.repeat(1 << 20);
        for (let i = 0; text; i++) {
            try {
                localStorage.setItem(`filler${i}`, text);
            } catch {
                text = text.slice(text.length / 2 + 1);
            }
        }
    });
    await answerWith(page, 'Still here. '.repeat(20));
    assert.match(await ask(page, 'Go on '.repeat(20)), /Still here/, 'talking goes on');
    const notice = page.getByRole('alert').getByText('no more room');
    await notice.waitFor();

    // What there is no room for is listed, can be left, opened and exported, and is stored as soon as there is room.
    await button(page, 'New chat').click();
    await answerWith(page, 'Five. '.repeat(100));
    await ask(page, 'The fifth chat');
    await chats(page).getByRole('link', { name: 'The second chat' }).click();
    await page.getByText('Still here').waitFor();
    assert.deepEqual(await titles(page), ['The fifth chat', 'The second chat', 'The third chat', 'The first chat']);
    assert.match((await downloaded(page, () => button(page, 'Export The second chat').click())).text, /Still here/);
    assert.match((await downloaded(page, () => button(page, 'Export all').click())).text, /Five.*Still here/s);
    assert.ok(await notice.isVisible());
    await page.evaluate(() => localStorage.removeItem('filler0'));
    await chats(page).getByRole('link', { name: 'The third chat' }).hover();
    await button(page, 'Delete The third chat').click();
    await button(page.getByRole('dialog'), 'Delete').click();
    await notice.waitFor({ state: 'detached' });
    await page.reload();
    await page.getByText('Still here').waitFor();
    assert.deepEqual(await titles(page), ['The fifth chat', 'The second chat', 'The first chat']);
});

test('chat history: what is in the browser and is no chat is passed over', options, async (t) => {
    const server = await start(t);
    const page = await openWithChats(t, server);
    await page.evaluate(() => {
        localStorage.setItem('weir-chat:bad', 'no JSON');
        localStorage.setItem('weir-chat:worse', '{"messages": 1}');
        localStorage.setItem('another', '{}');
    });
    await page.goto(`${server.url}/#bad`);
    await page.reload();
    assert.deepEqual(await titles(page), ['The second chat', 'The first chat']);
    assert.ok(await field(page).isVisible());
});
