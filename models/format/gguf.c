#include "models/format/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/format/gguf_parse.h"
#include "models/format/gguf_split.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define HASH_PART ((uint64_t)8 << 20)

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [GGUF_U8] = {"u8", 1},       [GGUF_I8] = {"i8", 1},     [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2},     [GGUF_U32] = {"u32", 4},   [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4},     [GGUF_BOOL] = {"bool", 1}, [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8},   [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

const char *gguf_type_name(enum gguf_type type)
{
    return type <= GGUF_F64 ? types[type].name : "unknown";
}

size_t gguf_type_size(enum gguf_type type)
{
    return type <= GGUF_F64 ? types[type].size : 0;
}

static struct gguf *create(const char *path, struct err *e)
{
    struct gguf *g = mem_zalloc(sizeof *g);

    if (g) {
        g->path = mem_strdup(path);
    }
    if (!g || !g->path) {
        gguf_close(g);
        err_nomem(e);
        return NULL;
    }
    return g;
}

static struct gguf *open_one(const char *path, struct err *e)
{
    struct gguf *g = create(path, e);

    if (g) {
        g->is_mapped = true;
    }
    if (g && (file_map(path, &g->data, &g->size, e) != 0 || gguf_parse(g, e) != 0)) {
        (void)gguf_check_whole(g, e); /* the better reason */
        gguf_close(g);
        return NULL;
    }
    return g;
}

static int open_parts(struct gguf *g, uint32_t count, struct err *e)
{
    g->parts = mem_zarray(count - 1, sizeof *g->parts);
    if (!g->parts) {
        return err_nomem(e);
    }
    for (uint32_t no = 1; no < count; no++) {
        char *path = gguf_split_path(g->path, no, count, e);
        struct gguf *part = path ? open_one(path, e) : NULL;

        mem_free(path);
        if (!part) {
            return -1;
        }
        g->parts[g->n_parts++] = part;
    }
    return gguf_split_merge(g, e);
}

struct gguf *gguf_open(const char *path, struct err *e)
{
    struct gguf *g = open_one(path, e);
    const uint32_t count = g ? gguf_split_count(g, e) : 0;

    if (count == 0 || (count > 1 && open_parts(g, count, e) != 0)) {
        gguf_close(g);
        return NULL;
    }
    return g;
}

struct gguf *gguf_open_memory(const void *data, size_t len, const char *name, struct err *e)
{
    struct gguf *g = create(name, e);

    if (!g) {
        return NULL;
    }
    g->data = data;
    g->size = len;
    if (gguf_parse(g, e) != 0) {
        gguf_close(g);
        return NULL;
    }
    return g;
}

void gguf_close(struct gguf *g)
{
    if (!g) {
        return;
    }
    for (size_t i = 0; i < g->n_kvs; i++) {
        mem_free((char *)g->kvs[i].key);
        mem_free(g->kvs[i].strings);
    }
    for (size_t i = 0; i < g->n_own_tensors; i++) {
        mem_free((char *)g->tensors[i].name);
    }
    for (size_t i = 0; i < g->n_parts; i++) {
        gguf_close(g->parts[i]);
    }
    mem_free(g->parts);
    mem_free(g->kvs);
    mem_free(g->kvs_by_key);
    mem_free(g->tensors);
    mem_free(g->tensors_by_name);
    if (g->is_mapped) {
        file_unmap(g->data, g->size);
    }
    mem_free(g->path);
    mem_free(g);
}

const char *gguf_path(const struct gguf *g)
{
    return g->path;
}

uint64_t gguf_file_size(const struct gguf *g)
{
    uint64_t size = g->size;

    for (size_t i = 0; i < g->n_parts; i++) {
        size += g->parts[i]->size;
    }
    return size;
}

uint32_t gguf_version(const struct gguf *g)
{
    return g->version;
}

uint32_t gguf_alignment(const struct gguf *g)
{
    return g->alignment;
}

void gguf_give_back(const struct gguf *g, const void *data, size_t len)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)data + len) / page * page;

    if (g->is_mapped && !g->is_detached && begin < end) {
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* a hint, no more */
    }
}

int gguf_check_whole(const struct gguf *g, struct err *e)
{
    bool is_cut = g->is_mapped && file_map_is_cut(g->data);

    for (size_t i = 0; i < g->n_parts; i++) {
        is_cut |= file_map_is_cut(g->parts[i]->data);
    }
    return is_cut ? err_set(e, ERR_FORMAT,
                            "%s: was cut short while it was read; replace a file by renaming "
                            "another over it",
                            g->path)
                  : 0;
}

int gguf_detach(struct gguf *g, struct err *e)
{
    for (size_t i = 0; i < g->n_parts; i++) {
        if (gguf_detach(g->parts[i], e) != 0) {
            return -1;
        }
    }
    if (g->is_mapped && !g->is_detached && file_map_detach(g->path, g->data, g->size, e) != 0) {
        return -1;
    }
    g->is_detached = true;
    return 0;
}

static void hash_file(const struct gguf *g, struct hash *h)
{
    for (uint64_t at = 0; at < g->size; at += HASH_PART) {
        const size_t len = (size_t)(g->size - at < HASH_PART ? g->size - at : HASH_PART);

        hash_add(h, g->data + at, len);
        gguf_give_back(g, g->data + at, len);
    }
}

int gguf_sha256(const struct gguf *g, char out[HASH_HEX_LEN + 1], struct err *e)
{
    struct hash *h = hash_begin();

    hash_file(g, h);
    for (size_t i = 0; i < g->n_parts; i++) {
        hash_file(g->parts[i], h);
    }
    if (hash_end(h, out) != 0) {
        return err_set(e, ERR_IO, "%s: cannot compute its SHA-256", g->path);
    }
    return 0;
}

size_t gguf_kv_count(const struct gguf *g)
{
    return g->n_kvs;
}

const struct gguf_kv *gguf_kv_at(const struct gguf *g, size_t i)
{
    return &g->kvs[i];
}

static int compare_key(const void *key, const void *element)
{
    return strcmp(key, (*(const struct gguf_kv *const *)element)->key);
}

const struct gguf_kv *gguf_kv_find(const struct gguf *g, const char *key)
{
    const struct gguf_kv **found =
        bsearch(key, g->kvs_by_key, g->n_kvs, sizeof *g->kvs_by_key, compare_key);

    return found ? *found : NULL;
}

bool gguf_has(const struct gguf *g, const char *key)
{
    return gguf_kv_find(g, key) != NULL;
}

static const struct gguf_kv *require(const struct gguf *g, const char *key, struct err *e)
{
    const struct gguf_kv *kv = gguf_kv_find(g, key);

    if (!kv) {
        err_set(e, ERR_NOT_FOUND, "%s: metadata key \"%s\" is missing", g->path, key);
    }
    return kv;
}

static int wrong_type(const struct gguf *g, const struct gguf_kv *kv, const char *wanted,
                      struct err *e)
{
    if (kv->type == GGUF_ARRAY) {
        return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": an array of %s, must be %s",
                       g->path, kv->key, gguf_type_name(kv->item_type), wanted);
    }
    return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": type %s, must be %s", g->path,
                   kv->key, gguf_type_name(kv->type), wanted);
}

/* An integer of any width. */
struct integer {
    bool negative; /* then bits is its 64-bit two's complement */
    uint64_t bits;
};

static int64_t sign_extend(uint64_t bits, enum gguf_type type)
{
    switch (type) {
    case GGUF_I8:
        return (int8_t)bits;
    case GGUF_I16:
        return (int16_t)bits;
    case GGUF_I32:
        return (int32_t)bits;
    default:
        return (int64_t)bits;
    }
}

static int get_integer(const struct gguf *g, const char *key, struct integer *out,
                       struct err *e)
{
    const struct gguf_kv *kv = require(g, key, e);

    if (!kv) {
        return -1;
    }
    const size_t size = gguf_type_size(kv->type);
    switch (kv->type) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64:
        *out = (struct integer){.bits = gguf_load(kv->data, size)};
        return 0;
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64: {
        const int64_t v = sign_extend(gguf_load(kv->data, size), kv->type);

        *out = (struct integer){.negative = v < 0, .bits = (uint64_t)v};
        return 0;
    }
    default:
        return wrong_type(g, kv, "an integer", e);
    }
}

static int get_unsigned(const struct gguf *g, const char *key, uint64_t max, uint64_t *out,
                        struct err *e)
{
    struct integer v;

    if (get_integer(g, key, &v, e) != 0) {
        return -1;
    }
    if (v.negative) {
        return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": %" PRId64 " is negative",
                       g->path, key, (int64_t)v.bits);
    }
    if (v.bits > max) {
        return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": %" PRIu64 " is above %" PRIu64,
                       g->path, key, v.bits, max);
    }
    *out = v.bits;
    return 0;
}

int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out, struct err *e)
{
    uint64_t v = 0;

    if (get_unsigned(g, key, UINT32_MAX, &v, e) != 0) {
        return -1;
    }
    *out = (uint32_t)v;
    return 0;
}

int gguf_get_u64(const struct gguf *g, const char *key, uint64_t *out, struct err *e)
{
    return get_unsigned(g, key, UINT64_MAX, out, e);
}

int gguf_get_i32(const struct gguf *g, const char *key, int32_t *out, struct err *e)
{
    struct integer v;

    if (get_integer(g, key, &v, e) != 0) {
        return -1;
    }
    if (v.negative ? (int64_t)v.bits < INT32_MIN : v.bits > INT32_MAX) {
        return err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": does not fit 32 bits", g->path,
                       key);
    }
    *out = (int32_t)(int64_t)v.bits;
    return 0;
}

static float load_f32(const unsigned char *p)
{
    const uint32_t bits = (uint32_t)gguf_load(p, 4);
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

static double load_f64(const unsigned char *p)
{
    const uint64_t bits = gguf_load(p, 8);
    double d;

    memcpy(&d, &bits, sizeof d);
    return d;
}

int gguf_get_f32(const struct gguf *g, const char *key, float *out, struct err *e)
{
    const struct gguf_kv *kv = require(g, key, e);

    if (!kv) {
        return -1;
    }
    if (kv->type == GGUF_F32) {
        *out = load_f32(kv->data);
    } else if (kv->type == GGUF_F64) {
        *out = (float)load_f64(kv->data);
    } else {
        return wrong_type(g, kv, "a float", e);
    }
    return 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *out, struct err *e)
{
    const struct gguf_kv *kv = require(g, key, e);

    if (!kv) {
        return -1;
    }
    if (kv->type != GGUF_BOOL) {
        return wrong_type(g, kv, "a bool", e);
    }
    *out = kv->data[0] != 0;
    return 0;
}

int gguf_get_str(const struct gguf *g, const char *key, struct gguf_str *out, struct err *e)
{
    const struct gguf_kv *kv = require(g, key, e);

    if (!kv) {
        return -1;
    }
    if (kv->type != GGUF_STRING) {
        return wrong_type(g, kv, "a string", e);
    }
    *out = kv->strings[0];
    return 0;
}

int gguf_get_array(const struct gguf *g, const char *key, enum gguf_type item_type,
                   const struct gguf_kv **out, size_t *count, struct err *e)
{
    const struct gguf_kv *kv = require(g, key, e);
    char wanted[32];

    if (!kv) {
        return -1;
    }
    if (kv->type != GGUF_ARRAY || kv->item_type != item_type) {
        snprintf(wanted, sizeof wanted, "an array of %s", gguf_type_name(item_type));
        return wrong_type(g, kv, wanted, e);
    }
    *out = kv;
    *count = (size_t)kv->count;
    return 0;
}

int gguf_get_strs(const struct gguf *g, const char *key, const struct gguf_str **out,
                  size_t *count, struct err *e)
{
    const struct gguf_kv *kv = NULL;

    if (gguf_get_array(g, key, GGUF_STRING, &kv, count, e) != 0) {
        return -1;
    }
    *out = kv->strings;
    return 0;
}

int32_t gguf_array_i32(const struct gguf_kv *kv, size_t i)
{
    return (int32_t)(uint32_t)gguf_load(kv->data + 4 * i, 4);
}

float gguf_array_f32(const struct gguf_kv *kv, size_t i)
{
    return load_f32(kv->data + 4 * i);
}

static void format_float(double v, bool is_f32, char out[GGUF_NUMBER_TEXT])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, GGUF_NUMBER_TEXT, "%.*g", digits, v);
        const double back = is_f32 ? (double)strtof(out, NULL) : strtod(out, NULL);
        if (!(back < v) && !(back > v)) {
            return;
        }
    }
}

void gguf_format_number(const struct gguf_kv *kv, size_t i, char out[GGUF_NUMBER_TEXT])
{
    const size_t size = gguf_type_size(kv->item_type);
    const unsigned char *p = kv->data + i * size;

    switch (kv->item_type) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64:
        snprintf(out, GGUF_NUMBER_TEXT, "%" PRIu64, gguf_load(p, size));
        break;
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64:
        snprintf(out, GGUF_NUMBER_TEXT, "%" PRId64,
                 sign_extend(gguf_load(p, size), kv->item_type));
        break;
    case GGUF_F32:
        format_float((double)load_f32(p), true, out);
        break;
    case GGUF_F64:
        format_float(load_f64(p), false, out);
        break;
    case GGUF_BOOL:
        snprintf(out, GGUF_NUMBER_TEXT, "%s", p[0] ? "true" : "false");
        break;
    case GGUF_STRING:
    case GGUF_ARRAY:
        out[0] = '\0';
        break;
    }
}

size_t gguf_tensor_count(const struct gguf *g)
{
    return g->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
    return &g->tensors[i];
}

static int compare_name(const void *name, const void *element)
{
    return strcmp(name, (*(const struct gguf_tensor *const *)element)->name);
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name)
{
    const struct gguf_tensor **found = bsearch(name, g->tensors_by_name, g->n_tensors,
                                               sizeof *g->tensors_by_name, compare_name);

    return found ? *found : NULL;
}
