/* model_watch.h: looks at a folder of the repository (its root, or a model's): when the system
 * tells of a change there, soon again while something is in motion, and every few seconds for
 * what it does not tell (files within a version's folder, network disks).
 *
 * Looks are made on a worker. Between them, and in `on_look`, what they have found may be read
 * and taken from on the loop.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "runtime/base/err.h"

struct model_watch;

struct model_watched {
    const char *path;                      /* the folder whose changes the system tells */
    int (*look)(void *ctx, struct err *e); /* on a worker. -1: it could not be made */
    bool (*is_moving)(const void *ctx);    /* after a look: look again soon */
    void (*on_look)(void *ctx);            /* after each look that could be made */
    void (*on_over)(void *ctx);            /* after model_watch_stop, when ctx is not in use
                                              any more; the watch's memory was released */
    void *ctx;
};

/* Looks that are made before the start, one after another, are so long apart that what stands
 * still in two of them is there. */
#define MODEL_WATCH_APART_MS 50

/* `what` is copied, the path not kept. */
struct model_watch *model_watch_start(uv_loop_t *loop, const struct model_watched *what,
                                      struct err *e);

/* Looks as soon as possible. */
void model_watch_now(struct model_watch *w);

/* on_look is not called any more. */
void model_watch_stop(struct model_watch *w);
