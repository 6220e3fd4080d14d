#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/format/gguf.h"
#include "models/format/gguf_write.h"
#include "models/tokenizer/bpe_train.h"
#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/vocab.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/synth_shapes.h"

#define LAYER_TENSORS  37 /* at most */
#define OTHER_TENSORS  8
#define TOKEN_TYPES    2 /* of an encoder */
#define POOLED_BY_MEAN 1
#define FILLER_LETTERS 5
#define FILLER_BYTES   (FILLER_LETTERS + BYTE_ALPHABET_MAX)

/* --- tokenizer --- */

/* The control tokens, the bytes, then words of letters until the vocabulary is full: " baaaa",
 * " caaaa". No merge makes those, so text is encoded byte by byte and only a model says them.
 */
static void name_tokens(const struct synth_shape *s, struct gguf_str *names, int32_t *kinds,
                        char *text)
{
    for (uint32_t id = 0; id < s->vocab; id++) {
        kinds[id] = id < BPE_N_SPECIAL ? TOKEN_CONTROL : TOKEN_NORMAL;
        if (id < BPE_N_SPECIAL) {
            names[id] =
                (struct gguf_str){bpe_special_tokens[id], strlen(bpe_special_tokens[id])};
            continue;
        }
        char bytes[1 + FILLER_LETTERS] = {' '};
        size_t len = 1;
        if (id < BPE_MIN_VOCAB) {
            bytes[0] = (char)(id - BPE_N_SPECIAL);
        } else {
            for (uint32_t n = id; len < sizeof(bytes); n /= 26) {
                bytes[len++] = (char)('a' + n % 26);
            }
        }
        names[id] = (struct gguf_str){text, byte_alphabet_encode(bytes, len, text)};
        text += FILLER_BYTES;
    }
}

static int put_tokenizer(struct gguf_writer *w, const struct synth_shape *s, struct err *e)
{
    struct gguf_str *names = mem_array(s->vocab, sizeof(*names));
    int32_t *kinds = mem_array(s->vocab, sizeof(*kinds));
    char *text = mem_array(s->vocab, FILLER_BYTES);
    int rc = names && kinds && text ? 0 : err_nomem(e);
    if (rc == 0) {
        name_tokens(s, names, kinds, text);
        gguf_put_str(w, "tokenizer.ggml.model", "gpt2");
        gguf_put_str(w, "tokenizer.ggml.pre", "qwen2");
        gguf_put_strs(w, "tokenizer.ggml.tokens", names, s->vocab);
        gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, kinds, s->vocab);
        gguf_put_strs(w, "tokenizer.ggml.merges", NULL, 0);
        gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 0);
        gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
        gguf_put_u32(w, "tokenizer.ggml.padding_token_id", 0);
        gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
        gguf_put_str(w, "tokenizer.chat_template", bpe_chat_template);
    }
    mem_free(names);
    mem_free(kinds);
    mem_free(text);
    return rc;
}

/* The tokenizer of another model; the shape takes its size. */
static int copy_tokenizer(struct gguf_writer *w, struct synth_shape *s, const char *path,
                          struct err *e)
{
    const struct gguf_str *tokens;
    size_t count = 0;
    struct gguf *g = gguf_open(path, e);
    int rc = g ? gguf_get_strs(g, "tokenizer.ggml.tokens", &tokens, &count, e) : -1;
    if (rc == 0 && (count == 0 || count > BPE_MAX_VOCAB)) {
        rc = err_set(e, ERR_LIMIT, "%s: %zu tokens, 1 to %d are allowed", path, count,
                     BPE_MAX_VOCAB);
    }
    if (rc == 0) {
        gguf_put_copies(w, g, "tokenizer.");
        s->vocab = (uint32_t)count;
    }
    gguf_close(g);
    return rc;
}

/* "gemma2.block_count" */
struct key {
    char text[GGUF_MAX_TENSOR_NAME];
};

static struct key key(const struct synth_shape *s, const char *rest)
{
    struct key k;
    snprintf(k.text, sizeof(k.text), "%s.%s", s->arch->name, rest);
    return k;
}

static void put_sizes(struct gguf_writer *w, const struct synth_shape *s)
{
    const struct {
        const char *key;
        uint32_t value; /* 0: the key is left out */
    } sizes[] = {
        {"context_length", s->context},
        {"embedding_length", s->width},
        {"block_count", s->layers},
        {"feed_forward_length", s->ffn},
        {"attention.head_count", s->heads},
        {"attention.head_count_kv", s->kv_heads},
        {"attention.key_length", s->head_dim},
        {"attention.value_length", s->head_dim},
        {"attention.sliding_window", s->arch->window ? s->context / 8 : 0},
        {"rope.dimension_count", s->rope_dims},
        {"vocab_size", s->vocab},
        {"expert_count", s->experts},
        {"expert_used_count", s->used},
        {"expert_feed_forward_length", s->experts ? s->ffn : 0},
        {"expert_shared_feed_forward_length", s->shared_ffn},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (sizes[i].value > 0) {
            gguf_put_u32(w, key(s, sizes[i].key).text, sizes[i].value);
        }
    }
}

static void put_numbers(struct gguf_writer *w, const struct synth_shape *s)
{
    const struct {
        const char *arch, *key;
        float value;
    } numbers[] = {
        {"granite", "embedding_scale", 12.0f},
        {"granite", "residual_scale", 0.22f},
        {"granite", "attention.scale", 0.125f},
        {"granite", "logit_scale", 8.0f},
        {"gemma2", "attn_logit_softcapping", 50.0f},
        {"gemma2", "final_logit_softcapping", 30.0f},
    };
    const char *epsilon = s->arch->layer_norm ? "attention.layer_norm_epsilon"
                                              : "attention.layer_norm_rms_epsilon";
    gguf_put_f32(w, key(s, epsilon).text, 1e-5f);
    gguf_put_f32(w, key(s, "rope.freq_base").text, s->rope_base);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(numbers[i].arch, s->arch->name) == 0) {
            gguf_put_f32(w, key(s, numbers[i].key).text, numbers[i].value);
        }
    }
}

static void put_rope_scaling(struct gguf_writer *w, const struct synth_shape *s)
{
    if (s->yarn > 0.0f) {
        gguf_put_str(w, key(s, "rope.scaling.type").text, "yarn");
        gguf_put_f32(w, key(s, "rope.scaling.factor").text, s->yarn);
        gguf_put_u32(w, key(s, "rope.scaling.original_context_length").text,
                     (uint32_t)((float)s->context / s->yarn));
    }
    if (s->longrope) {
        gguf_put_u32(w, key(s, "rope.scaling.original_context_length").text, s->context / 8);
        gguf_put_f32(w, key(s, "rope.scaling.attn_factor").text, 1.1f);
    }
}

static void put_metadata(struct gguf_writer *w, const struct synth_shape *s, uint32_t type)
{
    gguf_put_str(w, "general.architecture", s->arch->name);
    gguf_put_str(w, "general.name", s->name);
    gguf_put_str(w, "general.description", "random weights");
    /* general.file_type of the GGUF specification. */
    gguf_put_u32(w, "general.file_type", type == TENSOR_Q8_0 ? 7 : type == TENSOR_F16 ? 1 : 0);
    if (type == TENSOR_Q8_0) {
        gguf_put_u32(w, "general.quantization_version", 2);
    }
    if (s->arch->parallel_residual) {
        gguf_put_bool(w, key(s, "use_parallel_residual").text, true);
    }
    if (s->arch->encoder) {
        gguf_put_u32(w, key(s, "pooling_type").text, POOLED_BY_MEAN);
        gguf_put_bool(w, key(s, "attention.causal").text, false);
        gguf_put_u32(w, "tokenizer.ggml.token_type_count", TOKEN_TYPES);
    }
    put_sizes(w, s);
    put_numbers(w, s);
    put_rope_scaling(w, s);
}

/* --- weights --- */

/* Tensors live until the writer has written them. */
struct synthesis {
    struct gguf_writer *out;
    uint32_t type; /* of matrices */
    uint64_t seed;
    float spread;   /* numbers are uniform in +-spread, of norms around 1 */
    void **tensors; /* (count) owned */
    size_t count;
    struct err *e;
};

static int fill_matrix(const struct synthesis *s, uint32_t type, char *to, size_t rows,
                       size_t row_bytes, size_t width)
{
    float *row = mem_array(width, sizeof(*row));
    if (!row) {
        return err_nomem(s->e);
    }
    struct rng rng;
    /* Each tensor from its own seed, so that a matrix does not depend on those before it. */
    rng_seed(&rng, s->seed * 1000003 + s->count);
    for (size_t i = 0; i < rows; i++, to += row_bytes) {
        for (size_t k = 0; k < width; k++) {
            row[k] = (2.0f * rng_uniform(&rng) - 1.0f) * s->spread;
        }
        (void)tensor_row_from_f32(type, row, to, width); /* small numbers fit every type */
    }
    mem_free(row);
    return 0;
}

/* `many` matrices of that many rows, one behind the other. */
static int add_matrices(struct synthesis *s, const char *name, uint32_t type, uint32_t many,
                        uint32_t rows, uint32_t width)
{
    size_t row_bytes = (size_t)tensor_type_row_bytes(type, width), all = (size_t)many * rows;
    char *data = mem_array(all, row_bytes);
    if (!data) {
        return err_nomem(s->e);
    }
    int rc = fill_matrix(s, type, data, all, row_bytes, width);
    s->tensors[s->count++] = data;
    gguf_add_tensor(s->out, name, type, many > 1 ? 3 : 2, (uint64_t[]){width, rows, many},
                    data);
    return rc;
}

static int add_matrix(struct synthesis *s, const char *name, uint32_t rows, uint32_t width)
{
    return add_matrices(s, name, s->type, 1, rows, width);
}

/* Around 1 for a norm, around 0 for a bias; `many` of them in one tensor. */
static int add_vector(struct synthesis *s, const char *name, uint32_t many, uint32_t width,
                      float around)
{
    size_t n = (size_t)many * width;
    float *data = mem_array(n, sizeof(*data));
    if (!data) {
        return err_nomem(s->e);
    }
    struct rng rng;
    rng_seed(&rng, s->seed * 1000003 + s->count);
    for (size_t i = 0; i < n; i++) {
        data[i] = around + (2.0f * rng_uniform(&rng) - 1.0f) * s->spread;
    }
    s->tensors[s->count++] = data;
    gguf_add_tensor(s->out, name, TENSOR_F32, many > 1 ? 2 : 1, (uint64_t[]){width, many},
                    data);
    return 0;
}

enum kind { MATRIX, EXPERTS, ROUTER, NORM, HEAD_NORMS, BIAS };

struct tensor {
    const char *name;
    enum kind kind;
    uint32_t rows, width; /* rows of a vector do not count */
    bool there;
};

static int add_tensor(struct synthesis *s, const struct synth_shape *shape, uint32_t layer,
                      const struct tensor *t)
{
    char name[GGUF_MAX_TENSOR_NAME];
    snprintf(name, sizeof(name), "blk.%u.%s", layer, t->name);
    switch (t->kind) {
    case MATRIX:
        return add_matrix(s, name, t->rows, t->width);
    case EXPERTS:
        return add_matrices(s, name, s->type, shape->experts, t->rows, t->width);
    case ROUTER:
        return add_matrices(s, name, TENSOR_F32, 1, t->rows, t->width);
    case NORM:
        return add_vector(s, name, 1, t->width, 1.0f);
    case HEAD_NORMS:
        return add_vector(s, name, t->rows, t->width, 1.0f);
    case BIAS:
        break;
    }
    return add_vector(s, name, 1, t->width, 0.0f);
}

static int add_layer(struct synthesis *s, const struct synth_shape *shape, uint32_t layer)
{
    const struct synth_arch *a = shape->arch;
    const uint32_t width = shape->width, hd = shape->head_dim, ffn = shape->ffn;
    const uint32_t q = hd * shape->heads, kv = hd * shape->kv_heads;
    const bool qk_norm = a->qk_norm_row || a->qk_norm_head, experts = shape->experts > 0;
    const bool ffn_norm = !a->no_pre_norm && !a->encoder && !a->parallel_residual;
    const struct tensor tensors[LAYER_TENSORS] = {
        {"attn_norm.weight", NORM, 0, width, !a->no_pre_norm && !a->encoder},
        {"attn_norm.bias", BIAS, 0, width, a->layer_norm && !a->encoder},
        {"attn_qkv.weight", MATRIX, q + 2 * kv, width, a->fused_qkv},
        {"attn_qkv.bias", BIAS, 0, q + 2 * kv, a->fused_qkv && a->qkv_bias},
        {"attn_q.weight", MATRIX, q, width, !a->fused_qkv},
        {"attn_k.weight", MATRIX, kv, width, !a->fused_qkv},
        {"attn_v.weight", MATRIX, kv, width, !a->fused_qkv},
        {"attn_q.bias", BIAS, 0, q, !a->fused_qkv && a->qkv_bias},
        {"attn_k.bias", BIAS, 0, kv, !a->fused_qkv && a->qkv_bias},
        {"attn_v.bias", BIAS, 0, kv, !a->fused_qkv && a->qkv_bias},
        {"attn_q_norm.weight", NORM, 0, a->qk_norm_row ? q : hd, qk_norm},
        {"attn_k_norm.weight", NORM, 0, a->qk_norm_row ? kv : hd, qk_norm},
        {"attn_q_norm.weight", HEAD_NORMS, shape->heads, hd, a->qk_norm_own},
        {"attn_k_norm.weight", HEAD_NORMS, shape->kv_heads, hd, a->qk_norm_own},
        {"attn_output.weight", MATRIX, width, q, true},
        {"attn_output.bias", BIAS, 0, width, a->other_biases},
        {"post_attention_norm.weight", NORM, 0, width, a->post_norm},
        {"attn_output_norm.weight", NORM, 0, width, a->encoder},
        {"attn_output_norm.bias", BIAS, 0, width, a->encoder},
        {"ffn_norm.weight", NORM, 0, width, ffn_norm},
        {"ffn_norm.bias", BIAS, 0, width, a->layer_norm && ffn_norm},
        {"ffn_gate.weight", MATRIX, ffn, width, !experts && !a->fused_gate_up && !a->ungated},
        {"ffn_up.weight", MATRIX, a->fused_gate_up ? 2 * ffn : ffn, width, !experts},
        {"ffn_up.bias", BIAS, 0, ffn, a->other_biases},
        {"ffn_down.weight", MATRIX, width, ffn, !experts},
        {"ffn_down.bias", BIAS, 0, width, a->other_biases},
        {"post_ffw_norm.weight", NORM, 0, width, a->post_norm},
        {"layer_output_norm.weight", NORM, 0, width, a->encoder},
        {"layer_output_norm.bias", BIAS, 0, width, a->encoder},
        {"ffn_gate_inp.weight", ROUTER, shape->experts, width, experts},
        {"ffn_gate_exps.weight", EXPERTS, ffn, width, experts},
        {"ffn_up_exps.weight", EXPERTS, ffn, width, experts},
        {"ffn_down_exps.weight", EXPERTS, width, ffn, experts},
        {"ffn_gate_inp_shexp.weight", BIAS, 0, width, a->shared_expert},
        {"ffn_gate_shexp.weight", MATRIX, shape->shared_ffn, width, a->shared_expert},
        {"ffn_up_shexp.weight", MATRIX, shape->shared_ffn, width, a->shared_expert},
        {"ffn_down_shexp.weight", MATRIX, width, shape->shared_ffn, a->shared_expert},
    };
    int rc = 0;
    for (size_t i = 0; i < LAYER_TENSORS && rc == 0; i++) {
        rc = tensors[i].there ? add_tensor(s, shape, layer, &tensors[i]) : 0;
    }
    return rc;
}

/* What no layer has. */
static int add_ends(struct synthesis *s, const struct synth_shape *shape)
{
    const struct synth_arch *a = shape->arch;
    const char *norm = a->encoder ? "token_embd_norm" : "output_norm";
    char name[GGUF_MAX_TENSOR_NAME];
    snprintf(name, sizeof(name), "%s.weight", norm);
    int rc = add_vector(s, name, 1, shape->width, 1.0f);
    if (rc == 0 && a->layer_norm) {
        snprintf(name, sizeof(name), "%s.bias", norm);
        rc = add_vector(s, name, 1, shape->width, 0.0f);
    }
    if (rc == 0 && a->encoder) {
        rc = add_matrices(s, "token_types.weight", TENSOR_F32, 1, TOKEN_TYPES, shape->width);
    }
    if (rc == 0 && a->learned_positions) {
        rc = add_matrices(s, "position_embd.weight", TENSOR_F32, 1, shape->context,
                          shape->width);
    }
    if (rc == 0 && shape->untied) {
        rc = add_matrix(s, "output.weight", shape->vocab, shape->width);
    }
    if (rc == 0 && shape->longrope) {
        rc = add_vector(s, "rope_factors_short.weight", 1, shape->rope_dims / 2, 1.5f);
    }
    if (rc == 0 && shape->longrope) {
        rc = add_vector(s, "rope_factors_long.weight", 1, shape->rope_dims / 2, 4.0f);
    }
    return rc;
}

static int add_tensors(struct synthesis *s, const struct synth_shape *shape)
{
    bool progress = isatty(STDERR_FILENO);
    int rc = add_matrix(s, "token_embd.weight", shape->vocab, shape->width);
    for (uint32_t i = 0; i < shape->layers && rc == 0; i++) {
        rc = add_layer(s, shape, i);
        if (progress) {
            fprintf(stderr, "\rlayer %u/%u", i + 1, shape->layers);
        }
    }
    if (progress) {
        fputs("\r\033[K", stderr);
    }
    return rc == 0 ? add_ends(s, shape) : rc;
}

static int synthesize(struct synth_shape shape, const char *vocab, uint32_t type, uint64_t seed,
                      float spread, const char *path, struct err *e)
{
    struct synthesis s = {.type = type, .seed = seed, .spread = spread, .e = e};
    s.out = gguf_writer_create(e);
    s.tensors = mem_zarray(LAYER_TENSORS * shape.layers + OTHER_TENSORS, sizeof(*s.tensors));
    int rc = s.out ? 0 : -1;
    if (!s.tensors) {
        rc = err_nomem(e);
    }
    if (rc == 0) {
        rc = vocab ? copy_tokenizer(s.out, &shape, vocab, e) : put_tokenizer(s.out, &shape, e);
    }
    if (rc == 0) {
        put_metadata(s.out, &shape, type);
        rc = add_tensors(&s, &shape);
    }
    if (rc == 0) {
        rc = gguf_writer_write(s.out, path, e);
    }
    gguf_writer_destroy(s.out);
    for (size_t i = 0; i < s.count; i++) {
        mem_free(s.tensors[i]);
    }
    mem_free(s.tensors);
    return rc;
}

static int usage_error(const struct options *options, const char *what)
{
    fprintf(stderr, "weir synth: %s\nusage: %s\nshapes:", what, options->usage);
    for (size_t i = 0; synth_shape_name(i); i++) {
        fprintf(stderr, " %s", synth_shape_name(i));
    }
    fputc('\n', stderr);
    return 2;
}

int cli_synth(int argc, char **argv)
{
    const char *shape_name = NULL;
    const char *vocab = NULL;
    const char *type = "q8_0";
    long seed = 1;
    double spread = 0.05;
    long context = 0;
    const struct option table[] = {
        {"shape", 0, OPTION_STRING, &shape_name, "NAME",
         "tinyllama-1.1b, qwen2.5-0.5b and so on; a wrong name lists them", 0, 0},
        {"vocab", 0, OPTION_STRING, &vocab, "FILE.gguf",
         "take the tokenizer of this file (a made-up one)", 0, 0},
        {"type", 0, OPTION_STRING, &type, "TYPE", "of matrices: f32, f16 or q8_0 (q8_0)", 0, 0},
        {"context", 0, OPTION_INT, &context, "N", "tokens of context (the shape's own)", 1,
         1 << 20},
        {"seed", 0, OPTION_INT, &seed, "N", "of the weights (1)", 0, 1L << 40},
        {"spread", 0, OPTION_DOUBLE, &spread, "X", "weights are uniform in +-X (0.05)", 0, 0},
        {0},
    };
    const struct options options = {"weir synth --shape NAME [options] OUT.gguf",
                                    "Writes a model with a real model's shape and random "
                                    "weights, for benchmarks and tests.",
                                    table};
    int positional;
    int rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    const struct tensor_type_info *info = tensor_type_find(type);
    struct synth_shape shape;
    if (!shape_name || !synth_shape_find(shape_name, &shape)) {
        return usage_error(&options, "--shape: one of the shapes below is needed");
    }
    if (!info ||
        (info->type != TENSOR_F32 && info->type != TENSOR_F16 && info->type != TENSOR_Q8_0)) {
        return usage_error(&options, "--type: f32, f16 and q8_0 are known");
    }
    if (!(spread > 0.0 && spread <= 100.0)) {
        return usage_error(&options, "--spread: above 0 up to 100 is allowed");
    }
    if (positional != 1) {
        return usage_error(&options, "one name of a file to write is needed");
    }
    struct err e = {0};
    if (context > 0) {
        shape.context = (uint32_t)context;
    }
    rc = synthesize(shape, vocab, info->type, (uint64_t)seed, (float)spread, argv[1], &e);
    return rc == 0 ? 0 : cli_fail("synth", &e);
}
