/* model_catalog.h: all models of a repository.
 *
 * Each folder beneath the root is a model with versions (model_set.h). One of them is the
 * default: requests that name no model get it, it is loaded as long as the server runs, and
 * what serves of it is server.generation. The others are loaded at the start or when somebody
 * asks for them, and are unloaded when an admin says so, when nobody has used them for a time,
 * or when memory is wanted for another one; never while requests use them.
 *
 * The root is watched: models come and go with their folders.
 *
 * Versions of all models are loaded one at a time, so that memory can be told, and so that
 * those who answer keep the processor: in the order in which that was begun, but those that
 * must wait until others are idle let the rest go first.
 *
 * Threads: the loop's. */
#pragma once

#include <uv.h>

#include "runtime/registry/model_repo.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/model_set.h"

struct attempt; /* model_set_parts.h */
struct server;

struct model_catalog {
    struct server *server;
    struct model_set **sets; /* (n_sets), in the order of their names */
    size_t n_sets;
    struct model_set *main;         /* the default */
    struct attempt *line;           /* to load versions; the first one is at work or waits */
    struct attempt *waits_for_room; /* that one, if it waits for memory; or NULL */
    uint64_t used;                  /* memory_bytes of generations that are not gone */
    size_t n_generations;           /* these */
    bool is_started;

    struct model_repo root;        /* for looks at it; names no model */
    struct model_repo_names found; /* at the last look; the worker's while it looks */
    struct model_watch *watch;
    char problem[ERR_MESSAGE_MAX]; /* with a folder, at the last look; "" */
    uv_timer_t timer; /* for what nobody tells: time, and memory that others free */
    bool is_stopped;
};

struct model_catalog *model_catalog_create(struct server *s, struct err *e);

/* Loads what is to serve, before it returns; then goes on watching. -1: the default, or a model
 * that --models-loaded names, cannot serve; *e says why. */
int model_catalog_start(struct model_catalog *c, struct err *e);

/* Lets go of all models and of what keeps the loop alive. Accepts NULL. */
void model_catalog_stop(struct model_catalog *c);

/* When the loop is at its end. Accepts NULL. */
void model_catalog_destroy(struct model_catalog *c);

/* The model of this name (len bytes), or NULL. */
struct model_set *model_catalog_find(const struct model_catalog *c, const char *name,
                                     size_t len);

/* What SIGHUP asks for: looks at all folders, and at the files of what serves. */
void model_catalog_reload(struct model_catalog *c);

/* From now on, until there is nothing to wait for: unloads what nobody uses, and finds out
 * whether there is memory for who waits for it. */
void model_catalog_tick(struct model_catalog *c);

/* A generation serves from now on: its memory counts until it is gone. */
void model_catalog_count_in(struct model_catalog *c, struct generation *g);

/* Another process serves from now on, and has the state file. Accepts NULL. */
void model_catalog_retire(struct model_catalog *c);

/* The admin's client is gone. Accepts NULL. */
void model_catalog_abandon(struct model_catalog *c, struct http_exchange *ex);

/* A version of some model is being loaded, or waits for its turn, or is about to serve. */
bool model_catalog_is_loading(const struct model_catalog *c);
