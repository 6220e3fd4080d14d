/* pair_count.h: how often each pair of adjacent ids occurs, and in which words. For
 * bpe_train.c.
 *
 * The most frequent pair comes from a heap whose entries may be out of date: a count that fell
 * since is put back with its present value when it comes up. That is right because a pair's
 * count never rises after pair_count_commit, which enters pairs into the heap; only pairs with
 * a new id appear, and those have not been entered before.
 *
 * Threads: none; a counter belongs to its caller.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pair_entry {
    int32_t left, right;
    int64_t count;
    uint32_t *words; /* (n_words): words in which the pair occurs or occurred, each once */
    size_t n_words;
    size_t cap_words;
};

struct pair_count {
    struct pair_entry *pairs; /* (n), in order of first appearance */
    size_t n;
    size_t cap;
    size_t n_committed; /* pairs before this one are in the heap */
    uint32_t *slots;    /* (mask + 1): index in pairs + 1 by hash, 0 empty */
    size_t mask;
    struct pair_rank *heap;
    size_t n_heap;
    size_t cap_heap;
};

void pair_count_init(struct pair_count *p);
void pair_count_deinit(struct pair_count *p);

/* Adds `by`, which may be negative, to the count of a pair in a word. The words of one pair
 * must come one after the other, not interleaved. 0, or -1 when out of memory. */
int pair_count_add(struct pair_count *p, int32_t left, int32_t right, int64_t by,
                   uint32_t word);

/* Enters the pairs that appeared since the last commit into the heap. */
int pair_count_commit(struct pair_count *p);

/* Takes out the most frequent pair: the smaller left id wins a tie, then the smaller right id.
 * Its index in pairs, or SIZE_MAX when no pair has a count of at least min. */
size_t pair_count_pop(struct pair_count *p, int64_t min);
