/* What a file says to do to a text before it is split: the keys, and how they fit in with the
 * names of special tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/mem.h"
#include "tests/unit/models/encode_checks.h"
#include "tests/unit/models/small_vocab.h"

#define MAX_TEXTS 20

static int no_block_is_left(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

/* The small vocabulary with steps, parted by blanks, and a token that is looked for behind
 * them; -1: none. */
static struct gguf *make_vocab(const char *steps, int32_t normalized)
{
    struct err e = {0};
    struct gguf_str list[MAX_TEXTS];
    size_t n = 0;
    struct gguf *plain = small_vocab_open();
    struct gguf_writer *w = gguf_writer_create(&e);
    for (const char *at = steps; *at; at += strspn(at, " ")) {
        list[n] = (struct gguf_str){at, strcspn(at, " ")};
        at += list[n++].len;
    }
    gguf_put_strs(w, TOKENIZER_KEY_TEXT_FORM, list, n);
    if (normalized >= 0) {
        gguf_put_array(w, TOKENIZER_KEY_NORMALIZED, GGUF_I32, &normalized, 1);
    }
    gguf_put_copies(w, plain, "");
    struct gguf *g = small_vocab_reopen(w);
    gguf_close(plain);
    return g;
}

static void expect_same(const struct tokenizer *t, const char *text, const char *other)
{
    struct token_list a = {0}, b = {0};
    encode_text(t, text, strlen(text), true, &a);
    encode_text(t, other, strlen(other), true, &b);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.ids, b.ids, a.count * sizeof(*a.ids));
    token_list_deinit(&a);
    token_list_deinit(&b);
}

static size_t count_of(const struct tokenizer *t, const char *text, bool parse_special,
                       int32_t id)
{
    struct token_list list = {0};
    size_t n = 0;
    encode_text(t, text, strlen(text), parse_special, &list);
    for (size_t i = 0; i < list.count; i++) {
        n += list.ids[i] == id;
    }
    token_list_deinit(&list);
    return n;
}

static void a_text_is_brought_into_its_form_before_it_is_split(void **state)
{
    (void)state;
    struct tokenizer *t = encode_open(make_vocab("NFC", -1));
    expect_same(t, "the e\u0301 fox", "the \u00e9 fox");
    expect_same(t, "\u212b", "\u00c5");
    tokenizer_destroy(t);
    t = encode_open(make_vocab("NFD", -1));
    expect_same(t, "the \u00e9 fox", "the e\u0301 fox");
    tokenizer_destroy(t);
    t = encode_open(make_vocab("NFKC NFD", -1)); /* one after the other */
    expect_same(t, "\uff54\uff48\uff45 \u00e9", "the e\u0301");
    tokenizer_destroy(t);
    t = encode_open(make_vocab("Replace '' \" NFKD StripAccents Lowercase", -1));
    expect_same(t, "''TH\u00c9 ''", "\"the \"");
    expect_same(t, "\u0301", ""); /* nothing is left of a text */
    tokenizer_destroy(t);
}

static void a_text_behind_other_tokens_has_the_form_too(void **state)
{
    (void)state;
    struct tokenizer *t = encode_open(make_vocab("NFKC", -1));
    struct token_list list = {0};
    struct err e = {0};
    assert_int_equal(tokenizer_encode_inner(t, " \uff54\uff48\uff45", 10, &list, &e), 0);
    assert_int_equal(list.count, 1);
    assert_string_equal(tokenizer_token_name(t, list.ids[0]), "\u0120the");
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

/* A mark that joins the end of a name leaves no name where the form comes first. */
static void a_special_token_is_looked_for_before_the_form_or_behind_it(void **state)
{
    (void)state;
    static const char joined[] = "a<|im_start|>\u0338b", wide[] = "\uff1c|im_start|>";
    const int32_t im_start = 1;
    struct tokenizer *t = encode_open(make_vocab("NFKC", -1));
    assert_int_equal(count_of(t, joined, true, im_start), 1);
    assert_int_equal(count_of(t, wide, true, im_start), 0);
    tokenizer_destroy(t);
    t = encode_open(make_vocab("NFKC", im_start));
    assert_int_equal(count_of(t, joined, true, im_start), 0);
    assert_int_equal(count_of(t, wide, true, im_start), 1);
    assert_int_equal(count_of(t, wide, false, im_start), 0); /* a user's text names none */
    assert_int_equal(count_of(t, "<|im_start|>a<|im_start|>", true, im_start), 2);
    tokenizer_destroy(t);
}

static void keys_that_say_nothing_known_are_refused(void **state)
{
    (void)state;
    encode_expect_refusal(make_vocab("NFC upper", -1), "no step \"upper\" is known");
    encode_expect_refusal(make_vocab("NFC Replace x", -1), "two texts must stand");
    encode_expect_refusal(make_vocab("NFC", SMALL_VOCAB_SIZE), "\"tokenizer.weir.normalized\"");
    encode_expect_refusal(make_vocab("NFC NFC NFC NFC NFC NFC NFC NFC NFC NFC NFC NFC NFC NFC "
                                     "NFC NFC NFC",
                                     -1),
                          "more than 16 steps");
}

/* "~", as a token of some vocabularies: in the form it would have another name. */
static void a_token_that_the_form_would_rename_is_refused(void **state)
{
    (void)state;
    struct err e = {0};
    const struct gguf_str names[] = {{"\uff5e", 3}};
    const struct gguf_str step = {"NFKC", 4};
    const int32_t kind = 4, id = 0; /* user-defined */
    struct gguf_writer *w = gguf_writer_create(&e);
    gguf_put_str(w, "tokenizer.ggml.model", "gpt2");
    gguf_put_strs(w, "tokenizer.ggml.tokens", names, 1);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, &kind, 1);
    gguf_put_strs(w, "tokenizer.ggml.merges", NULL, 0);
    gguf_put_strs(w, TOKENIZER_KEY_TEXT_FORM, &step, 1);
    gguf_put_array(w, TOKENIZER_KEY_NORMALIZED, GGUF_I32, &id, 1);
    encode_expect_refusal(small_vocab_reopen(w), "is changed by what");
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static const char text[] = "the e\u0301\u0302 quick <|im_start|> fox";
    encode_expect_failing_allocations(make_vocab("NFC NFKD", 1), text, strlen(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_brought_into_its_form_before_it_is_split),
        cmocka_unit_test(a_text_behind_other_tokens_has_the_form_too),
        cmocka_unit_test(a_special_token_is_looked_for_before_the_form_or_behind_it),
        cmocka_unit_test(keys_that_say_nothing_known_are_refused),
        cmocka_unit_test(a_token_that_the_form_would_rename_is_refused),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, no_block_is_left);
}
