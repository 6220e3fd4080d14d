/* Unicode's normalization forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/tokenizer/unicode_form.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define MAX_OUT 65536

static struct unicode_form forms[4]; /* by their kind */

static int make_forms(void **state)
{
    (void)state;
    int rc = 0;
    for (int kind = 0; kind < 4; kind++) {
        rc |= unicode_form_init(&forms[kind], (enum unicode_form_kind)kind);
    }
    return rc;
}

static int no_block_is_left(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        unicode_form_deinit(&forms[kind]);
    }
    return mem_live() == 0 ? 0 : -1;
}

static void apply(enum unicode_form_kind kind, const char *text, size_t len, struct buf *out)
{
    assert_int_equal(unicode_form_apply(&forms[kind], text, len, out), 0);
    /* What is kept at a look is what stays. */
    if (unicode_form_keeps(&forms[kind], text, len)) {
        assert_int_equal(out->len, len);
        assert_memory_equal(out->data ? out->data : "", text, len);
    }
}

static void expect_bytes(enum unicode_form_kind kind, const char *text, size_t len,
                         const char *wanted, size_t wanted_len)
{
    struct buf out;
    buf_init(&out, MAX_OUT);
    apply(kind, text, len, &out);
    assert_int_equal(out.len, wanted_len);
    assert_memory_equal(out.data ? out.data : "", wanted, wanted_len);
    buf_deinit(&out);
}

static void expect(enum unicode_form_kind kind, const char *text, const char *wanted)
{
    expect_bytes(kind, text, strlen(text), wanted, strlen(wanted));
}

/* Of a text in all four. */
static void expect_forms(const char *text, const char *nfc, const char *nfd, const char *nfkc,
                         const char *nfkd)
{
    expect(UNICODE_NFC, text, nfc);
    expect(UNICODE_NFD, text, nfd);
    expect(UNICODE_NFKC, text, nfkc);
    expect(UNICODE_NFKD, text, nfkd);
}

/* UAX 15, figures 3, 4 and 6. */
static void letters_come_together_and_apart(void **state)
{
    (void)state;
    expect_forms("", "", "", "", "");
    expect_forms("plain text\n", "plain text\n", "plain text\n", "plain text\n",
                 "plain text\n");
    expect_forms("\u212b", "\u00c5", "A\u030a", "\u00c5", "A\u030a");
    expect_forms("x\u00e9y e\u0301 \u1e9b\u0323", "x\u00e9y \u00e9 \u1e9b\u0323",
                 "xe\u0301y e\u0301 \u017f\u0323\u0307", "x\u00e9y \u00e9 \u1e69",
                 "xe\u0301y e\u0301 s\u0323\u0307");
    expect_forms("\ufb01 2\u2075 \uff76\uff9e", "\ufb01 2\u2075 \uff76\uff9e",
                 "\ufb01 2\u2075 \uff76\uff9e", "fi 25 \u30ac", "fi 25 \u30ab\u3099");
    /* Excluded from composition. */
    expect_forms("\u0958", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c");
    /* Beyond 16 bits. */
    expect(UNICODE_NFC, "\U00011099\U000110ba", "\U0001109a");
    expect(UNICODE_NFKC, "\U0001d400", "A");
}

static void marks_have_one_order(void **state)
{
    (void)state;
    expect(UNICODE_NFD, "a\u0307\u0323", "a\u0323\u0307");
    expect(UNICODE_NFC, "s\u0307\u0323", "\u1e69");
    expect(UNICODE_NFC, "\u0301\u0302a", "\u0301\u0302a"); /* of one class: as they come */
    expect(UNICODE_NFC, "q\u0307\u0323", "q\u0323\u0307");
    expect(UNICODE_NFC, ">\u0338", "\u226f");      /* a sign of ASCII joins too */
    expect(UNICODE_NFC, "\u1025\u102e", "\u1026"); /* a mark without a class */
}

static void syllables_of_hangul_are_made_of_three(void **state)
{
    (void)state;
    expect(UNICODE_NFC, "\u1112\u1161\u11ab\u1100\u1173\u11af", "\ud55c\uae00");
    expect(UNICODE_NFC, "\uac00\u11a8", "\uac01");
    expect(UNICODE_NFD, "\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af");
    expect(UNICODE_NFC, "\uac00\u11a7", "\uac00\u11a7"); /* no final consonant */
    expect(UNICODE_NFC, "\u1161\u11a8", "\u1161\u11a8");
}

static void bytes_that_are_no_text_stay_and_part(void **state)
{
    (void)state;
    expect(UNICODE_NFC, "e\xff\u0301", "e\xff\u0301");
    expect(UNICODE_NFC, "\xcc", "\xcc");
    expect(UNICODE_NFC, "e\xcc", "e\xcc");
    expect(UNICODE_NFC, "\x80\x80\u0301e\u0301\x80", "\x80\x80\u0301\u00e9\x80");
    expect(UNICODE_NFKC, "\xe2\x84\u212b\xed\xa0\x80", "\xe2\x84\u00c5\xed\xa0\x80");
    expect_bytes(UNICODE_NFC, "\0e\u0301\0", 5, "\0\u00e9\0", 4);
}

/* Marks of two classes by turns, as many as no writing has: put in order in linear time. */
static void a_long_run_of_marks_is_put_in_order(void **state)
{
    (void)state;
    enum { PAIRS = 200 };
    char text[2 + 4 * PAIRS], wanted[2 + 4 * PAIRS];
    text[0] = wanted[0] = 'q';
    for (size_t i = 0; i < PAIRS; i++) {
        strcpy(text + 1 + 4 * i, "\u0301\u0323");
        strcpy(wanted + 1 + 2 * i, "\u0323");
    }
    for (size_t i = 0; i < PAIRS; i++) {
        strcpy(wanted + 1 + 2 * (PAIRS + i), "\u0301");
    }
    expect_bytes(UNICODE_NFD, text, strlen(text), wanted, strlen(wanted));
    expect_bytes(UNICODE_NFC, text, strlen(text), wanted, strlen(wanted));
}

static void a_text_grows_as_much_as_is_said(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, MAX_OUT);
    apply(UNICODE_NFKD, "\ufdfa\ufdfa", 6, &out);
    assert_int_equal(out.len, 6 * UNICODE_FORM_GROWTH);
    buf_deinit(&out);
}

/* Random bytes and characters: what has a form keeps it, and one look does not say otherwise
 * than the work itself. */
static void a_form_is_kept(void **state)
{
    (void)state;
    static const char *const parts[] = {"a",      "e",      "\u0301", "\u0323", "\u00e9",
                                        "\u1112", "\u1161", "\u11ab", "\uac00", "\ufb01",
                                        "\u4e2d", "\u09c7", "\u09be", "\xff",   "\xcc"};
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 20000; i++) {
        const enum unicode_form_kind kind = (enum unicode_form_kind)rng_below(&r, 4);
        char text[64];
        size_t len = 0;
        for (uint64_t n = rng_below(&r, 16); n > 0; n--) {
            const char *part = parts[rng_below(&r, sizeof(parts) / sizeof(parts[0]))];
            strcpy(text + len, part);
            len += strlen(part);
        }
        struct buf once, twice;
        buf_init(&once, MAX_OUT);
        buf_init(&twice, MAX_OUT);
        apply(kind, text, len, &once);
        apply(kind, once.data ? once.data : "", once.len, &twice);
        assert_int_equal(once.len, twice.len);
        assert_memory_equal(once.data ? once.data : "", twice.data ? twice.data : "", once.len);
        buf_deinit(&once);
        buf_deinit(&twice);
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static const char text[] = "e\u0301\u0302\u0303 and x\u0301";
    const size_t live = mem_live();
    int rc = -1;
    for (size_t nth = 1; rc != 0; nth++) {
        struct unicode_form f;
        struct buf out;
        buf_init(&out, MAX_OUT);
        mem_fail_at(nth);
        rc = unicode_form_init(&f, UNICODE_NFC);
        rc = rc == 0 ? unicode_form_apply(&f, text, strlen(text), &out) : rc;
        mem_fail_at(0);
        unicode_form_deinit(&f);
        buf_deinit(&out);
        assert_int_equal(mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_come_together_and_apart),
        cmocka_unit_test(marks_have_one_order),
        cmocka_unit_test(syllables_of_hangul_are_made_of_three),
        cmocka_unit_test(bytes_that_are_no_text_stay_and_part),
        cmocka_unit_test(a_long_run_of_marks_is_put_in_order),
        cmocka_unit_test(a_text_grows_as_much_as_is_said),
        cmocka_unit_test(a_form_is_kept),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_forms, no_block_is_left);
}
