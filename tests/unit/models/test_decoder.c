#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/tokenizer/decoder.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/utf8.h"
#include "tests/unit/models/small_vocab.h"

#define FFFD "\xef\xbf\xbd"

static struct tokenizer *tokenizer;

static int load(void **state)
{
    (void)state;
    tokenizer = small_vocab_tokenizer("qwen2");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    tokenizer_destroy(tokenizer);
    return mem_live() == 0 ? 0 : -1;
}

/* The byte tokens follow the three control tokens. */
static int32_t byte_token(char byte)
{
    return 3 + (unsigned char)byte;
}

/* Decodes bytes one token each, checks that every piece is whole characters, and the whole. */
static void expect_text(const char *bytes, size_t len, const char *wanted)
{
    struct decoder d;
    struct buf out;

    decoder_init(&d, tokenizer);
    buf_init(&out, 1 << 16);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(decoder_feed(&d, byte_token(bytes[i]), &out), 0);
        assert_true(utf8_is_valid(out.data ? out.data : "", out.len));
    }
    assert_int_equal(decoder_flush(&d, &out), 0);
    assert_string_equal(out.data ? out.data : "", wanted);
    buf_deinit(&out);
}

static void a_character_leaves_when_it_is_whole(void **state)
{
    (void)state;
    static const char smile[] = "\xf0\x9f\x98\x80";
    struct decoder d;
    struct buf out;

    decoder_init(&d, tokenizer);
    buf_init(&out, 64);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(decoder_feed(&d, byte_token(smile[i]), &out), 0);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(decoder_feed(&d, byte_token(smile[3]), &out), 0);
    assert_string_equal(out.data, smile);
    buf_deinit(&out);
}

static void an_incomplete_end_becomes_one_replacement(void **state)
{
    (void)state;
    expect_text("a\xf0\x9f\x98", 4, "a" FFFD);
    expect_text("\xe4", 1, FFFD);
    expect_text("", 0, "");
}

/* The examples of Unicode 15, tables 3-8 to 3-11. */
static void each_maximal_subpart_becomes_one_replacement(void **state)
{
    (void)state;
    expect_text("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", 9,
                FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A");
    expect_text("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", 9,
                FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A");
    expect_text("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", 9,
                FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B");
    expect_text("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 9, FFFD FFFD FFFD FFFD "A");
}

static void control_tokens_give_no_text(void **state)
{
    (void)state;
    struct decoder d;
    struct buf out;

    decoder_init(&d, tokenizer);
    buf_init(&out, 64);
    for (int32_t id = -1; id < 3; id++) {
        assert_int_equal(decoder_feed(&d, id, &out), 0);
    }
    assert_int_equal(decoder_feed(&d, SMALL_VOCAB_SIZE, &out), 0);
    assert_int_equal(decoder_flush(&d, &out), 0);
    assert_int_equal(out.len, 0);
    buf_deinit(&out);
}

static void text_comes_back_through_any_tokens(void **state)
{
    (void)state;
    struct token_list list = {0};
    struct decoder d;
    struct buf out;
    struct err e;
    struct rng r;
    char text[256];

    rng_seed(&r, 4);
    buf_init(&out, 1 << 12);
    decoder_init(&d, tokenizer);
    for (int round = 0; round < 300; round++) {
        size_t len = 0;

        while (len + 5 < sizeof(text)) {
            const uint32_t c = rng_below(&r, round % 2 ? 0x110000 : 0x250);

            if (c != 0 && (c < 0xd800 || c > 0xdfff)) {
                len += (size_t)utf8_encode(c, text + len);
            }
        }
        token_list_clear(&list);
        buf_clear(&out);
        assert_int_equal(tokenizer_encode(tokenizer, text, len, false, &list, &e), 0);
        for (size_t i = 0; i < list.count; i++) {
            assert_int_equal(decoder_feed(&d, list.ids[i], &out), 0);
        }
        assert_int_equal(decoder_flush(&d, &out), 0);
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, text, len);
    }
    buf_deinit(&out);
    token_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_character_leaves_when_it_is_whole),
        cmocka_unit_test(an_incomplete_end_becomes_one_replacement),
        cmocka_unit_test(each_maximal_subpart_becomes_one_replacement),
        cmocka_unit_test(control_tokens_give_no_text),
        cmocka_unit_test(text_comes_back_through_any_tokens),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
