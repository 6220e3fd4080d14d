/* outside_run.h: one stream through a chain that waits for services outside, with all that
 * comes out of it written down. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/chain.h"
#include "runtime/base/buf.h"
#include "runtime/base/rng.h"
#include "tests/unit/filters/fake_outside.h"
#include "tests/unit/filters/trace.h"

/* A text, the end of one (text is ""), or something that goes around. */
struct outside_op {
    enum filter_channel channel;
    bool around;
    char text[200];
};

/* When questions are answered. */
enum outside_pace {
    AT_ONCE,      /* after each call, until none is left */
    NOW_AND_THEN, /* some, after some calls */
    AT_THE_END,
};

struct outside_run {
    struct chain_stream *stream;
    struct fake_outside outside;
    struct rng *rng;
    enum outside_pace pace;
    bool resumes_later; /* wake only takes note */
    bool woken;
    int channel; /* of the last bytes in the log; 9: they went around */
    struct buf log;
    struct buf events;
    int status;
};

/* `serve` answers the questions. */
void outside_run_begin(struct outside_run *run, struct chain *chain, enum outside_pace pace,
                       struct rng *rng,
                       uint32_t (*serve)(const struct fake_question *, char *, void *),
                       void *ctx);
void outside_run_end(struct outside_run *run);

/* Where the chain's calls write. */
struct chain_sink outside_run_sink(struct outside_run *run);

/* For chain_stream_set_outside; ctx is the run. */
void outside_run_wake(void *ctx);

void outside_run_feed(struct outside_run *run, const struct outside_op *op,
                      enum trace_cuts cuts);

/* Feeds all, finishes, and answers what is left to answer. */
void outside_run_ops(struct outside_run *run, const struct outside_op *ops, size_t count,
                     enum trace_cuts cuts);

/* Any one of the questions. */
void outside_run_answer_one(struct outside_run *run);
