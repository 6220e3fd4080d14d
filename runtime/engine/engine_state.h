/* engine_state.h: what an engine is. Private to engine.c, which runs it, and engine_requests.c,
 * the side of those who call it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/event_list.h"
#include "runtime/engine/fair_queue.h"
#include "runtime/engine/schedule.h"
#include "runtime/engine/team.h"

/* What a caller asks of a request that is under way. */
enum command_kind { COMMAND_CANCEL, COMMAND_PAUSE, COMMAND_RESUME, COMMAND_UNPIN };

struct command {
    uint64_t id; /* of the request, or the name of a pin */
    enum command_kind kind;
};

struct engine {
    const struct model *model;
    struct engine_settings set;
    pthread_t thread;
    bool thread_started;

    /* Shared between the engine thread and its callers, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t work_arrived;
    struct fair_queue waiting;
    struct event_list events; /* not drained yet */
    uint64_t next_id;
    bool stop;
    bool steps_aside;         /* is to */
    struct command *commands; /* (n_commands) for those that run */
    size_t n_commands;
    int pins_waiting; /* of the waiting ones, those with options.pin */
    size_t commands_cap;
    struct engine_stats shown; /* as of the last step; `waiting` apart */
    double seconds_per_end;    /* mean time between two requests that end */
    uint64_t in_step;          /* request with most of the rows of the step that runs, or 0 */

    atomic_bool give_up; /* the step that runs */
    /* clock_now_ns at which the round began that the thread is in, or a request came to a
     * thread that waits; 0: it waits, and there is nothing to do. */
    _Atomic uint64_t busy_since_ns;

    /* The caller's thread only. */
    struct event_list draining;

    /* The engine thread only. */
    struct team *team;
    bool is_aside;
    struct llama_state *state;
    struct rank_steps rank_steps; /* its group is NULL: there are no other ranks */
    struct schedule schedule;
    struct sampler_scratch scratch;
    uint32_t *allowed;      /* bit set over the vocabulary: a constraint's, for one choice */
    struct token_list ends; /* tokens that end a turn */
    struct event_list produced; /* by the step that ran */
    uint64_t output_tokens;
    double last_end_s;
    int n_ended;  /* since the last publication */
    bool stalled; /* the last step found nothing that could go on */
};
