'use strict';
// Models as Hugging Face lays them out: `weir quantize FOLDER out.gguf` and `weir serve --model FOLDER`.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const { weir, succeed } = require('./lib/command.js');
const { makeFolder } = require('./lib/files.js');
const { readGguf } = require('./lib/gguf.js');
const { writeHfFolder } = require('./lib/hf_folder.js');
const { startServer, missing, modelPath } = require('./lib/server.js');

const skip = missing();

// How GPT-4o's tokenizer splits words.
const CASED = '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const O200K = `${CASED}*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
    `${CASED}+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
    '\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
// And that of DeepSeek-V3, in three passes.
const DEEPSEEK = ['\\p{N}{1,3}', '[一-龥\u3040-ゟ゠-ヿ]+', '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|' +
    '[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+'];

function synthesize(folder, shape) {
    const file = path.join(folder, `${shape}.gguf`);
    succeed(['synth', '--shape', shape, '--type', 'f32', '--spread', '0.3', '--vocab', modelPath(), file]);
    return file;
}

const logits = (file) => succeed(['logits', '-m', file, '--tokens', '5,600,7,8,900,10', '--all']);

test('a folder of any architecture becomes the GGUF file that it was made from', { skip }, (t) => {
    const folder = makeFolder(t);
    for (const arch of ['', '-yarn', '-granite', '-qwen2', '-qwen3', '-olmo2', '-phi', '-smollm3', '-longrope',
        '-phi4', '-mixtral', '-qwen2moe', '-qwen3moe', '-starcoder2', '-stablelm', '-stablelm12', '-gpt2']) {
        const file = synthesize(folder, `tiny-test${arch}`);
        const hf = writeHfFolder(path.join(folder, `hf${arch}`), file, { shards: arch === '-qwen2' ? 2 : 1 });
        const again = path.join(folder, `again${arch}.gguf`);
        succeed(['quantize', hf, again, '--type', 'f32']);
        assert.equal(logits(again), logits(file), arch);
        for (const text of ['Hello, world! 1234', 'What is the capital of France?\n', 'Ünïcödé <|im_end|>']) {
            assert.equal(succeed(['tokenize', '-m', again], text), succeed(['tokenize', '-m', file], text));
        }
    }
});

test('RoPE scaling is taken over: Llama 3.1, and YaRN with all that it says', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = synthesize(folder, 'tiny-test');
    const converted = (name, change) => {
        const to = path.join(folder, `${name}.gguf`);
        succeed(['quantize', writeHfFolder(path.join(folder, name), file, { change }), to, '--type', 'f32']);
        return readGguf(to);
    };
    const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4,
        original_max_position_embeddings: 8192 };
    for (const change of [
        (c) => Object.assign(c, { rope_theta: 500000, rope_scaling: llama3 }),
        (c) => { delete c.rope_theta; c.rope_parameters = { ...llama3, rope_theta: 500000 }; }]) {
        const { metadata, tensors } = converted('llama3', change);
        const { data } = tensors.find(({ name }) => name === 'rope_freqs.weight');
        assert.equal(metadata['llama.rope.freq_base'], 500000);
        assert.equal(data.readFloatLE(0), 1);
        assert.ok(Math.abs(data.readFloatLE(4 * 4) - 2.6945) < 1e-3); // of 8 frequencies, by hand
        assert.equal(data.readFloatLE(7 * 4), 8);
    }
    const { metadata } = converted('yarn', (c) => {
        c.rope_scaling = { rope_type: 'yarn', factor: 8, original_max_position_embeddings: 32, beta_fast: 16,
            beta_slow: 2, attention_factor: 1 + 0.1 * Math.log(8) };
    });
    const said = (key) => metadata[`llama.rope.scaling.${key}`];
    assert.deepEqual([said('type'), said('factor'), said('original_context_length'), said('yarn_beta_fast'),
        said('yarn_beta_slow')], ['yarn', 8, 32, 16, 2]);
    assert.ok(Math.abs(said('attn_factor') - 1) < 1e-6);
});

// Norms less one and one more are rounded: nearly the same.
test('a folder of Gemma 2 or 3 gives nearly the same logits', { skip }, (t) => {
    const folder = makeFolder(t);
    for (const arch of ['gemma2', 'gemma3']) {
        const file = synthesize(folder, `tiny-test-${arch}`);
        const again = path.join(folder, `${arch}-again.gguf`);
        succeed(['quantize', writeHfFolder(path.join(folder, arch), file), again, '--type', 'f32']);
        const [a, b] = [file, again].map((f) => JSON.parse(logits(f).split('\n')[0]));
        const range = Math.max(...a) - Math.min(...a);
        assert.ok(Math.max(...a.map((x, i) => Math.abs(x - b[i]))) < 0.02 * range, arch);
    }
});

test('LongRoPE: the short factors serve contexts up to the first training\'s, the long ones longer ones', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = synthesize(folder, 'tiny-test-longrope'); // with a context of 256
    const converted = (name, set) => {
        const to = path.join(folder, `${name}.gguf`);
        succeed(['quantize', writeHfFolder(path.join(folder, name), file, {
            change: (c) => { Object.assign(c.rope_scaling, set(c.rope_scaling)); } }), to, '--type', 'f32']);
        return logits(to);
    };
    const long = logits(file);
    const short = converted('short', () => ({ original_max_position_embeddings: 256 }));
    assert.notEqual(short, long);
    assert.equal(converted('swapped', (s) => ({ long_factor: s.short_factor })), short);
    assert.equal(converted('over', () => ({ original_max_position_embeddings: 255 })), long);
});

test('LongRoPE over a part of each head has factors for that part alone', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = synthesize(folder, 'tiny-test-phi4'); // turns 12 of 16 numbers
    const converted = (name, n, part) => {
        const to = path.join(folder, `${name}.gguf`);
        const hf = writeHfFolder(path.join(folder, name), file, { change: (c) => {
            c.partial_rotary_factor = part;
            c.rope_scaling = { type: 'longrope', short_factor: Array(n).fill(2), long_factor: Array(n).fill(3) };
        } });
        return { to, ...weir(['quantize', hf, to, '--type', 'f32']) };
    };
    const part = converted('part', 6, 0.75), whole = converted('whole', 8, 1);
    assert.deepEqual([part.status, whole.status], [0, 0], part.stderr + whole.stderr);
    const { metadata, tensors } = readGguf(part.to);
    assert.equal(metadata['phi3.rope.dimension_count'], 12);
    assert.deepEqual(tensors.find(({ name }) => name === 'rope_factors_long.weight').dims, [6]);
    assert.notEqual(logits(part.to), logits(whole.to));
    assert.match(converted('too-many', 8, 0.75).stderr, /"short_factor" must have 6 numbers above 0/);
});

test('which layers of Gemma 3 and SmolLM 3 differ is read, and refused where it is new', { skip }, (t) => {
    const folder = makeFolder(t);
    const convert = (shape, name, change) => {
        const hf = writeHfFolder(path.join(folder, name), synthesize(folder, `tiny-test-${shape}`), { change });
        return weir(['quantize', hf, path.join(folder, 'out.gguf'), '--type', 'f32']);
    };
    const oneIn = (n, of, other, rest) => Array.from({ length: of }, (_, i) => (i % n === n - 1 ? other : rest));
    assert.equal(convert('gemma3', 'newer', (c) => {
        c.layer_types = oneIn(6, 26, 'full_attention', 'sliding_attention');
        delete c.rope_theta;
        c.rope_parameters = { full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1e6 },
            sliding_attention: { rope_type: 'default', rope_theta: 5000 } };
    }).status, 0);
    const { metadata } = readGguf(path.join(folder, 'out.gguf'));
    assert.deepEqual(['freq_base', 'freq_base_swa', 'scaling.type', 'scaling.factor'].map(
        (key) => metadata[`gemma3.rope.${key}`]), [1e6, 5000, 'linear', 8]);
    assert.match(convert('gemma3', 'other', (c) => {
        c.layer_types = oneIn(5, 26, 'full_attention', 'sliding_attention');
    }).stderr, /"layer_types" is not one layer in 6/);
    assert.equal(convert('smollm3', 'known', (c) => { c.no_rope_layers = oneIn(4, 8, 0, 1); }).status, 0);
    assert.match(convert('smollm3', 'unknown', (c) => { c.no_rope_layers = oneIn(3, 8, 0, 1); }).stderr,
        /"no_rope_layers" is not one layer in 4/);
});

test('a mixture of experts that is not as the architecture has it is refused by name', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = synthesize(folder, 'tiny-test-qwen3moe');
    const refused = (name, change) => {
        const hf = writeHfFolder(path.join(folder, name), file, { change });
        const { status, stderr } = weir(['quantize', hf, path.join(folder, 'out.gguf')]);
        assert.equal(status, 1);
        return stderr;
    };
    assert.match(refused('share', (c) => { c.norm_topk_prob = false; }), /"norm_topk_prob" is false, in qwen3moe it has to be true/);
    assert.match(refused('dense', (c) => { c.mlp_only_layers = [0]; }), /layers without experts/);
    assert.match(refused('sparse', (c) => { c.decoder_sparse_step = 2; }), /layers without experts/);
    assert.match(refused('more', (c) => { c.num_experts = 17; }), /number 16 of 17 is missing for "blk\.\d\.ffn_\w+_exps\.weight"/);
    assert.match(refused('fewer', (c) => { c.num_experts = 15; }), /experts\.15\..*config\.json there are 15/);
    assert.match(refused('used', (c) => { c.num_experts_per_tok = 17; }), /"num_experts_per_tok" must be a whole number from 1 to 16/);
});

test('StableLM: a residual that is parallel by config.json has no second norm, and heads all have one', { skip }, (t) => {
    const folder = makeFolder(t);
    const refused = (shape, name, change) => {
        const hf = writeHfFolder(path.join(folder, name), synthesize(folder, shape), { change });
        const out = path.join(folder, `${name}-out.gguf`);
        const { status, stderr } = weir(['quantize', hf, out]);
        return status === 0 ? weir(['logits', '-m', out, '--tokens', '5']).stderr : stderr;
    };
    assert.match(refused('tiny-test-stablelm', 'second', (c) => { c.use_parallel_residual = true; }),
        /"model\.layers\.\d\.post_attention_layernorm\.(weight|bias)" is not known/);
    assert.match(refused('tiny-test-stablelm12', 'none', (c) => { c.use_parallel_residual = false; }),
        /"blk\.0\.ffn_norm\.weight" is missing, and stablelm\.use_parallel_residual is false/);
    assert.match(refused('tiny-test-stablelm12', 'heads', (c) => { c.num_key_value_heads = 1; }), /norms\.1\.weight": by config\.json there are 1/);
});

test("a folder of Nomic's encoder becomes the GGUF file that it was made from", { skip }, (t) => {
    const folder = makeFolder(t);
    const file = synthesize(folder, 'tiny-test-nomic-bert');
    const embed = (model) => succeed(['embed', '-m', model, '--tokens', '5,600,7,8,900,10']);
    const again = path.join(folder, 'again.gguf');
    const converted = (name, change) => weir(['quantize', writeHfFolder(path.join(folder, name), file, { change }), again, '--type', 'f32']);
    assert.equal(converted('same').stderr, '');
    assert.equal(embed(again), embed(file));
    assert.equal(readGguf(again).metadata['nomic-bert.context_length'], 256);
    assert.equal(converted('base', (c) => { c.rotary_emb_base = 1000; }).status, 0);
    assert.notEqual(embed(again), embed(file));
    for (const key of ['prenorm', 'rotary_emb_interleaved', 'causal']) {
        assert.match(converted(key, (c) => { c[key] = true; }).stderr, new RegExp(`"${key}" is not supported in nomic-bert`));
    }
    assert.match(converted('experts', (c) => { c.moe_every_n_layers = 2; }).stderr, /"moe_every_n_layers" is not supported/);
    assert.match(converted('activation', (c) => { c.activation_function = 'gelu'; }).stderr, /activation "gelu" is not supported/);
});

test('a folder of BERT becomes the GGUF file that it was made from, with its pooling', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = synthesize(folder, 'tiny-test-bert');
    const hf = writeHfFolder(path.join(folder, 'hf'), file);
    const converted = (name) => {
        const to = path.join(folder, `${name}.gguf`);
        succeed(['quantize', hf, to, '--type', 'f32']);
        return succeed(['embed', '-m', to, '--tokens', '5,600,7']);
    };
    const embed = succeed(['embed', '-m', file, '--tokens', '5,600,7']);
    assert.equal(converted('plain'), embed);
    fs.mkdirSync(path.join(hf, '1_Pooling'));
    const pooling = (modes) => fs.writeFileSync(path.join(hf, '1_Pooling', 'config.json'), JSON.stringify(modes));
    pooling({ pooling_mode_mean_tokens: true });
    assert.equal(converted('mean'), embed);
    pooling({ pooling_mode_cls_token: true });
    assert.notEqual(converted('first'), embed);
    assert.equal(readGguf(path.join(folder, 'first.gguf')).metadata['bert.pooling_type'], 2);
    pooling({ pooling_mode_max_tokens: true });
    assert.match(weir(['quantize', hf, path.join(folder, 'out.gguf')]).stderr, /1_Pooling\/config\.json: pooling_mode_cls_token or/);
});

test('WordPiece is marked the other way round', { skip }, (t) => {
    const folder = makeFolder(t);
    const hf = writeHfFolder(path.join(folder, 'hf'), synthesize(folder, 'tiny-test-bert'));
    const vocab = { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, the: 4, cat: 5, '##s': 6, ',': 7, s: 8 };
    fs.writeFileSync(path.join(hf, 'tokenizer.json'), JSON.stringify({
        added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({ id, content, special: true })),
        model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', vocab } }));
    fs.writeFileSync(path.join(hf, 'tokenizer_config.json'), JSON.stringify({
        cls_token: '[CLS]', sep_token: '[SEP]', unk_token: '[UNK]', pad_token: '[PAD]' }));
    const to = path.join(folder, 'out.gguf');
    succeed(['quantize', hf, to]);
    assert.equal(succeed(['tokenize', '-m', to, '--no-special'], 'The cats, s dog').trim(), '4 5 6 7 8 1');
    assert.equal(succeed(['embed', '-m', to], 'the cats'), succeed(['embed', '-m', to, '--tokens', '2,4,5,6,3']));
});

// tokens(text) of the folder's tokenizer.json after change(json), and the refusal of one.
function changedTokenizer(t, shape, { change } = {}) {
    const folder = makeFolder(t);
    const hf = writeHfFolder(path.join(folder, 'hf'), synthesize(folder, shape), { change });
    const file = path.join(hf, 'tokenizer.json');
    const original = fs.readFileSync(file, 'utf8');
    const to = path.join(folder, 'out.gguf');
    const write = (change) => {
        const json = JSON.parse(original);
        change(json);
        fs.writeFileSync(file, JSON.stringify(json));
    };
    return {
        hf,
        to,
        tokens(change) {
            write(change);
            succeed(['quantize', hf, to]);
            return (text, ...options) => succeed(['tokenize', '-m', to, ...options], text).trimEnd();
        },
        refusal(change) {
            write(change);
            return weir(['quantize', hf, to]).stderr;
        },
    };
}

test('how BERT folds letters stands in the file, not in its tokens', { skip }, (t) => {
    const { tokens, refusal } = changedTokenizer(t, 'tiny-test-bert');
    const vocab = { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, the: 4, '<S>': 5, café: 6, X: 7, cafe: 8 };
    const bert = (more, type = {}) => (j) => {
        for (const key of Object.keys(j)) delete j[key];
        Object.assign(j, { added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({ id, content, special: true })),
            normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true, ...more },
            pre_tokenizer: { type: 'BertPreTokenizer' },
            model: { ...type, unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab } });
    };
    assert.equal(tokens(bert({}, { type: 'WordPiece' }))('The Café [UNK] X'), '4 8 1 1');
    assert.equal(tokens(bert({}))('The Café'), '4 8'); // an older file, which names no type
    assert.equal(tokens(bert({ lowercase: false }))('the The café X'), '4 1 6 7');
    assert.equal(tokens(bert({ strip_accents: false }))('The Café'), '4 6');
    assert.match(refusal(bert({ clean_text: false })), /"normalizer": "clean_text" or .* is not supported/);
    assert.match(refusal(bert({ type: 'NFC' })), /"normalizer": NFC is not supported/);
    assert.match(refusal((j) => { bert({})(j); j.pre_tokenizer.type = 'Whitespace'; }), /"pre_tokenizer": Whitespace is not/);
    assert.match(refusal((j) => { bert({})(j); j.model.max_input_chars_per_word = 50; }), /"max_input_chars_per_word" must be 100/);
});

test('what stands before byte-level BPE is taken over or refused by name', { skip }, (t) => {
    const { tokens, refusal, to } = changedTokenizer(t, 'tiny-test');
    const same = tokens(() => {});
    const spaced = tokens((j) => { j.pre_tokenizer.pretokenizers[1].add_prefix_space = true; });
    assert.equal(spaced('the cat'), same(' the cat'));
    assert.equal(spaced(' the cat'), same(' the cat'));
    assert.equal(spaced('the<|im_end|>cat'), [same(' the'), same('<|im_end|>'), same(' cat')].join(' '));
    assert.equal(spaced(spaced('the cat'), '--decode'), ' the cat');
    // A byte that the vocabulary lacks is the unknown token, where there is one.
    const unknown = tokens((j) => {
        const id = j.model.vocab.z;
        delete j.model.vocab.z;
        j.model.merges = j.model.merges.filter((m) => !/z/.test(m));
        for (const name of Object.keys(j.model.vocab)) if (/z/.test(name)) delete j.model.vocab[name];
        j.model.vocab['<unk>'] = id;
        j.model.unk_token = '<unk>';
    });
    assert.equal(unknown('z'), same('z'));
    const split = (Regex, more) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false, ...more });
    const rule = (...parts) => {
        tokens((j) => { j.pre_tokenizer.pretokenizers.splice(0, 1, ...parts); });
        return readGguf(to).metadata['tokenizer.ggml.pre'];
    };
    assert.equal(rule(split(O200K)), 'gpt-4o');
    assert.equal(rule(split(O200K, { behavior: 'Removed', invert: true })), 'gpt-4o');
    assert.equal(rule(...DEEPSEEK.map((regex) => split(regex))), 'deepseek-v3');
    assert.match(refusal((j) => { j.pre_tokenizer.pretokenizers.splice(0, 1, ...DEEPSEEK.slice(1).map((regex) => split(regex))); }),
        /"pre_tokenizer": \[一-龥/);
    assert.match(refusal((j) => { j.pre_tokenizer.pretokenizers[0].behavior = 'Removed'; }), /"pre_tokenizer": Split is not supported/);
    assert.match(refusal((j) => { j.normalizer = { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Strip' }] }; }),
        /"normalizer": Strip is not supported/);
    assert.match(refusal((j) => { j.model.end_of_word_suffix = '</w>'; }), /"end_of_word_suffix" is not supported/);
});

test('BPE of characters: split at white space or not at all, with or without an unknown token', { skip }, (t) => {
    const { tokens, refusal, to } = changedTokenizer(t, 'tiny-test');
    const vocab = { '[UNK]': 0, a: 1, b: 2, ' ': 3, ab: 4, ' a': 5, 'ab a': 6, é: 7 };
    const characters = (more, model) => (j) => {
        for (const key of Object.keys(j)) delete j[key];
        Object.assign(j, { added_tokens: [{ id: 0, content: '[UNK]', special: true }], decoder: { type: 'Fuse' }, ...more,
            model: { type: 'BPE', unk_token: '[UNK]', vocab, merges: [['a', 'b'], [' ', 'a'], ['ab', ' a']], ...model } });
    };
    const whole = tokens(characters({ pre_tokenizer: null }));
    assert.equal(readGguf(to).metadata['tokenizer.ggml.model'], 'weir.characters');
    assert.equal(whole('ab a'), '6');
    assert.equal(whole('aéxy[UNK]b'), '1 7 0 0 0 2');
    assert.equal(whole('6 7 1', '--decode'), 'ab aéa');
    const words = tokens(characters({ pre_tokenizer: { type: 'Whitespace' }, decoder: null, normalizer: { type: 'NFC' } }, { fuse_unk: true }));
    assert.equal(words('ab a'), '4 1');
    assert.equal(words('ab!? e\u0301xyz'), '4 0 7 0');
    assert.equal(words('4 1', '--decode'), ' ab a');
    assert.equal(tokens(characters({ pre_tokenizer: { type: 'WhitespaceSplit' } }, { unk_token: null }))('xaxb\tab'), '4 4');
    const metaspace = (more) => ({ type: 'Metaspace', replacement: '▁', ...more });
    const marks = { vocab: { '[UNK]': 0, a: 1, b: 2, '▁': 3, ab: 4, '▁a': 5, '▁ab': 6 }, merges: ['a b', '▁ a', '▁ ab'] };
    const spaced = tokens(characters({ pre_tokenizer: metaspace({ prepend_scheme: 'always' }), decoder: metaspace() }, marks));
    assert.equal(spaced('ab a'), '6 5');
    assert.equal(spaced('b  ab[UNK]▁a'), '3 2 3 6 0 5');
    assert.equal(spaced('6 5', '--decode'), ' ab a');
    assert.equal(tokens(characters({ pre_tokenizer: metaspace({ prepend_scheme: 'never', split: false }) }, marks))('ab a'), '4 5');
    assert.match(refusal(characters({ pre_tokenizer: metaspace({ replacement: '_' }) })), /"pre_tokenizer": Metaspace is not supported/);
    assert.match(refusal(characters({ pre_tokenizer: { type: 'Punctuation' } })), /"pre_tokenizer": Punctuation is not supported/);
    assert.match(refusal(characters({ decoder: { type: 'WordPiece' } })), /"decoder": WordPiece is not supported/);
    assert.match(refusal(characters({ normalizer: { type: 'Nmt' } })), /"normalizer": Nmt is not supported/);
    assert.match(refusal(characters({}, { merges: ['a x'] })), /a merge is not two tokens that make a third/);
    assert.match(refusal(characters({ added_tokens: [{ id: 1, content: '<pad>', special: true }] })),
        /added token "<pad>" has the id 1, which is that of the token "a"/);
    assert.match(refusal(characters({}, { unk_token: 'none' })), /"unk_token" is no token/);
});

test('bytes that a byte-level vocabulary lacks are left out where no token stands for them', { skip }, (t) => {
    const { tokens } = changedTokenizer(t, 'tiny-test');
    const without = (unk_token) => tokens((j) => {
        const id = j.model.vocab.z;
        j.model.merges = [];
        delete j.model.vocab.z;
        j.model.vocab['<unk>'] = id;
        j.model.unk_token = unk_token;
    });
    const a = without('<unk>')('aa').split(' ')[0];
    assert.equal(without(null)('azza'), `${a} ${a}`);
});

test('a text has the Unicode form that tokenizer.json asks for', { skip }, (t) => {
    const { tokens, refusal, to } = changedTokenizer(t, 'tiny-test');
    const form = () => readGguf(to).metadata['tokenizer.weir.text_form'];
    const texts = ['the cat', 'cafe\u0301', 'caf\u00e9', 'a\u0301<|im_end|>a\u0323\u0307', 'x<|im_end|>\u0338', '<|im_start|>'];
    const plain = tokens(() => {});
    assert.equal(form(), undefined);
    assert.notEqual(plain('cafe\u0301'), plain('caf\u00e9'));
    const before = Object.fromEntries(texts.flatMap((x) => ['NFC', 'NFD'].map((f) => x.normalize(f))).map((x) => [x, plain(x)]));
    const spelledOut = plain('<|im_end|>', '--no-special');

    const nfc = tokens((j) => { j.normalizer = { type: 'NFC' }; });
    assert.deepEqual(form(), ['NFC']);
    for (const text of texts.slice(0, 4)) assert.equal(nfc(text), before[text.normalize('NFC')]);
    // The names of special tokens are looked for in the text as it came, unless the file says that they are normalized.
    const nfkd = tokens((j) => {
        j.normalizer = { type: 'Sequence', normalizers: [{ type: 'NFKC' }, { type: 'NFD' }] };
        for (const token of j.added_tokens) token.normalized = token.content === '<|im_start|>';
    });
    assert.deepEqual(form(), ['NFKC', 'NFD']);
    assert.equal(nfkd('ｃａf\u00e9'), before['cafe\u0301']);
    assert.equal(nfkd('x<|im_end|>\u0338'), before['x<|im_end|>\u0338']);
    assert.equal(nfkd('＜|im_end|>'), spelledOut);
    assert.equal(nfkd('＜|im_start|＞'), before['<|im_start|>']);
    assert.match(refusal((j) => { j.normalizer = { type: 'Nmt' }; }), /"normalizer": Nmt is not supported/);
});

test('the ends of a text are those of the post-processor where no name of them is written', { skip }, (t) => {
    const bert = changedTokenizer(t, 'tiny-test-bert');
    fs.writeFileSync(path.join(bert.hf, 'tokenizer_config.json'), JSON.stringify({ do_lower_case: true }));
    const post = (first, last) => ({ type: 'TemplateProcessing', special_tokens: {},
        single: [{ SpecialToken: { id: first } }, { Sequence: { id: 'A' } }, ...(last ? [{ SpecialToken: { id: last } }] : [])] });
    bert.tokens((j) => {
        for (const key of Object.keys(j)) delete j[key];
        Object.assign(j, { added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({ id, content, special: true })),
            post_processor: post('[CLS]', '[SEP]'),
            model: { type: 'WordPiece', unk_token: '[UNK]', vocab: { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, the: 4 } } });
    });
    assert.equal(succeed(['embed', '-m', bert.to], 'the x'), succeed(['embed', '-m', bert.to, '--tokens', '2,4,1,3']));

    const llama = changedTokenizer(t, 'tiny-test', { change: (c) => { delete c.bos_token_id; } });
    fs.writeFileSync(path.join(llama.hf, 'tokenizer_config.json'), '{}');
    let name;
    llama.tokens((j) => { name = j.added_tokens[0].content; j.post_processor = post(name); });
    const { metadata } = readGguf(llama.to);
    assert.equal(metadata['tokenizer.ggml.bos_token_id'], metadata['tokenizer.ggml.tokens'].indexOf(name));
    assert.equal(metadata['tokenizer.ggml.add_bos_token'], 1);
});

// Of "aba" the cut "▁ab" + "a" has the greatest sum of scores.
const PIECES = [['<s>', 0], ['<pad>', 0], ['</s>', 0], ['<unk>', 0], ['▁', -4], ['a', -3], ['b', -3], ['▁a', -3], ['▁ab', -2],
    ['ba', -4.5], ['c', -9]];
const METASPACE = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' };

// SentencePiece's table of replacements with one entry, a line break becomes a space: its trie has a root whose
// children stand at 16 ^ byte, the child for byte 10, and behind that where in the texts its own begins.
function lineBreakTable() {
    const units = new Uint32Array(28);
    units[0] = 16 << 10;
    units[16 ^ 10] = 1 << 10 | 1 << 8 | 10;
    units[(16 ^ 10) ^ 1] = 0x80000000;
    const size = Buffer.alloc(4);
    size.writeUInt32LE(units.byteLength);
    return Buffer.concat([size, Buffer.from(units.buffer), Buffer.from(' \0')]);
}

function withUnigram(hf, change = () => {}) {
    const special = (content, id) => ({ id, content, special: true });
    const tokenizer = {
        added_tokens: ['<s>', '<pad>', '</s>', '<unk>'].map(special),
        normalizer: { type: 'Precompiled', precompiled_charsmap: lineBreakTable().toString('base64') },
        pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, METASPACE] },
        post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } },
            { SpecialToken: { id: '</s>' } }] },
        model: { type: 'Unigram', unk_id: 3, vocab: PIECES } };
    change(tokenizer);
    fs.writeFileSync(path.join(hf, 'tokenizer.json'), JSON.stringify(tokenizer));
    fs.writeFileSync(path.join(hf, 'tokenizer_config.json'), JSON.stringify({ pad_token: '<pad>' }));
    return hf;
}

test('a Unigram tokenizer keeps its scores, its table and the ends of a text', { skip }, (t) => {
    const folder = makeFolder(t);
    const hf = writeHfFolder(path.join(folder, 'hf'), synthesize(folder, 'tiny-test-bert'));
    const to = path.join(folder, 'out.gguf');
    const converted = (change) => weir(['quantize', withUnigram(hf, change), to]);
    const ids = (text) => succeed(['tokenize', '-m', to, '--no-special'], text).trim();
    const embedsAs = (text, tokens) =>
        assert.equal(succeed(['embed', '-m', to], text), succeed(['embed', '-m', to, '--tokens', tokens]));
    const first = converted();
    assert.equal(first.status, 0, first.stderr);
    assert.equal(ids('aba  ab\na'), '8 5 8 7');
    assert.equal(ids('ac zz'), '7 10 4 3');
    embedsAs('ab a', '0,8,7,2');
    const { metadata } = readGguf(to);
    assert.deepEqual(Buffer.from(metadata['tokenizer.ggml.precompiled_charsmap']), lineBreakTable());
    assert.equal(metadata['tokenizer.ggml.padding_token_id'], 1);

    const asT5 = converted((j) => { // no beginning, and an expression makes one space of several
        j.normalizer = { type: 'Sequence', normalizers: [{ type: 'Strip', strip_left: false, strip_right: true },
            { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' }] };
        j.pre_tokenizer = METASPACE;
        j.post_processor.single.shift();
    });
    assert.equal(asT5.status, 0, asT5.stderr);
    assert.equal(ids(' aba  ab '), '8 5 8');
    embedsAs('ab a', '8,7,2');

    const asAlbert = converted((j) => {
        const several = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' };
        const steps = [{ type: 'NFKD' }, { type: 'StripAccents' }, { type: 'Lowercase' }, several];
        j.normalizer = { type: 'Sequence', normalizers: [{ type: 'Replace', pattern: { String: 'xx' }, content: 'a' }, ...steps, ...steps] };
    });
    assert.equal(asAlbert.status, 0, asAlbert.stderr);
    assert.equal(ids(' ABá  Ｃxx\u2028a '), '8 5 4 10 5 7');
    assert.deepEqual(readGguf(to).metadata['tokenizer.weir.text_form'], ['Replace', 'xx', 'a',
        'NFKD', 'StripAccents', 'Lowercase', 'NFKD', 'StripAccents', 'Lowercase', 'Spaces']);

    const bytes = Array.from({ length: 256 }, (_, i) => [`<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`, 0]);
    const asLlama = converted((j) => {
        Object.assign(j, { normalizer: null, pre_tokenizer: { ...METASPACE, prepend_scheme: 'never' }, post_processor: null });
        Object.assign(j.model, { byte_fallback: true, vocab: [...PIECES, ...bytes] });
    });
    assert.equal(asLlama.status, 0, asLlama.stderr);
    assert.equal(ids('ab  z'), `5 6 4 4 ${PIECES.length + 'z'.charCodeAt(0)}`);
    embedsAs('ab', '5,6');
});

test('what GGUF cannot say of a Unigram tokenizer is refused by name', { skip }, (t) => {
    const folder = makeFolder(t);
    const hf = writeHfFolder(path.join(folder, 'hf'), synthesize(folder, 'tiny-test-bert'));
    const refused = (change) => {
        const { status, stderr } = weir(['quantize', withUnigram(hf, change), path.join(folder, 'out.gguf')]);
        assert.equal(status, 1);
        return stderr;
    };
    const normalizer = (...normalizers) => refused((j) => { j.normalizer = { type: 'Sequence', normalizers }; });
    assert.match(normalizer({ type: 'Nmt' }), /of type "Nmt" as it is there is not supported/);
    assert.match(normalizer({ type: 'Replace', pattern: { Regex: 'x+' }, content: 'y' }), /type "Replace"/);
    const table = { type: 'Precompiled', precompiled_charsmap: lineBreakTable().toString('base64') };
    assert.match(normalizer(table, { type: 'NFKD' }), /type "NFKD"/); // steps come before the table
    assert.match(refused((j) => { j.pre_tokenizer.pretokenizers[1] = { ...METASPACE, prepend_scheme: 'first' }; }), /type "Metaspace"/);
    const several = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' };
    assert.match(refused((j) => {
        Object.assign(j, { normalizer: { type: 'Sequence', normalizers: [several, { type: 'Lowercase' }] }, pre_tokenizer: METASPACE });
    }), /type "Lowercase"/);
    assert.match(refused((j) => { Object.assign(j, { normalizer: { type: 'Strip' }, pre_tokenizer: METASPACE }); }), /type "Strip"/);
    assert.match(refused((j) => { j.pre_tokenizer = { type: 'ByteLevel' }; }), /type "ByteLevel"/);
    assert.match(refused((j) => { j.normalizer.precompiled_charsmap = 'A'; }), /"precompiled_charsmap": no base64/);
    assert.match(refused((j) => { j.model.vocab = [['a']]; }), /has no score/);
    assert.match(refused((j) => { j.model.vocab = Object.fromEntries(PIECES); }), /"vocab" of a Unigram model must be a list/);
    assert.match(refused((j) => { j.model.unk_id = null; }), /needs an "unk_id"/);
});

test('a folder of XLM-RoBERTa is a BERT whose positions begin behind that of padding', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = synthesize(folder, 'tiny-test-bert');
    const to = path.join(folder, 'out.gguf');
    const embed = (model) => succeed(['embed', '-m', model, '--tokens', '5,600,7']);
    succeed(['quantize', writeHfFolder(path.join(folder, 'hf'), file, { roberta: true }), to, '--type', 'f32']);
    assert.equal(embed(to), embed(file));
    assert.equal(readGguf(to).metadata['bert.context_length'], 256);
    const { stderr } = weir(['quantize', writeHfFolder(path.join(folder, 'far'), file, { roberta: true,
        change: (c) => { c.pad_token_id = c.max_position_embeddings; } }), to]);
    assert.match(stderr, /"pad_token_id" must be a position/);
});

test('a folder is served as it is', { skip }, async (t) => {
    const folder = makeFolder(t);
    const hf = writeHfFolder(path.join(folder, 'my-model'), synthesize(folder, 'tiny-test-qwen3'));
    const server = await startServer(t, { model: hf });
    const models = await (await fetch(`${server.url}/v1/models`)).json();
    assert.equal(models.data[0].id, 'my-model');
    const answer = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ max_tokens: 4, messages: [{ role: 'user', content: 'Hi' }] }) });
    assert.equal(answer.status, 200);
});

test('a model without a chat template goes on with texts, and says that it cannot chat', { skip }, async (t) => {
    const folder = makeFolder(t);
    const hf = writeHfFolder(path.join(folder, 'base'), synthesize(folder, 'tiny-test'));
    const config = path.join(hf, 'tokenizer_config.json');
    const { chat_template: template, ...rest } = JSON.parse(fs.readFileSync(config, 'utf8'));
    assert.ok(template);
    fs.writeFileSync(config, JSON.stringify(rest));
    const { url } = await startServer(t, { model: hf });
    const post = async (route, body) => {
        const reply = await fetch(`${url}${route}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
        return { status: reply.status, body: await reply.json() };
    };
    assert.deepEqual((await (await fetch(`${url}/v1/models`)).json()).data[0].capabilities, ['embeddings']);
    const text = await post('/v1/completions', { prompt: 'The cat', max_tokens: 4 });
    assert.equal(text.status, 200);
    assert.equal(text.body.usage.completion_tokens, 4);
    const messages = [{ role: 'user', content: 'Hi' }];
    for (const [route, body] of [['/v1/chat/completions', { messages }], ['/v1/responses', { input: 'Hi' }],
        ['/v1/messages', { messages, max_tokens: 4 }], ['/v1/messages/count_tokens', { messages }]]) {
        const reply = await post(route, body);
        assert.equal(reply.status, 400, route);
        assert.match(reply.body.error.message, /the model has no chat template/);
    }
});

test('a SentencePiece tokenizer is recognised by its byte fallback', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = path.join(folder, 'plain.gguf');
    succeed(['synth', '--shape', 'tiny-test', file, '--type', 'f32']);
    const hf = writeHfFolder(path.join(folder, 'hf'), file);
    const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
    const tokens = ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', 'b', 'ab', '▁ab', 'ba'];
    fs.writeFileSync(path.join(hf, 'tokenizer.json'), JSON.stringify({
        added_tokens: tokens.slice(0, 3).map((content, id) => ({ id, content, special: true })),
        normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' },
            { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
        model: { type: 'BPE', byte_fallback: true, unk_token: '<unk>',
            vocab: Object.fromEntries(tokens.map((text, id) => [text, id])), merges: ['a b', '▁ ab', 'b a'] } }));
    const again = path.join(folder, 'again.gguf');
    succeed(['quantize', hf, again]);
    const id = (text) => tokens.indexOf(text);
    const ids = (text) => succeed(['tokenize', '-m', again], text).trim().split(/\s+/).map(Number);
    assert.deepEqual(ids('ab'), [id('▁ab')]);
    assert.deepEqual(ids('abba ab'), [id('▁ab'), id('ba'), id('▁ab')]);
    assert.deepEqual(ids('z\n'), [id('▁'), id('<0x7A>'), id('<0x0A>')]);
});

test('spaces of a SentencePiece tokenizer: Metaspace, and runs that are added once more', { skip }, (t) => {
    const { tokens, refusal } = changedTokenizer(t, 'tiny-test');
    const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
    const names = ['<unk>', '<s>', '</s>', ...bytes, '▁', 'a', 'b', '▁a', '▁▁', '▁▁▁'];
    const spm = (more) => (j) => {
        for (const key of Object.keys(j)) delete j[key];
        Object.assign(j, { added_tokens: ['<unk>', '<s>', '</s>', '▁▁', '▁▁▁'].map((content) => (
            { id: names.indexOf(content), content, normalized: false, special: content[0] === '<' })), ...more,
            model: { type: 'BPE', byte_fallback: true, unk_token: '<unk>', vocab: Object.fromEntries(names.map((text, id) => [text, id])),
                merges: ['▁▁ ▁', '▁ ▁▁', '▁ ▁', '▁ a'] } });
    };
    const ids = (...texts) => texts.map((text) => names.indexOf(text)).join(' ');
    const gemma = tokens(spm({ normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false } }));
    assert.equal(gemma('   a  b a'), ids('▁▁▁', 'a', '▁▁', 'b', '▁a'));
    assert.equal(gemma(gemma('   a  b'), '--decode'), '   a  b');
    assert.equal(gemma('<unk>a'), ids('<unk>', 'a'));
    const metaspace = (more) => spm({ pre_tokenizer: { type: 'Metaspace', replacement: '▁', split: false, ...more } });
    const first = tokens(metaspace({ prepend_scheme: 'first' }));
    assert.equal(first('a'), ids('▁a'));
    assert.equal(first('  a'), ids('▁▁', 'a'));
    assert.equal(first('</s>a</s> a'), ids('</s>', 'a', '</s>', '▁a'));
    assert.equal(tokens(metaspace({ prepend_scheme: 'always' }))('</s>a</s> a'), ids('</s>', '▁a', '</s>', '▁a'));
    assert.equal(tokens(metaspace({ prepend_scheme: 'never' }))('a'), ids('a'));
    const strips = tokens((j) => { spm({})(j); j.added_tokens[2].rstrip = true; });
    assert.equal(strips('a</s> \n a<s> a'), ids('a', '</s>', 'a', '<s>', '▁a'));
    const stripsInFront = tokens((j) => { spm({})(j); j.added_tokens[2].lstrip = true; });
    assert.equal(stripsInFront('a \n\u3000</s> a'), ids('a', '</s>', '▁a'));
    assert.match(refusal((j) => { spm({})(j); j.added_tokens[2].single_word = true; }), /added token "<\/s>": "single_word" is not supported/);
    assert.match(refusal(metaspace({ split: true })), /"pre_tokenizer": Metaspace is not supported/);
    const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
    assert.equal(tokens(spm({ normalizer: { type: 'Sequence', normalizers: [{ type: 'NFKC' }, replace] } }))('ａ\u00a0a'), ids('a', '▁a'));
    assert.match(refusal(spm({ normalizer: { type: 'Sequence', normalizers: [replace, { type: 'NFKC' }] } })),
        /"normalizer": NFKC is not supported/);
});

test('what is missing, broken or unknown in a folder is named', { skip }, (t) => {
    const folder = makeFolder(t);
    const file = synthesize(folder, 'tiny-test');
    const refused = (name, spoil, change) => {
        const hf = writeHfFolder(path.join(folder, name), file, { change });
        spoil(hf);
        const { status, stderr } = weir(['quantize', hf, path.join(folder, 'out.gguf')]);
        assert.equal(status, 1, name);
        assert.ok(!fs.existsSync(path.join(folder, 'out.gguf')), name);
        return stderr;
    };
    const nothing = () => {};
    const weights = (hf) => path.join(hf, 'model.safetensors');
    assert.match(refused('no-config', (hf) => fs.unlinkSync(path.join(hf, 'config.json'))), /config\.json: cannot open/);
    assert.match(refused('no-tokenizer', (hf) => fs.unlinkSync(path.join(hf, 'tokenizer.json'))), /tokenizer\.json/);
    assert.match(refused('no-weights', (hf) => fs.unlinkSync(weights(hf))), /model\.safetensors: cannot open/);
    assert.match(refused('short', (hf) => fs.truncateSync(weights(hf), 5000)), /cut short|do not fit/);
    assert.match(refused('header', (hf) => fs.writeFileSync(weights(hf), Buffer.alloc(64, 0xff))), /no safetensors file/);
    assert.match(refused('architecture', nothing, (c) => { c.architectures = ['T5ForConditionalGeneration']; }), /"T5ForConditionalGeneration" is not supported/);
    assert.match(refused('layers', nothing, (c) => { c.num_hidden_layers = 'two'; }), /"num_hidden_layers" must be/);
    assert.match(refused('rope', nothing, (c) => { c.rope_scaling = { type: 'dynamic' }; }), /"dynamic" is not supported/);
    assert.match(refused('long-rope', nothing, (c) => { c.rope_scaling = { type: 'longrope', long_factor: [1] }; }),
        /"short_factor" must have 8 numbers above 0/);
    assert.match(refused('old-context', nothing, (c) => {
        c.rope_scaling = { rope_type: 'yarn', factor: 2, original_max_position_embeddings: 1e300 };
    }), /"original_max_position_embeddings" must be/);
    assert.match(refused('vocabulary', nothing, (c) => { c.vocab_size = 1e9; }), /"vocab_size" must be .* to 1048576/);
    assert.match(refused('activation', nothing, (c) => { c.hidden_act = 'gelu'; }), /activation "gelu" is not supported/);
    for (const part of [0, 0.7, 1.5]) { // 0.7 of 16 is no even number
        assert.match(refused(`part-${part}`, nothing, (c) => { c.partial_rotary_factor = part; }), /"partial_rotary_factor" \d/);
    }
    assert.match(refused('words', (hf) => {
        const name = path.join(hf, 'tokenizer.json');
        const json = JSON.parse(fs.readFileSync(name, 'utf8'));
        json.pre_tokenizer.pretokenizers[0].pattern.Regex = '\\w+';
        fs.writeFileSync(name, JSON.stringify(json));
    }), /"pre_tokenizer": \\w\+ is not supported/);
    assert.match(weir(['quantize', path.join(folder, 'rope'), 'x.gguf', '--type', 'packed']).stderr, /first, with --type q8_0/);
});
