/* version_removals.h: which things were taken out of service, and with which revision, so that
 * a state from before that arrives late does not bring them back: states come to the loop in
 * another order than they were made.
 *
 * Threads: the loop only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/registry/version_name.h"

/* So many are remembered, the latest ones: longer than a state that was loaded before one of
 * them is under way. */
#define VERSION_REMOVALS_MAX 256

struct version_removals {
    struct {
        char name[VERSION_NAME_MAX + 1];
        uint64_t revision;
    } ring[VERSION_REMOVALS_MAX];
    size_t next;
};

/* From this revision on it is not served. */
void version_removals_add(struct version_removals *r, const char *name, uint64_t revision);

/* Whether it was taken out after that revision. */
bool version_removals_after(const struct version_removals *r, const char *name,
                            uint64_t revision);
