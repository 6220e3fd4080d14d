/* sampling.h: settings and a vocabulary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "models/sampling.h"
#include "runtime/base/mem.h"
#include "tests/unit/models/small_vocab.h"

static struct tokenizer *tokenizer;

static void set_breakers(struct sampling *s, const char *texts, size_t bytes, size_t n)
{
    s->dry.breakers = mem_alloc(bytes);
    assert_non_null(s->dry.breakers);
    memcpy(s->dry.breakers, texts, bytes);
    s->dry.n_breakers = n;
}

static bool breaks(const struct sampling *s, int32_t id)
{
    return s->dry.breaks[id / 32] >> (id % 32) & 1u;
}

static void a_breaker_is_every_token_that_contains_it(void **state)
{
    (void)state;
    static const struct {
        const char *texts;
        size_t bytes;
        size_t n;
        const char *wanted[4];
    } cases[] = {{NULL, 0, 0, {"\n", ":", "\"", "*"}}, {"e\0th", 5, 2, {"e", "th"}}};
    for (size_t i = 0; i < 2; i++) {
        struct sampling s = SAMPLING_DEFAULT;
        struct err e = {0};
        int found = 0;
        s.dry.multiplier = 1.0f;
        if (cases[i].texts) {
            set_breakers(&s, cases[i].texts, cases[i].bytes, cases[i].n);
        }
        assert_int_equal(sampling_bind(&s, tokenizer, &e), 0);
        for (int32_t id = 0; id < tokenizer_vocab_size(tokenizer); id++) {
            size_t len;
            const char *bytes = tokenizer_token_bytes(tokenizer, id, &len);
            bool wanted = false;
            for (int k = 0; k < 4 && cases[i].wanted[k]; k++) {
                wanted = wanted || strstr(bytes, cases[i].wanted[k]);
            }
            assert_int_equal(breaks(&s, id), wanted);
            found += wanted;
        }
        assert_true(found >= 2);
        sampling_deinit(&s);
    }
}

static void a_breaker_of_several_tokens_is_the_last_of_them(void **state)
{
    (void)state;
    struct sampling s = SAMPLING_DEFAULT;
    struct err e = {0};
    struct token_list tokens = {0};
    s.dry.multiplier = 1.0f;
    set_breakers(&s, "@#~", 4, 1);
    assert_int_equal(sampling_bind(&s, tokenizer, &e), 0);
    assert_int_equal(tokenizer_encode(tokenizer, "~", 1, false, &tokens, &e), 0);
    for (int32_t id = 0; id < tokenizer_vocab_size(tokenizer); id++) {
        assert_int_equal(breaks(&s, id), id == tokens.ids[0]);
    }
    token_list_deinit(&tokens);
    sampling_deinit(&s);
}

static void ids_outside_the_vocabulary_are_refused_by_name(void **state)
{
    (void)state;
    int32_t vocab = tokenizer_vocab_size(tokenizer);
    struct sampling_bias bias = {.token = vocab - 1};
    int32_t stop = vocab - 1;
    struct sampling s = SAMPLING_DEFAULT;
    struct err e = {0};
    s.bias = &bias;
    s.stop_ids = &stop;
    s.n_bias = s.n_stop_ids = 1;
    assert_int_equal(sampling_bind(&s, tokenizer, &e), 0);
    bias.token = vocab;
    assert_int_equal(sampling_bind(&s, tokenizer, &e), -1);
    assert_string_equal(e.param, "logit_bias");
    bias.token = 0;
    stop = vocab;
    assert_int_equal(sampling_bind(&s, tokenizer, &e), -1);
    assert_string_equal(e.param, "stop_token_ids");
    assert_int_equal(e.kind, ERR_INVALID);
}

static void any_failing_allocation_is_told(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        struct sampling s = SAMPLING_DEFAULT, copy = {0};
        struct err e = {0};
        s.dry.multiplier = 1.0f;
        size_t before = mem_live();
        mem_fail_at(nth);
        int rc = sampling_bind(&s, tokenizer, &e);
        rc = rc == 0 ? sampling_copy(&copy, &s, &e) : rc;
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        assert_int_equal(rc, reached ? -1 : 0);
        if (!reached) {
            assert_memory_equal(copy.dry.breaks, s.dry.breaks, s.dry.n_words * 4);
        }
        sampling_deinit(&s);
        sampling_deinit(&copy);
        assert_int_equal(mem_live(), before);
        if (!reached) {
            return;
        }
    }
}

static int open_tokenizer(void **state)
{
    (void)state;
    tokenizer = small_vocab_tokenizer("gpt-2");
    return 0;
}

static int close_tokenizer(void **state)
{
    (void)state;
    tokenizer_destroy(tokenizer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_breaker_is_every_token_that_contains_it),
        cmocka_unit_test(a_breaker_of_several_tokens_is_the_last_of_them),
        cmocka_unit_test(ids_outside_the_vocabulary_are_refused_by_name),
        cmocka_unit_test(any_failing_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
