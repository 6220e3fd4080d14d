/* server.h: the parts of a running server, and how they start and stop.
 *
 * Everything lives on one libuv loop. The published model generation, system prompts and filter
 * chains are pointers; publishing swaps one of them, and requests that began earlier keep what
 * they hold.
 *
 * Threads: the loop's thread only, after server_run began. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "models/sampling.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/net/http_server.h"
#include "runtime/registry/version_store.h"
#include "runtime/serve/access.h"
#include "runtime/serve/certificate.h"
#include "runtime/serve/chain_set.h"
#include "runtime/serve/cors.h"
#include "runtime/serve/filter_outside.h"
#include "runtime/serve/finding_log.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/loop_turns.h"
#include "runtime/serve/model_set.h"
#include "runtime/serve/prompt_set.h"
#include "runtime/serve/watched_dir.h"

/* Who may read GET /metrics. */
enum metrics_readers {
    METRICS_OPEN, /* anybody */
    METRICS_KEY,  /* an API key with the scope for it */
    METRICS_OFF,  /* the route is not there */
};

struct server_settings {
    const char *version; /* of the program */
    struct generation_settings generation;
    const char *repo_path;  /* a repository of models; NULL: generation.model_path alone */
    const char *repo_model; /* the model of it; NULL: the only one */
    int keep_generations;   /* of a repository: that stay loaded behind the one that serves */
    const char *host;       /* NULL: no TCP */
    uint16_t port;
    const char *tls_cert_path; /* NULL: plain HTTP; else both */
    const char *tls_key_path;
    const char *unix_path; /* NULL: no unix socket */
    unsigned unix_mode;
    const char *system_prompt_path; /* first version of the default profile; NULL: none */
    const char *prompt;             /* the profile that requests get unless their key has one */
    const char *prompts_dir;        /* a folder of prompts to watch; NULL: none */
    const char *state_path;         /* where all that is kept; NULL: nowhere */
    const char *filters_path;       /* the chain "default", watched; NULL: an empty one */
    const char *filters_dir;        /* a folder of chains to watch; NULL: none */
    const char *filters_chain;      /* of requests whose key and model have none of their own */
    const char *const *filters_for; /* (n_filters_for) "MODEL=CHAIN" */
    size_t n_filters_for;
    struct finding_settings findings;
    enum metrics_readers metrics;
    struct access access;
    struct cors cors;
    struct http_server_settings http;
    struct sampling sampling; /* of requests that say nothing */
    uint32_t drain_timeout_ms;
    uint32_t ping_ms; /* streams that are quiet for so long get a comment; 0: never */
};

struct server {
    struct server_settings set;
    uv_loop_t loop;
    struct http_server *http;
    struct certificate certificate;
    struct generation *generation;     /* published; NULL only before the first load */
    struct model_set *models;          /* the versions in the repository, or NULL */
    struct version_database *database; /* of prompts and filter chains */
    struct watched_dir *prompts_dir;
    struct prompt_set prompts;        /* published */
    struct prompt *no_prompt;         /* version 0: of requests without a profile */
    struct watched_dir *filters_file; /* --filters */
    struct watched_reader filters_reader;
    char *filters_path; /* owned: the folder and the name that these two are of */
    struct watched_dir *filters_dir;
    struct chain_set chains;  /* published */
    struct chain *classifier; /* of moderations, if their chain has none; made at first use */
    struct filter_outside outside; /* whom filters ask */
    struct loop_turns turns;       /* filtering that takes long */
    struct metrics *metrics;
    struct finding_log *findings;
    struct exchange *exchanges; /* all that are under way */
    uint64_t next_generation;
    uint64_t next_request;
    struct reload *reload; /* the one that runs now, or NULL */
    bool replay_runs;      /* of texts through filters, on a worker */
    bool stopping;
    atomic_bool gives_up_loads; /* the same, for those that load a model */
    unsigned n_stop_signals;
    uv_signal_t on_term;
    uv_signal_t on_int;
    uv_signal_t on_hup;
    uv_timer_t drain_timer;
    uv_timer_t ping_timer;
};

/* Loads everything, listens, prints "listening on http://HOST:PORT" (https, unix:PATH) for each
 * and serves until SIGTERM or SIGINT and the drain after it. 0 after an orderly end. */
int server_run(struct server *s, const struct server_settings *set, struct err *e);

/* Swaps what new requests get; takes over the reference. */
void server_publish_generation(struct server *s, struct generation *g);
