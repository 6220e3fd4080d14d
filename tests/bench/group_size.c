/* group_size.c: what the size of an int8 group costs in accuracy, the measurement behind
 * Q8_GROUP.
 *
 *     weir train export my.ckpt --vocab vocab.gguf --type f32 model-f32.gguf
 *     group_size model-f32.gguf < ids.txt            ids.txt: a sequence of token ids a line
 *
 * Runs a small llama model in float32 and again with weights and activations rounded to int8 in
 * groups of 32, 64, 128 and whole rows, and prints for each the mean Kullback-Leibler
 * divergence of the next-token distribution and how often the most likely token is the same.
 * Then the same with outlier channels: 2 in 100 channels behind each norm are made 20 times as
 * large and the columns that meet them as much smaller, which leaves the float model as it is
 * and gives the rounding what large models give it (Dettmers 2022, "LLM.int8()").
 *
 * Plain loops: for models of some million parameters. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch/llama_config.h"
#include "models/format/gguf.h"
#include "quant/q8.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define LINE_BYTES      65536
#define TOKENS_MAX      1024
#define LAYERS_MAX      64
#define WIDTH_MAX       65536
#define OUTLIER_PERCENT 2
#define OUTLIER_FACTOR  20.0f
#define WHOLE_ROW       0 /* as a group size */

struct matrix {
    float *w; /* (n, k) */
    size_t n, k;
};

struct layer {
    float *attn_norm, *ffn_norm;
    struct matrix q, k, v, out, gate, up, down;
};

struct model {
    struct llama_config c;
    struct matrix embedding;
    float *output_norm;
    struct layer layers[LAYERS_MAX];
    size_t n_layers, d, head_dim, kv_dim;
};

static void die(const char *what)
{
    fprintf(stderr, "group_size: %s\n", what);
    exit(1);
}

static float *array(size_t n)
{
    float *p = mem_zarray(n, sizeof(float));
    if (!p) {
        die("out of memory");
    }
    return p;
}

/* --- the model --- */

static struct matrix load(const struct gguf *g, const char *name)
{
    const struct gguf_tensor *t = gguf_tensor_find(g, name);
    if (!t) {
        die(name);
    }
    struct matrix m = {.k = (size_t)t->dims[0], .n = (size_t)(t->n_elements / t->dims[0])};
    if (m.k > WIDTH_MAX) {
        die("a matrix is too wide");
    }
    m.w = array(m.n * m.k);
    size_t row_bytes = (size_t)tensor_type_row_bytes(t->type, m.k);
    for (size_t i = 0; i < m.n; i++) {
        const char *from = (const char *)t->data + i * row_bytes;
        if (tensor_row_to_f32(t->type, from, m.w + i * m.k, m.k) != 0) {
            die("a tensor's type cannot be read");
        }
    }
    return m;
}

static struct matrix load_part(const struct gguf *g, size_t layer, const char *part)
{
    char name[64];
    snprintf(name, sizeof(name), "blk.%zu.%s.weight", layer, part);
    return load(g, name);
}

static void load_model(struct model *m, const struct gguf *g, struct err *e)
{
    if (llama_config_from_gguf(&m->c, g, e) != 0) {
        die(e->message);
    }
    m->n_layers = (size_t)m->c.n_layers;
    m->d = (size_t)m->c.d_model;
    m->head_dim = (size_t)m->c.head_dim;
    m->kv_dim = (size_t)m->c.n_kv_heads * m->head_dim;
    if (m->n_layers > LAYERS_MAX) {
        die("too many layers");
    }
    m->embedding = load(g, "token_embd.weight");
    m->output_norm = load(g, "output_norm.weight").w;
    for (size_t i = 0; i < m->n_layers; i++) {
        m->layers[i] = (struct layer){
            .attn_norm = load_part(g, i, "attn_norm").w,
            .ffn_norm = load_part(g, i, "ffn_norm").w,
            .q = load_part(g, i, "attn_q"),
            .k = load_part(g, i, "attn_k"),
            .v = load_part(g, i, "attn_v"),
            .out = load_part(g, i, "attn_output"),
            .gate = load_part(g, i, "ffn_gate"),
            .up = load_part(g, i, "ffn_up"),
            .down = load_part(g, i, "ffn_down"),
        };
    }
}

static void shrink_column(struct matrix *m, size_t column)
{
    for (size_t i = 0; i < m->n; i++) {
        m->w[i * m->k + column] /= OUTLIER_FACTOR;
    }
}

static void add_outliers(struct model *m)
{
    struct rng r;
    rng_seed(&r, 1);
    for (size_t i = 0; i < m->n_layers; i++) {
        struct layer *l = &m->layers[i];
        struct matrix *behind_attn[] = {&l->q, &l->k, &l->v};
        struct matrix *behind_ffn[] = {&l->gate, &l->up};
        for (size_t n = 0; n < m->d * OUTLIER_PERCENT / 100; n++) {
            size_t a = rng_below(&r, (uint32_t)m->d), f = rng_below(&r, (uint32_t)m->d);
            l->attn_norm[a] *= OUTLIER_FACTOR;
            l->ffn_norm[f] *= OUTLIER_FACTOR;
            for (size_t j = 0; j < 3; j++) {
                shrink_column(behind_attn[j], a);
            }
            for (size_t j = 0; j < 2; j++) {
                shrink_column(behind_ffn[j], f);
            }
        }
    }
}

/* --- rounding --- */

/* Each group to int8 and back; weights have their scale in f16, activations in f32. */
static void round_row(float *x, size_t k, size_t group, bool is_weight)
{
    size_t size = group == WHOLE_ROW ? k : group;
    for (size_t at = 0; at < k; at += size) {
        size_t n = k - at < size ? k - at : size;
        float amax = 0.0f;
        for (size_t i = 0; i < n; i++) {
            amax = fmaxf(amax, fabsf(x[at + i]));
        }
        float scale = amax / 127.0f;
        float kept = is_weight ? q8_f16_to_f32(q8_f32_to_f16(scale)) : scale;
        for (size_t i = 0; i < n; i++) {
            x[at + i] = amax > 0.0f ? kept * rintf(x[at + i] * (127.0f / amax)) : 0.0f;
        }
    }
}

/* How activations are rounded before a product; NULL: not at all. */
struct rounding {
    size_t group;
};

static void round_weights(struct model *m, size_t group)
{
    struct matrix *all[1 + 7 * LAYERS_MAX] = {&m->embedding};
    size_t count = 1;
    for (size_t i = 0; i < m->n_layers; i++) {
        struct layer *l = &m->layers[i];
        struct matrix *of_layer[] = {&l->q, &l->k, &l->v, &l->out, &l->gate, &l->up, &l->down};
        memcpy(all + count, of_layer, sizeof(of_layer));
        count += 7;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t row = 0; row < all[i]->n; row++) {
            round_row(all[i]->w + row * all[i]->k, all[i]->k, group, true);
        }
    }
}

/* --- the step, a sequence at a time --- */

static void multiply(float *y, const float *x, const struct matrix *m, const struct rounding *q)
{
    static float rounded[WIDTH_MAX];
    memcpy(rounded, x, m->k * sizeof(float));
    if (q) {
        round_row(rounded, m->k, q->group, false);
    }
    for (size_t i = 0; i < m->n; i++) {
        const float *w = m->w + i * m->k;
        float sum[8] = {0};
        for (size_t j = 0; j < m->k; j++) {
            sum[j % 8] += w[j] * rounded[j];
        }
        y[i] = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
    }
}

static void normalise(float *y, const float *x, const float *weight, size_t n, float eps)
{
    float sum = 0.0f;
    for (size_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    float scale = 1.0f / sqrtf(sum / (float)n + eps);
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] * scale * weight[i];
    }
}

static void rotate(float *x, size_t n, const struct model *m, size_t position)
{
    for (size_t i = 0; i < n; i += 2) {
        double exponent = -(double)(i % m->head_dim) / (double)m->head_dim;
        double angle = (double)position * pow((double)m->c.rope_base, exponent);
        float c = (float)cos(angle), s = (float)sin(angle), a = x[i], b = x[i + 1];
        x[i] = a * c - b * s;
        x[i + 1] = a * s + b * c;
    }
}

static void softmax(float *x, size_t n)
{
    float max = x[0], sum = 0.0f;
    for (size_t i = 1; i < n; i++) {
        max = fmaxf(max, x[i]);
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++) {
        x[i] /= sum;
    }
}

/* keys, values: (TOKENS_MAX, kv_dim) of this layer. */
static void attend(float *out, const float *q, const float *keys, const float *values,
                   const struct model *m, size_t position)
{
    static float scores[TOKENS_MAX];
    size_t hd = m->head_dim, group = (size_t)(m->c.n_heads / m->c.n_kv_heads);
    for (size_t h = 0; h < (size_t)m->c.n_heads; h++) {
        size_t kv = h / group * hd;
        for (size_t p = 0; p <= position; p++) {
            float sum = 0.0f;
            for (size_t i = 0; i < hd; i++) {
                sum += q[h * hd + i] * keys[p * m->kv_dim + kv + i];
            }
            scores[p] = sum / sqrtf((float)hd);
        }
        softmax(scores, position + 1);
        for (size_t i = 0; i < hd; i++) {
            float sum = 0.0f;
            for (size_t p = 0; p <= position; p++) {
                sum += scores[p] * values[p * m->kv_dim + kv + i];
            }
            out[h * hd + i] = sum;
        }
    }
}

/* The cache of one sequence and the rows of one position. */
struct state {
    float *keys, *values; /* (n_layers, TOKENS_MAX, kv_dim) */
    float *x, *normed, *q, *mixed, *update, *gate, *up;
};

static struct state make_state(const struct model *m)
{
    size_t ff = (size_t)m->c.d_ff, q_dim = (size_t)m->c.n_heads * m->head_dim;
    size_t cache = m->n_layers * TOKENS_MAX * m->kv_dim;
    return (struct state){array(cache), array(cache), array(m->d), array(m->d), array(q_dim),
                          array(q_dim), array(m->d),  array(ff),   array(ff)};
}

static void run_layer(const struct model *m, const struct layer *l, struct state *s,
                      size_t index, size_t position, const struct rounding *q)
{
    float *keys = s->keys + index * TOKENS_MAX * m->kv_dim;
    float *values = s->values + index * TOKENS_MAX * m->kv_dim;
    float *key = keys + position * m->kv_dim;
    normalise(s->normed, s->x, l->attn_norm, m->d, m->c.norm_eps);
    multiply(s->q, s->normed, &l->q, q);
    multiply(key, s->normed, &l->k, q);
    multiply(values + position * m->kv_dim, s->normed, &l->v, q);
    rotate(s->q, l->q.n, m, position);
    rotate(key, m->kv_dim, m, position);
    attend(s->mixed, s->q, keys, values, m, position);
    multiply(s->update, s->mixed, &l->out, q);
    for (size_t i = 0; i < m->d; i++) {
        s->x[i] += s->update[i];
    }
    normalise(s->normed, s->x, l->ffn_norm, m->d, m->c.norm_eps);
    multiply(s->gate, s->normed, &l->gate, q);
    multiply(s->up, s->normed, &l->up, q);
    for (size_t i = 0; i < (size_t)m->c.d_ff; i++) {
        s->gate[i] = s->gate[i] / (1.0f + expf(-s->gate[i])) * s->up[i];
    }
    multiply(s->update, s->gate, &l->down, q);
    for (size_t i = 0; i < m->d; i++) {
        s->x[i] += s->update[i];
    }
}

static void run_token(const struct model *m, struct state *s, size_t token, size_t position,
                      const struct rounding *q, float *logits)
{
    memcpy(s->x, m->embedding.w + token * m->d, m->d * sizeof(float));
    for (size_t i = 0; i < m->n_layers; i++) {
        run_layer(m, &m->layers[i], s, i, position, q);
    }
    normalise(s->normed, s->x, m->output_norm, m->d, m->c.norm_eps);
    multiply(logits, s->normed, &m->embedding, q);
}

/* --- the table --- */

/* Token ids of all lines; ends[] has where each line stops. */
struct texts {
    size_t *tokens, *ends, n_tokens, n_texts;
};

static struct texts read_texts(FILE *f, size_t vocab)
{
    static char line[LINE_BYTES];
    struct texts t = {0};
    while (fgets(line, sizeof(line), f)) {
        size_t in_line = 0;
        for (char *word = strtok(line, " ,\n"); word; word = strtok(NULL, " ,\n")) {
            size_t id = strtoul(word, NULL, 10);
            if (id >= vocab || ++in_line > TOKENS_MAX) {
                die("a token id is not in the vocabulary, or a line is too long");
            }
            t.tokens = mem_realloc_array(t.tokens, t.n_tokens + 1, sizeof(*t.tokens));
            t.ends = mem_realloc_array(t.ends, t.n_texts + 1, sizeof(*t.ends));
            if (!t.tokens || !t.ends) {
                die("out of memory");
            }
            t.tokens[t.n_tokens++] = id;
        }
        if (in_line > 0) {
            t.ends[t.n_texts++] = t.n_tokens;
        }
    }
    return t;
}

/* Probabilities of the next token behind every token: (n_tokens, vocab). */
static float *run_texts(const struct model *m, const struct texts *t, const struct rounding *q)
{
    size_t vocab = m->embedding.n;
    float *all = array(t->n_tokens * vocab);
    struct state s = make_state(m);
    for (size_t text = 0, begin = 0; text < t->n_texts; begin = t->ends[text++]) {
        for (size_t i = begin; i < t->ends[text]; i++) {
            run_token(m, &s, t->tokens[i], i - begin, q, all + i * vocab);
            softmax(all + i * vocab, vocab);
        }
    }
    return all;
}

static size_t most_likely(const float *p, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        best = p[i] > p[best] ? i : best;
    }
    return best;
}

static void compare(const float *exact, const float *rounded, size_t rows, size_t vocab,
                    const char *name, double bytes)
{
    double divergence = 0.0;
    size_t same = 0;
    for (size_t r = 0; r < rows; r++, exact += vocab, rounded += vocab) {
        for (size_t i = 0; i < vocab; i++) {
            if (exact[i] > 0.0f) {
                divergence +=
                    (double)exact[i] * log((double)exact[i] / fmax((double)rounded[i], 1e-30));
            }
        }
        same += most_likely(exact, vocab) == most_likely(rounded, vocab);
    }
    printf("  %-6s %8.4f %16.3e %14.2f %%\n", name, bytes, divergence / (double)rows,
           100.0 * (double)same / (double)rows);
}

static void print_table(const struct gguf *g, const struct texts *t, bool outliers)
{
    static const struct {
        size_t group;
        const char *name;
        double bytes; /* a weight; a row's one scale is next to nothing */
    } sizes[] = {{32, "32", 1.0 + 2.0 / 32},
                 {64, "64", 1.0 + 2.0 / 64},
                 {128, "128", 1.0 + 2.0 / 128},
                 {WHOLE_ROW, "row", 1.0}};
    static struct model m;
    struct err e = {0};
    load_model(&m, g, &e);
    float *exact = run_texts(&m, t, NULL);
    printf("%s, %zu positions\n  %-6s %8s %16s %16s\n",
           outliers ? "with outlier channels" : "as trained", t->n_tokens, "group", "bytes",
           "KL, nats", "same top token");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rounding q = {.group = sizes[i].group};
        load_model(&m, g,
                   &e); /* anew: rounding is in place; a program that ends frees for us */
        if (outliers) {
            add_outliers(&m);
        }
        round_weights(&m, q.group);
        float *rounded = run_texts(&m, t, &q);
        compare(exact, rounded, t->n_tokens, m.embedding.n, sizes[i].name, sizes[i].bytes);
        mem_free(rounded);
    }
    mem_free(exact);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL-F32.gguf < ids.txt\n", argv[0]);
        return 2;
    }
    struct err e = {0};
    struct gguf *g = gguf_open(argv[1], &e);
    struct llama_config c;
    if (!g || llama_config_from_gguf(&c, g, &e) != 0) {
        die(e.message);
    }
    struct texts t = read_texts(stdin, (size_t)c.vocab);
    print_table(g, &t, false);
    print_table(g, &t, true);
    gguf_close(g);
    return 0;
}
