/* sequence.h: one request while the engine has it. Engine-internal.
 *
 * `tokens` are the prompt and what was sampled behind it; keys and values of the first n_past
 * of them are stored. A sequence with more than one token to go catches up: it reads its
 * prompt, or after a preemption its answer so far as well. With one to go it decodes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/prompt_lookup.h"

/* What a sequence holds of the KV cache. */
struct sequence_kv {
    size_t n_past;      /* positions stored */
    size_t n_pages;     /* held */
    size_t n_published; /* of those, from the first: full, and told to the pool */
    uint64_t chain;     /* content up to the published ones */
};

struct sequence {
    struct sequence *next; /* in the queue of waiting ones */
    uint64_t id;           /* ascending in the order of arrival */
    struct engine_request_options options;
    void *user;
    int32_t *tokens; /* (n_tokens), owned, room for tokens_cap */
    size_t n_tokens;
    size_t tokens_cap;
    size_t n_prompt;
    size_t n_counted; /* tokens of it that statistics have seen */
    int n_output;
    int max_tokens;
    int n_cached; /* tokens of the prompt found in the cache */
    bool cancel;
    bool paused;
    struct sampling sampling; /* owned */
    struct sampler sampler;   /* by these; stays with the sequence when it is preempted */
    struct grammar_matcher *constraint; /* owned, or NULL; stays with it as well */
    uint64_t started_ns;                /* clock_now_ns() when it first ran; 0: not yet */
    unsigned uncharged;                 /* work not yet charged to its tenant */

    int slot;   /* of the KV cache while it runs */
    int *pages; /* (table size), owned */
    struct sequence_kv kv;
    struct sequence_kv before; /* this step */
    int n_rows;                /* in this step */

    /* Guessed tokens in this step, and how often guesses came true lately. */
    int32_t guess[PROMPT_LOOKUP_MAX];
    int n_known; /* looked up */
    int n_guess; /* of those, computed in this step */
    double guess_hit;
};

/* NULL when out of memory. table_size: pages that the context takes. */
struct sequence *sequence_create(uint64_t id, const struct engine_request *r,
                                 size_t table_size);
void sequence_destroy(struct sequence *s); /* accepts NULL */

/* Room for so many more tokens; 0, or -1 when out of memory. */
int sequence_reserve(struct sequence *s, size_t more);

/* Tokens whose keys and values are not stored yet; at least 1 while it runs. */
static inline size_t sequence_to_go(const struct sequence *s)
{
    return s->n_tokens - s->kv.n_past;
}

static inline bool sequence_decodes(const struct sequence *s)
{
    return sequence_to_go(s) == 1 && s->n_output > 0;
}

/* Which of two goes first when there is not enough for both. */
static inline bool sequence_precedes(const struct sequence *a, const struct sequence *b)
{
    return a->options.priority != b->options.priority
               ? a->options.priority < b->options.priority
               : a->id < b->id;
}
