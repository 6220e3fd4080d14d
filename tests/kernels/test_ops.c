/* The operations of a model step: every variant against the plain one bit for bit, and the
 * plain one against sums in double and against libm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quant/cpu.h"
#include "quant/ops.h"
#include "quant/q8.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define LONGEST 300
#define ROUNDS  150

static uint64_t seed;

static const struct ops *reference(void)
{
    return ops_select(0);
}

#define ASSERT_SAME(a, b, bytes, ...)                             \
    do {                                                          \
        if (memcmp(a, b, bytes) != 0) {                           \
            print_error("seed %llu: ", (unsigned long long)seed); \
            fail_msg(__VA_ARGS__);                                \
        }                                                         \
    } while (0)

/* Calls `check` for each variant that this processor runs, the reference left out. */
static void for_each_variant(void (*check)(const struct ops *, struct rng *))
{
    for (const struct ops *const *o = ops_variants; *o; o++) {
        if (((*o)->needs & ~cpu_features()) != 0 || *o == reference()) {
            continue;
        }
        struct rng r;
        rng_seed(&r, seed);
        check(*o, &r);
    }
}

static void fill(struct rng *r, float *x, size_t n, float size)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_normal(r) * size;
    }
}

/* Inputs and the two outputs, with a guard float after them. */
struct vectors {
    float a[LONGEST + 1], b[LONGEST + 1], want[LONGEST + 1], got[LONGEST + 1];
    size_t n;
};

static void make_vectors(struct vectors *v, struct rng *r, size_t n)
{
    v->n = n;
    const float size = rng_below(r, 4) == 0 ? 40.0f : 1.0f;
    fill(r, v->a, LONGEST + 1, size);
    fill(r, v->b, LONGEST + 1, 1.0f);
    memcpy(v->want, v->a, sizeof(v->a));
    memcpy(v->got, v->a, sizeof(v->a));
}

#define COMPARE(o, v, what)                                                               \
    ASSERT_SAME((v)->want, (v)->got, sizeof((v)->want), "%s: " what ", n %zu", (o)->name, \
                (v)->n)

static void check_vectors(const struct ops *o, struct rng *r)
{
    const struct ops *ref = reference();
    struct vectors v;
    for (size_t i = 0; i < ROUNDS; i++) {
        const size_t n = i < 70 ? i + 1 : 1 + rng_below(r, LONGEST);
        make_vectors(&v, r, n);
        ref->rmsnorm(v.want, v.a, v.b, 1e-5f, n);
        o->rmsnorm(v.got, v.a, v.b, 1e-5f, n);
        COMPARE(o, &v, "rmsnorm");
        make_vectors(&v, r, n);
        ref->layernorm(v.want, v.a, v.b, v.a, 1e-5f, n);
        o->layernorm(v.got, v.a, v.b, v.a, 1e-5f, n);
        COMPARE(o, &v, "layernorm");
        make_vectors(&v, r, n);
        ref->gelu(v.want, n);
        o->gelu(v.got, n);
        COMPARE(o, &v, "gelu");
        make_vectors(&v, r, n);
        ref->softmax(v.want, n);
        o->softmax(v.got, n);
        COMPARE(o, &v, "softmax");
        make_vectors(&v, r, n);
        ref->silu_mul(v.want, v.a, v.b, n);
        o->silu_mul(v.got, v.a, v.b, n);
        COMPARE(o, &v, "silu_mul");
        make_vectors(&v, r, n);
        ref->gelu_mul(v.want, v.a, v.b, n);
        o->gelu_mul(v.got, v.a, v.b, n);
        COMPARE(o, &v, "gelu_mul");
        make_vectors(&v, r, n);
        ref->softcap(v.want, 3.0f, n);
        o->softcap(v.got, 3.0f, n);
        COMPARE(o, &v, "softcap");
        make_vectors(&v, r, n);
        ref->scale(v.want, 0.3f, n);
        o->scale(v.got, 0.3f, n);
        COMPARE(o, &v, "scale");
        make_vectors(&v, r, n);
        ref->add(v.want, v.b, n);
        o->add(v.got, v.b, n);
        COMPARE(o, &v, "add");
        make_vectors(&v, r, n);
        ref->exp(v.want, v.a, n);
        o->exp(v.got, v.a, n);
        COMPARE(o, &v, "exp");
        v.want[0] = ref->dot(v.a, v.b, n);
        v.got[0] = o->dot(v.a, v.b, n);
        COMPARE(o, &v, "dot");
        assert_int_equal(ref->argmax(v.a, n), o->argmax(v.a, n));
    }
}

static void variants_equal_the_reference_on_vectors_of_every_length(void **state)
{
    (void)state;
    for_each_variant(check_vectors);
}

static void check_rope(const struct ops *o, struct rng *r)
{
    enum { HEADS = 3, DIM = 96 };
    float want[HEADS * DIM], got[HEADS * DIM], cos[DIM / 2], sin[DIM / 2];
    for (size_t dim = 2; dim <= DIM; dim += 2) {
        fill(r, want, HEADS * DIM, 1.0f);
        memcpy(got, want, sizeof(got));
        fill(r, cos, DIM / 2, 1.0f);
        fill(r, sin, DIM / 2, 1.0f);
        reference()->rope(want, HEADS, dim, cos, sin);
        o->rope(got, HEADS, dim, cos, sin);
        ASSERT_SAME(want, got, sizeof(want), "%s: rope, head_dim %zu", o->name, dim);
    }
}

static void variants_equal_the_reference_in_rope(void **state)
{
    (void)state;
    for_each_variant(check_rope);
}

/* --- attention --- */

/* A cache of random keys and values in pages that lie apart, and queries. */
struct scene {
    struct ops_kv kv;
    void *pages[64];
    size_t n_pages, n_positions, n_heads;
    size_t window;        /* 0: none */
    float softcap;        /* 0: none */
    float *keys, *values; /* [n_positions][head_dim], as stored */
    float *q, *out, *scratch;
};

static float *new_floats(size_t n)
{
    float *p = mem_zalloc_aligned(n * sizeof(float));
    assert_non_null(p);
    return p;
}

/* What is read back of a stored key or value, in place. */
static void as_stored(float *x, size_t n, enum ops_type type)
{
    float greatest = 0.0f;
    for (size_t i = 0; i < n; i++) {
        greatest = fmaxf(greatest, fabsf(x[i]));
    }
    const float scale = greatest / 127.0f;
    for (size_t i = 0; i < n; i++) {
        if (type == OPS_F16) {
            x[i] = q8_f16_to_f32(q8_f32_to_f16(x[i]));
        } else if (type == OPS_I8) {
            x[i] = scale > 0.0f ? nearbyintf(x[i] / scale) * scale : 0.0f;
        }
    }
}

static void store_all(struct scene *s, struct rng *r, const struct ops *o)
{
    const size_t dim = s->kv.head_dim;
    fill(r, s->keys, s->n_positions * dim, 1.0f);
    fill(r, s->values, s->n_positions * dim, 1.0f);
    for (size_t p = 0; p < s->n_positions; p++) {
        o->kv_store(&s->kv, p, s->keys + p * dim, s->values + p * dim);
    }
    for (size_t p = 0; p < s->n_positions; p++) {
        as_stored(s->keys + p * dim, dim, s->kv.type);
        as_stored(s->values + p * dim, dim, s->kv.type);
    }
}

static void make_scene(struct scene *s, struct rng *r, size_t n_positions, size_t n_heads,
                       size_t head_dim, enum ops_type type)
{
    const size_t page_positions =
        (size_t)OPS_KV_BLOCK * (1 + rng_below(r, rng_below(r, 2) ? 4 : 20));
    const size_t half =
        page_positions * ops_kv_row(head_dim); /* elements of keys, and of values, in a page */
    *s = (struct scene){.n_positions = n_positions, .n_heads = n_heads};
    s->n_pages = (n_positions + page_positions - 1) / page_positions;
    for (size_t i = 0; i < s->n_pages; i++) {
        s->pages[i] = mem_zalloc_aligned((2 * half + 16 + 2 * page_positions) * sizeof(float));
        assert_non_null(s->pages[i]);
        memset(s->pages[i], 0xff,
               (2 * half + 16 + 2 * page_positions) * sizeof(float)); /* not stored yet: NaNs */
    }
    s->kv = (struct ops_kv){.pages = s->pages,
                            .page_positions = page_positions,
                            .k_offset = 16,
                            .v_offset = 16 + half,
                            .k_scale_offset = 16 + 2 * half,
                            .v_scale_offset = 16 + 2 * half + page_positions,
                            .head_dim = head_dim,
                            .type = type};
    s->keys = new_floats(n_positions * head_dim);
    s->values = new_floats(n_positions * head_dim);
    s->q = new_floats(n_positions * n_heads * head_dim);
    s->out = new_floats(n_positions * n_heads * head_dim);
    s->scratch = new_floats(ops_attention_scratch(n_positions));
    fill(r, s->q, n_positions * n_heads * head_dim, 1.0f);
    store_all(s, r, reference());
}

static void free_scene(struct scene *s)
{
    for (size_t i = 0; i < s->n_pages; i++) {
        mem_free_aligned(s->pages[i]);
    }
    mem_free_aligned(s->keys);
    mem_free_aligned(s->values);
    mem_free_aligned(s->q);
    mem_free_aligned(s->out);
    mem_free_aligned(s->scratch);
}

static void attend_rows(struct scene *s, const struct ops *o, size_t row0, size_t row1,
                        float *out)
{
    const size_t width = s->n_heads * s->kv.head_dim;
    o->attend(&(struct ops_attention){
        .out = out + row0 * width,
        .out_stride = width,
        .q = s->q + row0 * width,
        .q_stride = width,
        .n_rows = row1 - row0,
        .n_heads = s->n_heads,
        .n_past = row0,
        .scale = 1.0f / sqrtf((float)s->kv.head_dim),
        .softcap = s->softcap,
        .window = s->window,
        .kv = &s->kv,
        .scratch = s->scratch,
    });
}

static void random_scene(struct scene *s, struct rng *r)
{
    static const size_t dims[] = {16, 32, 64, 80, 128, 4, 50, 100};
    const size_t n_dims = sizeof(dims) / sizeof(dims[0]);
    static const enum ops_type types[] = {OPS_F16, OPS_F32, OPS_I8};
    const uint32_t longest = rng_below(r, 5) == 0 ? 300 : 100;
    make_scene(s, r, 1 + rng_below(r, longest), 1 + rng_below(r, 9),
               dims[rng_below(r, (uint32_t)n_dims)], types[rng_below(r, 3)]);
    s->window = rng_below(r, 2) ? 1 + rng_below(r, 40) : 0;
    s->softcap = rng_below(r, 2) ? 0.5f : 0.0f;
}

static void check_attend(const struct ops *o, struct rng *r)
{
    for (int i = 0; i < 40; i++) {
        struct scene s;
        random_scene(&s, r);
        const size_t floats = s.n_positions * s.n_heads * s.kv.head_dim;
        float *want = new_floats(floats);
        attend_rows(&s, reference(), 0, s.n_positions, want);
        attend_rows(&s, o, 0, s.n_positions, s.out);
        ASSERT_SAME(want, s.out, floats * sizeof(float),
                    "%s: attend, positions %zu heads %zu head_dim %zu", o->name, s.n_positions,
                    s.n_heads, s.kv.head_dim);
        mem_free_aligned(want);
        free_scene(&s);
    }
}

static void variants_equal_the_reference_in_attention(void **state)
{
    (void)state;
    for_each_variant(check_attend);
}

static void check_splits(const struct ops *o, struct rng *r)
{
    for (int i = 0; i < 20; i++) {
        struct scene s;
        random_scene(&s, r);
        const size_t floats = s.n_positions * s.n_heads * s.kv.head_dim;
        float *want = new_floats(floats);
        attend_rows(&s, o, 0, s.n_positions, want);
        for (size_t row = 0; row < s.n_positions;) {
            size_t end = row + 1 + rng_below(r, 12);
            end = end < s.n_positions ? end : s.n_positions;
            attend_rows(&s, o, row, end, s.out);
            row = end;
        }
        ASSERT_SAME(want, s.out, floats * sizeof(float), "%s: attend in chunks", o->name);
        mem_free_aligned(want);
        free_scene(&s);
    }
}

/* Every row of an encoder's text is attended to as the last one of a decoder's. */
static void check_seeing_all(const struct ops *o, struct rng *r)
{
    for (int i = 0; i < 20; i++) {
        struct scene s;
        random_scene(&s, r);
        s.window = 0;
        const size_t width = s.n_heads * s.kv.head_dim, last = s.n_positions - 1;
        const size_t row0 = rng_below(r, (uint32_t)s.n_positions);
        float *want = new_floats(width);
        struct ops_attention all = {.out = s.out + row0 * width,
                                    .out_stride = width,
                                    .q = s.q + row0 * width,
                                    .q_stride = width,
                                    .n_rows = s.n_positions - row0,
                                    .n_heads = s.n_heads,
                                    .n_past = row0,
                                    .n_seen = s.n_positions,
                                    .scale = 0.3f,
                                    .softcap = s.softcap,
                                    .kv = &s.kv,
                                    .scratch = s.scratch};
        o->attend(&all);
        for (size_t row = row0; row < s.n_positions; row++) {
            struct ops_attention one = all;
            one.out = want;
            one.q = s.q + row * width;
            one.n_rows = 1;
            one.n_past = last;
            one.n_seen = 0;
            o->attend(&one);
            ASSERT_SAME(want, s.out + row * width, width * sizeof(float),
                        "%s: attend to all of %zu", o->name, s.n_positions);
        }
        mem_free_aligned(want);
        free_scene(&s);
    }
}

static void in_an_encoder_every_row_sees_all(void **state)
{
    (void)state;
    for_each_variant(check_seeing_all);
}

static void how_a_prompt_is_cut_into_chunks_changes_no_bit(void **state)
{
    (void)state;
    for_each_variant(check_splits);
}

static void check_stores(const struct ops *o, struct rng *r)
{
    for (int i = 0; i < 10; i++) {
        struct scene a, b;
        struct rng again = *r;
        random_scene(&a, r);
        random_scene(&b, &again);
        struct rng data = *r, same = *r;
        store_all(&a, &data, reference());
        store_all(&b, &same, o);
        const size_t page = a.kv.page_positions;
        const size_t bytes =
            (2 * page * ops_kv_row(a.kv.head_dim) + 16 + 2 * page) * sizeof(float);
        for (size_t p = 0; p < a.n_pages; p++) {
            ASSERT_SAME(a.pages[p], b.pages[p], bytes, "%s: kv_store, page %zu", o->name, p);
        }
        free_scene(&a);
        free_scene(&b);
    }
}

static void variants_store_the_same_keys_and_values(void **state)
{
    (void)state;
    for_each_variant(check_stores);
}

static void int8_keys_and_values_keep_their_extremes(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, seed);
    for (const struct ops *const *o = ops_variants; *o; o++) {
        if (((*o)->needs & ~cpu_features()) != 0) {
            continue;
        }
        struct scene s;
        make_scene(&s, &r, 4, 1, 16, OPS_I8);
        float keys[16] = {[3] = -2.0f, [4] = 1.0f}, zeros[16] = {0}, tiny[16] = {[0] = 1e-45f};
        float bad[16] = {[5] = INFINITY, [6] = 1.0f};
        const int8_t *stored = (const int8_t *)s.pages[0];
        const float *scales = (const float *)s.pages[0] + s.kv.k_scale_offset;
        (*o)->kv_store(&s.kv, 0, keys, zeros);
        (*o)->kv_store(&s.kv, 1, tiny, zeros);
        (*o)->kv_store(&s.kv, 2, bad, zeros);
        assert_int_equal(stored[s.kv.k_offset + 3 * 16], -127);
        assert_int_equal(stored[s.kv.k_offset + 4 * 16], 64);
        assert_int_equal(stored[s.kv.v_offset], 0);
        assert_true(scales[0] == 2.0f / 127.0f);
        assert_int_equal(stored[s.kv.k_offset + 1], 0);
        assert_true(scales[1] == 0.0f);
        assert_true(isnan(scales[2]));
        free_scene(&s);
    }
}

/* out of one row and head, in double. */
static void attend_exactly(const struct scene *s, size_t row, size_t head, double *out)
{
    const size_t dim = s->kv.head_dim;
    const float *q = s->q + (row * s->n_heads + head) * dim;
    double *score = mem_array(row + 1, sizeof(*score));
    double sum = 0.0;
    assert_non_null(score);
    for (size_t d = 0; d < dim; d++) {
        out[d] = 0.0;
    }
    const size_t begin = s->window > 0 && row + 1 > s->window ? row + 1 - s->window : 0;
    for (size_t p = begin; p <= row; p++) {
        double dot = 0.0;
        for (size_t d = 0; d < dim; d++) {
            dot += (double)q[d] * (double)s->keys[p * dim + d];
        }
        dot /= sqrt((double)dim);
        if (s->softcap > 0.0f) {
            dot = (double)s->softcap * tanh(dot / (double)s->softcap);
        }
        score[p] = exp(dot);
        sum += score[p];
    }
    for (size_t p = begin; p <= row; p++) {
        for (size_t d = 0; d < dim; d++) {
            out[d] += score[p] / sum * (double)s->values[p * dim + d];
        }
    }
    mem_free(score);
}

static void attention_is_close_to_that_in_double(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, seed);
    for (int i = 0; i < 20; i++) {
        struct scene s;
        double want[128];
        random_scene(&s, &r);
        attend_rows(&s, reference(), 0, s.n_positions, s.out);
        for (size_t row = 0; row < s.n_positions; row++) {
            for (size_t head = 0; head < s.n_heads; head++) {
                attend_exactly(&s, row, head, want);
                const float *got = s.out + (row * s.n_heads + head) * s.kv.head_dim;
                for (size_t d = 0; d < s.kv.head_dim; d++) {
                    assert_true(fabs((double)got[d] - want[d]) < 2e-5);
                }
            }
        }
        free_scene(&s);
    }
}

/* --- accuracy --- */

/* Units in the last place between a float and the true value. */
static double ulps(float got, double want)
{
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1.0, exponent - 24);
}

static void exp_is_within_a_good_ulp_of_libm(void **state)
{
    (void)state;
    struct rng r;
    double worst = 0.0;
    rng_seed(&r, seed);
    for (int i = 0; i < 5000; i++) {
        float x[LONGEST];
        float e[LONGEST];
        for (int j = 0; j < LONGEST; j++) {
            x[j] = i % 2 ? rng_uniform(&r) * 176.05f - 87.33f : rng_uniform(&r) * 2.0f - 1.0f;
        }
        reference()->exp(e, x, 64);
        for (int j = 0; j < 64; j++) {
            const double u = ulps(e[j], exp((double)x[j]));
            worst = u > worst ? u : worst;
        }
    }
    if (worst >= 1.01) { /* 1.005 is the worst of all floats, near 16.29 */
        fail_msg("seed %llu: exp is off by %.3f ulp", (unsigned long long)seed, worst);
    }
}

static void exp_is_right_at_its_ends(void **state)
{
    (void)state;
    const float x[] = {0.0f,   -0.0f,   88.72283f, 88.72284f, 89.0f,     INFINITY,
                       -87.0f, -87.34f, -104.0f,   -FLT_MAX,  -INFINITY, NAN};
    float e[12];
    for (const struct ops *const *o = ops_variants; *o; o++) {
        if (((*o)->needs & ~cpu_features()) != 0) {
            continue;
        }
        (*o)->exp(e, x, 12);
        assert_true(e[0] == 1.0f && e[1] == 1.0f);
        assert_true(isfinite(e[2]) && e[2] > 3.4e38f);
        assert_true(isinf(e[4]) && isinf(e[5]));
        assert_true(e[6] > FLT_MIN && e[6] < 2e-38f);
        assert_true(e[7] == 0.0f && e[8] == 0.0f && e[9] == 0.0f && e[10] == 0.0f);
        assert_true(isnan(e[11]));
    }
}

static void softmax_sums_to_one_and_norms_to_unit_mean_square(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, seed);
    for (size_t n = 1; n <= LONGEST; n += 7) {
        float x[LONGEST], ones[LONGEST];
        double sum = 0.0, squares = 0.0;
        for (size_t i = 0; i < n; i++) {
            ones[i] = 1.0f;
        }
        fill(&r, x, n, 3.0f);
        reference()->rmsnorm(x, x, ones, 1e-12f, n);
        for (size_t i = 0; i < n; i++) {
            squares += (double)x[i] * (double)x[i];
        }
        assert_true(fabs(squares / (double)n - 1.0) < 1e-5);
        reference()->softmax(x, n);
        for (size_t i = 0; i < n; i++) {
            sum += (double)x[i];
        }
        assert_true(fabs(sum - 1.0) < 1e-5);
    }
}

static void layernorm_gives_mean_zero_and_unit_variance(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, seed);
    for (size_t n = 2; n <= LONGEST; n += 7) {
        float x[LONGEST], twos[LONGEST], ones[LONGEST];
        double sum = 0.0, squares = 0.0;
        for (size_t i = 0; i < n; i++) {
            ones[i] = 1.0f;
            twos[i] = 2.0f;
        }
        fill(&r, x, n, 3.0f);
        x[0] += 5.0f; /* two numbers may be nearly the same */
        reference()->layernorm(x, x, twos, ones, 1e-12f, n);
        for (size_t i = 0; i < n; i++) {
            const double unit = ((double)x[i] - 1.0) / 2.0;
            sum += unit;
            squares += unit * unit;
        }
        assert_true(fabs(sum / (double)n) < 1e-5);
        assert_true(fabs(squares / (double)n - 1.0) < 1e-4);
    }
}

static void gelu_is_its_formula(void **state)
{
    (void)state;
    for (float x = -8.0f; x <= 8.0f; x += 0.037f) {
        float got = x;
        const double d = (double)x;
        const double inner = sqrt(2.0 / M_PI) * (d + 0.044715 * d * d * d);
        reference()->gelu(&got, 1);
        assert_true(fabs((double)got - 0.5 * d * (1.0 + tanh(inner))) < 2e-6);
    }
}

static void rope_turns_pairs_by_the_angle_given(void **state)
{
    (void)state;
    float x[4] = {1.0f, 0.0f, 3.0f, 4.0f};
    const float cos[2] = {0.0f, 0.6f}, sin[2] = {1.0f, 0.8f};
    reference()->rope(x, 1, 4, cos, sin);
    assert_true(x[0] == 0.0f && x[1] == 1.0f);
    assert_true(fabsf(x[2] - (3.0f * 0.6f - 4.0f * 0.8f)) < 1e-6f);
    assert_true(fabsf(x[3] - (3.0f * 0.8f + 4.0f * 0.6f)) < 1e-6f);
}

static void silu_is_x_times_the_logistic_function(void **state)
{
    (void)state;
    const float gate[3] = {0.0f, 2.0f, -30.0f}, up[3] = {5.0f, 3.0f, 1.0f};
    float y[3];
    reference()->silu_mul(y, gate, up, 3);
    assert_true(y[0] == 0.0f);
    assert_true(fabs((double)y[1] - 6.0 / (1.0 + exp(-2.0))) < 1e-6);
    assert_true(y[2] < 0.0f && y[2] > -1e-10f);
}

static void gelu_and_the_soft_cap_are_what_they_are_called(void **state)
{
    (void)state;
    const float x[5] = {0.0f, 0.01f, 1.5f, -2.0f, -40.0f};
    const float up[5] = {1.0f, 2.0f, 3.0f, 1.0f, 1.0f};
    float y[5];
    reference()->gelu_mul(y, x, up, 5);
    for (size_t i = 0; i < 5; i++) {
        const double g = (double)x[i];
        const double inner = sqrt(2.0 / M_PI) * (g + 0.044715 * g * g * g);
        assert_true(fabs((double)y[i] - 0.5 * g * (1.0 + tanh(inner)) * (double)up[i]) < 1e-6);
    }
    memcpy(y, (const float[5]){0.0f, 1.0f, 30.0f, -1000.0f, INFINITY}, sizeof(y));
    reference()->softcap(y, 30.0f, 5);
    assert_true(y[0] == 0.0f && y[3] == -30.0f && y[4] == 30.0f);
    assert_true(fabs((double)y[1] - 30.0 * tanh(1.0 / 30.0)) < 1e-5);
    assert_true(fabs((double)y[2] - 30.0 * tanh(1.0)) < 1e-5);
}

static void argmax_takes_the_first_of_equals_and_no_nan(void **state)
{
    (void)state;
    for (const struct ops *const *o = ops_variants; *o; o++) {
        if (((*o)->needs & ~cpu_features()) != 0) {
            continue;
        }
        float x[40];
        for (size_t i = 0; i < 40; i++) {
            x[i] = i == 17 || i == 33 ? 2.0f : -1.0f;
        }
        assert_int_equal((*o)->argmax(x, 40), 17);
        assert_int_equal((*o)->argmax(x, 17), 0);
        x[3] = NAN;
        x[17] = NAN;
        assert_int_equal((*o)->argmax(x, 40), 33);
        for (size_t i = 0; i < 40; i++) {
            x[i] = NAN;
        }
        assert_int_equal((*o)->argmax(x, 40), 0);
        for (size_t i = 0; i < 40; i++) {
            x[i] = -INFINITY;
        }
        assert_int_equal((*o)->argmax(x, 40), 0);
    }
}

/* --- low-rank adapters --- */

enum { ROWS = 11, WIDEST = 200, RANK = 24 };

struct low_rank {
    float x[ROWS * WIDEST], a[RANK * WIDEST], b[(WIDEST + 16) * RANK];
    float y[ROWS * WIDEST], want[ROWS * WIDEST], u[ROWS * RANK];
    size_t rows[ROWS];
    struct ops_low_rank p;
};

static void make_low_rank(struct low_rank *l, struct rng *r)
{
    fill(r, l->x, ROWS * WIDEST, 1.0f);
    fill(r, l->a, RANK * WIDEST, 1.0f);
    fill(r, l->b, (WIDEST + 16) * RANK, 1.0f);
    fill(r, l->y, ROWS * WIDEST, 1.0f);
    memcpy(l->want, l->y, sizeof(l->y));
    size_t n_rows = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (rng_below(r, 4) > 0) {
            l->rows[n_rows++] = i;
        }
    }
    l->p = (struct ops_low_rank){.rows = l->rows,
                                 .n_rows = n_rows,
                                 .x = l->x,
                                 .x_stride = WIDEST,
                                 .a = l->a,
                                 .n_in = 1 + rng_below(r, WIDEST),
                                 .scale = 0.7f,
                                 .u = l->u,
                                 .u_stride = RANK,
                                 .rank = 1 + rng_below(r, RANK),
                                 .b = l->b,
                                 .n_out = 1 + rng_below(r, WIDEST),
                                 .y = l->y,
                                 .y_stride = WIDEST};
}

/* The formulas of ops.h, one number after another. */
static void low_rank_plainly(struct low_rank *l)
{
    const struct ops_low_rank *p = &l->p;
    for (size_t i = 0; i < p->n_rows; i++) {
        float u[RANK];
        for (size_t r = 0; r < p->rank; r++) {
            const float *x = l->x + l->rows[i] * WIDEST, *a = l->a + r * p->n_in;
            float lanes[16] = {0};
            for (size_t d = 0; d < p->n_in; d++) {
                lanes[d % 16] = fmaf(x[d], a[d], lanes[d % 16]);
            }
            for (size_t half = 8; half > 0; half /= 2) {
                for (size_t d = 0; d < half; d++) {
                    lanes[d] += lanes[d + half];
                }
            }
            u[r] = lanes[0] * p->scale;
        }
        for (size_t o = 0; o < p->n_out; o++) {
            float sum = 0.0f;
            for (size_t r = 0; r < p->rank; r++) {
                sum = fmaf(u[r], l->b[(o / 16 * p->rank + r) * 16 + o % 16], sum);
            }
            l->want[l->rows[i] * WIDEST + o] += sum;
        }
    }
}

static void low_rank_products_have_the_bits_of_their_formulas(void **state)
{
    (void)state;
    struct low_rank *l = test_malloc(sizeof(*l));
    for (const struct ops *const *o = ops_variants; *o; o++) {
        struct rng r;
        rng_seed(&r, seed);
        for (size_t i = 0; i < ROUNDS && ((*o)->needs & ~cpu_features()) == 0; i++) {
            make_low_rank(l, &r);
            low_rank_plainly(l);
            size_t tiles = (l->p.n_out + 15) / 16;
            size_t r_cut = rng_below(&r, (uint32_t)l->p.rank + 1);
            size_t t_cut = rng_below(&r, (uint32_t)tiles + 1);
            (*o)->low_rank_down(&l->p, r_cut, l->p.rank);
            (*o)->low_rank_down(&l->p, 0, r_cut);
            (*o)->low_rank_up(&l->p, 0, t_cut);
            (*o)->low_rank_up(&l->p, t_cut, tiles);
            ASSERT_SAME(l->want, l->y, sizeof(l->y), "%s: rank %zu, %zu in, %zu out, %zu rows",
                        (*o)->name, l->p.rank, l->p.n_in, l->p.n_out, l->p.n_rows);
        }
    }
    test_free(l);
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variants_equal_the_reference_on_vectors_of_every_length),
        cmocka_unit_test(variants_equal_the_reference_in_rope),
        cmocka_unit_test(variants_equal_the_reference_in_attention),
        cmocka_unit_test(in_an_encoder_every_row_sees_all),
        cmocka_unit_test(how_a_prompt_is_cut_into_chunks_changes_no_bit),
        cmocka_unit_test(variants_store_the_same_keys_and_values),
        cmocka_unit_test(int8_keys_and_values_keep_their_extremes),
        cmocka_unit_test(attention_is_close_to_that_in_double),
        cmocka_unit_test(exp_is_within_a_good_ulp_of_libm),
        cmocka_unit_test(exp_is_right_at_its_ends),
        cmocka_unit_test(softmax_sums_to_one_and_norms_to_unit_mean_square),
        cmocka_unit_test(layernorm_gives_mean_zero_and_unit_variance),
        cmocka_unit_test(gelu_is_its_formula),
        cmocka_unit_test(rope_turns_pairs_by_the_angle_given),
        cmocka_unit_test(silu_is_x_times_the_logistic_function),
        cmocka_unit_test(gelu_and_the_soft_cap_are_what_they_are_called),
        cmocka_unit_test(argmax_takes_the_first_of_equals_and_no_nan),
        cmocka_unit_test(low_rank_products_have_the_bits_of_their_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
