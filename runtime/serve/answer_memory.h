/* answer_memory.h: the newest answers of this server, so that feedback can be given on them by
 * their ids.
 *
 * Of each it keeps the id, whose it was and which model made it; what was asked and answered
 * only where the owner wants that. It is in memory alone, bounded by number, bytes and age: an
 * answer of which nobody says anything is forgotten, and nothing of it has been on disk.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/registry/drift_series.h"
#include "runtime/registry/feedback_store.h"

#define ANSWER_MEMORY_BYTES ((size_t)64 << 20)             /* of texts */
#define ANSWER_MEMORY_NS    (24ull * 3600 * 1000000000ull) /* a day */

struct remembered_answer {
    char id[FEEDBACK_ID_SIZE];
    uint64_t tenant; /* access.h */
    struct drift_mark mark;
    bool is_spoken_of, is_disliked; /* as was said first */
    uint64_t time_ns;
    char model[sizeof(((struct feedback *)0)->model)];
    size_t n_choices;
    /* With texts, all owned: */
    char *messages;                 /* JSON, as struct feedback has it; NULL: not kept */
    char **texts;                   /* (n_choices) of the answers, NULL where `messages` is */
    size_t bytes;                   /* of all texts */
    struct remembered_answer *next; /* in its bucket */
};

void remembered_answer_destroy(struct remembered_answer *a); /* accepts NULL */

struct answer_memory;

/* An answer is forgotten: from now on nobody can speak of it. */
typedef void answer_forgotten(void *ctx, const struct remembered_answer *a);

/* The newest `most` answers are kept. forgotten (may be NULL) is called for each that leaves,
 * but not at the end. NULL: no memory. */
struct answer_memory *answer_memory_create(size_t most, answer_forgotten *forgotten, void *ctx);
void answer_memory_destroy(struct answer_memory *m); /* accepts NULL */

/* Takes `a` over. Answers come in the order of their times. */
void answer_memory_add(struct answer_memory *m, struct remembered_answer *a);

/* NULL where there is none, where it is another tenant's, and where it is too old at now_ns.
 * Borrowed until the next add. */
struct remembered_answer *answer_memory_find(struct answer_memory *m, const char *id,
                                             uint64_t tenant, uint64_t now_ns);

size_t answer_memory_count(const struct answer_memory *m);
