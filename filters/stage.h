/* stage.h: one filter at work on one text: its state, its cursor, the verbs it calls.
 *
 * A stage reads from one flow and writes to the next; the stage after it reads from there. It
 * keeps the promises of filter.h on the chain's side: one character at a time unless the type
 * takes any cut, held text shown again, wrong calls refused, failures turned into what the
 * operator chose.
 *
 * A stage that has asked a service outside takes no more text before the answer is there; what
 * comes meanwhile stays in its flow.
 *
 * Threads and ownership: those of the stream that it is part of; flows and account are
 * borrowed.
 */
#pragma once

#include "filters/chain_config.h"
#include "filters/flow.h"
#include "filters/view.h"

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
    STAGE_BYPASSED, /* failed open, is done, or has no business here: the rest passes */
    STAGE_STOPPED,  /* see stop; nothing after the cursor leaves */
};

/* How a stage reaches services outside. Borrowed; outside is NULL where nothing does. */
struct stage_outside {
    struct chain_outside *outside;
    bool is_left_out;        /* filters that ask are left out */
    void (*wake)(void *ctx); /* an answer has come and the filter has seen it */
    void *ctx;
};

struct stage {
    struct filter_host host; /* first: the filter's view of this stage */
    const struct chain_filter *filter;
    struct stage_account *account;
    struct flow *in; /* in->start is the cursor, or stage_text.h says how it follows it */
    struct flow *out;
    struct filter_text text;
    size_t index; /* in the chain */

    bool is_json; /* the text is JSON, and the filter is to be shown what its escapes mean */
    enum stage_phase phase;
    bool has_state;
    void *state;
    uint64_t shown; /* offset up to which the filter has seen the text */

    struct view *view; /* what the filter is shown; NULL: the flow */
    uint64_t decided;  /* offset in the view up to which the flow has moved on */
    bool was_replaced; /* what is before that was */
    size_t word_len;   /* bytes of the word that is read, for a filter that only records */

    const struct stage_outside *outside;
    void *asked; /* the question that is under way, or NULL */

    bool is_read;      /* the text has ended, and what the filter is to see of it is known */
    bool is_finishing; /* finish has been called */
    bool is_done;      /* all of the text has moved on */
    bool is_changing;  /* the byte before the cursor was replaced */
    bool has_failed;   /* in this call, see failure */
    bool out_of_space; /* memory or CHAIN_MAX_FLOW ran out: nobody's verdict */
    char failure[FILTER_MAX_MESSAGE + 1];
    struct chain_event stop;
};

void stage_init(struct stage *stage, const struct chain_filter *filter, size_t index,
                const struct filter_text *text, struct flow *in, struct flow *out,
                struct stage_account *account, const struct stage_outside *outside);
void stage_deinit(struct stage *stage);

/* Shows the filter what is new in its flow. *clock is when the last stage was left: with pieces
 * of one token a look at the clock costs as much as a filter, so stages share one. 0, or -1
 * when memory or CHAIN_MAX_FLOW ran out. */
int stage_feed(struct stage *stage, uint64_t *clock);
/* The text has ended: everything is decided and moved on, if nothing is awaited; see is_done.
 * Clock and result as above; does nothing once it is done. */
int stage_finish(struct stage *stage, uint64_t *clock);

/* Whether filters of the type may ask a service outside. */
bool stage_type_asks(const struct filter_type *type);

/* Takes the question back that is under way. */
void stage_take_back(struct stage *stage);

void stage_account_deinit(struct stage_account *account);

/* A filter beyond its events leaves one event without a type in their place. */
bool stage_is_overflow(const struct chain_event *event);
