/* engine.h: runs many token sequences through one model.
 *
 * One thread of its own takes submitted requests, steps them together (each running sequence
 * gives one token a step, prompts are read in chunks beside them) and reports what was sampled.
 * A request enters or leaves the batch between any two steps. What a request gets does not
 * depend on the others in the batch, on how its prompt was cut or on the number of threads.
 *
 * Lifetime: a submitted request gets exactly one final event; after it the engine no longer
 * knows it. Threads: engine_submit, engine_cancel, engine_drain_events and engine_load may be
 * called from one thread (the event loop). `notify` is called on the engine thread and must
 * only wake that loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/model.h"
#include "quant/ops.h"
#include "runtime/base/err.h"
#include "runtime/engine/sampler.h"

struct engine;

struct engine_settings {
    int threads;       /* workers of the kernels */
    bool pin;          /* each worker to a CPU of its own */
    int context;       /* tokens a sequence may hold; at most the model's own */
    int max_sequences; /* that run together; each holds a KV slot */
    int max_waiting;   /* requests beyond those; more are refused with ERR_BUSY */
    int step_tokens;   /* rows of one step at the most: a prompt is read in chunks of about this
                        */
    enum ops_type kv_type; /* OPS_F16 or OPS_I8 */
    uint32_t cpu_features; /* instruction sets the kernels may use: cpu_features() & a mask */
    void (*notify)(void *ctx);
    void *notify_ctx;
};

enum engine_finish {
    ENGINE_RUNNING = 0,
    ENGINE_FINISH_EOG,    /* the model ended its turn */
    ENGINE_FINISH_LENGTH, /* max_tokens or the context is used up */
    ENGINE_FINISH_CANCELED,
    ENGINE_FINISH_FAILED, /* the engine is shutting down */
};

struct engine_request {
    const int32_t *prompt; /* copied by engine_submit */
    size_t n_prompt;       /* 1 .. context - 1 */
    int max_tokens;        /* >= 1 */
    struct sampling sampling;
    void *user; /* comes back in the events */
};

/* token is TOKEN_NONE in a final event, which has no token of its own. */
struct engine_event {
    void *user;
    int32_t token;
    enum engine_finish finish;
};

struct engine_stats {
    int running;
    int waiting;
    uint64_t prompt_tokens; /* read since the start */
    uint64_t output_tokens; /* sampled since the start */
};

/* The model is borrowed and must outlive the engine. */
struct engine *engine_create(const struct model *m, const struct engine_settings *s,
                             struct err *e);

/* Ends all sequences (their final events are not delivered), joins the thread. Accepts NULL. */
void engine_destroy(struct engine *en);

/* Queues a request; *id names it for engine_cancel. ERR_BUSY when too many wait. */
int engine_submit(struct engine *en, const struct engine_request *r, uint64_t *id,
                  struct err *e);

/* Asks for an end; the final event (ENGINE_FINISH_CANCELED, or another that was faster) still
 * comes. An id that has ended already is ignored. */
void engine_cancel(struct engine *en, uint64_t id);

/* Calls fn for every event since the last call, in order. */
void engine_drain_events(struct engine *en,
                         void (*fn)(void *ctx, const struct engine_event *ev), void *ctx);

struct engine_stats engine_stats(struct engine *en);
