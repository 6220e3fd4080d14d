#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/tokenizer/bpe.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

static int no_block_is_left(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

static size_t merge_naively(const struct bpe_table *t, int32_t *ids, size_t n)
{
    for (;;) {
        const struct bpe_merge *best = NULL;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            const struct bpe_merge *m = bpe_table_find(t, ids[i], ids[i + 1]);

            if (m && (!best || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (!best) {
            return n;
        }
        ids[at] = best->merged;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof(*ids));
        n--;
    }
}

static void words_of_any_length_merge_as_the_definition_says(void **state)
{
    (void)state;
    enum { N_MERGES = 60, MAX_WORD = 200 };
    struct bpe_scratch scratch = {0};
    struct bpe_table table;
    struct rng r;

    rng_seed(&r, 3);
    for (int round = 0; round < 300; round++) {
        int32_t ids[MAX_WORD];
        int32_t wanted[MAX_WORD];
        size_t n = rng_below(&r, MAX_WORD + 1);

        assert_int_equal(bpe_table_init(&table, N_MERGES), 0);
        for (uint32_t i = 0; i < N_MERGES; i++) {
            bpe_table_add(&table, (int32_t)rng_below(&r, 4 + i), (int32_t)rng_below(&r, 4 + i),
                          i, (int32_t)(4 + i));
        }
        for (size_t i = 0; i < n; i++) {
            wanted[i] = ids[i] = (int32_t)rng_below(&r, 4);
        }
        const size_t n_wanted = merge_naively(&table, wanted, n);
        assert_int_equal(bpe_merge_word(&table, ids, &n, &scratch), 0);
        assert_int_equal(n, n_wanted);
        if (n > 0) {
            assert_memory_equal(ids, wanted, n * sizeof(*ids));
        }
        bpe_table_deinit(&table);
    }
    bpe_scratch_deinit(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(words_of_any_length_merge_as_the_definition_says,
                                  no_block_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
