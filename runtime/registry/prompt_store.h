/* prompt_store.h: prompts in the store of versions (version_store.h, VERSION_PROMPTS), which
 * has the changes and lists that do not read what a version says.
 *
 * Threads and errors as there. What a draft's check finds is ERR_INVALID or ERR_LIMIT; a stored
 * text that is no prompt any more is ERR_IO. */
#pragma once

#include <stdbool.h>

#include "runtime/registry/prompt.h"
#include "runtime/registry/version_store.h"

/* Stores `draft` as the next version, creating the profile if need be, and with `activates`
 * makes it active in the same step. The draft, which nobody else has yet, becomes that version:
 * name, version and created are filled in. */
int prompt_store_put(struct version_store *s, const char *profile, struct prompt *draft,
                     bool activates, const struct version_change *change,
                     struct version_state *after, struct err *e);

/* `which` as version_store_get. One reference, the caller's. */
struct prompt *prompt_store_get(struct version_store *s, const char *profile, const char *which,
                                struct err *e);

/* The profile, its active version and the one of a split, all of one moment. The two are NULL
 * where there is none; the references are the caller's. Any pointer may be NULL. */
int prompt_store_load(struct version_store *s, const char *profile, struct version_state *state,
                      struct prompt **active, struct prompt **split, struct err *e);

/* Calls back with every profile that has an active version, by name, for start-up. `active` and
 * `split` (or NULL) are borrowed. A callback that returns -1 fills its *e and ends the walk. It
 * may call the store. */
typedef int prompt_active_fn(void *ctx, const struct version_state *state,
                             struct prompt *active, struct prompt *split, struct err *e);
int prompt_store_load_active(struct version_store *s, prompt_active_fn *fn, void *ctx,
                             struct err *e);
