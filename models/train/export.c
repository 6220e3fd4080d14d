#include "models/train/export.h"

#include "models/format/gguf.h"
#include "models/format/gguf_write.h"
#include "models/train/checkpoint.h"
#include "quant/q8.h"
#include "runtime/base/mem.h"

/* general.file_type of the GGUF specification */
#define FILE_TYPE_F32  0
#define FILE_TYPE_Q8_0 7

static void put_metadata(struct gguf_writer *w, const struct train_shape *s, const char *name,
                         bool q8)
{
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_str(w, "general.name", name);
    gguf_put_u32(w, "general.file_type", q8 ? FILE_TYPE_Q8_0 : FILE_TYPE_F32);
    if (q8) {
        gguf_put_u32(w, "general.quantization_version", 2);
    }
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

/* Quantises every matrix; blocks holds them one after another, and is borrowed by w until the
 * write. */
static int add_tensors(struct gguf_writer *w, const struct train_shape *s, const float *params,
                       char *blocks, struct err *e)
{
    struct train_tensor tensors[TRAIN_MAX_TENSORS];
    size_t count = train_shape_tensors(s, tensors);
    for (size_t i = 0; i < count; i++) {
        const struct train_tensor *t = &tensors[i];
        const float *data = params + t->offset;
        uint64_t dims[2] = {t->cols, t->rows};
        bool matrix = t->rows > 1;
        if (!matrix || !blocks) {
            gguf_add_tensor(w, t->name, TENSOR_F32, matrix ? 2 : 1, dims, data);
            continue;
        }
        if (t->cols % Q8_GROUP != 0) {
            return err_set(
                e, ERR_UNSUPPORTED,
                "%s: rows of %u numbers are not a multiple of %d, which q8_0 needs: export as "
                "f32",
                t->name, t->cols, Q8_GROUP);
        }
        size_t n = (size_t)t->rows * t->cols;
        q8_blocks_from_floats(blocks, data, n);
        gguf_add_tensor(w, t->name, TENSOR_Q8_0, 2, dims, blocks);
        blocks += n / Q8_GROUP * Q8_BLOCK_BYTES;
    }
    return 0;
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

int export_gguf(const char *ckpt_path, const char *vocab_path, const char *name, bool q8,
                const char *out_path, struct err *e)
{
    struct checkpoint_header h;
    struct gguf *vocab = NULL;
    struct gguf_writer *w = NULL;
    char *blocks = NULL;
    int rc = -1;
    float *params = checkpoint_read_params(ckpt_path, &h, e);
    if (!params || !(vocab = gguf_open(vocab_path, e)) || check_vocab(vocab, &h.shape, e)) {
        goto cleanup;
    }
    if (q8) {
        blocks = mem_alloc(train_shape_param_count(&h.shape) / Q8_GROUP * Q8_BLOCK_BYTES);
        if (!blocks) {
            err_nomem(e);
            goto cleanup;
        }
    }
    w = gguf_writer_create(e);
    if (!w) {
        goto cleanup;
    }
    put_metadata(w, &h.shape, name, q8);
    gguf_put_copies(w, vocab, "tokenizer.");
    rc = add_tensors(w, &h.shape, params, blocks, e) || gguf_writer_write(w, out_path, e) ? -1
                                                                                          : 0;
cleanup:
    gguf_writer_destroy(w);
    gguf_close(vocab);
    mem_free(blocks);
    mem_free_aligned(params);
    return rc;
}
