/* sequence.h: one request while the engine runs it. Engine-internal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/engine/engine.h"

struct sequence {
    struct sequence *next; /* in the queue of waiting ones */
    uint64_t id;
    void *user;
    int32_t *prompt; /* (n_prompt), owned */
    size_t n_prompt;
    size_t n_past; /* positions in the KV slot */
    int32_t last;  /* the token sampled last, to be fed next */
    int n_output;
    int max_tokens;
    int slot;
    bool cancel;
    struct sampler sampler;
};

/* NULL when out of memory. */
struct sequence *sequence_create(uint64_t id, const struct engine_request *r);
void sequence_destroy(struct sequence *s); /* accepts NULL */

/* First in, first out. */
struct sequence_queue {
    struct sequence *first;
    struct sequence *last;
    int count;
};

void sequence_queue_push(struct sequence_queue *q, struct sequence *s);
struct sequence *sequence_queue_pop(struct sequence_queue *q); /* NULL when empty */
/* Takes out the one with this id; NULL when it is not there. */
struct sequence *sequence_queue_remove(struct sequence_queue *q, uint64_t id);
