/* fleet.h: one server among several that have the same prompts, filter chains and model
 * versions, because etcd says what these are (fleet_text.h, fleet_link.h).
 *
 * What etcd says of a name is brought about here by the code of the admin routes: checked,
 * compiled, loaded, warmed, and then in force; under the number that it has in the whole fleet,
 * and stored as any other version. What cannot be brought about is refused: what is in force
 * stays, and the reason is in this replica's report. Names of which etcd says something are not
 * changed by admins of a single replica.
 *
 * Without etcd a replica goes on with what it has; beside --state there is a file that says of
 * which fleet that is, so that this holds over a restart.
 *
 * Threads: the loop. All functions but fleet_start accept NULL: a server in no fleet. */
#pragma once

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "runtime/api/fleet_text.h"
#include "runtime/base/err.h"
#include "runtime/serve/fleet_link.h"

struct server;
struct fleet;

enum fleet_state {
    FLEET_JOINING,     /* it has not been heard yet what holds, or that is not in force yet */
    FLEET_NEVER_HEARD, /* etcd cannot be reached, and could not since this state was begun */
    FLEET_IN_STEP,     /* all that etcd says is in force */
    FLEET_CHANGING,    /* something of it is on its way */
    FLEET_REFUSES,     /* something of it could not be brought about */
    FLEET_PARTITIONED, /* etcd cannot be reached; the last that was heard stays in force */
};

/* "joining", "never_heard" ... */
const char *fleet_state_name(enum fleet_state state);

/* What was kept from before. Before anybody is served. NULL: *e says why. */
struct fleet *fleet_start(struct server *s, struct err *e);

/* The server listens: now it is known how it is called, and etcd is asked. 0 or -1. */
int fleet_join(struct fleet *f, struct err *e);

/* Another process goes on, or the server ends. The loop must run until it is empty. */
void fleet_leave(struct fleet *f);

/* When the loop is empty. */
void fleet_destroy(struct fleet *f);

enum fleet_state fleet_state(const struct fleet *f);

/* Whether requests may be sent here: not while it joins, whether etcd is still there or not;
 * and not where something of the fleet's was refused, by this process or by one before, and
 * nothing stands in its place. */
bool fleet_is_ready(const struct fleet *f);

/* Whether etcd says what a name means, so that nobody changes it here. Then *e is what to
 * answer. */
bool fleet_governs(const struct fleet *f, enum fleet_kind kind, const char *name,
                   struct err *e);

/* An admin has changed something here alone, which the report mentions. */
void fleet_note_change(struct fleet *f);

/* Adds "fleet" to what GET /readyz says. */
void fleet_describe(const struct fleet *f, cJSON *root);

/* Sets its metrics. */
void fleet_collect(const struct fleet *f);
