/* grammar_cache.h: inside of a grammar (grammar.h): the program, and what is remembered of it.
 *
 * Masks belong to a vocabulary, so a grammar has one cache for each vocabulary that matchers
 * work with at the time; without matchers it keeps the one that was used last.
 *
 * Threads: everything in a cache, and the state of its matchers, is under the grammar's lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/grammar/grammar.h"
#include "runtime/grammar/program.h"
#include "runtime/grammar/state_table.h"

struct grammar_cache {
    struct state_table table;
    uint64_t vocab_serial;
    struct grammar_matcher *matchers; /* list of those alive */
    uint32_t *path;                   /* (max_len + 1) states down a path of the vocabulary */
    struct grammar_cache *next;
};

struct grammar {
    atomic_uint refs;
    pthread_mutex_t lock;
    struct program program;
    struct grammar_cache *caches; /* list */
};

/* Takes the program. NULL when out of memory; the program is released then. */
struct grammar *grammar_from_program(struct program *p, struct err *e);

/* Both with the lock held. */
struct grammar_cache *grammar_cache_get(struct grammar *g, const struct grammar_vocab *v);
void grammar_cache_destroy(struct grammar_cache *c);
