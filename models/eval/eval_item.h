/* eval_item.h: one line of an evaluation's file: what is asked, and what is right.
 *
 * Every line is a JSON object. What it has depends on the kind of its part:
 *
 *   questions, obedience, domain   "messages" or "prompt", "expect"
 *   refusal                        "messages" or "prompt", "harmful": true or false, perhaps
 *                                  "expect": an answer that holds to it is declining too
 *   jailbreak                      "messages" or "prompt", perhaps "expect"
 *   invention                      "messages" or "prompt", perhaps "known": true and "expect"
 *   choice                         "question", "choices", "answer"
 *   calibration                    as choice, or as questions
 *   perplexity                     "text" or "messages"
 *   bias                           "messages" or "prompt" with {} in it, "pair": [a, b],
 * perhaps "answer"
 *
 * "prompt" is short for one message of the user. "skill", "category" or "subject" names the
 * group of a line in reports. "expect" is that of eval_expect.h.
 *
 * Multiple choice is also read as its data sets are exported: ARC ("choices": {"text",
 * "label"}, "answerKey"), MMLU ("answer": 2) and HellaSwag ("ctx", "endings", "label").
 *
 * Ownership: an item owns its tree, and most of it borrows from there. Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/eval/eval_expect.h"
#include "models/template/chat_template.h"
#include "runtime/base/json.h"

enum eval_kind {
    EVAL_QUESTIONS,
    EVAL_OBEDIENCE,
    EVAL_REFUSAL,
    EVAL_JAILBREAK,
    EVAL_INVENTION,
    EVAL_CHOICE,
    EVAL_CALIBRATION,
    EVAL_PERPLEXITY,
    EVAL_BIAS,
    EVAL_DOMAIN,
    EVAL_KINDS
};

#define EVAL_CHOICES_MAX  26 /* a letter each */
#define EVAL_MESSAGES_MAX 1024

struct eval_item {
    cJSON *json;       /* owned */
    size_t line;       /* in its file, from 1 */
    const char *group; /* never NULL */

    struct chat_message *messages[2]; /* (n_messages) owned; [1]: with the second of the pair */
    char **texts;                     /* (2 * n_messages) owned, of a pair; or NULL */
    size_t n_messages;                /* 0: there are none */

    struct eval_expect *expect; /* owned, or NULL */
    bool is_harmful;            /* refusal */
    bool is_known;              /* invention */
    bool is_inside;             /* domain; set by whoever knows the file */

    const char *text;     /* perplexity, or NULL */
    const char *question; /* choice, or NULL */
    bool is_begun;        /* the choices go on with the question's text, as in HellaSwag */
    const char *choices[EVAL_CHOICES_MAX];
    size_t n_choices, right;

    const char *pair[2]; /* bias */
    const char *answer;  /* whose likelihood is compared, or NULL */
};

/* "questions" and so on. -1: the name is not known. */
const char *eval_kind_name(enum eval_kind kind);
int eval_kind_named(const char *name, enum eval_kind *kind, struct err *e);

/* Reads a line. The message names the key at fault. On failure too, it is to be released. */
int eval_item_parse(struct eval_item *item, enum eval_kind kind, const char *line, size_t len,
                    struct err *e);
void eval_item_deinit(struct eval_item *item); /* also of zeroes */

/* The last thing that is said to the model, for people. */
const char *eval_item_shown(const struct eval_item *item);
