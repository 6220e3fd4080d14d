/* aho_corasick.h: finds many byte patterns at once, in time linear in the text.
 *
 * Aho and Corasick, "Efficient string matching: an aid to bibliographic search", CACM 18
 * (1975). The automaton is a trie of the patterns. Its state after some text is the longest end
 * of that text that is the beginning of a pattern, which is just what a filter must hold.
 *
 * Nodes lie in breadth-first order, so that the children of a node are neighbours and a node
 * needs no list of its own: 24 bytes a node, and one for the symbol that leads to it.
 *
 * Threads: read-only once made.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

#define AHO_CORASICK_MAX_NODES 1000000u
#define AHO_CORASICK_MAX_DEPTH 2048u
#define AHO_CORASICK_ROOT      0u

struct ac_pattern {
    const unsigned char *bytes;
    size_t len;     /* 1 to AHO_CORASICK_MAX_DEPTH */
    uint32_t label; /* the caller's name for it */
};

struct ac_node {
    uint32_t first_child;
    uint32_t child_count;
    uint32_t fail;  /* node of the longest proper end of this node's string */
    uint32_t match; /* node of the longest pattern that ends this node's string, or the root */
    uint32_t label; /* of the pattern that ends right here */
    uint32_t depth; /* length of this node's string */
};

struct aho_corasick {
    struct ac_node *nodes;
    unsigned char *symbols; /* symbols[i]: the byte that leads to nodes[i] */
    uint32_t node_count;
    uint32_t max_depth;
    uint32_t from_root[256]; /* where each symbol leads from the root */
};

/* Sorts `patterns` in place; their bytes are not needed afterwards. Of equal patterns the
 * smallest label is kept. NULL when there are too many nodes (ERR_LIMIT) or too little
 * memory. */
struct aho_corasick *aho_corasick_create(struct ac_pattern *patterns, size_t count,
                                         struct err *e);
void aho_corasick_destroy(struct aho_corasick *ac); /* accepts NULL */

/* The state after one more byte. */
uint32_t aho_corasick_step(const struct aho_corasick *ac, uint32_t node, unsigned char symbol);
