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

void llama_split_queries(struct llama_split *s, const struct llama_config *c)
{
    size_t hd = (size_t)c->head_dim, group = (size_t)(c->n_heads / c->n_kv_heads);
    int n_ranks = c->n_ranks > 1 ? c->n_ranks : 1;
    size_t unit = n_ranks <= c->n_kv_heads ? group * hd : hd;
    llama_split_init(s, (size_t)c->n_heads * hd, unit, n_ranks);
}

struct llama_share_heads llama_share_heads(const struct llama_config *c)
{
    struct llama_split s;
    if (c->n_ranks <= 1) {
        return (struct llama_share_heads){.query = {0, (size_t)c->n_heads},
                                          .kv = {0, (size_t)c->n_kv_heads}};
    }
    size_t hd = (size_t)c->head_dim, group = (size_t)(c->n_heads / c->n_kv_heads);
    llama_split_queries(&s, c);
    struct llama_range query = {s.at[c->rank] / hd, s.at[c->rank + 1] / hd};
    return (struct llama_share_heads){
        .query = query, .kv = {query.first / group, (query.end + group - 1) / group}};
}

struct llama_range llama_share_rows(const struct llama_config *c, size_t n,
                                    enum llama_rows what)
{
    struct llama_split s;
    if (what == LLAMA_ROWS_PLAIN) {
        llama_split_init(&s, n, Q8_TILE, c->n_ranks > 1 ? c->n_ranks : 1);
        return (struct llama_range){s.at[c->rank], s.at[c->rank + 1]};
    }
    size_t hd = (size_t)c->head_dim;
    struct llama_share_heads own = llama_share_heads(c);
    struct llama_range heads = what == LLAMA_ROWS_QUERIES ? own.query : own.kv;
    return (struct llama_range){heads.first * hd, heads.end * hd};
}

int llama_share_check(const struct llama_config *c, struct err *e)
{
    const struct {
        const char *what;
        int n, unit;
    } parts[] = {
        {"query heads", c->n_heads, 1},
        {"numbers in the residual stream", c->d_model, Q8_TILE},
        {"numbers in the feed-forward network", c->d_ff, Q8_TILE},
        {"numbers in an expert", c->d_ff_expert, Q8_TILE},
        {"tokens in the vocabulary", c->vocab, Q8_TILE},
    };
    if (c->encoder) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "an encoder (%s) cannot be shared out among ranks; run it in one process", c->arch);
    }
    /* A share begins with a tile of its own. */
    if (c->n_ranks > 1 && c->head_dim % Q8_TILE != 0) {
        return err_set(e, ERR_UNSUPPORTED,
                       "heads of %d numbers cannot be shared out among ranks, multiples of %d "
                       "can; run the model in one process",
                       c->head_dim, Q8_TILE);
    }
    if (c->n_ranks > RANKS_MAX) {
        return err_set(e, ERR_LIMIT, "%d ranks, at most %d can share a model", c->n_ranks,
                       RANKS_MAX);
    }
    if (c->qk_norm == LLAMA_QK_NORM_ROW && c->n_ranks > c->n_kv_heads) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "the model normalises its %d KV heads together, too few for %d ranks; run "
            "at most %d",
            c->n_kv_heads, c->n_ranks, c->n_kv_heads);
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
