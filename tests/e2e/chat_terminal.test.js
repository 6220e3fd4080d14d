'use strict';
// `weir chat` as somebody at a terminal has it, on a real pseudo-terminal, and as a script has it.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const test = require('node:test');

const { weir, succeed } = require('./lib/command.js');
const { makeFolder, writeFile, writeOtherVersion } = require('./lib/files.js');
const { waitFor } = require('./lib/model_repo.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');
const { CTRL, Terminal } = require('./lib/terminal.js');

const skip = missing();

// A server whose answers the test makes: `answer` gets the request and a function that sends a piece; `pages` has
// status and JSON by path.
async function startFake(t, answer, pages = {}) {
    const requests = [];
    const server = http.createServer(async (request, response) => {
        let body = '';
        for await (const piece of request) {
            body += piece;
        }
        if (request.method === 'GET') {
            const [status, json] = pages[request.url] ?? [];
            if (status) { // a page that is not there is never answered
                response.writeHead(status).end(JSON.stringify(json));
            }
            return;
        }
        requests.push(JSON.parse(body));
        response.writeHead(200, { 'content-type': 'text/event-stream', 'weir-model': 'fake@1; sha256=abc', 'weir-prompt': 'p@2; sha256=def' });
        const send = (content) => response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
        if (await answer(requests.at(-1), send, requests.length) !== 'never') {
            response.end('data: [DONE]\n\n');
        }
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.closeAllConnections() ?? server.close());
    return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

const chatWith = (t, url, env, ...args) => new Terminal(t, programPath(), ['chat', '--url', url, ...args], env);

test('lines are edited, kept for the next session and readable by their owner alone', { skip }, async (t) => {
    const folder = makeFolder(t);
    const history = path.join(folder, 'new', 'history');
    const env = { WEIR_CHAT_HISTORY: history, EDITRC: '/dev/null' };
    const fake = await startFake(t, (request, send) => send(`<${request.messages.at(-1).content}>`));
    const one = chatWith(t, fake.url, env);
    await one.see(/\/help lists commands/);
    await one.say(`wrld${CTRL('b')}${CTRL('b')}${CTRL('b')}o${CTRL('a')}hello `); // back three letters; to the beginning
    await one.see(/<hello world>/);
    await one.say('Wie heißt du? 你好');
    await one.see(/<Wie heißt du\? 你好>/);
    await one.say(CTRL('d'));
    assert.equal(await one.exited, 0);
    assert.equal(fs.statSync(history).mode & 0o777, 0o600);
    assert.equal(fs.statSync(path.dirname(history)).mode & 0o777, 0o700);
    assert.equal(fs.readFileSync(history, 'utf8'), 'hello world\nWie heißt du? 你好\n');

    const two = chatWith(t, fake.url, env);
    await two.say('\x1b[A\x1b[A'); // up, up
    await two.see(/<hello world>/);
    await two.say(`${CTRL('r')}heißt`);
    two.type('\r');
    await two.see(/<Wie heißt du\? 你好>/);
    await two.say('/exit');
    assert.equal(await two.exited, 0);
    const none = chatWith(t, fake.url, env, '--no-history');
    await none.say('not kept');
    await none.see(/<not kept>/);
    await none.say('/quit');
    assert.equal(await none.exited, 0);
    assert.ok(!fs.readFileSync(history, 'utf8').includes('not kept'));
});

test('Ctrl-C stops an answer, or drops a line, and the program goes on', { skip }, async (t) => {
    const fake = await startFake(t, (request, send, n) => {
        send(n === 1 ? 'Once upon' : `answer ${n}`);
        return n === 1 ? 'never' : 'done';
    });
    const chat = chatWith(t, fake.url, { WEIR_CHAT_HISTORY: '' });
    await chat.say('A story');
    await chat.see(/Once upon/);
    chat.type(CTRL('c'));
    await chat.see(/\(stopped\)/);
    await chat.see(/> $/);
    chat.type('half a line');
    await chat.see(/half a line/);
    chat.type(CTRL('c'));
    await chat.say('Go on');
    await chat.see(/answer 2/);
    assert.deepEqual(fake.requests[1].messages, [
        { role: 'user', content: 'A story' }, { role: 'assistant', content: 'Once upon' }, { role: 'user', content: 'Go on' },
    ]);
    await chat.say('/exit');
    assert.equal(await chat.exited, 0);
});

test('Ctrl-C stops a command that waits for a server', { skip }, async (t) => {
    const asked = [];
    const fake = await startFake(t, (request, send) => send('an answer'), {
        get '/v1/models'() { asked.push('list'); return undefined; },
        get '/v1/models/x'() { asked.push('x'); return undefined; },
    });
    const chat = chatWith(t, fake.url, { WEIR_CHAT_HISTORY: '' });
    for (const [line, name] of [['/model', 'list'], ['/model x', 'x']]) {
        await chat.say(line);
        await waitFor(() => asked.includes(name));
        chat.type(CTRL('c'));
        await chat.see(/\(stopped\)/);
    }
    await chat.say('Hello');
    await chat.see(/an answer/);
    assert.ok(!('model' in fake.requests[0]));
    await chat.say('/model');
    await waitFor(() => asked.length === 3);
    chat.type(CTRL('c'));
    await chat.see(/\(stopped\)/);
    await chat.say(CTRL('d')); // ends at once: the Ctrl-C was the command's
    assert.equal(await chat.exited, 0);
});

test('commands change the conversation and who answers how', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'saved.json');
    const fake = await startFake(t, (request, send, n) => send(`answer ${n}`));
    const chat = chatWith(t, fake.url, { WEIR_CHAT_HISTORY: '', HOME: folder });
    const sent = () => fake.requests.at(-1);
    const contents = () => sent().messages.map(({ content }) => content);
    await chat.say('/help');
    for (const name of ['clear', 'system', 'model', 'prompt', 'info', 'set', 'retry', 'undo', 'save', 'load', 'exit']) {
        await chat.see(new RegExp(`/${name} `));
    }
    await chat.say('/info');
    await chat.see(/model: the server's default/);
    await chat.say('/system Be brief.');
    await chat.say('/set temperature 0.25');
    await chat.say('/set max_tokens 7');
    await chat.say('/prompt support@3');
    await chat.say('first');
    await chat.see(/answer 1/);
    assert.deepEqual(sent(), {
        stream: true, prompt: 'support@3', temperature: 0.25, max_tokens: 7,
        messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'first' }],
    });
    await chat.say('/info');
    await chat.see(/model: fake@1; sha256=abc\s+prompt: p@2; sha256=def/);
    await chat.say('second');
    await chat.see(/answer 2/);
    await chat.say('/retry');
    await chat.see(/answer 3/);
    assert.deepEqual(contents(), ['Be brief.', 'first', 'answer 1', 'second']);
    await chat.say('/undo');
    await chat.see(/are taken back/);
    await chat.say('/save ~/saved.json');
    await chat.see(/Saved\./);
    assert.deepEqual(JSON.parse(fs.readFileSync(file, 'utf8')).messages.map(({ content }) => content), ['Be brief.', 'first', 'answer 1']);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    await chat.say('/clear');
    await chat.say('/system -');
    await chat.say('/set temperature default');
    await chat.say('/prompt');
    await chat.say('alone');
    await chat.see(/answer 4/);
    assert.deepEqual(sent(), { stream: true, max_tokens: 7, messages: [{ role: 'user', content: 'alone' }] });
    await chat.say(`/load ${file}`);
    await chat.see(/3 messages are loaded/);
    await chat.say('"""two lines');
    await chat.see(/\.\.\. $/);
    chat.type('of text"""\r');
    await chat.see(/answer 5/);
    assert.deepEqual(contents(), ['Be brief.', 'first', 'answer 1', 'two lines\nof text']);
    await chat.say('goes on \\');
    await chat.see(/\.\.\. $/);
    chat.type('here\r');
    await chat.see(/answer 6/);
    assert.equal(contents().at(-1), 'goes on \nhere');
    await chat.say('//slash');
    await chat.see(/answer 7/);
    assert.equal(contents().at(-1), '/slash');
    await chat.say('"""/exit or');
    await chat.see(/\.\.\. $/);
    chat.type('//not"""\r');
    await chat.see(/answer 8/);
    assert.equal(contents().at(-1), '/exit or\n//not');
    await chat.say('"""//two"""');
    await chat.see(/answer 9/);
    assert.equal(contents().at(-1), '//two');

    await t.test('mistakes are told, and it goes on', async () => {
        const bad = writeFile(folder, 'bad.json', { messages: [{ role: 'user', content: 'a' }, { role: 'king', content: 'b' }] });
        const cases = [
            ['/sett', /no command \/sett; did you mean \/set\?/],
            ['/set temprature 1', /did you mean temperature\?/],
            ['/set top_k 1.5', /"1\.5" is not allowed; a whole number, 0 to/],
            ['/load', /a file is wanted/],
            [`/load ${bad}`, /bad\.json: messages\[1\]\.role: /],
            [`/load ${folder}/none`, /none: .*No such file/],
            [`/save ${folder}/no/where`, /no\/where/],
        ];
        for (const [line, pattern] of cases) {
            await chat.say(line);
            await chat.see(pattern);
        }
        await chat.say('still here');
        await chat.see(/answer 10/);
        assert.equal(contents().length, 14);
    });
    await chat.say('/exit');
    assert.equal(await chat.exited, 0);
});

test('what an answer could do to a terminal it does not do', { skip }, async (t) => {
    const text = 'a\x1b[2Jb\x07c\u009bd\te';
    const fake = await startFake(t, (request, send) => send(text), {
        '/v1/models': [200, { data: [{ id: 'e\x1b[3Jf\u009bg' }] }],
        '/v1/models/h': [404, { error: { message: 'i\x1b[4Jj' } }],
    });
    const chat = chatWith(t, fake.url, { WEIR_CHAT_HISTORY: '' });
    await chat.say('Hello');
    const seen = await chat.see(/a\?\[2Jb\?c\?d\s+e/);
    assert.ok(!seen.includes('\x1b[2J'));
    await chat.say('/model');
    await chat.see(/e\?\[3Jf\?g/);
    await chat.say('/model h');
    await chat.see(/answered 404: i\?\[4Jj/);
    await chat.say('/exit');
    await chat.exited;
    const named = chatWith(t, fake.url, {}, '--name', 'h');
    await named.see(/answered 404: i\?\[4Jj/);
    await named.exited;
    const script = spawn(programPath(), ['chat', '--url', fake.url], { stdio: ['pipe', 'pipe', 'inherit'] });
    script.stdin.end('Hello\n');
    let output = '';
    script.stdout.setEncoding('utf8').on('data', (piece) => (output += piece));
    await new Promise((resolve) => script.on('close', resolve));
    assert.equal(output, `${text}\n`); // what goes into a file stays as it is
});

test('a script gets answers alone, and the first error ends it', { skip }, async (t) => {
    const folder = makeFolder(t);
    const saved = path.join(folder, 'saved.json');
    const local = ['chat', '-m', modelPath(), '--threads', '1'];
    const twice = succeed([...local, '--seed', '5'], `/set temperature 0\nHello\n/retry\n\n/save ${saved}\n`).trim().split('\n');
    assert.equal(twice.length, 2);
    assert.equal(twice[0], twice[1]);
    assert.equal(JSON.parse(fs.readFileSync(saved, 'utf8')).messages.length, 2);
    assert.match(succeed(local, '/info\n/model\n'), /^model: weir-tiny[^]*prompt: yours alone/);
    const wrong = weir(local, '/set temperature 9\nHello\n');
    assert.deepEqual([wrong.status, wrong.stdout], [1, '']);
    assert.match(weir([...local], '/model none.gguf\n').stderr, /none\.gguf/);
    assert.equal(weir([...local, '--url', 'http://127.0.0.1:1']).status, 2);
    const full = (input) => spawnSync(programPath(), local, {
        input, stdio: ['pipe', fs.openSync('/dev/full', 'w'), 'pipe'], encoding: 'utf8',
    });
    for (const { status, stderr } of [full('Hello\n'), full('/info\n')]) {
        assert.equal(status, 1);
        assert.match(stderr, /standard output: No space left on device/);
    }
});

test('penalties count with a model in this process too', { skip }, () => {
    const answer = (set) => succeed(['chat', '-m', modelPath()], `/set temperature 0\n/set max_tokens 60\n${set}Tell me a story.\n`);
    // Each takes the likeliest token while it is new; what may not be repeated changes the text.
    const plain = answer('');
    for (const set of ['repetition_penalty 2', 'presence_penalty 2', 'frequency_penalty 2']) {
        assert.notEqual(answer(`/set ${set}\n`), plain, set);
    }
});

test('/retry draws another answer, unless a seed is given', { skip }, (t) => {
    const folder = makeFolder(t);
    const answers = (...args) => {
        const files = [0, 1, 2, 3].map((i) => path.join(folder, `${i}.json`));
        const saves = files.map((file) => `/save ${file}\n/retry\n`).join('');
        succeed(['chat', '-m', modelPath(), '--threads', '1', '--temperature', '2', ...args],
            `/set max_tokens 30\n/set top_p 1\n/set min_p 0\nTell me a story.\n${saves}`);
        return new Set(files.map((file) => JSON.parse(fs.readFileSync(file, 'utf8')).messages.at(-1).content));
    };
    assert.ok(answers().size > 1);
    assert.equal(answers('--seed', '5').size, 1);
    for (const seed of ['-7', '9007199254740992', 'x']) {
        const { status, stderr } = weir(['chat', '-m', modelPath(), '--seed', seed]);
        assert.equal(status, 2);
        assert.match(stderr, /--seed/);
    }
});

test('a server says which models it has, and which made the answer', { skip }, async (t) => {
    const server = await startServer(t, { args: ['--threads', '1', '--temperature', '0'] });
    const chat = chatWith(t, server.url, { WEIR_CHAT_HISTORY: '' });
    await chat.say('/model');
    const [, id] = /^ +(weir-tiny\S*)/m.exec(await chat.see(/default answers/));
    await chat.say('/model nonsense');
    await chat.see(/the server answered 404/);
    await chat.say(`/model ${id}`);
    await chat.say('Hello');
    await chat.say('/info');
    await chat.see(new RegExp(`model: ${id}\\S*; sha256=[0-9a-f]{12}\\s+prompt: default@0; sha256=[0-9a-f]{12}\\s+filters: default@0`));
    await chat.say('/exit');
    assert.equal(await chat.exited, 0);
});

test('Ctrl-C stops what a model in this process says', { skip }, async (t) => {
    const model = path.join(makeFolder(t), 'other.gguf');
    writeOtherVersion(modelPath(), model);
    const chat = new Terminal(t, programPath(), ['chat', '-m', model, '--threads', '1', '--temperature', '2'], { WEIR_CHAT_HISTORY: '' });
    await chat.see(/\/help lists commands/);
    let seen = '';
    for (let i = 0; i < 20 && !seen.includes('(stopped)'); i++) { // an answer may have ended before
        await chat.say('Tell me a story.');
        await chat.see(/story\.\s+\S/); // of the answer, or the prompt behind none
        chat.type(CTRL('c'));
        seen = await chat.see(/> $/);
    }
    assert.match(seen, /\(stopped\)/);
    chat.type('/info\r');
    await chat.see(/model: weir-tiny/);
    await chat.say(CTRL('d'));
    assert.equal(await chat.exited, 0);
});
