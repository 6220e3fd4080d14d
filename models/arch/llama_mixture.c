#include "models/arch/llama_mixture.h"

#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"

/* A row and one of its experts is an assignment, `used` of them a row. Sorted by expert they
 * are places: place p of an expert is row p of the inputs and outputs below. */
struct llama_mixture {
    struct llama_state_settings set;
    size_t d, ff, n_experts, used;
    bool gelu, share_weights;
    float *likes;   /* (max_rows, n_experts)   the router's opinion of each expert */
    size_t *expert; /* (max_rows, used)        the chosen ones */
    float *weight;  /* (max_rows, used) */
    size_t *place;  /* (max_rows, used)        of each assignment */
    size_t *row;    /* (max_rows * used)       of each place */
    size_t *first;  /* (n_experts + 1)         place of each expert; the last is their number */
    size_t own_ff;  /* of ff, the share that is here */
    float *gate_up; /* (places, 2 own_ff) */
    float *hidden;  /* (places, ff)             all ranks' together; NULL: gate_up has it */
    float *out;     /* (places, d) */
    struct llama_exchange *exchange;
    struct llama_split split_d, split_ff;
    struct llama_input in_d, in_ff; /* (places, d), (places, ff) */
    void *in_d_block, *in_ff_block;
};

static float *floats(size_t rows, size_t width)
{
    size_t bytes;
    return __builtin_mul_overflow(rows, width * sizeof(float), &bytes)
               ? NULL
               : mem_zalloc_aligned(bytes);
}

static bool allocate(struct llama_mixture *m)
{
    size_t rows = (size_t)m->set.max_rows, places = rows * m->used;
    m->likes = floats(rows, m->n_experts);
    m->expert = mem_zarray(places, sizeof(*m->expert));
    m->weight = mem_zarray(places, sizeof(*m->weight));
    m->place = mem_zarray(places, sizeof(*m->place));
    m->row = mem_zarray(places, sizeof(*m->row));
    m->first = mem_zarray(m->n_experts + 1, sizeof(*m->first));
    m->gate_up = floats(places, 2 * m->own_ff);
    m->hidden = m->exchange->ranks ? floats(places, m->ff) : NULL;
    m->out = floats(places, m->d);
    m->in_d_block = mem_zalloc_aligned(llama_input_bytes(m->set.precision, places, m->d));
    m->in_ff_block = mem_zalloc_aligned(llama_input_bytes(m->set.precision, places, m->ff));
    if (!m->likes || !m->expert || !m->weight || !m->place || !m->row || !m->first ||
        !m->gate_up || (m->exchange->ranks && !m->hidden) || !m->out || !m->in_d_block ||
        !m->in_ff_block) {
        return false;
    }
    llama_input_init(&m->in_d, m->set.precision, m->in_d_block, places, m->d);
    llama_input_init(&m->in_ff, m->set.precision, m->in_ff_block, places, m->ff);
    return true;
}

struct llama_mixture *llama_mixture_create(const struct llama_config *c,
                                           const struct llama_state_settings *s,
                                           struct llama_exchange *exchange, struct err *e)
{
    struct llama_mixture *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(e);
        return NULL;
    }
    m->set = *s;
    m->exchange = exchange;
    m->d = (size_t)c->d_model;
    m->ff = (size_t)c->d_ff_expert;
    int n_ranks = c->n_ranks > 1 ? c->n_ranks : 1;
    llama_split_init(&m->split_d, m->d, Q8_TILE, n_ranks);
    llama_split_init(&m->split_ff, m->ff, Q8_TILE, n_ranks);
    m->own_ff = llama_split_own(&m->split_ff, c->rank);
    m->n_experts = (size_t)c->n_experts;
    m->used = (size_t)c->n_experts_used;
    m->gelu = c->gelu;
    m->share_weights = c->share_weights;
    if (!allocate(m)) {
        llama_mixture_destroy(m);
        err_set(e, ERR_NOMEM, "no memory for the experts of a step of %d rows", s->max_rows);
        return NULL;
    }
    return m;
}

size_t llama_mixture_numbers(const struct llama_config *c, size_t rows)
{
    size_t d = (size_t)c->d_model, ff = (size_t)c->d_ff_expert;
    return rows * (size_t)c->n_experts_used * (d > ff ? d : ff);
}

void llama_mixture_destroy(struct llama_mixture *m)
{
    if (!m) {
        return;
    }
    mem_free_aligned(m->likes);
    mem_free_aligned(m->gate_up);
    mem_free_aligned(m->hidden);
    mem_free_aligned(m->out);
    mem_free_aligned(m->in_d_block);
    mem_free_aligned(m->in_ff_block);
    mem_free(m->expert);
    mem_free(m->weight);
    mem_free(m->place);
    mem_free(m->row);
    mem_free(m->first);
    mem_free(m);
}

/* Chooses the experts of a row. Their weights are shares of a softmax over all. */
static void choose(struct llama_mixture *m, const struct llama_experts *w, const float *normed,
                   size_t r)
{
    const struct ops *ops = m->set.ops;
    float *likes = m->likes + r * m->n_experts, *weight = m->weight + r * m->used;
    float sum = 0.0f;
    for (size_t i = 0; i < m->n_experts; i++) {
        likes[i] = ops->dot(w->router + i * m->d, normed + r * m->d, m->d);
    }
    ops->softmax(likes, m->n_experts);
    for (size_t k = 0; k < m->used; k++) {
        size_t best = ops->argmax(likes, m->n_experts);
        m->expert[r * m->used + k] = best;
        weight[k] = likes[best];
        sum += likes[best];
        likes[best] = -INFINITY;
    }
    for (size_t k = 0; k < m->used && m->share_weights; k++) {
        weight[k] /= sum;
    }
}

/* Gives every assignment its place. */
static void sort_by_expert(struct llama_mixture *m, size_t n_rows)
{
    size_t n = n_rows * m->used;
    memset(m->first, 0, (m->n_experts + 1) * sizeof(*m->first));
    for (size_t i = 0; i < n; i++) {
        m->first[m->expert[i] + 1]++;
    }
    for (size_t i = 0; i < m->n_experts; i++) {
        m->first[i + 1] += m->first[i];
    }
    for (size_t i = 0; i < n; i++) {
        size_t place = m->first[m->expert[i]]++;
        m->place[i] = place;
        m->row[place] = i / m->used;
    }
    /* Each begin has become the next one's. */
    memmove(m->first + 1, m->first, m->n_experts * sizeof(*m->first));
    m->first[0] = 0;
}

/* This worker's outputs of all places. */
static void multiply_all(struct llama_mixture *m, float *y, const struct llama_matrix *experts,
                         const struct llama_input *in, int worker, int n_workers)
{
    for (size_t i = 0; i < m->n_experts; i++) {
        size_t first = m->first[i], n = m->first[i + 1] - first, tile0, tile1;
        if (n == 0) {
            continue;
        }
        parallel_share(llama_matrix_tiles(&experts[i]), worker, n_workers, &tile0, &tile1);
        llama_matrix_multiply(y + first * experts[i].n, &experts[i], in, first, n, tile0, tile1,
                              m->set.kernel, m->set.ops);
    }
}

/* The gate and up of a place become the share's input of the next product. */
static void activate(struct llama_mixture *m, size_t place, float *own)
{
    float *gate = m->gate_up + place * 2 * m->own_ff;
    (m->gelu ? m->set.ops->gelu_mul : m->set.ops->silu_mul)(gate, gate, gate + m->own_ff,
                                                            m->own_ff);
    if (m->exchange->ranks) {
        memcpy(own + place * m->own_ff, gate, m->own_ff * sizeof(*own));
    } else {
        llama_input_set(&m->in_ff, m->set.kernel, m->gate_up, 2 * m->ff, place, place + 1);
    }
}

void llama_mixture_run(struct llama_mixture *m, const struct llama_experts *w,
                       const float *normed, const struct llama_input *in, size_t n_rows,
                       int worker, int n_workers)
{
    const struct parallel *p = &m->set.parallel;
    size_t r0, r1, p0, p1;
    parallel_share(n_rows, worker, n_workers, &r0, &r1);
    size_t places = n_rows * m->used;
    parallel_share(places, worker, n_workers, &p0, &p1);
    float *own = llama_exchange_own(m->exchange, &m->split_ff, places, NULL);
    for (size_t r = r0; r < r1; r++) {
        choose(m, w, normed, r);
    }
    p->barrier(p->team);
    if (worker == 0) {
        sort_by_expert(m, n_rows);
    }
    p->barrier(p->team);
    for (size_t place = p0; place < p1; place++) {
        llama_input_copy(&m->in_d, place, in, m->row[place]);
    }
    p->barrier(p->team);
    multiply_all(m, m->gate_up, w->gate_up, &m->in_d, worker, n_workers);
    p->barrier(p->team);
    for (size_t place = p0; place < p1; place++) {
        activate(m, place, own);
    }
    llama_exchange_collect(m->exchange, &m->split_ff, m->hidden, places, worker, n_workers);
    if (m->hidden) {
        llama_input_set(&m->in_ff, m->set.kernel, m->hidden, m->ff, p0, p1);
        p->barrier(p->team);
    }
    own = llama_exchange_own(m->exchange, &m->split_d, places, m->out);
    multiply_all(m, own, w->down, &m->in_ff, worker, n_workers);
    llama_exchange_collect(m->exchange, &m->split_d, m->out, places, worker, n_workers);
    if (m->exchange->ranks) {
        p->barrier(p->team); /* each has unpacked what all read */
    }
}

/* sigmoid(gate . row) */
static float shared_weight(const struct llama_mixture *m, const float *gate, const float *row)
{
    float x = -m->set.ops->dot(gate, row, m->d);
    m->set.ops->exp(&x, &x, 1);
    return 1.0f / (1.0f + x);
}

void llama_mixture_add(struct llama_mixture *m, const struct llama_experts *w,
                       const float *normed, float *update, size_t r0, size_t r1)
{
    const struct ops *ops = m->set.ops;
    for (size_t r = r0; r < r1; r++) {
        float *to = update + r * m->d;
        if (w->shared_gate) {
            ops->scale(to, shared_weight(m, w->shared_gate, normed + r * m->d), m->d);
        } else {
            memset(to, 0, m->d * sizeof(*to));
        }
        for (size_t k = r * m->used; k < (r + 1) * m->used; k++) {
            float *out = m->out + m->place[k] * m->d;
            ops->scale(out, m->weight[k], m->d);
            ops->add(to, out, m->d);
        }
    }
}
