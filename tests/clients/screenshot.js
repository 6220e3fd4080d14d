'use strict';
// Takes the picture of the chat page that the README shows, of a real conversation with the model that comes with Weir:
//
//   cmake --build --preset release && npm ci --prefix tests/clients
//   node tests/clients/screenshot.js docs/chat.png
//
//   WEIR_BIN, WEIR_MODEL, CHROMIUM   as in the tests

const test = require('node:test');

const { startServer } = require('../e2e/lib/server.js');
const { openPage, button, ask } = require('./lib/chat_page.js');

const [, , file = 'docs/chat.png'] = process.argv;

test(`the chat page as ${file}`, async (t) => {
    const server = await startServer(t, { args: ['--temperature', '0', '--feedback', 'ids'] });
    const put = async (path, value) => {
        const response = await server.admin('PUT', path, value);
        if (response.status !== 200) throw new Error(await response.text());
    };
    await put('/admin/filters/default', { filters: [{ type: 'wordlist', words: ['17:00'], action: 'replace', replacement: '[time]' }] });
    const page = await openPage(t, server.url, { viewport: { width: 1040, height: 740 }, deviceScaleFactor: 2 });
    await ask(page, 'Why is the sky blue?');
    await button(page, 'New chat').click();
    await ask(page, 'What is 23 + 45?');
    await put('/admin/prompts/default', { text: 'Your name is Marlow. The office closes at 17:00.' });
    await ask(page, 'When does the office close?');
    await put('/admin/prompts/default', { text: 'Your name is Marlow. You answer like a pirate. The office closes at 18:00.' });
    await ask(page, 'When does the office close?');
    await button(page, 'Good answer').last().click();
    await page.locator('[aria-pressed=true]').waitFor();
    await page.mouse.move(0, 0);
    await page.evaluate(() => document.activeElement.blur());
    await page.screenshot({ path: file });
});
