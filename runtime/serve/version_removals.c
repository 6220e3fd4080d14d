#include "runtime/serve/version_removals.h"

#include <stdio.h>
#include <string.h>

void version_removals_add(struct version_removals *r, const char *name, uint64_t revision)
{
    size_t at = r->next++ % VERSION_REMOVALS_MAX;
    r->ring[at].revision = revision;
    snprintf(r->ring[at].name, sizeof(r->ring[at].name), "%s", name);
}

bool version_removals_after(const struct version_removals *r, const char *name,
                            uint64_t revision)
{
    for (size_t i = 0; i < VERSION_REMOVALS_MAX; i++) {
        if (r->ring[i].revision > revision && strcmp(r->ring[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}
