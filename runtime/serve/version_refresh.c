#include "runtime/serve/version_refresh.h"

#include <string.h>

#include "runtime/registry/chain_store.h"
#include "runtime/registry/prompt_store.h"

struct refresh {
    struct server *server;
    size_t *reading;
};

/* --- what is there --- */

static void on_published(void *user)
{
    size_t *reading = user;
    (*reading)--;
}

static int take_prompt(void *ctx, const struct version_state *state, struct prompt *active,
                       struct prompt *split, struct err *e)
{
    struct refresh *r = ctx;
    struct prompt_set *set = &r->server->prompts;
    const struct served_profile *served = prompt_set_find(set, state->name);
    if (served && served->state.revision >= state->revision) {
        return 0;
    }
    (*r->reading)++;
    if (prompt_set_publish(set, state, active, split, on_published, r->reading, e) != 0) {
        (*r->reading)--;
        return -1;
    }
    return 0;
}

static int take_chain(void *ctx, const struct version_state *state, struct chain *active,
                      struct err *e)
{
    struct refresh *r = ctx;
    struct chain_set *set = &r->server->chains;
    const struct served_chain *served = chain_set_find(set, state->name);
    bool is_known = served && served->revision >= state->revision;
    return is_known ? 0 : chain_set_publish(set, state, active, true, e);
}

/* --- what is not there any more --- */

/* *gone with a state that takes it out. */
static int look_for(struct version_store *store, const char *name, uint64_t revision,
                    struct version_state *state, bool *gone, struct err *e)
{
    int rc = version_store_load(store, name, state, NULL, NULL, e);
    *gone = rc == 0 ? state->active == 0 : e->kind == ERR_NOT_FOUND;
    if (rc != 0 && *gone) {
        *e = (struct err){0};
        *state = (struct version_state){.revision = revision};
        memcpy(state->name, name, sizeof(state->name));
    }
    return *gone ? 0 : rc;
}

/* Backwards: what is taken out is replaced by the last one. */
static int drop_prompts(struct server *s, struct version_store *store, struct err *e)
{
    for (size_t i = s->prompts.count; i-- > 0;) {
        const struct version_state *served = &s->prompts.profiles[i]->state;
        struct version_state state;
        bool gone;
        if (look_for(store, served->name, served->revision, &state, &gone, e) != 0 ||
            (gone && prompt_set_publish(&s->prompts, &state, NULL, NULL, NULL, NULL, e) != 0)) {
            return -1;
        }
    }
    return 0;
}

static int drop_chains(struct server *s, struct version_store *store, struct err *e)
{
    for (size_t i = s->chains.count; i-- > 0;) {
        const struct served_chain *served = &s->chains.chains[i];
        struct version_state state;
        bool gone = false;
        if (served->origin == CHAIN_OF_STORE &&
            look_for(store, served->name, served->revision, &state, &gone, e) != 0) {
            return -1;
        }
        if (gone && chain_set_publish(&s->chains, &state, NULL, true, e) != 0) {
            return -1;
        }
    }
    return 0;
}

int version_refresh(struct server *s, size_t *reading, struct err *e)
{
    struct refresh r = {.server = s, .reading = reading};
    struct version_store *prompts = version_database_store(s->database, VERSION_PROMPTS);
    struct version_store *chains = version_database_store(s->database, VERSION_FILTERS);
    return prompt_store_load_active(prompts, take_prompt, &r, e) == 0 &&
                   chain_store_load_active(chains, take_chain, &r, e) == 0 &&
                   drop_prompts(s, prompts, e) == 0
               ? drop_chains(s, chains, e)
               : -1;
}
