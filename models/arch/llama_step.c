#include "models/arch/llama_step.h"

#include <string.h>

#include "models/arch/llama_adapt.h"
#include "models/arch/llama_mixture.h"
#include "models/arch/llama_state.h"

#define ATTEND_ROWS \
    64 /* rows whose attention one worker computes before it is another's turn */

const float *llama_logits(const struct llama_state *s, int i)
{
    return s->logits + (size_t)i * (size_t)s->c.vocab;
}

const float *llama_vector(const struct llama_state *s, int i)
{
    /* An encoder's last norm is that of its last layer, and in place. */
    return (s->c.encoder ? s->x : s->normed) + (size_t)i * s->d;
}

int llama_state_max_rows(const struct llama_state *s)
{
    return s->set.max_rows;
}

/* --- the stages of a step; each is called by every worker on its share --- */

static void apply_norm(const struct llama_state *s, float *y, const float *x,
                       const struct llama_norm *norm, size_t n)
{
    if (norm->bias) {
        s->set.ops->layernorm(y, x, norm->weight, norm->bias, s->c.norm_eps, n);
    } else {
        s->set.ops->rmsnorm(y, x, norm->weight, s->c.norm_eps, n);
    }
}

/* --- between ranks --- */

/* Behind it a worker has whole rows, those of its share. Every worker's columns of all rows are
 * where own_columns says. */
static void collect(struct llama_state *s, const struct llama_split *split, float *rows,
                    size_t n_rows, int worker, int n_workers)
{
    llama_exchange_collect(&s->exchange, split, rows, n_rows, worker, n_workers);
}

static float *own_columns(const struct llama_state *s, const struct llama_split *split,
                          size_t n_rows, float *alone)
{
    return llama_exchange_own(&s->exchange, split, n_rows, alone);
}

/* The rank that has a token's row of the embedding. */
static int embedder_of(const struct llama_state *s, int32_t token)
{
    int rank = 0;
    while ((size_t)token >= s->split_vocab.at[rank + 1]) {
        rank++;
    }
    return rank;
}

/* A rank's rows are one block, as if they were columns of d rows. */
static void place_embeds(struct llama_state *s)
{
    size_t counts[RANKS_MAX] = {0};
    if (!s->exchange.ranks) {
        return;
    }
    for (size_t r = 0; r < s->n_rows; r++) {
        s->embed_place[r] = counts[embedder_of(s, s->rows[r].token)]++;
    }
    for (int i = 0; i < s->exchange.ranks->n_ranks; i++) {
        s->embeds.at[i + 1] = s->embeds.at[i] + counts[i];
    }
}

static void look_up_shared(struct llama_state *s, size_t r0, size_t r1, int worker)
{
    int rank = s->c.rank;
    float *own = own_columns(s, &s->embeds, s->d, NULL);
    for (size_t r = r0; r < r1; r++) {
        int32_t token = s->rows[r].token;
        if (embedder_of(s, token) == rank) {
            llama_matrix_row(own + s->embed_place[r] * s->d, &s->w->embedding,
                             (size_t)token - s->split_vocab.at[rank]);
        }
    }
    llama_exchange_meet(&s->exchange, &s->embeds, s->d, true, worker);
    for (size_t r = r0; r < r1; r++) {
        const float *from =
            llama_exchange_of(&s->exchange, &s->embeds, s->d, embedder_of(s, s->rows[r].token));
        memcpy(s->x + r * s->d, from + s->embed_place[r] * s->d, s->d * sizeof(float));
    }
}

/* --- stages of a step --- */

static void look_up(struct llama_state *s, size_t r0, size_t r1)
{
    for (size_t r = r0; r < r1; r++) {
        llama_matrix_row(s->x + r * s->d, &s->w->embedding, (size_t)s->rows[r].token);
    }
}

static void embed(struct llama_state *s, size_t r0, size_t r1, int worker)
{
    if (s->exchange.ranks) {
        look_up_shared(s, r0, r1, worker);
    } else {
        look_up(s, r0, r1);
    }
    for (size_t r = r0; r < r1; r++) {
        float *x = s->x + r * s->d;
        if (s->c.embedding_scale != 1.0f) {
            s->set.ops->scale(x, s->c.embedding_scale, s->d);
        }
        if (s->w->positions) {
            s->set.ops->add(x, s->w->positions + (size_t)s->rows[r].position * s->d, s->d);
        }
        if (s->w->token_type) {
            s->set.ops->add(x, s->w->token_type, s->d);
        }
        if (s->w->embedding_norm.weight) {
            apply_norm(s, x, x, &s->w->embedding_norm, s->d);
        }
    }
}

/* The input of the next product, each row quantised while it is still in the first cache. No
 * norm: rows as they are. */
static void normalise(struct llama_state *s, const struct llama_norm *norm, size_t r0,
                      size_t r1)
{
    const float *from = norm->weight ? s->normed : s->x;
    for (size_t r = r0; r < r1; r++) {
        if (norm->weight) {
            apply_norm(s, s->normed + r * s->d, s->x + r * s->d, norm, s->d);
        }
        llama_input_set(&s->in_d, s->set.kernel, from, s->d, r, r + 1);
    }
}

/* The input of the feed-forward network. */
static void feed(struct llama_state *s, const struct llama_layer *layer, size_t r0, size_t r1)
{
    if (s->c.parallel_residual) {
        llama_input_set(&s->in_d, s->set.kernel, s->normed, s->d, r0, r1);
    } else {
        normalise(s, &layer->ffn_norm, r0, r1);
    }
}

/* Adds what a block made to the residual stream. A norm behind the block is of what it made, in
 * an encoder of the sum. */
static void add_update(struct llama_state *s, const struct llama_norm *post_norm, size_t r0,
                       size_t r1)
{
    for (size_t r = r0; r < r1; r++) {
        float *x = s->x + r * s->d, *update = s->update + r * s->d;
        if (post_norm->weight && !s->c.encoder) {
            apply_norm(s, update, update, post_norm, s->d);
        }
        if (s->c.residual_scale != 1.0f) {
            s->set.ops->scale(update, s->c.residual_scale, s->d);
        }
        s->set.ops->add(x, update, s->d);
        if (s->c.encoder) {
            apply_norm(s, x, x, post_norm, s->d);
        }
    }
}

/* Each head of n numbers in all; those from `first` on of the whole row. */
static void normalise_heads(const struct llama_state *s, const struct llama_norm *norm,
                            float *x, size_t n, size_t first)
{
    size_t hd = (size_t)s->c.head_dim;
    bool own = s->c.qk_norm == LLAMA_QK_NORM_OWN;
    for (size_t at = 0; at < n; at += hd) {
        size_t from = own ? first + at : 0;
        const struct llama_norm of_head = {norm->weight + from,
                                           norm->bias ? norm->bias + from : NULL};
        apply_norm(s, x + at, x + at, &of_head, hd);
    }
}

/* Some architectures normalise queries and keys before they are turned. */
static void normalise_qk(const struct llama_state *s, const struct llama_layer *layer, float *q)
{
    float *k = q + s->own_q;
    if (s->c.qk_norm == LLAMA_QK_NORM_ROW && !s->exchange.ranks) {
        apply_norm(s, q, q, &layer->q_norm, s->q_dim);
        apply_norm(s, k, k, &layer->k_norm, s->kv_dim);
    } else if (s->c.qk_norm == LLAMA_QK_NORM_HEAD || s->c.qk_norm == LLAMA_QK_NORM_OWN) {
        normalise_heads(s, &layer->q_norm, q, s->own_q, s->split_q.at[s->c.rank]);
        normalise_heads(s, &layer->k_norm, k, s->own_kv,
                        s->heads.kv.first * (size_t)s->c.head_dim);
    }
}

/* All heads of a row together, which lie on all ranks. x: this rank's, (n_rows, qkv_dim). */
static void normalise_shared_rows(struct llama_state *s, const struct llama_split *split,
                                  const struct llama_norm *norm, float *x, int worker,
                                  int n_workers)
{
    size_t r0, r1, n = s->n_rows, own = llama_split_own(split, s->c.rank);
    float *to = own_columns(s, split, n, NULL);
    parallel_share(n, worker, n_workers, &r0, &r1);
    for (size_t r = r0; r < r1; r++) {
        memcpy(to + r * own, x + r * s->qkv_dim, own * sizeof(float));
    }
    collect(s, split, s->whole, n, worker, n_workers);
    for (size_t r = r0; r < r1; r++) {
        float *whole = s->whole + r * split->width;
        apply_norm(s, whole, whole, norm, split->width);
        memcpy(x + r * s->qkv_dim, whole + split->at[s->c.rank], own * sizeof(float));
    }
    s->set.parallel.barrier(s->set.parallel.team);
}

/* Whether a layer is the last of so many; of a period of 0 none is. */
static bool ends_period(int layer, int period)
{
    return period > 0 && layer % period == period - 1;
}

/* Positions that a layer sees; 0: all. */
static size_t window_of(const struct llama_state *s, int layer)
{
    return ends_period(layer, s->c.window_period) ? 0 : (size_t)s->c.window;
}

/* How a layer turns queries and keys; NULL: not at all. */
static const struct llama_rope_table *rope_of(const struct llama_state *s, int layer)
{
    if (s->c.learned_positions || ends_period(layer, s->c.no_rope_period)) {
        return NULL;
    }
    return s->rope_window.cos && window_of(s, layer) > 0 ? &s->rope_window : &s->rope;
}

static void rotate_and_store(struct llama_state *s, int layer, size_t r0, size_t r1)
{
    const struct ops *ops = s->set.ops;
    const struct llama_rope_table *rope = rope_of(s, layer);
    size_t hd = (size_t)s->c.head_dim;
    for (size_t r = r0; r < r1; r++) {
        size_t position = (size_t)s->rows[r].position;
        float *q = s->qkv + r * s->qkv_dim;
        float *k = q + s->own_q;
        float *v = k + s->own_kv;
        normalise_qk(s, &s->w->layers[layer], q);
        if (rope) {
            const float *cos = rope->cos + position * s->half_head;
            const float *sin = rope->sin + position * s->half_head;
            ops->rope(q, s->own_q / hd, hd, cos, sin);
            ops->rope(k, s->own_kv / hd, hd, cos, sin);
        }
        for (size_t h = 0; h < s->own_kv / hd; h++) {
            struct ops_kv view = kv_cache_view(s->kv, s->rows[r].slot, layer, (int)h);
            ops->kv_store(&view, position, k + h * hd, v + h * hd);
        }
    }
}

/* Rows [row, row + n_rows) of a run for the own query heads of one KV head, of the own ones the
 * kv_head-th. */
static void attend_rows(struct llama_state *s, int layer, size_t kv_head,
                        const struct llama_run *run, size_t row, size_t n_rows, float *scratch)
{
    float *mixed = own_columns(s, &s->split_q, s->n_rows, s->mixed);
    size_t hd = (size_t)s->c.head_dim;
    size_t group = (size_t)(s->c.n_heads / s->c.n_kv_heads);
    size_t of_all = (s->heads.kv.first + kv_head) * group, begin = s->heads.query.first;
    size_t from = of_all > begin ? of_all : begin;
    size_t end = of_all + group < s->heads.query.end ? of_all + group : s->heads.query.end;
    const struct llama_row *first = &s->rows[run->first + row];
    struct ops_kv view = kv_cache_view(s->kv, first->slot, layer, (int)kv_head);
    s->set.ops->attend(&(struct ops_attention){
        .out = mixed + (run->first + row) * s->own_q + (from - begin) * hd,
        .out_stride = s->own_q,
        .q = s->qkv + (run->first + row) * s->qkv_dim + (from - begin) * hd,
        .q_stride = s->qkv_dim,
        .n_rows = n_rows,
        .n_heads = end - from,
        .n_past = (size_t)first->position,
        .n_seen = s->c.encoder ? run->n_rows : 0,
        .scale = s->c.attention_scale,
        .softcap = s->c.attention_softcap,
        .window = window_of(s, layer),
        .kv = &view,
        .scratch = scratch,
    });
}

/* Workers take turns at blocks of rows, so that three KV heads keep two workers busy. */
static void attend(struct llama_state *s, int layer, int worker, int n_workers)
{
    float *scratch = s->scores + (size_t)worker * s->scores_per_worker;
    size_t turn = 0, n_heads = s->own_kv / (size_t)s->c.head_dim;
    for (size_t i = 0; i < s->n_runs; i++) {
        const struct llama_run *run = &s->runs[i];
        for (size_t row = 0; row < run->n_rows; row += ATTEND_ROWS) {
            size_t left = run->n_rows - row;
            size_t n_rows = left < ATTEND_ROWS ? left : ATTEND_ROWS;
            for (size_t h = 0; h < n_heads; h++) {
                if (turn++ % (size_t)n_workers == (size_t)worker) {
                    attend_rows(s, layer, h, run, row, n_rows, scratch);
                }
            }
        }
    }
}

/* The rank's gate and up of this worker's rows become columns of the next product's input. */
static void activate(struct llama_state *s, size_t n_rows, size_t r0, size_t r1)
{
    const struct ops *ops = s->set.ops;
    size_t n = s->own_ff;
    float *own = own_columns(s, &s->split_ff, n_rows, NULL);
    for (size_t r = r0; r < r1; r++) {
        float *gate = s->gate_up + r * s->up_dim;
        if (s->c.ungated) {
            ops->gelu(gate, n);
        } else {
            (s->c.gelu ? ops->gelu_mul : ops->silu_mul)(gate, gate, gate + n, n);
        }
        if (own) {
            memcpy(own + r * n, gate, n * sizeof(float));
        } else {
            llama_input_set(&s->in_ff, s->set.kernel, s->gate_up, s->up_dim, r, r + 1);
        }
    }
}

/* This worker's columns of all rows. */
static void multiply(const struct llama_state *s, float *y, const struct llama_input *in,
                     const struct llama_linear *w, size_t n_rows, int worker, int n_workers)
{
    size_t tile0, tile1;
    const struct llama_matrix *m = &w->matrix;
    parallel_share(llama_matrix_tiles(m), worker, n_workers, &tile0, &tile1);
    llama_matrix_multiply(y, m, in, 0, n_rows, tile0, tile1, s->set.kernel, s->set.ops);
    size_t first = tile0 * Q8_TILE, end = tile1 * Q8_TILE < m->n ? tile1 * Q8_TILE : m->n;
    for (size_t r = 0; r < n_rows && w->bias && first < end; r++) {
        s->set.ops->add(y + r * m->n + first, w->bias + first, end - first);
    }
}

/* A product of a layer: its input as rows of floats, and as the matrix wants it. */
struct product {
    enum llama_product which;
    const struct llama_linear *linear;
    const struct llama_input *in;
    const float *x;
    size_t x_stride;
    float *y;
};

/* This worker's columns of all rows, and what the rows' adapters add to them. */
static void project(const struct llama_state *s, int layer, const struct product *p,
                    size_t n_rows, int worker, int n_workers)
{
    const struct parallel *threads = &s->set.parallel;
    const struct llama_matrix *m = &p->linear->matrix;
    size_t tile0, tile1;
    bool adapted = s->adapt && llama_adapt_any(s->adapt);
    if (adapted) {
        llama_adapt_down(s->adapt, s->set.ops, layer, p->which, p->x, p->x_stride, worker,
                         n_workers);
        threads->barrier(threads->team);
    }
    multiply(s, p->y, p->in, p->linear, n_rows, worker, n_workers);
    if (adapted) {
        parallel_share(llama_matrix_tiles(m), worker, n_workers, &tile0, &tile1);
        llama_adapt_up(s->adapt, s->set.ops, layer, p->which, p->y, m->n, tile0, tile1);
    }
}

/* This worker's columns of all wanted rows; rank 0 gets those of all ranks. */
static void make_logits(struct llama_state *s, size_t n_rows, int worker, int n_workers)
{
    size_t tile0, tile1;
    const struct llama_linear output = {.matrix = s->w->output};
    float *logits = own_columns(s, &s->split_vocab, n_rows, s->logits);
    multiply(s, logits, &s->in_d, &output, n_rows, worker, n_workers);
    parallel_share(llama_matrix_tiles(&s->w->output), worker, n_workers, &tile0, &tile1);
    size_t vocab = s->w->output.n, first = tile0 * Q8_TILE, end = tile1 * Q8_TILE;
    end = end < vocab ? end : vocab;
    for (size_t r = 0; r < n_rows && first < end; r++) {
        float *row = logits + r * vocab + first;
        if (s->c.logit_scale != 1.0f) {
            s->set.ops->scale(row, s->c.logit_scale, end - first);
        }
        if (s->c.logit_softcap > 0.0f) {
            s->set.ops->softcap(row, s->c.logit_softcap, end - first);
        }
    }
    if (s->exchange.ranks) {
        llama_exchange_meet(&s->exchange, &s->split_vocab, n_rows, false, worker);
    }
    if (s->c.rank == 0) {
        size_t r0, r1;
        parallel_share(n_rows, worker, n_workers, &r0, &r1);
        llama_exchange_unpack(&s->exchange, &s->split_vocab, n_rows, s->logits, r0, r1);
    }
}

/* Inputs of the products of n_rows rows. */
static void expect_rows(struct llama_state *s, size_t n_rows)
{
    llama_input_expect(&s->in_d, s->set.kernel, n_rows);
    llama_input_expect(&s->in_q, s->set.kernel, n_rows);
    llama_input_expect(&s->in_ff, s->set.kernel, n_rows);
}

static void gather_wanted(struct llama_state *s)
{
    expect_rows(s, s->n_wanted);
    if (s->adapt) {
        llama_adapt_rows(s->adapt, s->rows, s->wanted, s->n_wanted);
    }
    for (size_t i = 0; i < s->n_wanted; i++) {
        /* Wanted rows come in ascending order, so row i is never overwritten before it was
         * read. */
        size_t row = s->wanted[i];
        if (row == i) {
            continue; /* in place already, as all are while decoding */
        }
        memmove(s->x + i * s->d, s->x + row * s->d, s->d * sizeof(float));
        memmove(s->mixed + i * s->q_dim, s->mixed + row * s->q_dim, s->q_dim * sizeof(float));
        if (s->c.parallel_residual) {
            memmove(s->normed + i * s->d, s->normed + row * s->d, s->d * sizeof(float));
        }
    }
}

/* From the normalised rows to `update` of this worker's rows. */
static void feed_forward(struct llama_state *s, int index, size_t n_rows, int worker,
                         int n_workers)
{
    const struct llama_layer *layer = &s->w->layers[index];
    const struct parallel *p = &s->set.parallel;
    const struct product gate_up = {
        .which = LLAMA_PRODUCT_GATE_UP,
        .linear = &layer->gate_up,
        .in = &s->in_d,
        .x = s->c.parallel_residual || layer->ffn_norm.weight ? s->normed : s->x,
        .x_stride = s->d,
        .y = s->gate_up};
    const struct product down = {.which = LLAMA_PRODUCT_DOWN,
                                 .linear = &layer->down,
                                 .in = &s->in_ff,
                                 .x = s->gate_up,
                                 .x_stride = s->up_dim,
                                 .y = own_columns(s, &s->split_d, n_rows, s->update)};
    size_t r0, r1;
    parallel_share(n_rows, worker, n_workers, &r0, &r1);
    if (s->mixture) {
        llama_mixture_run(s->mixture, &layer->experts, s->normed, &s->in_d, n_rows, worker,
                          n_workers);
    }
    if (s->ff > 0) {
        project(s, index, &gate_up, n_rows, worker, n_workers);
        p->barrier(p->team);
        activate(s, n_rows, r0, r1);
        if (s->hidden) {
            collect(s, &s->split_ff, s->hidden, n_rows, worker, n_workers);
            llama_input_set(&s->in_ff, s->set.kernel, s->hidden, s->ff, r0, r1);
        }
        p->barrier(p->team);
        project(s, index, &down, n_rows, worker, n_workers);
        collect(s, &s->split_d, s->update, n_rows, worker, n_workers);
    }
    if (s->mixture) {
        llama_mixture_add(s->mixture, &layer->experts, s->normed, s->update, r0, r1);
    }
}

/* From the attention's queries, keys and values to its output in whole rows. */
static void attention(struct llama_state *s, int layer, size_t r0, size_t r1, int worker,
                      int n_workers)
{
    const struct llama_layer *w = &s->w->layers[layer];
    const struct parallel *p = &s->set.parallel;
    if (s->whole) {
        normalise_shared_rows(s, &s->split_q, &w->q_norm, s->qkv, worker, n_workers);
        normalise_shared_rows(s, &s->split_kv, &w->k_norm, s->qkv + s->own_q, worker,
                              n_workers);
    }
    rotate_and_store(s, layer, r0, r1);
    p->barrier(p->team);
    attend(s, layer, worker, n_workers);
    if (s->n_wanted > 0 || layer + 1 < s->c.n_layers) {
        collect(s, &s->split_q, s->mixed, s->n_rows, worker, n_workers);
    }
}

/* Whether the step ends here. One worker asks. */
static bool is_given_up(const struct llama_state *s)
{
    if (s->exchange.ranks) {
        return s->exchange.gives_up;
    }
    return s->set.give_up && atomic_load(s->set.give_up);
}

/* The step itself, run by every worker. Between two barriers each writes only its share. */
static void work(void *ctx, int worker, int n_workers)
{
    struct llama_state *s = ctx;
    const struct parallel *p = &s->set.parallel;
    size_t m = s->n_rows;
    size_t r0;
    size_t r1;
    parallel_share(m, worker, n_workers, &r0, &r1);
#define BARRIER() p->barrier(p->team)

    embed(s, r0, r1, worker);
    for (int i = 0; i < s->c.n_layers; i++) {
        const struct llama_layer *layer = &s->w->layers[i];
        normalise(s, &layer->attn_norm, r0, r1);
        if (worker == 0) {
            s->gave_up = is_given_up(s);
        }
        BARRIER();
        if (s->gave_up) {
            return; /* every worker does: it changes between two other barriers alone */
        }
        const struct product qkv = {.which = LLAMA_PRODUCT_QKV,
                                    .linear = &layer->qkv,
                                    .in = &s->in_d,
                                    .x = layer->attn_norm.weight ? s->normed : s->x,
                                    .x_stride = s->d,
                                    .y = s->qkv};
        project(s, i, &qkv, m, worker, n_workers);
        BARRIER();
        attention(s, i, r0, r1, worker, n_workers);
        if (i + 1 == s->c.n_layers) {
            /* Nobody looks at the other rows any more. */
            if (s->n_wanted == 0) {
                return;
            }
            if (s->exchange.ranks) {
                BARRIER(); /* each worker has unpacked its rows */
            }
            if (worker == 0) {
                gather_wanted(s);
            }
            BARRIER();
            m = s->n_wanted;
            parallel_share(m, worker, n_workers, &r0, &r1);
        }
        llama_input_set(&s->in_q, s->set.kernel, s->mixed, s->q_dim, r0, r1);
        BARRIER();
        const struct product out = {.which = LLAMA_PRODUCT_OUT,
                                    .linear = &layer->out,
                                    .in = &s->in_q,
                                    .x = s->mixed,
                                    .x_stride = s->q_dim,
                                    .y = own_columns(s, &s->split_d, m, s->update)};
        project(s, i, &out, m, worker, n_workers);
        collect(s, &s->split_d, s->update, m, worker, n_workers);
        add_update(s, &layer->attn_post_norm, r0, r1);
        feed(s, layer, r0, r1);
        BARRIER();
        feed_forward(s, i, m, worker, n_workers);
        add_update(s, &layer->ffn_post_norm, r0, r1);
    }
    if (s->c.encoder) {
        return;
    }
    normalise(s, &s->w->output_norm, r0, r1);
    if (s->set.vectors) {
        return;
    }
    BARRIER();
    make_logits(s, m, worker, n_workers);
#undef BARRIER
}

bool llama_step(struct llama_state *s, const struct llama_weights *w, struct kv_cache *kv,
                const struct llama_row *rows, int n_rows)
{
    s->w = w;
    s->kv = kv;
    s->rows = rows;
    s->n_rows = (size_t)n_rows;
    s->n_runs = 0;
    s->n_wanted = 0;
    s->gave_up = false;
    place_embeds(s);
    for (size_t r = 0; r < s->n_rows; r++) {
        if (r == 0 || rows[r].slot != rows[r - 1].slot ||
            rows[r].position != rows[r - 1].position + 1) {
            s->runs[s->n_runs++] = (struct llama_run){.first = r};
        }
        s->runs[s->n_runs - 1].n_rows++;
        if (rows[r].want_logits) {
            s->wanted[s->n_wanted++] = r;
        }
    }
    if (s->adapt) {
        llama_adapt_rows(s->adapt, rows, NULL, s->n_rows);
    }
    expect_rows(s, s->n_rows);
    s->set.parallel.run(s->set.parallel.team, work, s);
    return !s->gave_up;
}
