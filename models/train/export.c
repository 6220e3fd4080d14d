#include "models/train/export.h"

#include <string.h>

#include "models/format/gguf_write.h"
#include "models/train/checkpoint.h"
#include "models/train/import.h"
#include "runtime/base/mem.h"

#define SCRATCH_NAME "weir-tiny"

/* general.file_type of the GGUF specification */
static uint32_t file_type_of(uint32_t type)
{
    return type == TENSOR_Q8_0 ? 7 : type == TENSOR_F16 ? 1 : 0;
}

static void put_type(struct gguf_writer *w, uint32_t type)
{
    gguf_put_u32(w, "general.file_type", file_type_of(type));
    if (type == TENSOR_Q8_0) {
        gguf_put_u32(w, "general.quantization_version", 2);
    }
}

/* Of a model that was trained from nothing. */
static void put_llama(struct gguf_writer *w, const struct train_shape *s)
{
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_u32(w, "llama.context_length", s->context);
    gguf_put_u32(w, "llama.embedding_length", s->d_model);
    gguf_put_u32(w, "llama.block_count", s->n_layers);
    gguf_put_u32(w, "llama.feed_forward_length", s->ffn);
    gguf_put_u32(w, "llama.attention.head_count", s->n_heads);
    gguf_put_u32(w, "llama.attention.head_count_kv", s->n_kv_heads);
    gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", s->norm_eps);
    gguf_put_u32(w, "llama.rope.dimension_count", train_shape_head_dim(s));
    gguf_put_f32(w, "llama.rope.freq_base", s->rope_base);
    gguf_put_u32(w, "llama.vocab_size", s->vocab);
}

/* Bytes of all matrices in that type. */
static int count_bytes(const struct train_tensor *tensors, size_t count, uint32_t type,
                       size_t *bytes, struct err *e)
{
    *bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct train_tensor *t = &tensors[i];
        size_t row = (size_t)tensor_type_row_bytes(type, t->cols);
        if (t->rows > 1 && row == 0) {
            return err_set(e, ERR_UNSUPPORTED,
                           "%s: rows of %u numbers are not a multiple of 32, which q8_0 needs: "
                           "export as f16 or f32",
                           t->name, t->cols);
        }
        *bytes += t->rows > 1 ? t->rows * row : 0;
    }
    return 0;
}

static int convert(const struct train_tensor *t, const float *data, uint32_t type, char *out,
                   struct err *e)
{
    size_t row = (size_t)tensor_type_row_bytes(type, t->cols);
    for (uint32_t r = 0; r < t->rows; r++) {
        if (tensor_row_from_f32(type, data + (size_t)r * t->cols, out + r * row, t->cols)) {
            return err_set(
                e, ERR_INVALID,
                "%s: a number is not finite or too large for the type: export as f32", t->name);
        }
    }
    return 0;
}

/* blocks: room for the matrices one after another where they are not F32, borrowed by w until
 * the write. */
static int add_tensors(struct gguf_writer *w, const struct train_tensor *tensors, size_t count,
                       const float *params, uint32_t type, char *blocks, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        const struct train_tensor *t = &tensors[i];
        const float *data = params + t->offset;
        uint64_t dims[2] = {t->cols, t->rows};
        bool matrix = t->rows > 1;
        if (!matrix || !blocks) {
            gguf_add_tensor(w, t->name, TENSOR_F32, matrix ? 2 : 1, dims, data);
            continue;
        }
        if (convert(t, data, type, blocks, e)) {
            return -1;
        }
        gguf_add_tensor(w, t->name, type, 2, dims, blocks);
        blocks += t->rows * (size_t)tensor_type_row_bytes(type, t->cols);
    }
    return 0;
}

/* Factors of positions are a tensor, which the shape has in other form. */
static void copy_factors(struct gguf_writer *w, const struct gguf *source)
{
    const struct gguf_tensor *t = gguf_tensor_find(source, "rope_freqs.weight");
    if (t) {
        gguf_add_tensor(w, t->name, t->type, t->n_dims, t->dims, t->data);
    }
}

/* The tensors, behind the metadata that w has already. */
static int write_model(struct gguf_writer *w, const struct train_shape *s, const float *params,
                       uint32_t type, const char *out_path, struct err *e)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(s, tensors), bytes;
    char *blocks = NULL;
    if (count_bytes(tensors, count, type, &bytes, e)) {
        return -1;
    }
    if (type != TENSOR_F32 && !(blocks = mem_alloc(bytes))) {
        return err_nomem(e);
    }
    int rc = add_tensors(w, tensors, count, params, type, blocks, e) ||
                     gguf_writer_write(w, out_path, e)
                 ? -1
                 : 0;
    mem_free(blocks);
    return rc;
}

int export_like(const struct gguf *source, const struct train_shape *s, const float *params,
                uint32_t type, const char *name, const char *out_path, struct err *e)
{
    struct gguf_writer *w = gguf_writer_create(e);
    if (!w) {
        return -1;
    }
    if (name) {
        gguf_put_str(w, "general.name", name);
    }
    put_type(w, type);
    gguf_put_copies(w, source, "");
    copy_factors(w, source);
    int rc = write_model(w, s, params, type, out_path, e);
    gguf_writer_destroy(w);
    return rc;
}

static int check_vocab(const struct gguf *vocab, const struct train_shape *s, struct err *e)
{
    const struct gguf_str *tokens;
    size_t count;
    if (gguf_get_strs(vocab, "tokenizer.ggml.tokens", &tokens, &count, e)) {
        return -1;
    }
    if (count != s->vocab) {
        return err_set(e, ERR_INVALID, "%s: %zu tokens, the checkpoint has %u",
                       gguf_path(vocab), count, s->vocab);
    }
    return 0;
}

/* A model with the vocabulary of a file that has nothing else. */
static int export_llama(const struct gguf *vocab, const struct train_shape *s,
                        const float *params, uint32_t type, const char *name,
                        const char *out_path, struct err *e)
{
    struct gguf_writer *w = check_vocab(vocab, s, e) ? NULL : gguf_writer_create(e);
    if (!w) {
        return -1;
    }
    put_llama(w, s);
    gguf_put_str(w, "general.name", name ? name : SCRATCH_NAME);
    put_type(w, type);
    gguf_put_copies(w, vocab, "tokenizer.");
    int rc = write_model(w, s, params, type, out_path, e);
    gguf_writer_destroy(w);
    return rc;
}

static bool is_plain_llama(const struct train_shape *s)
{
    struct train_shape plain = {
        .d_model = s->d_model,
        .n_layers = s->n_layers,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .ffn = s->ffn,
        .vocab = s->vocab,
        .context = s->context,
        .rope_base = s->rope_base,
        .norm_eps = s->norm_eps,
    };
    return memcmp(&plain, s, sizeof(plain)) == 0;
}

/* Whether the run began with this model. */
static bool is_base(const struct gguf *g, const struct train_shape *s)
{
    struct train_shape base;
    struct err ignored;
    return gguf_tensor_count(g) > 0 && import_shape(g, s->context, &base, &ignored) == 0 &&
           memcmp(&base, s, sizeof(base)) == 0;
}

int export_params(const struct train_shape *s, const float *params, const char *base_path,
                  const char *name, uint32_t type, const char *out_path, struct err *e)
{
    int rc = -1;
    struct gguf *base = import_open(base_path, e);
    if (base && is_base(base, s)) {
        rc = export_like(base, s, params, type, name, out_path, e);
    } else if (base && is_plain_llama(s)) {
        rc = export_llama(base, s, params, type, name, out_path, e);
    } else if (base) {
        err_set(e, ERR_INVALID,
                "%s: not the model that the weights began with: its sizes or its architecture "
                "differ",
                base_path);
    }
    gguf_close(base);
    return rc;
}

int export_gguf(const char *ckpt_path, const char *base_path, const char *name, uint32_t type,
                const char *out_path, struct err *e)
{
    struct checkpoint_header h;
    float *params = checkpoint_read_params(ckpt_path, &h, e);
    int rc = params ? export_params(&h.shape, params, base_path, name, type, out_path, e) : -1;
    mem_free_aligned(params);
    return rc;
}
