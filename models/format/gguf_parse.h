/* gguf_parse.h: the part of the GGUF reader that looks at untrusted bytes. Private to gguf.c.
 *
 * gguf_parse fills a struct gguf whose name, data and size are set; on failure it leaves what
 * it had allocated for gguf_close to release.
 */
#pragma once

#include "models/format/gguf.h"

struct gguf {
    char *path;
    const unsigned char *data;
    uint64_t size;
    bool is_mapped;
    bool is_detached; /* mapped, but from a copy of its own */
    uint32_t version;
    uint32_t alignment;
    struct gguf_kv *kvs; /* (n_kvs), file order */
    size_t n_kvs;
    const struct gguf_kv **kvs_by_key; /* (n_kvs), sorted */
    struct gguf_tensor *tensors;       /* (n_tensors), file order */
    size_t n_tensors;
    const struct gguf_tensor **tensors_by_name; /* (n_tensors), sorted */
    size_t n_own_tensors; /* those whose names are this file's; the others are of parts */
    struct gguf **parts;  /* (n_parts) the other files of the model, gguf_split.h */
    size_t n_parts;
};

int gguf_parse(struct gguf *g, struct err *e);

/* Little-endian numbers at any address. */
static inline uint64_t gguf_load(const unsigned char *p, size_t size)
{
    uint64_t v = 0;

    for (size_t i = 0; i < size; i++) {
        v |= (uint64_t)p[i] << 8 * i;
    }
    return v;
}
