/* wording.h: tables of authored wordings, several to one string.
 *
 * A wording list is one string of alternatives parted by '|'. An alternative that begins with
 * '~' is kept for CORPUS_HELDOUT; the others are for CORPUS_TRAIN alone. A list with no '~'
 * serves both splits: answers are such lists, questions are not.
 *
 *     "How are you?|How are you doing?|~How do you feel today?"
 *
 * Alternatives are templates for corpus_fill.
 */
#pragma once

#include "models/weir-tiny/corpus/corpus.h"

#define WORDING_MAX 1200

/* Draws one alternative of the split into out[WORDING_MAX], without its '~'. Ends the program
 * when an alternative is too long: lists are ours. */
void wording_draw(char out[WORDING_MAX], const char *list, struct rng *r,
                  enum corpus_split split);

/* One question with a fixed answer. */
struct wording_row {
    const char *questions; /* list */
    const char *answers;   /* list, each holding the terse answer's words */
    const char *terse;     /* NULL: the answer itself */
    const char *topic;     /* NULL: none */
};

/* Fills *out from one row. */
void wording_exchange(const struct wording_row *row, struct rng *r, enum corpus_split split,
                      const char *skill, struct exchange *out);

/* "a" or "an", whichever goes before the noun. */
const char *wording_article(const char *noun);
