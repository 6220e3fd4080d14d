#include "runtime/engine/model_probe.h"

#include <math.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"

#define CONTEXT    512 /* a long text is read in windows of so many tokens */
#define ROWS       32
#define STEPS      16
#define STEP_BEGIN 16 /* tokens before those that are timed */

int model_probe_open(struct model_probe *p, const struct model *m, uint32_t cpu_features,
                     const struct parallel *parallel, struct err *e)
{
    *p = (struct model_probe){
        .model = m, .context = m->config.context < CONTEXT ? m->config.context : CONTEXT};
    struct llama_state_settings set = {
        .max_rows = ROWS,
        .max_logits = ROWS,
        .context = p->context,
        .kernel = q8_kernel_select(cpu_features),
        .ops = ops_select(cpu_features),
        .parallel = *parallel,
    };
    p->state = llama_state_create(&m->config, &set, e);
    if (!p->state || kv_cache_init(&p->kv, &m->config, OPS_F16, 1, p->context, 0, e) != 0) {
        model_probe_close(p);
        return -1;
    }
    return 0;
}

void model_probe_close(struct model_probe *p)
{
    kv_cache_deinit(&p->kv);
    llama_state_destroy(p->state);
    *p = (struct model_probe){0};
}

/* -log softmax(logits)[token]; not finite when the logits are not. */
static double loss_of(const float *logits, int vocab, int32_t token)
{
    double max = -INFINITY, sum = 0.0;
    if (vocab <= 0) {
        return INFINITY;
    }
    for (int i = 0; i < vocab; i++) {
        max = (double)logits[i] > max ? (double)logits[i] : max;
    }
    for (int i = 0; i < vocab; i++) {
        sum += exp((double)logits[i] - max);
    }
    return log(sum) + max - (double)logits[token];
}

/* The sum over a window: each token but the first is predicted from those before it. */
static double window_loss(struct model_probe *p, const int32_t *tokens, int n)
{
    struct llama_row rows[ROWS];
    double total = 0.0;
    for (int at = 0; at < n;) {
        int n_rows = 0;
        for (; n_rows < ROWS && at + n_rows < n; n_rows++) {
            rows[n_rows] = (struct llama_row){
                .token = tokens[at + n_rows], .position = at + n_rows, .want_logits = true};
        }
        llama_step(p->state, &p->model->weights, &p->kv, rows, n_rows);
        for (int i = 0; i < n_rows && at + i + 1 < n; i++) {
            total +=
                loss_of(llama_logits(p->state, i), p->model->config.vocab, tokens[at + i + 1]);
        }
        at += n_rows;
    }
    return total;
}

static size_t bytes_of(const struct tokenizer *t, const int32_t *tokens, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        tokenizer_token_bytes(t, tokens[i], &len);
        bytes += len;
    }
    return bytes;
}

int model_probe_loss(struct model_probe *p, const char *text, size_t len, double *loss,
                     struct err *e)
{
    struct token_list tokens = {0};
    const struct tokenizer *t = p->model->tokenizer;
    double total = 0.0;
    size_t bytes = 0;
    if (tokenizer_encode(t, text, len, false, &tokens, e) != 0) {
        return -1;
    }
    if (tokens.count > MODEL_PROBE_TOKENS_MAX) {
        tokens.count = MODEL_PROBE_TOKENS_MAX;
    }
    bool is_stopped = false;
    for (size_t at = 0; at + 1 < tokens.count && !is_stopped; at += (size_t)p->context) {
        size_t left = tokens.count - at;
        size_t n = left < (size_t)p->context ? left : (size_t)p->context;
        total += window_loss(p, tokens.ids + at, (int)n);
        bytes += bytes_of(t, tokens.ids + at + 1, n - 1);
        is_stopped = p->stop && atomic_load(p->stop);
    }
    token_list_deinit(&tokens);
    if (is_stopped) {
        return err_set(e, ERR_CANCELED, "the loss is not wanted any more");
    }
    if (bytes == 0) {
        return err_set(e, ERR_INVALID, "the text for the loss is too short");
    }
    *loss = total / (double)bytes;
    return isfinite(*loss)
               ? 0
               : err_set(e, ERR_FORMAT, "the model's loss on the text is not finite");
}

uint64_t model_probe_step_ns(struct model_probe *p)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < STEP_BEGIN + STEPS && i < p->context; i++) {
        struct llama_row row = {
            .token = (i * 31 + 7) % p->model->config.vocab, .position = i, .want_logits = true};
        uint64_t begin = clock_thread_ns();
        llama_step(p->state, &p->model->weights, &p->kv, &row, 1);
        uint64_t took = clock_thread_ns() - begin;
        best = i >= STEP_BEGIN && took < best ? took : best;
    }
    return best;
}
