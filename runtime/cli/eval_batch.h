/* eval_batch.h: many prompts side by side through one model in this process.
 *
 * A job has a prompt; continuations of it whose likelihood is wanted, an answer that is to be
 * made, or both. As many jobs run together as the model has sequences; each step takes
 * a token of every answer that is being made, and fills up with prompts and continuations. A
 * row's result does not depend on the others of its step (models/arch/llama_step.h), so neither
 * do results on what runs beside it.
 *
 * Threads: none; the model's own team works inside the call. */
#pragma once

#include "models/eval/eval_item.h"
#include "runtime/base/buf.h"
#include "runtime/cli/local_model.h"

struct eval_continuation {
    struct token_list tokens;
    double logprob; /* out: natural, of all tokens together */
};

struct eval_job {
    size_t item; /* the caller's */
    size_t part; /* of the item; the caller's */

    struct token_list prompt;                                 /* one token or more */
    struct eval_continuation continuations[EVAL_CHOICES_MAX]; /* one token or more, each */
    size_t n_continuations;
    int max_tokens;           /* of the answer; 0: none is made */
    bool want_logprob;        /* of the answer */
    struct sampling sampling; /* of the answer; temperature 0: the most likely one */

    struct buf answer;        /* out */
    struct token_list tokens; /* out: the answer's, that which ended it among them */
    bool is_cut;              /* out: max_tokens or the context came first */
    double answer_logprob;    /* out, if it is wanted: of its tokens, that which ended it among
                                 them */
};

struct eval_source {
    /* Fills the next job, which is all zero but for an empty `answer`. 1: there is one, 0: no
     * more, -1: failed. */
    int (*next)(void *ctx, struct eval_job *job, struct err *e);
    /* A job is ready: in no certain order. */
    int (*done)(void *ctx, struct eval_job *job, struct err *e);
    void *ctx;
};

/* What needs more than the model's context is an error. */
int eval_batch_run(struct local_model *l, const struct eval_source *source, struct err *e);
