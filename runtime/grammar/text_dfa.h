/* text_dfa.h: a set of texts as a deterministic automaton over characters.
 *
 * JSON Schema puts several conditions on one string: patterns that are searched for, formats,
 * lengths, names that a key must not have. Each is a set of texts; intersection, union and
 * difference of them are exact (Hopcroft, Motwani and Ullman, chapter 4), and the result is
 * written as rules.
 *
 * Bounds: TEXT_DFA_STATES_MAX states, else ERR_LIMIT. Every state that an edge leads to can
 * reach one that accepts.
 *
 * Ownership: functions that fill a *d take nothing and leave it empty on failure;
 * text_dfa_deinit releases. Threads: none. */
#pragma once

#include "runtime/grammar/budget.h"
#include "runtime/grammar/syntax.h"

#define TEXT_DFA_STATES_MAX 10000
#define TEXT_DFA_EDGES_MAX  200000

struct text_dfa_edge {
    uint32_t lo, hi; /* characters, both included */
    uint32_t to;
};

struct text_dfa_state {
    uint32_t first, n; /* edges, sorted and disjoint */
    bool accepts;
};

/* Begins in state 0. */
struct text_dfa {
    struct text_dfa_state *states;
    size_t n_states, cap_states;
    struct text_dfa_edge *edges;
    size_t n_edges, cap_edges;
};

enum text_dfa_op { TEXT_DFA_AND, TEXT_DFA_OR, TEXT_DFA_WITHOUT };

/* All texts in which the expression is found somewhere. */
int text_dfa_from_regex(struct text_dfa *d, const char *pattern, size_t len,
                        const struct budget *budget, struct err *e);
/* Exactly these n texts, valid UTF-8. */
int text_dfa_from_texts(struct text_dfa *d, const char *const *texts, size_t n, struct err *e);
/* All texts of lo to hi characters; hi may be SYNTAX_UNBOUNDED. */
int text_dfa_from_length(struct text_dfa *d, uint32_t lo, uint32_t hi, struct err *e);
int text_dfa_combine(struct text_dfa *d, const struct text_dfa *a, const struct text_dfa *b,
                     enum text_dfa_op op, const struct budget *budget, struct err *e);
void text_dfa_deinit(struct text_dfa *d);

bool text_dfa_is_empty(const struct text_dfa *d);
bool text_dfa_matches(const struct text_dfa *d, const char *text);

/* Appends rules "PREFIX0", "PREFIX1" ... to *rules: what stands between the quotes of a JSON
 * string that is in the set. The first matches the whole. */
int text_dfa_to_gbnf(const struct text_dfa *d, const char *prefix, struct buf *rules);

/* For the builders: 0, or -1 with *e set. Edges are added to the state that was added last. */
int text_dfa_add_state(struct text_dfa *d, bool accepts, struct err *e);
int text_dfa_add_edge(struct text_dfa *d, uint32_t lo, uint32_t hi, uint32_t to, struct err *e);
/* Takes away edges to states from which nothing is accepted. */
int text_dfa_trim(struct text_dfa *d, struct err *e);
