#include "models/convert/adapter_merge.h"

#include <stdio.h>
#include <string.h>

#include "models/format/gguf_write.h"
#include "models/format/tensor_type.h"
#include "quant/q8.h"
#include "runtime/base/mem.h"

#define SUFFIX_BYTES (sizeof(".lora_a") - 1)

/* A and B of one matrix as numbers. */
struct pair {
    size_t n_in, n_out, rank;
    float *a; /* (rank, n_in) */
    float *b; /* (n_out, rank) */
    float scale;
};

/* The writer borrows tensors until it writes. */
struct merging {
    const struct adapter_merge *m;
    struct gguf_writer *out;
    float alpha; /* 0: the rank */
    void **data; /* (gguf_tensor_count of the base) */
    size_t n_merged;
};

/* --- the adapter --- */

static int check_adapter(struct merging *w, struct err *e)
{
    const struct gguf *a = w->m->adapter;
    struct gguf_str type, arch, base_arch;
    struct err none;
    if (gguf_get_str(a, "general.type", &type, &none) != 0 || type.len != 7 ||
        memcmp(type.data, "adapter", 7) != 0 ||
        gguf_get_str(a, "adapter.type", &type, &none) != 0 || type.len != 4 ||
        memcmp(type.data, "lora", 4) != 0) {
        return err_set(e, ERR_FORMAT,
                       "%s: no LoRA adapter (general.type \"adapter\", adapter.type \"lora\")",
                       gguf_path(a));
    }
    if (gguf_get_str(a, "general.architecture", &arch, e) != 0 ||
        gguf_get_str(w->m->base, "general.architecture", &base_arch, e) != 0) {
        return -1;
    }
    if (arch.len != base_arch.len || memcmp(arch.data, base_arch.data, arch.len) != 0) {
        return err_set(e, ERR_INVALID,
                       "%s: is for architecture \"%.*s\", the model is \"%.*s\"", gguf_path(a),
                       (int)arch.len, arch.data, (int)base_arch.len, base_arch.data);
    }
    return gguf_has(a, "adapter.lora.alpha")
               ? gguf_get_f32(a, "adapter.lora.alpha", &w->alpha, e)
               : 0;
}

static const struct gguf_tensor *find_part(const struct gguf *adapter, const char *name,
                                           char part)
{
    char full[GGUF_MAX_TENSOR_NAME + SUFFIX_BYTES + 1];
    snprintf(full, sizeof(full), "%s.lora_%c", name, part);
    return gguf_tensor_find(adapter, full);
}

/* Every pair must be meant for a tensor that is there. */
static int check_parts(const struct merging *w, struct err *e)
{
    const struct gguf *a = w->m->adapter;
    for (size_t i = 0; i < gguf_tensor_count(a); i++) {
        char name[GGUF_MAX_TENSOR_NAME + 1];
        const char *full = gguf_tensor_at(a, i)->name;
        size_t len = strlen(full);
        bool part = len > SUFFIX_BYTES && len <= GGUF_MAX_TENSOR_NAME &&
                    (strcmp(full + len - SUFFIX_BYTES, ".lora_a") == 0 ||
                     strcmp(full + len - SUFFIX_BYTES, ".lora_b") == 0);
        if (!part) {
            return err_set(e, ERR_UNSUPPORTED,
                           "%s: tensor \"%s\" is no part of a low-rank pair (.lora_a, .lora_b)",
                           gguf_path(a), full);
        }
        memcpy(name, full, len - SUFFIX_BYTES);
        name[len - SUFFIX_BYTES] = '\0';
        if (!gguf_tensor_find(w->m->base, name)) {
            return err_set(e, ERR_INVALID, "%s: tensor \"%s\": the model %s has no \"%s\"",
                           gguf_path(a), full, gguf_path(w->m->base), name);
        }
        if (!find_part(a, name, full[len - 1] == 'a' ? 'b' : 'a')) {
            return err_set(e, ERR_FORMAT, "%s: tensor \"%s\": its other half is missing",
                           gguf_path(a), full);
        }
    }
    return gguf_tensor_count(a) > 0
               ? 0
               : err_set(e, ERR_FORMAT, "%s: holds no tensors", gguf_path(a));
}

static float *read_matrix(const struct gguf *g, const struct gguf_tensor *t, struct err *e)
{
    size_t n = (size_t)t->dims[0], rows = (size_t)t->dims[1];
    size_t row_bytes = (size_t)tensor_type_row_bytes(t->type, n);
    float *out = mem_array(rows * n, sizeof(*out));
    if (!out) {
        err_nomem(e);
        return NULL;
    }
    for (size_t i = 0; i < rows; i++) {
        if (tensor_row_to_f32(t->type, (const char *)t->data + i * row_bytes, out + i * n, n)) {
            err_set(e, ERR_UNSUPPORTED,
                    "%s: tensor \"%s\": of its type only " TENSOR_READABLE_NAMES " can be read",
                    gguf_path(g), t->name);
            mem_free(out);
            return NULL;
        }
    }
    return out;
}

static void pair_deinit(struct pair *p)
{
    mem_free(p->a);
    mem_free(p->b);
}

static int pair_init(struct pair *p, const struct merging *w, const struct gguf_tensor *t,
                     const struct gguf_tensor *a, struct err *e)
{
    const struct gguf *g = w->m->adapter;
    const struct gguf_tensor *b = find_part(g, t->name, 'b');
    *p = (struct pair){
        .n_in = (size_t)t->dims[0], .n_out = (size_t)t->dims[1], .rank = (size_t)a->dims[1]};
    if (t->n_dims != 2 || a->n_dims != 2 || b->n_dims > 2 || a->dims[0] != t->dims[0] ||
        b->dims[0] != a->dims[1] || b->dims[1] != t->dims[1]) {
        return err_set(e, ERR_INVALID,
                       "%s: \"%s\": A %llu by %llu and B %llu by %llu do not fit a matrix of "
                       "%llu by %llu",
                       gguf_path(g), t->name, (unsigned long long)a->dims[0],
                       (unsigned long long)a->dims[1], (unsigned long long)b->dims[0],
                       (unsigned long long)b->dims[1], (unsigned long long)t->dims[0],
                       (unsigned long long)t->dims[1]);
    }
    float alpha = w->alpha != 0.0f ? w->alpha : (float)p->rank;
    p->scale = w->m->scale * alpha / (float)p->rank;
    p->a = read_matrix(g, a, e);
    p->b = p->a ? read_matrix(g, b, e) : NULL;
    if (!p->b) {
        pair_deinit(p);
        return -1;
    }
    return 0;
}

/* row (n_in) of output i. */
static void pair_add(const struct pair *p, size_t i, float *row)
{
    for (size_t k = 0; k < p->rank; k++) {
        const float *a = p->a + k * p->n_in;
        float x = p->scale * p->b[i * p->rank + k];
        for (size_t j = 0; j < p->n_in; j++) {
            row[j] += x * a[j];
        }
    }
}

/* --- the model --- */

static uint32_t choose_type(const struct merging *w, const struct gguf_tensor *t, bool changes)
{
    bool whole = t->dims[0] % Q8_GROUP == 0;
    bool matrix = t->n_dims >= 2 && !strstr(t->name, "_norm.weight") &&
                  !strstr(t->name, ".ffn_gate_inp.");
    bool writable = t->type == TENSOR_F32 || t->type == TENSOR_F16 || t->type == TENSOR_Q8_0;
    if (w->m->type == ADAPTER_MERGE_KEEP || !matrix) {
        return !changes || writable ? t->type : whole ? TENSOR_Q8_0 : TENSOR_F16;
    }
    return w->m->type == TENSOR_Q8_0 && !whole ? (uint32_t)TENSOR_F16 : w->m->type;
}

/* The rows of t in another type, with what the pair adds. */
static int convert_rows(const struct gguf_tensor *t, uint32_t type, const struct pair *p,
                        float *row, char *to)
{
    size_t n = (size_t)t->dims[0], rows = (size_t)(t->n_elements / t->dims[0]);
    size_t from_bytes = (size_t)tensor_type_row_bytes(t->type, n);
    size_t to_bytes = (size_t)tensor_type_row_bytes(type, n);
    for (size_t i = 0; i < rows; i++) {
        if (tensor_row_to_f32(t->type, (const char *)t->data + i * from_bytes, row, n)) {
            return -1;
        }
        if (p) {
            pair_add(p, i, row);
        }
        if (tensor_row_from_f32(type, row, to + i * to_bytes, n)) {
            return -1;
        }
    }
    return 0;
}

static int convert(struct merging *w, size_t index, const struct pair *p, struct err *e)
{
    const struct gguf_tensor *t = gguf_tensor_at(w->m->base, index);
    uint32_t type = choose_type(w, t, p);
    if (!p && type == t->type) {
        gguf_add_tensor(w->out, t->name, type, t->n_dims, t->dims, t->data);
        return 0;
    }
    size_t rows = (size_t)(t->n_elements / t->dims[0]);
    char *data = mem_array(rows, (size_t)tensor_type_row_bytes(type, t->dims[0]));
    float *row = mem_array((size_t)t->dims[0], sizeof(*row));
    int rc = data && row ? 0 : err_nomem(e);
    if (rc == 0 && convert_rows(t, type, p, row, data)) {
        rc = err_set(
            e, ERR_FORMAT,
            "%s: tensor \"%s\" is of a type that cannot be read, or holds a number that "
            "is not finite or too large",
            gguf_path(w->m->base), t->name);
    }
    mem_free(row);
    w->data[index] = data;
    if (rc == 0) {
        gguf_add_tensor(w->out, t->name, type, t->n_dims, t->dims, data);
    }
    return rc;
}

static int merge_tensor(struct merging *w, size_t index, struct err *e)
{
    const struct gguf_tensor *t = gguf_tensor_at(w->m->base, index);
    const struct gguf_tensor *a = find_part(w->m->adapter, t->name, 'a');
    struct pair p;
    if (!a) {
        return convert(w, index, NULL, e);
    }
    if (pair_init(&p, w, t, a, e)) {
        return -1;
    }
    int rc = convert(w, index, &p, e);
    w->n_merged++;
    pair_deinit(&p);
    return rc;
}

static void put_metadata(struct merging *w)
{
    if (w->m->name) {
        gguf_put_str(w->out, "general.name", w->m->name);
    }
    if (w->m->type != ADAPTER_MERGE_KEEP) {
        /* general.file_type of the GGUF specification */
        gguf_put_u32(w->out, "general.file_type",
                     w->m->type == TENSOR_Q8_0  ? 7
                     : w->m->type == TENSOR_F16 ? 1
                                                : 0);
    }
    gguf_put_copies(w->out, w->m->base, "");
}

int adapter_merge_write(const struct adapter_merge *m, const char *to, size_t *n_merged,
                        struct err *e)
{
    struct merging w = {.m = m};
    size_t count = gguf_tensor_count(m->base);
    int rc = -1;
    if (check_adapter(&w, e) || check_parts(&w, e)) {
        return -1;
    }
    w.out = gguf_writer_create(e);
    w.data = w.out ? mem_zarray(count + 1, sizeof(*w.data)) : NULL;
    if (!w.data) {
        rc = w.out ? err_nomem(e) : -1;
        goto cleanup;
    }
    put_metadata(&w);
    rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = merge_tensor(&w, i, e);
    }
    rc = rc == 0 ? gguf_writer_write(w.out, to, e) : rc;
    *n_merged = w.n_merged;
cleanup:
    gguf_writer_destroy(w.out);
    for (size_t i = 0; w.data && i < count; i++) {
        mem_free(w.data[i]);
    }
    mem_free(w.data);
    return rc;
}
