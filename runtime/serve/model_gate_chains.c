#include "runtime/serve/model_gate_chains.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/serve/chain_pick.h"
#include "runtime/serve/chain_set.h"
#include "runtime/serve/server.h"

int model_gate_chains_take(struct model_gate_chains *c, const struct server *s,
                           const char *model, struct err *e)
{
    const char *chosen = chain_pick_for_model(&s->set, model);
    *c = (struct model_gate_chains){.chosen = chosen ? chosen : s->set.filters_chain};
    c->items = mem_zarray(s->chains.count + 1, sizeof(*c->items));
    if (!c->items) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < s->chains.count; i++) {
        const struct served_chain *served = &s->chains.chains[i];
        if (served->chain) {
            struct model_gate_chain *item = &c->items[c->n++];
            snprintf(item->name, sizeof(item->name), "%s", served->name);
            item->chain = chain_ref(served->chain);
        }
    }
    return 0;
}

void model_gate_chains_drop(struct model_gate_chains *c)
{
    for (size_t i = 0; i < c->n; i++) {
        chain_unref(c->items[i].chain);
    }
    mem_free(c->items);
    *c = (struct model_gate_chains){0};
}

struct chain *model_gate_chains_find(const struct model_gate_chains *c, const char *name,
                                     struct err *e)
{
    const char *wanted = name ? name : c->chosen;
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->items[i].name, wanted) == 0) {
            return c->items[i].chain;
        }
    }
    err_set_param(e, ERR_NOT_FOUND, "gate.filters.chain",
                  "gate.filters: the filter chain \"%s\" is not published", wanted);
    return NULL;
}
