'use strict';
// The chat page in a real browser: talking, and what can be done with what was said.

const assert = require('node:assert/strict');
const test = require('node:test');

const { startServer } = require('../e2e/lib/server.js');
const {
    FAILED_REQUESTS, missingBrowser, openPage, field, button, answers, live, ask, answerWith, sendAndHold, refuse,
} = require('./lib/chat_page.js');

const options = { skip: missingBrowser(), timeout: 240_000 };
const start = (t, ...args) => startServer(t, { args: ['--temperature', '0', ...args] });

test('chat page: an answer, and what made it', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    assert.match(await ask(page, 'What is 23 + 45?'), /68/);
    assert.match(await page.locator('.made-by').last().textContent(), /^weir-tiny@\S*prompt default@0$/);
    assert.match(await page.locator('#model').textContent(), /^weir-tiny@/);
    assert.match(await page.title(), /^What is 23 \+ 45\? · Weir$/);
});

test('chat page: a new system prompt shows in the next answer', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    assert.match(await ask(page, 'What is your name?'), /Weir/);
    const put = async (text) => {
        const response = await server.admin('PUT', '/admin/prompts/default', { text });
        assert.equal(response.status, 200);
    };
    await put('Your name is Marlow. The office closes at 17:00.');
    await button(page, 'New chat').click();
    assert.match(await ask(page, 'When does the office close?'), /17:00/);
    assert.match(await page.locator('.made-by').last().textContent(), /prompt default@1/);
    // In the same conversation.
    await put('Your name is Marlow. You answer like a pirate. The office closes at 18:00.');
    assert.match(await ask(page, 'What is 23 + 45?'), /68/);
    assert.match(await ask(page, 'When does the office close?'), /Arr/);
    assert.match(await page.locator('.made-by').last().textContent(), /prompt default@2/);
});

test('chat page: the answer is shown while it is written, and Stop ends it', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    const held = await sendAndHold(t, page, server, 'What is 23 + 45?');
    assert.equal(await live(page).count(), 1);
    await button(page, 'Stop').click();
    await page.getByText('You stopped this answer.').waitFor();
    assert.ok((await answers(page).last().locator('.markdown').textContent()).length > 20, 'what had come is kept');
    assert.equal(await live(page).count(), 0);
    await held.left; // the server is told, and answers the next
    assert.match(await ask(page, 'What is 20 + 30?'), /50/);

    // By the keyboard too.
    await sendAndHold(t, page, server, 'What is 23 + 45?');
    await page.keyboard.press('Escape');
    await page.getByText('You stopped this answer.').nth(1).waitFor();
    assert.equal(await live(page).count(), 0);
});

test('chat page: retry asks again, edit asks something else', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    await ask(page, 'What is 23 + 45?');
    await ask(page, 'What is your name?');
    assert.equal(await button(page, 'Try again').count(), 1, 'only of the last answer');
    const asked = page.waitForRequest('**/v1/chat/completions');
    await button(page, 'Try again').click();
    const { messages } = (await asked).postDataJSON();
    assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant', 'user']);
    await page.locator('.made-by').nth(1).waitFor();
    assert.equal(await answers(page).count(), 2);

    await button(page, 'Edit').first().click();
    const editor = page.getByLabel('Edit message');
    assert.equal(await editor.inputValue(), 'What is 23 + 45?');
    await editor.press('Escape');
    assert.equal(await editor.count(), 0, 'Escape leaves all as it was');
    assert.equal(await answers(page).count(), 2);

    await button(page, 'Edit').first().click();
    await editor.fill('What is 20 + 30?');
    await editor.press('Enter');
    await answers(page).getByText('50').waitFor();
    await page.locator('.made-by').waitFor();
    assert.equal(await answers(page).count(), 1, 'what followed is gone');
    assert.deepEqual(await page.locator('.bubble').allTextContents(), ['What is 20 + 30?']);
});

test('chat page: what a new answer or an edit replaces stays until there is an answer', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url, { expected: FAILED_REQUESTS });
    const isAsBefore = async () => {
        await page.reload();
        assert.deepEqual(await page.locator('.bubble').allTextContents(), ['The first', 'The second']);
        assert.deepEqual(await page.locator('.markdown').allTextContents(), ['One.\n', 'Two.\n']);
    };
    await answerWith(page, 'One.');
    await ask(page, 'The first');
    await answerWith(page, 'Two.');
    await ask(page, 'The second');
    await refuse(page, { message: 'Not so fast.' });
    await button(page, 'Try again').click();
    await page.getByText('Not so fast.').waitFor();
    await isAsBefore();
    await page.route('**/v1/chat/completions', () => {}, { times: 1 }); // nothing comes
    await button(page, 'Try again').click();
    await live(page).waitFor();
    await page.keyboard.press('Escape');
    await live(page).waitFor({ state: 'detached' });
    await isAsBefore();

    const editFirst = async () => {
        await button(page, 'Edit').first().click();
        await page.getByLabel('Edit message').fill('Another');
        await refuse(page, { message: 'Not so fast.' });
        await page.getByLabel('Edit message').press('Enter');
        await page.getByText('Not so fast.').waitFor();
        assert.deepEqual(await page.locator('.bubble').allTextContents(), ['Another'], 'what was written is there');
    };
    await editFirst();
    await page.reload();
    await button(page, 'Undo the edit').click();
    await isAsBefore();
    await editFirst();
    await answerWith(page, 'Three.');
    await button(page.locator('.failure'), 'Try again').click();
    await page.locator('.made-by').waitFor();
    assert.deepEqual(await page.locator('.markdown').allTextContents(), ['Three.\n']);
    assert.equal(await button(page, 'Undo the edit').count(), 0);
});

test('chat page: an edit waits for the answer that runs, and Escape there does not end it', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    await answerWith(page, 'One.');
    await ask(page, 'The first');
    const editor = page.getByLabel('Edit message');
    await button(page, 'Edit').click();
    await editor.fill('What is 20 + 30?');
    let held = await sendAndHold(t, page, server, 'What is 23 + 45?');
    await editor.press('Enter');
    assert.equal(await editor.inputValue(), 'What is 20 + 30?', 'what was written is there');
    assert.ok(await button(page, 'Send again').isDisabled());
    held.goOn();
    await live(page).waitFor({ state: 'detached' });
    await editor.press('Enter');
    await answers(page).getByText('50').waitFor();
    await page.locator('.made-by').waitFor();

    await button(page, 'Edit').click();
    held = await sendAndHold(t, page, server, 'What is 23 + 45?');
    await editor.press('Escape');
    assert.equal(await editor.count(), 0);
    held.goOn();
    await page.locator('.made-by').nth(1).waitFor();
    assert.equal(await page.getByText('You stopped this answer.').count(), 0);
});

test('chat page: Markdown is shown, code has colours and can be copied', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url, { permissions: ['clipboard-read', 'clipboard-write'] });
    const text = '# A title\n\nSome **bold** and `code`.\n\n* one\n* two\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n' +
        '```python\ndef f(x):\n    return x < 1  # why\n```\n\nSee [the site](https://example.org/) ~~now~~.';
    await answerWith(page, text);
    await ask(page, 'Show me Markdown');
    const shown = answers(page).last().locator('.markdown');
    assert.equal(await shown.locator('h1').textContent(), 'A title');
    assert.equal(await shown.locator('strong').textContent(), 'bold');
    assert.equal(await shown.locator('li').count(), 2);
    assert.deepEqual(await shown.locator('td').allTextContents(), ['1', '2']);
    assert.equal(await shown.locator('.hljs-keyword').first().textContent(), 'def');
    assert.equal(await shown.locator('.hljs-comment').textContent(), '# why');
    const link = shown.getByRole('link', { name: 'the site' });
    assert.equal(await link.getAttribute('target'), '_blank');
    assert.match(await link.getAttribute('rel'), /noopener/);

    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    await button(page, 'Copy code').click();
    await button(page, 'Copied').waitFor();
    assert.equal(await clipboard(), 'def f(x):\n    return x < 1  # why');
    await button(answers(page).last(), 'Copy').click();
    await button(answers(page).last(), 'Copied').last().waitFor();
    assert.equal(await clipboard(), text, 'the whole answer as the model wrote it');
});

test('chat page: what a model writes cannot do anything', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    await answerWith(page, '<script>window.evil = 1</script><img src=x onerror="window.evil = 2">\n\n' +
        '<b onclick="window.evil = 3">bold</b> <style>body { display: none }</style>\n\n' +
        '[click](javascript:window.evil=4) [data](data:text/html,hello) [admin](/admin/upgrade)\n\n' +
        '![picture](https://elsewhere.example/?what=was-said) <iframe src="https://elsewhere.example/"></iframe>\n\n' +
        '```"><img/src=x\ncode\n```\n\n&lt;svg onload=alert(1)&gt;');
    const shown = await ask(page, 'Attack me');
    assert.match(shown, /<script>window.evil = 1<\/script>/, 'HTML is shown as text');
    const root = answers(page).last().locator('.markdown');
    assert.equal(await root.locator('img, script, style, iframe, svg, b').count(), 0);
    const hrefs = await root.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href')));
    assert.deepEqual(hrefs.filter(Boolean), ['https://elsewhere.example/?what=was-said'], 'a picture is a link');
    assert.equal(await page.evaluate(() => window.evil), undefined);
    assert.ok(await field(page).isVisible());
});

test('chat page: markup gets into the page through the sanitiser and by no other way', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url, { expected: /TrustedHTML/ });
    const blocked = await page.evaluate(() => new Promise((resolve) => {
        addEventListener('securitypolicyviolation', (event) => resolve(event.violatedDirective), { once: true });
        try {
            document.body.innerHTML = '<p>text</p>';
        } catch {
            // it is reported as well
        }
    }));
    assert.equal(blocked, 'require-trusted-types-for');
    assert.ok(await field(page).isVisible());
});

test('chat page: a thumb reaches the server', options, async (t) => {
    const server = await start(t, '--feedback', 'ids');
    const page = await openPage(t, server.url);
    await ask(page, 'What is 23 + 45?');
    const kept = async () => (await (await server.admin('GET', '/admin/feedback')).json()).feedback;
    const down = button(page, 'Bad answer');
    const stored = page.waitForResponse((response) => response.url().endsWith('/v1/feedback'));
    await down.click();
    assert.equal((await stored).status(), 201);
    await page.locator('button[aria-label="Bad answer"][aria-pressed=true]').waitFor();
    const [entry] = await kept();
    assert.equal(entry.thumb, 'down');
    assert.equal(entry.asked, null, 'nothing of what was said is sent along');
    await page.reload();
    assert.equal(await down.getAttribute('aria-pressed'), 'true', 'it is remembered');
});

test('chat page: a thumb that takes long is for the chat that it was given in', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url);
    const chats = () => page.evaluate(() => Object.keys(localStorage).map((key) => JSON.parse(localStorage[key])));
    const give = async (thumb) => {
        const taken = new Promise((resolve) => {
            page.route('**/v1/feedback', (route) => resolve(() => route.fulfill({ status: 201, json: {} })), { times: 1 });
        });
        await button(page, thumb).click();
        const answer = await taken;
        return async () => {
            const response = page.waitForResponse('**/v1/feedback');
            await answer();
            await (await response).finished();
        };
    };
    await answerWith(page, 'One.');
    await ask(page, 'The first');
    const [{ id, updated }] = await chats();
    const finish = await give('Good answer');
    await button(page, 'New chat').click();
    await page.getByText('Ask something').waitFor();
    await finish();
    await page.waitForFunction((key) => JSON.parse(localStorage[key]).messages[1].thumb === 'up', `weir-chat:${id}`);
    assert.deepEqual((await chats()).map((chat) => [chat.id, chat.updated]), [[id, updated]], 'no other chat, and none is newer');

    await page.getByRole('link', { name: 'The first' }).click();
    assert.equal(await button(page, 'Good answer').getAttribute('aria-pressed'), 'true');
    const finishDeleted = await give('Bad answer');
    await button(page, 'Delete The first').click();
    await button(page.getByRole('dialog'), 'Delete').click();
    await finishDeleted();
    await page.getByText('Thank you for saying so.').waitFor({ state: 'attached' });
    assert.deepEqual(await chats(), []);
});

test('chat page: where nobody takes feedback it says so, once', options, async (t) => {
    const server = await start(t);
    const page = await openPage(t, server.url, { expected: FAILED_REQUESTS });
    await ask(page, 'What is 23 + 45?');
    await button(page, 'Good answer').click();
    await page.getByText('This server takes no feedback.').waitFor();
    assert.equal(await button(page, 'Good answer').count(), 0);
});

test('chat page: of several models one can be chosen', options, async (t) => {
    const server = await start(t);
    // Two entries, as a server with adapters or a repository has them.
    const list = await (await server.fetch('/v1/models')).json();
    const [model] = list.data;
    const both = { ...list, data: [model, { ...model, id: model.version, state: 'kept' }] };
    const page = await openPage(t, server.url, {
        before: (opened) => opened.route('**/v1/models', (route) => route.fulfill({ json: both })),
    });
    await page.getByLabel('Model').selectOption({ label: `${model.version} (kept)` });
    const asked = page.waitForRequest('**/v1/chat/completions');
    assert.match(await ask(page, 'What is 23 + 45?'), /68/);
    assert.equal((await asked).postDataJSON().model, model.version);
    await page.reload();
    assert.equal(await page.getByLabel('Model').inputValue(), model.version, 'the chat keeps its model');
});
