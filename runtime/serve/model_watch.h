/* model_watch.h: looks at a model's folder in the repository: when the system tells of a change
 * there, soon again while something is in motion, and every few seconds for what it does not
 * tell (files within a version's folder, network disks).
 *
 * Looks are made on a worker. Between them, and in `on_look`, the versions in the repository
 * struct may be read and taken from on the loop; its root, name and descriptor never change.
 *
 * Threads: the loop's. */
#pragma once

#include <uv.h>

#include "runtime/registry/model_repo.h"

struct model_watch;

/* Two looks, a moment apart, for the start: what stands still then is there. */
int model_watch_first(struct model_repo *repo, struct err *e);

/* on_look: after each look that could be made. on_over: after model_watch_stop, when neither
 * the repository nor the watch is in use any more; the memory has been released. */
struct model_watch *model_watch_start(uv_loop_t *loop, struct model_repo *repo,
                                      void (*on_look)(void *ctx), void (*on_over)(void *ctx),
                                      void *ctx, struct err *e);

/* Looks as soon as possible. */
void model_watch_now(struct model_watch *w);

/* on_look is not called any more. */
void model_watch_stop(struct model_watch *w);
