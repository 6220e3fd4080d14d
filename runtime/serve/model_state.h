/* model_state.h: what was decided about the versions of a model, on its way to the store
 * (registry/model_store.h) and, at the start, back.
 *
 * There are two ways for a change:
 *
 *   model_state_store    of an admin: it is stored, then it comes into force, then it is
 *                        answered. What cannot be stored is refused and has not happened.
 *   model_state_changed  of the server itself: it is in force, and is stored as soon as that is
 *                        possible; if the disk is full or the file is held it is tried again
 *                        every two seconds, and the log says so.
 *
 * Both wait in one queue, so changes are stored in the order of the calls. The queue is written
 * off the loop, before the server ends too.
 *
 * Without --state the store is in memory, and all is as usual until the end.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "runtime/net/http_server.h"
#include "runtime/registry/model_store.h"
#include "runtime/serve/model_list.h"

/* Changes that wait for the store; of the server's own, the first are given up. */
#define MODEL_STATE_WAITING_MAX 1000

struct model_set;
struct model_journal;

/* Reads what the store knows of the model, and waits for that: for the start. The database
 * stays open until the loop has nothing more to do. is_on_disk: else changes are made within
 * the call, for they need not wait for anything. */
struct model_journal *model_state_open(uv_loop_t *loop, struct version_database *database,
                                       bool is_on_disk, const char *name, struct err *e);

/* What waits is still written, and who waits is called; then it releases itself and calls
 * on_over. Accepts NULL, without a call. */
void model_state_close(struct model_journal *m, void (*on_over)(void *ctx), void *ctx);

/* As it was stored last; borrowed until the loop goes on. */
const struct model_record *model_state_record(const struct model_journal *m);

/* On a list that a look has filled: versions that are in it for the first time and that an
 * earlier server knew are not new. One that failed is not tried while another can serve, unless
 * its files have changed; one that somebody passed over for another is not published by
 * itself. */
void model_state_recall(struct model_journal *m, struct model_list *list);

/* e NULL: it is stored. ex: who is to be answered; NULL: nobody is there any more. May be
 * called before model_state_store returns. */
typedef void model_stored_fn(void *ctx, struct http_exchange *ex, const struct err *e);

/* `change` is copied. */
void model_state_store(struct model_journal *m, const struct model_change *change,
                       struct http_exchange *ex, model_stored_fn *done, void *ctx);

/* Calls once all changes that were made before are stored, or one of them could not be. */
void model_state_wait(struct model_journal *m, struct http_exchange *ex, model_stored_fn *done,
                      void *ctx);

/* The client is gone. */
void model_state_abandon(struct model_journal *m, const struct http_exchange *ex);

/* A change that is in force. */
void model_state_changed(struct model_set *set, const struct model_change *change);
void model_state_note(struct model_journal *m, const struct model_change *change);

/* Another process serves the model from now on: what happens to it here is no news any more,
 * and is not stored. */
void model_state_retire(struct model_journal *m);

/* Who the audit shall name: the client's weir-actor, or "admin"; without a client, "weir". */
void model_state_actor(const struct http_exchange *ex, char out[VERSION_ACTOR_MAX + 1]);

/* Answers a change that could not be stored: 503, code "not_stored". ex may be NULL. is_late:
 * it is in force all the same, and will be stored. */
void model_state_refuse(struct http_exchange *ex, const struct err *e, bool is_late);
