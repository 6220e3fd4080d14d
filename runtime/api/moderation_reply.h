/* moderation_reply.h: the answer of POST /v1/moderations as JSON text.
 *
 * A category is the type of a filter or the code of what one found. Those that are not named
 * were not looked for. Scores are 1 and 0: filters decide, they do not weigh. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"

#define MODERATION_CATEGORY_MAX 65

struct moderation_category {
    char name[MODERATION_CATEGORY_MAX];
    bool flagged;
};

/* All zero is a result without categories; moderation_result_deinit releases. */
struct moderation_result {
    struct moderation_category *categories; /* (n_categories) */
    size_t n_categories, cap;
};

/* Adds the category if it is not there; once flagged it stays so. 0, or -1 when out of memory.
 */
int moderation_result_set(struct moderation_result *r, const char *category, bool flagged);
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
