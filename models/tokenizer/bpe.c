#include "models/tokenizer/bpe.h"

#include <string.h>

#include "runtime/base/mem.h"

#define EMPTY      UINT64_MAX
#define SHORT_WORD 48 /* symbols; above, the heap wins */
#define NO_SYMBOL  UINT32_MAX

/* A part of a long word: a doubly linked list in an array. */
struct bpe_symbol {
    int32_t id;
    int32_t merged; /* id of this and the next one together, if rank says that they merge */
    uint32_t rank;  /* of that merge; BPE_NO_RANK when there is none or this part is gone */
    uint32_t prev, next;
};

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* Fibonacci hashing: the high bits of the product are well mixed. */
static size_t first_slot(const struct bpe_table *t, uint64_t pair)
{
    return (size_t)(((pair ^ pair >> 29) * 0x9e3779b97f4a7c15U) >> 24) & t->mask;
}

int bpe_table_init(struct bpe_table *t, size_t n)
{
    size_t n_slots = 16;

    while (n_slots < SIZE_MAX / 4 && n_slots < n * 2) {
        n_slots *= 2;
    }
    t->slots = mem_array(n_slots, sizeof *t->slots);
    if (!t->slots) {
        return -1;
    }
    t->mask = n_slots - 1;
    for (size_t i = 0; i < n_slots; i++) {
        t->slots[i].pair = EMPTY;
    }
    return 0;
}

void bpe_table_deinit(struct bpe_table *t)
{
    mem_free(t->slots);
    *t = (struct bpe_table){0};
}

void bpe_table_add(struct bpe_table *t, int32_t left, int32_t right, uint32_t rank,
                   int32_t merged)
{
    const uint64_t pair = pair_of(left, right);
    size_t i = first_slot(t, pair);

    while (t->slots[i].pair != EMPTY) {
        if (t->slots[i].pair == pair) {
            return;
        }
        i = (i + 1) & t->mask;
    }
    t->slots[i] = (struct bpe_merge){.pair = pair, .rank = rank, .merged = merged};
}

const struct bpe_merge *bpe_table_find(const struct bpe_table *t, int32_t left, int32_t right)
{
    const uint64_t pair = pair_of(left, right);
    size_t i = first_slot(t, pair);

    while (t->slots[i].pair != EMPTY) {
        if (t->slots[i].pair == pair) {
            return &t->slots[i];
        }
        i = (i + 1) & t->mask;
    }
    return NULL;
}

void bpe_scratch_deinit(struct bpe_scratch *s)
{
    mem_free(s->symbols);
    mem_free(s->heap);
    *s = (struct bpe_scratch){0};
}

static void look_up(const struct bpe_table *t, int32_t left, int32_t right, uint32_t *rank,
                    int32_t *merged)
{
    const struct bpe_merge *m = bpe_table_find(t, left, right);

    *rank = m ? m->rank : BPE_NO_RANK;
    *merged = m ? m->merged : -1;
}

static size_t merge_short(const struct bpe_table *t, int32_t *ids, size_t n)
{
    uint32_t ranks[SHORT_WORD]; /* (n - 1): of the pair (i, i + 1) */
    int32_t merged[SHORT_WORD];

    for (size_t i = 0; i + 1 < n; i++) {
        look_up(t, ids[i], ids[i + 1], &ranks[i], &merged[i]);
    }
    while (n > 1) {
        size_t best = 0;

        for (size_t i = 1; i + 1 < n; i++) {
            if (ranks[i] < ranks[best]) {
                best = i;
            }
        }
        if (ranks[best] == BPE_NO_RANK) {
            break;
        }
        ids[best] = merged[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            merged[i - 1] = merged[i];
        }
        /* The shift moved the ranks from best + 1 on; those on both sides of best are new. */
        if (best > 0) {
            look_up(t, ids[best - 1], ids[best], &ranks[best - 1], &merged[best - 1]);
        }
        if (best + 1 < n) {
            look_up(t, ids[best], ids[best + 1], &ranks[best], &merged[best]);
        }
    }
    return n;
}

/* A min-heap of rank << 32 | position: lowest rank first, then leftmost. */
static void heap_push(uint64_t *heap, size_t *n, uint64_t item)
{
    size_t i = (*n)++;

    while (i > 0 && heap[(i - 1) / 2] > item) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = item;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n)
{
    const uint64_t top = heap[0];
    const uint64_t item = heap[--*n];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= *n) {
            break;
        }
        if (child + 1 < *n && heap[child + 1] < heap[child]) {
            child++;
        }
        if (heap[child] >= item) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = item;
    return top;
}

static void consider(const struct bpe_table *t, struct bpe_scratch *s, size_t *n_heap,
                     uint32_t left)
{
    struct bpe_symbol *a = &s->symbols[left];

    a->rank = BPE_NO_RANK;
    if (a->next == NO_SYMBOL) {
        return;
    }
    look_up(t, a->id, s->symbols[a->next].id, &a->rank, &a->merged);
    if (a->rank != BPE_NO_RANK) {
        heap_push(s->heap, n_heap, (uint64_t)a->rank << 32 | left);
    }
}

static int scratch_reserve(struct bpe_scratch *s, size_t n)
{
    if (n <= s->cap) {
        return 0;
    }
    bpe_scratch_deinit(s);
    /* Each merge takes one symbol away and pushes at most two pairs: n + 2n entries are enough.
     */
    s->symbols = mem_array(n, sizeof *s->symbols);
    s->heap = mem_array(n, 3 * sizeof *s->heap);
    if (!s->symbols || !s->heap) {
        bpe_scratch_deinit(s);
        return -1;
    }
    s->cap = n;
    return 0;
}

static size_t merge_long(const struct bpe_table *t, int32_t *ids, size_t n,
                         struct bpe_scratch *s)
{
    struct bpe_symbol *symbols = s->symbols;
    size_t n_heap = 0;
    size_t n_out = 0;

    for (size_t i = 0; i < n; i++) {
        symbols[i] = (struct bpe_symbol){
            .id = ids[i],
            .rank = BPE_NO_RANK,
            .prev = i > 0 ? (uint32_t)i - 1 : NO_SYMBOL,
            .next = i + 1 < n ? (uint32_t)i + 1 : NO_SYMBOL,
        };
    }
    for (size_t i = 0; i < n; i++) {
        consider(t, s, &n_heap, (uint32_t)i);
    }
    while (n_heap > 0) {
        const uint64_t top = heap_pop(s->heap, &n_heap);
        const uint32_t at = (uint32_t)top;
        struct bpe_symbol *a = &symbols[at];

        /* A rank names one pair, so that an entry is stale exactly when the rank changed. */
        if (a->rank != top >> 32) {
            continue;
        }
        struct bpe_symbol *b = &symbols[a->next];
        a->id = a->merged;
        a->next = b->next;
        b->rank = BPE_NO_RANK;
        if (a->next != NO_SYMBOL) {
            symbols[a->next].prev = at;
        }
        consider(t, s, &n_heap, at);
        if (a->prev != NO_SYMBOL) {
            consider(t, s, &n_heap, a->prev);
        }
    }
    for (uint32_t i = 0; i != NO_SYMBOL; i = symbols[i].next) {
        ids[n_out++] = symbols[i].id;
    }
    return n_out;
}

int bpe_merge_word(const struct bpe_table *t, int32_t *ids, size_t *n,
                   struct bpe_scratch *scratch)
{
    if (*n < 2) {
        return 0;
    }
    if (*n <= SHORT_WORD) {
        *n = merge_short(t, ids, *n);
        return 0;
    }
    if (scratch_reserve(scratch, *n) != 0) {
        return -1;
    }
    *n = merge_long(t, ids, *n, scratch);
    return 0;
}
