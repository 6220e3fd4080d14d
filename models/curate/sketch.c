#include "models/curate/sketch.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"

void shingles_deinit(struct shingles *s)
{
    mem_free(s->items);
    *s = (struct shingles){0};
}

static int reserve(struct shingles *s, size_t n, struct err *e)
{
    s->count = 0;
    if (n <= s->cap) {
        return 0;
    }
    uint32_t *grown = mem_realloc_array(s->items, n, sizeof(*grown));
    if (!grown) {
        return err_nomem(e);
    }
    s->items = grown;
    s->cap = n;
    return 0;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

void shingles_unite(struct shingles *s)
{
    if (s->count == 0) {
        return;
    }
    qsort(s->items, s->count, sizeof(*s->items), ascending);
    size_t kept = 1;
    for (size_t i = 1; i < s->count; i++) {
        if (s->items[i] != s->items[kept - 1]) {
            s->items[kept++] = s->items[i];
        }
    }
    s->count = kept;
}

int shingles_of_words(struct shingles *s, const struct words *w, size_t n, struct err *e)
{
    if (reserve(s, w->count + 1, e)) {
        return -1;
    }
    if (w->count == 0) {
        return 0;
    }
    struct ngrams g;
    uint64_t hash;
    ngrams_init(&g, w->items, w->count, n < w->count ? n : w->count);
    while (ngrams_next(&g, &hash)) {
        s->items[s->count++] = (uint32_t)(hash >> 32);
    }
    return 0;
}

/* Small ASCII letters, one blank for a run of them. */
static size_t fold_bytes(uint64_t *out, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        c = c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
        c = c == '\t' || c == '\n' || c == '\r' ? ' ' : c;
        if (c != ' ' || (n > 0 && out[n - 1] != ' ')) {
            out[n++] = c;
        }
    }
    return n;
}

int shingles_of_bytes(struct shingles *s, const char *text, size_t len, size_t n, struct err *e)
{
    struct words bytes = {.items = mem_array(len + 1, sizeof(uint64_t)), .cap = len + 1};
    if (!bytes.items) {
        return err_nomem(e);
    }
    bytes.count = fold_bytes(bytes.items, text, len);
    int rc = shingles_of_words(s, &bytes, n, e);
    words_deinit(&bytes);
    return rc;
}

double shingles_jaccard(const struct shingles *a, const struct shingles *b)
{
    size_t i = 0, j = 0, common = 0;
    while (i < a->count && j < b->count) {
        uint32_t x = a->items[i], y = b->items[j];
        common += x == y;
        i += x <= y;
        j += y <= x;
    }
    size_t all = a->count + b->count - common;
    return all ? (double)common / (double)all : 0;
}

void sketch_make(struct sketch *out, const struct shingles *s, uint64_t seed)
{
    uint32_t factors[SKETCH_LEN], offsets[SKETCH_LEN], minima[SKETCH_LEN];
    for (size_t k = 0; k < SKETCH_LEN; k++) {
        uint64_t r = words_mix(seed + k * 0x9e3779b97f4a7c15u);
        factors[k] = (uint32_t)r | 1u;
        offsets[k] = (uint32_t)(r >> 32);
        minima[k] = UINT32_MAX;
    }
    for (size_t i = 0; i < s->count; i++) {
        uint32_t x = s->items[i];
        for (size_t k = 0; k < SKETCH_LEN; k++) {
            uint32_t h = x * factors[k] + offsets[k];
            minima[k] = h < minima[k] ? h : minima[k];
        }
    }
    for (size_t k = 0; k < SKETCH_LEN; k++) {
        /* The smallest numbers differ in their low bits; mixed, so do the 8 that are kept. */
        out->minima[k] = (uint8_t)(words_mix(minima[k]) >> 56);
    }
}

double sketch_jaccard(const struct sketch *a, const struct sketch *b)
{
    unsigned same = 0;
    for (size_t k = 0; k < SKETCH_LEN; k++) {
        same += a->minima[k] == b->minima[k];
    }
    /* Of those that differ 1 in 256 agree by chance. */
    double share = (double)same / SKETCH_LEN;
    return (share - 1.0 / 256) / (1 - 1.0 / 256);
}

uint64_t sketch_band(const struct sketch *s, size_t band)
{
    uint64_t key = 0;
    memcpy(&key, s->minima + band * SKETCH_ROWS, SKETCH_ROWS);
    return words_mix(key + 1);
}
