#include "tests/unit/filters/guard_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static float number(struct rng *r)
{
    return rng_uniform(r) - 0.5f;
}

struct guard_model *guard_fixture(uint64_t seed, uint32_t dims, uint32_t bits, uint32_t hidden)
{
    const struct guard_shape shape = {.dims = dims, .bits = bits, .hidden = hidden};
    struct guard_model *m = guard_model_create(&shape);
    struct rng r;
    assert_non_null(m);
    rng_seed(&r, seed);
    m->scale = 0.01f;
    for (size_t i = 0; i < (size_t)3 * dims * hidden; i++) {
        m->hidden[i] = number(&r);
    }
    for (size_t i = 0; i < hidden; i++) {
        m->hidden_bias[i] = number(&r);
    }
    for (size_t i = 0; i < (size_t)hidden * GUARD_CATEGORIES; i++) {
        m->output[i] = number(&r);
    }
    for (size_t i = 0; i < GUARD_CATEGORIES; i++) {
        m->output_bias[i] = number(&r);
        m->thresholds[i] = 0.5f;
    }
    for (size_t i = 0; i < ((size_t)dims << bits); i++) {
        m->table[i] = (int8_t)((int)rng_below(&r, 255) - 127);
    }
    return m;
}

char *guard_fixture_file(const struct guard_model *model, size_t *len)
{
    struct buf out;
    struct err e;
    buf_init(&out, (size_t)16 << 20);
    assert_int_equal(guard_model_write(model, &out, &e), 0);
    char *file = buf_take(&out, len);
    assert_non_null(file);
    return file;
}
