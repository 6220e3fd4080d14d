#include "tests/unit/models/gguf_builder.h"

#include <string.h>

#include "runtime/base/mem.h"

void builder_init(struct gguf_builder *b)
{
    memset(b, 0, sizeof(*b));
    buf_init(&b->bytes, 1 << 20);
}

void builder_deinit(struct gguf_builder *b)
{
    buf_deinit(&b->bytes);
    mem_free(b->copy);
}

static void put(struct gguf_builder *b, uint64_t v, size_t size, const char *what)
{
    b->fields[b->n_fields++] = (struct builder_field){b->bytes.len, size, what};
    for (size_t i = 0; i < size; i++) {
        builder_u8(b, (uint8_t)(v >> 8 * i));
    }
}

void builder_u8(struct gguf_builder *b, uint8_t v)
{
    buf_append_char(&b->bytes, (char)v);
}

void builder_u32(struct gguf_builder *b, uint32_t v, const char *what)
{
    put(b, v, 4, what);
}

void builder_u64(struct gguf_builder *b, uint64_t v, const char *what)
{
    put(b, v, 8, what);
}

void builder_string(struct gguf_builder *b, const char *s)
{
    builder_bytes(b, s, strlen(s));
}

void builder_bytes(struct gguf_builder *b, const void *s, size_t len)
{
    builder_u64(b, len, "string length");
    buf_append(&b->bytes, s, len);
}

void builder_header(struct gguf_builder *b, uint64_t n_tensors, uint64_t n_kvs)
{
    buf_append(&b->bytes, "GGUF", 4);
    builder_u32(b, 3, "version");
    builder_u64(b, n_tensors, "tensor count");
    builder_u64(b, n_kvs, "metadata count");
}

void builder_kv_u32(struct gguf_builder *b, const char *key, uint32_t v)
{
    builder_string(b, key);
    builder_u32(b, GGUF_U32, "type");
    builder_u32(b, v, key);
}

void builder_tensor(struct gguf_builder *b, const char *name, uint32_t n_dims,
                    const uint64_t *dims, uint32_t type, uint64_t offset)
{
    builder_string(b, name);
    builder_u32(b, n_dims, "n_dims");
    for (uint32_t i = 0; i < n_dims && dims; i++) {
        builder_u64(b, dims[i], "dimension");
    }
    builder_u32(b, type, "tensor type");
    builder_u64(b, offset, "offset");
}

void builder_pad(struct gguf_builder *b, size_t alignment, size_t then_zeros)
{
    while (b->bytes.len % alignment != 0) {
        builder_u8(b, 0);
    }
    for (size_t i = 0; i < then_zeros; i++) {
        builder_u8(b, 0);
    }
}

struct gguf *builder_open(struct gguf_builder *b, struct err *e)
{
    mem_free(b->copy);
    b->copy = mem_alloc(b->bytes.len);
    if (!b->copy) {
        err_nomem(e);
        return NULL;
    }
    if (b->bytes.len > 0) {
        memcpy(b->copy, b->bytes.data, b->bytes.len);
    }
    return gguf_open_memory(b->copy, b->bytes.len, "test.gguf", e);
}

static volatile unsigned char sink;

static void touch(const void *data, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++) {
        sink = (unsigned char)(sink ^ ((const unsigned char *)data)[i]);
    }
}

void builder_walk(const struct gguf *g)
{
    char number[GGUF_NUMBER_TEXT];

    for (size_t i = 0; i < gguf_kv_count(g); i++) {
        const struct gguf_kv *kv = gguf_kv_at(g, i);

        touch(kv->data, kv->size);
        for (uint64_t j = 0; j < kv->count; j++) {
            if (kv->strings) {
                touch(kv->strings[j].data, kv->strings[j].len);
            } else {
                gguf_format_number(kv, (size_t)j, number);
            }
        }
    }
    for (size_t i = 0; i < gguf_tensor_count(g); i++) {
        touch(gguf_tensor_at(g, i)->data, gguf_tensor_at(g, i)->size);
    }
}
