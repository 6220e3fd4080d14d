#include "models/tokenizer/word_count.h"

#include <string.h>

#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"

void word_count_init(struct word_count *w)
{
    *w = (struct word_count){0};
    buf_init(&w->bytes, SIZE_MAX / 2);
}

void word_count_deinit(struct word_count *w)
{
    buf_deinit(&w->bytes);
    mem_free(w->entries);
    mem_free(w->slots);
    *w = (struct word_count){0};
}

static size_t hash_word(const char *word, size_t len)
{
    uint64_t h = fnv64(FNV64_BASIS, word, len);
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds the word, or the empty one where it belongs. */
static uint32_t *find_slot(const struct word_count *w, const char *word, size_t len)
{
    size_t i = hash_word(word, len) & w->mask;

    while (w->slots[i] != 0) {
        const struct word_entry *entry = &w->entries[w->slots[i] - 1];

        if (entry->len == len && memcmp(w->bytes.data + entry->start, word, len) == 0) {
            break;
        }
        i = (i + 1) & w->mask;
    }
    return &w->slots[i];
}

/* Doubles the room; slots are kept at most half full. */
static int grow(struct word_count *w)
{
    const size_t cap = w->cap ? w->cap * 2 : 1024;
    struct word_entry *entries = mem_realloc_array(w->entries, cap, sizeof *entries);

    if (!entries) {
        return -1;
    }
    w->entries = entries;
    uint32_t *slots = mem_zarray(2 * cap, sizeof *slots);
    if (!slots) {
        return -1;
    }
    mem_free(w->slots);
    w->slots = slots;
    w->mask = 2 * cap - 1;
    w->cap = cap;
    for (size_t i = 0; i < w->n; i++) {
        *find_slot(w, w->bytes.data + entries[i].start, entries[i].len) = (uint32_t)i + 1;
    }
    return 0;
}

int word_count_add(struct word_count *w, const char *word, size_t len)
{
    if (w->n == w->cap && (w->n >= INT32_MAX || grow(w) != 0)) {
        return -1;
    }
    uint32_t *slot = find_slot(w, word, len);
    if (*slot != 0) {
        w->entries[*slot - 1].count++;
        return 0;
    }
    const size_t start = w->bytes.len;
    if (buf_append(&w->bytes, word, len) != 0) {
        return -1;
    }
    w->entries[w->n++] = (struct word_entry){.start = start, .len = len, .count = 1};
    *slot = (uint32_t)w->n;
    return 0;
}
