#include "models/train/transformer.h"

#include <math.h>
#include <string.h>

#include "models/train/block.h"
#include "models/train/matmul.h"
#include "runtime/base/mem.h"

/* Logits that are worked on at a time: those of 256 tokens, or fewer where the vocabulary is
 * large. */
#define LOGITS_ROWS   256
#define LOGITS_FLOATS (8u << 20)

/* What each layer keeps of its own for the way back. */
enum keeping {
    KEEP_ALL,
    KEEP_PRODUCTS,  /* not what norms and SwiGLU make of it, which is soon made again */
    KEEP_ATTENTION, /* its input and what attention made, which alone is quadratic */
};

struct transformer {
    struct train_shape shape;
    uint32_t max_tokens;
    enum keeping keeping;
    float *memory; /* one block, cut up below */
    struct layer_state layers[TRAIN_MAX_LAYERS];
    struct block_scratch block;
    /* From the last layer's attention on, only the rows of tokens with a target are worked on;
     * n_rows of them. */
    uint32_t *rows; /* (n) which tokens they are, in rising order; not in the block */
    uint32_t n_rows;
    float *last_input; /* (n_rows, d_model) the last layer's input in these rows */
    float *last_att;   /* (n_rows, q_dim) its att */
    float *output;     /* (n_rows, d_model) residual stream after the last layer */
    float *rstd;       /* (n_rows) */
    float *norm;       /* (n_rows, d_model) */
    uint32_t logits_rows;
    size_t logits_stride; /* vocab rounded up to what kernels take */
    float *logits;        /* (logits_rows, logits_stride) */
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
struct cutter {
    float *block;
    size_t used;
};

static float *take(struct cutter *c, size_t count)
{
    float *p = c->block ? c->block + c->used : NULL;
    c->used += (count + 15) / 16 * 16;
    return p;
}

/* A layer's own, whatever is kept. */
static void cut_kept(struct layer_state *l, const struct train_shape *s, size_t n,
                     struct cutter *c)
{
    l->input = take(c, n * s->d_model);
    l->att = take(c, n * train_shape_q_dim(s));
    l->lse = take(c, n * s->n_heads);
}

static void cut_products(struct layer_state *l, const struct train_shape *s, size_t n,
                         struct cutter *c)
{
    size_t wide = train_shape_qkv_dim(s), heads = (size_t)s->n_heads + s->n_kv_heads;
    l->rstd1 = take(c, n);
    l->qkv = take(c, n * wide);
    l->heads = take(c, s->qk_norm ? n * wide : 0);
    l->rstd_qk = take(c, s->qk_norm ? n * heads : 0);
    l->middle = take(c, n * s->d_model);
    l->rstd2 = take(c, n);
    l->gate_up = take(c, n * 2 * s->ffn);
}

static void cut_rest(struct layer_state *l, const struct train_shape *s, size_t n,
                     struct cutter *c)
{
    l->norm1 = take(c, n * s->d_model);
    l->norm2 = take(c, n * s->d_model);
    l->act = take(c, n * s->ffn);
}

/* What layers do not keep they share. */
static void cut_layers(struct layer_state *layers, const struct train_shape *s, size_t n,
                       enum keeping keeping, struct cutter *c)
{
    for (uint32_t i = 0; i < s->n_layers; i++) {
        struct layer_state *l = &layers[i];
        *l = layers[0];
        cut_kept(l, s, n, c);
        if (i == 0 || keeping != KEEP_ATTENTION) {
            cut_products(l, s, n, c);
        }
        if (i == 0 || keeping == KEEP_ALL) {
            cut_rest(l, s, n, c);
        }
        l->turns = s->no_rope_period == 0 || (i + 1) % s->no_rope_period != 0;
    }
}

static void cut_scratch(struct transformer *m, struct cutter *c)
{
    const struct train_shape *s = &m->shape;
    struct block_scratch *b = &m->block;
    size_t n = m->max_tokens, d = s->d_model, q = train_shape_q_dim(s), ffn = s->ffn;
    size_t head_dim = train_shape_head_dim(s), widest = d > q ? d : q;
    b->dstream = take(c, n * d);
    b->dnorm = take(c, n * widest);
    b->dqkv = take(c, n * train_shape_qkv_dim(s));
    b->dact = take(c, n * ffn);
    b->dgate_up = take(c, n * 2 * ffn);
    b->row = take(c, train_shape_qkv_dim(s));
    b->angles = take(c, s->context * 2 * head_dim);
    b->ignored = take(c, d > head_dim ? d : head_dim);
    b->attention.stride = (s->context + 15) / 16 * 16;
    b->attention.scores = take(c, ATTENTION_BLOCK * b->attention.stride);
    b->attention.dscores = take(c, ATTENTION_BLOCK * b->attention.stride);
    uint32_t longest = (uint32_t)(widest > ffn ? widest : ffn);
    linear_scratch_init(&b->linear, take(c, linear_scratch_floats(longest)), longest);
}

/* Returns how many floats there are. */
static size_t cut_up(struct transformer *m, float *block)
{
    const struct train_shape *s = &m->shape;
    struct cutter c = {.block = block};
    size_t n = m->max_tokens, d = s->d_model;
    m->logits_stride = ((size_t)s->vocab + 15) / 16 * 16;
    size_t fitting = LOGITS_FLOATS / m->logits_stride;
    m->logits_rows = (uint32_t)(fitting > LOGITS_ROWS ? LOGITS_ROWS : fitting);
    cut_layers(m->layers, s, n, m->keeping, &c);
    m->last_input = take(&c, n * d);
    m->last_att = take(&c, n * train_shape_q_dim(s));
    m->output = take(&c, n * d);
    m->rstd = take(&c, n);
    m->norm = take(&c, n * d);
    m->logits = take(&c, m->logits_rows * m->logits_stride);
    cut_scratch(m, &c);
    return c.used;
}

/* Bytes of 16 tokens, which rounding leaves alone, over all layers. */
static size_t kept_bytes(const struct train_shape *shape, enum keeping keeping)
{
    struct layer_state layers[TRAIN_MAX_LAYERS] = {0};
    struct cutter c = {.block = NULL};
    cut_layers(layers, shape, 16, keeping, &c);
    return c.used * sizeof(float);
}

static uint32_t fitting_tokens(const struct train_shape *shape, enum keeping keeping)
{
    size_t bytes = kept_bytes(shape, keeping);
    if (bytes == 0) {
        return UINT32_MAX; /* a shape without layers keeps nothing */
    }
    size_t tokens = (size_t)TRANSFORMER_KEPT_BYTES * 16 / bytes;
    return tokens > 1 ? (uint32_t)tokens : 1;
}

uint32_t transformer_kept_tokens(const struct train_shape *shape)
{
    return fitting_tokens(shape, KEEP_ALL);
}

static enum keeping choose_keeping(const struct train_shape *shape, uint32_t max_tokens)
{
    return max_tokens <= fitting_tokens(shape, KEEP_ALL)        ? KEEP_ALL
           : max_tokens <= fitting_tokens(shape, KEEP_PRODUCTS) ? KEEP_PRODUCTS
                                                                : KEEP_ATTENTION;
}

size_t transformer_bytes(const struct train_shape *shape, uint32_t max_tokens)
{
    struct transformer m = {
        .shape = *shape,
        .max_tokens = max_tokens,
        .keeping = choose_keeping(shape, max_tokens),
    };
    return cut_up(&m, NULL) * sizeof(float);
}

/* The angle of each pair at each position, in the order in which kernels read it. Su 2021, eq.
 * 34; slower by rope_factor where the context was stretched. */
static void fill_angles(struct transformer *m)
{
    const struct train_shape *s = &m->shape;
    size_t head_dim = train_shape_head_dim(s), half = head_dim / 2;
    double magnitude = s->rope_magnitude > 0.0f ? (double)s->rope_magnitude : 1.0;
    for (uint32_t pos = 0; pos < s->context; pos++) {
        float *cosine = m->block.angles + pos * 2 * head_dim, *sine = cosine + head_dim;
        for (size_t i = 0; i < half; i++) {
            double factor = s->rope_factor[i] > 0.0f ? (double)s->rope_factor[i] : 1.0;
            double frequency = pow((double)s->rope_base, -2.0 * (double)i / (double)head_dim);
            double turn = frequency / factor * pos;
            size_t one = s->rope_halves ? i : 2 * i,
                   other = s->rope_halves ? i + half : one + 1;
            cosine[one] = cosine[other] = (float)(magnitude * cos(turn));
            sine[other] = (float)(magnitude * sin(turn));
            sine[one] = -sine[other];
        }
    }
}

static struct transformer *create(const struct train_shape *shape, uint32_t max_tokens,
                                  enum keeping keeping, struct err *e)
{
    struct transformer *m = mem_zalloc(sizeof(*m));
    if (!m) {
        err_nomem(e);
        return NULL;
    }
    m->shape = *shape;
    m->max_tokens = max_tokens;
    m->keeping = keeping;
    m->block.shape = &m->shape;
    m->block.kernels = train_kernels_get();
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

struct transformer *transformer_create(const struct train_shape *shape, uint32_t max_tokens,
                                       struct err *e)
{
    return train_shape_check(shape, e)
               ? NULL
               : create(shape, max_tokens, choose_keeping(shape, max_tokens), e);
}

struct transformer *transformer_create_frugal(const struct train_shape *shape,
                                              uint32_t max_tokens, bool most, struct err *e)
{
    return train_shape_check(shape, e)
               ? NULL
               : create(shape, max_tokens, most ? KEEP_ATTENTION : KEEP_PRODUCTS, e);
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

void transformer_set_dropout(struct transformer *m, uint64_t seed)
{
    m->block.linear.dropout_seed = seed;
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

static void embed_forward(float *out, const struct train_params *p,
                          const struct train_slice *slice, uint32_t d)
{
    for (uint32_t t = 0; t < slice->n_tokens; t++) {
        float *row = out + (size_t)t * d;
        if (p->embed) {
            memcpy(row, p->embed + (size_t)slice->tokens[t] * d, d * sizeof(float));
        } else {
            train_stored_row(row, &p->embed_stored, d, slice->tokens[t]);
        }
    }
}

static void embed_backward(const struct transformer *m, float *dembed,
                           const struct train_slice *slice)
{
    size_t d = m->shape.d_model;
    for (uint32_t t = 0; t < slice->n_tokens; t++) {
        m->block.kernels->add(dembed + slice->tokens[t] * d, m->block.dstream + t * d, d);
    }
}

/* From attention to where the last matrix begins. */
static void finish_layer(struct transformer *m, struct layer_state *l,
                         const struct train_layer *w, size_t n)
{
    block_out_forward(&m->block, l->middle, l->att, l->input, w, n);
    block_ffn_forward(&m->block, l, w, n);
}

/* What layers share is that of the layer behind this one: made once more. */
static void restore_layer(struct transformer *m, struct layer_state *l,
                          const struct train_layer *w, const struct train_slice *slice)
{
    if (m->keeping == KEEP_PRODUCTS) {
        block_restore(&m->block, l, w, slice->n_tokens);
    } else if (m->keeping == KEEP_ATTENTION) {
        block_qkv_forward(&m->block, l, w, slice);
        finish_layer(m, l, w, slice->n_tokens);
    }
}

static void forward(struct transformer *m, const struct train_params *p,
                    const struct train_slice *slice)
{
    const struct train_shape *s = &m->shape;
    struct block_scratch *b = &m->block;
    size_t d = s->d_model;
    uint32_t last = s->n_layers - 1;
    embed_forward(m->layers[0].input, p, slice, s->d_model);
    for (uint32_t i = 0; i < last; i++) {
        struct layer_state *l = &m->layers[i];
        block_qkv_forward(b, l, &p->layers[i], slice);
        block_attention_forward(b, l, slice);
        finish_layer(m, l, &p->layers[i], slice->n_tokens);
        block_down_forward(b, l, l[1].input, &p->layers[i], slice->n_tokens);
    }
    struct layer_state *l = &m->layers[last];
    const struct train_layer *w = &p->layers[last];
    block_qkv_forward(b, l, w, slice);
    block_attention_forward(b, l, slice);
    find_target_rows(m, slice);
    gather_target_rows(m, m->last_att, l->att, train_shape_q_dim(s));
    gather_target_rows(m, m->last_input, l->input, d);
    block_out_forward(b, l->middle, m->last_att, m->last_input, w, m->n_rows);
    block_ffn_forward(b, l, w, m->n_rows);
    block_down_forward(b, l, m->output, w, m->n_rows);
    b->kernels->rmsnorm_forward(m->norm, m->rstd, m->output, p->out_norm, m->n_rows, d,
                                s->norm_eps);
}

/* From the gradient of norm (n_rows, d_model) in dnorm to everything behind. */
static void backward(struct transformer *m, const struct train_params *p,
                     const struct train_params *grads, const struct train_slice *slice)
{
    const struct train_shape *s = &m->shape;
    struct block_scratch *b = &m->block;
    size_t n = slice->n_tokens, d = s->d_model;
    memset(b->dstream, 0, m->n_rows * d * sizeof(float));
    b->kernels->rmsnorm_backward(b->dstream, grads->out_norm ? grads->out_norm : b->ignored,
                                 b->dnorm, m->output, p->out_norm, m->rstd, m->n_rows, d);
    for (uint32_t i = s->n_layers; i-- > 0;) {
        struct layer_state *l = &m->layers[i];
        const struct train_layer *w = &p->layers[i], *dw = &grads->layers[i];
        bool last = i == s->n_layers - 1, wanted = i > 0 || grads->embed || dw->attn_norm;
        if (!last) {
            restore_layer(m, l, w, slice);
        }
        block_ffn_backward(b, l, w, dw, last ? m->n_rows : n);
        block_out_backward(b, last ? m->last_att : l->att, w, dw, last ? m->n_rows : n);
        if (last) {
            scatter_target_rows(m, b->dnorm, n, train_shape_q_dim(s));
            scatter_target_rows(m, b->dstream, n, d);
        }
        block_attention_backward(b, l, w, dw, slice, wanted);
    }
    if (grads->embed) {
        embed_backward(m, grads->embed, slice);
    }
}

/* out (count, stride): the logits of rows at .. at + count of norm. */
static void output_forward(struct transformer *m, const struct train_params *p, uint32_t at,
                           uint32_t count, float *out, size_t stride)
{
    uint32_t d = m->shape.d_model;
    const float *norm = m->norm + (size_t)at * d;
    if (p->output) {
        product_nt(out, stride, norm, d, p->output, d, count, m->shape.vocab, d, 1.0f, 0.0f);
    } else {
        train_stored_forward(out, stride, norm, &p->output_stored, d, count, &m->block.linear);
    }
}

/* Behind the logits, up to the stride, goes what has no share in a softmax. */
static void logits_forward(struct transformer *m, const struct train_params *p, uint32_t at,
                           uint32_t count)
{
    size_t stride = m->logits_stride;
    output_forward(m, p, at, count, m->logits, stride);
    for (uint32_t i = 0; i < count; i++) {
        for (size_t j = m->shape.vocab; j < stride; j++) {
            m->logits[i * stride + j] = -INFINITY;
        }
    }
}

/* From the gradient of logits to that of norm, in dnorm, and of the matrix. */
static void logits_backward(struct transformer *m, const struct train_params *p,
                            const struct train_params *grads, uint32_t at, uint32_t count)
{
    uint32_t d = m->shape.d_model, vocab = m->shape.vocab;
    size_t stride = m->logits_stride;
    float *dnorm = m->block.dnorm + (size_t)at * d;
    if (grads->output) {
        product_tn_add(grads->output, d, m->logits, stride, m->norm + (size_t)at * d, d, vocab,
                       d, count, 1.0f);
    }
    if (p->output) {
        product_nn(dnorm, d, m->logits, stride, p->output, d, count, d, vocab, 1.0f, 0.0f);
    } else {
        train_stored_backward(dnorm, m->logits, stride, &p->output_stored, d, count, false,
                              &m->block.linear);
    }
}

/* What the output layer leaves behind. */
struct output_wish {
    const struct train_params *grads; /* of scale * loss, and to dnorm (n_rows, d_model) */
    float scale;                      /* with grads */
    float *logprobs;                  /* (n_tokens) as transformer_logprobs has them */
};

/* Logits are turned into their gradient where they lie and are gone. */
static double output_layer(struct transformer *m, const struct train_params *p,
                           const struct train_slice *slice, const struct output_wish *wish)
{
    size_t stride = m->logits_stride;
    double loss = 0.0;
    for (uint32_t at = 0, count; at < m->n_rows; at += count) {
        count = m->n_rows - at < m->logits_rows ? m->n_rows - at : m->logits_rows;
        logits_forward(m, p, at, count);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t t = m->rows[at + i];
            float weight = slice->weights ? slice->weights[t] : 1.0f;
            double one = m->block.kernels->cross_entropy(
                m->logits + i * stride, stride, slice->targets[t], wish->scale * weight);
            loss += (double)weight * one;
            if (wish->logprobs) {
                wish->logprobs[t] = (float)-one;
            }
        }
        if (wish->grads) {
            logits_backward(m, p, wish->grads, at, count);
        }
    }
    return loss;
}

double transformer_loss(struct transformer *m, const struct train_params *params,
                        const struct train_slice *slice)
{
    forward(m, params, slice);
    return output_layer(m, params, slice, &(struct output_wish){.scale = 1.0f});
}

double transformer_gradients(struct transformer *m, const struct train_params *params,
                             const struct train_params *grads, const struct train_slice *slice,
                             float scale)
{
    forward(m, params, slice);
    double loss =
        output_layer(m, params, slice, &(struct output_wish){.grads = grads, .scale = scale});
    backward(m, params, grads, slice);
    return loss;
}

void transformer_logprobs(struct transformer *m, const struct train_params *params,
                          const struct train_slice *slice, float *out)
{
    forward(m, params, slice);
    memset(out, 0, slice->n_tokens * sizeof(*out));
    output_layer(m, params, slice, &(struct output_wish){.logprobs = out});
}

void transformer_logits(struct transformer *m, const struct train_params *params,
                        const struct train_slice *slice, float *out)
{
    forward(m, params, slice);
    output_forward(m, params, 0, m->n_rows, out, m->shape.vocab);
}

const float *transformer_features(struct transformer *m, const struct train_params *params,
                                  const struct train_slice *slice)
{
    forward(m, params, slice);
    return m->norm;
}

void transformer_features_backward(struct transformer *m, const struct train_params *params,
                                   const struct train_params *grads,
                                   const struct train_slice *slice, const float *dfeatures)
{
    memcpy(m->block.dnorm, dfeatures, m->n_rows * m->shape.d_model * sizeof(float));
    backward(m, params, grads, slice);
}
