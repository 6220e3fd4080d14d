#include "models/format/gguf_split.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"

#define KEY_COUNT   "split.count"
#define KEY_NO      "split.no"
#define KEY_TENSORS "split.tensors.count"
#define MAX_COUNT   99999u /* five digits */
#define TAIL_MAX    32     /* "-00001-of-00003.gguf" */

uint32_t gguf_split_count(const struct gguf *g, struct err *e)
{
    uint32_t count = 1;
    if (!gguf_has(g, KEY_COUNT)) {
        return 1;
    }
    if (gguf_get_u32(g, KEY_COUNT, &count, e) != 0) {
        return 0;
    }
    if (count > MAX_COUNT) {
        err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": %" PRIu32 " files, %u are possible",
                g->path, KEY_COUNT, count, MAX_COUNT);
        return 0;
    }
    /* A model that was put together again may say 0. */
    return count > 0 ? count : 1;
}

static void make_tail(char out[TAIL_MAX], uint32_t no, uint32_t count)
{
    snprintf(out, TAIL_MAX, "-%05" PRIu32 "-of-%05" PRIu32 ".gguf", no + 1, count);
}

char *gguf_split_path(const char *first, uint32_t no, uint32_t count, struct err *e)
{
    char tail[TAIL_MAX];
    make_tail(tail, 0, count);
    size_t len = strlen(first), tail_len = strlen(tail);
    if (len < tail_len || strcmp(first + len - tail_len, tail) != 0) {
        err_set(e, ERR_INVALID,
                "%s: one of %" PRIu32 " files of a model; give the first, whose name ends in "
                "\"%s\"",
                first, count, tail);
        return NULL;
    }
    char *path = mem_strdup(first);
    if (!path) {
        err_nomem(e);
        return NULL;
    }
    make_tail(tail, no, count);
    snprintf(path + len - tail_len, tail_len + 1, "%s", tail);
    return path;
}

/* Whether the part says that it is number `no` of as many. */
static int check_part(const struct gguf *g, const struct gguf *part, uint32_t no, struct err *e)
{
    uint32_t said_no, said_count = gguf_split_count(part, e);
    if (said_count == 0 || gguf_get_u32(part, KEY_NO, &said_no, e) != 0) {
        return -1;
    }
    if (said_no != no || said_count != g->n_parts + 1) {
        return err_set(e, ERR_FORMAT,
                       "%s: says that it is file %" PRIu32 " of %" PRIu32 ", not %" PRIu32
                       " of %zu",
                       part->path, said_no + 1, said_count, no + 1, g->n_parts + 1);
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct gguf_tensor *const *)a)->name,
                  (*(const struct gguf_tensor *const *)b)->name);
}

static int index_names(struct gguf *g, struct err *e)
{
    for (size_t i = 0; i < g->n_tensors; i++) {
        g->tensors_by_name[i] = &g->tensors[i];
    }
    qsort(g->tensors_by_name, g->n_tensors, sizeof(*g->tensors_by_name), compare_names);
    for (size_t i = 1; i < g->n_tensors; i++) {
        const char *name = g->tensors_by_name[i]->name;
        if (strcmp(g->tensors_by_name[i - 1]->name, name) == 0) {
            return err_set(e, ERR_FORMAT, "%s: tensor \"%s\" is in two files of the model",
                           g->path, name);
        }
    }
    return 0;
}

static int check_total(const struct gguf *g, struct err *e)
{
    uint64_t total = g->n_tensors;
    if (gguf_has(g, KEY_TENSORS) && gguf_get_u64(g, KEY_TENSORS, &total, e) != 0) {
        return -1;
    }
    return total == g->n_tensors
               ? 0
               : err_set(e, ERR_FORMAT,
                         "%s: the model's files have %zu tensors, %" PRIu64 " were announced",
                         g->path, g->n_tensors, total);
}

int gguf_split_merge(struct gguf *g, struct err *e)
{
    size_t total = g->n_tensors;
    if (check_part(g, g, 0, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < g->n_parts; i++) {
        if (check_part(g, g->parts[i], (uint32_t)i + 1, e) != 0) {
            return -1;
        }
        total += g->parts[i]->n_tensors;
    }
    struct gguf_tensor *tensors = mem_array(total, sizeof(*tensors));
    const struct gguf_tensor **by_name = mem_array(total, sizeof(*by_name));
    if (!tensors || !by_name) {
        mem_free(tensors);
        mem_free(by_name);
        return err_nomem(e);
    }
    size_t n = 0;
    for (size_t i = 0; i < g->n_tensors; i++) {
        tensors[n++] = g->tensors[i];
    }
    for (size_t i = 0; i < g->n_parts; i++) {
        for (size_t k = 0; k < g->parts[i]->n_tensors; k++) {
            tensors[n++] = g->parts[i]->tensors[k];
        }
    }
    mem_free(g->tensors);
    mem_free(g->tensors_by_name);
    g->tensors = tensors;
    g->tensors_by_name = by_name;
    g->n_tensors = total;
    return index_names(g, e) != 0 ? -1 : check_total(g, e);
}
