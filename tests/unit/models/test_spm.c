/* SentencePiece BPE, on a vocabulary of a few tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/template/chat_prompt.h"
#include "models/tokenizer/spm.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/utf8.h"
#include "tests/unit/models/encode_checks.h"
#include "tests/unit/models/small_vocab.h"

#define MARK    "\xe2\x96\x81" /* U+2581, the space of vocabularies */
#define N_BYTES 256
#define FIRST   3 /* of the byte tokens: <unk>, <s> and </s> come before */

/* Ordinary tokens and their scores. "ab" is joined before "bc", "bc" before "b" with a space.
 */
static const struct {
    const char *text;
    float score;
} words[] = {
    {MARK, -10.0f},      {"a", -11.0f},       {"b", -12.0f},  {"c", -13.0f},      {"ab", -1.0f},
    {"bc", -2.0f},       {MARK "b", -3.0f},   {"abc", -4.0f}, {MARK MARK, -5.0f}, {"aa", -6.0f},
    {MARK "abc", -7.0f}, {"\xc3\xa4", -8.0f}, {"<s>", 0.0f},
};
#define N_WORDS  (sizeof(words) / sizeof(words[0]))
#define N_TOKENS (FIRST + N_BYTES + N_WORDS)

static int32_t id_of(const char *text)
{
    for (size_t i = 0; i < N_WORDS; i++) {
        if (strcmp(words[i].text, text) == 0) {
            return (int32_t)(FIRST + N_BYTES + i);
        }
    }
    fail_msg("no token \"%s\"", text);
    return -1;
}

struct vocab_settings {
    bool space_before;
    size_t n_scores;
    float a_score;
    const char *one_more; /* instead of "aa", or NULL */
    const char *scheme;   /* or NULL */
    const char *arch;     /* or NULL */
    int32_t rstrip;       /* 0: none */
    int32_t lstrip;       /* the same */
};

static struct gguf *make_vocab(const struct vocab_settings *set)
{
    static char byte_names[N_BYTES][8];
    struct gguf_str tokens[N_TOKENS] = {{"<unk>", 5}, {"<s>", 3}, {"</s>", 4}};
    int32_t kinds[N_TOKENS] = {2, 3, 3};
    float scores[N_TOKENS] = {0};
    struct err e = {0};
    for (size_t i = 0; i < N_BYTES; i++) {
        snprintf(byte_names[i], sizeof(byte_names[i]), "<0x%02X>", (unsigned)i);
        tokens[FIRST + i] = (struct gguf_str){byte_names[i], 6};
        kinds[FIRST + i] = 6;
    }
    for (size_t i = 0; i < N_WORDS; i++) {
        const char *text = words[i].text;
        if (set->one_more && strcmp(text, "aa") == 0) {
            text = set->one_more;
        }
        tokens[FIRST + N_BYTES + i] = (struct gguf_str){text, strlen(text)};
        kinds[FIRST + N_BYTES + i] = 1;
        scores[FIRST + N_BYTES + i] = words[i].score;
    }
    scores[FIRST + N_BYTES + 1] = set->a_score;
    struct gguf_writer *w = gguf_writer_create(&e);
    assert_non_null(w);
    gguf_put_str(w, "tokenizer.ggml.model", "llama");
    gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, N_TOKENS);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, kinds, N_TOKENS);
    gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, scores, set->n_scores);
    gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", set->space_before);
    if (set->arch) {
        gguf_put_str(w, "general.architecture", set->arch);
    }
    if (set->rstrip) {
        gguf_put_array(w, TOKENIZER_KEY_RSTRIP, GGUF_I32, &set->rstrip, 1);
    }
    if (set->lstrip) {
        gguf_put_array(w, TOKENIZER_KEY_LSTRIP, GGUF_I32, &set->lstrip, 1);
    }
    if (set->scheme) {
        gguf_put_str(w, TOKENIZER_KEY_SPACE_SCHEME, set->scheme);
    }
    gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 1);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    return small_vocab_reopen(w);
}

static struct tokenizer *open_tokenizer(const struct vocab_settings *set)
{
    return encode_open(make_vocab(set));
}

static const struct vocab_settings plain = {.n_scores = N_TOKENS, .a_score = -11.0f};

static void the_best_score_is_joined_first(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    EXPECT_IDS(t, "abc", id_of("abc"));
    EXPECT_IDS(t, "bbc", id_of("b"), id_of("bc"));
    EXPECT_IDS(t, "abbc", id_of("ab"), id_of("bc"));
    EXPECT_IDS(t, "aaa", id_of("aa"), id_of("a")); /* the leftmost of equals */
    EXPECT_IDS(t, " abc", id_of(MARK "abc"));
    EXPECT_IDS(t, " bc", id_of(MARK), id_of("bc"));
    EXPECT_IDS(t, "   b", id_of(MARK MARK), id_of(MARK "b"));
    EXPECT_IDS(t, "a b", id_of("a"), id_of(MARK "b"));
    tokenizer_destroy(t);
}

static void a_space_stands_before_a_text_if_the_file_says_so(void **state)
{
    (void)state;
    struct vocab_settings set = plain;
    set.space_before = true;
    struct tokenizer *t = open_tokenizer(&set);
    assert_true(tokenizer_space_before(t) && tokenizer_add_bos(t));
    EXPECT_IDS(t, "abc", id_of(MARK "abc"));
    struct token_list none = {0};
    token_list_clear(&none);
    encode_text(t, "", 0, false, &none);
    assert_int_equal(none.count, 0);
    token_list_deinit(&none);
    tokenizer_destroy(t);
}

static void a_scheme_puts_a_space_where_none_stands(void **state)
{
    (void)state;
    struct vocab_settings set = plain;
    set.space_before = true;
    set.scheme = "first";
    struct tokenizer *t = open_tokenizer(&set);
    assert_true(tokenizer_space_before(t));
    EXPECT_IDS(t, "abc", id_of(MARK "abc"));
    EXPECT_IDS(t, " abc", id_of(MARK "abc"));
    EXPECT_IDS(t, "  b", id_of(MARK), id_of(MARK "b"));
    EXPECT_SPECIAL_IDS(t, "b</s>b</s> b", id_of(MARK "b"), 2, id_of("b"), 2, id_of(MARK "b"));
    EXPECT_SPECIAL_IDS(t, "</s>b", 2, id_of("b"));
    struct token_list inner = {0};
    struct err e = {0};
    assert_int_equal(tokenizer_encode_inner(t, "b", 1, &inner, &e), 0);
    assert_int_equal(inner.count, 1);
    assert_int_equal(inner.ids[0], id_of("b"));
    token_list_deinit(&inner);
    tokenizer_destroy(t);
    set.scheme = "always";
    t = open_tokenizer(&set);
    EXPECT_SPECIAL_IDS(t, "</s>b</s> b", 2, id_of(MARK "b"), 2, id_of(MARK "b"));
    tokenizer_destroy(t);
    set.scheme = "never";
    encode_expect_refusal(make_vocab(&set), "\"tokenizer.weir.space_scheme\" must be");
}

static void a_special_token_may_take_the_space_behind_it(void **state)
{
    (void)state;
    struct vocab_settings set = plain;
    set.rstrip = 2;
    struct tokenizer *t = open_tokenizer(&set);
    EXPECT_SPECIAL_IDS(t, "a</s> \n\tb <s> b</s>", id_of("a"), 2, id_of("b"), id_of(MARK), 1,
                       id_of(MARK "b"), 2);
    EXPECT_SPECIAL_IDS(t, "</s> \n", 2);
    tokenizer_destroy(t);
    set.rstrip = N_TOKENS;
    encode_expect_refusal(make_vocab(&set), "\"tokenizer.weir.rstrip\": token");
    set.rstrip = 0;
    set.arch = "phi3"; /* known without the key */
    t = open_tokenizer(&set);
    EXPECT_SPECIAL_IDS(t, "</s> b<s> b", 2, id_of("b"), 1, id_of(MARK "b"));
    tokenizer_destroy(t);
}

static void a_special_token_may_take_the_space_in_front_of_it(void **state)
{
    (void)state;
    struct vocab_settings set = plain;
    set.lstrip = 2;
    struct tokenizer *t = open_tokenizer(&set);
    EXPECT_SPECIAL_IDS(t, "a \n\t</s> b <s>", id_of("a"), 2, id_of(MARK "b"), id_of(MARK), 1);
    EXPECT_SPECIAL_IDS(t, " \u3000\u00a0</s>", 2); /* of any kind */
    EXPECT_SPECIAL_IDS(t, "\u00e4</s> </s>", id_of("\u00e4"), 2, 2);
    EXPECT_SPECIAL_IDS(t, "\xa0</s>", FIRST + 0xa0, 2); /* no character */
    /* In a conversation too. */
    static char data[] = "a  </s> b";
    static unsigned char trusted[sizeof(data)];
    memset(trusted, 1, sizeof(trusted));
    const struct chat_text text = {.data = data, .len = strlen(data), .trusted = trusted};
    struct token_list list = {0};
    struct err e = {0};
    assert_int_equal(chat_prompt_encode_part(t, &text, &list, &e), 0);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.ids[0], id_of("a"));
    assert_int_equal(list.ids[1], 2);
    token_list_deinit(&list);
    tokenizer_destroy(t);
    set.rstrip = 2; /* both: what stands between two belongs to the first */
    t = open_tokenizer(&set);
    EXPECT_SPECIAL_IDS(t, "a </s> </s> b", id_of("a"), 2, 2, id_of("b"));
    tokenizer_destroy(t);
    set.lstrip = N_TOKENS;
    encode_expect_refusal(make_vocab(&set), "\"tokenizer.weir.lstrip\": token");
}

static void the_unknown_token_is_a_special_one(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    EXPECT_SPECIAL_IDS(t, "a<unk>a", id_of("a"), 0, id_of("a"));
    EXPECT_IDS(t, "<unk>", FIRST + '<', FIRST + 'u', FIRST + 'n', FIRST + 'k', FIRST + '>');
    tokenizer_destroy(t);
}

static void what_is_no_token_becomes_bytes(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(&plain);
    EXPECT_IDS(t, "a\nz", id_of("a"), FIRST + '\n', FIRST + 'z');
    EXPECT_IDS(t, "\xc3\xa4\xc3\xb6", id_of("\xc3\xa4"), FIRST + 0xc3, FIRST + 0xb6);
    EXPECT_IDS(t, "\xff\xc3", FIRST + 0xff, FIRST + 0xc3); /* not UTF-8 */
    tokenizer_destroy(t);
}

static void control_tokens_are_not_made_of_text(void **state)
{
    (void)state;
    struct err e = {0};
    struct token_list list = {0};
    struct tokenizer *t = open_tokenizer(&plain);
    token_list_clear(&list);
    encode_text(t, "</s>", 4, false, &list);
    for (size_t i = 0; i < list.count; i++) {
        assert_false(tokenizer_is_control(t, list.ids[i]));
    }
    token_list_clear(&list);
    assert_int_equal(tokenizer_encode(t, "</s>a", 5, true, &list, &e), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.ids[0], 2);
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

/* A token with a space inside makes the whole text one word: what else is encoded stays so. */
static void words_apart_or_together_give_the_same(void **state)
{
    (void)state;
    static const char letters[] = "abc  \xc3\xa4z";
    struct vocab_settings set = plain;
    struct rng r;
    struct token_list one = {0}, other = {0};
    struct tokenizer *apart = open_tokenizer(&set);
    set.one_more = "zz" MARK "zz";
    struct tokenizer *together = open_tokenizer(&set);
    rng_seed(&r, 1);
    for (int i = 0; i < 2000; i++) {
        char text[40];
        size_t len = rng_below(&r, sizeof(text));
        for (size_t k = 0; k < len; k++) {
            text[k] = letters[rng_below(&r, sizeof(letters) - 1)];
            if (k > 0 && text[k - 1] == 'a' && text[k] == 'a') {
                text[k] = 'b'; /* "aa" is in one vocabulary only */
            }
        }
        token_list_clear(&one);
        encode_text(apart, text, len, false, &one);
        token_list_clear(&other);
        encode_text(together, text, len, false, &other);
        assert_int_equal(one.count, other.count);
        if (one.count > 0) {
            assert_memory_equal(one.ids, other.ids, one.count * sizeof(*one.ids));
        }
    }
    token_list_deinit(&one);
    token_list_deinit(&other);
    tokenizer_destroy(apart);
    tokenizer_destroy(together);
}

static void random_bytes_come_back(void **state)
{
    (void)state;
    struct rng r;
    struct token_list list = {0};
    struct tokenizer *t = open_tokenizer(&plain);
    rng_seed(&r, 2);
    for (int i = 0; i < 10000; i++) {
        char text[60];
        size_t len = rng_below(&r, sizeof(text)), at = 0;
        for (size_t k = 0; k < len; k++) {
            text[k] = rng_below(&r, 2) ? (char)rng_below(&r, 256) : "abc "[rng_below(&r, 4)];
        }
        token_list_clear(&list);
        encode_text(t, text, len, false, &list);
        for (size_t k = 0; k < list.count; k++) {
            size_t n;
            const char *bytes = tokenizer_token_bytes(t, list.ids[k], &n);
            assert_true(n <= len - at);
            assert_memory_equal(bytes, text + at, n);
            at += n;
        }
        assert_int_equal(at, len);
    }
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

static void expect_refusal(const struct vocab_settings *set, const char *words_of_it)
{
    encode_expect_refusal(make_vocab(set), words_of_it);
}

static void bad_scores_are_refused(void **state)
{
    (void)state;
    struct vocab_settings set = plain;
    set.n_scores = N_TOKENS - 1;
    expect_refusal(&set, "scores for");
    set = plain;
    set.a_score = NAN;
    expect_refusal(&set, "is not a number");
}

static void a_token_too_long_to_be_listed_is_refused(void **state)
{
    (void)state;
    char text[SPM_MAX_TOKEN + 2] = {0};
    struct vocab_settings set = plain;
    memset(text, 'a', SPM_MAX_TOKEN + 1);
    set.one_more = text;
    expect_refusal(&set, "has 1025 bytes, at most 1024 are allowed");
    text[SPM_MAX_TOKEN] = '\0';
    tokenizer_destroy(open_tokenizer(&set));
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    char text[1400]; /* enough for a cache of words */
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = "abc bca"[i % 7];
    }
    encode_expect_failing_allocations(make_vocab(&plain), text, sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_score_is_joined_first),
        cmocka_unit_test(a_space_stands_before_a_text_if_the_file_says_so),
        cmocka_unit_test(a_scheme_puts_a_space_where_none_stands),
        cmocka_unit_test(a_special_token_may_take_the_space_behind_it),
        cmocka_unit_test(a_special_token_may_take_the_space_in_front_of_it),
        cmocka_unit_test(the_unknown_token_is_a_special_one),
        cmocka_unit_test(what_is_no_token_becomes_bytes),
        cmocka_unit_test(control_tokens_are_not_made_of_text),
        cmocka_unit_test(words_apart_or_together_give_the_same),
        cmocka_unit_test(random_bytes_come_back),
        cmocka_unit_test(bad_scores_are_refused),
        cmocka_unit_test(a_token_too_long_to_be_listed_is_refused),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
