#include "runtime/engine/self_test.h"

#include <math.h>
#include <string.h>

#include "models/arch/llama_embed.h"
#include "runtime/base/mem.h"

#define TOKENS 8

static bool are_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            return false;
        }
    }
    return true;
}

static int compare_ways(struct self_test *t, struct err *e)
{
    const struct model *m = t->model;
    struct llama_row rows[TOKENS] = {{0}};
    size_t vocab = (size_t)m->config.vocab;
    int n = t->kv.context;
    for (int i = 0; i < n; i++) {
        rows[i] = (struct llama_row){
            .token = (i * 31 + 7) % m->config.vocab, .position = i, .want_logits = i == n - 1};
    }
    llama_step(t->state, &m->weights, &t->kv, rows, n);
    memcpy(t->results, llama_logits(t->state, 0), vocab * sizeof(float));
    for (int i = 0; i < n; i++) {
        llama_step(t->state, &m->weights, &t->kv, &rows[i], 1);
    }
    /* Not before the last step: other ranks compute them all. */
    if (!are_finite(t->results, vocab)) {
        return err_set(e, ERR_FORMAT, "self-test: the model's logits are not finite");
    }
    return memcmp(t->results, llama_logits(t->state, 0), vocab * sizeof(float)) == 0
               ? 0
               : err_set(e, ERR_FORMAT, "self-test: logits depend on how the prompt is cut");
}

/* Of an encoder: a text alone, and beside another one in the same step. */
static int compare_companies(struct self_test *t, struct err *e)
{
    const struct model *m = t->model;
    float *vectors = t->results;
    int32_t tokens[TOKENS];
    size_t d = (size_t)m->config.d_model;
    size_t n = t->kv.context < TOKENS / 2 ? (size_t)t->kv.context : TOKENS / 2;
    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = (i * 31 + 7) % m->config.vocab;
    }
    const struct llama_text text = {tokens, n, vectors};
    const struct llama_text pair[] = {{tokens + n, n, vectors + 2 * d},
                                      {tokens, n, vectors + d}};
    if (llama_embed(t->state, &m->config, &m->weights, &t->kv, &text, 1, e) != 0 ||
        llama_embed(t->state, &m->config, &m->weights, &t->kv, pair, 2, e) != 0) {
        return -1;
    }
    if (!are_finite(vectors, d)) {
        return err_set(e, ERR_FORMAT, "self-test: the model's vectors are not finite");
    }
    return memcmp(vectors, vectors + d, d * sizeof(float)) == 0
               ? 0
               : err_set(e, ERR_FORMAT, "self-test: a vector depends on the texts beside it");
}

int self_test_init(struct self_test *t, const struct model *m, const struct ranks *ranks,
                   uint32_t cpu_features, struct err *e)
{
    const struct llama_config *c = &m->config;
    int context = c->context < TOKENS ? c->context : TOKENS;
    struct llama_state_settings set = {
        .max_rows = TOKENS,
        .max_logits = c->encoder ? TOKENS : 1,
        .context = context,
        .kernel = q8_kernel_select(cpu_features),
        .ops = ops_select(cpu_features),
        .parallel = parallel_none,
    };
    set.parallel.ranks = ranks;
    *t = (struct self_test){.model = m};
    t->results =
        mem_zarray(c->encoder ? 3 * (size_t)c->d_model : (size_t)c->vocab, sizeof(*t->results));
    if (!t->results) {
        return err_nomem(e);
    }
    t->state = llama_state_create(c, &set, e);
    return t->state ? kv_cache_init(&t->kv, c, OPS_F16, 2, context, 0, e) : -1;
}

int self_test_run(struct self_test *t, struct err *e)
{
    return t->model->config.encoder ? compare_companies(t, e) : compare_ways(t, e);
}

void self_test_deinit(struct self_test *t)
{
    kv_cache_deinit(&t->kv);
    llama_state_destroy(t->state);
    mem_free(t->results);
    *t = (struct self_test){0};
}
