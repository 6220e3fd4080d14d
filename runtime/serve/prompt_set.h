/* prompt_set.h: the prompts that requests get, by profile.
 *
 * A profile has an active version and, during a trial, a second one that a percentage of the
 * requests get. A change is published in two steps: what conversations under the new versions
 * begin with is read in the background by the engines of all generations that get requests, and
 * then one pointer is swapped. Requests keep the version that they began with.
 *
 * Generations take turns: first the one that serves requests which name no model, then the
 * others one by one, so that the answers that are being written do not share the machine with
 * all of these readings at once. A change waits for the first as long as it takes, and for the
 * others PROMPT_SET_OTHERS_MS more and to the end of the reading that runs then: a busy one
 * reads later, and does not keep a change from the rest.
 *
 * Threads: the loop only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/registry/prompt.h"
#include "runtime/registry/version_store.h"
#include "runtime/serve/generation.h"
#include "runtime/serve/prompt_reading.h"
#include "runtime/serve/version_removals.h"

#define PROMPT_SET_GENERATIONS_MAX 64
#define PROMPT_SET_OTHERS_MS       20000

/* A version. */
struct served_prompt {
    struct prompt *prompt;           /* a reference, or NULL */
    struct prompt_reading *readings; /* one for each generation of the set */
};

struct served_profile {
    struct version_state state;
    struct served_prompt active;
    struct served_prompt split; /* prompt NULL: no trial */
};

/* How often requests found what was read ahead, and why not. */
struct prompt_prefix_stats {
    uint64_t hits;
    uint64_t variables;  /* values of the request's own came before its end */
    uint64_t not_served; /* a version was asked for that is not one of those served */
    uint64_t not_read;   /* the engine had not read it, or too little to keep */
    uint64_t evicted;    /* memory was needed for others */
};

struct publication;

/* All zero is an empty one. */
struct prompt_set {
    struct prompt_prefix_stats stats;
    struct version_removals removals;
    struct served_profile **profiles; /* (count), by no order */
    size_t count;
    struct publication *publications; /* that are being read, the first the oldest */
    uint64_t next_pin;
    struct generation *generations[PROMPT_SET_GENERATIONS_MAX]; /* references */
    size_t n_generations;
    struct generation *serving; /* of these, the one that changes wait for; or NULL */
    uint32_t others_ms;         /* in place of PROMPT_SET_OTHERS_MS, if not 0 */
};

/* The set has no generations any more, see prompt_set_stop. */
void prompt_set_deinit(struct prompt_set *set);

/* NULL: no such profile has an active version. */
const struct served_profile *prompt_set_find(const struct prompt_set *set, const char *name);

/* Which of a profile's versions a request gets; the same for the same `sticky`. */
struct prompt *prompt_set_choose(const struct served_profile *profile, uint64_t sticky);

/* What conversations under this version begin with on this generation, or NULL when it is not
 * one of those that are served, or not known yet. */
const struct token_list *prompt_set_prefix(const struct prompt_set *set,
                                           const struct prompt *prompt,
                                           const struct generation *g);

/* Notes how much of its prompt a request under this version found in the cache of g. */
void prompt_set_count(struct prompt_set *set, const struct prompt *prompt,
                      const struct generation *g, bool has_values, size_t cached_tokens);

/* Makes the versions what requests of the profile get, once they have been read ahead; then
 * calls done, at once if there is nothing to read or no generation yet. A state with an older
 * revision than the one in force changes nothing. active NULL: from this revision on the
 * profile is not served, because it was deleted or has no active version. References are taken.
 * done may be NULL. */
int prompt_set_publish(struct prompt_set *set, const struct version_state *state,
                       struct prompt *active, struct prompt *split, void (*done)(void *user),
                       void *user, struct err *e);

/* --- generations --- */

/* What a generation that is being loaded may read ahead before it serves is put to the list,
 * but for what stands in it: prompt_readings_run reads it, prompt_set_add takes it over. False:
 * there is nothing new. Without memory the list is shorter. */
bool prompt_set_plan(struct prompt_set *set, struct prompt_reading **planned);

/* So often at most a load goes back for prompts that were changed while it read the others;
 * what is left then is read while it serves. */
#define PROMPT_SET_PLANS_MAX 8

/* From now on all that is served is read ahead on g, which serves (generation_serve) and is
 * referenced. planned (may be NULL): what it has read before is not read again; taken over,
 * and *planned is NULL then. Nothing is done for one that is in the set or makes no text. */
void prompt_set_add(struct prompt_set *set, struct generation *g,
                    struct prompt_reading **planned);

/* g, which is in the set, is what requests get that name no model. */
void prompt_set_serve(struct prompt_set *set, struct generation *g);

/* Whether something is still to be read ahead on that one. */
bool prompt_set_is_reading(struct prompt_set *set);

/* Before a generation goes: what it holds is let go, what it reads is dropped. One that is not
 * in the set is ignored. */
void prompt_set_remove(struct prompt_set *set, const struct generation *removed);

/* Removes all. */
void prompt_set_stop(struct prompt_set *set);
