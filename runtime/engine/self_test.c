#include "runtime/engine/self_test.h"

#include <math.h>
#include <string.h>

#include "models/arch/llama_step.h"
#include "runtime/base/mem.h"

#define TOKENS 8

static int compare_ways(struct llama_state *state, struct kv_cache *kv, const struct model *m,
                        float *first, struct err *e)
{
    struct llama_row rows[TOKENS];
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

int self_test_run(const struct model *m, uint32_t cpu_features, struct err *e)
{
    struct kv_cache kv = {0};
    int context = m->config.context < TOKENS ? m->config.context : TOKENS;
    struct llama_state_settings set = {
        .max_rows = TOKENS,
        .max_logits = 1,
        .context = context,
        .kernel = q8_kernel_select(cpu_features),
        .ops = ops_select(cpu_features),
        .parallel = parallel_none,
    };
    int rc = -1;
    float *first = mem_zarray((size_t)m->config.vocab, sizeof(float));
    struct llama_state *state = first ? llama_state_create(&m->config, &set, e) : NULL;
    if (!first) {
        err_nomem(e);
    } else if (state && kv_cache_init(&kv, &m->config, OPS_F16, 1, context, 0, e) == 0) {
        rc = compare_ways(state, &kv, m, first, e);
    }
    kv_cache_deinit(&kv);
    llama_state_destroy(state);
    mem_free(first);
    return rc;
}
