/* moderation_reply.h: the answer of POST /v1/moderations as JSON text.
 *
 * A category is the type of a filter or the code of what one found. Those that are not named
 * were not looked for. Most filters decide and do not weigh: their scores are 1 and 0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"

#define MODERATION_CATEGORY_MAX 65

struct moderation_category {
    char name[MODERATION_CATEGORY_MAX];
    bool flagged;
    bool is_weighed;
    double score; /* if it is weighed: 0 to 1 */
};

/* Where a filter has changed an answer, or ended it. */
struct moderation_span {
    size_t choice;       /* which of the answers */
    uint64_t at;         /* byte of its content where the change begins */
    uint64_t bytes;      /* so many the filter put there; 0: it took something away */
    const char *verdict; /* "replace" or "stop"; constant */
    char name[MODERATION_CATEGORY_MAX],
        code[MODERATION_CATEGORY_MAX]; /* of the filter; of what it found */
};

/* All zero is a result without categories; moderation_result_deinit releases. */
struct moderation_result {
    struct moderation_category *categories; /* (n_categories) */
    size_t n_categories, cap;
    struct moderation_span *spans; /* (n_spans), in the order in which they were added */
    size_t n_spans, span_cap;
};

/* Adds the category if it is not there; once flagged it stays so. 0, or -1 when out of memory.
 */
int moderation_result_set(struct moderation_result *r, const char *category, bool flagged);
/* Adds the category if it is not there; of several scores the greatest stays. As above. */
int moderation_result_weigh(struct moderation_result *r, const char *category, double score);
/* Adds a copy of the span. As above. */
int moderation_result_add_span(struct moderation_result *r, const struct moderation_span *span);
void moderation_result_deinit(struct moderation_result *r);

bool moderation_result_flagged(const struct moderation_result *r);

/* One side of an answer's own "moderation": {"type": "moderation_results", ...}. Appends to
 * *out, whose `failed` tells of memory. */
void moderation_append_side(struct buf *out, const char *model,
                            const struct moderation_result *r);

/* The caller's (mem_free); NULL when out of memory. */
char *moderation_reply_text(const char *id, const char *model,
                            const struct moderation_result *results, size_t n_results,
                            size_t *len);
