#include "models/tokenizer/word_cache.h"

#include <string.h>

#include "runtime/base/mem.h"

#define BYTES_PER_SLOT 16 /* of the text: about three words */
#define MIN_SLOTS      64

/* A word is its first bytes, its last ones and its length; all zero is an empty place. */
struct word_slot {
    uint64_t head, tail;
    uint8_t len;
    uint8_t n_ids;
    int32_t ids[WORD_CACHE_MAX_IDS];
};

_Static_assert(sizeof(struct word_slot) == 64, "a place is one cache line");

int word_cache_init(struct word_cache *c, size_t text_len)
{
    size_t n_slots = MIN_SLOTS;
    *c = (struct word_cache){0};
    if (text_len / BYTES_PER_SLOT < MIN_SLOTS) {
        return 0;
    }
    while (n_slots < WORD_CACHE_MAX_SLOTS && n_slots <= text_len / BYTES_PER_SLOT / 2) {
        n_slots *= 2;
    }
    c->slots = mem_zalloc_aligned(n_slots * sizeof(*c->slots));
    if (!c->slots) {
        return -1;
    }
    c->mask = n_slots - 1;
    return 0;
}

void word_cache_deinit(struct word_cache *c)
{
    mem_free_aligned(c->slots);
    *c = (struct word_cache){0};
}

static uint64_t load(const char *p, size_t n)
{
    uint64_t value = 0;
    memcpy(&value, p, n);
    return value;
}

/* 1 to WORD_CACHE_MAX_WORD bytes. Head and tail overlap, so that each load has a fixed size: a
 * word of 5 bytes is its first and its last 4. */
static void read_word(const char *word, size_t len, uint64_t *head, uint64_t *tail)
{
    if (len >= 8) {
        *head = load(word, 8);
        *tail = load(word + len - 8, 8);
    } else if (len >= 4) {
        *head = load(word, 4);
        *tail = load(word + len - 4, 4);
    } else {
        *head = load(word, 1) | load(word + len / 2, 1) << 8;
        *tail = load(word + len - 1, 1);
    }
}

/* Fibonacci hashing: the high bits of the product are well mixed. */
static struct word_slot *place(const struct word_cache *c, uint64_t head, uint64_t tail,
                               size_t len)
{
    uint64_t h = (head ^ (tail + len) * 0x9e3779b97f4a7c15U) * 0xd6e8feb86659fd93U;
    return &c->slots[(h >> 40) & c->mask];
}

static bool may_keep(const struct word_cache *c, size_t len)
{
    return c->slots && len > 0 && len <= WORD_CACHE_MAX_WORD;
}

const int32_t *word_cache_find(const struct word_cache *c, const char *word, size_t len,
                               size_t *n_ids)
{
    uint64_t head, tail;
    if (!may_keep(c, len)) {
        return NULL;
    }
    read_word(word, len, &head, &tail);
    const struct word_slot *s = place(c, head, tail, len);
    if (s->len != len || s->head != head || s->tail != tail) {
        return NULL;
    }
    *n_ids = s->n_ids;
    return s->ids;
}

void word_cache_put(struct word_cache *c, const char *word, size_t len, const int32_t *ids,
                    size_t n_ids)
{
    uint64_t head, tail;
    if (!may_keep(c, len) || n_ids > WORD_CACHE_MAX_IDS) {
        return;
    }
    read_word(word, len, &head, &tail);
    struct word_slot *s = place(c, head, tail, len);
    *s = (struct word_slot){
        .head = head, .tail = tail, .len = (uint8_t)len, .n_ids = (uint8_t)n_ids};
    memcpy(s->ids, ids, n_ids * sizeof(*ids));
}
