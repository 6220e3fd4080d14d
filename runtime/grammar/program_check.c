#include "runtime/grammar/program_check.h"

#include "runtime/grammar/array.h"

/* What is known of each node; grows until nothing more follows. */
enum {
    PRODUCTIVE = 1, /* some text leads from here to the end of the rule */
    NULLABLE = 2,   /* the empty text does */
};

static unsigned facts_of(const struct program *p, const uint8_t *facts, size_t node)
{
    const struct node *n = &p->nodes[node];
    unsigned have = 0;
    switch (n->kind) {
    case NODE_BYTES:
        for (uint32_t i = 0; i < n->b; i++) {
            have |= facts[p->edges[n->a + i].to] & PRODUCTIVE;
        }
        return have;
    case NODE_SPLIT:
        for (uint32_t i = 0; i < n->b; i++) {
            have |= facts[p->targets[n->a + i]];
        }
        return have;
    case NODE_CALL:
        return facts[p->entries[n->a]] & facts[n->b];
    case NODE_LOOP:
        return n->lo == 0 ? facts[n->b] : facts[n->a] & facts[n->b];
    case NODE_RETURN:
        return PRODUCTIVE | NULLABLE;
    }
    return 0;
}

/* Sweeps up and down alternate: what follows a node was made before it, but rules may stand in
 * either order. */
static int find_facts(const struct program *p, uint8_t *facts, const struct budget *budget,
                      struct err *e)
{
    bool changed = true;
    for (bool up = true; changed; up = !up) {
        changed = false;
        for (size_t i = 0; i < p->n_nodes; i++) {
            const size_t node = up ? i : p->n_nodes - 1 - i;
            const unsigned have = facts_of(p, facts, node);
            changed |= have != facts[node];
            facts[node] = (uint8_t)have;
        }
        if (budget_check(budget, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static void prune(struct program *p, const uint8_t *facts)
{
    for (size_t i = 0; i < p->n_nodes; i++) {
        struct node *n = &p->nodes[i];
        uint32_t kept = 0;
        if (n->kind == NODE_BYTES) {
            for (uint32_t k = 0; k < n->b; k++) {
                const struct edge edge = p->edges[n->a + k];
                if (facts[edge.to] & PRODUCTIVE) {
                    p->edges[n->a + kept++] = edge;
                }
            }
            n->b = kept;
        } else if (n->kind == NODE_SPLIT) {
            for (uint32_t k = 0; k < n->b; k++) {
                const uint32_t to = p->targets[n->a + k];
                if (facts[to] & PRODUCTIVE) {
                    p->targets[n->a + kept++] = to;
                }
            }
            n->b = kept;
        } else if (n->kind == NODE_LOOP) {
            if (facts[n->a] & NULLABLE) {
                n->lo = 0; /* iterations that read nothing may be left out */
            }
            if (!(facts[n->a] & PRODUCTIVE)) {
                n->hi = 0;
            }
        }
    }
}

/* Which rule calls which before it has read a byte. */
struct left_graph {
    uint32_t *first;   /* (n_rules + 1) into callees */
    uint32_t *callees; /* (n) */
    size_t n, cap;
    uint32_t *seen;    /* (n_nodes) rule + 1 that saw the node last */
    uint32_t *pending; /* (n_pending) nodes to look at */
    size_t n_pending, cap_pending;
};

static int push(struct left_graph *g, uint32_t node, uint32_t rule)
{
    if (g->seen[node] == rule + 1) {
        return 0;
    }
    g->seen[node] = rule + 1;
    if (ARRAY_RESERVE(g->pending, g->cap_pending, g->n_pending + 1) != 0) {
        return -1;
    }
    g->pending[g->n_pending++] = node;
    return 0;
}

static int visit(struct left_graph *g, const struct program *p, const uint8_t *facts,
                 uint32_t node, uint32_t rule)
{
    const struct node *n = &p->nodes[node];
    int rc = 0;
    if (n->kind == NODE_SPLIT) {
        for (uint32_t i = 0; i < n->b && rc == 0; i++) {
            rc = push(g, p->targets[n->a + i], rule);
        }
    } else if (n->kind == NODE_LOOP) {
        rc = n->hi > 0 ? push(g, n->a, rule) : 0;
        if (rc == 0 && n->lo == 0) {
            rc = push(g, n->b, rule);
        }
    } else if (n->kind == NODE_CALL && (facts[node] & PRODUCTIVE)) {
        if (ARRAY_RESERVE(g->callees, g->cap, g->n + 1) != 0) {
            return -1;
        }
        g->callees[g->n++] = n->a;
        if (facts[p->entries[n->a]] & NULLABLE) {
            rc = push(g, n->b, rule);
        }
    }
    return rc;
}

static int find_left_calls(struct left_graph *g, const struct program *p, const uint8_t *facts)
{
    for (size_t rule = 0; rule < p->n_rules; rule++) {
        g->first[rule] = (uint32_t)g->n;
        if (push(g, p->entries[rule], (uint32_t)rule) != 0) {
            return -1;
        }
        while (g->n_pending > 0) {
            const uint32_t node = g->pending[--g->n_pending];
            if (visit(g, p, facts, node, (uint32_t)rule) != 0) {
                return -1;
            }
        }
    }
    g->first[p->n_rules] = (uint32_t)g->n;
    return 0;
}

/* Depth first; a rule that is met while it is open is left-recursive. `path` and `at` are
 * (n_rules), `state` 0 new, 1 open, 2 done. Returns the rule, or UINT32_MAX. */
static uint32_t find_cycle(const struct left_graph *g, size_t n_rules, uint32_t *path,
                           uint32_t *at, uint8_t *state)
{
    for (size_t start = 0; start < n_rules; start++) {
        size_t depth = 0;
        if (state[start] != 0) {
            continue;
        }
        path[depth++] = (uint32_t)start;
        state[start] = 1;
        at[start] = g->first[start];
        while (depth > 0) {
            const uint32_t rule = path[depth - 1];
            if (at[rule] == g->first[rule + 1]) {
                state[rule] = 2;
                depth--;
                continue;
            }
            const uint32_t callee = g->callees[at[rule]++];
            if (state[callee] == 1) {
                return callee;
            }
            if (state[callee] == 0) {
                state[callee] = 1;
                at[callee] = g->first[callee];
                path[depth++] = callee;
            }
        }
    }
    return UINT32_MAX;
}

static int refuse_left_recursion(const struct program *p, const struct syntax *s,
                                 const uint8_t *facts, struct err *e)
{
    struct left_graph g = {0};
    uint32_t *path = mem_array(p->n_rules, sizeof(*path));
    uint32_t *at = mem_array(p->n_rules, sizeof(*at));
    uint8_t *state = mem_zarray(p->n_rules, sizeof(*state));
    int rc = -1;
    g.first = mem_array(p->n_rules + 1, sizeof(*g.first));
    g.seen = mem_zarray(p->n_nodes, sizeof(*g.seen));
    if (!path || !at || !state || !g.first || !g.seen || find_left_calls(&g, p, facts) != 0) {
        err_nomem(e);
        goto cleanup;
    }
    const uint32_t rule = find_cycle(&g, p->n_rules, path, at, state);
    if (rule != UINT32_MAX) {
        const struct syntax_rule *r = &s->rules[rule];
        err_set(
            e, ERR_INVALID,
            "grammar, line %u: rule \"%.*s\" is left-recursive: it comes to itself before it "
            "has read anything",
            r->line, (int)(r->name_len < 80 ? r->name_len : 80), s->bytes.data + r->name);
        goto cleanup;
    }
    rc = 0;
cleanup:
    mem_free(path);
    mem_free(at);
    mem_free(state);
    mem_free(g.first);
    mem_free(g.callees);
    mem_free(g.seen);
    mem_free(g.pending);
    return rc;
}

int program_check(struct program *p, const struct syntax *s, const struct budget *budget,
                  struct err *e)
{
    uint8_t *facts = mem_zarray(p->n_nodes, sizeof(*facts));
    int rc = -1;
    if (!facts) {
        return err_nomem(e);
    }
    if (find_facts(p, facts, budget, e) != 0) {
        goto cleanup;
    }
    prune(p, facts);
    if (refuse_left_recursion(p, s, facts, e) != 0) {
        goto cleanup;
    }
    if (!(facts[p->entries[p->root]] & PRODUCTIVE)) {
        err_set(e, ERR_INVALID, "the schema or grammar allows no answer at all");
        goto cleanup;
    }
    rc = 0;
cleanup:
    mem_free(facts);
    return rc;
}
