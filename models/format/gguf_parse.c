#include "models/format/gguf_parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"

/* The least that an entry takes in the file. A count is believed only as far as the bytes that
 * are left could hold that many, which bounds every allocation by the size of the file. */
#define MIN_KV_BYTES     (8 + 1 + 4 + 1)
#define MIN_TENSOR_BYTES (8 + 1 + 4 + 8 + 4 + 8)
#define MIN_STRING_BYTES 8

/* A position in the file. */
struct cursor {
    const struct gguf *g;
    uint64_t pos;
    struct err *e;
};

static uint64_t bytes_left(const struct cursor *c)
{
    return c->g->size - c->pos;
}

static int truncated(struct cursor *c, const char *what)
{
    return err_set(c->e, ERR_FORMAT,
                   "%s: the file ends at byte %" PRIu64 ", inside %s: is it cut off?",
                   c->g->path, c->g->size, what);
}

/* Reads a number of size bytes; `what` is named if the file ends in it. */
static int read_number(struct cursor *c, size_t size, const char *what, uint64_t *out)
{
    if (bytes_left(c) < size) {
        return truncated(c, what);
    }
    *out = gguf_load(c->g->data + c->pos, size);
    c->pos += size;
    return 0;
}

static int read_u32(struct cursor *c, const char *what, uint32_t *out)
{
    uint64_t v = 0;

    if (read_number(c, 4, what, &v) != 0) {
        return -1;
    }
    *out = (uint32_t)v;
    return 0;
}

static int read_string(struct cursor *c, const char *what, struct gguf_str *out)
{
    uint64_t len = 0;

    if (read_number(c, 8, what, &len) != 0) {
        return -1;
    }
    if (len > bytes_left(c)) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: %s at byte %" PRIu64 " claims %" PRIu64 " bytes, but %" PRIu64
                       " are left",
                       c->g->path, what, c->pos, len, bytes_left(c));
    }
    out->data = (const char *)c->g->data + c->pos;
    out->len = (size_t)len;
    c->pos += len;
    return 0;
}

/* Reads a key or a tensor name into a NUL-terminated copy. Keys are ASCII in the specification;
 * names appear in messages and on terminals, so that only printable ASCII is taken for both. */
static int read_name(struct cursor *c, const char *what, size_t max, char **out)
{
    const uint64_t start = c->pos;
    struct gguf_str s = {0};

    if (read_string(c, what, &s) != 0) {
        return -1;
    }
    if (s.len == 0 || s.len > max) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: %s at byte %" PRIu64 " has %zu bytes, not 1 to %zu", c->g->path,
                       what, start, s.len, max);
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] > 0x7e) {
            return err_set(c->e, ERR_FORMAT,
                           "%s: %s at byte %" PRIu64 " is not printable ASCII", c->g->path,
                           what, start);
        }
    }
    *out = mem_strndup(s.data, s.len);
    return *out ? 0 : err_nomem(c->e);
}

static int kv_error(struct cursor *c, const struct gguf_kv *kv, const char *problem)
{
    return err_set(c->e, ERR_FORMAT, "%s: metadata key \"%s\": %s", c->g->path, kv->key,
                   problem);
}

static int read_kv_strings(struct cursor *c, struct gguf_kv *kv)
{
    char what[96];

    if (kv->count > bytes_left(c) / MIN_STRING_BYTES) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: metadata key \"%s\" claims %" PRIu64
                       " strings, more than the %" PRIu64 " bytes that are left can hold",
                       c->g->path, kv->key, kv->count, bytes_left(c));
    }
    kv->strings = mem_zarray(kv->count ? (size_t)kv->count : 1, sizeof *kv->strings);
    if (!kv->strings) {
        return err_nomem(c->e);
    }
    snprintf(what, sizeof what, "a string of \"%.64s\"", kv->key);
    for (uint64_t i = 0; i < kv->count; i++) {
        if (read_string(c, what, &kv->strings[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_kv_numbers(struct cursor *c, struct gguf_kv *kv, size_t item_size)
{
    if (kv->count > bytes_left(c) / item_size) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: metadata key \"%s\" claims %" PRIu64
                       " items of %zu bytes, but %" PRIu64 " bytes are left",
                       c->g->path, kv->key, kv->count, item_size, bytes_left(c));
    }
    if (kv->item_type == GGUF_BOOL) {
        for (uint64_t i = 0; i < kv->count; i++) {
            if (c->g->data[c->pos + i] > 1) {
                return kv_error(c, kv, "a bool is neither 0 nor 1");
            }
        }
    }
    c->pos += kv->count * item_size;
    return 0;
}

static int read_kv(struct cursor *c, struct gguf_kv *kv)
{
    uint32_t type;

    if (read_name(c, "a metadata key", GGUF_MAX_KEY, (char **)&kv->key) != 0 ||
        read_u32(c, "a metadata type", &type) != 0) {
        return -1;
    }
    if (type > GGUF_F64) {
        return err_set(c->e, ERR_FORMAT, "%s: metadata key \"%s\": unknown type %" PRIu32,
                       c->g->path, kv->key, type);
    }
    kv->type = kv->item_type = type;
    kv->count = 1;
    if (type == GGUF_ARRAY) {
        uint32_t item_type;

        if (read_u32(c, "an array's item type", &item_type) != 0 ||
            read_number(c, 8, "an array's length", &kv->count) != 0) {
            return -1;
        }
        if (item_type > GGUF_F64) {
            return err_set(c->e, ERR_FORMAT,
                           "%s: metadata key \"%s\": unknown item type %" PRIu32, c->g->path,
                           kv->key, item_type);
        }
        kv->item_type = item_type;
        if (item_type == GGUF_ARRAY) {
            return kv_error(c, kv, "arrays of arrays are not supported");
        }
    }
    const uint64_t start = c->pos;
    kv->data = c->g->data + start;
    const int rc = kv->item_type == GGUF_STRING
                       ? read_kv_strings(c, kv)
                       : read_kv_numbers(c, kv, gguf_type_size(kv->item_type));
    kv->size = c->pos - start;
    return rc;
}

static int compare_kvs(const void *a, const void *b)
{
    return strcmp((*(const struct gguf_kv *const *)a)->key,
                  (*(const struct gguf_kv *const *)b)->key);
}

static int read_metadata(struct cursor *c, struct gguf *g, uint64_t count)
{
    if (count > bytes_left(c) / MIN_KV_BYTES) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: claims %" PRIu64 " metadata entries, more than its %" PRIu64
                       " bytes can hold",
                       g->path, count, g->size);
    }
    g->kvs = mem_zarray((size_t)count + 1, sizeof *g->kvs);
    g->kvs_by_key = mem_zarray((size_t)count + 1, sizeof *g->kvs_by_key);
    if (!g->kvs || !g->kvs_by_key) {
        return err_nomem(c->e);
    }
    for (uint64_t i = 0; i < count; i++) {
        g->kvs_by_key[i] = &g->kvs[i];
        g->n_kvs++; /* before it is read, so that a partly read entry is released */
        if (read_kv(c, &g->kvs[i]) != 0) {
            return -1;
        }
    }
    qsort(g->kvs_by_key, g->n_kvs, sizeof *g->kvs_by_key, compare_kvs);
    for (size_t i = 1; i < g->n_kvs; i++) {
        if (compare_kvs(&g->kvs_by_key[i - 1], &g->kvs_by_key[i]) == 0) {
            return kv_error(c, g->kvs_by_key[i], "is there twice");
        }
    }
    return 0;
}

static int read_alignment(struct gguf *g, struct err *e)
{
    const struct gguf_kv *kv = gguf_kv_find(g, "general.alignment");

    g->alignment = GGUF_DEFAULT_ALIGNMENT;
    if (!kv) {
        return 0;
    }
    if (kv->type != GGUF_U32) {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"general.alignment\": type %s, must be u32", g->path,
                       gguf_type_name(kv->type));
    }
    g->alignment = (uint32_t)gguf_load(kv->data, 4);
    if (g->alignment < 8 || (g->alignment & (g->alignment - 1)) != 0) {
        return err_set(e, ERR_FORMAT,
                       "%s: metadata key \"general.alignment\": %" PRIu32
                       " is not a power of two of at least 8",
                       g->path, g->alignment);
    }
    return 0;
}

static int tensor_error(struct cursor *c, const struct gguf_tensor *t, const char *problem)
{
    return err_set(c->e, ERR_FORMAT, "%s: tensor \"%s\": %s", c->g->path, t->name, problem);
}

static int read_dims(struct cursor *c, struct gguf_tensor *t)
{
    if (read_u32(c, "a tensor's dimensions", &t->n_dims) != 0) {
        return -1;
    }
    if (t->n_dims < 1 || t->n_dims > GGUF_MAX_DIMS) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: tensor \"%s\": %" PRIu32 " dimensions, must be 1 to %d", c->g->path,
                       t->name, t->n_dims, GGUF_MAX_DIMS);
    }
    t->n_elements = 1;
    for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++) {
        t->dims[i] = 1;
    }
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (read_number(c, 8, "a tensor's dimensions", &t->dims[i]) != 0) {
            return -1;
        }
        if (t->dims[i] == 0) {
            return tensor_error(c, t, "a dimension is 0");
        }
        if (__builtin_mul_overflow(t->n_elements, t->dims[i], &t->n_elements) ||
            t->n_elements > INT64_MAX) {
            return tensor_error(c, t, "the product of the dimensions is too large");
        }
    }
    return 0;
}

/* Reads an entry of the tensor table. t->offset is relative to the data section until it is
 * placed. */
static int read_tensor(struct cursor *c, struct gguf_tensor *t)
{
    if (read_name(c, "a tensor name", GGUF_MAX_TENSOR_NAME, (char **)&t->name) != 0 ||
        read_dims(c, t) != 0 || read_u32(c, "a tensor's type", &t->type) != 0 ||
        read_number(c, 8, "a tensor's offset", &t->offset) != 0) {
        return -1;
    }
    const struct tensor_type_info *info = tensor_type_info(t->type);
    if (!info) {
        return err_set(c->e, ERR_UNSUPPORTED, "%s: tensor \"%s\": unknown type %" PRIu32,
                       c->g->path, t->name, t->type);
    }
    if (t->dims[0] % info->block_size != 0) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: tensor \"%s\": rows of %" PRIu64
                       " are no whole number of %s blocks of %" PRIu32,
                       c->g->path, t->name, t->dims[0], info->name, info->block_size);
    }
    t->size = tensor_type_row_bytes(t->type, t->n_elements);
    if (t->size == 0) {
        return tensor_error(c, t, "its size in bytes is too large");
    }
    if (t->offset % c->g->alignment != 0) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: tensor \"%s\": offset %" PRIu64
                       " is not a multiple of the alignment %" PRIu32,
                       c->g->path, t->name, t->offset, c->g->alignment);
    }
    return 0;
}

static int compare_tensor_names(const void *a, const void *b)
{
    return strcmp((*(const struct gguf_tensor *const *)a)->name,
                  (*(const struct gguf_tensor *const *)b)->name);
}

static int compare_tensor_offsets(const void *a, const void *b)
{
    const uint64_t x = (*(const struct gguf_tensor *const *)a)->offset;
    const uint64_t y = (*(const struct gguf_tensor *const *)b)->offset;

    return (x > y) - (x < y);
}

/* Puts the tensors into the data section, which begins at `start`, and checks that each lies
 * inside the file and none overlaps another. Borrows tensors_by_name for sorting. */
static int place_tensors(struct cursor *c, struct gguf *g, uint64_t start)
{
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        uint64_t end;

        if (__builtin_add_overflow(t->offset, start, &t->offset) ||
            __builtin_add_overflow(t->offset, t->size, &end) || end > g->size) {
            return err_set(c->e, ERR_FORMAT,
                           "%s: tensor \"%s\": its %" PRIu64
                           " bytes reach past the end of the file (%" PRIu64
                           " bytes): is it cut off?",
                           g->path, t->name, t->size, g->size);
        }
        t->data = g->data + t->offset;
    }
    const struct gguf_tensor **order = g->tensors_by_name;
    qsort(order, g->n_tensors, sizeof *order, compare_tensor_offsets);
    for (size_t i = 1; i < g->n_tensors; i++) {
        if (order[i]->offset < order[i - 1]->offset + order[i - 1]->size) {
            return err_set(c->e, ERR_FORMAT, "%s: tensors \"%s\" and \"%s\" overlap", g->path,
                           order[i - 1]->name, order[i]->name);
        }
    }
    return 0;
}

static int read_tensors(struct cursor *c, struct gguf *g, uint64_t count)
{
    if (count > bytes_left(c) / MIN_TENSOR_BYTES) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: claims %" PRIu64 " tensors, more than its %" PRIu64
                       " bytes can hold",
                       g->path, count, g->size);
    }
    g->tensors = mem_zarray((size_t)count + 1, sizeof *g->tensors);
    g->tensors_by_name = mem_zarray((size_t)count + 1, sizeof *g->tensors_by_name);
    if (!g->tensors || !g->tensors_by_name) {
        return err_nomem(c->e);
    }
    for (uint64_t i = 0; i < count; i++) {
        g->tensors_by_name[i] = &g->tensors[i];
        g->n_tensors++;
        g->n_own_tensors++;
        if (read_tensor(c, &g->tensors[i]) != 0) {
            return -1;
        }
    }
    if (count == 0) {
        return 0;
    }
    /* c->pos is at most the file's size and the alignment below 2^32, so that this can not
     * wrap. */
    const uint64_t start = (c->pos + g->alignment - 1) / g->alignment * g->alignment;
    if (place_tensors(c, g, start) != 0) {
        return -1;
    }
    qsort(g->tensors_by_name, g->n_tensors, sizeof *g->tensors_by_name, compare_tensor_names);
    for (size_t i = 1; i < g->n_tensors; i++) {
        if (compare_tensor_names(&g->tensors_by_name[i - 1], &g->tensors_by_name[i]) == 0) {
            return tensor_error(c, g->tensors_by_name[i], "is there twice");
        }
    }
    return 0;
}

static int read_version(struct cursor *c, struct gguf *g)
{
    if (g->size < 4 || memcmp(g->data, "GGUF", 4) != 0) {
        return err_set(c->e, ERR_FORMAT,
                       "%s: not a GGUF file (it does not begin with \"GGUF\")", g->path);
    }
    c->pos = 4;
    if (read_u32(c, "the header", &g->version) != 0) {
        return -1;
    }
    if (g->version != 0 && (g->version & 0xffffU) == 0) {
        return err_set(c->e, ERR_UNSUPPORTED,
                       "%s: a big-endian GGUF file; convert it to little-endian", g->path);
    }
    if (g->version != 2 && g->version != 3) {
        return err_set(c->e, ERR_UNSUPPORTED,
                       "%s: GGUF version %" PRIu32 "; 2 and 3 are supported", g->path,
                       g->version);
    }
    return 0;
}

int gguf_parse(struct gguf *g, struct err *e)
{
    struct cursor c = {.g = g, .e = e};
    uint64_t n_tensors = 0;
    uint64_t n_kvs = 0;

    if (read_version(&c, g) != 0 || read_number(&c, 8, "the header", &n_tensors) != 0 ||
        read_number(&c, 8, "the header", &n_kvs) != 0 || read_metadata(&c, g, n_kvs) != 0 ||
        read_alignment(g, e) != 0) {
        return -1;
    }
    return read_tensors(&c, g, n_tensors);
}
