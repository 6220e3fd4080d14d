/* server.h: the parts of a running server, and how they start and stop.
 *
 * Everything lives on one libuv loop. The published model generation, system prompt and filter
 * chain are three pointers; publishing swaps one of them, and requests that began earlier keep
 * what they hold.
 *
 * Threads: the loop's thread only, after server_run began. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "filters/chain.h"
#include "models/sampling.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/net/http_server.h"
#include "runtime/registry/prompt_store.h"
#include "runtime/serve/access.h"
#include "runtime/serve/certificate.h"
#include "runtime/serve/cors.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/prompt_set.h"

struct server_settings {
    struct generation_settings generation;
    const char *host; /* NULL: no TCP */
    uint16_t port;
    const char *tls_cert_path; /* NULL: plain HTTP; else both */
    const char *tls_key_path;
    const char *unix_path; /* NULL: no unix socket */
    unsigned unix_mode;
    const char *system_prompt_path; /* first version of the default profile; NULL: none */
    const char *prompt;             /* the profile that requests get unless their key has one */
    const char *prompts_dir;        /* a folder of prompts to watch; NULL: none */
    const char *state_path;         /* where prompts are kept; NULL: nowhere */
    const char *filters_path;       /* NULL: an empty chain */
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
    struct generation *generation; /* published; NULL only before the first load */
    struct prompts_dir *prompts_dir;
    struct prompt_store *store; /* of prompts */
    struct prompt_set prompts;  /* published */
    struct prompt *no_prompt;   /* version 0: of requests without a profile */
    struct chain *chain;        /* published */
    struct chain *classifier;   /* of moderations, if the published one has none; made at first
                                   use */
    struct exchange *exchanges; /* all that are under way */
    uint64_t next_generation;
    uint64_t next_request;
    struct reload *reload; /* the one that runs now, or NULL */
    bool stopping;
    uv_signal_t on_term;
    uv_signal_t on_int;
    uv_signal_t on_hup;
    uv_timer_t drain_timer;
    uv_timer_t ping_timer;
};

/* Loads everything, listens, prints "listening on http://HOST:PORT" (https, unix:PATH) for each
 * and serves until SIGTERM or SIGINT and the drain after it. 0 after an orderly end. */
int server_run(struct server *s, const struct server_settings *set, struct err *e);

/* Swap what new requests get. Each takes over the reference. */
void server_publish_generation(struct server *s, struct generation *g);
void server_publish_chain(struct server *s, struct chain *c);
