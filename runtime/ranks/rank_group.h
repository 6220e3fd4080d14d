/* rank_group.h: the processes that one model is shared out among, and how they talk. Over MPI,
 * and only here; a build without it has a group of one.
 *
 * Rank 0 decides and the others follow it. They talk on channels: 0 is for orders, each engine
 * has one of its own, and messages on one never meet those on another. What goes over a channel
 * is checked at the other end: its length, its place in the order of messages, who sent it.
 *
 * A rank that is lost, that does not do its part of a step for settings.timeout_ms (of a load,
 * or of the end, ten times as long), or that is elsewhere in the program ends this process with
 * a message, and by MPI all others (rank_group_fail): the model is only there as long as all
 * its parts are. Without a limit are rank_group_open, which waits until all processes have
 * started, and rank_channel_hear where it is told so: who waits for a step, which may be long
 * in coming, hears of rank 0 on the channel of orders. Waiting costs next to no processor time:
 * who waits looks again after an eighth of the time that it has waited.
 *
 * Threads: channels are independent; one is used by one thread at a time. rank_group_open and
 * _close on the main thread, which is alone with MPI then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/ranks.h"
#include "runtime/base/err.h"

struct rank_group;
struct rank_channel;

struct rank_group_settings {
    int wanted;          /* ranks there shall be; 0: as many as there are */
    uint32_t timeout_ms; /* for the others to do their part of a step */
    const char *version; /* of the program: all must have the same */
};

/* Joins the group that this process was started in. *out: NULL when it is alone. Fails, on all
 * ranks, when their number is not the one that is wanted or they are not the same program. */
int rank_group_open(struct rank_group **out, const struct rank_group_settings *s,
                    struct err *e);

/* Waits for the others to come here too. Accepts NULL. */
void rank_group_close(struct rank_group *g);

/* Of NULL: 0 of 1. */
int rank_group_rank(const struct rank_group *g);
int rank_group_size(const struct rank_group *g);

/* Ranks on this machine, this one among them. */
int rank_group_size_here(const struct rank_group *g);

uint32_t rank_group_timeout_ms(const struct rank_group *g);

/* Logs the message and ends all ranks. */
void rank_group_fail(const struct rank_group *g, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#define RANK_CHANNEL_ORDERS 0

/* The same number on all ranks, and never one that was used before: those that are 29,999
 * apart, other than that for orders, are not told from each other, and the first must be closed
 * by then. NULL: no memory. */
struct rank_channel *rank_channel_open(struct rank_group *g, int number, struct err *e);
void rank_channel_close(struct rank_channel *c); /* accepts NULL */

/* What a model needs of it; lives as long as the channel. */
const struct ranks *rank_channel_ranks(const struct rank_channel *c);

/* From rank 0 to all others, which must hear exactly as many bytes. It does not wait until they
 * do, where the message is small. */
void rank_channel_tell(struct rank_channel *c, const void *message, size_t bytes);

/* timeout_ms 0: waits as long as it takes. */
void rank_channel_hear(struct rank_channel *c, void *message, size_t bytes,
                       uint32_t timeout_ms);

#define RANK_FACT_MAX 128

/* All ranks come here with what they did: 0 if all of them succeeded and have the same fact
 * (a string, such as the hash of what they read); else *e, on every rank, is the trouble of the
 * first one that has some, or the two facts. What was done may have taken long, so this waits
 * ten times as long as a step. */
int rank_channel_agree(struct rank_channel *c, const char *fact, int rc, struct err *e);
