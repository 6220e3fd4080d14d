#include "models/train/linear.h"

#include "models/format/tensor_type.h"
#include "models/train/kernels.h"
#include "models/train/matmul.h"

#define LOW_WIDTH (TRAIN_MAX_PARTS * TRAIN_MAX_RANK)

size_t linear_scratch_floats(uint32_t n_in)
{
    return (size_t)LINEAR_ROWS * (2 * LOW_WIDTH + n_in) + (size_t)LINEAR_WIDE * n_in;
}

void linear_scratch_init(struct linear_scratch *s, float *block, uint32_t n_in)
{
    s->low = block;
    s->dlow = s->low + (size_t)LINEAR_ROWS * LOW_WIDTH;
    s->seen = s->dlow + (size_t)LINEAR_ROWS * LOW_WIDTH;
    s->wide = s->seen + (size_t)LINEAR_ROWS * n_in;
    s->dropout_seed = 0;
}

static const unsigned char *stored_row(const struct train_stored *w, uint32_t n_in, size_t row)
{
    return w->data + row * (size_t)tensor_type_row_bytes(w->type, n_in);
}

void train_stored_row(float *out, const struct train_stored *w, uint32_t n_in, uint32_t row)
{
    /* Whoever stored it has seen that the type can be read. */
    (void)tensor_row_to_f32(w->type, stored_row(w, n_in, row), out, n_in);
}

/* Rows [first, first + count) as floats; where they are floats already they stay where they
 * lie. */
static const float *widen(const struct train_stored *w, uint32_t n_in, size_t first,
                          size_t count, float *wide)
{
    const unsigned char *from = stored_row(w, n_in, first);
    if (w->type == TENSOR_F32 && (uintptr_t)from % sizeof(float) == 0) {
        return (const float *)(const void *)from;
    }
    for (size_t i = 0; i < count; i++) {
        train_stored_row(wide + i * n_in, w, n_in, (uint32_t)(first + i));
    }
    return wide;
}

void train_stored_forward(float *y, size_t ld_y, const float *x, const struct train_stored *w,
                          uint32_t n_in, size_t rows, struct linear_scratch *s)
{
    for (size_t first = 0; first < w->rows; first += LINEAR_WIDE) {
        size_t count = w->rows - first < LINEAR_WIDE ? w->rows - first : LINEAR_WIDE;
        const float *part = widen(w, n_in, first, count, s->wide);
        product_nt(y + first, ld_y, x, n_in, part, n_in, rows, count, n_in, 1.0f, 0.0f);
    }
}

void train_stored_backward(float *dx, const float *dy, size_t ld_y,
                           const struct train_stored *w, uint32_t n_in, size_t rows, bool adds,
                           struct linear_scratch *s)
{
    for (size_t first = 0; first < w->rows; first += LINEAR_WIDE) {
        size_t count = w->rows - first < LINEAR_WIDE ? w->rows - first : LINEAR_WIDE;
        const float *part = widen(w, n_in, first, count, s->wide);
        product_nn(dx, n_in, dy + first, ld_y, part, n_in, rows, n_in, count, 1.0f,
                   adds || first > 0 ? 1.0f : 0.0f);
    }
}

static void weight_forward(float *y, const float *x, const struct train_linear *l, size_t rows,
                           struct linear_scratch *s)
{
    if (l->weight) {
        matmul_forward(y, x, l->weight, rows, l->n_in, l->n_out);
        return;
    }
    for (size_t i = 0, first = 0; i < TRAIN_MAX_PARTS && l->stored[i].data; i++) {
        train_stored_forward(y + first, l->n_out, x, &l->stored[i], l->n_in, rows, s);
        first += l->stored[i].rows;
    }
}

static void weight_backward_input(float *dx, const float *dy, const struct train_linear *l,
                                  size_t rows, struct linear_scratch *s)
{
    if (l->weight) {
        matmul_backward_input(dx, dy, l->weight, rows, l->n_in, l->n_out);
        return;
    }
    for (size_t i = 0, first = 0; i < TRAIN_MAX_PARTS && l->stored[i].data; i++) {
        train_stored_backward(dx, dy + first, l->n_out, &l->stored[i], l->n_in, rows, i > 0, s);
        first += l->stored[i].rows;
    }
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
    weight_forward(y, x, l, rows, s);
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
        weight_backward_input(dx, dy, l, rows, s);
    }
    for (size_t first = 0; l->n_pairs > 0 && first < rows; first += LINEAR_ROWS) {
        size_t count = rows - first < LINEAR_ROWS ? rows - first : LINEAR_ROWS;
        backward_pairs(dx ? dx + first * l->n_in : NULL, grads, dy + first * l->n_out,
                       x + first * l->n_in, l, first, count, s);
    }
}
