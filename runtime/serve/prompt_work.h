/* prompt_work.h: what the admin routes of prompts do off the loop. Internal to prompt_admin. */
#pragma once

#include <uv.h>

#include "runtime/api/routes.h"
#include "runtime/serve/server.h"

struct prompt_request {
    uv_work_t work;
    struct server *server;
    struct http_exchange *http; /* NULL: nobody waits */
    bool from_folder;           /* --prompts-dir wants to know of a failure */
    struct generation *generation;
    struct prompt_store *store;
    enum route_id route;

    struct prompt_prefix_stats prefix; /* as it was when the request came */

    /* What was asked for. */
    char profile[PROMPT_NAME_MAX + 1];
    char item[PROMPT_NAME_MAX + 1]; /* version or label in the path, or "" */
    char from[PROMPT_NAME_MAX + 1]; /* of the query: from, to, after, profile */
    char to[PROMPT_NAME_MAX + 1];
    uint64_t before;
    size_t limit;
    bool activate;
    char *body; /* (body_len), owned */
    size_t body_len;
    char actor[PROMPT_ACTOR_MAX + 1];
    struct prompt_change change;

    /* What came of it. */
    struct err e;
    bool failed;
    int status;
    char *reply; /* text of the answer, owned; NULL with status 204 */
    size_t reply_len;
    bool is_text;  /* and no JSON */
    uint64_t etag; /* 0: none */
    bool publish;  /* what requests get has changed: */
    struct prompt_profile state;
    struct prompt *active, *split;
};

/* On a worker. */
void prompt_work_run(struct prompt_request *r);
