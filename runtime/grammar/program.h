/* program.h: a grammar as an automaton over bytes with calls (a recursive transition network).
 *
 * Each rule is a graph of nodes that ends in a return. Characters have become sequences of byte
 * ranges (RFC 3629), so that a token may end inside one. Counted repetitions are loops with
 * counters in their stack frame, not copies of their body.
 *
 * The compiler proves what the matcher relies on: from every node that is left a return can be
 * reached (no state is a dead end), and following nodes without reading a byte ends (no left
 * recursion).
 *
 * Ownership: program_deinit releases. Threads: immutable once compiled. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/grammar/budget.h"
#include "runtime/grammar/syntax.h"

enum node_kind {
    NODE_BYTES,  /* reads one byte by the edges [a, a + b), sorted */
    NODE_SPLIT,  /* goes on at each of targets [a, a + b) */
    NODE_CALL,   /* goes on at the entry of rule a, and at b after its return */
    NODE_LOOP,   /* goes on at a, the body, lo to hi times, and then at b */
    NODE_RETURN, /* ends a rule or the body of a loop */
};

struct node {
    enum node_kind kind;
    bool tail; /* NODE_CALL: nothing but a return follows */
    uint32_t a, b;
    uint32_t lo, hi;
};

struct edge {
    uint8_t lo, hi; /* bytes, both included */
    uint32_t to;
};

struct program {
    struct node *nodes;
    size_t n_nodes, cap_nodes;
    struct edge *edges;
    size_t n_edges, cap_edges;
    uint32_t *targets;
    size_t n_targets, cap_targets;
    uint32_t *entries; /* (n_rules) first node of each rule */
    size_t n_rules;
    uint32_t root;           /* rule */
    uint8_t byte_class[256]; /* bytes of one class are never told apart */
    uint8_t class_byte[256]; /* one byte of each class */
    uint32_t n_classes;      /* 1..256 */
};

/* Compiles s. 0, or -1: ERR_INVALID when a rule is left-recursive or no text is allowed. On
 * failure nothing is kept. */
int program_compile(struct program *p, const struct syntax *s, const struct budget *budget,
                    struct err *e);
void program_deinit(struct program *p);
