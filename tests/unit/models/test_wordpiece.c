/* WordPiece, on a vocabulary of a few tokens; test_tokenizer.c has a real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "models/tokenizer/decoder.h"
#include "models/tokenizer/wordpiece.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/models/encode_checks.h"
#include "tests/unit/models/small_vocab.h"

#define MARK "\xe2\x96\x81" /* U+2581, which begins a word */

enum {
    UNK,
    CLS,
    SEP,
    UN,
    AFF,
    ABLE,
    AF,
    THE,
    CAFE,
    COMMA,
    DOLLAR,
    MIDDLE,
    A,
    S,
    LAST,
    N_TOKENS
};

static const char *const names[N_TOKENS] = {
    "[UNK]",  "[CLS]",    "[SEP]",     MARK "un", "aff",    "able",
    "af",     MARK "the", MARK "cafe", MARK ",",  MARK "$", MARK "\xe4\xb8\xad",
    MARK "a", "s",        MARK "last"};

struct settings {
    const char *last;    /* instead of the last token, or NULL */
    const char *unknown; /* instead of "[UNK]", or NULL */
    int32_t unknown_id;  /* -1: no key */
    bool add_sep, has_add_sep;
    int lowercase, strip_accents; /* -1: no; 0: no key; 1: yes */
};

static const struct settings plain = {.unknown_id = -1};

static struct gguf *make_vocab(const struct settings *set)
{
    struct gguf_str tokens[N_TOKENS];
    int32_t kinds[N_TOKENS];
    struct err e = {0};
    for (size_t i = 0; i < N_TOKENS; i++) {
        const char *name = i == LAST && set->last     ? set->last
                           : i == UNK && set->unknown ? set->unknown
                                                      : names[i];
        tokens[i] = (struct gguf_str){name, strlen(name)};
        kinds[i] = i <= SEP ? 3 : 1;
    }
    struct gguf_writer *w = gguf_writer_create(&e);
    assert_non_null(w);
    gguf_put_str(w, "tokenizer.ggml.model", "bert");
    gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, N_TOKENS);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, kinds, N_TOKENS);
    gguf_put_u32(w, "tokenizer.ggml.cls_token_id", CLS);
    gguf_put_u32(w, "tokenizer.ggml.seperator_token_id", SEP);
    if (set->unknown_id >= 0) {
        gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", (uint32_t)set->unknown_id);
    }
    if (set->lowercase != 0) {
        gguf_put_bool(w, "tokenizer.ggml.normalizer.lowercase", set->lowercase > 0);
    }
    if (set->strip_accents != 0) {
        gguf_put_bool(w, "tokenizer.ggml.normalizer.strip_accents", set->strip_accents > 0);
    }
    if (set->has_add_sep) {
        gguf_put_bool(w, "tokenizer.ggml.add_sep_token", set->add_sep);
    }
    return small_vocab_reopen(w);
}

static struct tokenizer *open_tokenizer(const struct settings *set)
{
    return encode_open(make_vocab(set));
}

static void the_longest_piece_is_taken_first(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    EXPECT_IDS(t, "unaffable", UN, AFF, ABLE);
    EXPECT_IDS(t, "unafs", UN, AF, S);
    EXPECT_IDS(t, " the\tun\n", THE, UN);
    tokenizer_destroy(t);
}

static void a_word_that_can_not_be_made_is_unknown_as_a_whole(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    EXPECT_IDS(t, "the unaffablex the", THE, UNK, THE);
    EXPECT_IDS(t, "able", UNK); /* goes on with a word and begins none */
    EXPECT_IDS(t, "xun", UNK);
    tokenizer_destroy(t);
}

static void a_word_of_too_many_characters_is_unknown(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    struct token_list list = {0};
    char text[WORDPIECE_MAX_CHARACTERS + 1];
    memset(text, 's', sizeof(text));
    text[0] = 'a';
    encode_text(t, text, WORDPIECE_MAX_CHARACTERS, false, &list);
    assert_int_equal(list.count, WORDPIECE_MAX_CHARACTERS);
    assert_int_equal(list.ids[0], A);
    assert_int_equal(list.ids[WORDPIECE_MAX_CHARACTERS - 1], S);
    token_list_clear(&list);
    encode_text(t, text, sizeof(text), false, &list);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.ids[0], UNK);
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

static void letters_lose_size_and_accents(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    EXPECT_IDS(t,
               "Cafe CAF\xc3\x89 cafe\xcc\x81 c\xc3\xa0"
               "fe",
               CAFE, CAFE, CAFE, CAFE);
    tokenizer_destroy(t);
}

static void a_vocabulary_with_capitals_keeps_them(void **state)
{
    (void)state;
    struct settings set = plain;
    set.last = MARK "C";
    struct tokenizer *t = open_tokenizer(&set);
    EXPECT_IDS(t, "C cafe Cafe caf\xc3\xa9", LAST, CAFE, UNK, UNK);
    tokenizer_destroy(t);
    set.last = MARK "<S>"; /* a name, not a letter */
    t = open_tokenizer(&set);
    EXPECT_IDS(t, "Cafe caf\xc3\xa9", CAFE, CAFE);
    tokenizer_destroy(t);
}

static void the_file_may_say_how_letters_are_folded(void **state)
{
    (void)state;
    struct settings set = plain;
    set.last = MARK "caf\xc3\xa9";
    set.lowercase = -1;
    struct tokenizer *t = open_tokenizer(&set);
    EXPECT_IDS(t, "cafe Cafe caf\xc3\xa9", CAFE, UNK, LAST);
    tokenizer_destroy(t);
    set.lowercase = 1;
    set.strip_accents = -1;
    t = open_tokenizer(&set);
    EXPECT_IDS(t, "Cafe Caf\xc3\xa9", CAFE, LAST);
    tokenizer_destroy(t);
    set.lowercase = -1;
    set.strip_accents = 1;
    t = open_tokenizer(&set);
    EXPECT_IDS(t, "caf\xc3\xa9 Caf\xc3\xa9", CAFE, UNK);
    tokenizer_destroy(t);
}

static void punctuation_and_ideographs_stand_alone(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    EXPECT_IDS(t, "the,the$un", THE, COMMA, THE, DOLLAR, UN);
    EXPECT_IDS(t,
               "a\xe4\xb8\xad\xe4\xb8\xad"
               "a",
               A, MIDDLE, MIDDLE, A);
    EXPECT_IDS(t, "\xe2\x80\x9cthe\xe2\x80\x9d", UNK, THE, UNK); /* quotation marks */
    tokenizer_destroy(t);
}

static void controls_and_broken_bytes_are_dropped(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    EXPECT_IDS(t, "t\x01h\0e", THE);
    EXPECT_IDS(t, "th\xff\x65 th\xe2\x80\x8b\x65 th\xef\xbf\xbd\x65", THE, THE, THE);
    EXPECT_IDS(t, "the\xc2\xa0the\xe3\x80\x80the", THE, THE, THE); /* spaces of other kinds */
    struct token_list none = {0};
    encode_text(t, " \xff\xfe \0 ", 6, false, &none);
    assert_int_equal(none.count, 0);
    tokenizer_destroy(t);
}

static void control_tokens_are_not_made_of_text(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    struct token_list list = {0};
    EXPECT_IDS(t, "[SEP]", UNK, UNK, UNK);
    encode_text(t, "[CLS]the[SEP]", 13, true, &list);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.ids[0], CLS);
    assert_int_equal(list.ids[2], SEP);
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

static void cls_and_sep_are_the_ends_of_a_text(void **state)
{
    (void)state;
    struct settings set = plain;
    struct tokenizer *t = open_tokenizer(&set);
    assert_int_equal(tokenizer_bos(t), CLS);
    assert_int_equal(tokenizer_eos(t), SEP);
    assert_true(tokenizer_add_bos(t) && tokenizer_add_eos(t));
    tokenizer_destroy(t);
    set.has_add_sep = true;
    t = open_tokenizer(&set);
    assert_true(tokenizer_add_bos(t) && !tokenizer_add_eos(t));
    tokenizer_destroy(t);
}

static void decoding_gives_words_with_spaces_between(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    struct token_list list = {0};
    struct decoder d;
    struct buf out;
    encode_text(t, "[CLS]The unaffable caf\xc3\xa9,[SEP]", 28, true, &list);
    decoder_init(&d, t);
    buf_init(&out, 100);
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(decoder_feed(&d, list.ids[i], &out), 0);
    }
    assert_string_equal(out.data, " the unaffable cafe ,");
    assert_true(tokenizer_space_before(t));
    buf_deinit(&out);
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

/* A long text, whose words are remembered, beside each of its words alone. */
static void words_encode_alike_alone_and_together(void **state)
{
    (void)state;
    static const char *const parts[] = {"un",   "a",   "s", "af",      "f",
                                        "able", "the", "x", "\xc3\xa9"};
    struct tokenizer *t = open_tokenizer(&plain);
    struct token_list together = {0}, alone = {0};
    char text[4000];
    size_t len = 0, begin = 0;
    struct rng r;
    rng_seed(&r, 1);
    while (len < sizeof(text) - 8) {
        const char *part = parts[rng_below(&r, sizeof(parts) / sizeof(parts[0]))];
        memcpy(text + len, part, strlen(part));
        len += strlen(part);
        if (rng_below(&r, 3) == 0) {
            encode_text(t, text + begin, len - begin, false, &alone);
            text[len++] = ' ';
            begin = len;
        }
    }
    encode_text(t, text, begin, false, &together);
    assert_int_equal(together.count, alone.count);
    assert_memory_equal(together.ids, alone.ids, alone.count * sizeof(*alone.ids));
    token_list_deinit(&together);
    token_list_deinit(&alone);
    tokenizer_destroy(t);
}

static void expect_refusal(const struct settings *set, const char *words_of_it)
{
    encode_expect_refusal(make_vocab(set), words_of_it);
}

static void a_vocabulary_without_an_unknown_token_is_refused(void **state)
{
    (void)state;
    struct settings set = plain;
    set.unknown = "[NIL]";
    expect_refusal(&set, "\"tokenizer.ggml.unknown_token_id\": it is absent");
    set.unknown_id = N_TOKENS;
    expect_refusal(&set, "\"tokenizer.ggml.unknown_token_id\": token 15 is outside");
    set.unknown_id = UNK;
    struct tokenizer *t = open_tokenizer(&set);
    EXPECT_IDS(t, "x", UNK);
    tokenizer_destroy(t);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    char text[1400];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = "the un "[i % 7];
    }
    encode_expect_failing_allocations(make_vocab(&plain), text, sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_piece_is_taken_first),
        cmocka_unit_test(a_word_that_can_not_be_made_is_unknown_as_a_whole),
        cmocka_unit_test(a_word_of_too_many_characters_is_unknown),
        cmocka_unit_test(letters_lose_size_and_accents),
        cmocka_unit_test(a_vocabulary_with_capitals_keeps_them),
        cmocka_unit_test(the_file_may_say_how_letters_are_folded),
        cmocka_unit_test(punctuation_and_ideographs_stand_alone),
        cmocka_unit_test(controls_and_broken_bytes_are_dropped),
        cmocka_unit_test(control_tokens_are_not_made_of_text),
        cmocka_unit_test(cls_and_sep_are_the_ends_of_a_text),
        cmocka_unit_test(decoding_gives_words_with_spaces_between),
        cmocka_unit_test(words_encode_alike_alone_and_together),
        cmocka_unit_test(a_vocabulary_without_an_unknown_token_is_refused),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
