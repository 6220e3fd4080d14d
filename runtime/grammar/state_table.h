/* state_table.h: the states of a program (program.h) that were met so far, made deterministic.
 *
 * A state is a set of positions: a node that reads a byte, and the stack of frames to return
 * through. Frames are kept once each (hash consing), so a stack is one number and shares its
 * lower part with others; sets are kept once each too. From each state the transition by a
 * class of bytes is computed when it is first asked for and remembered: a lazy subset
 * construction (Thompson 1968) over stacks.
 *
 * Views. Where a loop still has more than VOCAB_SHORT_MAX turns to go, no token of up to so
 * many bytes can tell how many: each turn reads at least a byte. The view of a state has such
 * counters cut down, so that the thousand states inside a string of at most a thousand
 * characters have one view, and one mask for short tokens.
 *
 * Bounds: a state keeps STATE_ITEMS_MAX positions. Of a more ambiguous one the first by node
 * are kept: fewer texts are allowed then, none wrongly. Frames deeper than GRAMMAR_DEPTH_MAX
 * are not made.
 *
 * Threads: none. Functions that can fail return STATE_FAILED when out of memory, and the table
 * stays usable. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/grammar/program.h"

#define STATE_DEAD      0U         /* the state from which nothing is allowed */
#define STATE_UNKNOWN   UINT32_MAX /* in transitions: not computed yet */
#define STATE_FAILED    UINT32_MAX
#define STATE_ITEMS_MAX 1024
#define FRAME_BOTTOM    0U /* the empty stack */

struct frame {
    uint32_t node; /* where to go on: behind a call, or the loop */
    uint32_t turn; /* 1: of a turn of the loop `node`; 0: of a call */
    uint32_t parent;
    uint32_t lo, hi; /* of a turn: turns that must and may follow this one */
    uint32_t depth;
};

struct item {
    uint32_t node;  /* NODE_BYTES */
    uint32_t frame; /* top of the stack */
};

struct state {
    uint32_t items, n_items; /* into the table's items */
    uint32_t view;           /* the state whose view it is, itself maybe; 0: not known yet */
    bool accepts;            /* the text so far is a whole answer */
    uint32_t *mask;          /* tokens, or NULL: not computed yet (matcher.c) */
    int32_t n_mask;          /* bits in it */
};

struct index {
    uint32_t *slots; /* (n) element + 1 or 0 */
    size_t n;
};

struct closure;

struct state_table {
    const struct program *program; /* borrowed */
    struct state *states;
    size_t n_states, cap_states;
    struct item *items;
    size_t n_items, cap_items;
    struct frame *frames;
    size_t n_frames, cap_frames;
    uint32_t *transitions; /* (n_states, n_classes) */
    size_t cap_transitions;
    struct index state_index, frame_index;
    struct closure *closure; /* working memory */
    uint32_t start;          /* the state at the beginning of an answer */
    size_t mask_bytes;       /* of all masks */
};

/* 0, or -1 when out of memory. */
int state_table_init(struct state_table *t, const struct program *p);
void state_table_deinit(struct state_table *t);

/* Computes a transition; state_table_next looks it up first. */
uint32_t state_table_step(struct state_table *t, uint32_t state, uint32_t byte_class);

static inline uint32_t state_table_next(struct state_table *t, uint32_t state,
                                        uint32_t byte_class)
{
    const uint32_t to = t->transitions[(size_t)state * t->program->n_classes + byte_class];
    return to != STATE_UNKNOWN ? to : state_table_step(t, state, byte_class);
}

uint32_t state_table_view(struct state_table *t, uint32_t state);

/* The same state in another table of the same program. */
uint32_t state_table_import(struct state_table *t, const struct state_table *from,
                            uint32_t state);

size_t state_table_bytes(const struct state_table *t);
