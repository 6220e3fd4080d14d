'use strict';
// Settings in a file: what is read, what is refused and how, and what a running server does with a file that changed.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir, succeed } = require('./lib/command.js');
const { ask } = require('./lib/chat.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { waitFor } = require('./lib/model_repo.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');

const { startUpgrading } = require('./lib/upgrading.js');

const skip = missing();
const ROOT = path.resolve(__dirname, '../..');
const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');

test('docs/settings.md and docs/weir.schema.json are what the program prints', { skip }, () => {
    const mark = '<!-- weir serve --print-settings -->\n\n';
    const [, tables] = read('docs/settings.md').split(mark);
    const remedy = (option, file) => `docs/${file} is not what weir serve ${option} prints: print it there again`;
    assert.equal(tables, succeed(['serve', '--print-settings']), remedy('--print-settings', 'settings.md, below the mark,'));
    assert.equal(read('docs/weir.schema.json'), succeed(['serve', '--print-schema']), remedy('--print-schema', 'weir.schema.json'));
});

test('help, schema and tables have the same settings', { skip }, () => {
    const help = [...succeed(['serve', '--help']).matchAll(/^ +(?:-\w, )?--([\w-]+)/gm)].map((m) => m[1].replaceAll('-', '_'));
    const alone = ['config', 'check_config', 'print_schema', 'print_settings', 'help'];
    const schema = Object.keys(JSON.parse(succeed(['serve', '--print-schema'])).properties).filter((name) => name !== '$schema');
    const tables = [...succeed(['serve', '--print-settings']).matchAll(/^\| `(\w+)`<br>/gm)].map((m) => m[1]);
    assert.deepEqual(help.filter((name) => !alone.includes(name)), schema);
    assert.deepEqual(tables, schema);
    assert.ok(schema.length > 50);
});

test('the example is right', { skip }, () => {
    const { status, stdout, stderr } = spawnSync(programPath(), ['serve', '--config', 'docs/weir.json', '--check-config'],
        { cwd: ROOT, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, 'docs/weir.json: ok\n');
});

test('all mistakes are told at once, with path, value and what is allowed, and the status is 2', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'weir.json', {
        prot: 1, parallel: 0, guess: 'allways', temperature: 2.5, filters_for: ['a=b', 'x'], pin: 'yes', model: 5, tls_cert: 'a',
        cors_origin: ['nonsense'], unix_mode: '0999', config: 'x', port: null,
    });
    const wanted = [
        '$.prot: there is no such setting; did you mean "port"?',
        '$.parallel: 0 is not allowed; a whole number, 1 to 1024, is wanted',
        '$.guess: "allways" is not known; auto, never and always are; did you mean "always"?',
        '$.temperature: 2.5 is not allowed; a number, 0 to 2, is wanted',
        '$.filters_for[1]: MODEL=NAME is wanted, not "x"',
        '$.pin: "yes" is not allowed; true or false is wanted',
        '$.model: 5 is not allowed; a text in quotes is wanted',
        '$.tls_cert: tls_cert and tls_key go together',
        '$.cors_origin[0]: ',
        '$.unix_mode: "0999" is no mode',
        '$.config: is for the command line alone',
        '$.port: null is not allowed',
    ];
    for (const more of [[], ['--check-config']]) {
        const { status, stderr, stdout } = weir(['serve', '--config', file, ...more]);
        assert.equal(status, 2);
        assert.equal(stdout, '');
        wanted.forEach((text) => assert.ok(stderr.includes(`weir serve: ${file}: ${text}`), `${text}\n${stderr}`));
        assert.match(stderr, /^weir serve: \d+ mistakes$/m);
    }
    const line = weir(['serve', '--model', 'x', '--guess', 'allways', '--metrics', 'key', '--filters-for', 'x']);
    assert.equal(line.status, 2);
    assert.match(line.stderr, /--filters-for: MODEL=NAME.*\n.*--guess: "allways" is not known; .*\n.*--metrics: "key" needs an API key/);
    assert.match(weir(['serve', '--prot', '1']).stderr, /unknown option --prot; did you mean --port\?/);
});

test('what is no settings file is told with its line', { skip }, (t) => {
    const folder = makeFolder(t);
    const refused = (text, pattern) => {
        const { status, stderr } = weir(['serve', '--model', 'x', '--config', writeFile(folder, 'weir.json', text)]);
        assert.equal(status, 2);
        assert.match(stderr, pattern);
    };
    refused('{\n  "port": 1,\n}', /weir\.json: .*line 3/);
    refused('[]', /weir\.json: \$: an array is not allowed/);
    refused('', /weir\.json: /);
    const none = weir(['serve', '--config', path.join(folder, 'none.json')]);
    assert.equal(none.status, 2);
    assert.match(none.stderr, /none\.json: .*No such file/);
});

test('--check-config looks at files and keys, and names the place where they are set', { skip }, (t) => {
    const folder = makeFolder(t);
    const keys = writeFile(folder, 'keys', 'a:b:c\n');
    const file = writeFile(folder, 'weir.json', {
        model: path.join(folder, 'none.gguf'), filters: path.join(folder, 'none.json'), prompts_dir: keys, api_key_file: keys,
    });
    const { status, stderr } = weir(['serve', '--config', file, '--check-config', '--system-prompt', path.join(folder, 'none.md')]);
    assert.equal(status, 2);
    assert.match(stderr, /weir\.json: \$\.model: .*none\.gguf/);
    assert.match(stderr, /weir\.json: \$\.filters: .*none\.json: No such file/);
    assert.match(stderr, /weir\.json: \$\.prompts_dir: .*it is no folder/);
    assert.match(stderr, /weir\.json: \$\.api_key_file: .*line 1/);
    assert.match(stderr, /--system-prompt: .*none\.md: No such file/);
    const chain = writeFile(folder, 'chain.json', '{"name": "x", "filters": [{"type": "none"}]}');
    const contents = weir(['serve', '--model', modelPath(), '--check-config', '--filters', chain, '--tls-cert', keys, '--tls-key', keys]);
    assert.equal(contents.status, 2);
    assert.match(contents.stderr, /--filters: .*chain\.json.*"none"/);
    assert.match(contents.stderr, /--tls-cert: .*keys/);
    const open = writeFile(folder, 'open.json', { model: modelPath(), admin_key: 'a secret of the file' });
    fs.chmodSync(open, 0o644);
    const warned = weir(['serve', '--config', open, '--check-config']);
    assert.equal(warned.status, 0);
    assert.match(warned.stderr, /warning: a key is in the file of settings, and other users may open that/);
    assert.doesNotMatch(warned.stderr, /a secret of the file/);
    fs.chmodSync(open, 0o600);
    assert.equal(weir(['serve', '--config', open, '--check-config']).stderr, '');
});

test('--check-config refuses what the start refuses', { skip }, (t) => {
    const folder = makeFolder(t);
    const etcd = ['--etcd', 'http://127.0.0.1:1', '--fleet'];
    const pair = (i) => `https://${i}.example,https://${i}.example.org`;
    const origins = writeFile(folder, 'origins.json', { cors_origin: Array.from({ length: 20 }, (_, i) => pair(i)) });
    const cases = [
        [[...etcd, 'a b'], /--fleet: /],
        [[...etcd, 'a', '--etcd-cert', modelPath()], /--etcd-cert and --etcd-key go together/],
        [['--config', origins], /--cors-origin: .*32/],
    ];
    for (const [args, pattern] of cases) {
        const all = ['serve', '--model', modelPath(), '--port', '0', '--threads', '1', ...args];
        const started = weir(all);
        assert.notEqual(started.status, 0);
        assert.match(started.stderr, pattern);
        const checked = weir([...all, '--check-config']);
        assert.deepEqual([checked.status, checked.stdout], [2, '']);
        assert.match(checked.stderr, pattern);
    }
    assert.equal(weir(['serve', '--model', modelPath(), ...etcd, 'a', '--check-config']).status, 0);
});

test('a server reads its file anew on SIGHUP', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'weir.json');
    const write = (settings) => fs.writeFileSync(file, typeof settings === 'string' ? settings : JSON.stringify(settings));
    const first = { api_key: 'shh', parallel: 4, metrics: 'open', port: 1, threads: 1, drain_timeout: 20 };
    write({ ...first, model: 'none.gguf' });
    const server = await startServer(t, { args: ['--config', file, '--queue', '9'] }); // --model and --port 0 count before it
    const key = { authorization: 'Bearer shh' };
    const told = async (pattern) => {
        await waitFor(() => pattern.test(server.stderr));
        server.stderr = '';
    };
    const hup = async (settings, pattern) => {
        write(settings);
        server.child.kill('SIGHUP');
        await told(pattern);
    };
    const answers = async () => {
        const response = await server.post('/v1/chat/completions', ask('Hello'), { headers: key });
        assert.equal(response.status, 200, await response.text());
    };
    const metrics = async () => (await server.fetch('/metrics')).status;
    assert.equal((await server.post('/v1/chat/completions', ask('Hello'))).status, 401);
    await answers();
    assert.equal(await metrics(), 200);

    await t.test('what can count at once does', async () => {
        await hup({ ...first, metrics: 'off' }, /settings: metrics was "open" and is "off" from now on[^]*has not changed/);
        assert.equal(await metrics(), 404);
    });

    await t.test('what the command line has stays', async () => {
        await hup({ ...first, queue: 5 }, /metrics was "off" and is "open" from now on[^]*has not changed/);
        assert.doesNotMatch(server.stderr, /queue/);
    });

    await t.test('what is of the model counts with a new generation of it', async () => {
        await hup({ ...first, parallel: 2, kv_type: 'int8' },
            /parallel was 4 and is 2, from the next version[^]*\(generation 2, sha256 [0-9a-f]+\) is published/);
        await answers();
    });

    await t.test('what waits for a restart is told, without keys', async () => {
        await hup({ ...first, parallel: 2, kv_type: 'int8', host: '127.0.0.2', api_key: 'other' },
            /host has changed from null to "127\.0\.0\.2"; it counts after a restart[^]*api_key has changed from \(secret\) to \(secret\)/);
        await answers();
    });

    await t.test('a bad file changes nothing, and the log says what is wrong', async () => {
        await hup({ ...first, metrics: 'off', tempreature: 1, parallel: 0 },
            /\$\.parallel: 0[^]*\$\.tempreature: there is no such setting; did you mean "temperature"\?[^]*the settings stay as they are/);
        assert.equal(await metrics(), 200);
        await hup('{ "port": ', /weir\.json: .*line 1[^]*the settings stay as they are/);
        fs.rmSync(file);
        server.child.kill('SIGHUP');
        await told(/No such file[^]*the settings stay as they are/);
        await answers();
    });
});

test('metrics for keys wait for the restart with which the first key counts', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'weir.json', { threads: 1, metrics: 'off' });
    const server = await startServer(t, { args: ['--config', file] });
    const metrics = async () => (await server.fetch('/metrics')).status;
    assert.equal(await metrics(), 404);
    writeFile(folder, 'weir.json', { threads: 1, metrics: 'key', api_key: 'x' });
    server.child.kill('SIGHUP');
    await waitFor(() => /\$\.metrics: "key" needs an API key, [^\n]*after a restart[^]*the settings stay/.test(server.stderr));
    assert.equal(await metrics(), 404);
});

test('a filter chain that is not there is told of when settings change, as at the start', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'weir.json', { threads: 1 });
    const server = await startServer(t, { args: ['--config', file] });
    writeFile(folder, 'weir.json', { threads: 1, filters_for: ['nobody=strict'] });
    server.child.kill('SIGHUP');
    await waitFor(() => /filters_for was [^]*"strict"[^]*--filters-for: the model is "weir-tiny", not "nobody"/.test(server.stderr));
});

test('keys come from the environment, and from the file before it', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'weir.json', { api_key: 'of the file', threads: 1 });
    const env = { WEIR_API_KEY: 'of the environment' };
    const status = async (server, key) => (await server.fetch('/v1/models', { headers: { authorization: `Bearer ${key}` } })).status;
    const one = await startServer(t, { args: ['--threads', '1'], env });
    assert.deepEqual([await status(one, 'of the environment'), await status(one, 'of the file')], [200, 401]);
    const two = await startServer(t, { args: ['--config', file], env });
    assert.deepEqual([await status(two, 'of the environment'), await status(two, 'of the file')], [401, 200]);
});

test('what waits for a restart counts after an upgrade of the process', { skip }, async (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'weir.json');
    const write = (bytes) => fs.writeFileSync(file, JSON.stringify({ threads: 1, max_body: bytes }));
    write(2048);
    const server = await startUpgrading(t, { args: ['--config', file] });
    const status = async () => (await server.request('POST', '/tokenize', { content: 'x'.repeat(3000) })).status;
    assert.equal(await status(), 413);
    write(100_000);
    await server.upgrade();
    assert.equal(await status(), 200);
});
