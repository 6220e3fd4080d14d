/* heldout.h: questions with what their answer must hold, in wordings and with values that the
 * training text does not contain. `weir eval` grades them.
 *
 * A line is {"skill":S,"messages":[...],"expect":{"all":[...],"none":[...],"max_words":N}}. The
 * messages end with the user's turn. Every string of "all" and none of "none" occur in a right
 * answer, in any letter case; "max_words" bounds its length. Empty parts are left out. */
#pragma once

#include "models/weir-tiny/corpus/conversation.h"

#define EXPECT_MAX      4
#define EXPECT_TEXT_MAX 160

/* What a right answer holds. */
struct expect {
    char all[EXPECT_MAX][EXPECT_TEXT_MAX];
    size_t n_all;
    const char *none[EXPECT_MAX]; /* static strings */
    size_t n_none;
    unsigned max_words; /* 0: any number */
};

size_t heldout_kind_count(void);
const char *heldout_kind_skill(size_t kind); /* "name" */

/* Draws a question of the kind (below the count). The last turn of *c holds our own answer to
 * it, which meets *want. */
void heldout_draw(struct rng *r, size_t kind, struct conversation *c, struct expect *want);

/* Appends the line, without our answer and without a newline. */
void heldout_write(const char *skill, const struct conversation *c, const struct expect *want,
                   struct buf *line);
