/* Byte-pair encoding of characters ("weir.characters"), on a vocabulary of a few tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "models/tokenizer/decoder.h"
#include "runtime/base/mem.h"
#include "tests/unit/models/encode_checks.h"
#include "tests/unit/models/small_vocab.h"

/* Ids are places here. "a b" is made by a merge whose second half begins with a blank. */
enum { UNK, A, B, E_ACUTE, AB, SPACE, SPACE_B, A_SPACE_B, MARK, N_TOKENS };

static const char *const names[N_TOKENS] = {
    [UNK] = "<unk>", [A] = "a",        [B] = "b",           [E_ACUTE] = "\u00e9", [AB] = "ab",
    [SPACE] = " ",   [SPACE_B] = " b", [A_SPACE_B] = "a b", [MARK] = "\u2581"};
static const int32_t merges[] = {A, B, AB, SPACE, B, SPACE_B, A, SPACE_B, A_SPACE_B};

#define N_MERGE_IDS (sizeof(merges) / sizeof(merges[0]))

struct settings {
    const char *rule, *unknown, *scheme; /* NULL: the key is not there */
    bool no_unknown_token;
    const char *decoder;
    size_t n_merge_ids;
    int32_t first_id; /* of the merges */
};

static const struct settings whole = {
    .rule = "weir-whole-text", .n_merge_ids = N_MERGE_IDS, .first_id = A};

static struct gguf *make_vocab(const struct settings *set)
{
    struct err e = {0};
    struct gguf_str tokens[N_TOKENS];
    int32_t kinds[N_TOKENS], ids[N_MERGE_IDS];
    struct gguf_writer *w = gguf_writer_create(&e);
    for (int32_t i = 0; i < N_TOKENS; i++) {
        tokens[i] = (struct gguf_str){names[i], strlen(names[i])};
        kinds[i] = i == UNK ? 2 : 1;
    }
    kinds[UNK] = set->no_unknown_token ? 3 : 2;
    memcpy(ids, merges, sizeof(merges));
    ids[0] = set->first_id;
    gguf_put_str(w, "tokenizer.ggml.model", "weir.characters");
    gguf_put_str(w, "tokenizer.ggml.pre", set->rule);
    gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, N_TOKENS);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, kinds, N_TOKENS);
    gguf_put_array(w, TOKENIZER_KEY_MERGES, GGUF_I32, ids, set->n_merge_ids);
    if (set->unknown) {
        gguf_put_str(w, TOKENIZER_KEY_UNKNOWN, set->unknown);
    }
    if (set->decoder) {
        gguf_put_str(w, TOKENIZER_KEY_DECODER, set->decoder);
    }
    if (set->scheme) {
        gguf_put_str(w, TOKENIZER_KEY_SPACE_SCHEME, set->scheme);
    }
    return small_vocab_reopen(w);
}

static struct tokenizer *open_tokenizer(const struct settings *set)
{
    return encode_open(make_vocab(set));
}

static void only_listed_merges_are_made(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&whole);
    EXPECT_IDS(t, "ab", AB);
    EXPECT_IDS(t, "aab", A, AB);
    EXPECT_IDS(t, "a b", A_SPACE_B); /* merges may hold blanks */
    EXPECT_IDS(t, "\u00e9ab", E_ACUTE, AB);
    EXPECT_IDS(t, "\u2581 ", MARK, SPACE); /* the mark of other vocabularies is itself */
    tokenizer_destroy(t);
    struct settings set = whole;
    set.n_merge_ids = 0;
    t = open_tokenizer(&set);
    EXPECT_IDS(t, "a b", A, SPACE, B);
    tokenizer_destroy(t);
}

static void a_rule_may_leave_white_space_out(void **state)
{
    (void)state;
    struct settings set = whole;
    set.rule = "weir-whitespace";
    struct tokenizer *t = open_tokenizer(&set);
    EXPECT_IDS(t, "a b", A, B);
    EXPECT_IDS(t, " \n ab\u00a0\u3000ab\t", AB, AB);
    EXPECT_IDS(t, "ab\u00e9", AB, E_ACUTE);
    tokenizer_destroy(t);
}

static void a_rule_may_mark_spaces(void **state)
{
    (void)state;
    struct settings set = whole;
    set.rule = "weir-metaspace";
    struct tokenizer *t = open_tokenizer(&set);
    EXPECT_IDS(t, "a b  ab", A, MARK, B, MARK, MARK, AB); /* not "a b" */
    EXPECT_IDS(t, "a\u2581b", A, MARK, B);
    tokenizer_destroy(t);
    set.scheme = "always";
    t = open_tokenizer(&set);
    EXPECT_IDS(t, "ab", MARK, AB);
    EXPECT_IDS(t, " ab", MARK, AB);
    EXPECT_IDS(t, "\u2581ab", MARK, AB);
    EXPECT_SPECIAL_IDS(t, "a<unk>b", MARK, A, UNK, MARK, B);
    tokenizer_destroy(t);
    set.scheme = "first";
    set.rule = "weir-metaspace-whole";
    t = open_tokenizer(&set);
    EXPECT_SPECIAL_IDS(t, "a b<unk>b", MARK, A, MARK, B, UNK, B);
    tokenizer_destroy(t);
}

static void what_is_no_token_is_unknown_or_left_out(void **state)
{
    (void)state;
    struct settings set = whole;
    struct tokenizer *t = open_tokenizer(&set);
    EXPECT_IDS(t, "axyb", A, UNK, UNK, B);
    EXPECT_IDS(t, "a\u4e2d\u6587", A, UNK, UNK);
    EXPECT_IDS(t, "a\xff\xc3", A, UNK, UNK); /* bytes that are no character */
    tokenizer_destroy(t);
    set.unknown = "fuse";
    t = open_tokenizer(&set);
    EXPECT_IDS(t, "axyb\u4e2d\u6587", A, UNK, B, UNK);
    tokenizer_destroy(t);
    set.unknown = "drop";
    t = open_tokenizer(&set);
    EXPECT_IDS(t, "axyb\u4e2d\xff", AB); /* what is left stands side by side */
    struct token_list none = {0};
    encode_text(t, "xyz", 3, false, &none);
    assert_int_equal(none.count, 0);
    token_list_deinit(&none);
    tokenizer_destroy(t);
}

static void without_an_unknown_token_encoding_fails(void **state)
{
    (void)state;
    struct settings set = whole;
    set.no_unknown_token = true;
    struct err e = {0};
    struct token_list list = {0};
    struct tokenizer *t = open_tokenizer(&set);
    assert_int_equal(tokenizer_encode(t, "axb", 3, false, &list, &e), -1);
    assert_non_null(strstr(e.message, "no token for the byte 0x78"));
    assert_int_equal(list.count, 0);
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

static void expect_decoded(const struct settings *set, const char *text, const char *wanted)
{
    struct tokenizer *t = open_tokenizer(set);
    struct token_list list = {0};
    struct buf out;
    buf_init(&out, 100);
    encode_text(t, text, strlen(text), false, &list);
    assert_int_equal(decoder_text(t, &list, &out), 0);
    assert_string_equal(out.data, wanted);
    buf_deinit(&out);
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

static void decoded_tokens_stand_together_or_apart(void **state)
{
    (void)state;
    struct settings set = whole;
    expect_decoded(&set, "ab\u00e9 b", "ab\u00e9 b");
    set.rule = "weir-whitespace-split";
    set.decoder = "spaces";
    expect_decoded(&set, "ab\u00e9 b", " ab \u00e9 b");
    set.rule = "weir-metaspace";
    set.decoder = "marks";
    expect_decoded(&set, "ab ab", "ab ab");
}

static void keys_that_say_nothing_known_are_refused(void **state)
{
    (void)state;
    struct settings set = whole;
    set.unknown = "keep";
    encode_expect_refusal(make_vocab(&set), "must be \"fuse\" or \"drop\"");
    set = whole;
    set.decoder = "words";
    encode_expect_refusal(make_vocab(&set), "must be \"spaces\" or \"marks\"");
    set = whole;
    set.n_merge_ids = 4;
    encode_expect_refusal(make_vocab(&set), "merge 0 is not three tokens");
    set = whole;
    set.first_id = N_TOKENS;
    encode_expect_refusal(make_vocab(&set), "merge 0 is not three tokens");
    set = whole;
    set.rule = "weir-no-such";
    encode_expect_refusal(make_vocab(&set), "no split rule \"weir-no-such\" is known");
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    char text[1400]; /* enough for a cache of words */
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = "ab xbab"[i % 7];
    }
    struct settings set = whole;
    set.rule = "weir-whitespace";
    encode_expect_failing_allocations(make_vocab(&set), text, sizeof(text));
    set.rule = "weir-metaspace";
    encode_expect_failing_allocations(make_vocab(&set), text, sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_listed_merges_are_made),
        cmocka_unit_test(a_rule_may_leave_white_space_out),
        cmocka_unit_test(a_rule_may_mark_spaces),
        cmocka_unit_test(what_is_no_token_is_unknown_or_left_out),
        cmocka_unit_test(without_an_unknown_token_encoding_fails),
        cmocka_unit_test(decoded_tokens_stand_together_or_apart),
        cmocka_unit_test(keys_that_say_nothing_known_are_refused),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
