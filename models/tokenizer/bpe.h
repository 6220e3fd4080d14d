/* bpe.h: the merges of a byte-pair encoding and how they are applied to a word.
 *
 * The pair that was merged first in training is merged first here, leftmost first among the
 * same pair, until no adjacent pair is in the table (Sennrich et al. 2016, algorithm 1). Long
 * words are merged with a heap in O(n log n); short ones, nearly all, by scanning, which is
 * faster there.
 *
 * Threads: a table is immutable once filled; a scratch belongs to its caller.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BPE_NO_RANK UINT32_MAX

struct bpe_merge {
    uint64_t pair;  /* left id << 32 | right id; UINT64_MAX when the slot is empty */
    uint32_t rank;  /* position in the list of merges */
    int32_t merged; /* id that the pair becomes */
};

/* A hash table with open addressing. */
struct bpe_table {
    struct bpe_merge *slots; /* (mask + 1) */
    size_t mask;
};

/* Room for n merges. 0, or -1 when out of memory. */
int bpe_table_init(struct bpe_table *t, size_t n);
void bpe_table_deinit(struct bpe_table *t);
/* At most the n of init times. A pair that is there already keeps its rank. Ids are not
 * negative. */
void bpe_table_add(struct bpe_table *t, int32_t left, int32_t right, uint32_t rank,
                   int32_t merged);
/* NULL when the pair is not merged. */
const struct bpe_merge *bpe_table_find(const struct bpe_table *t, int32_t left, int32_t right);

/* Memory for merging long words, kept between words. All-zero is empty. */
struct bpe_scratch {
    struct bpe_symbol *symbols;
    uint64_t *heap;
    size_t cap; /* symbols */
};

void bpe_scratch_deinit(struct bpe_scratch *s);

/* Merges a word in place. ids: (*n), each a byte's id before and a token's after; *n < 2^32
 * shrinks. 0, or -1 when out of memory. */
int bpe_merge_word(const struct bpe_table *t, int32_t *ids, size_t *n,
                   struct bpe_scratch *scratch);
