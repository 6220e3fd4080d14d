/* engine.h: runs many token sequences through one model.
 *
 * One thread of its own takes submitted requests, steps them together (each running sequence
 * gives a token a step, prompts are read in chunks beside them) and reports what was sampled. A
 * request enters or leaves the batch between any two steps. What a request gets does not depend
 * on the others in the batch, on how its prompt was cut, on what of it was computed before, on
 * the number of threads or on the memory that was there.
 *
 * Who waits is bounded in requests and in tokens; beyond that engine_submit refuses and says
 * when to come again. Callers take turns (fair_queue.h); how a step is put together is told in
 * schedule.h.
 *
 * Lifetime: a submitted request gets exactly one final event; after it the engine no longer
 * knows it. Threads: all functions but create and destroy may be called from one thread (the
 * event loop). `notify` is called on the engine thread and must only wake that loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/arch/llama_adapter.h"
#include "models/model.h"
#include "quant/ops.h"
#include "runtime/base/err.h"
#include "runtime/engine/rank_steps.h"
#include "runtime/engine/sampler.h"
#include "runtime/grammar/grammar.h"

struct engine;

/* Speculative decoding (prompt_lookup.h). It changes no answer, only the time it takes. */
enum engine_guesses {
    ENGINE_GUESSES_WHERE_THEY_PAY,
    ENGINE_GUESSES_NEVER,
    ENGINE_GUESSES_ALWAYS
};

/* Of the likeliest tokens at a place, that an event may carry. */
#define ENGINE_TOP_LOGPROBS_MAX 20

struct engine_settings {
    int threads;       /* workers of the kernels */
    bool pin;          /* each worker to a CPU of its own */
    int context;       /* tokens a sequence may hold; at most the model's own */
    int max_sequences; /* that run together */
    int max_waiting;   /* requests beyond those; more are refused with ERR_BUSY */
    /* Tokens of the prompts that wait, together; 0: any number. One request may have more. */
    size_t max_waiting_tokens;
    /* Memory for keys and values; 0: what all sequences could use, but at most a quarter of the
     * machine's. One context always fits. */
    size_t kv_bytes;
    int step_tokens; /* rows of one step at the most */
    /* What a step shall take while answers run: prompts are read beside them in chunks of so
     * many tokens. 0: step_tokens alone counts. */
    int step_ms;
    enum engine_guesses guesses;
    enum ops_type kv_type; /* OPS_F16 or OPS_I8 */
    uint32_t cpu_features; /* instruction sets the kernels may use: cpu_features() & a mask */
    /* With others that have shares of the model: this is rank 0, and they follow it on this
     * channel, which is borrowed. Both NULL: the model is here as a whole. */
    struct rank_group *ranks;
    struct rank_channel *rank_channel;
    void (*notify)(void *ctx);
    void *notify_ctx;
};

enum engine_finish {
    ENGINE_RUNNING = 0,
    ENGINE_FINISH_EOG,    /* the model ended its turn, or gave one of stop_ids */
    ENGINE_FINISH_LENGTH, /* max_tokens or the context is used up */
    ENGINE_FINISH_CANCELED,
    ENGINE_FINISH_DEADLINE, /* options.deadline_ns has passed */
    ENGINE_FINISH_PINNED,   /* options.pin: the prompt is in the cache */
    ENGINE_FINISH_FAILED,   /* memory ran out, the engine is shutting down, or no token may
                               come next */
};

/* All zero is a plain request. */
struct engine_request_options {
    uint64_t tenant;      /* whose request it is: tenants take turns */
    uint64_t salt;        /* what is computed under one salt is not found under another */
    size_t n_shared;      /* tokens at the beginning of the prompt for which no salt counts */
    int priority;         /* among those of a tenant: lower comes first */
    uint64_t deadline_ns; /* clock_now_ns at which it ends; 0: none */
    uint64_t follows;     /* a request with the same prompt, whose reading it shares; 0: none */
    bool ignore_eog;      /* goes on behind the end of a turn, to max_tokens */
    bool want_logprobs;   /* events carry them */
    int n_top_logprobs;   /* and of so many of the likeliest tokens; want_logprobs is set */
    bool want_entropy;    /* events carry it */
    /* Of the model, and NULL or alive until the request's final event. What was computed with
     * one adapter is never found by requests with another or none. */
    const struct llama_adapter *adapter;
    /* Not 0: makes no answer. The prompt's full pages are computed, and held under this name
     * until engine_unpin, until another request has the same, or until memory runs out. */
    uint64_t pin;
};

struct engine_request {
    const int32_t *prompt;    /* copied by engine_submit */
    size_t n_prompt;          /* 1 .. context - 1 */
    int max_tokens;           /* >= 1 */
    struct sampling sampling; /* bound to the model's vocabulary; copied */
    /* What the answer may be, or NULL. engine_submit takes it over, whatever it returns. An
     * answer that can only end here ends as with ENGINE_FINISH_EOG. */
    struct grammar_matcher *constraint;
    struct engine_request_options options;
    void *user; /* comes back in the events */
};

struct engine_top_logprob {
    int32_t token;
    float logprob;
};

/* token is TOKEN_NONE in a final event, which has no token of its own. */
struct engine_event {
    void *user;
    int32_t token;
    enum engine_finish finish;
    float logprob; /* natural logarithm of the token's probability, before sampling settings */
    float entropy; /* of the model's distribution there, likewise, in nats; 0 unless
                      want_entropy */
    const struct engine_top_logprob *top; /* (n_top) likeliest first, then by id; valid during
                                             the callback of engine_drain_events */
    int n_top;           /* n_top_logprobs, or fewer where fewer tokens can come */
    int cached_tokens;   /* of the prompt, that were in the cache */
    uint64_t started_ns; /* clock_now_ns() when it left the queue; 0: it never did */
};

struct engine_stats {
    int running;
    int waiting;
    size_t waiting_tokens;
    uint64_t prompt_tokens;   /* read since the start, those found in the cache included */
    uint64_t cached_tokens;   /* found in the cache */
    uint64_t output_tokens;   /* sampled */
    uint64_t guessed_tokens;  /* computed on a guess */
    uint64_t accepted_tokens; /* of those, right */
    uint64_t preemptions;
    int kv_pages;      /* of KV_PAGE_POSITIONS tokens */
    int kv_pages_free; /* or cached and held by nobody */
};

/* Bytes of keys and values that an engine with these settings has for a model of this shape:
 * what it may come to use. */
uint64_t engine_kv_bytes(const struct llama_config *c, const struct engine_settings *s);

/* The model is borrowed and must outlive the engine. */
struct engine *engine_create(const struct model *m, const struct engine_settings *s,
                             struct err *e);

/* What ranks that follow must be made like. */
void engine_describe(const struct engine *en, struct rank_engine *out);

/* Ends all sequences (their final events are not delivered), joins the thread. Accepts NULL. */
void engine_destroy(struct engine *en);

/* ERR_BUSY when engine_submit would refuse any request, once it was given the n_coming that
 * its caller has in hand already: to find out before the work of making a prompt. */
int engine_check_room(struct engine *en, int n_coming, struct err *e);

/* Queues a request; *id names it for engine_cancel. ERR_BUSY when too many wait:
 * e->retry_after_s says when it may work. */
int engine_submit(struct engine *en, const struct engine_request *r, uint64_t *id,
                  struct err *e);

/* Asks for an end; the final event (ENGINE_FINISH_CANCELED, or another that was faster) still
 * comes. An id that has ended already is ignored. */
void engine_cancel(struct engine *en, uint64_t id);

/* While a request is paused it makes no tokens. For readers slower than the model. */
void engine_pause(struct engine *en, uint64_t id, bool paused);

/* Lets go of what was held under that name. */
void engine_unpin(struct engine *en, uint64_t pin);

/* From now on its threads compute only when no others want the processor: for answers that
 * nobody waits for. There is no way back (team.h). */
void engine_step_aside(struct engine *en);

/* Calls fn for every event since the last call, in order. */
void engine_drain_events(struct engine *en,
                         void (*fn)(void *ctx, const struct engine_event *ev), void *ctx);

struct engine_stats engine_stats(struct engine *en);

/* For how long it has been at the step that it computes now, or has left a request lying; 0
 * while there is nothing to do. Grows without end if its threads hang. Takes no lock. */
uint64_t engine_busy_ns(const struct engine *en);

/* Tokens that a prompt and its answer may have together. */
int engine_context(const struct engine *en);
