#include "models/train/transformer.h"

#include <math.h>
#include <string.h>

#include "models/train/attention.h"
#include "models/train/kernels.h"
#include "models/train/matmul.h"
#include "runtime/base/mem.h"

/* Tokens whose logits are worked on at a time; few enough to stay near the core. */
#define LOGITS_ROWS 256

/* What the way back needs of one layer. n = max_tokens. */
struct layer_state {
    float *input;   /* (n, d_model) residual stream on entry */
    float *rstd1;   /* (n) */
    float *norm1;   /* (n, d_model) */
    float *qkv;     /* (n, d_model + 2 * kv_dim), angles applied */
    float *lse;     /* (n, n_heads) */
    float *att;     /* (n, d_model) before the output matrix */
    float *middle;  /* (n, d_model) residual stream after attention */
    float *rstd2;   /* (n) */
    float *norm2;   /* (n, d_model) */
    float *gate_up; /* (n, 2 * ffn) */
    float *act;     /* (n, ffn) */
};

struct transformer {
    struct train_shape shape;
    uint32_t max_tokens;
    const struct train_kernels *kernels;
    float *memory; /* one block, cut up below */
    struct layer_state layers[TRAIN_MAX_LAYERS];
    /* From the last layer's attention on, only the rows of tokens with a target are worked on;
     * n_rows of them. */
    uint32_t *rows; /* (n) which tokens they are, in rising order; not in the block */
    uint32_t n_rows;
    float *last_input; /* (n_rows, d_model) the last layer's input in these rows */
    float *last_att;   /* (n_rows, d_model) its att */
    float *output;     /* (n_rows, d_model) residual stream after the last layer */
    float *rstd;       /* (n_rows) */
    float *norm;       /* (n_rows, d_model) */
    float *logits;     /* (LOGITS_ROWS, vocab) */
    float *dstream;    /* (n, d_model) gradient of the residual stream */
    float *dnorm;      /* (n, d_model) */
    float *dqkv;       /* (n, d_model + 2 * kv_dim) */
    float *dact;       /* (n, ffn) */
    float *dgate_up;   /* (n, 2 * ffn) */
    float *angles;     /* (context, 2, head_dim) as the kernel rope takes it */
    struct attention_scratch scratch;
};

int train_slice_init(struct train_slice *s, uint32_t capacity, struct err *e)
{
    uint32_t *block = mem_array(capacity, 4 * sizeof(uint32_t));
    if (!block) {
        return err_nomem(e);
    }
    *s = (struct train_slice){
        .capacity = capacity,
        .tokens = block,
        .targets = block + capacity,
        .positions = block + 2 * (size_t)capacity,
        .doc_ends = block + 3 * (size_t)capacity,
    };
    return 0;
}

void train_slice_deinit(struct train_slice *s)
{
    mem_free(s->tokens);
    *s = (struct train_slice){0};
}

/* Hands out 64-byte aligned pieces; with no block it only counts. */
static float *take(float *block, size_t *used, size_t count)
{
    float *p = block ? block + *used : NULL;
    *used += (count + 15) / 16 * 16;
    return p;
}

static size_t cut_up(struct transformer *m, float *block)
{
    const struct train_shape *s = &m->shape;
    size_t n = m->max_tokens, d = s->d_model, wide = d + 2 * (size_t)train_shape_kv_dim(s),
           ffn = s->ffn;
    size_t used = 0;
    for (uint32_t i = 0; i < s->n_layers; i++) {
        struct layer_state *l = &m->layers[i];
        l->input = take(block, &used, n * d);
        l->rstd1 = take(block, &used, n);
        l->norm1 = take(block, &used, n * d);
        l->qkv = take(block, &used, n * wide);
        l->lse = take(block, &used, n * s->n_heads);
        l->att = take(block, &used, n * d);
        l->middle = take(block, &used, n * d);
        l->rstd2 = take(block, &used, n);
        l->norm2 = take(block, &used, n * d);
        l->gate_up = take(block, &used, n * 2 * ffn);
        l->act = take(block, &used, n * ffn);
    }
    m->last_input = take(block, &used, n * d);
    m->last_att = take(block, &used, n * d);
    m->output = take(block, &used, n * d);
    m->rstd = take(block, &used, n);
    m->norm = take(block, &used, n * d);
    m->logits = take(block, &used, LOGITS_ROWS * (size_t)s->vocab);
    m->dstream = take(block, &used, n * d);
    m->dnorm = take(block, &used, n * d);
    m->dqkv = take(block, &used, n * wide);
    m->dact = take(block, &used, n * ffn);
    m->dgate_up = take(block, &used, n * 2 * ffn);
    m->angles = take(block, &used, s->context * 2 * (size_t)train_shape_head_dim(s));
    m->scratch.stride = (s->context + 15) / 16 * 16;
    m->scratch.scores = take(block, &used, ATTENTION_BLOCK * m->scratch.stride);
    m->scratch.dscores = take(block, &used, ATTENTION_BLOCK * m->scratch.stride);
    return used;
}

static void fill_angles(struct transformer *m)
{
    uint32_t head_dim = train_shape_head_dim(&m->shape);
    for (uint32_t pos = 0; pos < m->shape.context; pos++) {
        float *cosine = m->angles + pos * 2 * (size_t)head_dim, *sine = cosine + head_dim;
        for (uint32_t i = 0; i < head_dim; i += 2) {
            double turn = pow((double)m->shape.rope_base, -(double)i / head_dim) * pos;
            cosine[i] = cosine[i + 1] = (float)cos(turn);
            sine[i + 1] = (float)sin(turn);
            sine[i] = -sine[i + 1];
        }
    }
}

struct transformer *transformer_create(const struct train_shape *shape, uint32_t max_tokens,
                                       struct err *e)
{
    if (train_shape_check(shape, e)) {
        return NULL;
    }
    struct transformer *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(e);
        return NULL;
    }
    m->shape = *shape;
    m->max_tokens = max_tokens;
    m->kernels = train_kernels_get();
    m->memory = mem_zalloc_aligned(cut_up(m, NULL) * sizeof(float));
    m->rows = mem_array(max_tokens, sizeof(*m->rows));
    if (!m->memory || !m->rows) {
        err_nomem(e);
        transformer_destroy(m);
        return NULL;
    }
    cut_up(m, m->memory);
    fill_angles(m);
    return m;
}

uint64_t transformer_memory(const struct train_shape *shape, uint32_t max_tokens)
{
    struct transformer m = {.shape = *shape, .max_tokens = max_tokens};
    return cut_up(&m, NULL) * sizeof(float);
}

void transformer_destroy(struct transformer *m)
{
    if (!m) {
        return;
    }
    mem_free_aligned(m->memory);
    mem_free(m->rows);
    mem_free(m);
}

/* Notes which tokens have a target. */
static void find_target_rows(struct transformer *m, const struct train_slice *slice)
{
    m->n_rows = 0;
    for (uint32_t t = 0; t < slice->n_tokens; t++) {
        if (slice->targets[t] != TRAIN_NO_TARGET) {
            m->rows[m->n_rows++] = t;
        }
    }
}

/* The rows with a target of `from` (n_tokens, width), one behind the other. */
static void gather_target_rows(const struct transformer *m, float *to, const float *from,
                               size_t width)
{
    for (uint32_t i = 0; i < m->n_rows; i++) {
        memcpy(to + i * width, from + m->rows[i] * width, width * sizeof(float));
    }
}

/* The way back, in place: each row returns to its token, the others are zero. From the end on,
 * since no row moves to a lower place. */
static void scatter_target_rows(const struct transformer *m, float *x, size_t n_tokens,
                                size_t width)
{
    uint32_t left = m->n_rows;
    for (size_t t = n_tokens; t-- > 0;) {
        if (left == 0 || m->rows[left - 1] != t) {
            memset(x + t * width, 0, width * sizeof(float));
        } else if (--left != t) {
            memcpy(x + t * width, x + left * width, width * sizeof(float));
        }
    }
}

/* input (n, d_model) -> att: attention(norm(input)), before the output matrix. */
static void attention_forward(struct transformer *m, struct layer_state *l,
                              const struct train_layer *w, const struct train_slice *slice)
{
    const struct train_shape *s = &m->shape;
    size_t n = slice->n_tokens, d = s->d_model, wide = d + 2 * (size_t)train_shape_kv_dim(s);
    m->kernels->rmsnorm_forward(l->norm1, l->rstd1, l->input, w->attn_norm, n, d, s->norm_eps);
    matmul_forward(l->qkv, l->norm1, w->qkv, n, d, wide);
    m->kernels->rope(l->qkv, n, wide, s->n_heads + s->n_kv_heads, train_shape_head_dim(s),
                     m->angles, slice->positions, 1.0f);
    for (uint32_t doc = 0, begin = 0; doc < slice->n_docs; begin = slice->doc_ends[doc++]) {
        train_attention_forward(l->att + begin * d, l->lse + begin * (size_t)s->n_heads,
                                l->qkv + begin * wide, slice->doc_ends[doc] - begin, s,
                                &m->scratch);
    }
}

/* att -> middle: input + att through the output matrix. */
static void attention_output_forward(const struct transformer *m, float *middle,
                                     const float *att, const float *input,
                                     const struct train_layer *w, size_t n)
{
    size_t d = m->shape.d_model;
    matmul_forward(middle, att, w->attn_out, n, d, d);
    m->kernels->add(middle, input, n * d);
}

/* dstream is the gradient of middle and, for the part that went past the attention, of input;
 * that of att goes to dnorm. */
static void attention_output_backward(struct transformer *m, const float *att,
                                      const struct train_layer *w, const struct train_layer *dw,
                                      size_t n)
{
    size_t d = m->shape.d_model;
    matmul_backward_weight(dw->attn_out, m->dstream, att, n, d, d);
    matmul_backward_input(m->dnorm, m->dstream, w->attn_out, n, d, d, 0.0f);
}

/* dnorm: on entry the gradient of att. To dstream is added what comes back to input. */
static void attention_backward(struct transformer *m, const struct layer_state *l,
                               const struct train_layer *w, const struct train_layer *dw,
                               const struct train_slice *slice)
{
    const struct train_shape *s = &m->shape;
    size_t n = slice->n_tokens, d = s->d_model, wide = d + 2 * (size_t)train_shape_kv_dim(s);
    for (uint32_t doc = 0, begin = 0; doc < slice->n_docs; begin = slice->doc_ends[doc++]) {
        train_attention_backward(m->dqkv + begin * wide, m->dnorm + begin * d,
                                 l->att + begin * d, l->lse + begin * (size_t)s->n_heads,
                                 l->qkv + begin * wide, slice->doc_ends[doc] - begin, s,
                                 &m->scratch);
    }
    m->kernels->rope(m->dqkv, n, wide, s->n_heads + s->n_kv_heads, train_shape_head_dim(s),
                     m->angles, slice->positions, -1.0f);
    matmul_backward_weight(dw->qkv, m->dqkv, l->norm1, n, d, wide);
    matmul_backward_input(m->dnorm, m->dqkv, w->qkv, n, d, wide, 0.0f);
    m->kernels->rmsnorm_backward(m->dstream, dw->attn_norm, m->dnorm, l->input, w->attn_norm,
                                 l->rstd1, n, d);
}

/* middle (n, d_model) -> output: middle + down(silu(gate) * up). */
static void ffn_layer_forward(struct transformer *m, struct layer_state *l, float *output,
                              const struct train_layer *w, size_t n)
{
    const struct train_shape *s = &m->shape;
    size_t d = s->d_model, ffn = s->ffn;
    m->kernels->rmsnorm_forward(l->norm2, l->rstd2, l->middle, w->ffn_norm, n, d, s->norm_eps);
    matmul_forward(l->gate_up, l->norm2, w->gate_up, n, d, 2 * ffn);
    m->kernels->swiglu_forward(l->act, l->gate_up, n, ffn);
    matmul_forward(output, l->act, w->down, n, ffn, d);
    m->kernels->add(output, l->middle, n * d);
}

/* dstream: on entry the gradient of output, on return that of middle. */
static void ffn_layer_backward(struct transformer *m, const struct layer_state *l,
                               const struct train_layer *w, const struct train_layer *dw,
                               size_t n)
{
    const struct train_shape *s = &m->shape;
    size_t d = s->d_model, ffn = s->ffn;
    matmul_backward_weight(dw->down, m->dstream, l->act, n, ffn, d);
    matmul_backward_input(m->dact, m->dstream, w->down, n, ffn, d, 0.0f);
    m->kernels->swiglu_backward(m->dgate_up, m->dact, l->gate_up, n, ffn);
    matmul_backward_weight(dw->gate_up, m->dgate_up, l->norm2, n, d, 2 * ffn);
    matmul_backward_input(m->dnorm, m->dgate_up, w->gate_up, n, d, 2 * ffn, 0.0f);
    m->kernels->rmsnorm_backward(m->dstream, dw->ffn_norm, m->dnorm, l->middle, w->ffn_norm,
                                 l->rstd2, n, d);
}

static void embed_forward(float *out, const float *embed, const struct train_slice *slice,
                          size_t d)
{
    for (uint32_t t = 0; t < slice->n_tokens; t++) {
        memcpy(out + t * d, embed + slice->tokens[t] * d, d * sizeof(float));
    }
}

static void embed_backward(const struct transformer *m, float *dembed,
                           const struct train_slice *slice)
{
    size_t d = m->shape.d_model;
    for (uint32_t t = 0; t < slice->n_tokens; t++) {
        m->kernels->add(dembed + slice->tokens[t] * d, m->dstream + t * d, d);
    }
}

/* What the output layer leaves behind. */
struct output_wish {
    float *dembed;   /* gradients of scale * loss: to here and to dnorm (n_rows, d_model) */
    float scale;     /* with dembed */
    float *logprobs; /* (n_tokens) as transformer_logprobs has them */
};

/* Loss over the tied output matrix. Logits are turned into their gradient where they lie and
 * are gone. */
static double output_layer(struct transformer *m, const float *embed,
                           const struct train_slice *slice, const struct output_wish *wish)
{
    size_t d = m->shape.d_model, vocab = m->shape.vocab;
    double loss = 0.0;
    for (uint32_t at = 0, count; at < m->n_rows; at += count) {
        count = m->n_rows - at < LOGITS_ROWS ? m->n_rows - at : LOGITS_ROWS;
        const float *norm = m->norm + at * d;
        matmul_forward(m->logits, norm, embed, count, d, vocab);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t t = m->rows[at + i];
            float weight = slice->weights ? slice->weights[t] : 1.0f;
            double one = m->kernels->cross_entropy(m->logits + i * vocab, vocab,
                                                   slice->targets[t], wish->scale * weight);
            loss += (double)weight * one;
            if (wish->logprobs) {
                wish->logprobs[t] = (float)-one;
            }
        }
        if (wish->dembed) {
            matmul_backward_weight(wish->dembed, m->logits, norm, count, d, vocab);
            matmul_backward_input(m->dnorm + at * d, m->logits, embed, count, d, vocab, 0.0f);
        }
    }
    return loss;
}

static void forward(struct transformer *m, const struct train_params *p,
                    const struct train_slice *slice)
{
    const struct train_shape *s = &m->shape;
    size_t n = slice->n_tokens, d = s->d_model;
    uint32_t last = s->n_layers - 1;
    embed_forward(m->layers[0].input, p->embed, slice, d);
    for (uint32_t i = 0; i < last; i++) {
        struct layer_state *l = &m->layers[i];
        attention_forward(m, l, &p->layers[i], slice);
        attention_output_forward(m, l->middle, l->att, l->input, &p->layers[i], n);
        ffn_layer_forward(m, l, l[1].input, &p->layers[i], n);
    }
    struct layer_state *l = &m->layers[last];
    attention_forward(m, l, &p->layers[last], slice);
    find_target_rows(m, slice);
    gather_target_rows(m, m->last_att, l->att, d);
    gather_target_rows(m, m->last_input, l->input, d);
    attention_output_forward(m, l->middle, m->last_att, m->last_input, &p->layers[last],
                             m->n_rows);
    ffn_layer_forward(m, l, m->output, &p->layers[last], m->n_rows);
    m->kernels->rmsnorm_forward(m->norm, m->rstd, m->output, p->out_norm, m->n_rows, d,
                                s->norm_eps);
}

/* dnorm (n_rows, d_model) -> dstream (n_tokens, d_model), the gradient of the embeddings. */
static void backward(struct transformer *m, const struct train_params *p,
                     const struct train_params *grads, const struct train_slice *slice)
{
    const struct train_shape *s = &m->shape;
    size_t n = slice->n_tokens, d = s->d_model;
    uint32_t last = s->n_layers - 1;
    memset(m->dstream, 0, m->n_rows * d * sizeof(float));
    m->kernels->rmsnorm_backward(m->dstream, grads->out_norm, m->dnorm, m->output, p->out_norm,
                                 m->rstd, m->n_rows, d);
    ffn_layer_backward(m, &m->layers[last], &p->layers[last], &grads->layers[last], m->n_rows);
    attention_output_backward(m, m->last_att, &p->layers[last], &grads->layers[last],
                              m->n_rows);
    scatter_target_rows(m, m->dnorm, n, d);
    scatter_target_rows(m, m->dstream, n, d);
    attention_backward(m, &m->layers[last], &p->layers[last], &grads->layers[last], slice);
    for (uint32_t i = last; i-- > 0;) {
        const struct layer_state *l = &m->layers[i];
        ffn_layer_backward(m, l, &p->layers[i], &grads->layers[i], n);
        attention_output_backward(m, l->att, &p->layers[i], &grads->layers[i], n);
        attention_backward(m, l, &p->layers[i], &grads->layers[i], slice);
    }
}

double transformer_loss(struct transformer *m, const struct train_params *params,
                        const struct train_slice *slice)
{
    forward(m, params, slice);
    return output_layer(m, params->embed, slice, &(struct output_wish){.scale = 1.0f});
}

void transformer_logprobs(struct transformer *m, const struct train_params *params,
                          const struct train_slice *slice, float *out)
{
    forward(m, params, slice);
    memset(out, 0, slice->n_tokens * sizeof(*out));
    output_layer(m, params->embed, slice, &(struct output_wish){.logprobs = out});
}

double transformer_gradients(struct transformer *m, const struct train_params *params,
                             const struct train_params *grads, const struct train_slice *slice,
                             float scale)
{
    forward(m, params, slice);
    double loss = output_layer(m, params->embed, slice,
                               &(struct output_wish){.dembed = grads->embed, .scale = scale});
    backward(m, params, grads, slice);
    embed_backward(m, grads->embed, slice);
    return loss;
}
