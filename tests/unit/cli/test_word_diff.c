/* word_diff.h: what is marked, and that both texts can be read back from it. */
#include "runtime/cli/word_diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

static void assert_diff(const char *a, const char *b, const char *wanted)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(word_diff(a, strlen(a), b, strlen(b), &out, &e), 0);
    assert_string_equal(out.data ? out.data : "", wanted);
    buf_deinit(&out);
}

static void what_changed_is_marked(void **state)
{
    (void)state;
    assert_diff("", "", "");
    assert_diff("a b c", "a b c", "a b c");
    assert_diff("a b c", "a x c", "a [-b-]{+x+} c");
    assert_diff("a b c", "a c", "a [-b-] c");
    assert_diff("a c", "a b c", "a {+b+} c");
    assert_diff("", "a b", "{+a b+}");
    assert_diff("a b", "", "[-a b-]");
    assert_diff("one two three", "four five", "[-one two three-]{+four five+}");
    assert_diff("I am sorry, I cannot.", "I am happy, I can.",
                "I am [-sorry,-]{+happy,+} I [-cannot.-]{+can.+}");
    assert_diff("the cat sat on the mat", "the dog sat on a mat",
                "the [-cat-]{+dog+} sat on [-the-]{+a+} mat");
    assert_diff("a a a", "a a", "a a [-a-]");
}

static void white_space_is_that_of_the_second(void **state)
{
    (void)state;
    assert_diff("a  b\n", "a\nb", "a\nb");
    assert_diff(" a b", "\n\na  c \n", "\n\na  [-b-]{+c+} \n");
}

static void words_are_counted(void **state)
{
    (void)state;
    assert_int_equal(word_count("", 0), 0);
    assert_int_equal(word_count("  \n", 3), 0);
    assert_int_equal(word_count(" one\ttwo\nthree ", 15), 3);
}

/* The words that are not marked with `mark`, with one space between. */
static void unmark(const char *diff, const char *open, const char *close, const char *keep_open,
                   const char *keep_close, char *out)
{
    char *to = out;
    for (const char *at = diff; *at;) {
        if (strncmp(at, open, 2) == 0) {
            at = strstr(at, close) + 2;
        } else if (strncmp(at, keep_open, 2) == 0 || strncmp(at, keep_close, 2) == 0) {
            at += 2;
            *to++ = ' ';
        } else {
            *to++ = *at++;
        }
    }
    *to = '\0';
}

static void assert_same_words(const char *a, const char *b)
{
    struct buf out;
    struct err e = {0};
    buf_init(&out, 1 << 20);
    assert_int_equal(word_diff(a, strlen(a), b, strlen(b), &out, &e), 0);
    const char *diff = out.data ? out.data : "";
    assert_true(!strstr(diff, "[-") && !strstr(diff, "{+"));
    assert_int_equal(word_count(a, strlen(a)), word_count(b, strlen(b)));
    buf_deinit(&out);
}

static void both_texts_can_be_read_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int round = 0; round < 3000; round++) {
        char texts[2][200] = {"", ""}, back[2][400];
        for (int k = 0; k < 2; k++) {
            size_t n = rng_below(&rng, 20);
            for (size_t i = 0; i < n; i++) {
                size_t len = strlen(texts[k]);
                snprintf(texts[k] + len, sizeof(texts[k]) - len, "%s%c", i ? " " : "",
                         (char)('a' + rng_below(&rng, 4)));
            }
        }
        struct err e = {0};
        struct buf out;
        buf_init(&out, 1 << 16);
        assert_int_equal(
            word_diff(texts[0], strlen(texts[0]), texts[1], strlen(texts[1]), &out, &e), 0);
        const char *diff = out.data ? out.data : "";
        unmark(diff, "{+", "+}", "[-", "-]", back[0]);
        unmark(diff, "[-", "-]", "{+", "+}", back[1]);
        assert_same_words(texts[0], back[0]);
        assert_same_words(texts[1], back[1]);
        buf_deinit(&out);
    }
}

static void long_texts_are_replaced_whole(void **state)
{
    (void)state;
    struct err e = {0};
    struct buf a, b, out;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    buf_init(&out, 1 << 22);
    for (int i = 0; i < 3000; i++) {
        buf_printf(&a, "a%d ", i);
        buf_printf(&b, "b%d ", i);
    }
    buf_append_str(&a, "end");
    buf_append_str(&b, "end");
    assert_int_equal(word_diff(a.data, a.len, b.data, b.len, &out, &e), 0);
    assert_memory_equal(out.data, "[-a0 a1 ", 8);
    assert_non_null(strstr(out.data, "a2999-]{+b0 "));
    assert_non_null(strstr(out.data, "b2999+} end"));
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changed_is_marked),
        cmocka_unit_test(white_space_is_that_of_the_second),
        cmocka_unit_test(words_are_counted),
        cmocka_unit_test(both_texts_can_be_read_back),
        cmocka_unit_test(long_texts_are_replaced_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
