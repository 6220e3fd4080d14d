/* filter_run.h: texts of a request through the filter chain, one after another, before anything
 * else is made of them.
 *
 * A filter may wait for a service outside; the run then waits too, and the loop does not. So it
 * does when filtering takes long: after a few milliseconds it is the turn of others.
 *
 * Threads: the loop only. Ownership: the run is the caller's; filter_run_start takes a
 * reference to the chain and lets it go when the run is over or canceled. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "filters/chain.h"
#include "runtime/api/moderation_reply.h"
#include "runtime/serve/filter_outside.h"
#include "runtime/serve/filter_record.h"
#include "runtime/serve/loop_turns.h"

/* One of the texts, borrowed until it is taken. */
struct filter_run_text {
    enum filter_side side;
    const char *text;
    size_t len;
    char param[64]; /* the request's field, for errors; "": a stop is no error */
    struct moderation_result *findings; /* what filters find in it is added; or NULL */
    bool is_untold;                     /* nothing of it becomes metrics and findings */
};

struct filter_run_owner {
    /* The text with this number, from 0: 1 and *text, 0 when there is none to be filtered, or
     * -1. */
    int (*get)(void *user, size_t index, struct filter_run_text *text, struct err *e);
    /* What became of it, NUL-terminated; taken over (mem_free). 0 or -1. */
    int (*take)(void *user, size_t index, char *text, size_t len, struct err *e);
    /* A run that had to wait is over: e is NULL, or says why it failed: ERR_FILTERED with the
     * text's param when a filter stopped it. */
    void (*done)(void *user, struct err *e);
};

struct filter_run {
    const struct filter_run_owner *owner; /* borrowed */
    void *user;
    struct chain *chain;
    struct filter_origin origin; /* whose texts they are */
    struct filter_outside_traced outside;
    size_t index, count;
    struct filter_run_text text;
    struct chain_stream *stream; /* of the text that is under way, or NULL */
    size_t fed;                  /* bytes of it that the chain has */
    bool is_fed;                 /* it has all, and knows that */
    struct buf out;
    struct loop_turn turn;
    uint64_t turn_began;
};

enum filter_run_status { FILTER_RUN_OVER = 0, FILTER_RUN_WAITS = 1 };

/* Filters `count` texts; what filters did to each is recorded as of `origin` (copied).
 * FILTER_RUN_WAITS: done will be called, unless it is canceled; -1: as done's e. */
int filter_run_start(struct filter_run *run, const struct filter_run_owner *owner, void *user,
                     struct chain *chain, const struct filter_origin *origin, size_t count,
                     struct err *e);

/* Whether it waits. Of an all-zero run: no. */
bool filter_run_is_waiting(const struct filter_run *run);

/* done is not called any more. Does nothing unless it waits. */
void filter_run_cancel(struct filter_run *run);
