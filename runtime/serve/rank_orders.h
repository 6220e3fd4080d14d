/* rank_orders.h: a server whose model is shared out among ranks: what rank 0, which serves,
 * tells the others, which follow.
 *
 * An order is a small message of fixed size. Where there is nothing to order a thread of rank 0
 * says that it is there, so that who follows a process that is stopped, lost or out of reach
 * comes to an end too. Whether its other threads hang is not looked at here.
 *
 * A model is loaded by all ranks or by none. They load it side by side and come together three
 * times (rank_load_agree): when it is read, with its SHA-256, which must be the same
 * everywhere, and there is memory for the self-test; when that, which they compute together, is
 * over; and when each has its part of the engine. What one rank cannot do is every rank's
 * failure, and rank 0's message. From then on the engine's steps are told on the generation's
 * own channel (engine/rank_steps.h), and its end too, so generations come and go independently.
 *
 * Threads: rank_load_* on any, one load at a time (others wait); rank_follow on the main one.
 */
#pragma once

#include <limits.h>

#include "runtime/engine/engine.h"
#include "runtime/ranks/rank_group.h"

struct rank_orders;

/* Rank 0. The group is borrowed. */
struct rank_orders *rank_orders_create(struct rank_group *g, struct err *e);

/* Tells the others that the server has ended. Accepts NULL. */
void rank_orders_destroy(struct rank_orders *o);

struct rank_group *rank_orders_group(const struct rank_orders *o); /* of NULL: NULL */

/* What is to be loaded, and how. */
struct rank_model {
    char path[PATH_MAX];
    char template_path[PATH_MAX]; /* "": the file's own */
};

/* A load on rank 0. Zero, and with orders NULL, it is one by this process alone: the calls
 * below then return rc. */
struct rank_load {
    struct rank_orders *orders;
    struct rank_channel *channel; /* the generation's, open while orders is set */
    bool is_under_way;
    int n_agreed;
};

int rank_load_begin(struct rank_load *l, struct rank_orders *o, const struct rank_model *m,
                    struct err *e);

/* rc and *e: how it went here. The same on return: of the first rank that failed. */
int rank_load_agree(struct rank_load *l, const char *fact, int rc, struct err *e);

/* The last of the three, or where rc is not 0 before it came to that, the end of the load on
 * all ranks. Whatever it returns, another load may begin. engine: not NULL if rc is 0. */
int rank_load_end(struct rank_load *l, const struct engine *engine, int rc, struct err *e);

/* How much of the model is here, where others have the rest. */
void rank_load_log(const struct rank_load *l, const struct model *m);

/* Behind the engine's end. */
void rank_load_deinit(struct rank_load *l);

/* --- the others --- */

struct rank_follow_settings {
    int threads;
    uint32_t cpu_features;
};

/* Does what rank 0 orders until the server ends. */
int rank_follow(struct rank_group *g, const struct rank_follow_settings *s, struct err *e);
