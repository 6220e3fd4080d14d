/* chain_set.h: the filter chains that requests get, by name.
 *
 * "default" is always there; before anybody has said anything it is empty. What is published is
 * compiled; publishing swaps a pointer, and requests keep the chain that they began with.
 *
 * A chain comes from the store, with the revision of its object, or from a file of the owner
 * that the store does not keep. Of the two the one goes before that was chosen last: of a file
 * by writing it, of a version by activating it.
 *
 * Threads: the loop only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filters/chain.h"
#include "runtime/registry/version_store.h"
#include "runtime/serve/version_removals.h"

/* Where a served chain comes from. */
enum chain_origin {
    CHAIN_OF_NOBODY, /* the empty one */
    CHAIN_OF_STORE,
    CHAIN_OF_FILE,
};

struct served_chain {
    char
        name[VERSION_NAME_MAX + 1]; /* under which it is asked for; a file's may have another */
    uint64_t revision;              /* of the store, when it was last heard of; 0: never */
    uint64_t latest;                /* the greatest number of its versions there, likewise */
    enum chain_origin origin;
    struct chain *chain; /* a reference */
};

struct chain_set {
    struct version_removals removals;
    struct served_chain *chains; /* (count), by no order */
    size_t count;
};

/* With an empty "default". */
int chain_set_init(struct chain_set *set, struct err *e);
void chain_set_deinit(struct chain_set *set);

/* NULL: no chain of that name is published. Until the next call that publishes. */
const struct served_chain *chain_set_find(const struct chain_set *set, const char *name);

/* Makes `active` what requests get, unless a newer state is in force; a reference is taken.
 * is_choice: somebody has just made it the active one, so that it replaces a file's chain,
 * which otherwise stays. NULL: from this revision on the name is not served. */
int chain_set_publish(struct chain_set *set, const struct version_state *state,
                      struct chain *active, bool is_choice, struct err *e);

/* The same for a chain that the store does not have. */
int chain_set_publish_file(struct chain_set *set, const char *name, struct chain *chain,
                           struct err *e);
