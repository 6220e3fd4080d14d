/* generation.h: one loaded version of the model while it serves.
 *
 * A generation is the model, the engine that makes text with it, the embedder that makes
 * vectors with it and the wake-up from both to the loop. An encoder has no engine. A request
 * holds the generation it began on until it ends; when the last holder lets go, the generation
 * is taken down off the loop.
 *
 * Threads: generation_load and generation_try* on any thread, before generation_serve; all else
 * on the loop. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

#include "models/model.h"
#include "models/output/output_format.h"
#include "runtime/api/admin_reply.h"
#include "runtime/engine/embedder.h"
#include "runtime/engine/engine.h"
#include "runtime/registry/model_repo.h"
#include "runtime/serve/answer_form.h"
#include "runtime/serve/engine_trial.h"
#include "runtime/serve/rank_orders.h"
#include "runtime/serve/served_adapters.h"

struct generation_settings {
    const char *model_path; /* borrowed, lives as long as the server */
    int threads;
    bool pin;
    int context;
    int max_sequences;
    int max_waiting;
    size_t max_waiting_tokens;
    size_t kv_bytes;
    int step_tokens;
    int step_ms;
    enum engine_guesses guesses;
    enum ops_type kv_type;
    uint32_t cpu_features;
    const char *const *adapters; /* (n_adapters) served_adapters.h; borrowed as model_path is */
    size_t n_adapters;
    bool any_base;             /* they may have been trained on another file of the model */
    const atomic_bool *stop;   /* once it is set a load ends with ERR_CANCELED; or NULL */
    struct rank_orders *ranks; /* of those that share the model; NULL: it is here as a whole */

    /* A version from a repository: then model_path is not read. Borrowed. */
    const char *name;
    const char *version;
    struct model_files *files; /* its manifest is taken over when the load succeeds */
};

struct generation {
    int refs;
    int refs_aside;        /* of them, those of generation_ref_aside */
    uint64_t used_ns;      /* clock_now_ns() when it was last taken or let go of */
    uint64_t memory_bytes; /* weights, and keys and values at the most */
    bool was_asked_for;    /* it stays beside what serves because somebody asked for it */
    unsigned n_orders;     /* that need it and are being stored: it stays beside what serves */
    /* It is gone, and its memory free. NULL: nobody wants to know. Called on the loop. */
    void (*on_gone)(void *ctx, const struct generation *g);
    void *on_gone_ctx;
    uint64_t number;   /* 1 for the first that this server published */
    int64_t loaded_at; /* Unix seconds */
    struct model *model;
    struct served_adapters adapters; /* of the model */
    struct grammar_vocab *vocab;     /* tokens as constrained answers see them */
    struct form_cache forms;         /* of answers: what was compiled for this model */
    struct output_format format;     /* how the model writes reasoning and calls of tools */
    struct engine *engine;           /* NULL: the model makes no text */
    struct rank_load ranks;          /* how other ranks that share the model are reached */
    bool is_aside;                   /* generation_step_aside was called */
    bool is_visited;                 /* by exchange_visit_generations */
    int n_coming;                    /* requests for the engine that await a job off the loop */
    struct embedder *embedder;       /* NULL: it is shared out among ranks, which makes none */
    char id[MODEL_NAME_MAX * 2 + 16]; /* "name@version", as answers name it */
    struct model_manifest *manifest;  /* of a version from a repository, or NULL */
    char *card; /* (card_len) the version's model card, Markdown, or NULL */
    size_t card_len;
    uint64_t stamp; /* of its files when they were read */
    struct engine_trial_bell trial;
    const atomic_bool *stop; /* of its settings */
    atomic_bool is_served;   /* generation_serve was called */
    uv_async_t wake;         /* engine's and embedder's threads -> loop */
    uv_loop_t *loop;
    uv_work_t teardown;
};

/* What a model file will take, as memory_bytes has it, by what its header says; 0 for a folder
 * of safetensors, which must be converted first. Reads little. */
int generation_measure(const struct generation_settings *s, uint64_t *bytes, struct err *e);

/* Loads, checks and warms a model and starts its engine: slow. One reference, the caller's. */
struct generation *generation_load(const struct generation_settings *s, struct err *e);

/* Runs a request before the generation serves, and waits: its tokens are appended to *out, the
 * end of the turn not among them. A request that is no answer (options.pin) gives none.
 * ERR_CANCELED once settings.stop is set. */
int generation_try(struct generation *g, const struct engine_request *r, struct token_list *out,
                   struct err *e);

/* The same for several, side by side. */
int generation_try_all(struct generation *g, struct engine_trial *trials, size_t n,
                       struct err *e);
/* Whether settings.stop is set: *e says so then. */
bool generation_is_stopped(const struct generation *g, struct err *e);

/* Releases one that never served (generation_serve was not called or failed). Accepts NULL. */
void generation_discard(struct generation *g);

/* Ties it to the loop: from now on the engine's events get to the users of its requests, which
 * point to a struct engine_user (engine_user.h). */
int generation_serve(struct generation *g, uv_loop_t *loop, uint64_t number, struct err *e);

/* Whoever holds one is using it; who only keeps it ready counts as one holder too. */
struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation *g); /* accepts NULL */

/* The same for who works for the generation and does not use it: it is as idle as before. */
struct generation *generation_ref_aside(struct generation *g);
void generation_unref_aside(struct generation *g); /* accepts NULL */

/* Nobody uses it beside the one who keeps it. */
bool generation_is_idle(const struct generation *g);

/* That requests get it from now on. */
void generation_log_published(const struct generation *g);

/* Its engine works only when nobody else wants the processor: for copies of requests. There is
 * no way back, so it can never serve again. */
void generation_step_aside(struct generation *g);

/* Whether a request that asks for `asked` means this one: "name", "name@version" or
 * "name@sha256:PREFIX". */
bool generation_is_named(const struct generation *g, const char *asked);

/* ERR_UNSUPPORTED, param "model", when the model makes no text. */
int generation_check_text(const struct generation *g, struct err *e);

/* The same, when it makes no vectors. */
int generation_check_vectors(const struct generation *g, struct err *e);

/* Tokens that a prompt and its answer, or a text to embed, may have. */
int generation_context(const struct generation *g);

/* What routes tell about it; the strings are borrowed from g. */
void generation_describe(const struct generation *g, struct admin_model *out);
