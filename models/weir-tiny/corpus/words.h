/* words.h: the vocabulary of the word tasks.
 *
 * Words are parted by split: a word is held out when its hash says so, about one in ten. Tasks
 * in which the word is the point (copying, spelling) draw from their split; tasks that need
 * knowledge of the word (opposites, plurals) hold out wordings alone, since what was never
 * taught cannot be known.
 */
#pragma once

#include "models/weir-tiny/corpus/corpus.h"

#define WORD_MAX 32

struct word_pair {
    const char *first, *second;
};

/* A kind of things and its members, parted by '|'. */
struct word_category {
    const char *name; /* "animal" */
    bool mass;        /* members take no article: "milk" */
    const char *members;
};

/* Everything returned is a static string or was written to out[WORD_MAX]. */
const char *words_noun(struct rng *r, enum corpus_split split);
const char *words_adjective(struct rng *r, enum corpus_split split);
const char *words_verb(struct rng *r, enum corpus_split split);
/* A noun, adjective or verb. */
const char *words_any(struct rng *r, enum corpus_split split);
/* A word that does not exist, of two or three syllables: "lomati". */
void words_invent(struct rng *r, enum corpus_split split, char out[WORD_MAX]);
/* "boxes" for "box". */
void words_plural(const char *noun, char out[WORD_MAX]);

const struct word_pair *words_verb_forms(struct rng *r);
const struct word_pair *words_opposites(struct rng *r);
const struct word_pair *words_synonyms(struct rng *r);
/* Two different words that rhyme. */
void words_rhyme(struct rng *r, char first[WORD_MAX], char second[WORD_MAX]);

const struct word_category *words_category(struct rng *r);
void words_member(const struct word_category *c, struct rng *r, char out[WORD_MAX]);
