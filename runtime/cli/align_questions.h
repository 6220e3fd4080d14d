/* align_questions.h: questions of a file, and answers to them that a model in this process
 * samples, many side by side.
 *
 * Ownership: a list owns its questions, asks own what they were answered. Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/eval/eval_expect.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/cli/local_model.h"

/* A line {"skill", "messages", "expect", "answer"} of such a file. */
struct align_question {
    cJSON *json;           /* what the rest borrows from */
    const char *skill;     /* "all" where the line has none */
    const cJSON *messages; /* with the question at its end */
    const char *answer;    /* a right one, or NULL */
    bool has_expect;       /* what follows is there */
    struct eval_expect expect;
    struct token_list prompt; /* as the server renders it */
};

struct align_questions {
    struct align_question *items; /* (count) */
    size_t count;
};

/* Reads the whole file; messages name file and line. need_expect: a line without is an error.
 */
int align_questions_read(struct align_questions *q, const char *path, bool need_expect,
                         struct err *e);
/* Fills in the prompts. */
int align_questions_render(struct align_questions *q, const struct chat_template *t,
                           const struct tokenizer *tokenizer, struct err *e);
void align_questions_deinit(struct align_questions *q);

struct align_ask {
    const struct token_list *prompt;
    uint64_t seed;
    float temperature; /* 0: the most likely answer */
    int max_tokens;
    struct token_list tokens; /* out: with the one that ended it, unless it is cut */
    struct buf text;          /* out */
    bool is_cut;              /* out */
};

/* An ask that is all zero but for its first four fields, n times. What is sampled depends on
 * the ask alone. */
int align_ask_all(struct local_model *l, struct align_ask *asks, size_t n, struct err *e);
void align_asks_clear(struct align_ask *asks, size_t n);
