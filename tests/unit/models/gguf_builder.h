/* gguf_builder.h: GGUF bytes by hand, wrong ones too. For tests only.
 *
 * What the writer refuses to write is put down field by field. Every number written is
 * remembered as a field, so that a test can go through all of them and spoil one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "models/format/gguf.h"
#include "runtime/base/buf.h"

struct builder_field {
    size_t at;   /* in the file */
    size_t size; /* 4 or 8 bytes */
    const char *what;
};

struct gguf_builder {
    struct buf bytes;
    struct builder_field fields[64];
    size_t n_fields;
    char *copy; /* of exact size, so that one byte too far is seen */
};

void builder_init(struct gguf_builder *b);
void builder_deinit(struct gguf_builder *b);
void builder_u8(struct gguf_builder *b, uint8_t v); /* not a field */
void builder_u32(struct gguf_builder *b, uint32_t v, const char *what);
void builder_u64(struct gguf_builder *b, uint64_t v, const char *what);
void builder_string(struct gguf_builder *b, const char *s);
void builder_bytes(struct gguf_builder *b, const void *s,
                   size_t len); /* a string with any bytes */
void builder_header(struct gguf_builder *b, uint64_t n_tensors, uint64_t n_kvs);
void builder_kv_u32(struct gguf_builder *b, const char *key, uint32_t v);
void builder_tensor(struct gguf_builder *b, const char *name, uint32_t n_dims,
                    const uint64_t *dims, uint32_t type, uint64_t offset);
void builder_pad(struct gguf_builder *b, size_t alignment, size_t then_zeros);

/* Opens what was built as "test.gguf"; once at a time, and closed before the builder. */
struct gguf *builder_open(struct gguf_builder *b, struct err *e);

/* Reads every byte that an open file gives access to, for the address sanitizer to watch. */
void builder_walk(const struct gguf *g);
