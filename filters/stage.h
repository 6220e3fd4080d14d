/* stage.h: one filter at work on one text: its state, its cursor, the verbs it calls.
 *
 * A stage reads from one flow and writes to the next; the stage after it reads from there. It
 * keeps the promises of filter.h on the chain's side: one character at a time unless the type
 * takes any cut, held text shown again, wrong calls refused, failures turned into what the
 * operator chose.
 *
 * Threads and ownership: those of the stream that it is part of; flows and account are
 * borrowed.
 */
#pragma once

#include "filters/chain_config.h"
#include "filters/flow.h"

/* What a filter costs and does over all texts of a stream. */
struct stage_account {
    struct chain_cost cost;
    size_t events; /* made so far, up to CHAIN_MAX_EVENTS + 1 */
    struct chain_score
        *scores; /* (score_count), room for FILTER_MAX_SCORES once there is one */
    size_t score_count;
};

enum stage_phase {
    STAGE_NEW,      /* no text yet */
    STAGE_OPEN,     /* at work */
    STAGE_BYPASSED, /* failed open: the rest passes */
    STAGE_STOPPED,  /* see stop; nothing after the cursor leaves */
};

struct stage {
    struct filter_host host; /* first: the filter's view of this stage */
    const struct chain_filter *filter;
    struct stage_account *account;
    struct flow *in; /* in->start is the cursor */
    struct flow *out;
    struct filter_text text;
    size_t index; /* in the chain */

    enum stage_phase phase;
    bool has_state;
    void *state;
    uint64_t shown;    /* offset up to which the filter has seen the text */
    bool is_changing;  /* the byte before the cursor was replaced */
    bool has_failed;   /* in this call, see failure */
    bool out_of_space; /* memory or CHAIN_MAX_FLOW ran out: nobody's verdict */
    char failure[FILTER_MAX_MESSAGE + 1];
    struct chain_event stop;
};

void stage_init(struct stage *stage, const struct chain_filter *filter, size_t index,
                const struct filter_text *text, struct flow *in, struct flow *out,
                struct stage_account *account);
void stage_deinit(struct stage *stage);

/* Shows the filter what is new in its flow. 0, or -1 when memory or CHAIN_MAX_FLOW ran out. */
int stage_feed(struct stage *stage);
/* The text has ended: everything is decided and moved on. Returns as above. */
int stage_finish(struct stage *stage);

void stage_account_deinit(struct stage_account *account);

/* A filter beyond its events leaves one event without a type in their place. */
bool stage_is_overflow(const struct chain_event *event);
