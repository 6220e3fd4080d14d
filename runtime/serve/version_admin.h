/* version_admin.h: the admin routes of things that have versions: prompts and filter chains.
 *
 * Each request is a job: a worker reads or changes the store, and for a new version first makes
 * sure that it can be served (a prompt fits into the model's context, a chain compiles); then,
 * on the loop, what has changed is published (prompt_set.h, chain_set.h), and when it is in
 * force the answer is sent. An answered change is on disk.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/api/routes.h"
#include "runtime/net/http_server.h"
#include "runtime/serve/server.h"
#include "runtime/serve/version_work.h"

/* Whether the route is one of these. */
bool version_admin_has(enum route_id route);

void version_admin_begin(struct server *s, struct http_exchange *http,
                         const struct route *route);

/* The client is gone; what it asked for is done all the same. */
void version_admin_abort(struct http_exchange *http);

/* Stores and publishes a version as PUT does, for files that are watched. 0: it has begun; a
 * later failure is logged and told to the kind's put_failed. */
int version_admin_put(struct server *s, const struct version_api *api, const char *name,
                      const char *json, size_t len, const char *actor, struct err *e);

/* A version that was numbered elsewhere, as it is in a whole fleet. Borrowed for the call. */
struct version_order {
    const char *name;
    const char *json; /* (len) what PUT takes */
    size_t len;
    uint64_t number;
    const char *sha256; /* that it must have */
    const char *actor;
    /* Called once, unless version_admin_order fails: e is NULL when it is in force. */
    void (*told)(void *user, const struct err *e);
    void *user;
};

/* Stores it under its number, or finds it there, and makes it what requests get. */
int version_admin_order(struct server *s, const struct version_api *api,
                        const struct version_order *order, struct err *e);
