/* prompt_pick.h: which of the owner's prompts a request gets.
 *
 * The header weir-prompt or the field "prompt" may name a profile, "support", or one version of
 * it, "support@3", "support@stable": for keys with the scope `prompts`. Whoever names none gets
 * the profile that its key is for, else the server's (--prompt, "default"). A profile without
 * an active version is an error, but for "default": where nobody has set it there is no prompt.
 *
 * Threads: the loop. */
#pragma once

#include <uv.h>

#include "runtime/api/answer_request.h"
#include "runtime/serve/server.h"

/* *out is borrowed; NULL when the version is not one of those that are served now, so that it
 * has to be read (prompt_pick_start). ERR_NOT_FOUND, ERR_INVALID and ERR_DENIED are for the
 * client. */
int prompt_pick_served(struct server *s, struct http_exchange *http,
                       const struct answer_request *request, struct prompt **out,
                       struct err *e);

struct prompt_job {
    uv_work_t work;
    struct version_store *store;
    char profile[VERSION_NAME_MAX + 1];
    char version[VERSION_NAME_MAX + 1];
    struct prompt *prompt;
    struct err e;
    /* On the loop. The reference is the callee's; NULL: e says why. */
    void (*done)(void *user, struct prompt *prompt, const struct err *e);
    void *user;
};

/* Reads the version that the request names, off the loop. The job is the caller's, with done
 * and user set. done is called exactly once, unless this returns -1. */
int prompt_pick_start(struct prompt_job *job, struct server *s, struct http_exchange *http,
                      const struct answer_request *request, struct err *e);
