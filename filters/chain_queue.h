/* chain_queue.h: what was given to a stream while it waits, in its order.
 *
 * Text that follows text of the same channel is one step with it. Bytes are bounded by
 * CHAIN_MAX_FLOW, steps by CHAIN_MAX_STEPS.
 *
 * Ownership: chain_queue_init takes nothing, chain_queue_deinit releases. Functions that can
 * fail return 0, or -1 when memory or a bound ran out (is_full: a bound).
 */
#pragma once

#include <stdbool.h>

#include "filters/chain.h"
#include "runtime/base/buf.h"

#define CHAIN_MAX_STEPS 65536

enum chain_step_kind { CHAIN_STEP_TEXT, CHAIN_STEP_END, CHAIN_STEP_AROUND };

struct chain_step {
    enum chain_step_kind kind;
    enum filter_channel channel; /* TEXT, END */
    uint64_t tag;                /* AROUND */
    size_t len;                  /* TEXT, AROUND: bytes that are left of it */
};

struct chain_queue {
    struct chain_step *steps; /* steps[head, count) wait */
    size_t head, count, cap;
    struct buf bytes; /* of all steps, one after the other */
    size_t consumed;  /* of bytes: gone already */
    bool is_full;
};

void chain_queue_init(struct chain_queue *q);
void chain_queue_deinit(struct chain_queue *q);

/* Adds a copy of the step and its bytes (step->len). */
int chain_queue_add(struct chain_queue *q, const struct chain_step *step, const char *bytes);

/* The first step, or NULL; *bytes are what is left of it. Both are valid until the queue
 * changes. */
const struct chain_step *chain_queue_first(const struct chain_queue *q, const char **bytes);

/* The first n bytes of the first step are dealt with; n may be 0. */
void chain_queue_consume(struct chain_queue *q, size_t n);
/* The first step is dealt with, and so are its bytes. */
void chain_queue_drop(struct chain_queue *q);

/* Bytes that wait. */
size_t chain_queue_bytes(const struct chain_queue *q);
