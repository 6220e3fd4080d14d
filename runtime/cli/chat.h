/* chat.h: what the two kinds of `weir chat`, with a server and with a model file, give to the
 * session that talks with the user (chat_session.h). Command-internal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/sampling.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/cli/chat_turns.h"

/* What /set sets; a server's names. */
enum chat_parameter {
    CHAT_TEMPERATURE,
    CHAT_TOP_P,
    CHAT_TOP_K,
    CHAT_MIN_P,
    CHAT_REPETITION_PENALTY,
    CHAT_PRESENCE_PENALTY,
    CHAT_FREQUENCY_PENALTY,
    CHAT_MAX_TOKENS,
    CHAT_SEED,
    CHAT_PARAMETERS
};

struct chat_parameter_kind {
    const char *name;
    double min, max;
    bool is_whole;
};

extern const struct chat_parameter_kind chat_parameter_kinds[CHAT_PARAMETERS];

struct chat_parameters {
    bool given[CHAT_PARAMETERS]; /* what is not is up to who answers */
    double values[CHAT_PARAMETERS];
};

/* Gives one piece of an answer to the user, in whole characters. Not 0: no more is wanted. */
typedef int chat_text_fn(void *ctx, const char *text, size_t len);

struct chat_request {
    const struct chat_turns *turns; /* the last one is the user's */
    const struct chat_parameters *parameters;
    chat_text_fn *on_text;
    void *text_ctx;
};

/* Where answers come from. Each takes ctx; messages are for people. */
struct chat_source {
    void *ctx;

    /* Ends early, with an error, when on_text wants no more or chat_stop_is_wanted(). */
    int (*answer)(void *ctx, const struct chat_request *r, struct err *e);

    /* Appends lines that say what may be chosen with set_model. */
    int (*list_models)(void *ctx, struct buf *out, struct err *e);
    int (*set_model)(void *ctx, const char *name, struct err *e);

    /* name: "support", "support@3"; NULL: that of the server. */
    int (*set_prompt)(void *ctx, const char *name, struct err *e);

    /* Appends lines about who answers: model, prompt and filters of the last answer. */
    int (*describe)(void *ctx, struct buf *out);
};

struct chat_remote;

/* A server's /v1/chat/completions. key may be NULL. The source is valid until
 * chat_remote_close. */
struct chat_remote *chat_remote_open(const char *url, const char *key,
                                     struct chat_source *source, struct err *e);
void chat_remote_close(struct chat_remote *r);

struct local_model_settings;
struct chat_local;

/* A model in this process; *set is copied, its strings are borrowed. seed: of the first
 * answer for which none is set; the next ones have those that follow. */
struct chat_local *chat_local_open(const struct local_model_settings *set, uint64_t seed,
                                   struct chat_source *source, struct err *e);
void chat_local_close(struct chat_local *l);
