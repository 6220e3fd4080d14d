#include "runtime/serve/chain_set.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"

static struct served_chain *find(const struct chain_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->chains[i].name, name) == 0) {
            return &set->chains[i];
        }
    }
    return NULL;
}

const struct served_chain *chain_set_find(const struct chain_set *set, const char *name)
{
    return find(set, name);
}

/* The place of that name, made if there was none. */
static struct served_chain *get(struct chain_set *set, const char *name, struct err *e)
{
    struct served_chain *served = find(set, name);
    if (served) {
        return served;
    }
    struct served_chain *moved =
        mem_realloc_array(set->chains, set->count + 1, sizeof(*set->chains));
    if (!moved) {
        err_nomem(e);
        return NULL;
    }
    set->chains = moved;
    served = &moved[set->count++];
    *served = (struct served_chain){.origin = CHAIN_OF_NOBODY};
    snprintf(served->name, sizeof(served->name), "%s", name);
    return served;
}

/* The swap. */
static void serve(struct served_chain *served, enum chain_origin origin, struct chain *chain)
{
    struct chain *old = served->chain;
    served->origin = origin;
    served->chain = chain_ref(chain);
    chain_unref(old);
    log_info("filter chain %s: %s@%u with %zu filters (sha256 %.12s) is published",
             served->name, chain_name(chain), chain_version(chain), chain_filter_count(chain),
             chain_hash(chain));
}

/* A file's chain stays: the file is still there. */
static void take_out(struct chain_set *set, const struct version_state *state)
{
    struct served_chain *served = find(set, state->name);
    version_removals_add(&set->removals, state->name, state->revision);
    if (served && served->origin == CHAIN_OF_STORE) {
        chain_unref(served->chain);
        *served = set->chains[--set->count];
        log_info("filter chain %s is not published any more", state->name);
    }
}

int chain_set_publish(struct chain_set *set, const struct version_state *state,
                      struct chain *active, bool is_choice, struct err *e)
{
    struct served_chain *served = find(set, state->name);
    bool is_outdated = (served && served->revision > state->revision) ||
                       version_removals_after(&set->removals, state->name, state->revision);
    if (is_outdated) {
        return 0; /* a newer one was faster */
    }
    if (!active) {
        take_out(set, state);
        return 0;
    }
    served = get(set, state->name, e);
    if (!served) {
        return -1;
    }
    served->revision = state->revision;
    served->latest = state->latest;
    bool is_served = served->origin == CHAIN_OF_STORE &&
                     chain_version(served->chain) == chain_version(active);
    bool stays = is_served || (served->origin == CHAIN_OF_FILE && !is_choice);
    if (!stays) {
        serve(served, CHAIN_OF_STORE, active);
    }
    return 0;
}

int chain_set_publish_file(struct chain_set *set, const char *name, struct chain *chain,
                           struct err *e)
{
    struct served_chain *served = get(set, name, e);
    if (!served) {
        return -1;
    }
    serve(served, CHAIN_OF_FILE, chain);
    return 0;
}

int chain_set_init(struct chain_set *set, struct err *e)
{
    static const char empty[] = "{\"name\":\"" VERSION_DEFAULT_NAME "\",\"filters\":[]}";
    *set = (struct chain_set){.count = 0};
    struct chain *chain = chain_from_json(empty, strlen(empty), NULL, e);
    struct served_chain *served = chain ? get(set, VERSION_DEFAULT_NAME, e) : NULL;
    if (!served) {
        chain_unref(chain);
        return -1;
    }
    served->chain = chain;
    return 0;
}

void chain_set_deinit(struct chain_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        chain_unref(set->chains[i].chain);
    }
    mem_free(set->chains);
    *set = (struct chain_set){.count = 0};
}
