/* Compiled once a level; TRAIN_KERNELS_TABLE and TRAIN_KERNELS_NAME come from CMakeLists.txt.
 */
#include "models/train/kernels.h"

#include <math.h>
#include <string.h>

#define LANES 16

/* 16 lanes at every level; compilers split them where registers are narrower. Loads and stores
 * go through memcpy, which is one unaligned move. */
typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ivec __attribute__((vector_size(LANES * sizeof(int32_t))));

static inline vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void store(float *p, vec v)
{
    memcpy(p, &v, sizeof(v));
}

static inline vec splat(float x)
{
    vec v = {0};
    return v + x;
}

static inline float hsum(vec v)
{
    float a[LANES];
    memcpy(a, &v, sizeof(v));
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) {
            a[i] += a[i + half];
        }
    }
    return a[0];
}

static inline float hmax(vec v)
{
    float a[LANES];
    memcpy(a, &v, sizeof(v));
    for (size_t i = 1; i < LANES; i++) {
        a[0] = a[i] > a[0] ? a[i] : a[0];
    }
    return a[0];
}

static inline vec select(ivec mask, vec yes, vec no)
{
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}

static inline vec vmax(vec a, vec b)
{
    return select(a > b, a, b);
}

/* exp(x) within 2 ulp; 0 below -87 and exp(88) above 88. Polynomial and split of ln 2 as in
 * Moshier's Cephes expf. */
static inline vec vexp(vec x)
{
    const float round_magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    ivec tiny = x < splat(-87.0f);
    x = select(x > splat(88.0f), splat(88.0f), x);
    x = select(tiny, splat(-87.0f), x);
    vec shifted = x * 1.44269504f + round_magic;
    ivec n = (ivec)shifted - (ivec)splat(round_magic);
    vec whole = shifted - round_magic;
    vec r = x - whole * 0.693359375f;
    r = r - whole * -2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    vec result = p * (vec)((n + 127) << 23);
    return (vec)((ivec)result & ~tiny);
}

static void rmsnorm_forward(float *out, float *rstd, const float *x, const float *weight,
                            size_t rows, size_t width, float eps)
{
    for (size_t t = 0; t < rows; t++) {
        const float *xt = x + t * width;
        float *ot = out + t * width;
        vec sum = {0};
        for (size_t i = 0; i < width; i += LANES) {
            sum += load(xt + i) * load(xt + i);
        }
        float r = 1.0f / sqrtf(hsum(sum) / (float)width + eps);
        rstd[t] = r;
        for (size_t i = 0; i < width; i += LANES) {
            store(ot + i, load(xt + i) * r * load(weight + i));
        }
    }
}

static void rmsnorm_backward(float *dx, float *dweight, const float *dout, const float *x,
                             const float *weight, const float *rstd, size_t rows, size_t width)
{
    for (size_t t = 0; t < rows; t++) {
        const float *xt = x + t * width, *dt = dout + t * width;
        float *dxt = dx + t * width;
        vec sum = {0};
        float r = rstd[t];
        for (size_t i = 0; i < width; i += LANES) {
            vec xn = load(xt + i) * r;
            vec d = load(dt + i);
            store(dweight + i, load(dweight + i) + d * xn);
            sum += d * load(weight + i) * xn;
        }
        float mean = hsum(sum) / (float)width;
        for (size_t i = 0; i < width; i += LANES) {
            vec d = load(dt + i) * load(weight + i) - load(xt + i) * r * mean;
            store(dxt + i, load(dxt + i) + d * r);
        }
    }
}

/* The table has the sine's sign in it, so that there are only sums here: gcc 12 turns
 * neighbouring sum and difference of products into fused instructions where there are any,
 * -ffp-contract=off or not. */
static void rope(float *x, size_t rows, size_t stride, size_t n_heads, size_t head_dim,
                 const float *table, const uint32_t *positions, float direction)
{
    for (size_t t = 0; t < rows; t++) {
        const float *cosine = table + positions[t] * 2 * head_dim, *sine = cosine + head_dim;
        for (size_t h = 0; h < n_heads; h++) {
            float *v = x + t * stride + h * head_dim;
            for (size_t i = 0; i < head_dim; i += 2) {
                float a = v[i], b = v[i + 1];
                v[i] = a * cosine[i] + b * (sine[i] * direction);
                v[i + 1] = b * cosine[i + 1] + a * (sine[i + 1] * direction);
            }
        }
    }
}

static void rope_halves(float *x, size_t rows, size_t stride, size_t n_heads, size_t head_dim,
                        const float *table, const uint32_t *positions, float direction)
{
    size_t half = head_dim / 2;
    for (size_t t = 0; t < rows; t++) {
        const float *cosine = table + positions[t] * 2 * head_dim, *sine = cosine + head_dim;
        for (size_t h = 0; h < n_heads; h++) {
            float *v = x + t * stride + h * head_dim;
            for (size_t i = 0; i < half; i++) {
                float a = v[i], b = v[i + half];
                v[i] = a * cosine[i] + b * (sine[i] * direction);
                v[i + half] = b * cosine[i + half] + a * (sine[i + half] * direction);
            }
        }
    }
}

static void swiglu_forward(float *out, const float *gate_up, size_t rows, size_t ffn)
{
    for (size_t t = 0; t < rows; t++) {
        const float *gate = gate_up + t * 2 * ffn, *up = gate + ffn;
        for (size_t i = 0; i < ffn; i += LANES) {
            vec g = load(gate + i);
            store(out + t * ffn + i, g / (vexp(-g) + 1.0f) * load(up + i));
        }
    }
}

static void swiglu_backward(float *dgate_up, const float *dout, const float *gate_up,
                            size_t rows, size_t ffn)
{
    for (size_t t = 0; t < rows; t++) {
        const float *gate = gate_up + t * 2 * ffn, *up = gate + ffn;
        float *dgate = dgate_up + t * 2 * ffn, *dup = dgate + ffn;
        for (size_t i = 0; i < ffn; i += LANES) {
            vec g = load(gate + i), d = load(dout + t * ffn + i);
            vec sigmoid = splat(1.0f) / (vexp(-g) + 1.0f);
            vec silu = g * sigmoid;
            store(dup + i, d * silu);
            store(dgate + i, d * load(up + i) * (sigmoid + silu * (1.0f - sigmoid)));
        }
    }
}

/* Hides what row r must not see: columns from `seen` to the end of its last vector, then exact
 * zeros. */
static void mask_tail(float *row, size_t seen, size_t end, float value)
{
    for (size_t i = seen; i < end; i++) {
        row[i] = value;
    }
}

static size_t round_up(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

static void softmax_forward(float *scores, size_t stride, size_t n_cols, float *lse,
                            size_t lse_stride, size_t rows, size_t first)
{
    for (size_t r = 0; r < rows; r++) {
        float *row = scores + r * stride;
        size_t seen = first + r + 1, end = round_up(seen);
        mask_tail(row, seen, end, -INFINITY);
        vec top = splat(-INFINITY), sum = {0};
        for (size_t i = 0; i < end; i += LANES) {
            top = vmax(load(row + i), top);
        }
        float max = hmax(top);
        for (size_t i = 0; i < end; i += LANES) {
            vec p = vexp(load(row + i) - max);
            store(row + i, p);
            sum += p;
        }
        float total = hsum(sum), inverse = 1.0f / total;
        for (size_t i = 0; i < end; i += LANES) {
            store(row + i, load(row + i) * inverse);
        }
        mask_tail(row, seen, n_cols, 0.0f);
        lse[r * lse_stride] = max + logf(total);
    }
}

static void softmax_backward(float *scores, float *dprobs, size_t stride, size_t n_cols,
                             const float *lse, size_t lse_stride, const float *dot, size_t rows,
                             size_t first)
{
    for (size_t r = 0; r < rows; r++) {
        float *row = scores + r * stride, *drow = dprobs + r * stride;
        size_t seen = first + r + 1, end = round_up(seen);
        float shift = lse[r * lse_stride], d = dot[r];
        for (size_t i = 0; i < end; i += LANES) {
            vec p = vexp(load(row + i) - shift);
            store(row + i, p);
            store(drow + i, p * (load(drow + i) - d));
        }
        mask_tail(row, seen, n_cols, 0.0f);
        mask_tail(drow, seen, n_cols, 0.0f);
    }
}

static float dot_product(const float *a, const float *b, size_t width)
{
    vec sum = {0};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        sum += load(a + i) * load(b + i);
    }
    float total = hsum(sum);
    for (; i < width; i++) {
        total += a[i] * b[i];
    }
    return total;
}

static double cross_entropy(float *logits, size_t width, uint32_t target, float scale)
{
    vec top = load(logits), sum = {0};
    for (size_t i = LANES; i < width; i += LANES) {
        top = vmax(load(logits + i), top);
    }
    float max = hmax(top), wanted = logits[target];
    for (size_t i = 0; i < width; i += LANES) {
        vec p = vexp(load(logits + i) - max);
        store(logits + i, p);
        sum += p;
    }
    float total = hsum(sum), factor = scale / total;
    for (size_t i = 0; i < width; i += LANES) {
        store(logits + i, load(logits + i) * factor);
    }
    logits[target] -= scale;
    return log((double)total) + (double)max - (double)wanted;
}

static void add(float *a, const float *b, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        store(a + i, load(a + i) + load(b + i));
    }
    for (; i < n; i++) {
        a[i] += b[i];
    }
}

static double sum_squares(const float *a, size_t n)
{
    double lanes[LANES] = {0}, total = 0.0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            lanes[j] += (double)a[i + j] * (double)a[i + j];
        }
    }
    for (size_t j = 0; j < LANES; j++) {
        total += lanes[j];
    }
    for (; i < n; i++) {
        total += (double)a[i] * (double)a[i];
    }
    return total;
}

static void adamw(float *param, const float *grad, float *m, float *v, size_t n,
                  const struct train_adamw *o)
{
    struct train_adamw k = *o; /* a copy that cannot alias param, so that the loop vectorises */
    for (size_t i = 0; i < n; i++) {
        float g = grad[i] * k.grad_scale;
        m[i] = k.beta1 * m[i] + (1.0f - k.beta1) * g;
        v[i] = k.beta2 * v[i] + (1.0f - k.beta2) * g * g;
        float step = m[i] * k.correction1 / (sqrtf(v[i] * k.correction2) + k.eps);
        param[i] -= k.lr * (step + k.weight_decay * param[i]);
    }
}

extern const struct train_kernels TRAIN_KERNELS_TABLE;

const struct train_kernels TRAIN_KERNELS_TABLE = {
    .name = TRAIN_KERNELS_NAME,
    .rmsnorm_forward = rmsnorm_forward,
    .rmsnorm_backward = rmsnorm_backward,
    .rope = rope,
    .rope_halves = rope_halves,
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
    .softmax_forward = softmax_forward,
    .softmax_backward = softmax_backward,
    .dot = dot_product,
    .cross_entropy = cross_entropy,
    .add = add,
    .sum_squares = sum_squares,
    .adamw = adamw,
};
