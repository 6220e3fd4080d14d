/* question.h: questions with what their answer must hold. Held-out ones, in wordings and with
 * values that the training text does not contain, are what `weir eval` grades; those of the
 * training split are what a model is aligned on.
 *
 * A line is {"skill":S,"messages":[...],"answer":A,"expect":{"all":[...],"none":[...],
 * "max_words":N}}. The messages end with the user's turn; "answer" is one that is right. Every
 * string of "all" and none of "none" occur in a right answer, in any letter case; "max_words"
 * bounds its length. Empty parts are left out. */
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

size_t question_kind_count(void);
const char *question_kind_skill(size_t kind); /* "name" */

/* Draws a question of the kind (below the count). The last turn of *c holds our own answer to
 * it, which meets *want. */
void question_draw(struct rng *r, enum corpus_split split, size_t kind, struct conversation *c,
                   struct expect *want);

/* Appends the line, without a newline; our answer is in it only when asked for. */
void question_write(const char *skill, const struct conversation *c, const struct expect *want,
                    bool with_answer, struct buf *line);
