/* chain_store.h: filter chains in the store of versions (version_store.h, VERSION_FILTERS),
 * which has the changes and lists that do not read what a version says.
 *
 * What is stored is the chain's JSON. It names no files: what a version does never depends on
 * anything but itself. The name of the object is the name of the chain, and the number of the
 * version its version.
 *
 * Threads and errors as there. To compile a chain may take long (a hundred thousand words): not
 * on the event loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "filters/chain.h"
#include "runtime/registry/version_store.h"

/* A chain that is to become a version. */
struct chain_draft {
    struct chain *chain; /* compiled, not numbered yet */
    char *content;       /* its JSON, without what the store keeps apart */
    char *author;        /* or "" */
    char *note;          /* or "" */
};

/* Reads what chain_from_json takes, where `name` and `version` count for nothing, and the
 * fields "author" and "note". Errors name the place (`filters[0].action`) in e->param:
 * ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED; ERR_FORMAT: no JSON. After a failure there is
 * nothing to release. */
int chain_draft_parse(struct chain_draft *d, const char *name, const char *body, size_t len,
                      struct err *e);
void chain_draft_deinit(struct chain_draft *d);

/* Stores it as the next version with a number greater than `above`, creating the object if need
 * be, and with `activates` makes it active in the same step. The draft's chain, which nobody
 * else has yet, gets the number. */
int chain_store_put(struct version_store *s, const char *name, struct chain_draft *draft,
                    uint64_t above, bool activates, const struct version_change *change,
                    struct version_state *after, struct err *e);

/* Compiles a stored version; `which` as version_store_get. One reference, the caller's.
 * ERR_INVALID: this build does not know what the chain needs (the message says what). */
struct chain *chain_store_compile(struct version_store *s, const char *name, const char *which,
                                  struct err *e);

/* The object and its active version, compiled, both of one moment; NULL where there is none.
 * The reference is the caller's. */
int chain_store_load(struct version_store *s, const char *name, struct version_state *state,
                     struct chain **active, struct err *e);

/* Calls back with every chain that has an active version, by name, for start-up; the chain is
 * borrowed. One that does not compile ends the walk, as a callback does that returns -1: a
 * server should not begin without its owner's rules. */
typedef int chain_active_fn(void *ctx, const struct version_state *state, struct chain *active,
                            struct err *e);
int chain_store_load_active(struct version_store *s, chain_active_fn *fn, void *ctx,
                            struct err *e);

/* Appends what changes from one version to another as `diff -u` does: the JSON with each value
 * on a line of its own. Nothing when nothing has changed. */
int chain_store_diff(const struct version_text *a, const struct version_text *b,
                     struct buf *out, struct err *e);
