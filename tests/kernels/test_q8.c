/* Every int8 kernel that runs here against the plain C reference, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quant/cpu.h"
#include "quant/q8_kernel.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define GUARD        0xa5
#define GUARD_FLOATS 24
#define ROUNDS       25

static uint64_t seed;

static const struct q8_kernel *reference(void)
{
    return q8_kernel_select(0);
}

/* A matrix of weights as Q8_0 blocks and packed. */
struct weights {
    uint8_t *blocks;
    struct q8_packed packed;
    void *memory;
};

static void put_scale(uint8_t *block, float scale)
{
    const uint16_t h = q8_f32_to_f16(scale);
    memcpy(block, &h, 2);
}

/* Random blocks, among them groups of nothing but -128, -127 or 127 and groups with scale 0. */
static void fill_block(struct rng *r, uint8_t *block)
{
    static const int8_t extremes[] = {-128, -127, 127};
    const uint32_t kind = rng_below(r, 8);
    put_scale(block, kind == 1 ? 0.0f : rng_normal(r) * 0.01f);
    for (int i = 0; i < Q8_GROUP; i++) {
        int8_t q = (int8_t)((int)rng_below(r, 256) - 128);
        if (kind == 2) {
            q = extremes[rng_below(r, 3)];
        } else if (kind >= 3 && kind <= 5) {
            q = extremes[kind - 3];
        }
        memcpy(block + 2 + i, &q, 1);
    }
}

static struct weights make_weights(struct rng *r, size_t n, size_t k)
{
    struct weights w;
    const size_t count = n * (k / Q8_GROUP);
    w.blocks = mem_array(count, Q8_BLOCK_BYTES);
    w.memory = mem_zalloc_aligned(q8_packed_bytes(n, k));
    assert_non_null(w.blocks);
    assert_non_null(w.memory);
    for (size_t i = 0; i < count; i++) {
        fill_block(r, w.blocks + i * Q8_BLOCK_BYTES);
    }
    q8_packed_init(&w.packed, w.memory, n, k);
    q8_pack_blocks(w.memory, &w.packed, w.blocks, 0, q8_tiles(&w.packed));
    return w;
}

static void free_weights(struct weights *w)
{
    mem_free(w->blocks);
    mem_free_aligned(w->memory);
}

/* Activations whose groups are random, all of one magnitude, tiny, huge, sparse or zero. */
static float *make_rows(struct rng *r, size_t rows, size_t stride)
{
    float *x = mem_array(rows * stride, sizeof(*x));
    assert_non_null(x);
    uint32_t kind = 0;
    for (size_t i = 0; i < rows * stride; i++) {
        if (i % Q8_GROUP == 0) {
            kind = rng_below(r, 8);
        }
        const float v = rng_normal(r);
        switch (kind) {
        case 1:
            x[i] = v < 0 ? -3.5f : 3.5f;
            break;
        case 2:
            x[i] = v * 1e-38f;
            break;
        case 3:
            x[i] = v * 1e30f;
            break;
        case 4:
            x[i] = 0.0f;
            break;
        case 5:
            x[i] = rng_below(r, 16) == 0 ? v : 0.0f;
            break;
        default:
            x[i] = v;
        }
    }
    return x;
}

static struct q8_acts make_acts(size_t rows, size_t k, void **memory)
{
    struct q8_acts a;
    *memory = mem_zalloc_aligned(q8_acts_bytes(rows, k));
    assert_non_null(*memory);
    q8_acts_init(&a, *memory, rows, k);
    return a;
}

/* y with guard bytes before, after and between the rows. */
struct output {
    float *memory, *y;
    size_t floats, stride;
};

static struct output make_output(size_t m, size_t n)
{
    struct output o = {.stride = n + 5, .floats = m * (n + 5) + (size_t)2 * GUARD_FLOATS};
    o.memory = mem_array(o.floats, sizeof(float));
    assert_non_null(o.memory);
    memset(o.memory, GUARD, o.floats * sizeof(float));
    o.y = o.memory + GUARD_FLOATS;
    return o;
}

#define ASSERT_SAME(a, b, bytes, ...)                             \
    do {                                                          \
        if (memcmp(a, b, bytes) != 0) {                           \
            print_error("seed %llu: ", (unsigned long long)seed); \
            fail_msg(__VA_ARGS__);                                \
        }                                                         \
    } while (0)

static void compare_quantize(const struct q8_kernel *kernel, const float *x, size_t rows,
                             size_t k, size_t stride)
{
    void *memory[2];
    struct q8_acts want = make_acts(rows, k, &memory[0]), got = make_acts(rows, k, &memory[1]);
    reference()->quantize(&want, x, stride, 0, rows);
    kernel->quantize(&got, x, stride, 0, rows / 2);
    kernel->quantize(&got, x, stride, rows / 2, rows);
    ASSERT_SAME(memory[0], memory[1], q8_acts_bytes(rows, k), "%s: quantize, rows %zu k %zu",
                kernel->name, rows, k);
    mem_free_aligned(memory[0]);
    mem_free_aligned(memory[1]);
}

static void compare_matmul(const struct q8_kernel *kernel, const struct q8_acts *x,
                           const struct q8_acts *panels, size_t m, const struct q8_packed *w,
                           size_t tile0, size_t tile1)
{
    struct output want = make_output(m, w->n), got = make_output(m, w->n);
    reference()->matmul(want.y, want.stride, x, m, w, tile0, tile1);
    kernel->matmul(got.y, got.stride, x, m, w, tile0, tile1);
    ASSERT_SAME(want.memory, got.memory, want.floats * sizeof(float),
                "%s: matmul, m %zu n %zu k %zu tiles %zu to %zu", kernel->name, m, w->n, w->k,
                tile0, tile1);
    if (panels) {
        memset(got.memory, GUARD, got.floats * sizeof(float));
        kernel->matmul(got.y, got.stride, panels, m, w, tile0, tile1);
        ASSERT_SAME(want.memory, got.memory, want.floats * sizeof(float),
                    "%s: matmul of panels, m %zu n %zu k %zu tiles %zu to %zu", kernel->name, m,
                    w->n, w->k, tile0, tile1);
    }
    mem_free(want.memory);
    mem_free(got.memory);
}

/* The same rows, quantised into panels by parts of uneven size. */
static struct q8_acts make_panels(const struct q8_kernel *kernel, const struct q8_acts *want,
                                  const float *x, size_t stride, void **memory)
{
    struct q8_acts got = make_acts(want->rows, want->k, memory);
    q8_acts_arrange(&got, true);
    kernel->quantize(&got, x, stride, 0, want->rows / 3);
    kernel->quantize(&got, x, stride, want->rows / 3, want->rows);
    for (size_t r = 0; r < want->rows; r++) {
        for (size_t g = 0; g < want->groups; g++) {
            const struct q8_acts_group a = q8_acts_at(want, r, g), b = q8_acts_at(&got, r, g);
            ASSERT_SAME(a.q, b.q, Q8_GROUP, "%s: row %zu group %zu", kernel->name, r, g);
            ASSERT_SAME(a.scale, b.scale, sizeof(float), "%s: scale of row %zu group %zu",
                        kernel->name, r, g);
            ASSERT_SAME(a.correction, b.correction, sizeof(int32_t),
                        "%s: correction of row %zu group %zu", kernel->name, r, g);
        }
    }
    return got;
}

static void compare_on(const struct q8_kernel *kernel, struct rng *r, size_t m, size_t n,
                       size_t k)
{
    const size_t stride = k + rng_below(r, 9);
    struct weights w = make_weights(r, n, k);
    float *x = make_rows(r, m, stride);
    void *memory;
    struct q8_acts acts = make_acts(m, k, &memory);
    const size_t tiles = q8_tiles(&w.packed);
    const size_t tile0 = rng_below(r, (uint32_t)tiles);
    const size_t tile1 = tile0 + 1 + rng_below(r, (uint32_t)(tiles - tile0));

    compare_quantize(kernel, x, m, k, stride);
    reference()->quantize(&acts, x, stride, 0, m);
    void *panels_memory = NULL;
    struct q8_acts panels;
    const bool has_panels = kernel->panels_from > 0;
    if (has_panels) {
        panels = make_panels(kernel, &acts, x, stride, &panels_memory);
    }
    compare_matmul(kernel, &acts, has_panels ? &panels : NULL, m, &w.packed, 0, tiles);
    compare_matmul(kernel, &acts, has_panels ? &panels : NULL, m, &w.packed, tile0, tile1);
    compare_matmul(kernel, &acts, NULL, 0, &w.packed, 0, tiles);
    mem_free_aligned(memory);
    mem_free_aligned(panels_memory);
    mem_free(x);
    free_weights(&w);
}

/* Calls `check` for each kernel that this processor runs, the reference left out. */
static void for_each_kernel(void (*check)(const struct q8_kernel *, struct rng *))
{
    for (const struct q8_kernel *const *k = q8_kernels; *k; k++) {
        if (((*k)->needs & ~cpu_features()) != 0 || *k == reference()) {
            continue;
        }
        struct rng r;
        rng_seed(&r, seed);
        check(*k, &r);
    }
}

static void check_random_shapes(const struct q8_kernel *kernel, struct rng *r)
{
    for (int i = 0; i < ROUNDS; i++) {
        compare_on(kernel, r, 1 + rng_below(r, 70), 1 + rng_below(r, 150),
                   (size_t)Q8_GROUP * (1 + rng_below(r, 40)));
    }
}

static void kernels_equal_the_reference_on_random_shapes(void **state)
{
    (void)state;
    for_each_kernel(check_random_shapes);
}

static void check_every_row_count(const struct q8_kernel *kernel, struct rng *r)
{
    for (size_t m = 1; m <= 40; m++) {
        compare_on(kernel, r, m, 201, (size_t)Q8_GROUP * (1 + m % 3));
    }
}

static void kernels_equal_the_reference_for_every_small_number_of_rows(void **state)
{
    (void)state;
    for_each_kernel(check_every_row_count);
}

static void check_large(const struct q8_kernel *kernel, struct rng *r)
{
    compare_on(kernel, r, 150, 35, 5632); /* more rows than a cache block */
    compare_on(kernel, r, 40, 35, 1120);  /* several blocks of groups, of uneven size */
    compare_on(kernel, r, 3, 1000, 2048);
    compare_on(kernel, r, 50, 70, 6400); /* several blocks of panels, of uneven size */
}

static void kernels_equal_the_reference_beyond_one_cache_block(void **state)
{
    (void)state;
    for_each_kernel(check_large);
}

/* The greatest sums that can occur: every product of a group has the same sign. */
static void check_saturation(const struct q8_kernel *kernel, struct rng *r)
{
    const size_t m = 20, n = 32, k = 96;
    struct weights w = make_weights(r, n, k);
    float *x = mem_array(m * k, sizeof(*x));
    assert_non_null(x);
    for (int signs = 0; signs < 4; signs++) {
        for (size_t i = 0; i < n * (k / Q8_GROUP); i++) {
            memset(w.blocks + i * Q8_BLOCK_BYTES + 2, signs & 1 ? 0x80 : 0x7f, Q8_GROUP);
        }
        q8_pack_blocks(w.memory, &w.packed, w.blocks, 0, q8_tiles(&w.packed));
        for (size_t i = 0; i < m * k; i++) {
            x[i] = signs & 2 ? -1.0f : 1.0f;
        }
        void *memory;
        struct q8_acts acts = make_acts(m, k, &memory);
        kernel->quantize(&acts, x, k, 0, m);
        assert_int_equal(abs(acts.q[0]), 127);
        compare_matmul(kernel, &acts, NULL, m, &w.packed, 0, q8_tiles(&w.packed));
        mem_free_aligned(memory);
    }
    mem_free(x);
    free_weights(&w);
}

static void no_kernel_saturates(void **state)
{
    (void)state;
    for_each_kernel(check_saturation);
}

/* Rows keep what they hold on their way from one arrangement to the other. */
static void rows_are_copied_between_arrangements(void **state)
{
    (void)state;
    const size_t m = 20, k = 96;
    struct rng r;
    rng_seed(&r, seed);
    float *x = make_rows(&r, m, k);
    void *memory[3];
    struct q8_acts rows = make_acts(m, k, &memory[0]), back = make_acts(m, k, &memory[1]);
    struct q8_acts panels = make_acts(m, k, &memory[2]), view;
    q8_acts_arrange(&panels, true);
    reference()->quantize(&rows, x, k, 0, m);
    for (size_t i = 0; i < m; i++) {
        q8_acts_copy(&panels, m - 1 - i, &rows, i);
    }
    q8_acts_from(&view, &panels, (size_t)2 * Q8_PANEL_ROWS);
    for (size_t i = 0; i < m; i++) {
        const size_t first = (size_t)2 * Q8_PANEL_ROWS, at = m - 1 - i;
        q8_acts_copy(&back, i, at < first ? &panels : &view, at < first ? at : at - first);
    }
    ASSERT_SAME(memory[0], memory[1], q8_acts_bytes(m, k), "copied there and back");
    for (size_t i = 0; i < 3; i++) {
        mem_free_aligned(memory[i]);
    }
    mem_free(x);
}

static void check_row_independence(const struct q8_kernel *kernel, struct rng *r)
{
    const size_t m = 37, n = 40, k = 320;
    struct weights w = make_weights(r, n, k);
    float *x = make_rows(r, m, k);
    void *memory, *one_memory;
    struct q8_acts acts = make_acts(m, k, &memory), one = make_acts(1, k, &one_memory);
    struct output all = make_output(m, n), single = make_output(1, n);
    kernel->quantize(&acts, x, k, 0, m);
    kernel->matmul(all.y, all.stride, &acts, m, &w.packed, 0, q8_tiles(&w.packed));
    for (size_t row = 0; row < m; row++) {
        kernel->quantize(&one, x + row * k, k, 0, 1);
        kernel->matmul(single.y, single.stride, &one, 1, &w.packed, 0, q8_tiles(&w.packed));
        ASSERT_SAME(all.y + row * all.stride, single.y, n * sizeof(float), "%s: row %zu of %zu",
                    kernel->name, row, m);
    }
    mem_free(all.memory);
    mem_free(single.memory);
    mem_free_aligned(memory);
    mem_free_aligned(one_memory);
    mem_free(x);
    free_weights(&w);
}

static void a_row_gives_the_same_bits_alone_and_in_a_batch(void **state)
{
    (void)state;
    for_each_kernel(check_row_independence);
}

static void check_not_finite(const struct q8_kernel *kernel, struct rng *r)
{
    const float bad[] = {INFINITY, -INFINITY, NAN};
    const size_t n = 20, k = 64;
    struct weights w = make_weights(r, n, k);
    for (size_t b = 0; b < 3; b++) {
        float *x = make_rows(r, 2, k);
        x[k + rng_below(r, (uint32_t)k)] = bad[b];
        compare_quantize(kernel, x, 2, k, k);
        void *memory;
        struct q8_acts acts = make_acts(2, k, &memory);
        struct output y = make_output(2, n);
        kernel->quantize(&acts, x, k, 0, 2);
        kernel->matmul(y.y, y.stride, &acts, 2, &w.packed, 0, q8_tiles(&w.packed));
        for (size_t i = 0; i < n; i++) {
            assert_true(isfinite(y.y[i]));
            assert_true(isnan(y.y[y.stride + i]));
        }
        mem_free(y.memory);
        mem_free_aligned(memory);
        mem_free(x);
    }
    free_weights(&w);
}

static void a_value_that_is_not_finite_spoils_its_own_row_and_no_other(void **state)
{
    (void)state;
    for_each_kernel(check_not_finite);
}

static void the_product_is_close_to_that_of_the_floats(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, seed);
    enum { M = 3, N = 33, K = 512 };
    float *x = mem_array(M * K, sizeof(*x)), *w = mem_array(N * K, sizeof(*w));
    struct q8_packed p;
    void *packed = mem_zalloc_aligned(q8_packed_bytes(N, K)), *memory;
    struct q8_acts acts = make_acts(M, K, &memory);
    float y[M * N];
    for (size_t i = 0; i < M * K; i++) {
        x[i] = rng_normal(&r);
    }
    for (size_t i = 0; i < N * K; i++) {
        w[i] = rng_normal(&r);
    }
    q8_packed_init(&p, packed, N, K);
    q8_pack_floats(packed, &p, w, 0, 1);
    q8_pack_floats(packed, &p, w, 1, q8_tiles(&p));
    reference()->quantize(&acts, x, K, 0, M);
    reference()->matmul(y, N, &acts, M, &p, 0, q8_tiles(&p));
    for (size_t row = 0; row < M; row++) {
        for (size_t j = 0; j < N; j++) {
            double exact = 0.0;
            for (size_t i = 0; i < K; i++) {
                exact += (double)x[row * K + i] * (double)w[j * K + i];
            }
            /* Each factor is off by up to 1/2 of 1/127 of the greatest in its group, about 3:
             * that makes a standard deviation of some 0.25 here. */
            assert_true(fabs((double)y[row * N + j] - exact) < 1.5);
        }
    }
    mem_free(x);
    mem_free(w);
    mem_free_aligned(packed);
    mem_free_aligned(memory);
}

static void a_packed_row_is_the_row_that_was_packed(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, seed);
    const size_t n = 35, k = 96;
    struct weights w = make_weights(&r, n, k);
    float out[96];
    for (size_t row = 0; row < n; row++) {
        q8_packed_row(out, &w.packed, row);
        for (size_t i = 0; i < k; i++) {
            const uint8_t *block =
                w.blocks + (row * (k / Q8_GROUP) + i / Q8_GROUP) * Q8_BLOCK_BYTES;
            uint16_t scale;
            memcpy(&scale, block, 2);
            const float want = q8_f16_to_f32(scale) * (float)(int8_t)block[2 + i % Q8_GROUP];
            assert_true(out[i] == want);
        }
    }
    free_weights(&w);
}

static void sizes_that_make_no_sense_are_zero(void **state)
{
    (void)state;
    assert_int_equal(q8_packed_bytes(16, 0), 0);
    assert_int_equal(q8_packed_bytes(16, 33), 0);
    assert_int_equal(q8_packed_bytes(SIZE_MAX, 32), 0);
    assert_int_equal(q8_packed_bytes(16, SIZE_MAX / 32 * 32), 0);
    assert_int_equal(q8_acts_bytes(1, 31), 0);
    assert_int_equal(q8_acts_bytes(SIZE_MAX / 2, 32), 0);
    assert_int_equal(q8_packed_bytes(17, 64), 2 * (2 * 512 + 2 * 32));
}

static void half_floats_convert_as_the_standard_says(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = q8_f16_to_f32((uint16_t)h);
        if ((h & 0x7fff) > 0x7c00) {
            assert_true(isnan(f));
        } else {
            assert_int_equal(q8_f32_to_f16(f), h);
        }
    }
    assert_true(q8_f16_to_f32(0x3c00) == 1.0f);
    assert_true(q8_f16_to_f32(0x0001) == 0x1p-24f);
    assert_true(q8_f16_to_f32(0xfbff) == -65504.0f);
    assert_true(isinf(q8_f16_to_f32(0x7c00)));

    /* Halfway cases go to even; what is beyond the greatest becomes infinite. */
    assert_int_equal(q8_f32_to_f16(1.0f + 0x1p-11f), 0x3c00);
    assert_int_equal(q8_f32_to_f16(1.0f + 0x3p-11f), 0x3c02);
    assert_int_equal(q8_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(q8_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(q8_f32_to_f16(-FLT_MAX), 0xfc00);
    assert_int_equal(q8_f32_to_f16(0x1p-25f), 0x0000);
    assert_int_equal(q8_f32_to_f16(0x1.8p-25f), 0x0001);
    assert_int_equal(q8_f32_to_f16(0x1.ffcp-15f), 0x0400);
    assert_true((q8_f32_to_f16(NAN) & 0x7fff) > 0x7c00);
}

static void a_peak_loop_counts_its_operations(void **state)
{
    (void)state;
    for (const struct q8_kernel *const *k = q8_kernels; *k; k++) {
        if (((*k)->needs & ~cpu_features()) != 0) {
            continue;
        }
        assert_true((*k)->spin_peak(10) > 0);
        assert_true((*k)->spin_peak(20) == 2 * (*k)->spin_peak(10));
    }
}

/* A kernel that this processor cannot run is not tested here: that should be seen. */
static void say_what_runs(void)
{
    for (const struct q8_kernel *const *k = q8_kernels; *k; k++) {
        bool runs = ((*k)->needs & ~cpu_features()) == 0;
        print_message("kernel %s: %s\n", (*k)->name, runs ? "tested" : "skipped, not here");
    }
}

int main(int argc, char **argv)
{
    say_what_runs();
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_equal_the_reference_on_random_shapes),
        cmocka_unit_test(kernels_equal_the_reference_for_every_small_number_of_rows),
        cmocka_unit_test(kernels_equal_the_reference_beyond_one_cache_block),
        cmocka_unit_test(no_kernel_saturates),
        cmocka_unit_test(rows_are_copied_between_arrangements),
        cmocka_unit_test(a_row_gives_the_same_bits_alone_and_in_a_batch),
        cmocka_unit_test(a_value_that_is_not_finite_spoils_its_own_row_and_no_other),
        cmocka_unit_test(the_product_is_close_to_that_of_the_floats),
        cmocka_unit_test(a_packed_row_is_the_row_that_was_packed),
        cmocka_unit_test(sizes_that_make_no_sense_are_zero),
        cmocka_unit_test(half_floats_convert_as_the_standard_says),
        cmocka_unit_test(a_peak_loop_counts_its_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
