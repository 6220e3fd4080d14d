/* classifier.h: trains the text classifier of filters/guard_model.h.
 *
 * Sentences and their labels come as JSON lines, {"text": "...", "labels": ["violence"]}; a
 * label is a category's name, with "_" for "-". With "judged": ["violence", "sexual"] a line
 * says nothing about the other categories.
 *
 * One sentence is a step of Adagrad (Duchi 2011) on the cross entropy of all categories. Words
 * are left out at random, and sometimes everything but the words or but the runs of letters, so
 * that a sentence is known by more than one thing. Then the table is rounded to int8 and the
 * layers behind it are trained on with it; then scores become probabilities on other sentences
 * (Platt 1999), and thresholds are chosen on them.
 *
 * All arithmetic is in one order without fused operations or functions of the C library, so the
 * same text and options give the same bytes on every machine.
 *
 * Threads: none. Ownership: the caller's, to be destroyed by it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "filters/guard_model.h"
#include "runtime/base/err.h"

struct classifier_example {
    uint32_t labels, judged; /* bits by enum guard_category */
    size_t text;             /* offset in classifier_set.text */
    uint32_t len;
    size_t feature; /* where its hashes begin in classifier_set.features */
    uint32_t words;
};

struct classifier_set {
    struct classifier_example *examples; /* (count) */
    size_t count, room;
    struct buf text;
    /* Of each word: n_words, n_runs, then its hashes. */
    uint32_t *features;
    size_t feature_count, feature_room;
};

void classifier_set_init(struct classifier_set *set);
void classifier_set_deinit(struct classifier_set *set);
/* Adds a file's lines; errors name file and line. */
int classifier_set_read(struct classifier_set *set, const char *path, struct err *e);

struct classifier_options {
    struct guard_shape shape;
    uint64_t seed;
    int epochs;
    float rate;      /* of Adagrad */
    float drop_word; /* the chance of a word to be left out, 0 to 1 */
    float decay;     /* of rows towards 0, in each step that meets them */
    float precision; /* what thresholds aim at, on `dev` */
    FILE *log;       /* NULL: silent */
};

/* `dev` is for probabilities and thresholds. NULL with *e when out of memory or a set is empty.
 */
struct guard_model *classifier_train(const struct classifier_set *train,
                                     const struct classifier_set *dev,
                                     const struct classifier_options *options, struct err *e);

/* The greatest scores of all sentences of a text. */
void classifier_score_text(const struct guard_model *model, const char *text, size_t len,
                           float scores[GUARD_CATEGORIES]);

/* What a model says about labelled texts, at its own thresholds. */
struct classifier_figures {
    size_t found, missed, wrong; /* judged sentences: rightly, not, and wrongly flagged */
    size_t judged;
};
void classifier_measure(const struct guard_model *model, const struct classifier_set *set,
                        struct classifier_figures figures[GUARD_CATEGORIES]);

/* A step of training without anything left out, for tests: the loss of one sentence, and its
 * derivative by row `row`, dimension `dim` of the table, by the chain rule; the same by a
 * difference must agree. */
float classifier_gradient(const struct classifier_set *set, size_t example,
                          const struct classifier_options *options, uint32_t row, uint32_t dim,
                          float shift, float *derivative);
