#include "models/train/linear.h"

#include <stdbool.h>

#include "models/train/kernels.h"
#include "models/train/matmul.h"

#define LOW_WIDTH (TRAIN_MAX_PAIRS * TRAIN_MAX_RANK)

size_t linear_scratch_floats(uint32_t n_in)
{
    return (size_t)LINEAR_ROWS * (2 * LOW_WIDTH + n_in);
}

void linear_scratch_init(struct linear_scratch *s, float *block)
{
    s->low = block;
    s->dlow = s->low + (size_t)LINEAR_ROWS * LOW_WIDTH;
    s->seen = s->dlow + (size_t)LINEAR_ROWS * LOW_WIDTH;
    s->dropout_seed = 0;
}

static bool drops(const struct train_linear *l, const struct linear_scratch *s)
{
    return l->dropout > 0.0f && s->dropout_seed != 0;
}

/* Spreads the bits of x. Steele et al. 2014, "Fast splittable pseudorandom number generators",
 * with the constants of MurmurHash3's finaliser for 32 bits. */
static inline uint32_t mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

/* out (rows, n_in) = x, or 0 where it is dropped; what is left is larger by as much. Row
 * `first + r` of a slice has the same holes whenever it is asked for. */
static void drop(float *out, const float *x, const struct train_linear *l, size_t first,
                 size_t rows, uint64_t seed)
{
    float kept = 1.0f / (1.0f - l->dropout);
    uint32_t limit = (uint32_t)((double)l->dropout * 4294967296.0);
    for (size_t r = 0; r < rows; r++) {
        uint32_t row_seed = mix((uint32_t)(first + r) ^
                                mix(l->salt ^ mix((uint32_t)seed) ^ (uint32_t)(seed >> 32)));
        for (size_t i = 0; i < l->n_in; i++) {
            size_t at = r * l->n_in + i;
            out[at] = mix(row_seed + (uint32_t)i) < limit ? 0.0f : x[at] * kept;
        }
    }
}

static void forward_pairs(float *y, const float *x, const struct train_linear *l, size_t first,
                          size_t rows, const struct linear_scratch *s)
{
    size_t width = (size_t)l->n_pairs * l->rank;
    if (drops(l, s)) {
        drop(s->seen, x, l, first, rows, s->dropout_seed);
        x = s->seen;
    }
    matmul_forward(s->low, x, l->a, rows, l->n_in, width);
    for (uint32_t i = 0; i < l->n_pairs; i++) {
        const struct train_pair *p = &l->pairs[i];
        product_nt(y + p->first, l->n_out, s->low + (size_t)i * l->rank, width, p->b, l->rank,
                   rows, p->rows, l->rank, l->scale, 1.0f);
    }
}

void train_linear_forward(float *y, const float *x, const struct train_linear *l, size_t rows,
                          struct linear_scratch *s)
{
    const struct train_kernels *k = train_kernels_get();
    matmul_forward(y, x, l->weight, rows, l->n_in, l->n_out);
    for (size_t t = 0; l->bias && t < rows; t++) {
        k->add(y + t * l->n_out, l->bias, l->n_out);
    }
    for (size_t first = 0; l->n_pairs > 0 && first < rows; first += LINEAR_ROWS) {
        size_t count = rows - first < LINEAR_ROWS ? rows - first : LINEAR_ROWS;
        forward_pairs(y + first * l->n_out, x + first * l->n_in, l, first, count, s);
    }
}

/* The way back through the pairs for up to LINEAR_ROWS rows; A x is computed a second time
 * rather than kept. */
static void backward_pairs(float *dx, const struct train_linear *grads, const float *dy,
                           const float *x, const struct train_linear *l, size_t first,
                           size_t rows, const struct linear_scratch *s)
{
    size_t width = (size_t)l->n_pairs * l->rank;
    bool dropping = drops(l, s);
    const float *seen = x;
    if (dropping) {
        drop(s->seen, x, l, first, rows, s->dropout_seed);
        seen = s->seen;
    }
    matmul_forward(s->low, seen, l->a, rows, l->n_in, width);
    for (uint32_t i = 0; i < l->n_pairs; i++) {
        const struct train_pair *p = &l->pairs[i];
        const float *dpart = dy + p->first;
        product_nn(s->dlow + (size_t)i * l->rank, width, dpart, l->n_out, p->b, l->rank, rows,
                   l->rank, p->rows, l->scale, 0.0f);
        if (grads->a) {
            product_tn_add(grads->pairs[i].b, l->rank, dpart, l->n_out,
                           s->low + (size_t)i * l->rank, width, p->rows, l->rank, rows,
                           l->scale);
        }
    }
    if (grads->a) {
        matmul_backward_weight(grads->a, s->dlow, seen, rows, l->n_in, width);
    }
    if (dx && !dropping) {
        product_nn(dx, l->n_in, s->dlow, width, l->a, l->n_in, rows, l->n_in, width, 1.0f,
                   1.0f);
    } else if (dx) {
        matmul_backward_input(s->seen, s->dlow, l->a, rows, l->n_in, width);
        drop(s->seen, s->seen, l, first, rows, s->dropout_seed);
        train_kernels_get()->add(dx, s->seen, rows * l->n_in);
    }
}

void train_linear_backward(float *dx, const struct train_linear *grads, const float *dy,
                           const float *x, const struct train_linear *l, size_t rows,
                           struct linear_scratch *s)
{
    const struct train_kernels *k = train_kernels_get();
    if (grads->weight) {
        matmul_backward_weight(grads->weight, dy, x, rows, l->n_in, l->n_out);
    }
    for (size_t t = 0; grads->bias && t < rows; t++) {
        k->add(grads->bias, dy + t * l->n_out, l->n_out);
    }
    if (dx) {
        matmul_backward_input(dx, dy, l->weight, rows, l->n_in, l->n_out);
    }
    for (size_t first = 0; l->n_pairs > 0 && first < rows; first += LINEAR_ROWS) {
        size_t count = rows - first < LINEAR_ROWS ? rows - first : LINEAR_ROWS;
        backward_pairs(dx ? dx + first * l->n_in : NULL, grads, dy + first * l->n_out,
                       x + first * l->n_in, l, first, count, s);
    }
}
