/* local_model.h: one model in this process, one conversation at a time: for the commands that
 * need no server.
 *
 * Threads: none; the model's own team works inside the calls. */
#pragma once

#include "models/arch/llama_step.h"
#include "models/model.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/team.h"
#include "runtime/ranks/rank_group.h"

struct local_model {
    struct model *model;
    struct llama_adapter *adapter; /* that all rows get, or NULL */
    struct team *team;
    struct rank_channel *channel; /* to the ranks that share the model, or NULL */
    struct llama_state *state;
    struct kv_cache kv;
    struct sampler_scratch scratch;
    bool (*is_stop_wanted)(void); /* or NULL */
    int context;
    int max_rows;
    int max_logits; /* rows of one step that may want logits */
};

struct local_model_settings {
    const char *path;
    const char *cpu;     /* as for --cpu */
    const char *kv_type; /* as for --kv-type; NULL: f16 */
    const char *adapter; /* "FILE" or "FILE@SCALE"; NULL: none */
    bool any_base;       /* the adapter may have been trained on another file; a warning then */
    const char *weights; /* "int8" or "f32"; NULL: int8 */
    int threads;
    bool encoder;    /* a model for embeddings is wanted; one that makes text otherwise */
    bool pin;        /* each thread to a CPU of its own */
    int context;     /* 0: the model's own, at most 8192 */
    int max_rows;    /* rows of one step */
    int n_slots;     /* sequences of the KV cache; 1 unless several run side by side */
    size_t kv_bytes; /* fewer sequences where their keys and values need more; 0: any */
    bool score;      /* logits of up to max_rows rows of a step are wanted */
    bool (*is_stop_wanted)(void); /* asked before each step, which then fails; NULL: never.
                                     Not with ranks, which would not all hear it. */
    /* That share the model: all of them open it, and then make the same calls; rank 0 alone
     * gets logits. What one cannot open none has. NULL: the whole model is here. */
    struct rank_group *ranks;
};

int local_model_open(struct local_model *l, const struct local_model_settings *s,
                     struct err *e);
void local_model_close(struct local_model *l);

/* Feeds tokens to slot 0 from `position` on, in steps of up to max_rows. The logits of the last
 * row are then llama_logits(l->state, 0). ERR_CANCELED: is_stop_wanted said so. */
int local_model_feed(struct local_model *l, const int32_t *tokens, size_t n, size_t position,
                     struct err *e);

/* Answers a conversation. Text is given to on_text in whole characters as it comes. */
int local_model_answer(struct local_model *l, const struct chat_message *messages, size_t n,
                       const struct sampling *sampling, int max_tokens,
                       int (*on_text)(void *ctx, const char *text, size_t len), void *ctx,
                       struct err *e);

/* What is left to say of an answer. */
struct local_answer_end {
    size_t n_tokens;
    bool is_cut; /* max_tokens or the context came first */
};

/* The same for a prompt in tokens. end may be NULL. */
int local_model_answer_tokens(struct local_model *l, const struct token_list *prompt,
                              const struct sampling *sampling, int max_tokens,
                              int (*on_text)(void *ctx, const char *text, size_t len),
                              void *ctx, struct local_answer_end *end, struct err *e);

/* Number of cores, 1 to TEAM_MAX_THREADS. */
long local_core_count(void);
