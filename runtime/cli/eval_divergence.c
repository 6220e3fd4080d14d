#include "runtime/cli/eval_divergence.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/cli/eval_jobs.h"

#define TOKENS_MAX ((size_t)1 << 24)

struct pairing {
    struct local_model *of[2];
    struct llama_row *rows; /* (max_rows) */
    int max_rows;
    size_t vocab;
    float *weights[2]; /* (vocab) exp(logit - highest) */
    double *kl;        /* (n) of each token, (cap) */
    size_t n, cap;
    size_t n_same;
};

static bool has_same_vocabulary(const struct local_model *a, const struct local_model *b)
{
    const struct tokenizer *s = a->model->tokenizer, *t = b->model->tokenizer;
    if (a->model->config.vocab != b->model->config.vocab) {
        return false;
    }
    for (int32_t id = 0; id < a->model->config.vocab; id++) {
        const char *x = tokenizer_token_name(s, id), *y = tokenizer_token_name(t, id);
        if (!x != !y || (x && strcmp(x, y) != 0)) {
            return false;
        }
    }
    return true;
}

static size_t highest(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

/* log of the sum of exp(logit - best). */
static double log_sum(const struct pairing *p, int side, const float *logits, float best)
{
    float *w = p->weights[side];
    double sum = 0;
    for (size_t i = 0; i < p->vocab; i++) {
        w[i] = logits[i] - best;
    }
    p->of[side]->scratch.ops->exp(w, w, p->vocab);
    for (size_t i = 0; i < p->vocab; i++) {
        sum += (double)w[i];
    }
    return sum > 0 ? log(sum) : -INFINITY; /* of no logits */
}

static int add_token(struct pairing *p, const float *a, const float *b, struct err *e)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 1024;
        double *more = cap <= TOKENS_MAX ? mem_realloc_array(p->kl, cap, sizeof(*more)) : NULL;
        if (!more) {
            return err_set(e, ERR_LIMIT, "too many tokens to compare");
        }
        p->kl = more;
        p->cap = cap;
    }
    size_t best[2] = {highest(a, p->vocab), highest(b, p->vocab)};
    double za = (double)a[best[0]] + log_sum(p, 0, a, a[best[0]]);
    double zb = (double)b[best[1]] + log_sum(p, 1, b, b[best[1]]);
    double kl = 0;
    for (size_t i = 0; i < p->vocab; i++) {
        double log_a = (double)a[i] - za, log_b = (double)b[i] - zb;
        kl += exp(log_a) * (log_a - log_b);
    }
    p->kl[p->n++] = kl < 0 ? 0 : kl; /* below 0 by rounding alone; what is no number stays so */
    p->n_same += best[0] == best[1];
    return 0;
}

/* Feeds tokens[0 .. n - 1) to both; every row from `scored` - 1 on predicts a scored one. */
static int compare_tokens(struct pairing *p, const struct token_list *tokens, size_t scored,
                          struct err *e)
{
    for (size_t at = 0; at + 1 < tokens->count;) {
        int n = 0;
        int logits = 0;
        for (; n < p->max_rows && at + 1 < tokens->count; at++, n++) {
            bool want = at + 1 >= scored;
            logits += want;
            p->rows[n] = (struct llama_row){
                .token = tokens->ids[at], .position = (int32_t)at, .want_logits = want};
        }
        for (int side = 0; side < 2; side++) {
            struct local_model *l = p->of[side];
            for (int i = 0; i < n; i++) {
                p->rows[i].adapter = l->adapter;
            }
            llama_step(l->state, &l->model->weights, &l->kv, p->rows, n);
        }
        for (int i = 0; i < logits; i++) {
            if (add_token(p, llama_logits(p->of[0]->state, i), llama_logits(p->of[1]->state, i),
                          e) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int compare_job(struct pairing *p, const struct eval_job *job, struct err *e)
{
    struct token_list tokens = {0};
    const struct token_list *next = &job->continuations[0].tokens;
    int rc = token_list_append(&tokens, job->prompt.ids, job->prompt.count) == 0 &&
                     token_list_append(&tokens, next->ids, next->count) == 0
                 ? 0
                 : err_nomem(e);
    if (rc == 0 && tokens.count > (size_t)p->of[1]->context) {
        rc = err_set(e, ERR_LIMIT, "%zu tokens do not fit into the context of %d", tokens.count,
                     p->of[1]->context);
    }
    rc = rc == 0 ? compare_tokens(p, &tokens, job->prompt.count, e) : rc;
    token_list_deinit(&tokens);
    return rc;
}

static int compare_jobs(struct pairing *p, struct eval_jobs *jobs, struct err *e)
{
    for (;;) {
        struct eval_job job = {0};
        buf_init(&job.answer, 0);
        int got = eval_jobs_next(jobs, &job, e);
        if (got > 0 && compare_job(p, &job, e) != 0) {
            got = eval_item_failed(jobs->part, job.item, e);
        }
        token_list_deinit(&job.prompt);
        token_list_deinit(&job.continuations[0].tokens);
        if (got <= 0) {
            return got;
        }
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(struct pairing *p, struct eval_divergence *out)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        sum += p->kl[i];
    }
    out->n = p->n;
    out->top = stats_share(p->n_same, p->n);
    if (p->n > 0) {
        qsort(p->kl, p->n, sizeof(*p->kl), by_value);
        out->kl = sum / (double)p->n;
        out->kl_99 = p->kl[(p->n - 1) * 99 / 100];
    }
}

int eval_divergence(struct local_model *a, struct local_model *b, const struct eval_part *part,
                    struct eval_divergence *out, struct err *e)
{
    int rows = a->max_logits < b->max_logits ? a->max_logits : b->max_logits;
    struct pairing p = {.of = {a, b},
                        .vocab = (size_t)a->model->config.vocab,
                        .max_rows = rows < a->max_rows ? rows : a->max_rows};
    struct eval_jobs jobs;
    *out = (struct eval_divergence){0};
    if (!has_same_vocabulary(a, b)) {
        return 0;
    }
    p.rows = mem_zarray((size_t)p.max_rows, sizeof(*p.rows));
    p.weights[0] = mem_zarray(p.vocab, sizeof(float));
    p.weights[1] = mem_zarray(p.vocab, sizeof(float));
    eval_jobs_init(&jobs, part, a);
    int rc = p.rows && p.weights[0] && p.weights[1] ? compare_jobs(&p, &jobs, e) : err_nomem(e);
    if (rc == 0) {
        summarise(&p, out);
    }
    eval_jobs_deinit(&jobs);
    mem_free(p.rows);
    mem_free(p.weights[0]);
    mem_free(p.weights[1]);
    mem_free(p.kl);
    return rc;
}
