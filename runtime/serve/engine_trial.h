/* engine_trial.h: requests to an engine that no loop listens to, and waiting for their ends.
 *
 * For versions before they serve, and for a model beside the engine that serves it.
 *
 * Threads: any that may wait; of an engine always the same one. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/engine/engine.h"

struct engine_trial {
    struct engine_request request; /* its `user` is not read */
    struct token_list *answer;     /* tokens are appended, the end of the turn not among them */

    bool is_over; /* these are the run's; zero before it */
    uint64_t id;
    bool is_out_of_memory;
    enum engine_finish finish;
};

/* How the engine's thread wakes who waits. */
struct engine_trial_bell {
    uv_mutex_t lock;
    uv_cond_t woken;
    bool has_events;
};

int engine_trial_bell_init(struct engine_trial_bell *bell); /* -1: no memory */
void engine_trial_bell_deinit(struct engine_trial_bell *bell);

/* For the engine's notify. Any thread. */
void engine_trial_wake(struct engine_trial_bell *bell);

/* Runs them, some at a time. A request that is no answer (options.pin) gives none. stop (may be
 * NULL): once it is set they end, with ERR_CANCELED. 0, or -1: the first that went wrong; all
 * that had begun are over then too. */
int engine_trial_run(struct engine *en, struct engine_trial_bell *bell,
                     struct engine_trial *trials, size_t n, const atomic_bool *stop,
                     struct err *e);
