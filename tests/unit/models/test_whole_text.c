/* whole_text.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "models/tokenizer/whole_text.h"
#include "tests/unit/models/small_vocab.h"

static const char text[] = "the quick brown fox jumps over the lazy dog";

/* The small vocabulary, with a file that says what stands around a text. */
static struct tokenizer *open_with(bool add_bos, bool add_eos)
{
    struct err e = {0};
    struct gguf *plain = small_vocab_open();
    struct gguf_writer *w = gguf_writer_create(&e);
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", add_bos);
    gguf_put_bool(w, "tokenizer.ggml.add_eos_token", add_eos);
    gguf_put_copies(w, plain, "");
    struct gguf *g = small_vocab_reopen(w);
    struct tokenizer *t = tokenizer_from_gguf(g, &e);
    gguf_close(g);
    gguf_close(plain);
    if (!t) {
        fail_msg("%s", e.message);
    }
    return t;
}

static void expect_around(bool add_bos, bool add_eos)
{
    struct err e = {0};
    struct tokenizer *t = open_with(add_bos, add_eos);
    struct token_list bare = {0}, whole = {0};
    assert_int_equal(tokenizer_encode(t, text, strlen(text), false, &bare, &e), 0);
    assert_int_equal(token_list_push(&whole, 7), 0); /* what was there before stays */
    assert_int_equal(whole_text_encode(t, text, strlen(text), false, &whole, &e), 0);
    assert_int_equal(whole_text_around(t), add_bos + add_eos);
    assert_int_equal(whole.count, 1 + bare.count + whole_text_around(t));
    assert_int_equal(whole.ids[0], 7);
    assert_memory_equal(whole.ids + 1 + add_bos, bare.ids, bare.count * sizeof(*bare.ids));
    assert_true(!add_bos || whole.ids[1] == tokenizer_bos(t));
    assert_true(!add_eos || whole.ids[whole.count - 1] == tokenizer_eos(t));

    size_t before = whole.count;
    whole_text_truncate(t, &whole, 1, before - 1);
    assert_int_equal(whole.count, before); /* it is short enough */
    whole_text_truncate(t, &whole, 1, 5);
    assert_int_equal(whole.count, 1 + 5);
    assert_int_equal(whole.ids[1], add_bos ? tokenizer_bos(t) : bare.ids[0]);
    assert_int_equal(whole.ids[5], add_eos ? tokenizer_eos(t) : bare.ids[4 - add_bos]);
    token_list_deinit(&bare);
    token_list_deinit(&whole);
    tokenizer_destroy(t);
}

static void what_the_file_asks_for_stands_around_and_stays(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        expect_around(i & 1, i & 2);
    }
}

static void names_of_control_tokens_are_text_unless_asked_for(void **state)
{
    (void)state;
    struct err e = {0};
    struct tokenizer *t = open_with(false, false);
    struct token_list list = {0};
    const char *name = tokenizer_token_name(t, tokenizer_eos(t));
    assert_int_equal(whole_text_encode(t, name, strlen(name), false, &list, &e), 0);
    assert_true(list.count > 1);
    token_list_clear(&list);
    assert_int_equal(whole_text_encode(t, name, strlen(name), true, &list, &e), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.ids[0], tokenizer_eos(t));
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_file_asks_for_stands_around_and_stays),
        cmocka_unit_test(names_of_control_tokens_are_text_unless_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
