#include "runtime/engine/self_test.h"

#include <math.h>
#include <string.h>

#include "models/arch/llama_embed.h"
#include "runtime/base/mem.h"

#define TOKENS 8

static int compare_ways(struct llama_state *state, struct kv_cache *kv, const struct model *m,
                        float *first, struct err *e)
{
    struct llama_row rows[TOKENS] = {{0}};
    size_t vocab = (size_t)m->config.vocab;
    int n = m->config.context < TOKENS ? m->config.context : TOKENS;
    for (int i = 0; i < n; i++) {
        rows[i] = (struct llama_row){
            .token = (i * 31 + 7) % m->config.vocab, .position = i, .want_logits = i == n - 1};
    }
    llama_step(state, &m->weights, kv, rows, n);
    memcpy(first, llama_logits(state, 0), vocab * sizeof(float));
    for (size_t i = 0; i < vocab; i++) {
        if (!isfinite(first[i])) {
            return err_set(e, ERR_FORMAT, "self-test: the model's logits are not finite");
        }
    }
    for (int i = 0; i < n; i++) {
        llama_step(state, &m->weights, kv, &rows[i], 1);
    }
    if (memcmp(first, llama_logits(state, 0), vocab * sizeof(float)) != 0) {
        return err_set(e, ERR_FORMAT, "self-test: logits depend on how the prompt is cut");
    }
    return 0;
}

/* Of an encoder: a text alone, and beside another one in the same step. */
static int compare_companies(struct llama_state *state, struct kv_cache *kv,
                             const struct model *m, float *vectors, struct err *e)
{
    int32_t tokens[TOKENS];
    size_t d = (size_t)m->config.d_model;
    size_t n = kv->context < TOKENS / 2 ? (size_t)kv->context : TOKENS / 2;
    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = (i * 31 + 7) % m->config.vocab;
    }
    const struct llama_text text = {tokens, n, vectors};
    const struct llama_text pair[] = {{tokens + n, n, vectors + 2 * d},
                                      {tokens, n, vectors + d}};
    if (llama_embed(state, &m->config, &m->weights, kv, &text, 1, e) != 0 ||
        llama_embed(state, &m->config, &m->weights, kv, pair, 2, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < d; i++) {
        if (!isfinite(vectors[i])) {
            return err_set(e, ERR_FORMAT, "self-test: the model's vectors are not finite");
        }
    }
    return memcmp(vectors, vectors + d, d * sizeof(float)) == 0
               ? 0
               : err_set(e, ERR_FORMAT, "self-test: a vector depends on the texts beside it");
}

int self_test_run(const struct model *m, const struct ranks *ranks, uint32_t cpu_features,
                  struct err *e)
{
    struct kv_cache kv = {0};
    int context = m->config.context < TOKENS ? m->config.context : TOKENS;
    struct llama_state_settings set = {
        .max_rows = TOKENS,
        .max_logits = m->config.encoder ? TOKENS : 1,
        .context = context,
        .kernel = q8_kernel_select(cpu_features),
        .ops = ops_select(cpu_features),
        .parallel = parallel_none,
    };
    set.parallel.ranks = ranks;
    int rc = -1;
    size_t d = (size_t)m->config.d_model, vocab = (size_t)m->config.vocab;
    float *first = mem_zarray(m->config.encoder ? 3 * d : vocab, sizeof(float));
    struct llama_state *state = first ? llama_state_create(&m->config, &set, e) : NULL;
    if (!first) {
        err_nomem(e);
    } else if (state && kv_cache_init(&kv, &m->config, OPS_F16, 2, context, 0, e) == 0) {
        rc = (m->config.encoder ? compare_companies : compare_ways)(state, &kv, m, first, e);
    }
    kv_cache_deinit(&kv);
    llama_state_destroy(state);
    mem_free(first);
    return rc;
}
