/* eval_expect.h: what the answer to a question of a test set has to be.
 *
 * A JSON object; every key is optional, and all that are there must hold:
 *
 *     {"all": ["..."], "any": ["..."], "none": ["..."], "max_words": N, "uppercase": true}
 *
 * The texts of "all" each occur in the answer, of "any" at least one does, of "none" none does,
 * whatever the case of ASCII letters. "max_words" bounds the number of words (runs of bytes
 * other than white space). "uppercase" wants letters and no small ASCII letter among them.
 *
 * Threads: pure functions. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

#define EVAL_EXPECT_TEXTS_MAX 32

struct eval_texts {
    const char *texts[EVAL_EXPECT_TEXTS_MAX]; /* (count); borrowed from the JSON tree */
    size_t count;
};

struct eval_expect {
    struct eval_texts all;
    struct eval_texts any;
    struct eval_texts none;
    int max_words; /* 0: not bounded */
    bool uppercase;
};

/* Reads the object. *x borrows from it. The message names the key at fault; a key that is not
 * one of those above is one, since a misspelt expectation would pass unseen. */
int eval_expect_parse(struct eval_expect *x, const cJSON *json, struct err *e);

/* Whether an answer of len bytes is as expected. */
bool eval_expect_holds(const struct eval_expect *x, const char *answer, size_t len);
