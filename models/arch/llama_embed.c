#include "models/arch/llama_embed.h"

#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"

/* Sums of many vectors in double: in which order they come hardly matters then. */
static void pool(const struct llama_state *s, enum llama_pooling how, size_t n, size_t d,
                 float *out)
{
    size_t first = how == LLAMA_POOL_LAST ? n - 1 : 0;
    size_t end = how == LLAMA_POOL_FIRST ? 1 : n;
    for (size_t i = 0; i < d; i++) {
        double sum = 0.0;
        for (size_t t = first; t < end; t++) {
            sum += (double)llama_vector(s, (int)t)[i];
        }
        out[i] = (float)(sum / (double)(end - first));
    }
}

static void scale_to_one(float *x, size_t d)
{
    double squares = 0.0;
    for (size_t i = 0; i < d; i++) {
        squares += (double)x[i] * (double)x[i];
    }
    double length = sqrt(squares);
    for (size_t i = 0; i < d && length > 0.0; i++) {
        x[i] = (float)((double)x[i] / length);
    }
}

int llama_embed(struct llama_state *s, const struct llama_config *c,
                const struct llama_weights *w, struct kv_cache *kv, const int32_t *tokens,
                size_t n, float *out, struct err *e)
{
    if (n == 0 || n > (size_t)kv->context) {
        return err_set(e, ERR_LIMIT, "a text of %zu tokens; 1 to %d can be embedded", n,
                       kv->context);
    }
    struct llama_row *rows = mem_zarray(n, sizeof(*rows));
    if (!rows) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        rows[i] =
            (struct llama_row){.token = tokens[i], .position = (int32_t)i, .want_logits = true};
    }
    llama_step(s, w, kv, rows, (int)n);
    mem_free(rows);
    pool(s, c->pooling, n, (size_t)c->d_model, out);
    scale_to_one(out, (size_t)c->d_model);
    return 0;
}
