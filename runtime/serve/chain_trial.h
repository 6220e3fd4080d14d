/* chain_trial.h: a text through a chain for the owner's eyes: what a dry run and a trace
 * answer.
 *
 * Nothing is stored, counted or sent: filters that ask services outside are left out, and the
 * answer says which. Threads: any; it takes as long as the filters do, so a worker. */
#pragma once

#include <cjson/cJSON.h>

#include "filters/chain.h"

/* A trace has a step for each chunk, and each says what is held then; so both are bounded. */
#define CHAIN_TRACE_TEXT_MAX  16384 /* bytes of a text */
#define CHAIN_TRACE_STEPS_MAX 4096  /* chunks of it */
#define CHAIN_TRACE_HELD_MAX  256   /* bytes that are shown of what is held at a step */

struct chain_trial {
    enum filter_side side;
    enum filter_channel channel;
    const char *text; /* borrowed from the body */
    size_t chunk;     /* bytes of a trace's steps */
};

/* From a body {"text", "side", "channel", "chunk"}; its other fields are not looked at. */
int chain_trial_read(struct chain_trial *t, const cJSON *body, struct err *e);

/* What comes out and what filters did: the caller's tree, or NULL. */
cJSON *chain_trial_result(const struct chain_trial *t, struct chain *chain, struct err *e);

/* The same, and `steps`: after each chunk what was released, what is held, what was decided.
 * The last step is the end of the text, unless the chain stopped before. */
cJSON *chain_trial_trace(const struct chain_trial *t, struct chain *chain, struct err *e);

/* version, sha256 and filters (how many) of a chain, in answers. */
void chain_trial_add_chain(cJSON *root, const struct chain *chain);
