/* engine_trial.h: requests to an engine that no loop listens to, and waiting for their ends.
 *
 * For versions before they serve, and for a model beside the engine that serves it.
 *
 * Threads: any that may wait; of an engine always the same one. */
#pragma once

#include <uv.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/engine/engine.h"

struct engine_trial {
    struct engine_request request; /* its `user` is not read */
    struct token_list *answer;     /* tokens are appended, the end of the turn not among them */

    bool is_over; /* these three are the run's; zero before it */
    bool is_out_of_memory;
    enum engine_finish finish;
};

/* Runs them, some at a time. `came` is posted by the engine's notify. A request that is no
 * answer (options.pin) gives none. 0, or -1: the first that went wrong; all that had begun are
 * over then too. */
int engine_trial_run(struct engine *en, uv_sem_t *came, struct engine_trial *trials, size_t n,
                     struct err *e);
