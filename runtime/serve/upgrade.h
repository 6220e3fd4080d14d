/* upgrade.h: the program is replaced while it serves: the old process's part.
 *
 * The command that started the server is started again, so that whatever stands at its path now
 * runs, with the listening sockets as descriptors and one end of a handover (handover.h). Once
 * the new process says that it serves, this one takes no new connections and drains; until then
 * it serves as ever, and if the new one ends, says that it cannot, or is not ready in time,
 * nothing else has happened than that it is logged and counted.
 *
 * No connection is refused or reset by it: the sockets are the same ones, and what waits in
 * them is accepted by whichever process comes first. While the new one loads, models and
 * baselines of drift are not changed by anybody; between its words "loaded" and "serving",
 * prompts and filter chains are not either, so that it begins with what was the last word here.
 * The watch on drift stores what it has before the word "go" and nothing after it.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>

#include "runtime/net/http_server.h"
#include "runtime/serve/server.h"

/* Idle connections to the old process get so long for one more request: clients keep theirs for
 * 4 or 5 s, mostly. */
#define UPGRADE_IDLE_MS 10000

/* `ex` (may be NULL) is answered when it is over: 200, or 422 with why it failed; or at once
 * with 409 when it cannot begin. */
void upgrade_begin(struct server *s, struct http_exchange *ex);

/* The admin's client is gone; the upgrade goes on. */
void upgrade_abandon(struct server *s, struct http_exchange *ex);

/* The server is to stop: so is the one that would replace it. */
void upgrade_cancel(struct server *s);

/* Whether an admin's request must wait for the end of an upgrade: then it is answered. */
bool upgrade_refuses(struct server *s, struct http_exchange *ex, const struct route *route);

/* Whether prompts and filter chains stay as they are for the moment. */
bool upgrade_holds_changes(const struct server *s);

/* Whether watched folders of them are left to another process, or for later. */
bool upgrade_holds_folders(const struct server *s);
