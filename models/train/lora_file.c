#include "models/train/lora_file.h"

#include "models/format/gguf_write.h"

static void put_copy(struct gguf_writer *w, const char *key, const struct gguf *from,
                     const char *from_key)
{
    struct gguf_str text;
    struct err ignored;
    if (gguf_get_str(from, from_key, &text, &ignored) == 0) {
        gguf_put_bytes(w, key, text.data, text.len);
    }
}

static void put_metadata(struct gguf_writer *w, const struct lora *lora,
                         const struct lora_file_about *about)
{
    gguf_put_str(w, "general.type", "adapter");
    put_copy(w, "general.architecture", about->base, "general.architecture");
    if (about->name) {
        gguf_put_str(w, "general.name", about->name);
    }
    gguf_put_u32(w, "general.file_type", 0); /* all of it F32 */
    gguf_put_str(w, "adapter.type", "lora");
    gguf_put_f32(w, "adapter.lora.alpha", lora->alpha);
    put_copy(w, "weir.adapter.base_name", about->base, "general.name");
    if (about->base_sha256) {
        gguf_put_str(w, "weir.adapter.base_sha256", about->base_sha256);
    }
}

int lora_file_write(const char *path, const struct train_shape *s, const struct lora *lora,
                    const float *block, const struct lora_file_about *about, struct err *e)
{
    struct train_tensor tensors[LORA_MAX_TENSORS];
    size_t count = lora_tensors(s, lora, tensors);
    struct gguf_writer *w = gguf_writer_create(e);
    if (!w) {
        return -1;
    }
    put_metadata(w, lora, about);
    for (size_t i = 0; i < count; i++) {
        const uint64_t dims[2] = {tensors[i].cols, tensors[i].rows};
        gguf_add_tensor(w, tensors[i].name, TENSOR_F32, 2, dims, block + tensors[i].offset);
    }
    int rc = gguf_writer_write(w, path, e);
    gguf_writer_destroy(w);
    return rc;
}
