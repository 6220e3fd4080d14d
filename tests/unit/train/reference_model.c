#include "tests/unit/train/reference_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* y (n_out) = W (n_out, n_in) x. */
static void linear(double *y, const double *w, const double *x, size_t n_out, size_t n_in)
{
    for (size_t o = 0; o < n_out; o++) {
        y[o] = 0.0;
        for (size_t i = 0; i < n_in; i++) {
            y[o] += w[o * n_in + i] * x[i];
        }
    }
}

static void norm(double *y, const double *x, const double *w, size_t n, double eps)
{
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        squares += x[i] * x[i];
    }
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] / sqrt(squares / (double)n + eps) * w[i];
    }
}

static void rotate(double *head, size_t head_dim, size_t pos, double base)
{
    for (size_t i = 0; i < head_dim; i += 2) {
        double turn = (double)pos * pow(base, -(double)i / (double)head_dim);
        double a = head[i], b = head[i + 1];
        head[i] = a * cos(turn) - b * sin(turn);
        head[i + 1] = a * sin(turn) + b * cos(turn);
    }
}

/* out (head_dim): query attends to keys and values at rows begin..at of (n, kv_dim). */
static void attend(double *out, const double *query, const double *keys, const double *values,
                   size_t begin, size_t at, size_t kv_dim, size_t head_dim)
{
    double total = 0.0;
    memset(out, 0, head_dim * sizeof(double));
    for (size_t t = begin; t <= at; t++) {
        double score = 0.0;
        for (size_t i = 0; i < head_dim; i++) {
            score += query[i] * keys[t * kv_dim + i];
        }
        double p = exp(score / sqrt((double)head_dim));
        total += p;
        for (size_t i = 0; i < head_dim; i++) {
            out[i] += p * values[t * kv_dim + i];
        }
    }
    for (size_t i = 0; i < head_dim; i++) {
        out[i] /= total;
    }
}

static void attention_layer(const struct train_shape *s, const double *w, double *x,
                            const struct train_slice *slice)
{
    size_t n = slice->n_tokens, d = s->d_model, hd = train_shape_head_dim(s),
           kv = train_shape_kv_dim(s);
    const double *wq = w + d, *wk = wq + d * d, *wv = wk + kv * d, *wo = wv + kv * d;
    double *q = calloc(n * d, sizeof(double)), *k = calloc(n * kv, sizeof(double));
    double *v = calloc(n * kv, sizeof(double)), *y = calloc(3 * d, sizeof(double));
    for (size_t t = 0; t < n; t++) {
        norm(y, x + t * d, w, d, (double)s->norm_eps);
        linear(q + t * d, wq, y, d, d);
        linear(k + t * kv, wk, y, kv, d);
        linear(v + t * kv, wv, y, kv, d);
        for (size_t h = 0; h < s->n_heads; h++) {
            rotate(q + t * d + h * hd, hd, slice->positions[t], (double)s->rope_base);
        }
        for (size_t h = 0; h < s->n_kv_heads; h++) {
            rotate(k + t * kv + h * hd, hd, slice->positions[t], (double)s->rope_base);
        }
    }
    for (size_t t = 0; t < n; t++) {
        for (size_t h = 0; h < s->n_heads; h++) {
            size_t kv_head = h / (s->n_heads / s->n_kv_heads);
            attend(y + d + h * hd, q + t * d + h * hd, k + kv_head * hd, v + kv_head * hd,
                   t - slice->positions[t], t, kv, hd);
        }
        linear(y + 2 * d, wo, y + d, d, d);
        for (size_t i = 0; i < d; i++) {
            x[t * d + i] += y[2 * d + i];
        }
    }
    free(q);
    free(k);
    free(v);
    free(y);
}

static void ffn_layer(const struct train_shape *s, const double *w, double *x, size_t n)
{
    size_t d = s->d_model, f = s->ffn;
    const double *gate = w + d, *up = gate + f * d, *down = up + f * d;
    double *y = calloc(2 * d + 2 * f, sizeof(double)), *g = y + 2 * d, *u = g + f;
    for (size_t t = 0; t < n; t++) {
        norm(y, x + t * d, w, d, (double)s->norm_eps);
        linear(g, gate, y, f, d);
        linear(u, up, y, f, d);
        for (size_t i = 0; i < f; i++) {
            g[i] = g[i] / (1.0 + exp(-g[i])) * u[i];
        }
        linear(y + d, down, g, d, f);
        for (size_t i = 0; i < d; i++) {
            x[t * d + i] += y[d + i];
        }
    }
    free(y);
}

double reference_loss(const struct train_shape *s, const double *block,
                      const struct train_slice *slice)
{
    size_t n = slice->n_tokens, d = s->d_model, kv = train_shape_kv_dim(s);
    size_t attention = d + (2 * d + 2 * kv) * d, layer = attention + d + 3 * s->ffn * d;
    const double *out_norm = block + s->vocab * d, *layers = out_norm + d;
    double *x = calloc(n * d, sizeof(double)), *y = calloc(d + s->vocab, sizeof(double));
    double loss = 0.0;
    for (size_t t = 0; t < n; t++) {
        memcpy(x + t * d, block + slice->tokens[t] * d, d * sizeof(double));
    }
    for (size_t l = 0; l < s->n_layers; l++) {
        attention_layer(s, layers + l * layer, x, slice);
        ffn_layer(s, layers + l * layer + attention, x, n);
    }
    for (size_t t = 0; t < n; t++) {
        double total = 0.0;
        if (slice->targets[t] == TRAIN_NO_TARGET) {
            continue;
        }
        norm(y, x + t * d, out_norm, d, (double)s->norm_eps);
        linear(y + d, block, y, s->vocab, d);
        for (size_t i = 0; i < s->vocab; i++) {
            total += exp(y[d + i]);
        }
        loss += (slice->weights ? (double)slice->weights[t] : 1.0) *
                (log(total) - y[d + slice->targets[t]]);
    }
    free(x);
    free(y);
    return loss;
}
