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

struct shape {
    const char *name, *arch;
    uint32_t width, layers, heads, kv_heads, head_dim, ffn, vocab, context;
    float rope_base;
    bool tied;  /* the output matrix is the embedding */
    float yarn; /* factor of RoPE scaling, 0: none */
    bool longrope;
    uint32_t rope_dims; /* numbers of a head that are turned; 0: all */
};

/* What layers have beside the seven matrices, by architecture: llama_config.h says more. */
struct variant {
    const char *arch;
    bool qkv_bias, qk_norm_head, qk_norm_row, no_pre_norm, post_norm, fused;
};

static const struct variant variants[] = {
    {.arch = "llama"},
    {.arch = "granite"},
    {.arch = "qwen2", .qkv_bias = true},
    {.arch = "qwen3", .qk_norm_head = true},
    {.arch = "olmo2", .qk_norm_row = true, .no_pre_norm = true, .post_norm = true},
    {.arch = "gemma2", .post_norm = true},
    {.arch = "gemma3", .qk_norm_head = true, .post_norm = true},
    {.arch = "smollm3"},
    {.arch = "phi3", .fused = true},
};

/* clang-format off */
static const struct shape shapes[] = {
    {"tinyllama-1.1b", "llama", 2048, 22, 32, 4, 64, 5632, 32000, 2048, 10000.0f, false, 0.0f, false, 0},
    {"smollm-135m", "llama", 576, 30, 9, 3, 64, 1536, 49152, 2048, 10000.0f, true, 0.0f, false, 0},
    {"smollm2-135m", "llama", 576, 30, 9, 3, 64, 1536, 49152, 8192, 100000.0f, true, 0.0f, false, 0},
    {"qwen2.5-0.5b", "qwen2", 896, 24, 14, 2, 64, 4864, 151936, 32768, 1000000.0f, true, 0.0f, false, 0},
    {"qwen3-0.6b", "qwen3", 1024, 28, 16, 8, 128, 3072, 151936, 40960, 1000000.0f, true, 0.0f, false, 0},
    {"llama-3.2-1b", "llama", 2048, 16, 32, 8, 64, 8192, 128256, 2048, 500000.0f, true, 0.0f, false, 0},
    {"weir-tiny", "llama", 256, 6, 8, 4, 32, 704, 4096, 1024, 10000.0f, true, 0.0f, false, 0},
    {"tiny-test", "llama", 64, 2, 4, 2, 16, 128, 320, 256, 10000.0f, true, 0.0f, false, 0},
    {"tiny-test-yarn", "llama", 64, 2, 4, 2, 32, 128, 320, 256, 10000.0f, true, 8.0f, false, 0},
    {"tiny-test-granite", "granite", 64, 2, 4, 2, 16, 128, 320, 256, 10000.0f, true, 0.0f, false, 0},
    {"tiny-test-qwen2", "qwen2", 64, 2, 4, 2, 16, 128, 320, 256, 10000.0f, true, 0.0f, false, 0},
    {"tiny-test-qwen3", "qwen3", 64, 2, 4, 2, 32, 128, 320, 256, 10000.0f, true, 0.0f, false, 0},
    {"tiny-test-olmo2", "olmo2", 64, 2, 4, 4, 16, 128, 320, 256, 10000.0f, false, 0.0f, false, 0},
    /* Gemma 2 has no smaller depth that other programs know. */
    {"tiny-test-gemma2", "gemma2", 64, 26, 4, 2, 32, 128, 320, 256, 10000.0f, true, 0.0f, false, 0},
    {"tiny-test-gemma3", "gemma3", 64, 26, 4, 2, 32, 128, 320, 256, 1000000.0f, true, 0.0f, false, 0},
    {"tiny-test-smollm3", "smollm3", 64, 8, 4, 2, 16, 128, 320, 256, 10000.0f, true, 0.0f, false, 0},
    {"tiny-test-longrope", "phi3", 64, 2, 4, 2, 16, 128, 320, 256, 10000.0f, false, 0.0f, true, 0},
    {"tiny-test-phi4", "phi3", 64, 2, 4, 2, 16, 128, 320, 256, 10000.0f, false, 0.0f, false, 12},
    {"tiny-test-phi", "phi3", 64, 2, 4, 2, 16, 128, 320, 256, 10000.0f, false, 0.0f, false, 0},
};
/* clang-format on */

#define N_SHAPES       (sizeof(shapes) / sizeof(shapes[0]))
#define LAYER_TENSORS  17
#define OTHER_TENSORS  5
#define FILLER_LETTERS 5
#define FILLER_BYTES   (FILLER_LETTERS + BYTE_ALPHABET_MAX)

static const struct variant *find_variant(const char *arch)
{
    size_t i = 0;
    while (strcmp(variants[i].arch, arch) != 0) {
        i++; /* every shape's is there */
    }
    return &variants[i];
}

static uint32_t rope_dims(const struct shape *s)
{
    return s->rope_dims ? s->rope_dims : s->head_dim;
}

static const struct shape *find_shape(const char *name)
{
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return &shapes[i];
        }
    }
    return NULL;
}

/* --- tokenizer --- */

/* The control tokens, the bytes, then words of letters until the vocabulary is full: " baaaa",
 * " caaaa". No merge makes those, so text is encoded byte by byte and only a model says them.
 */
static void name_tokens(const struct shape *s, struct gguf_str *names, int32_t *kinds,
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

static int put_tokenizer(struct gguf_writer *w, const struct shape *s, struct err *e)
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
static int copy_tokenizer(struct gguf_writer *w, struct shape *s, const char *path,
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

static void put_metadata(struct gguf_writer *w, const struct shape *s, uint32_t type)
{
    gguf_put_str(w, "general.architecture", s->arch);
    gguf_put_str(w, "general.name", s->name);
    gguf_put_str(w, "general.description", "random weights");
    /* general.file_type of the GGUF specification. */
    gguf_put_u32(w, "general.file_type", type == TENSOR_Q8_0 ? 7 : type == TENSOR_F16 ? 1 : 0);
    if (type == TENSOR_Q8_0) {
        gguf_put_u32(w, "general.quantization_version", 2);
    }
    const struct {
        const char *key;
        uint32_t value;
    } sizes[] = {
        {"context_length", s->context},
        {"embedding_length", s->width},
        {"block_count", s->layers},
        {"feed_forward_length", s->ffn},
        {"attention.head_count", s->heads},
        {"attention.head_count_kv", s->kv_heads},
        {"attention.key_length", s->head_dim},
        {"attention.value_length", s->head_dim},
        {"rope.dimension_count", rope_dims(s)},
        {"vocab_size", s->vocab},
    };
    char key[GGUF_MAX_TENSOR_NAME];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(key, sizeof(key), "%s.%s", s->arch, sizes[i].key);
        gguf_put_u32(w, key, sizes[i].value);
    }
    const struct {
        const char *arch, *key;
        float value;
    } numbers[] = {
        {s->arch, "attention.layer_norm_rms_epsilon", 1e-5f},
        {s->arch, "rope.freq_base", s->rope_base},
        {"granite", "embedding_scale", 12.0f},
        {"granite", "residual_scale", 0.22f},
        {"granite", "attention.scale", 0.125f},
        {"granite", "logit_scale", 8.0f},
        {"gemma2", "attn_logit_softcapping", 50.0f},
        {"gemma2", "final_logit_softcapping", 30.0f},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(numbers[i].arch, s->arch) == 0) {
            snprintf(key, sizeof(key), "%s.%s", s->arch, numbers[i].key);
            gguf_put_f32(w, key, numbers[i].value);
        }
    }
    if (s->yarn > 0.0f) {
        snprintf(key, sizeof(key), "%s.rope.scaling.type", s->arch);
        gguf_put_str(w, key, "yarn");
        snprintf(key, sizeof(key), "%s.rope.scaling.factor", s->arch);
        gguf_put_f32(w, key, s->yarn);
        snprintf(key, sizeof(key), "%s.rope.scaling.original_context_length", s->arch);
        gguf_put_u32(w, key, (uint32_t)((float)s->context / s->yarn));
    }
    if (s->longrope) {
        snprintf(key, sizeof(key), "%s.rope.scaling.original_context_length", s->arch);
        gguf_put_u32(w, key, s->context / 8);
        snprintf(key, sizeof(key), "%s.rope.scaling.attn_factor", s->arch);
        gguf_put_f32(w, key, 1.1f);
    }
    if (strncmp(s->arch, "gemma", 5) == 0 || strcmp(s->arch, "phi3") == 0) {
        snprintf(key, sizeof(key), "%s.attention.sliding_window", s->arch);
        gguf_put_u32(w, key, s->context / 8);
    }
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

static int fill_matrix(const struct synthesis *s, char *to, size_t rows, size_t row_bytes,
                       size_t width)
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
        (void)tensor_row_from_f32(s->type, row, to, width); /* small numbers fit every type */
    }
    mem_free(row);
    return 0;
}

static int add_matrix(struct synthesis *s, const char *name, uint32_t rows, uint32_t width)
{
    size_t row_bytes = (size_t)tensor_type_row_bytes(s->type, width);
    char *data = mem_array(rows, row_bytes);
    if (!data) {
        return err_nomem(s->e);
    }
    int rc = fill_matrix(s, data, rows, row_bytes, width);
    s->tensors[s->count++] = data;
    gguf_add_tensor(s->out, name, s->type, 2, (uint64_t[]){width, rows}, data);
    return rc;
}

/* Around 1 for a norm, around 0 for a bias. */
static int add_vector(struct synthesis *s, const char *name, uint32_t width, float around)
{
    float *data = mem_array(width, sizeof(*data));
    if (!data) {
        return err_nomem(s->e);
    }
    struct rng rng;
    rng_seed(&rng, s->seed * 1000003 + s->count);
    for (uint32_t i = 0; i < width; i++) {
        data[i] = around + (2.0f * rng_uniform(&rng) - 1.0f) * s->spread;
    }
    s->tensors[s->count++] = data;
    gguf_add_tensor(s->out, name, TENSOR_F32, 1, (uint64_t[]){width}, data);
    return 0;
}

static int add_layer(struct synthesis *s, const struct shape *shape, uint32_t layer)
{
    const uint32_t width = shape->width, hd = shape->head_dim, ffn = shape->ffn;
    const uint32_t q = hd * shape->heads, kv = hd * shape->kv_heads;
    const struct variant *v = find_variant(shape->arch);
    const struct {
        const char *name;
        uint32_t rows; /* 0: a vector */
        uint32_t width;
        bool there;
        float around;
    } parts[LAYER_TENSORS] = {
        {"attn_norm.weight", 0, width, !v->no_pre_norm, 1.0f},
        {"attn_qkv.weight", q + 2 * kv, width, v->fused, 0.0f},
        {"attn_q.weight", q, width, !v->fused, 0.0f},
        {"attn_k.weight", kv, width, !v->fused, 0.0f},
        {"attn_v.weight", kv, width, !v->fused, 0.0f},
        {"attn_q.bias", 0, q, v->qkv_bias, 0.0f},
        {"attn_k.bias", 0, kv, v->qkv_bias, 0.0f},
        {"attn_v.bias", 0, kv, v->qkv_bias, 0.0f},
        {"attn_q_norm.weight", 0, v->qk_norm_row ? q : hd, v->qk_norm_row || v->qk_norm_head,
         1.0f},
        {"attn_k_norm.weight", 0, v->qk_norm_row ? kv : hd, v->qk_norm_row || v->qk_norm_head,
         1.0f},
        {"attn_output.weight", width, q, true, 0.0f},
        {"post_attention_norm.weight", 0, width, v->post_norm, 1.0f},
        {"ffn_norm.weight", 0, width, !v->no_pre_norm, 1.0f},
        {"ffn_gate.weight", ffn, width, !v->fused, 0.0f},
        {"ffn_up.weight", v->fused ? 2 * ffn : ffn, width, true, 0.0f},
        {"ffn_down.weight", width, ffn, true, 0.0f},
        {"post_ffw_norm.weight", 0, width, v->post_norm, 1.0f},
    };
    int rc = 0;
    for (size_t i = 0; i < LAYER_TENSORS && rc == 0; i++) {
        if (!parts[i].there) {
            continue;
        }
        char name[GGUF_MAX_TENSOR_NAME];
        snprintf(name, sizeof(name), "blk.%u.%s", layer, parts[i].name);
        rc = parts[i].rows ? add_matrix(s, name, parts[i].rows, parts[i].width)
                           : add_vector(s, name, parts[i].width, parts[i].around);
    }
    return rc;
}

static int add_tensors(struct synthesis *s, const struct shape *shape)
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
    if (rc == 0) {
        rc = add_vector(s, "output_norm.weight", shape->width, 1.0f);
    }
    if (rc == 0 && !shape->tied) {
        rc = add_matrix(s, "output.weight", shape->vocab, shape->width);
    }
    if (rc == 0 && shape->longrope) {
        rc = add_vector(s, "rope_factors_short.weight", rope_dims(shape) / 2, 1.5f);
    }
    if (rc == 0 && shape->longrope) {
        rc = add_vector(s, "rope_factors_long.weight", rope_dims(shape) / 2, 4.0f);
    }
    return rc;
}

static int synthesize(struct shape shape, const char *vocab, uint32_t type, uint64_t seed,
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
    for (size_t i = 0; i < N_SHAPES; i++) {
        fprintf(stderr, " %s", shapes[i].name);
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
    const struct shape *shape = shape_name ? find_shape(shape_name) : NULL;
    if (!shape) {
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
    struct shape chosen = *shape;
    if (context > 0) {
        chosen.context = (uint32_t)context;
    }
    rc = synthesize(chosen, vocab, info->type, (uint64_t)seed, (float)spread, argv[1], &e);
    return rc == 0 ? 0 : cli_fail("synth", &e);
}
