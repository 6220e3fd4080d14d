/* ops_low_rank.h: the products of low-rank adapters, low_rank_down and low_rank_up of ops.h. A
 * part of ops_body.h, compiled with it for each instruction set.
 *
 * LOW_RANK_ABREAST, which the file that includes it defines, is how many rows, and rows or
 * tiles of a factor, are multiplied together.
 */
#pragma once

#include "quant/kernels/lanes.h"
#include "quant/ops.h"

/* Dot products of `count` rows from rows[i] on with `n` rows of the factor from r on. */
ALWAYS_INLINE void down_block(const struct ops_low_rank *p, size_t i, const size_t count,
                              size_t r, const size_t n)
{
    struct lanes sum[LOW_RANK_ABREAST][LOW_RANK_ABREAST];
    const float *x[LOW_RANK_ABREAST];
    for (size_t k = 0; k < count; k++) {
        x[k] = p->x + p->rows[i + k] * p->x_stride;
        for (size_t j = 0; j < n; j++) {
            sum[k][j] = lanes_set(0.0f);
        }
    }
    const float *a = p->a + r * p->n_in;
    size_t d = 0;
    for (; d + LANES <= p->n_in; d += LANES) {
        struct lanes v[LOW_RANK_ABREAST];
        for (size_t k = 0; k < count; k++) {
            v[k] = lanes_load(x[k] + d);
        }
        for (size_t j = 0; j < n; j++) {
            const struct lanes w = lanes_load(a + j * p->n_in + d);
            for (size_t k = 0; k < count; k++) {
                sum[k][j] = lanes_fma(v[k], w, sum[k][j]);
            }
        }
    }
    for (size_t k = 0; k < count; k++) {
        float *u = p->u + p->rows[i + k] * p->u_stride + r;
        for (size_t j = 0; j < n; j++) {
            if (d < p->n_in) {
                const struct lanes v = lanes_load_part(x[k] + d, p->n_in - d, 0.0f);
                const struct lanes w = lanes_load_part(a + j * p->n_in + d, p->n_in - d, 0.0f);
                sum[k][j] = lanes_fma(v, w, sum[k][j]);
            }
            u[j] = lanes_sum(sum[k][j]) * p->scale;
        }
    }
}

ALWAYS_INLINE void down_rows(const struct ops_low_rank *p, size_t i, const size_t count,
                             size_t r0, size_t r1)
{
    size_t r = r0;
    for (; r + LOW_RANK_ABREAST <= r1; r += LOW_RANK_ABREAST) {
        down_block(p, i, count, r, LOW_RANK_ABREAST);
    }
    for (; r < r1; r++) {
        down_block(p, i, count, r, 1);
    }
}

static void low_rank_down(const struct ops_low_rank *p, size_t r0, size_t r1)
{
    size_t i = 0;
    for (; i + LOW_RANK_ABREAST <= p->n_rows; i += LOW_RANK_ABREAST) {
        down_rows(p, i, LOW_RANK_ABREAST, r0, r1);
    }
    for (; i < p->n_rows; i++) {
        down_rows(p, i, 1, r0, r1);
    }
}

/* `n` tiles of outputs from t on, of `count` rows from rows[i] on. */
ALWAYS_INLINE void up_block(const struct ops_low_rank *p, size_t i, const size_t count,
                            size_t t, const size_t n)
{
    struct lanes sum[LOW_RANK_ABREAST][LOW_RANK_ABREAST];
    const float *u[LOW_RANK_ABREAST];
    for (size_t k = 0; k < count; k++) {
        u[k] = p->u + p->rows[i + k] * p->u_stride;
        for (size_t j = 0; j < n; j++) {
            sum[k][j] = lanes_set(0.0f);
        }
    }
    const float *b = p->b + t * p->rank * LANES;
    for (size_t r = 0; r < p->rank; r++) {
        struct lanes w[LOW_RANK_ABREAST];
        for (size_t j = 0; j < n; j++) {
            w[j] = lanes_load(b + (j * p->rank + r) * LANES);
        }
        for (size_t k = 0; k < count; k++) {
            const struct lanes v = lanes_set(u[k][r]);
            for (size_t j = 0; j < n; j++) {
                sum[k][j] = lanes_fma(v, w[j], sum[k][j]);
            }
        }
    }
    for (size_t k = 0; k < count; k++) {
        float *y = p->y + p->rows[i + k] * p->y_stride + t * LANES;
        for (size_t j = 0; j < n; j++, y += LANES) {
            const size_t left = p->n_out - (t + j) * LANES;
            if (left >= LANES) {
                lanes_store(y, lanes_add(lanes_load(y), sum[k][j]));
            } else {
                lanes_store_part(y, left, lanes_add(lanes_load_part(y, left, 0.0f), sum[k][j]));
            }
        }
    }
}

ALWAYS_INLINE void up_rows(const struct ops_low_rank *p, size_t i, const size_t count,
                           size_t tile0, size_t tile1)
{
    size_t t = tile0;
    for (; t + LOW_RANK_ABREAST <= tile1; t += LOW_RANK_ABREAST) {
        up_block(p, i, count, t, LOW_RANK_ABREAST);
    }
    for (; t < tile1; t++) {
        up_block(p, i, count, t, 1);
    }
}

static void low_rank_up(const struct ops_low_rank *p, size_t tile0, size_t tile1)
{
    size_t i = 0;
    for (; i + LOW_RANK_ABREAST <= p->n_rows; i += LOW_RANK_ABREAST) {
        up_rows(p, i, LOW_RANK_ABREAST, tile0, tile1);
    }
    for (; i < p->n_rows; i++) {
        up_rows(p, i, 1, tile0, tile1);
    }
}
