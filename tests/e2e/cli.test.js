'use strict';
// The commands besides `weir serve`, as a person in a terminal uses them.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir, succeed } = require('./lib/command.js');
const { makeFolder, writeFile } = require('./lib/files.js');
const { startServer, missing, modelPath, programPath } = require('./lib/server.js');

const skip = missing();
const COMMANDS = ['serve', 'chat', 'ctl', 'inspect', 'lineage', 'publish', 'quantize', 'synth', 'bench', 'logits', 'tokenize', 'render',
    'filter', 'grammar', 'train', 'eval'];

test('every command explains itself and refuses what it does not know', { skip }, async (t) => {
    assert.match(succeed(['--help']), /usage: weir COMMAND/);
    assert.equal(weir([]).status, 2);
    assert.equal(weir(['nonsense']).status, 2);
    for (const command of COMMANDS) {
        await t.test(command, () => {
            assert.match(succeed(['--help']), new RegExp(`^ +${command} `, 'm'));
            assert.match(succeed([command, '--help']), /^usage: weir /);
            const { status, stderr } = weir([command, '--nonsense']);
            assert.equal(status, 2);
            assert.ok(stderr.startsWith(`weir ${command}: `), stderr);
        });
    }
});

test('tokenize goes there and back', { skip }, () => {
    for (const text of ['Hello, world!', 'Wie heißt du? 你好 🙂', '12 345\n\n  x', '<|im_end|>']) {
        const ids = succeed(['tokenize', '-m', modelPath(), '--no-special'], text);
        assert.match(ids, /^\d+( \d+)*\n$/);
        const back = succeed(['tokenize', '-m', modelPath(), '--decode'], ids);
        assert.equal(back.replace(/\n$/, ''), text);
    }
    const special = succeed(['tokenize', '-m', modelPath()], '<|im_end|>').trim().split(' ');
    const plain = succeed(['tokenize', '-m', modelPath(), '--no-special'], '<|im_end|>').trim().split(' ');
    assert.equal(special.length, 1);
    assert.ok(plain.length > 1);
});

test('logits are one JSON array a position, and wrong tokens are told', { skip }, () => {
    const last = JSON.parse(succeed(['logits', '-m', modelPath(), '--tokens', '1,300,301']));
    assert.ok(last.length >= 256 && last.every(Number.isFinite));
    const all = succeed(['logits', '-m', modelPath(), '--tokens', '1,300,301', '--all']).trim().split('\n');
    assert.equal(all.length, 3);
    assert.deepEqual(JSON.parse(all[2]), last);
    for (const tokens of ['-1', '99999999', 'x', '1,,2', '']) {
        assert.notEqual(weir(['logits', '-m', modelPath(), '--tokens', tokens]).status, 0, tokens);
    }
});

test('inspect shows what is in a file', { skip }, () => {
    const shown = JSON.parse(succeed(['inspect', '--json', modelPath()]));
    assert.match(shown.sha256, /^[0-9a-f]{64}$/);
    assert.ok(shown.tensors.some(({ name }) => name === 'token_embd.weight'));
    assert.match(succeed(['inspect', modelPath()]), /general\.architecture/);
    assert.equal(weir(['inspect', __filename]).status, 1);
});

test('a packed file gives the same logits, and one that is broken is refused', { skip }, (t) => {
    const folder = makeFolder(t);
    const packed = path.join(folder, 'packed.gguf');
    succeed(['quantize', modelPath(), packed, '--type', 'packed']);
    const logits = (file) => succeed(['logits', '-m', file, '--tokens', '1,300,301,7', '--all']);
    assert.equal(logits(packed), logits(modelPath()));

    const { tensors } = JSON.parse(succeed(['inspect', '--json', packed]));
    const { offset } = tensors.find(({ name }) => name === 'blk.0.attn_output.packed');
    const bytes = fs.readFileSync(packed);
    const D_MODEL = 256, TILE_ROWS = 16;
    const broken = (name, change) => {
        const file = path.join(folder, name);
        fs.writeFileSync(file, change(Buffer.from(bytes)));
        const { status, stderr } = weir(['logits', '-m', file, '--tokens', '1']);
        assert.equal(status, 1, stderr);
        return stderr;
    };
    const setNumber = (key, value) => (b) => {
        b.writeUInt32LE(value, b.indexOf(key) + key.length + 4); // behind the key is its type
        return b;
    };
    assert.match(broken('scale', (b) => (b.writeUInt16LE(0x7e00, offset + D_MODEL * TILE_ROWS), b)),
        /"blk\.0\.attn_output\.packed" holds a scale that is not finite/);
    assert.match(broken('version', setNumber('weir.packed', 2)), /weir quantize --type packed/);
    assert.match(broken('vocabulary', setNumber('llama.vocab_size', 5000)), /vocabulary/);
    for (const dims of [13, 64]) { // of heads of 32 numbers
        assert.match(broken('rope', setNumber('llama.rope.dimension_count', dims)), new RegExp(`dimension_count is ${dims}; an even`));
    }
    assert.match(broken('alignment', setNumber('general.alignment', 32)), /alignment 32/);
    assert.match(broken('short', (b) => b.subarray(0, b.length - 64)), /short/);
});

test('every architecture loads, also packed; an unknown one is named', { skip }, (t) => {
    const folder = makeFolder(t);
    const logits = (file) => succeed(['logits', '-m', file, '--tokens', '5,6,7,8,9,10', '--all']);
    const shapes = { 'tiny-test': 'llama', 'tiny-test-granite': 'granite', 'tiny-test-yarn': 'llama', 'tiny-test-qwen2': 'qwen2',
        'tiny-test-heads20': 'llama', 'tiny-test-qwen3': 'qwen3', 'tiny-test-olmo2': 'olmo2', 'tiny-test-gemma2': 'gemma2', 'tiny-test-phi': 'phi3',
        'tiny-test-gemma3': 'gemma3', 'tiny-test-smollm3': 'smollm3', 'tiny-test-longrope': 'phi3',
        'tiny-test-phi4': 'phi3', 'tiny-test-mixtral': 'llama', 'tiny-test-qwen2moe': 'qwen2moe',
        'tiny-test-qwen3moe': 'qwen3moe', 'tiny-test-gpt2': 'gpt2', 'tiny-test-starcoder2': 'starcoder2',
        'tiny-test-stablelm': 'stablelm', 'tiny-test-stablelm12': 'stablelm' };
    for (const [shape, arch] of Object.entries(shapes)) {
        const [plain, packed] = ['plain', 'packed'].map((kind) => path.join(folder, `${shape}-${kind}.gguf`));
        succeed(['synth', '--shape', shape, '--type', 'f32', '--spread', '0.3', plain]);
        assert.match(succeed(['inspect', plain]), new RegExp(`general\\.architecture.*${arch}`));
        succeed(['quantize', plain, packed, '--type', 'packed']);
        assert.equal(logits(packed), logits(plain), shape);
        // The last layer computes the rows that are wanted alone.
        const last = succeed(['logits', '-m', plain, '--tokens', '5,6,7,8,9,10']);
        assert.equal(last, logits(plain).split('\n').slice(-2).join('\n'), shape);
    }
    const large = fs.readFileSync(path.join(folder, 'tiny-test-heads20-plain.gguf'));
    const length = 'llama.attention.key_length';
    large.writeUInt32LE(300, large.indexOf(length) + length.length + 4);
    const heads = path.join(folder, 'heads.gguf');
    fs.writeFileSync(heads, large);
    assert.match(weir(['logits', '-m', heads, '--tokens', '1']).stderr, /head size 300 is not supported, 1 to 256 are/);
    const typesOf = (file) => Object.fromEntries(JSON.parse(succeed(['inspect', '--json', file])).tensors.map((t) => [t.name, t.type]));
    for (const shape of ['tiny-test-qwen2moe', 'tiny-test-gpt2', 'tiny-test-stablelm12']) {
        const [plain, int8] = ['plain', 'int8'].map((kind) => path.join(folder, `${shape}-${kind}.gguf`));
        succeed(['quantize', plain, int8, '--type', 'q8_0']);
        assert.equal(logits(int8), logits(plain), shape);
        const types = typesOf(int8);
        const kept = ['blk.0.ffn_gate_inp.weight', 'position_embd.weight', 'blk.0.attn_q_norm.weight'].filter((name) => types[name]);
        assert.deepEqual(kept.map((name) => types[name].toLowerCase()), ['f32']);
        assert.equal((types['blk.1.ffn_down_exps.weight'] ?? types['blk.1.ffn_down.weight']).toLowerCase(), 'q8_0');
    }
    const other = path.join(folder, 'other.gguf');
    const bytes = fs.readFileSync(path.join(folder, 'tiny-test-qwen2-plain.gguf'));
    fs.writeFileSync(other, Buffer.from(bytes.toString('latin1').replaceAll('qwen2', 'qwenX'), 'latin1'));
    const { status, stderr } = weir(['logits', '-m', other, '--tokens', '1']);
    assert.equal(status, 1);
    assert.match(stderr, /architecture "qwenX" is not supported; llama, granite, qwen2, qwen2moe, .* and nomic-bert are/);
});

test('float weights give logits near those of int8, and a packed file has none', { skip }, (t) => {
    const folder = makeFolder(t);
    const packed = path.join(folder, 'packed.gguf');
    succeed(['quantize', modelPath(), packed, '--type', 'packed']);
    const logits = (...options) => ['logits', '-m', modelPath(), '--tokens', '1,300,301,7', ...options];
    const numbers = (...options) => JSON.parse(succeed(logits(...options)));
    const [a, b] = [numbers(), numbers('--weights', 'f32', '--kv-type', 'f32')];
    const range = Math.max(...b) - Math.min(...b);
    const delta = Math.max(...a.map((x, i) => Math.abs(x - b[i])));
    assert.ok(delta > 0 && delta < 0.05 * range, `${delta} of ${range}`);
    assert.match(weir(['logits', '-m', packed, '--tokens', '1', '--weights', 'f32']).stderr, /int8 weights alone/);
    assert.match(weir(logits('--weights', 'f16')).stderr, /int8 and f32 are/);
});

test('an encoder makes a vector of each line, and neither chats nor is taken for what does', { skip }, (t) => {
    const folder = makeFolder(t);
    for (const shape of ['tiny-test-bert', 'tiny-test-nomic-bert']) {
        const [plain, packed] = ['plain', 'packed'].map((kind) => path.join(folder, `${shape}-${kind}.gguf`));
        succeed(['synth', '--shape', shape, '--type', 'f32', '--spread', '0.3', plain]);
        succeed(['quantize', plain, packed, '--type', 'packed']);
        const output = succeed(['embed', '-m', plain], 'One text.\nAnother one\nOne text.\n');
        const vectors = output.trim().split('\n').map((line) => JSON.parse(line));
        assert.equal(vectors.length, 3);
        assert.deepEqual(vectors[0], vectors[2]);
        assert.notDeepEqual(vectors[0], vectors[1]);
        vectors.forEach((v) => assert.ok(Math.abs(Math.hypot(...v) - 1) < 1e-5));
        assert.equal(succeed(['embed', '-m', packed], 'One text.\nAnother one\nOne text.'), output);
        assert.equal(succeed(['embed', '-m', plain], 'a\0b\nc').trim().split('\n').length, 2);
        assert.match(weir(['logits', '-m', plain, '--tokens', '1']).stderr, /makes embeddings, no text/);
        assert.match(weir(['embed', '-m', plain, '--context', '8'], 'short\n\n').stderr, /line 2: a text of 0 tokens; 1 to 8 can/);
        assert.match(weir(['embed', '-m', plain, '--context', '8'], 'a text of more than eight tokens').stderr, /line 1: .* 1 to 8 can/);
    }
    assert.match(weir(['embed', '-m', modelPath()], 'x').stderr, /makes text, no embeddings/);
});

test('a broken mixture of experts is refused', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'mixture.gguf');
    succeed(['synth', '--shape', 'tiny-test-mixtral', file]);
    const bytes = fs.readFileSync(file);
    const refused = (key, value) => {
        const changed = Buffer.from(bytes), broken = path.join(folder, 'broken.gguf');
        changed.writeUInt32LE(value, changed.indexOf(key) + key.length + 4); // behind the key is its type
        fs.writeFileSync(broken, changed);
        return weir(['logits', '-m', broken, '--tokens', '1']).stderr;
    };
    assert.match(refused('llama.expert_used_count', 9), /expert_used_count is 9, 1 to 8 are allowed/);
    assert.match(refused('llama.expert_used_count', 0), /expert_used_count is 0, 1 to 8 are allowed/);
    assert.match(refused('llama.expert_count', 4), /"blk\.0\.ffn_gate_inp\.weight" is 8 x 64, 4 x 64 was expected/);
    assert.match(refused('llama.expert_count', 1e9), /expert_count is 1000000000, 1 to 512 are allowed/);
    assert.match(refused('llama.expert_feed_forward_length', 40), /experts of width 40 are not supported/);
    assert.match(refused('llama.expert_feed_forward_length', 64), /"blk\.0\.ffn_gate_exps\.weight" is 1024 x 64, 512 x 64 was expected/);
});

test('render shows the prompt that the template makes', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'messages.json', [
        { role: 'system', content: 'S' }, { role: 'user', content: 'U' }]);
    assert.equal(succeed(['render', '-m', modelPath(), '--messages', file]).trimEnd(),
        '<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant');
});

test('render takes a template of its own, tools and calls, and tells what is wrong', { skip }, (t) => {
    const folder = makeFolder(t);
    const template = writeFile(folder, 't.jinja',
        '{{ bos_token }}{{ tools[0].name }} {{ messages[0].tool_calls[0].n }}{% if enable_thinking %}!{% endif %}');
    const render = (conversation, ...more) => weir(['render', '--template', template, '--messages', '-', ...more],
        typeof conversation === 'string' ? conversation : JSON.stringify(conversation));
    const call = { role: 'assistant', tool_calls: [{ n: 7 }] };
    assert.equal(render({ messages: [call], tools: [{ name: 'f' }],
        chat_template_kwargs: { enable_thinking: true } }, '--bos', '<s>').stdout, '<s>f 7!');
    // What is not there is null for some clients.
    const plain = writeFile(folder, 'plain.jinja', '{{ messages[0].content }}{{ tools is none }}');
    assert.equal(succeed(['render', '--template', plain, '--messages', '-'], JSON.stringify({ tools: null,
        chat_template_kwargs: null, messages: [{ role: 'user', content: 'x', tool_calls: null, reasoning_content: null }],
    })), 'xTrue');
    for (const [bad, message] of [
        [[{ role: 'user', content: 1 }], /messages\[0\]: "content" must be a string/],
        [[{ role: 'user' }], /messages\[0\]: "role" and "content"/],
        [[{ ...call, tool_calls: {} }], /messages\[0\]: "tool_calls" must be an array/],
        [[{ ...call, tool_call_id: [] }], /"tool_call_id" must be a string/],
        [{ messages: [call], tools: 1 }, /"tools" must be an array/],
        [{ messages: [call], chat_template_kwargs: { x: 1 } }, /"x" is not allowed/],
        [[], /array of messages/], ['{', /line 1/],
    ]) {
        const { status, stderr } = render(bad);
        assert.equal(status, 1);
        assert.match(stderr, message);
    }
    assert.match(weir(['render', '--template', writeFile(folder, 'u.jinja', 'a\n{% nonsense %}'), '--messages', '-'],
        '[]').stderr, /array of messages/);
    assert.match(weir(['render', '--template', path.join(folder, 'u.jinja'), '--messages', '-'],
        JSON.stringify([call])).stderr, /u\.jinja: .*line 2/);
});

test('filter runs text through a chain, the same for every chunk size', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'chain.json', { name: 'x', filters: [
        { type: 'wordlist', words: ['secret'], action: 'mask' }] });
    for (const chunk of ['1', '3', '1000']) {
        assert.equal(succeed(['filter', '--chain', file, '--chunk', chunk], 'a secret word'), 'a ****** word');
    }
});

test('filter tells the name of a filter that has one, and what is only recorded', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = writeFile(folder, 'chain.json', { name: 'x', filters: [
        { type: 'wordlist', words: ['secret'], mode: 'record', name: 'trial' },
        { type: 'wordlist', words: ['word'], action: 'replace', view: 'normalised' }] });
    const ran = weir(['filter', '--chain', file, '--chunk', '1'], 'a secret w\u200bord');
    assert.equal(ran.stdout, 'a secret ***');
    const verdicts = ran.stderr.trim().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual(verdicts.map((v) => [v.verdict, v.type, v.name, v.recorded, v.from, v.to]), [
        ['stop', 'wordlist', 'trial', true, 2, 8],
        ['replace', 'wordlist', undefined, undefined, 9, 16],
    ]);
});

test('chat answers a line from standard input, itself or by a server', { skip }, async (t) => {
    const own = succeed(['chat', '--model', modelPath(), '--temperature', '0'], 'Hello\n');
    assert.ok(own.trim().length > 0);
    const server = await startServer(t, { args: ['--temperature', '0'] });
    const child = spawn(programPath(), ['chat', '--url', server.url]);
    let remote = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (remote += text));
    child.stdin.end('Hello\n');
    assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
    assert.equal(remote, own);
});
