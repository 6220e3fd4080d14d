/* prompt_set.h: the prompts that requests get, by profile.
 *
 * A profile has an active version and, during a trial, a second one that a percentage of the
 * requests get. A change is published in two steps: what conversations under the new versions
 * begin with is read by the engine in the background, and then one pointer is swapped. Requests
 * keep the version that they began with.
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
#include "runtime/serve/version_removals.h"

/* A version, ready for the present model. */
struct served_prompt {
    struct prompt *prompt; /* a reference, or NULL */
    struct token_list prefix;
    uint64_t pin; /* under which the engine holds it; 0: not held */
};

struct served_profile {
    struct version_state state;
    struct served_prompt active;
    struct served_prompt split; /* prompt NULL: no trial */
    bool is_cold;               /* still to be read ahead with the present model */
};

/* How often requests found what was read ahead, and why not. */
struct prompt_prefix_stats {
    uint64_t hits;
    uint64_t variables;  /* values of the request's own came before its end */
    uint64_t not_served; /* a version was asked for that is not one of those served */
    uint64_t not_read;   /* the engine had not read it, or too little to keep */
    uint64_t evicted;    /* memory was needed for others */
};

struct prompt_set {
    struct prompt_prefix_stats stats;
    struct version_removals removals;
    struct served_profile **profiles; /* (count), by no order */
    size_t count;
    uint64_t next_pin;
    struct generation *generation; /* served now; borrowed from the server */

    /* After another model: */
    bool is_reading; /* a profile is being read ahead */
    bool is_warming; /* the next one is being looked for */
};

void prompt_set_deinit(struct prompt_set *set);

/* NULL: no such profile has an active version. */
const struct served_profile *prompt_set_find(const struct prompt_set *set, const char *name);

/* Which of a profile's versions a request gets; the same for the same `sticky`. */
struct prompt *prompt_set_choose(const struct served_profile *profile, uint64_t sticky);

/* What conversations under this version begin with, or NULL when it is not one of those that
 * are served. */
const struct token_list *prompt_set_prefix(const struct prompt_set *set,
                                           const struct prompt *prompt);

/* Notes how much of its prompt a request under this version found in the cache. */
void prompt_set_count(struct prompt_set *set, const struct prompt *prompt, bool has_values,
                      size_t cached_tokens);

/* Makes the versions what requests of the profile get, once the engine has read ahead; then
 * calls done, at once if there is nothing to read or no model yet. A state with an older
 * revision than the one in force changes nothing. active NULL: from this revision on the
 * profile is not served, because it was deleted or has no active version. References are taken.
 * done may be NULL. */
int prompt_set_publish(struct prompt_set *set, const struct version_state *state,
                       struct prompt *active, struct prompt *split, void (*done)(void *user),
                       void *user, struct err *e);

/* Another model is served: all profiles are read ahead with it, one after the other. Each is
 * served meanwhile, only slower at first. */
void prompt_set_warm(struct prompt_set *set, struct generation *g);
