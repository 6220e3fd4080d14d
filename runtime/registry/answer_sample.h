/* answer_sample.h: what a number of answers were like, in bounded memory: how long, how sure
 * the model was of them, how many it refused, filters blocked, and users spoke of.
 *
 * Lengths and entropies are counted in bins, the rest as shares; all of them also by groups of
 * answers that came together (base/grouped_values.h), so that a test knows how much they tell.
 * Not by callers: those of before are those of now, and where they are not, answers are not
 * what they were. No content of any answer is in it.
 *
 * Threads: pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/grouped_values.h"

/* id, name, unit */
#define ANSWER_MEASURES(X)                                                                  \
    X(TOKENS, "answer_tokens", "tokens")  /* of answers that were not blocked */            \
    X(ENTROPY, "entropy", "nats")         /* of the distribution a token is drawn from, */  \
                                          /* before sampling settings; the answer's mean */ \
    X(REFUSAL, "refusal_rate", "share")   /* of answers that were not blocked */            \
    X(BLOCK, "block_rate", "share")       /* of answers */                                  \
    X(FEEDBACK, "feedback_rate", "share") /* answers that users spoke of, of those that */  \
                                          /* nobody can speak of any more */                \
    X(DISLIKE, "dislike_rate", "share")   /* thumb down, corrected, or the worse of two, */ \
                                          /* of those that users spoke of */

enum answer_measure {
#define X(id, name, unit) ANSWER_MEASURE_##id,
    ANSWER_MEASURES(X)
#undef X
        ANSWER_MEASURE_COUNT
};

/* Those with bins come first. */
#define ANSWER_BINNED (ANSWER_MEASURE_ENTROPY + 1)
#define ANSWER_BINS   64

const char *answer_measure_name(enum answer_measure m);
const char *answer_measure_unit(enum answer_measure m);
int answer_measure_named(const char *name); /* -1: there is none */
bool answer_measure_is_share(enum answer_measure m);

/* Bin i holds values from the i-th bound up to the next one; the last holds all above. */
double answer_bin_bound(enum answer_measure m, int bin);

/* Of a measure: 0 or 1, an entropy, or the logarithm of a length. */
struct answer_values {
    double n, sum, squares;
    struct value_groups by_time;
};

/* All zero is none. */
struct answer_sample {
    uint64_t answers;
    int64_t first_ms, last_ms; /* Unix time of the first and the last of them */
    struct answer_values values[ANSWER_MEASURE_COUNT];
    uint32_t bins[ANSWER_BINNED][ANSWER_BINS];
};

/* One answer. */
struct answer_seen {
    int64_t time_ms;
    uint64_t number; /* of the answer among those of its kind */
    bool is_blocked; /* then the next three do not count */
    bool is_refusal;
    double tokens;
    double entropy; /* nats; < 0: not known */
};

void answer_sample_add(struct answer_sample *s, const struct answer_seen *a);

/* What users thought of an answer, once nothing more can be said of it: each answer counts as
 * spoken of or not, so that it makes no difference how long users take. */
struct answer_feedback {
    uint64_t number; /* of the answer, as above */
    bool is_spoken_of;
    bool is_disliked; /* if so */
};

void answer_sample_add_feedback(struct answer_sample *s, const struct answer_feedback *f);
void answer_sample_drop_feedback(struct answer_sample *s); /* all of it */

void answer_sample_merge(struct answer_sample *s, const struct answer_sample *from);

/* Values that a measure has; those of shares that are hits. */
double answer_sample_count(const struct answer_sample *s, enum answer_measure m);
double answer_sample_hits(const struct answer_sample *s, enum answer_measure m);

/* Of a measure with bins: the value below which is the share q, as far as its bin tells; 0
 * where there are none. */
double answer_sample_quantile(const struct answer_sample *s, enum answer_measure m, double q);

/* As JSON, to be stored. 0, or -1 as buf.h; parse: ERR_FORMAT for what append did not write. */
int answer_sample_append(struct buf *out, const struct answer_sample *s);
int answer_sample_parse(struct answer_sample *s, const char *text, size_t len, struct err *e);
