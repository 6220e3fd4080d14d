/* eval_judge.h: from what a model answered and how likely it held a choice to the values of
 * eval_measure.h.
 *
 * Threads: none. */
#pragma once

#include "models/eval/eval_measure.h"

/* Of a line that is answered: the answers (of a pair both; else of[1] is not looked at) and the
 * log-probability of the first, NAN where it is not known. Keeps a copy of the first answer. */
struct eval_answers {
    const char *text[2];
    size_t len[2];
    double logprob;
    bool is_blocked; /* a filter refused the prompt, or ended the answer: it counts as declined
                      */
};
int eval_judge_answers(const struct eval_part *part, size_t line, const struct eval_answers *a,
                       struct eval_values *v, struct err *e);

/* Of a multiple-choice line: logprob[i] of each choice. */
void eval_judge_choice(const struct eval_part *part, size_t line, const double *logprob,
                       struct eval_values *v);

/* The log-likelihood of a pair's "answer" behind the first and the second prompt. */
void eval_judge_pair(const double logprob[2], size_t line, struct eval_values *v);

/* Adds scored tokens, and the bytes that they stand for, to a line of perplexity. */
void eval_judge_text(double logprob, size_t n_tokens, size_t n_bytes, size_t line,
                     struct eval_values *v);
