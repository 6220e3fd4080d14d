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
#include "runtime/net/passed_sockets.h"
#include "runtime/registry/version_store.h"
#include "runtime/serve/access.h"
#include "runtime/serve/certificate.h"
#include "runtime/serve/chain_set.h"
#include "runtime/serve/cors.h"
#include "runtime/serve/drift_desk.h"
#include "runtime/serve/feedback.h"
#include "runtime/serve/filter_outside.h"
#include "runtime/serve/finding_log.h"
#include "runtime/serve/fleet.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/loop_turns.h"
#include "runtime/serve/model_catalog.h"
#include "runtime/serve/model_wait.h"
#include "runtime/serve/prompt_set.h"
#include "runtime/serve/service_reload.h"
#include "runtime/serve/service_watchdog.h"
#include "runtime/serve/span_export.h"
#include "runtime/serve/watched_dir.h"

/* Who may read GET /metrics. */
enum metrics_readers {
    METRICS_OPEN, /* anybody */
    METRICS_KEY,  /* an API key with the scope for it */
    METRICS_OFF,  /* the route is not there */
};

struct server;

struct server_settings {
    const char *version;           /* of the program */
    char *const *command;          /* as it was started, for an upgrade; ends with NULL */
    struct passed_sockets *passed; /* that the process was given */
    bool listens_on_passed;        /* on them all; else on those that are named below */
    int predecessor;               /* the end of a handover; -1: it replaces nobody */
    uint32_t upgrade_timeout_ms;
    const char *pid_file; /* NULL: none */
    struct generation_settings generation;
    const char *repo_path;  /* a repository of models; NULL: generation.model_path alone */
    const char *repo_model; /* the model of it; NULL: the only one */
    bool publish_manually;  /* of a repository: an admin brings new versions in */
    int keep_generations;   /* of a repository: that stay loaded behind the one that serves */
    const char *models_loaded; /* at the start: "default", "all" or names with commas */
    bool load_on_demand;       /* requests have what is not loaded loaded */
    uint64_t models_memory;    /* bytes for all generations; 0: what the machine has left */
    bool drain_first;       /* where two versions do not fit, the one that serves goes first */
    uint32_t unload_idle_s; /* models that nobody has used for so long go; 0: never */
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
    struct feedback_settings feedback;
    struct drift_desk_settings drift;
    struct fleet_settings fleet; /* name NULL: in none */
    enum metrics_readers metrics;
    struct span_settings spans;
    bool log_requests; /* a line for each that is over */
    struct access access;
    bool admin_key_is_made; /* and was shown */
    struct cors cors;
    struct http_server_settings http;
    struct sampling sampling; /* of requests that say nothing */
    uint32_t drain_timeout_ms;
    bool late_streams; /* the head of a stream goes out with its first piece */
    uint32_t ping_ms;  /* streams that are quiet for so long get a comment; 0: never */

    /* SIGHUP: reads the settings anew and takes over what can be (live_settings.h). True: those
     * of the model have changed. NULL: they are in no file. */
    bool (*reread)(void *ctx, struct server *s);
    void *reread_ctx;
};

struct server {
    struct server_settings set;
    uv_loop_t loop;
    struct http_server *http;
    struct certificate certificate;
    struct generation *generation; /* published; of a repository, what the default model serves.
                                      NULL before the first load, and while its next version is
                                      loaded after that one has gone (drain_first) */
    struct model_catalog *catalog; /* the models of the repository, or NULL */
    struct model_set *models;      /* the default one of them, or NULL */
    struct model_waits waits;      /* requests for models that are being loaded */
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
    struct span_export *spans; /* NULL: no traces are told */
    struct finding_log *findings;
    struct feedback_desk *feedback; /* NULL: it is off */
    struct drift_desk *drift;       /* likewise */
    struct fleet *fleet;            /* NULL: in none */
    struct exchange *exchanges;     /* all that are under way */
    uint64_t next_generation;
    uint64_t next_request;
    struct reload *reload;       /* the one that runs now, or NULL */
    struct upgrade *upgrade;     /* that runs now, or NULL */
    struct successor *successor; /* until this process has taken over from another, else NULL */
    bool handed_over;            /* another process serves */
    char upgrade_problem[ERR_MESSAGE_MAX]; /* why the last one failed, or "" */
    size_t version_requests;               /* of admins and watched folders, under way */
    bool has_failed;                       /* to begin: */
    struct err failure;
    bool replay_runs; /* of texts through filters, on a worker */
    bool is_ready;    /* all is loaded, and requests are answered */
    bool stopping;
    atomic_bool gives_up_loads; /* the same, for those that load a model */
    unsigned n_stop_signals;
    uv_signal_t on_term;
    uv_signal_t on_int;
    uv_signal_t on_hup;
    uv_signal_t on_usr2;
    uv_timer_t drain_timer;
    uv_timer_t ping_timer;
    struct service_watchdog watchdog;
    struct service_reload service_reload;
};

/* Of the model that requests get which name none. */
const char *server_model_name(const struct server *s);

/* Loads everything, listens, prints "listening on http://HOST:PORT" (https, unix:PATH) for each
 * and serves until SIGTERM, SIGINT or an upgrade, and the drain after it. 0 after an orderly
 * end. */
int server_run(struct server *s, const struct server_settings *set, struct err *e);

/* Swaps what new requests get that name no model; takes over the reference. NULL: they wait. */
void server_publish_generation(struct server *s, struct generation *g);

/* As set.ping_ms is now. */
void server_start_pings(struct server *s);

/* Everything is loaded, and the sockets are open: says so, to all who want to know. */
int server_open(struct server *s, struct err *e);

/* No new connections; running requests are finished, at most --drain-timeout. Connections
 * without one get idle_ms. */
void server_stop(struct server *s, uint32_t idle_ms);

/* It cannot begin, as was found out on the loop: server_run ends with this error. */
void server_fail(struct server *s, const struct err *e);
