/* model_gate_chains.h: the filter chains that are published when a version is loaded, for the
 * gate, which runs off the loop.
 *
 * Threads: taken and dropped on the loop, looked up anywhere in between. */
#pragma once

#include "filters/chain.h"
#include "runtime/registry/version_name.h"

struct server;

struct model_gate_chain {
    char name[VERSION_NAME_MAX + 1]; /* under which it is asked for */
    struct chain *chain;             /* a reference */
};

/* All-zero holds nothing. */
struct model_gate_chains {
    struct model_gate_chain *items; /* (n) */
    size_t n;
    const char *chosen; /* of requests to the model whose key has none; lives as the server */
};

int model_gate_chains_take(struct model_gate_chains *c, const struct server *s,
                           const char *model, struct err *e);
void model_gate_chains_drop(struct model_gate_chains *c);

/* Borrowed. name: NULL is the chosen one. NULL: ERR_NOT_FOUND, it is not published. */
struct chain *model_gate_chains_find(const struct model_gate_chains *c, const char *name,
                                     struct err *e);
