/* word_cache.h: the tokens of words that a text has had already.
 *
 * Most words of a text are words that stood in it before, and merging them again is what an
 * encoding would spend its time on. Each word has one place, by its hash, and the last one that
 * came there stays: the memory is fixed and nothing that a text can hold makes looking slower.
 * Words of more than WORD_CACHE_MAX_WORD bytes or WORD_CACHE_MAX_IDS tokens are not kept.
 *
 * Threads: none; a cache belongs to one encoding.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORD_CACHE_MAX_WORD  16
#define WORD_CACHE_MAX_IDS   11
#define WORD_CACHE_MAX_SLOTS 16384 /* of 64 bytes: 1 MiB */

struct word_cache {
    struct word_slot *slots; /* (mask + 1); NULL: nothing is kept */
    size_t mask;
};

/* For a text of so many bytes; a short one gets none, for filling it would take longer than it
 * saves. 0, or -1 when out of memory. All-zero is a cache that keeps nothing. */
int word_cache_init(struct word_cache *c, size_t text_len);
void word_cache_deinit(struct word_cache *c);

/* The tokens of this word, borrowed until the next word_cache_put, or NULL. */
const int32_t *word_cache_find(const struct word_cache *c, const char *word, size_t len,
                               size_t *n_ids);
void word_cache_put(struct word_cache *c, const char *word, size_t len, const int32_t *ids,
                    size_t n_ids);
