#include "models/arch/llama_state.h"

#include <math.h>

#include "models/arch/llama_adapt.h"
#include "models/arch/llama_mixture.h"
#include "runtime/base/mem.h"

/* factors NULL: not scaled. Numbers behind those that are turned turn by no angle. */
static void fill_rope_table(const struct llama_state *s, struct llama_rope_table *t, float base,
                            const float *factors)
{
    float magnitude = factors ? s->c.rope_magnitude : 1.0f;
    size_t turned = (size_t)s->c.rope_dims / 2;
    for (int pos = 0; pos < s->set.context; pos++) {
        float *cosines = t->cos + (size_t)pos * s->half_head;
        float *sines = t->sin + (size_t)pos * s->half_head;
        for (size_t i = 0; i < turned; i++) {
            double exponent = -2.0 * (double)i / (double)s->c.rope_dims;
            double factor = factors ? (double)factors[i] : 1.0;
            double angle = (double)pos * pow((double)base, exponent) / factor;
            cosines[i] = magnitude * (float)cos(angle);
            sines[i] = magnitude * (float)sin(angle);
        }
        for (size_t i = turned; i < s->half_head; i++) {
            cosines[i] = 1.0f;
            sines[i] = 0.0f;
        }
    }
}

static bool has_window_rope(const struct llama_state *s)
{
    return s->c.rope_base_window > 0.0f;
}

static void fill_rope_tables(struct llama_state *s)
{
    bool is_long = s->c.rope_trained > 0 && s->set.context > s->c.rope_trained;
    fill_rope_table(s, &s->rope, s->c.rope_base,
                    is_long ? s->c.rope_factor_long : s->c.rope_factor);
    if (has_window_rope(s)) {
        fill_rope_table(s, &s->rope_window, s->c.rope_base_window, NULL);
    }
}

static float *floats(size_t rows, size_t width)
{
    size_t bytes;
    if (__builtin_mul_overflow(rows, width, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof(float), &bytes)) {
        return NULL;
    }
    return mem_zalloc_aligned(bytes);
}

static bool makes_vectors(const struct llama_state *s)
{
    return s->c.encoder || s->set.vectors;
}

static size_t max2(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Numbers that ranks exchange at once at the most. */
static size_t exchanged(const struct llama_state *s)
{
    size_t rows = (size_t)s->set.max_rows;
    size_t n = rows * max2(max2(s->d, s->q_dim), s->ff);
    n = max2(n, (size_t)s->set.max_logits * s->split_vocab.width);
    return s->c.n_experts > 0 ? max2(n, llama_mixture_numbers(&s->c, rows)) : n;
}

/* What only a rank among others needs. */
static bool allocate_shared(struct llama_state *s)
{
    size_t rows = (size_t)s->set.max_rows;
    if (!s->exchange.ranks) {
        return true;
    }
    s->hidden = floats(rows, max2(s->ff, 1));
    s->embed_place = mem_zarray(rows, sizeof(*s->embed_place));
    if (s->c.qk_norm == LLAMA_QK_NORM_ROW) {
        s->whole = floats(rows, s->q_dim);
    }
    return s->hidden && s->embed_place && (s->c.qk_norm != LLAMA_QK_NORM_ROW || s->whole);
}

static bool allocate(struct llama_state *s)
{
    size_t rows = (size_t)s->set.max_rows;
    size_t context = (size_t)s->set.context;
    size_t widest = max2(max2(s->d, s->q_dim), s->ff);
    s->scores_per_worker = (ops_attention_scratch(context) + 15) / 16 * 16;
    s->x = floats(rows, s->d);
    s->normed = floats(rows, s->d);
    s->qkv = floats(rows, s->qkv_dim);
    s->mixed = floats(rows, s->q_dim);
    s->gate_up = floats(rows, max2(s->up_dim, 1));
    s->update = floats(rows, s->d);
    s->logits = floats((size_t)s->set.max_logits, makes_vectors(s) ? 1 : (size_t)s->c.vocab);
    s->rope =
        (struct llama_rope_table){floats(context, s->half_head), floats(context, s->half_head)};
    if (has_window_rope(s)) {
        s->rope_window = (struct llama_rope_table){floats(context, s->half_head),
                                                   floats(context, s->half_head)};
        if (!s->rope_window.cos || !s->rope_window.sin) {
            return false;
        }
    }
    s->scores = floats((size_t)s->set.parallel.n_workers, s->scores_per_worker);
    s->in_block = mem_zalloc_aligned(llama_input_bytes(s->set.precision, rows, widest));
    if (s->in_block) {
        llama_input_init(&s->in_d, s->set.precision, s->in_block, rows, s->d);
        llama_input_init(&s->in_q, s->set.precision, s->in_block, rows, s->q_dim);
        llama_input_init(&s->in_ff, s->set.precision, s->in_block, rows, s->ff);
    }
    s->runs = mem_zarray(rows, sizeof(*s->runs));
    s->wanted = mem_zarray((size_t)s->set.max_logits, sizeof(*s->wanted));
    return s->x && s->normed && s->qkv && s->mixed && s->gate_up && s->update && s->logits &&
           s->rope.cos && s->rope.sin && s->scores && s->in_block && s->runs && s->wanted &&
           allocate_shared(s);
}

static void choose_shares(struct llama_state *s)
{
    const struct llama_config *c = &s->c;
    int n_ranks = c->n_ranks > 1 ? c->n_ranks : 1;
    size_t hd = (size_t)c->head_dim;
    s->half_head = hd / 2;
    llama_split_init(&s->split_d, (size_t)c->d_model, Q8_TILE, n_ranks);
    llama_split_init(&s->split_ff, (size_t)c->d_ff, Q8_TILE, n_ranks);
    llama_split_queries(&s->split_q, c);
    s->heads = llama_share_heads(c);
    llama_split_init(&s->split_kv, (size_t)c->n_kv_heads * hd, hd, n_ranks);
    llama_split_init(&s->split_vocab, (size_t)c->vocab, Q8_TILE, n_ranks);
    s->d = s->split_d.width;
    s->ff = s->split_ff.width;
    s->q_dim = s->split_q.width;
    s->kv_dim = s->split_kv.width;
    s->own_ff = llama_split_own(&s->split_ff, c->rank);
    s->own_q = llama_split_own(&s->split_q, c->rank);
    s->own_kv = (s->heads.kv.end - s->heads.kv.first) * hd;
    s->qkv_dim = s->own_q + 2 * s->own_kv;
    s->up_dim = c->ungated ? s->own_ff : 2 * s->own_ff;
}

/* A model that is shared out runs among the ranks that share it, and no other does. */
static int check_ranks(const struct llama_config *c, const struct llama_state_settings *set,
                       struct err *e)
{
    const struct ranks *ranks = set->parallel.ranks;
    int n = ranks ? ranks->n_ranks : 0;
    if (n != c->n_ranks || (ranks && ranks->rank != c->rank)) {
        return err_set(e, ERR_INVALID, "rank %d of %d has a model that is share %d of %d",
                       ranks ? ranks->rank : 0, n, c->rank, c->n_ranks);
    }
    return ranks && set->adapters
               ? err_set(e, ERR_UNSUPPORTED, "adapters cannot be shared out among ranks")
               : 0;
}

struct llama_state *llama_state_create(const struct llama_config *c,
                                       const struct llama_state_settings *set, struct err *e)
{
    struct llama_state *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    s->c = *c;
    s->set = *set;
    choose_shares(s);
    if (check_ranks(c, set, e) != 0 ||
        llama_exchange_init(&s->exchange, &set->parallel, exchanged(s), set->give_up, e) != 0) {
        llama_state_destroy(s);
        return NULL;
    }
    if (c->learned_positions && set->context > c->context) {
        err_set(e, ERR_LIMIT, "the model knows %d positions, a context of %d was asked for",
                c->context, set->context);
        llama_state_destroy(s);
        return NULL;
    }
    if (c->n_experts > 0 && !(s->mixture = llama_mixture_create(c, set, &s->exchange, e))) {
        llama_state_destroy(s);
        return NULL;
    }
    if (!allocate(s) || (set->adapters && !(s->adapt = llama_adapt_create(set->max_rows)))) {
        llama_state_destroy(s);
        err_set(e, ERR_NOMEM, "no memory for the working space of a step of %d rows",
                set->max_rows);
        return NULL;
    }
    fill_rope_tables(s);
    return s;
}

void llama_state_destroy(struct llama_state *s)
{
    if (!s) {
        return;
    }
    float *arrays[] = {
        s->x,      s->normed,   s->qkv,      s->mixed,           s->gate_up,         s->update,
        s->logits, s->rope.cos, s->rope.sin, s->rope_window.cos, s->rope_window.sin, s->scores,
        s->hidden, s->whole};
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        mem_free_aligned(arrays[i]);
    }
    llama_mixture_destroy(s->mixture);
    llama_adapt_destroy(s->adapt);
    llama_exchange_deinit(&s->exchange);
    mem_free_aligned(s->in_block);
    mem_free(s->embed_place);
    mem_free(s->runs);
    mem_free(s->wanted);
    mem_free(s);
}
