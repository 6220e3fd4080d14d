/* replay_parts.h: what a replay is made of, for replay.c and replay_json.c. */
#pragma once

#include "filters/replay.h"

/* What one chain did with one text. */
struct replay_outcome {
    struct buf out;
    struct chain_stream *stream; /* the events are its own */
    const struct chain_event *events;
    size_t n_events;
    bool is_truncated;
    const struct chain_event *stop; /* or NULL */
    uint64_t ns;                    /* spent in filters */
};

/* How an event of one outcome stands to those of the other. */
enum replay_match { REPLAY_ONLY_HERE, REPLAY_IN_BOTH, REPLAY_MOVED };

struct replay {
    struct chain *chains[2]; /* before, after */
    struct replay_options options;
    uint64_t counts[REPLAY_CHANGES];
    uint64_t n_truncated;
    uint64_t ns[2];
    uint64_t verdicts_added, verdicts_removed, verdicts_moved;
    struct replay_rule rules[REPLAY_RULES_MAX + 1]; /* (n_rules); the last one: all others */
    size_t n_rules;
    struct buf differences; /* JSON objects with commas between */
    size_t n_differences;
    uint64_t n_left_out;
};

/* Appends the difference to r->differences. matches[i]: (n_events) of outcomes[i]. */
int replay_append_difference(struct replay *r, const struct replay_text *text,
                             enum replay_change change, const struct replay_outcome outcomes[2],
                             const enum replay_match *const matches[2], const struct err *why);
