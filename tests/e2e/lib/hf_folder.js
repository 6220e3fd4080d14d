'use strict';
// Writes a GGUF model of F32 tensors as Hugging Face lays models out: config.json, tokenizer.json,
// tokenizer_config.json and safetensors, in one file or two.

const fs = require('node:fs');
const path = require('node:path');
const { readGguf } = require('./gguf.js');

const ARCHITECTURES = {
    llama: 'LlamaForCausalLM', granite: 'GraniteForCausalLM', qwen2: 'Qwen2ForCausalLM', qwen3: 'Qwen3ForCausalLM',
    qwen2moe: 'Qwen2MoeForCausalLM', qwen3moe: 'Qwen3MoeForCausalLM', starcoder2: 'Starcoder2ForCausalLM',
    stablelm: 'StableLmForCausalLM', gpt2: 'GPT2LMHeadModel', bert: 'BertModel', 'nomic-bert': 'NomicBertModel', olmo2: 'Olmo2ForCausalLM', gemma2: 'Gemma2ForCausalLM', gemma3: 'Gemma3ForCausalLM',
    phi3: 'Phi3ForCausalLM', smollm3: 'SmolLM3ForCausalLM',
};
const OUTER = { 'token_embd.weight': 'model.embed_tokens.weight', 'output_norm.weight': 'model.norm.weight',
    'output_norm.bias': 'model.norm.bias', 'output.weight': 'lm_head.weight' };
const INNER = {
    attn_norm: 'input_layernorm', attn_q: 'self_attn.q_proj', attn_k: 'self_attn.k_proj', attn_v: 'self_attn.v_proj',
    attn_qkv: 'self_attn.qkv_proj', attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm',
    attn_output: 'self_attn.o_proj', ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj',
    post_attention_norm: 'post_attention_layernorm', post_ffw_norm: 'post_feedforward_layernorm',
    ffn_gate_inp: 'mlp.gate', ffn_gate_inp_shexp: 'mlp.shared_expert_gate', ffn_gate_shexp: 'mlp.shared_expert.gate_proj',
    ffn_up_shexp: 'mlp.shared_expert.up_proj', ffn_down_shexp: 'mlp.shared_expert.down_proj',
};
const MIXTRAL = { gate: 'w1', up: 'w3', down: 'w2' };
const TAIL = '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const QWEN2 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" + TAIL;

const isGemma = (arch) => arch === 'gemma2' || arch === 'gemma3';

// Matrices with a row for each input.
const GPT2 = { attn_norm: 'ln_1', ffn_norm: 'ln_2', attn_qkv: 'attn.c_attn', attn_output: 'attn.c_proj', ffn_up: 'mlp.c_fc',
    ffn_down: 'mlp.c_proj', 'token_embd.weight': 'wte.weight', 'position_embd.weight': 'wpe.weight',
    'output_norm.weight': 'ln_f.weight', 'output_norm.bias': 'ln_f.bias' };

const BERT = { attn_q: 'attention.self.query', attn_k: 'attention.self.key', attn_v: 'attention.self.value',
    attn_output: 'attention.output.dense', attn_output_norm: 'attention.output.LayerNorm', ffn_up: 'intermediate.dense',
    ffn_down: 'output.dense', layer_output_norm: 'output.LayerNorm', token_embd: 'embeddings.word_embeddings',
    position_embd: 'embeddings.position_embeddings', token_types: 'embeddings.token_type_embeddings',
    token_embd_norm: 'embeddings.LayerNorm' };

const NOMIC = { attn_qkv: 'attn.Wqkv', attn_output: 'attn.out_proj', attn_output_norm: 'norm1', ffn_up: 'mlp.fc11',
    ffn_gate: 'mlp.fc12', ffn_down: 'mlp.fc2', layer_output_norm: 'norm2', token_embd: 'embeddings.word_embeddings',
    token_types: 'embeddings.token_type_embeddings', token_embd_norm: 'emb_ln' };

function transpose(data, rows) {
    const width = data.length / 4 / rows, out = Buffer.alloc(data.length);
    for (let r = 0; r < rows; r++) {
        for (let k = 0; k < width; k++) data.copy(out, 4 * (k * rows + r), 4 * (r * width + k), 4 * (r * width + k + 1));
    }
    return out;
}

function hfName(name, arch) {
    const [, layer, part, kind] = name.match(/^blk\.(\d+)\.(\w+)\.(\w+)$/) ?? [];
    if (arch === 'bert') {
        const [outer, ending] = name.split('.');
        return layer === undefined ? `${BERT[outer]}.${ending}` : `encoder.layer.${layer}.${BERT[part]}.${kind}`;
    }
    if (arch === 'nomic-bert') {
        const [outer, ending] = name.split('.');
        return layer === undefined ? `${NOMIC[outer]}.${ending}` : `encoder.layers.${layer}.${NOMIC[part]}.${kind}`;
    }
    if (arch === 'gpt2') return layer === undefined ? GPT2[name] ?? OUTER[name] : `transformer.h.${layer}.${GPT2[part]}.${kind}`;
    if (layer === undefined) return OUTER[name];
    let to = INNER[part];
    if (part === 'ffn_norm') to = isGemma(arch) ? 'pre_feedforward_layernorm' : 'post_attention_layernorm';
    if (part === 'ffn_up' && arch === 'phi3') to = 'mlp.gate_up_proj';
    if (arch === 'starcoder2') to = { ffn_up: 'mlp.c_fc', ffn_down: 'mlp.c_proj' }[part] ?? to;
    if (part === 'ffn_gate_inp' && arch === 'llama') to = 'block_sparse_moe.gate';
    return `model.layers.${layer}.${to}.${kind}`;
}

// From pairs to halves: of each head the even rows, then the odd ones.
function partRows(data, rows, headDim) {
    const width = data.length / rows, out = Buffer.alloc(data.length);
    for (let row = 0; row < rows; row++) {
        const i = row % headDim;
        const to = row - i + (i % 2) * (headDim / 2) + Math.floor(i / 2);
        data.copy(out, to * width, row * width, (row + 1) * width);
    }
    return out;
}

function lessOne(data) {
    const out = Buffer.from(data);
    for (let i = 0; i < out.length; i += 4) out.writeFloatLE(out.readFloatLE(i) - 1, i);
    return out;
}

function convert(tensor, arch, headDim) {
    let { data } = tensor;
    const dims = tensor.dims.toReversed ? tensor.dims.toReversed() : [...tensor.dims].reverse();
    const paired = ['llama', 'granite', 'smollm3'].includes(arch) && /\.attn_[qk]\./.test(tensor.name);
    if (paired) data = partRows(data, dims[0], headDim);
    if (isGemma(arch) && tensor.name.includes('norm.')) data = lessOne(data);
    if (arch === 'gpt2' && dims.length === 2 && tensor.name.startsWith('blk.')) {
        return { name: hfName(tensor.name, arch), dims: [...dims].reverse(), data: transpose(data, dims[0]) };
    }
    return { name: hfName(tensor.name, arch), dims: tensor.name.includes('_inp_shexp') ? [1, ...dims] : dims, data };
}

// StableLM 2 12B: a tensor of all heads' norms becomes one for each.
const hasHeadNorms = ({ name, dims }) => /\.attn_[qk]_norm\.weight$/.test(name) && dims.length === 2;
function normsOf({ name, dims, data }) {
    const [, layer, part] = name.match(/^blk\.(\d+)\.attn_([qk])_norm/);
    const [width, n] = dims, bytes = data.length / n;
    return Array.from({ length: n }, (_, h) => ({ name: `model.layers.${layer}.self_attn.${part}_layernorm.norms.${h}.weight`,
        dims: [width], data: data.subarray(h * bytes, (h + 1) * bytes) }));
}

// A tensor of all experts becomes one for each.
function expertsOf({ name, dims, data }, arch) {
    const [, layer, part] = name.match(/^blk\.(\d+)\.ffn_(\w+)_exps/);
    const [width, rows, n] = dims, bytes = data.length / n;
    return Array.from({ length: n }, (_, e) => ({
        name: arch === 'llama' ? `model.layers.${layer}.block_sparse_moe.experts.${e}.${MIXTRAL[part]}.weight`
            : `model.layers.${layer}.mlp.experts.${e}.${part}_proj.weight`,
        dims: [rows, width], data: data.subarray(e * bytes, (e + 1) * bytes),
    }));
}

function writeSafetensors(file, tensors) {
    const table = { __metadata__: { format: 'pt' } };
    let at = 0;
    for (const { name, dims, data } of tensors) {
        table[name] = { dtype: 'F32', shape: dims, data_offsets: [at, at + data.length] };
        at += data.length;
    }
    const header = Buffer.from(JSON.stringify(table));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    fs.writeFileSync(file, Buffer.concat([length, header, ...tensors.map(({ data }) => data)]));
}

// The factors of LongRoPE, which GGUF has as tensors.
function longRope(m, arch, tensors) {
    const numbers = (name) => {
        const { data, dims } = tensors.find((t) => t.name === `rope_factors_${name}.weight`);
        return Array.from({ length: dims[0] }, (_, i) => data.readFloatLE(4 * i));
    };
    return { type: 'longrope', short_factor: numbers('short'), long_factor: numbers('long'),
        attention_factor: m[`${arch}.rope.scaling.attn_factor`],
        original_max_position_embeddings: m[`${arch}.rope.scaling.original_context_length`] };
}

function config(m, arch, tensors) {
    const get = (key) => m[`${arch}.${key}`];
    const isLong = tensors.some(({ name }) => name === 'rope_factors_long.weight');
    const scaling = isLong ? longRope(m, arch, tensors) : get('rope.scaling.type') && { rope_type: get('rope.scaling.type'), factor: get('rope.scaling.factor'),
        original_max_position_embeddings: get('rope.scaling.original_context_length') };
    const experts = get('expert_count'), mixtral = experts && arch === 'llama';
    if (arch === 'gpt2') {
        return { architectures: [ARCHITECTURES.gpt2], n_embd: get('embedding_length'), n_layer: get('block_count'), n_head: get('attention.head_count'),
            n_positions: get('context_length'), n_inner: get('feed_forward_length'), activation_function: 'gelu_new',
            layer_norm_epsilon: get('attention.layer_norm_epsilon'), vocab_size: get('vocab_size') };
    }
    if (arch === 'nomic-bert') {
        return { architectures: [ARCHITECTURES[arch]], model_type: 'nomic_bert', n_embd: get('embedding_length'), n_layer: get('block_count'),
            n_head: get('attention.head_count'), n_positions: 4 * get('context_length'), max_trained_positions: get('context_length'),
            n_inner: get('feed_forward_length'), activation_function: 'swiglu', layer_norm_epsilon: get('attention.layer_norm_epsilon'),
            vocab_size: get('vocab_size'), rotary_emb_base: get('rope.freq_base'), rotary_emb_fraction: 1, rotary_emb_interleaved: false,
            rotary_emb_scale_base: null, rotary_scaling_factor: null, prenorm: false, causal: false, qkv_proj_bias: false, type_vocab_size: 2 };
    }
    return {
        use_parallel_residual: Boolean(get('use_parallel_residual')),
        ...(experts && { [mixtral ? 'num_local_experts' : 'num_experts']: experts, num_experts_per_tok: get('expert_used_count'),
            moe_intermediate_size: mixtral ? undefined : get('expert_feed_forward_length'),
            shared_expert_intermediate_size: get('expert_shared_feed_forward_length'),
            norm_topk_prob: arch !== 'qwen2moe', decoder_sparse_step: 1, mlp_only_layers: [] }),
        norm_epsilon: get('attention.layer_norm_epsilon'), layer_norm_eps: get('attention.layer_norm_epsilon'),
        architectures: [mixtral ? 'MixtralForCausalLM' : ARCHITECTURES[arch]], num_hidden_layers: get('block_count'),
        hidden_size: get('embedding_length'), intermediate_size: get('feed_forward_length'),
        max_position_embeddings: get('context_length'), num_attention_heads: get('attention.head_count'),
        num_key_value_heads: get('attention.head_count_kv'), head_dim: get('attention.key_length'),
        vocab_size: get('vocab_size'), rms_norm_eps: get('attention.layer_norm_rms_epsilon'),
        rope_theta: get('rope.freq_base'), rope_scaling: scaling ?? null, sliding_window: get('attention.sliding_window'),
        partial_rotary_factor: get('rope.dimension_count') / get('attention.key_length'),
        embedding_multiplier: get('embedding_scale'), residual_multiplier: get('residual_scale'),
        attention_multiplier: get('attention.scale'), logits_scaling: get('logit_scale'),
        attn_logit_softcapping: get('attn_logit_softcapping'),
        final_logit_softcapping: get('final_logit_softcapping'),
        bos_token_id: m['tokenizer.ggml.bos_token_id'], eos_token_id: [m['tokenizer.ggml.eos_token_id']],
    };
}

function tokenizer(m) {
    const tokens = m['tokenizer.ggml.tokens'], kinds = m['tokenizer.ggml.token_type'];
    const CONTROL = 3;
    return {
        added_tokens: tokens.map((content, id) => ({ id, content, special: true })).filter(({ id }) => kinds[id] === CONTROL),
        pre_tokenizer: { type: 'Sequence', pretokenizers: [
            { type: 'Split', pattern: { Regex: QWEN2 }, behavior: 'Isolated', invert: false },
            { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false }] },
        model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((text, id) => [text, id]).filter(([, id]) => kinds[id] !== CONTROL)),
            merges: m['tokenizer.ggml.merges'].map((merge, i) => (i % 2 ? merge : merge.split(' '))) },
    };
}

// RoBERTa: positions begin behind that of padding; what stands before is not used.
function asRoberta(settings, tensors) {
    const UNUSED = 2;
    const positions = tensors.find(({ name }) => name === 'embeddings.position_embeddings.weight');
    const width = positions.data.length / positions.dims[0];
    positions.data = Buffer.concat([Buffer.alloc(UNUSED * width, 0x3f), positions.data]);
    positions.dims = [positions.dims[0] + UNUSED, positions.dims[1]];
    for (const t of tensors) t.name = `roberta.${t.name}`;
    Object.assign(settings, { architectures: ['XLMRobertaModel'], pad_token_id: UNUSED - 1,
        max_position_embeddings: settings.max_position_embeddings + UNUSED });
}

/* Returns the folder; change(config) may alter config.json. */
function writeHfFolder(folder, ggufFile, { shards = 1, change = () => {}, roberta = false } = {}) {
    const { metadata, tensors } = readGguf(ggufFile);
    const arch = metadata['general.architecture'];
    const all = tensors.filter(({ name }) => !name.startsWith('rope_factors_')).flatMap((t) =>
        t.name.includes('_exps.') ? expertsOf(t, arch) : hasHeadNorms(t) ? normsOf(t) : [convert(t, arch, metadata[`${arch}.attention.key_length`])]);
    const settings = { ...config(metadata, arch, tensors), tie_word_embeddings: !all.some(({ name }) => name === 'lm_head.weight') };
    if (roberta) asRoberta(settings, all);
    fs.mkdirSync(folder, { recursive: true });
    if (shards === 1) {
        writeSafetensors(path.join(folder, 'model.safetensors'), all);
    } else {
        const map = {}, cut = Math.ceil(all.length / shards);
        for (let i = 0; i < shards; i++) {
            const file = `model-0000${i + 1}-of-0000${shards}.safetensors`;
            const part = all.slice(i * cut, (i + 1) * cut);
            writeSafetensors(path.join(folder, file), part);
            part.forEach(({ name }) => { map[name] = file; });
        }
        fs.writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    }
    change(settings);
    fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(settings));
    fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(tokenizer(metadata)));
    fs.writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify({
        eos_token: { content: metadata['tokenizer.ggml.tokens'][metadata['tokenizer.ggml.eos_token_id']] },
        add_bos_token: false, chat_template: metadata['tokenizer.chat_template'] }));
    return folder;
}

module.exports = { writeHfFolder };
