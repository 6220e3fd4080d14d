#include "models/tokenizer/pair_count.h"

#include <stdbool.h>

#include "runtime/base/mem.h"

struct pair_rank {
    int64_t count; /* when it was entered */
    uint32_t pair; /* index */
};

void pair_count_init(struct pair_count *p)
{
    *p = (struct pair_count){0};
}

void pair_count_deinit(struct pair_count *p)
{
    for (size_t i = 0; i < p->n; i++) {
        mem_free(p->pairs[i].words);
    }
    mem_free(p->pairs);
    mem_free(p->slots);
    mem_free(p->heap);
    *p = (struct pair_count){0};
}

static uint32_t *find_slot(const struct pair_count *p, int32_t left, int32_t right)
{
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = (size_t)(((key ^ key >> 29) * 0x9e3779b97f4a7c15U) >> 24) & p->mask;

    while (p->slots[i] != 0) {
        const struct pair_entry *pair = &p->pairs[p->slots[i] - 1];

        if (pair->left == left && pair->right == right) {
            break;
        }
        i = (i + 1) & p->mask;
    }
    return &p->slots[i];
}

static int grow(struct pair_count *p)
{
    const size_t cap = p->cap ? p->cap * 2 : 4096;
    struct pair_entry *pairs = mem_realloc_array(p->pairs, cap, sizeof *pairs);

    if (!pairs) {
        return -1;
    }
    p->pairs = pairs;
    uint32_t *slots = mem_zarray(2 * cap, sizeof *slots);
    if (!slots) {
        return -1;
    }
    mem_free(p->slots);
    p->slots = slots;
    p->mask = 2 * cap - 1;
    p->cap = cap;
    for (size_t i = 0; i < p->n; i++) {
        *find_slot(p, pairs[i].left, pairs[i].right) = (uint32_t)i + 1;
    }
    return 0;
}

static int add_word(struct pair_entry *pair, uint32_t word)
{
    if (pair->n_words > 0 && pair->words[pair->n_words - 1] == word) {
        return 0;
    }
    if (pair->n_words == pair->cap_words) {
        const size_t cap = pair->cap_words ? pair->cap_words * 2 : 4;
        uint32_t *words = mem_realloc_array(pair->words, cap, sizeof *words);

        if (!words) {
            return -1;
        }
        pair->words = words;
        pair->cap_words = cap;
    }
    pair->words[pair->n_words++] = word;
    return 0;
}

int pair_count_add(struct pair_count *p, int32_t left, int32_t right, int64_t by, uint32_t word)
{
    if (p->n == p->cap && (p->n >= INT32_MAX || grow(p) != 0)) {
        return -1;
    }
    uint32_t *slot = find_slot(p, left, right);
    if (*slot == 0) {
        p->pairs[p->n++] = (struct pair_entry){.left = left, .right = right};
        *slot = (uint32_t)p->n;
    }
    struct pair_entry *pair = &p->pairs[*slot - 1];
    pair->count += by;
    return by > 0 ? add_word(pair, word) : 0;
}

static bool comes_before(const struct pair_count *p, struct pair_rank a, struct pair_rank b)
{
    const struct pair_entry *x = &p->pairs[a.pair];
    const struct pair_entry *y = &p->pairs[b.pair];

    if (a.count != b.count) {
        return a.count > b.count;
    }
    return x->left != y->left ? x->left < y->left : x->right < y->right;
}

/* The heap has room. */
static void push(struct pair_count *p, struct pair_rank item)
{
    size_t i = p->n_heap++;

    while (i > 0 && comes_before(p, item, p->heap[(i - 1) / 2])) {
        p->heap[i] = p->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    p->heap[i] = item;
}

static struct pair_rank pop(struct pair_count *p)
{
    const struct pair_rank top = p->heap[0];
    const struct pair_rank item = p->heap[--p->n_heap];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= p->n_heap) {
            break;
        }
        if (child + 1 < p->n_heap && comes_before(p, p->heap[child + 1], p->heap[child])) {
            child++;
        }
        if (!comes_before(p, p->heap[child], item)) {
            break;
        }
        p->heap[i] = p->heap[child];
        i = child;
    }
    p->heap[i] = item;
    return top;
}

int pair_count_commit(struct pair_count *p)
{
    if (p->cap_heap < p->cap) {
        struct pair_rank *heap = mem_realloc_array(p->heap, p->cap, sizeof *heap);

        if (!heap) {
            return -1;
        }
        p->heap = heap;
        p->cap_heap = p->cap;
    }
    for (; p->n_committed < p->n; p->n_committed++) {
        const struct pair_entry *pair = &p->pairs[p->n_committed];

        if (pair->count > 0) {
            push(p, (struct pair_rank){.count = pair->count, .pair = (uint32_t)p->n_committed});
        }
    }
    return 0;
}

size_t pair_count_pop(struct pair_count *p, int64_t min)
{
    while (p->n_heap > 0) {
        struct pair_rank top = pop(p);
        const int64_t now = p->pairs[top.pair].count;

        if (now < min) {
            continue;
        }
        if (top.count == now) {
            return top.pair;
        }
        top.count = now;
        push(p, top);
    }
    return SIZE_MAX;
}
