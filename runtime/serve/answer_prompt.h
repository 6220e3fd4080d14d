/* answer_prompt.h: the tokens that the model reads for a request.
 *
 * A conversation is rendered by the model's chat template, with the owner's prompt in front. A
 * text to go on with is taken as it is; the owner's prompt, if there is one, stands before it
 * as text too, so that no route goes around it.
 *
 * Threads: any; nothing is kept. */
#pragma once

#include "runtime/api/answer_request.h"
#include "runtime/registry/prompt.h"
#include "runtime/serve/generation.h"

struct answer_prompt_source {
    const struct generation *generation;
    const struct prompt *prompt;
    const struct prompt_value *values; /* (n_values) of the prompt's variables */
    size_t n_values;
    const struct answer_request *request;
};

/* The values that a request gives, borrowed from it. Returns how many. */
size_t answer_prompt_values(const struct answer_request *r,
                            struct prompt_value values[ANSWER_VARIABLES_MAX]);

/* How many prompts a request has: one conversation, or several texts. */
size_t answer_prompt_count(const struct answer_request *r);

/* The tokens of the index-th; *out is cleared first. *reasoning_open: the prompt ends inside of
 * reasoning, with which the answer then begins. With "truncation": "auto" as few as
 * possible of the oldest messages are left out to make room for an answer, but never the last
 * one. */
int answer_prompt_tokens(const struct answer_prompt_source *s, size_t index,
                         struct token_list *out, bool *reasoning_open, struct err *e);
