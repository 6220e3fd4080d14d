/* The steps of a text form that are not one of Unicode's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/tokenizer/text_step.h"
#include "runtime/base/mem.h"

#define MAX_OUT 4096

static int no_block_is_left(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

static void expect_step(const struct text_step *s, const char *text, const char *wanted)
{
    const size_t len = strlen(text);
    struct buf out;
    buf_init(&out, MAX_OUT);
    assert_int_equal(text_step_apply(s, text, len, &out), 0);
    assert_string_equal(out.data ? out.data : "", wanted);
    assert_true(out.len <= text_step_bound(s, text, len));
    if (text_step_keeps(s, text, len)) {
        assert_string_equal(text, wanted);
    }
    buf_deinit(&out);
}

static void expect(enum text_step_kind kind, const char *text, const char *wanted)
{
    struct text_step s;
    assert_int_equal(text_step_init(&s, kind), 0);
    expect_step(&s, text, wanted);
    text_step_deinit(&s);
}

static void expect_replaced(const char *from, const char *to, const char *text,
                            const char *wanted)
{
    const struct gguf_str a = {from, strlen(from)}, b = {to, strlen(to)};
    struct text_step s;
    text_step_init_replace(&s, &a, &b);
    expect_step(&s, text, wanted);
    text_step_deinit(&s);
}

static void steps_have_the_names_of_tokenizer_json(void **state)
{
    (void)state;
    assert_int_equal(text_step_find("NFKD", 4), TEXT_NFKD);
    assert_int_equal(text_step_find("StripAccents", 12), TEXT_STRIP_ACCENTS);
    assert_int_equal(text_step_find("Strip", 5), TEXT_N_KINDS);
    assert_int_equal(text_step_find("", 0), TEXT_N_KINDS);
    expect(TEXT_NFKD, "\ufb01", "fi");
}

static void letters_become_small_each_by_itself(void **state)
{
    (void)state;
    expect(TEXT_LOWERCASE, "plain text 1", "plain text 1");
    expect(TEXT_LOWERCASE, "ABC \u00c4\u0416\u03a9 \u4e2d", "abc \u00e4\u0436\u03c9 \u4e2d");
    expect(TEXT_LOWERCASE, "\u039f\u03a3", "\u03bf\u03c3"); /* no other letter at the end */
    expect(TEXT_LOWERCASE, "\u0130\u1e9e", "i\u0307\u00df");
    expect(TEXT_LOWERCASE, "A\xff\xc3Z", "a\xff\xc3z");
}

static void marks_of_every_kind_are_left_out(void **state)
{
    (void)state;
    expect(TEXT_STRIP_ACCENTS, "plain", "plain");
    expect(TEXT_STRIP_ACCENTS, "e\u0301\u0302o", "eo");
    expect(TEXT_STRIP_ACCENTS, "\u00e9", "\u00e9"); /* no mark of its own */
    expect(TEXT_STRIP_ACCENTS, "\u0915\u093f a\u20dd", "\u0915 a");
    expect(TEXT_STRIP_ACCENTS, "\u0301", "");
    expect(TEXT_STRIP_ACCENTS, "a\xcc", "a\xcc");
}

static void white_space_becomes_spaces(void **state)
{
    (void)state;
    expect(TEXT_SPACES, "a b", "a b");
    expect(TEXT_SPACES, "a\t\r\nb\u00a0\u3000\u2028c\xc2\x85", "a   b   c ");
    expect(TEXT_SPACES, "a\u200b\u180e\xa0", "a\u200b\u180e\xa0"); /* these are none */
}

static void a_text_is_replaced_where_it_stands(void **state)
{
    (void)state;
    expect_replaced("``", "\"", "``a`` ```", "\"a\" \"`");
    expect_replaced("a", "", "banana", "bnn");
    expect_replaced("x", "yyyy", "xx", "yyyyyyyy");
    expect_replaced("aa", "a", "aaaaa", "aaa"); /* once, from the left */
    expect_replaced("\u2581", " ", "a\u2581", "a ");
    expect_replaced("longer than the text", "x", "short", "short");
}

static void what_can_not_be_counted_has_no_bound(void **state)
{
    (void)state;
    struct text_step s;
    assert_int_equal(text_step_init(&s, TEXT_LOWERCASE), 0);
    assert_true(text_step_bound(&s, "", SIZE_MAX / 2) == SIZE_MAX);
    text_step_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_have_the_names_of_tokenizer_json),
        cmocka_unit_test(letters_become_small_each_by_itself),
        cmocka_unit_test(marks_of_every_kind_are_left_out),
        cmocka_unit_test(white_space_becomes_spaces),
        cmocka_unit_test(a_text_is_replaced_where_it_stands),
        cmocka_unit_test(what_can_not_be_counted_has_no_bound),
    };
    return cmocka_run_group_tests(tests, NULL, no_block_is_left);
}
