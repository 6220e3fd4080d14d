/* model_outcomes.h: what became of each answer that a version was asked for: metrics per model
 * and version, and what a canary is judged by (model_canary.h).
 *
 * An exchange is one outcome, noted when its client has the answer or is gone. Requests that
 * were refused before the model had them (malformed, blocked on their way in, no room in the
 * queue) are none.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/serve/generation.h"

struct server;

/* id, name in metrics */
#define MODEL_ENDINGS(X)                                                                  \
    X(COMPLETE, "complete") /* the model ended it, or a stop string did */                \
    X(LENGTH, "length")     /* it was cut at the tokens that it may have */               \
    X(BLOCKED, "blocked")   /* a filter ended it */                                       \
    X(FAILED, "failed")     /* the model, its engine or the memory for it failed */       \
    X(LATE, "late")         /* it was not complete at the deadline that the client set */ \
    X(LEFT, "left")         /* the client did not wait: no fault of the model's */

enum model_ending {
#define X(id, name) MODEL_ENDING_##id,
    MODEL_ENDINGS(X)
#undef X
        MODEL_ENDING_COUNT
};

struct model_outcome {
    enum model_ending ending;
    bool is_drawn; /* the request named no version, so that chance may have chosen it */
    uint64_t caller, conversation; /* sticky.h; 0: nobody is known */
    /* From when the engine had the request, in seconds. Of one that ended without a token and
     * whose client has left: until then. < 0: there is none. */
    double first_token_s;
    double token_s; /* from one token to the next, in the mean; < 0: there were not two */
    size_t tokens;  /* of an answer; of several in one exchange the mean */
    double entropy; /* of a token's distribution, in nats, the first answer's mean; < 0: none */
    bool is_refusal;
};

const char *model_ending_name(enum model_ending ending);

void model_outcome_note(struct server *s, const struct generation *g,
                        const struct model_outcome *o);
