#include "runtime/grammar/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"

#define TOKENS_MAX (1 << 24)
#define BYTES_MAX  ((size_t)1 << 30)

/* A token while the trees are built. */
struct entry {
    const unsigned char *bytes;
    uint32_t len;
    int32_t token;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const uint32_t n = x->len < y->len ? x->len : y->len;
    const int order = n > 0 ? memcmp(x->bytes, y->bytes, n) : 0;
    if (order != 0) {
        return order;
    }
    return x->len != y->len ? (x->len > y->len) - (x->len < y->len)
                            : (x->token > y->token) - (x->token < y->token);
}

static uint32_t common_prefix(const struct entry *a, const struct entry *b)
{
    uint32_t n = 0;
    while (n < a->len && n < b->len && a->bytes[n] == b->bytes[n]) {
        n++;
    }
    return n;
}

/* Sorted entries in a row are a depth-first walk already: each adds the nodes behind what it
 * shares with the one before. `open` is (max_len) the node of each depth. */
static int build_tree(struct vocab_tree *tree, struct grammar_vocab *v,
                      const struct entry *entries, size_t n)
{
    size_t n_nodes = 0;
    for (size_t i = 0; i < n; i++) {
        n_nodes += entries[i].len - (i > 0 ? common_prefix(&entries[i - 1], &entries[i]) : 0);
    }
    uint32_t *open = mem_array(v->max_len + 1, sizeof(*open));
    tree->nodes = mem_array(n_nodes + 1, sizeof(*tree->nodes));
    if (!open || !tree->nodes) {
        mem_free(open);
        return -1;
    }
    uint32_t depth = 0; /* open nodes */
    for (size_t i = 0; i < n; i++) {
        const struct entry *x = &entries[i];
        const uint32_t shared = i > 0 ? common_prefix(x - 1, x) : 0;
        while (depth > shared) {
            tree->nodes[open[--depth]].end = (uint32_t)tree->n;
        }
        for (; depth < x->len; depth++) {
            open[depth] = (uint32_t)tree->n;
            tree->nodes[tree->n++] = (struct vocab_node){
                .depth = depth, .byte = x->bytes[depth], .token = TOKEN_NONE};
        }
        struct vocab_node *last = &tree->nodes[open[depth - 1]];
        v->same[x->token] = last->token;
        last->token = x->token;
    }
    while (depth > 0) {
        tree->nodes[open[--depth]].end = (uint32_t)tree->n;
    }
    mem_free(open);
    return 0;
}

/* Short tokens to the front, each part sorted; returns how many are short. */
static size_t sort_entries(struct entry *entries, size_t n)
{
    size_t n_short = 0;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].len <= VOCAB_SHORT_MAX) {
            const struct entry swapped = entries[n_short];
            entries[n_short++] = entries[i];
            entries[i] = swapped;
        }
    }
    qsort(entries, n_short, sizeof(*entries), compare_entries);
    qsort(entries + n_short, n - n_short, sizeof(*entries), compare_entries);
    return n_short;
}

static int build(struct grammar_vocab *v, const struct grammar_token *tokens)
{
    struct entry *entries = mem_array((size_t)v->n_tokens + 1, sizeof(*entries));
    size_t n = 0, at = 0;
    if (!entries) {
        return -1;
    }
    for (int32_t i = 0; i < v->n_tokens; i++) {
        const struct grammar_token *t = &tokens[i];
        const size_t len = t->ends ? 0 : t->len;
        v->offsets[i] = (uint32_t)at;
        v->same[i] = TOKEN_NONE;
        if (t->ends) {
            v->ends[i / 32] |= (uint32_t)1 << (i % 32);
            v->n_ends++;
        }
        if (len > 0) {
            memcpy(v->bytes + at, t->bytes, len);
            entries[n++] = (struct entry){v->bytes + at, (uint32_t)len, i};
            v->max_len = len > v->max_len ? (uint32_t)len : v->max_len;
        }
        at += len;
    }
    v->offsets[v->n_tokens] = (uint32_t)at;
    const size_t n_short = sort_entries(entries, n);
    int rc = build_tree(&v->short_tree, v, entries, n_short);
    if (rc == 0) {
        rc = build_tree(&v->long_tree, v, entries + n_short, n - n_short);
    }
    mem_free(entries);
    return rc;
}

struct grammar_vocab *grammar_vocab_from_tokens(const struct grammar_token *tokens, int32_t n,
                                                struct err *e)
{
    static atomic_uint_fast64_t serials;
    size_t n_bytes = 0;
    for (int32_t i = 0; i < n; i++) {
        n_bytes += tokens[i].len;
    }
    if (n < 0 || n > TOKENS_MAX || n_bytes > BYTES_MAX) {
        err_set(e, ERR_LIMIT, "the vocabulary is too large for grammars");
        return NULL;
    }
    struct grammar_vocab *v = mem_zalloc(sizeof(*v));
    if (!v) {
        err_nomem(e);
        return NULL;
    }
    atomic_init(&v->refs, 1);
    v->serial = atomic_fetch_add(&serials, 1) + 1;
    v->n_tokens = n;
    v->same = mem_array((size_t)n + 1, sizeof(*v->same));
    v->ends = mem_zarray(grammar_vocab_words(v) + 1, sizeof(*v->ends));
    v->offsets = mem_array((size_t)n + 1, sizeof(*v->offsets));
    v->bytes = mem_alloc(n_bytes + 1);
    if (!v->same || !v->ends || !v->offsets || !v->bytes || build(v, tokens) != 0) {
        grammar_vocab_release(v);
        err_nomem(e);
        return NULL;
    }
    return v;
}

struct grammar_vocab *grammar_vocab_from_tokenizer(const struct tokenizer *t, struct err *e)
{
    const int32_t n = tokenizer_vocab_size(t);
    struct grammar_token *tokens = mem_zarray((size_t)n + 1, sizeof(*tokens));
    if (!tokens) {
        err_nomem(e);
        return NULL;
    }
    for (int32_t i = 0; i < n; i++) {
        tokens[i].ends = tokenizer_is_eog(t, i);
        if (!tokenizer_is_control(t, i)) {
            tokens[i].bytes = tokenizer_token_bytes(t, i, &tokens[i].len);
        }
    }
    struct grammar_vocab *v = grammar_vocab_from_tokens(tokens, n, e);
    mem_free(tokens);
    return v;
}

struct grammar_vocab *grammar_vocab_retain(struct grammar_vocab *v)
{
    atomic_fetch_add(&v->refs, 1);
    return v;
}

void grammar_vocab_release(struct grammar_vocab *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1) {
        return;
    }
    mem_free(v->short_tree.nodes);
    mem_free(v->long_tree.nodes);
    mem_free(v->same);
    mem_free(v->ends);
    mem_free(v->offsets);
    mem_free(v->bytes);
    mem_free(v);
}

int32_t grammar_vocab_size(const struct grammar_vocab *v)
{
    return v->n_tokens;
}

size_t grammar_vocab_words(const struct grammar_vocab *v)
{
    return ((size_t)v->n_tokens + 31) / 32;
}
