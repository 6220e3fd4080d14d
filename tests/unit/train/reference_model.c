#include "tests/unit/train/reference_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tensor of the block by its name, "attn_q.weight" of a layer or "output.weight" of none
 * (-1); NULL if the model does not have it. */
static const double *find(const struct train_shape *s, const double *block, int layer,
                          const char *name)
{
    static struct train_tensor tensors[TRAIN_MAX_TENSORS];
    static struct train_shape of;
    static size_t count;
    if (memcmp(&of, s, sizeof(of)) != 0) {
        of = *s;
        count = train_shape_tensors(s, tensors);
    }
    char full[64];
    if (layer < 0) {
        snprintf(full, sizeof(full), "%s", name);
    } else {
        snprintf(full, sizeof(full), "blk.%d.%s", layer, name);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, full) == 0) {
            return block + tensors[i].offset;
        }
    }
    return NULL;
}

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

static void rotate(double *head, const struct train_shape *s, size_t pos)
{
    size_t head_dim = train_shape_head_dim(s);
    for (size_t i = 0; i < head_dim / 2; i++) {
        size_t one = s->rope_halves ? i : 2 * i,
               other = s->rope_halves ? i + head_dim / 2 : one + 1;
        double factor = s->rope_factor[i] > 0.0f ? (double)s->rope_factor[i] : 1.0;
        double magnitude = s->rope_magnitude > 0.0f ? (double)s->rope_magnitude : 1.0;
        double turn = (double)pos / factor *
                      pow((double)s->rope_base, -2.0 * (double)i / (double)head_dim);
        double a = head[one], b = head[other];
        head[one] = magnitude * (a * cos(turn) - b * sin(turn));
        head[other] = magnitude * (a * sin(turn) + b * cos(turn));
    }
}

/* Heads of queries or keys of one token: biases, norms and angles. */
static void finish_heads(const struct train_shape *s, double *x, size_t n_heads,
                         const double *bias, const double *weight, bool turns, size_t pos)
{
    size_t head_dim = train_shape_head_dim(s);
    for (size_t i = 0; bias && i < n_heads * head_dim; i++) {
        x[i] += bias[i];
    }
    for (size_t h = 0; h < n_heads; h++) {
        if (weight) {
            norm(x + h * head_dim, x + h * head_dim, weight, head_dim, (double)s->norm_eps);
        }
        if (turns) {
            rotate(x + h * head_dim, s, pos);
        }
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

static void attention_layer(const struct train_shape *s, const double *block, int layer,
                            double *x, const struct train_slice *slice)
{
    size_t n = slice->n_tokens, d = s->d_model, hd = train_shape_head_dim(s),
           kv = train_shape_kv_dim(s), qd = train_shape_q_dim(s);
    bool turns = s->no_rope_period == 0 || ((uint32_t)layer + 1) % s->no_rope_period != 0;
    double *q = calloc(n * qd, sizeof(double)), *k = calloc(n * kv, sizeof(double));
    double *v = calloc(n * kv, sizeof(double)), *y = calloc(2 * d + qd, sizeof(double));
    for (size_t t = 0; t < n; t++) {
        norm(y, x + t * d, find(s, block, layer, "attn_norm.weight"), d, (double)s->norm_eps);
        linear(q + t * qd, find(s, block, layer, "attn_q.weight"), y, qd, d);
        linear(k + t * kv, find(s, block, layer, "attn_k.weight"), y, kv, d);
        linear(v + t * kv, find(s, block, layer, "attn_v.weight"), y, kv, d);
        finish_heads(s, q + t * qd, s->n_heads, find(s, block, layer, "attn_q.bias"),
                     find(s, block, layer, "attn_q_norm.weight"), turns, slice->positions[t]);
        finish_heads(s, k + t * kv, s->n_kv_heads, find(s, block, layer, "attn_k.bias"),
                     find(s, block, layer, "attn_k_norm.weight"), turns, slice->positions[t]);
        finish_heads(s, v + t * kv, s->n_kv_heads, find(s, block, layer, "attn_v.bias"), NULL,
                     false, 0);
    }
    for (size_t t = 0; t < n; t++) {
        for (size_t h = 0; h < s->n_heads; h++) {
            size_t kv_head = h / (s->n_heads / s->n_kv_heads);
            attend(y + 2 * d + h * hd, q + t * qd + h * hd, k + kv_head * hd, v + kv_head * hd,
                   t - slice->positions[t], t, kv, hd);
        }
        linear(y + d, find(s, block, layer, "attn_output.weight"), y + 2 * d, d, qd);
        for (size_t i = 0; i < d; i++) {
            x[t * d + i] += y[d + i];
        }
    }
    free(q);
    free(k);
    free(v);
    free(y);
}

static void ffn_layer(const struct train_shape *s, const double *block, int layer, double *x,
                      size_t n)
{
    size_t d = s->d_model, f = s->ffn;
    const double *weight = find(s, block, layer, "ffn_norm.weight");
    const double *gate = find(s, block, layer, "ffn_gate.weight");
    const double *up = find(s, block, layer, "ffn_up.weight");
    const double *down = find(s, block, layer, "ffn_down.weight");
    double *y = calloc(2 * d + 2 * f, sizeof(double)), *g = y + 2 * d, *u = g + f;
    for (size_t t = 0; t < n; t++) {
        norm(y, x + t * d, weight, d, (double)s->norm_eps);
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
    size_t n = slice->n_tokens, d = s->d_model;
    const double *output =
        find(s, block, -1, s->untied ? "output.weight" : "token_embd.weight");
    double *x = calloc(n * d, sizeof(double)), *y = calloc(d + s->vocab, sizeof(double));
    double loss = 0.0;
    for (size_t t = 0; t < n; t++) {
        memcpy(x + t * d, find(s, block, -1, "token_embd.weight") + slice->tokens[t] * d,
               d * sizeof(double));
    }
    for (uint32_t l = 0; l < s->n_layers; l++) {
        attention_layer(s, block, (int)l, x, slice);
        ffn_layer(s, block, (int)l, x, n);
    }
    for (size_t t = 0; t < n; t++) {
        double total = 0.0;
        if (slice->targets[t] == TRAIN_NO_TARGET) {
            continue;
        }
        norm(y, x + t * d, find(s, block, -1, "output_norm.weight"), d, (double)s->norm_eps);
        linear(y + d, output, y, s->vocab, d);
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

/* Adds scale * B A to the matrix that the pair's names say. */
static void add_pair(const struct train_shape *s, double *block, const struct lora *lora,
                     const struct train_tensor *a, const struct train_tensor *b,
                     const double *adapter)
{
    struct train_tensor name = *a;
    *strstr(name.name, ".lora_a") = '\0';
    double *w = block + (find(s, block, -1, name.name) - block);
    double scale = (double)lora->alpha / lora->rank;
    for (size_t o = 0; o < b->rows; o++) {
        for (size_t i = 0; i < a->cols; i++) {
            for (size_t r = 0; r < lora->rank; r++) {
                w[o * a->cols + i] += scale * adapter[b->offset + o * lora->rank + r] *
                                      adapter[a->offset + r * a->cols + i];
            }
        }
    }
}

double reference_loss_lora(const struct train_shape *s, const double *block,
                           const struct lora *lora, const double *adapter,
                           const struct train_slice *slice)
{
    struct train_tensor tensors[LORA_MAX_TENSORS];
    size_t n = train_shape_param_count(s), count = lora_tensors(s, lora, tensors);
    double *merged = calloc(n, sizeof(double));
    memcpy(merged, block, n * sizeof(double));
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            size_t len = strlen(tensors[i].name);
            if (tensors[i].name[len - 1] == 'a' && tensors[j].name[len - 1] == 'b' &&
                strncmp(tensors[i].name, tensors[j].name, len - 1) == 0) {
                add_pair(s, merged, lora, &tensors[i], &tensors[j], adapter);
            }
        }
    }
    double loss = reference_loss(s, merged, slice);
    free(merged);
    return loss;
}
