/* quality.h: measures of a text that tell prose and conversation from rubbish.
 *
 * What is measured, and the bounds of the set "web", are those of
 *     Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training
 *     Gopher", appendix A.1.1 (words, their mean length, symbols, letters, stop words, repeated
 *     lines and n-grams), and
 *     Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified
 *     Text-to-Text Transformer", section 2.2, C4 ("lorem ipsum", markup),
 * as far as they can be told from one text. The set "short", the default, has bounds of our own
 * for conversations and texts of a few sentences, which those would drop altogether.
 *
 * Measures that make no sense for a text that short are passed over: a share of n-grams below
 * QUALITY_NGRAM_WORDS words, stop words where the text is not English.
 *
 * Threads: none of this is shared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/curate/words.h"
#include "runtime/base/err.h"

#define QUALITY_NGRAM_WORDS 30

/* In the order in which they are judged: of several that are out of bounds the first is given
 * as the reason. */
enum quality_measure {
    QUALITY_WORDS,           /* how many */
    QUALITY_MARKUP,          /* share of characters in tags, entities and script */
    QUALITY_MOJIBAKE,        /* share of characters of text that was decoded wrongly */
    QUALITY_PLACEHOLDER,     /* "lorem ipsum" and its like: how often */
    QUALITY_MEAN_WORD,       /* characters of a word, words being parted by blanks */
    QUALITY_LETTERS,         /* share of characters, blanks apart, that are letters or digits */
    QUALITY_DIGITS,          /* share that are digits */
    QUALITY_SYMBOLS,         /* share that are # * { } | \ ~ ^ < > _ and symbols of Unicode */
    QUALITY_STOP_WORDS,      /* share of words that are "the", "of", "you" ... */
    QUALITY_REPEATED_WORDS,  /* share of words that are like the one before */
    QUALITY_REPEATED_LINES,  /* share of characters in lines that stood before */
    QUALITY_TOP_NGRAM,       /* share of words in the commonest run of 2, 3 or 4 */
    QUALITY_REPEATED_NGRAMS, /* share of runs of 5 words that stood before */
    QUALITY_SPAM,            /* spam.h */
    QUALITY_MEASURES,
};

/* A text is dropped when a measure is below min or above max. */
struct quality_bound {
    double min, max;
};

struct quality_options {
    struct quality_bound bounds[QUALITY_MEASURES];
};

const char *quality_name(enum quality_measure m);    /* "mean_word" */
const char *quality_summary(enum quality_measure m); /* one line for --help */

/* Sets of bounds: "short", "web", "off". -1: there is none of that name. */
int quality_preset(struct quality_options *o, const char *name);

/* "mean_word<=12" or "words>=5". */
int quality_parse(struct quality_options *o, const char *bound, struct err *e);

struct quality {
    double values[QUALITY_MEASURES];
    bool is_measured[QUALITY_MEASURES];
};

/* Measures a text; words are its words. */
int quality_measure(struct quality *q, const char *text, size_t len, const struct words *words,
                    bool is_english, struct err *e);

/* The first measure that is out of bounds, or QUALITY_MEASURES. */
enum quality_measure quality_judge(const struct quality *q, const struct quality_options *o);
