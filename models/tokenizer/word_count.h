/* word_count.h: counts how often each distinct word occurs. For bpe_train.c.
 *
 * Threads: none; a counter belongs to its caller.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"

struct word_entry {
    size_t start; /* in word_count.bytes.data */
    size_t len;
    uint64_t count;
};

struct word_count {
    struct word_entry *entries; /* (n), in order of first appearance */
    size_t n;
    struct buf bytes; /* the words, one after the other */
    uint32_t *slots;  /* (mask + 1): index in entries + 1 by hash, 0 empty */
    size_t mask;
    size_t cap; /* entries */
};

void word_count_init(struct word_count *w);
void word_count_deinit(struct word_count *w);

/* Counts one occurrence. 0, or -1 when out of memory or past 2^31 distinct words. */
int word_count_add(struct word_count *w, const char *word, size_t len);
