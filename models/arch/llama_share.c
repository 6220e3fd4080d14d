#include "models/arch/llama_share.h"

#include "models/parallel.h"
#include "quant/q8.h"

void llama_split_init(struct llama_split *s, size_t n, size_t unit, int n_ranks)
{
    size_t units = (n + unit - 1) / unit;
    *s = (struct llama_split){.width = n};
    for (int i = 0; i < n_ranks; i++) {
        size_t first, end;
        parallel_share(units, i, n_ranks, &first, &end);
        s->at[i + 1] = end * unit < n ? end * unit : n;
    }
}

static struct llama_range range_of(const struct llama_config *c, size_t n, size_t unit)
{
    struct llama_split s;
    if (c->n_ranks <= 1) {
        return (struct llama_range){0, n};
    }
    llama_split_init(&s, n, unit, c->n_ranks);
    return (struct llama_range){s.at[c->rank], s.at[c->rank + 1]};
}

struct llama_range llama_share_rows(const struct llama_config *c, size_t n, bool heads)
{
    return range_of(c, n, heads ? n / (size_t)c->n_kv_heads : Q8_TILE);
}

struct llama_range llama_share_heads(const struct llama_config *c)
{
    return range_of(c, (size_t)c->n_kv_heads, 1);
}

int llama_share_check(const struct llama_config *c, struct err *e)
{
    const struct {
        const char *what;
        int n, unit;
    } parts[] = {
        {"KV heads", c->n_kv_heads, 1},
        {"numbers in the residual stream", c->d_model, Q8_TILE},
        {"numbers in the feed-forward network", c->d_ff, Q8_TILE},
        {"numbers in an expert", c->d_ff_expert, Q8_TILE},
        {"tokens in the vocabulary", c->vocab, Q8_TILE},
    };
    if (c->encoder) {
        return err_set(e, ERR_UNSUPPORTED,
                       "an encoder (%s) cannot be shared out among ranks; run it in one process",
                       c->arch);
    }
    if (c->n_ranks > RANKS_MAX) {
        return err_set(e, ERR_LIMIT, "%d ranks, at most %d can share a model", c->n_ranks,
                       RANKS_MAX);
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        int units = (parts[i].n + parts[i].unit - 1) / parts[i].unit;
        if (parts[i].n > 0 && units < c->n_ranks) {
            return err_set(e, ERR_UNSUPPORTED,
                           "the model has %d %s, too few for %d ranks; run at most %d",
                           parts[i].n, parts[i].what, c->n_ranks, units);
        }
    }
    return 0;
}
