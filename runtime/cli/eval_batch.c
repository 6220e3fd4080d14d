#include "runtime/cli/eval_batch.h"

#include "models/tokenizer/decoder.h"
#include "runtime/base/mem.h"
#include "runtime/engine/token_logprobs.h"

#define ANSWER_BYTES_MAX ((size_t)16 << 20)

static const struct sampling greedy = {.top_p = 1.0f};

enum phase {
    IDLE,
    READING, /* the prompt */
    SCORING, /* a continuation */
    MAKING,  /* the answer */
};

/* A sequence of the KV cache and the job that has it. */
struct lane {
    struct eval_job job;
    enum phase phase;
    size_t fed;          /* tokens of the prompt, of the continuation, or of the answer */
    size_t continuation; /* that is scored */
    int32_t token;       /* of the answer, that comes next */
    struct sampler sampler;
    struct decoder decoder;
    int n_rows; /* in this step */
};

struct batch {
    struct local_model *model;
    const struct eval_source *source;
    struct lane *lanes; /* (n) */
    int n;
    int *order;             /* (n) lanes in the order of their rows */
    struct llama_row *rows; /* (max_rows) */
    int n_rows, n_logits, n_ordered;
};

/* --- jobs --- */

static void job_deinit(struct eval_job *job)
{
    token_list_deinit(&job->prompt);
    token_list_deinit(&job->tokens);
    for (size_t i = 0; i < job->n_continuations; i++) {
        token_list_deinit(&job->continuations[i].tokens);
    }
    buf_deinit(&job->answer);
}

static int check_job(const struct batch *b, const struct eval_job *job, struct err *e)
{
    size_t longest = job->max_tokens > 0 ? 1 : 0;
    for (size_t i = 0; i < job->n_continuations; i++) {
        size_t n = job->continuations[i].tokens.count;
        longest = n > longest ? n : longest;
    }
    return job->prompt.count + longest <= (size_t)b->model->context
               ? 0
               : err_set(e, ERR_LIMIT, "%zu tokens do not fit into the context of %d",
                         job->prompt.count + longest, b->model->context);
}

/* Takes the next job; the lane stays idle when there is none. */
static int begin_job(struct batch *b, struct lane *lane, struct err *e)
{
    *lane = (struct lane){0};
    buf_init(&lane->job.answer, ANSWER_BYTES_MAX);
    int got = b->source->next(b->source->ctx, &lane->job, e);
    if (got == 1 && check_job(b, &lane->job, e) == 0) {
        lane->phase = READING;
        decoder_init(&lane->decoder, b->model->model->tokenizer);
        bool draws = lane->job.sampling.temperature > 0.0f;
        sampler_init(&lane->sampler, draws ? &lane->job.sampling : &greedy);
        return 0;
    }
    job_deinit(&lane->job);
    return got == 0 ? 0 : -1;
}

static int end_job(struct batch *b, struct lane *lane, struct err *e)
{
    int rc = decoder_flush(&lane->decoder, &lane->job.answer) == 0 ? 0 : err_nomem(e);
    rc = rc == 0 ? b->source->done(b->source->ctx, &lane->job, e) : rc;
    job_deinit(&lane->job);
    lane->phase = IDLE;
    return rc;
}

/* --- what a row says --- */

static double logprob_of(struct batch *b, const float *logits, int32_t token)
{
    float logprob;
    struct engine_top_logprob unused;
    token_logprobs(logits, b->model->model->config.vocab, token, &logprob, &unused, 0,
                   &b->model->scratch);
    return (double)logprob;
}

/* Chooses the next token of the answer. */
static int choose_token(struct batch *b, struct lane *lane, const float *logits, struct err *e)
{
    const struct sampler_input in = {.logits = logits, .vocab = b->model->model->config.vocab};
    lane->token = sampler_next(&lane->sampler, &in, &b->model->scratch);
    if (lane->token == TOKEN_NONE) {
        return err_set(e, ERR_FORMAT, "the model gives no number for any token");
    }
    if (token_list_push(&lane->job.tokens, lane->token) != 0) {
        return err_nomem(e);
    }
    if (lane->job.want_logprob) {
        lane->job.answer_logprob += logprob_of(b, logits, lane->token);
    }
    return 0;
}

/* Goes on with the next continuation that has tokens to feed, then with the answer. */
static int next_phase(struct batch *b, struct lane *lane, size_t continuation, struct err *e)
{
    struct eval_job *job = &lane->job;
    while (continuation < job->n_continuations &&
           job->continuations[continuation].tokens.count < 2) {
        continuation++;
    }
    lane->fed = 0;
    lane->continuation = continuation;
    if (continuation < job->n_continuations) {
        lane->phase = SCORING;
        return 0;
    }
    if (job->max_tokens > 0 && !tokenizer_is_eog(b->model->model->tokenizer, lane->token)) {
        lane->phase = MAKING;
        return decoder_feed(&lane->decoder, lane->token, &job->answer) == 0 ? 0 : err_nomem(e);
    }
    return end_job(b, lane, e);
}

static int take_prompt_end(struct batch *b, struct lane *lane, const float *logits,
                           struct err *e)
{
    struct eval_job *job = &lane->job;
    for (size_t i = 0; i < job->n_continuations; i++) {
        struct eval_continuation *c = &job->continuations[i];
        c->logprob = logprob_of(b, logits, c->tokens.ids[0]);
    }
    if (job->max_tokens > 0 && choose_token(b, lane, logits, e) != 0) {
        return -1;
    }
    return next_phase(b, lane, 0, e);
}

static int take_scores(struct batch *b, struct lane *lane, int first_logits, struct err *e)
{
    struct eval_continuation *c = &lane->job.continuations[lane->continuation];
    for (int r = 0; r < lane->n_rows; r++) {
        c->logprob += logprob_of(b, llama_logits(b->model->state, first_logits + r),
                                 c->tokens.ids[++lane->fed]);
    }
    return lane->fed + 1 == c->tokens.count ? next_phase(b, lane, lane->continuation + 1, e)
                                            : 0;
}

static int take_answer_token(struct batch *b, struct lane *lane, const float *logits,
                             struct err *e)
{
    struct eval_job *job = &lane->job;
    lane->fed++;
    bool is_full = lane->fed >= (size_t)job->max_tokens ||
                   job->prompt.count + lane->fed >= (size_t)b->model->context;
    if (is_full) {
        job->is_cut = true;
        return end_job(b, lane, e);
    }
    if (choose_token(b, lane, logits, e) != 0) {
        return -1;
    }
    if (tokenizer_is_eog(b->model->model->tokenizer, lane->token)) {
        return end_job(b, lane, e);
    }
    return decoder_feed(&lane->decoder, lane->token, &job->answer) == 0 ? 0 : err_nomem(e);
}

/* --- steps --- */

static void add_row(struct batch *b, int lane, int32_t token, size_t position, bool want_logits)
{
    b->rows[b->n_rows++] = (struct llama_row){.token = token,
                                              .position = (int32_t)position,
                                              .slot = lane,
                                              .want_logits = want_logits,
                                              .adapter = b->model->adapter};
    b->n_logits += want_logits;
    b->lanes[lane].n_rows++;
}

/* Rows of a lane that the step still has room for. */
static void add_rows(struct batch *b, int i)
{
    struct lane *lane = &b->lanes[i];
    const struct eval_job *job = &lane->job;
    size_t base = job->prompt.count;
    const struct token_list *list =
        lane->phase == READING ? &job->prompt : &job->continuations[lane->continuation].tokens;
    if (lane->phase == MAKING) {
        add_row(b, i, lane->token, base + lane->fed, true);
        return;
    }
    /* Of a continuation the last token is not fed: nothing comes behind it. */
    size_t end = lane->phase == READING ? list->count : list->count - 1;
    for (size_t at = lane->fed; at < end && b->n_rows < b->model->max_rows; at++) {
        bool want = lane->phase == SCORING || at + 1 == end;
        if (want && b->n_logits == b->model->max_logits) {
            break;
        }
        add_row(b, i, list->ids[at], (lane->phase == READING ? 0 : base) + at, want);
    }
}

/* Answers come first: each needs one row only. */
static void plan_step(struct batch *b)
{
    b->n_rows = b->n_logits = b->n_ordered = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < b->n; i++) {
            struct lane *lane = &b->lanes[i];
            bool is_now = lane->phase != IDLE && (lane->phase == MAKING) == (pass == 0);
            bool has_room =
                b->n_rows < b->model->max_rows && b->n_logits < b->model->max_logits;
            if (pass == 0) {
                lane->n_rows = 0;
            }
            if (is_now && has_room) {
                add_rows(b, i);
            }
            if (is_now && lane->n_rows > 0) {
                b->order[b->n_ordered++] = i;
            }
        }
    }
}

static int take_rows(struct batch *b, struct lane *lane, int *logits, struct err *e)
{
    int first = *logits;
    if (lane->phase == SCORING) {
        *logits += lane->n_rows;
        return take_scores(b, lane, first, e);
    }
    if (lane->phase == MAKING) {
        *logits += 1;
        return take_answer_token(b, lane, llama_logits(b->model->state, first), e);
    }
    lane->fed += (size_t)lane->n_rows;
    if (lane->fed < lane->job.prompt.count) {
        return 0;
    }
    *logits += 1;
    return take_prompt_end(b, lane, llama_logits(b->model->state, first), e);
}

static int step(struct batch *b, struct err *e)
{
    int logits = 0, rc = 0;
    llama_step(b->model->state, &b->model->model->weights, &b->model->kv, b->rows, b->n_rows);
    for (int k = 0; rc == 0 && k < b->n_ordered; k++) {
        rc = take_rows(b, &b->lanes[b->order[k]], &logits, e);
    }
    return rc;
}

static int run(struct batch *b, struct err *e)
{
    bool is_empty = false;
    for (;;) {
        for (int i = 0; i < b->n && !is_empty; i++) {
            if (b->lanes[i].phase == IDLE && begin_job(b, &b->lanes[i], e) != 0) {
                return -1;
            }
            is_empty = b->lanes[i].phase == IDLE;
        }
        plan_step(b);
        if (b->n_rows == 0) {
            return 0;
        }
        if (step(b, e) != 0) {
            return -1;
        }
    }
}

int eval_batch_run(struct local_model *l, const struct eval_source *source, struct err *e)
{
    int n = l->kv.n_slots < l->max_logits ? l->kv.n_slots : l->max_logits;
    struct batch b = {.model = l, .source = source, .n = n};
    b.lanes = mem_zarray((size_t)n, sizeof(*b.lanes));
    b.order = mem_zarray((size_t)n, sizeof(*b.order));
    b.rows = mem_zarray((size_t)l->max_rows, sizeof(*b.rows));
    int rc = b.lanes && b.order && b.rows ? run(&b, e) : err_nomem(e);
    for (int i = 0; b.lanes && i < n; i++) {
        if (b.lanes[i].phase != IDLE) {
            job_deinit(&b.lanes[i].job);
        }
    }
    mem_free(b.lanes);
    mem_free(b.order);
    mem_free(b.rows);
    return rc;
}
