#include "filters/aho_corasick.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"

#define FEW_CHILDREN 4u

/* The patterns [low, high) share the string of one node. */
struct range {
    size_t low, high;
};

static int compare_patterns(const void *a, const void *b)
{
    const struct ac_pattern *x = a;
    const struct ac_pattern *y = b;
    int order = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    if (order != 0) {
        return order;
    }
    if (x->len != y->len) {
        return x->len < y->len ? -1 : 1;
    }
    return (x->label > y->label) - (x->label < y->label);
}

static size_t common_prefix(const struct ac_pattern *a, const struct ac_pattern *b)
{
    size_t n = 0;
    while (n < a->len && n < b->len && a->bytes[n] == b->bytes[n]) {
        n++;
    }
    return n;
}

/* Drops equal neighbours and counts the trie's nodes: one for each distinct beginning, and
 * the root. */
static size_t count_nodes(struct ac_pattern *patterns, size_t *count)
{
    size_t nodes = 1;
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        size_t shared = kept ? common_prefix(&patterns[kept - 1], &patterns[i]) : 0;
        if (shared == patterns[i].len) {
            continue; /* equal: a longer one would stand behind it */
        }
        nodes += patterns[i].len - shared;
        patterns[kept++] = patterns[i];
    }
    *count = kept;
    return nodes;
}

/* Splits a node's patterns by their next byte, one child for each. */
static void add_children(struct aho_corasick *ac, uint32_t at, struct range *ranges,
                         const struct ac_pattern *patterns)
{
    struct ac_node *node = &ac->nodes[at];
    struct range range = ranges[at];
    if (patterns[range.low].len == node->depth) {
        node->match = at;
        node->label = patterns[range.low].label;
        range.low++;
    }
    node->first_child = ac->node_count;
    while (range.low < range.high) {
        unsigned char symbol = patterns[range.low].bytes[node->depth];
        uint32_t child = ac->node_count++;
        ranges[child].low = range.low;
        while (range.low < range.high && patterns[range.low].bytes[node->depth] == symbol) {
            range.low++;
        }
        ranges[child].high = range.low;
        ac->symbols[child] = symbol;
        ac->nodes[child].depth = node->depth + 1;
        node->child_count++;
    }
    if (node->depth > ac->max_depth) {
        ac->max_depth = node->depth;
    }
}

/* Breadth-first: what a node's links need lies nearer to the root and is there already. */
static void link_children(struct aho_corasick *ac, uint32_t at)
{
    const struct ac_node *node = &ac->nodes[at];
    for (uint32_t i = 0; i < node->child_count; i++) {
        uint32_t child = node->first_child + i;
        struct ac_node *c = &ac->nodes[child];
        if (at == AHO_CORASICK_ROOT) {
            ac->from_root[ac->symbols[child]] = child;
        } else {
            c->fail = aho_corasick_step(ac, node->fail, ac->symbols[child]);
        }
        if (c->match == AHO_CORASICK_ROOT) {
            c->match = ac->nodes[c->fail].match;
        }
    }
}

static void build(struct aho_corasick *ac, struct range *ranges,
                  const struct ac_pattern *patterns, size_t count)
{
    ac->node_count = 1;
    ranges[AHO_CORASICK_ROOT] = (struct range){0, count};
    for (uint32_t at = 0; count > 0 && at < ac->node_count; at++) {
        add_children(ac, at, ranges, patterns);
    }
    for (uint32_t at = 0; at < ac->node_count; at++) {
        link_children(ac, at);
    }
}

struct aho_corasick *aho_corasick_create(struct ac_pattern *patterns, size_t count,
                                         struct err *e)
{
    qsort(patterns, count, sizeof(*patterns), compare_patterns);
    size_t node_count = count_nodes(patterns, &count);
    if (node_count > AHO_CORASICK_MAX_NODES) {
        err_set(e, ERR_LIMIT, "needs %zu automaton states, at most %u are allowed", node_count,
                AHO_CORASICK_MAX_NODES);
        return NULL;
    }
    struct aho_corasick *ac = mem_zalloc(sizeof(*ac));
    struct range *ranges = mem_array(node_count, sizeof(*ranges));
    if (ac && ranges) {
        ac->nodes = mem_zarray(node_count, sizeof(*ac->nodes));
        ac->symbols = mem_zarray(node_count, 1);
    }
    if (!ac || !ranges || !ac->nodes || !ac->symbols) {
        aho_corasick_destroy(ac);
        mem_free(ranges);
        err_nomem(e);
        return NULL;
    }
    build(ac, ranges, patterns, count);
    mem_free(ranges);
    return ac;
}

void aho_corasick_destroy(struct aho_corasick *ac)
{
    if (!ac) {
        return;
    }
    mem_free(ac->nodes);
    mem_free(ac->symbols);
    mem_free(ac);
}

/* The child of `node` by this symbol, or the root. Most nodes have one child; the few that have
 * many are near to the root. */
static uint32_t find_child(const struct aho_corasick *ac, const struct ac_node *node,
                           unsigned char symbol)
{
    const unsigned char *symbols = ac->symbols + node->first_child;
    if (node->child_count > FEW_CHILDREN) {
        const unsigned char *found = memchr(symbols, symbol, node->child_count);
        return found ? node->first_child + (uint32_t)(found - symbols) : AHO_CORASICK_ROOT;
    }
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (symbols[i] == symbol) {
            return node->first_child + i;
        }
    }
    return AHO_CORASICK_ROOT;
}

uint32_t aho_corasick_step(const struct aho_corasick *ac, uint32_t node, unsigned char symbol)
{
    while (node != AHO_CORASICK_ROOT) {
        uint32_t child = find_child(ac, &ac->nodes[node], symbol);
        if (child != AHO_CORASICK_ROOT) {
            return child;
        }
        node = ac->nodes[node].fail;
    }
    return ac->from_root[symbol];
}
