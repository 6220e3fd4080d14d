#include "runtime/cli/eval_run.h"

#include <math.h>

#include "models/eval/eval_judge.h"
#include "runtime/base/mem.h"
#include "runtime/cli/eval_jobs.h"

/* What is known of a pair until both sides are. */
struct half {
    char *text; /* owned */
    size_t len;
    double logprob;
    bool is_there;
};

struct run {
    struct eval_jobs jobs;
    const struct eval_progress *progress;
    struct eval_values *values;
    struct half *halves; /* (lines) of pairs, else NULL */
    size_t done;
};

static int next(void *ctx, struct eval_job *job, struct err *e)
{
    return eval_jobs_next(&((struct run *)ctx)->jobs, job, e);
}

static void judge_text(const struct run *run, const struct eval_job *job)
{
    const struct eval_continuation *c = &job->continuations[0];
    size_t bytes = 0;
    for (size_t i = 0; i < c->tokens.count; i++) {
        size_t len;
        tokenizer_token_bytes(run->jobs.model->tokenizer, c->tokens.ids[i], &len);
        bytes += len;
    }
    eval_judge_text(c->logprob, c->tokens.count, bytes, job->item, run->values);
}

static int judge_pair(struct run *run, const struct eval_job *job, const char *text,
                      struct err *e)
{
    const struct eval_part *part = run->jobs.part;
    struct half *other = &run->halves[job->item];
    double logprob = job->n_continuations > 0 ? job->continuations[0].logprob : 0;
    if (!other->is_there) {
        *other = (struct half){.text = mem_strndup(text, job->answer.len),
                               .len = job->answer.len,
                               .logprob = logprob,
                               .is_there = true};
        return other->text ? 0 : err_nomem(e);
    }
    size_t here = job->part, there = 1 - here;
    struct eval_answers a = {.logprob = NAN};
    double of[2];
    a.text[here] = text;
    a.len[here] = job->answer.len;
    of[here] = logprob;
    a.text[there] = other->text;
    a.len[there] = other->len;
    of[there] = other->logprob;
    if (part->items[job->item].answer) {
        eval_judge_pair(of, job->item, run->values);
    }
    return eval_judge_answers(part, job->item, &a, run->values, e);
}

static void judge_choice(const struct run *run, const struct eval_job *job)
{
    double logprob[EVAL_CHOICES_MAX];
    for (size_t i = 0; i < job->n_continuations; i++) {
        logprob[i] = job->continuations[i].logprob;
    }
    eval_judge_choice(run->jobs.part, job->item, logprob, run->values);
}

static int done(void *ctx, struct eval_job *job, struct err *e)
{
    struct run *run = ctx;
    const struct eval_item *item = &run->jobs.part->items[job->item];
    const char *text = job->answer.data ? job->answer.data : "";
    if (run->progress->told) {
        run->progress->told(run->progress->ctx, ++run->done);
    }
    if (run->jobs.part->kind == EVAL_PERPLEXITY) {
        judge_text(run, job);
        return 0;
    }
    if (item->question) {
        judge_choice(run, job);
        return 0;
    }
    if (item->pair[0]) {
        return judge_pair(run, job, text, e);
    }
    const struct eval_answers a = {
        .text = {text}, .len = {job->answer.len}, .logprob = job->answer_logprob};
    return eval_judge_answers(run->jobs.part, job->item, &a, run->values, e);
}

int eval_run_local(struct local_model *l, const struct eval_part *part,
                   const struct eval_progress *progress, struct eval_values *values,
                   struct err *e)
{
    struct run run = {.progress = progress, .values = values};
    run.halves = mem_zarray(part->kind == EVAL_BIAS ? part->n : 1, sizeof(*run.halves));
    if (!run.halves) {
        return err_nomem(e);
    }
    eval_jobs_init(&run.jobs, part, l);
    const struct eval_source source = {.next = next, .done = done, .ctx = &run};
    int rc = eval_batch_run(l, &source, e);
    for (size_t i = 0; part->kind == EVAL_BIAS && i < part->n; i++) {
        mem_free(run.halves[i].text);
    }
    mem_free(run.halves);
    eval_jobs_deinit(&run.jobs);
    return rc;
}
