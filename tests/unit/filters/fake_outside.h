/* fake_outside.h: stands in for the services that filters ask. Questions wait here until a test
 * has them answered, in any order. */
#pragma once

#include "filters/chain.h"
#include "runtime/base/rng.h"

#define FAKE_MAX_PENDING 64
#define FAKE_MAX_ANSWER  4096

struct fake_question {
    char *body; /* NUL-terminated */
    uint32_t delay_ms, timeout_ms;
    char headers[256]; /* joined by "|" */
    void (*answered)(void *user, const struct filter_answer *answer);
    void *user;
};

struct fake_outside {
    struct chain_outside face; /* first */
    struct fake_question *pending[FAKE_MAX_PENDING];
    size_t count;
    size_t asked; /* so far */
    size_t taken_back;
    size_t refuse_at; /* this question, counted from 1, can not be sent */
    /* What the service says: the status, and the body in out; 0: no answer, out says why. */
    uint32_t (*serve)(const struct fake_question *q, char out[FAKE_MAX_ANSWER], void *ctx);
    void *ctx;
};

void fake_outside_init(struct fake_outside *o,
                       uint32_t (*serve)(const struct fake_question *q,
                                         char out[FAKE_MAX_ANSWER], void *ctx),
                       void *ctx);

/* Answers the pending question with this number. */
void fake_outside_answer(struct fake_outside *o, size_t index);

/* The question's text, as JSON has it. */
const char *fake_question_text(const struct fake_question *q);
