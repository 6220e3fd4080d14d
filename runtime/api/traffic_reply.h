/* traffic_reply.h: how requests are shared among versions of a model, and what copies of them
 * on another version showed, as JSON.
 *
 * Texts are the caller's (mem_free); NULL when out of memory. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/registry/model_labels.h"

/* Strings are borrowed. */
struct traffic_view {
    const char *model;
    const char *serving;
    const char *split; /* a version, or NULL */
    int split_percent;
    const char *split_by; /* "key" or "conversation" */
    const char *shadow;   /* likewise */
    int shadow_percent;
    const struct model_labels *labels; /* that were moved */
};

/* Adds "split", "shadow" and "moved_labels". */
void traffic_add(cJSON *object, const struct traffic_view *v);

/* What the routes that change it answer: "model", "serving", and those. */
char *traffic_text(const struct traffic_view *v, size_t *len);

/* ---- what copies showed ---- */

/* id, name in metrics and in the report. */
#define SHADOW_OUTCOMES(X)                                                                \
    X(IDENTICAL, "identical") /* the same bytes, and the same reason to end */            \
    X(DIFFERENT, "different")                                                             \
    X(DROPPED, "dropped")     /* not begun: too many ran */                               \
    X(ABANDONED, "abandoned") /* the answer had no end to compare, or the shadow ended */ \
    X(SKIPPED, "skipped")     /* a form that the other version would write otherwise */   \
    X(FAILED, "failed")       /* the other version gave no answer */

enum shadow_outcome {
#define X(id, name) SHADOW_##id,
    SHADOW_OUTCOMES(X)
#undef X
        SHADOW_OUTCOME_COUNT
};

const char *shadow_outcome_name(enum shadow_outcome outcome);

#define SHADOW_RING       100
#define SHADOW_REQUEST_ID 129

/* Of the two answers: what serves, and the copy. */
enum { SHADOW_REAL, SHADOW_COPY, SHADOW_SIDES };

struct shadow_comparison {
    char request[SHADOW_REQUEST_ID]; /* x-request-id */
    int64_t at;                      /* Unix seconds */
    bool is_identical;
    bool is_cut;             /* a filter ended the real answer: as far as that */
    size_t first_difference; /* byte; of a longer one the other's length */
    struct {
        size_t bytes; /* as the model wrote it, before stop strings and filters */
        size_t tokens;
        const char *finish;  /* static */
        double tokens_per_s; /* 0: too few */
    } sides[SHADOW_SIDES];
};

struct shadow_report {
    char version[VERSION_NAME_MAX + 1];
    int64_t since; /* Unix seconds */
    uint64_t counts[SHADOW_OUTCOME_COUNT];
    uint64_t same_finish; /* of those that were compared; so are the sums */
    struct {
        double bytes;
        double tokens;
        double rate; /* sum of tokens_per_s, of n_rates */
        uint64_t n_rates;
    } sums[SHADOW_SIDES];
    struct shadow_comparison ring[SHADOW_RING];
    uint64_t n_compared; /* the last one is ring[(n_compared - 1) % SHADOW_RING] */
};

/* GET /admin/models/{name}/shadow. report NULL: there has been no shadow. */
char *shadow_report_text(const struct traffic_view *v, const struct shadow_report *report,
                         size_t *len);
