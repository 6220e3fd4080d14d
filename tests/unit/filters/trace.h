/* trace.h: sends a script of text through a chain and writes down everything that comes out.
 *
 * A script is a run of characters, each on a channel, with ends of texts between them. The
 * same script can be fed with any cuts; two traces are equal when every byte and every event
 * is. */
#pragma once

#include <stdbool.h>

#include "filters/chain.h"
#include "runtime/base/rng.h"

/* One step: a piece of text on a channel, or the end of that channel's text when text is "". */
struct trace_step {
    enum filter_channel channel;
    char text[256];
};

struct trace {
    struct buf text[FILTER_CHANNELS];
    struct buf events; /* one line each */
    struct buf put;    /* of each event, how much it put in */
    int status;        /* of the last call */
    bool emitted_after_stop;
};

enum trace_cuts { TRACE_WHOLE, TRACE_CHARACTERS, TRACE_RANDOM };

void trace_init(struct trace *trace);
void trace_deinit(struct trace *trace);

/* Feeds the steps and finishes. Neighbouring steps of one channel are joined before they are
 * cut. `rng` may be NULL unless cuts are random. */
void trace_run(struct trace *trace, struct chain *chain, enum filter_side side,
               const struct trace_step *steps, size_t count, enum trace_cuts cuts,
               struct rng *rng);

/* The same for one text on the content channel. */
void trace_run_text(struct trace *trace, struct chain *chain, const char *text,
                    enum trace_cuts cuts, struct rng *rng);

void trace_assert_equal(const struct trace *a, const struct trace *b);

/* A chain from JSON, or the test fails. `types` as in chain_options. */
struct chain *trace_chain(const char *json, const struct filter_type *const *types);

/* What has been released after each character of `in`, joined by "|". Takes the chain. */
void trace_expect_releases(struct chain *chain, const char *in, const char *releases);

/* Content of a buffer as a string. */
const char *trace_string(const struct buf *b);
