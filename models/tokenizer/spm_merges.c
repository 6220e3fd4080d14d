/* The pairs of symbols that make each token, found once so that encoding compares ids and not
 * texts. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer/spm.h"
#include "runtime/base/mem.h"

#define KEY_SCORES "tokenizer.ggml.scores"
#define KEY_TOKENS "tokenizer.ggml.tokens"

/* --- the order of merges --- */

struct scored {
    float score;
    int32_t id;
};

static int best_first(const void *a, const void *b)
{
    float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

/* (n_tokens): 0 for the greatest score; tokens with one score have one rank, and the leftmost
 * pair of them is merged first. NULL on failure. */
static uint32_t *read_ranks(const struct spm *s, const struct gguf *g, struct err *e)
{
    const struct gguf_kv *scores;
    size_t n, n_tokens = (size_t)s->vocab->n_tokens;
    if (gguf_get_array(g, KEY_SCORES, GGUF_F32, &scores, &n, e) != 0) {
        return NULL;
    }
    if (n != n_tokens) {
        err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": %zu scores for %zu tokens",
                gguf_path(g), KEY_SCORES, n, n_tokens);
        return NULL;
    }
    struct scored *order = mem_array(n, sizeof(*order));
    uint32_t *ranks = mem_array(n, sizeof(*ranks));
    if (!order || !ranks) {
        err_nomem(e);
        goto fail;
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = (struct scored){gguf_array_f32(scores, i), (int32_t)i};
        if (isnan(order[i].score)) {
            err_set(e, ERR_FORMAT, "%s: metadata key \"%s\": score %zu is not a number",
                    gguf_path(g), KEY_SCORES, i);
            goto fail;
        }
    }
    qsort(order, n, sizeof(*order), best_first);
    uint32_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        rank += i > 0 && order[i].score < order[i - 1].score;
        ranks[order[i].id] = rank;
    }
    mem_free(order);
    return ranks;
fail:
    mem_free(order);
    mem_free(ranks);
    return NULL;
}

/* --- characters that are no tokens --- */

static int compare_loose(const void *a, const void *b)
{
    const struct spm_loose *x = a, *y = b;
    return x->len != y->len ? (x->len > y->len) - (x->len < y->len)
                            : memcmp(x->bytes, y->bytes, x->len);
}

int32_t spm_symbol(const struct spm *s, const char *bytes, size_t len)
{
    int32_t id = vocab_find_bytes(s->vocab, bytes, len);
    if (id >= 0 || s->n_loose == 0 || len > 4) {
        return id;
    }
    struct spm_loose key = {.len = (uint32_t)len};
    memcpy(key.bytes, bytes, len);
    const struct spm_loose *found =
        bsearch(&key, s->loose, s->n_loose, sizeof(key), compare_loose);
    return found ? s->vocab->n_tokens + (int32_t)(found - s->loose) : -1;
}

static void add_if_loose(struct spm *s, const char *bytes, size_t len)
{
    if (vocab_find_bytes(s->vocab, bytes, len) < 0) {
        struct spm_loose *loose = &s->loose[s->n_loose++];
        *loose = (struct spm_loose){.len = (uint32_t)len};
        memcpy(loose->bytes, bytes, len);
    }
}

static int find_loose(struct spm *s, struct err *e)
{
    s->loose = mem_array((size_t)s->vocab->n_tokens, 2 * sizeof(*s->loose));
    if (!s->loose) {
        return err_nomem(e);
    }
    for (int32_t id = 0; id < s->vocab->n_tokens; id++) {
        const struct vocab_token *t = &s->vocab->tokens[id];
        if (t->kind != TOKEN_NORMAL || t->n_bytes == 0) {
            continue;
        }
        size_t size = 0;
        for (size_t at = 0; at < t->n_bytes; at += size) {
            size = spm_character(t->bytes + at, t->n_bytes - at);
        }
        add_if_loose(s, t->bytes, spm_character(t->bytes, t->n_bytes));
        add_if_loose(s, t->bytes + t->n_bytes - size, size);
    }
    qsort(s->loose, s->n_loose, sizeof(*s->loose), compare_loose);
    size_t n = 0;
    for (size_t i = 0; i < s->n_loose; i++) {
        if (i == 0 || compare_loose(&s->loose[i], &s->loose[n - 1]) != 0) {
            s->loose[n++] = s->loose[i];
        }
    }
    s->n_loose = n;
    return 0;
}

/* --- merges --- */

struct merge {
    int32_t left, right, id;
};

struct merge_list {
    struct merge *items; /* (count) */
    size_t count, cap;
};

static int list_merge(struct merge_list *list, struct merge m)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 1024;
        struct merge *items = mem_realloc_array(list->items, cap, sizeof(*items));
        if (!items) {
            return -1;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = m;
    return 0;
}

/* The pairs that make token id: each way to cut its text in two between characters. */
static int list_pairs(const struct spm *s, int32_t id, struct merge_list *list)
{
    const struct vocab_token *t = &s->vocab->tokens[id];
    for (size_t at = spm_character(t->bytes, t->n_bytes); at < t->n_bytes;
         at += spm_character(t->bytes + at, t->n_bytes - at)) {
        int32_t left = spm_symbol(s, t->bytes, at);
        int32_t right = left < 0 ? -1 : spm_symbol(s, t->bytes + at, t->n_bytes - at);
        if (right >= 0 && list_merge(list, (struct merge){left, right, id}) != 0) {
            return -1;
        }
    }
    return 0;
}

static int list_all(struct spm *s, const struct gguf *g, struct merge_list *list, struct err *e)
{
    for (int32_t id = 0; id < s->vocab->n_tokens; id++) {
        const struct vocab_token *t = &s->vocab->tokens[id];
        /* Of tokens with the same text the first one is used. */
        if (t->kind != TOKEN_NORMAL || t->n_bytes == 0 ||
            vocab_find_bytes(s->vocab, t->bytes, t->n_bytes) != id) {
            continue;
        }
        if (t->n_bytes > SPM_MAX_TOKEN) {
            return err_set(e, ERR_FORMAT,
                           "%s: metadata key \"%s\": token %" PRId32 " has %" PRIu32
                           " bytes, at most %d are allowed",
                           gguf_path(g), KEY_TOKENS, id, t->n_bytes, SPM_MAX_TOKEN);
        }
        byte_pairs_add(&s->joined, t->bytes, t->n_bytes);
        if (list_pairs(s, id, list) != 0) {
            return err_nomem(e);
        }
    }
    return 0;
}

int spm_read_merges(struct spm *s, const struct gguf *g, struct err *e)
{
    struct merge_list list = {0};
    uint32_t *ranks = read_ranks(s, g, e);
    int rc = -1;
    if (!ranks || find_loose(s, e) != 0 || list_all(s, g, &list, e) != 0) {
        goto cleanup;
    }
    if (bpe_table_init(&s->merges, list.count) != 0) {
        err_nomem(e);
        goto cleanup;
    }
    for (size_t i = 0; i < list.count; i++) {
        const struct merge *m = &list.items[i];
        bpe_table_add(&s->merges, m->left, m->right, ranks[m->id], m->id);
    }
    rc = 0;
cleanup:
    mem_free(ranks);
    mem_free(list.items);
    return rc;
}
