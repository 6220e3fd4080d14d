/* SentencePiece's unigram models and its normalizer, on vocabularies of a few tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/tokenizer/decoder.h"
#include "models/tokenizer/unigram.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/utf8.h"
#include "tests/unit/models/encode_checks.h"
#include "tests/unit/models/small_vocab.h"

#define MARK       "\xe2\x96\x81" /* U+2581, the space of vocabularies */
#define MAX_WORDS  32
#define N_BYTES    256
#define FIRST_WORD 2 /* after <unk> and </s> */
#define MAX_TOKENS (FIRST_WORD + MAX_WORDS + N_BYTES)

struct toy {
    char words[MAX_WORDS][UNIGRAM_MAX_TOKEN + 8]; /* a space stands for itself */
    float scores[MAX_WORDS];
    size_t n_words;
    bool has_bytes; /* tokens for all bytes, after the words */
    bool space_before, trims, no_unknown;
    size_t n_scores;            /* 0: right */
    const unsigned char *table; /* (table_len): precompiled_charsmap, or NULL */
    size_t table_len;
};

static void add_word(struct toy *v, const char *text, float score)
{
    strcpy(v->words[v->n_words], text);
    v->scores[v->n_words++] = score;
}

static int32_t id_of(const struct toy *v, const char *text)
{
    for (size_t i = 0; i < v->n_words; i++) {
        if (strcmp(v->words[i], text) == 0) {
            return (int32_t)(FIRST_WORD + i);
        }
    }
    fail_msg("no token \"%s\"", text);
    return -1;
}

static void mark_spaces(const char *text, char *out)
{
    for (; *text; text++) {
        size_t n = *text == ' ' ? 3 : 1;
        memcpy(out, *text == ' ' ? MARK : text, n);
        out += n;
    }
    *out = '\0';
}

static struct gguf *make_vocab(const struct toy *v)
{
    static char names[MAX_TOKENS][3 * UNIGRAM_MAX_TOKEN];
    static struct gguf_str tokens[MAX_TOKENS];
    int32_t kinds[MAX_TOKENS] = {2, 3};
    float scores[MAX_TOKENS] = {0};
    struct err e = {0};
    size_t n = FIRST_WORD;
    strcpy(names[0], v->no_unknown ? "<nil>" : "<unk>");
    strcpy(names[1], "</s>");
    for (size_t i = 0; i < v->n_words; i++, n++) {
        mark_spaces(v->words[i], names[n]);
        kinds[n] = 1;
        scores[n] = v->scores[i];
    }
    for (size_t i = 0; v->has_bytes && i < N_BYTES; i++, n++) {
        snprintf(names[n], 8, "<0x%02X>", (unsigned)i);
        kinds[n] = 6;
    }
    for (size_t i = 0; i < n; i++) {
        tokens[i] = (struct gguf_str){names[i], strlen(names[i])};
    }
    struct gguf_writer *w = gguf_writer_create(&e);
    assert_non_null(w);
    gguf_put_str(w, "tokenizer.ggml.model", "t5");
    gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, n);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, kinds, n);
    gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, scores, v->n_scores ? v->n_scores : n);
    gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", v->space_before);
    gguf_put_bool(w, "tokenizer.ggml.remove_extra_whitespaces", v->trims);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 1);
    if (v->table) {
        gguf_put_array(w, "tokenizer.ggml.precompiled_charsmap", GGUF_U8, v->table,
                       v->table_len);
    }
    return small_vocab_reopen(w);
}

static struct tokenizer *open_toy(const struct toy *v)
{
    return encode_open(make_vocab(v));
}

static struct toy abc;

static int make_abc(void **state)
{
    (void)state;
    memset(&abc, 0, sizeof(abc));
    add_word(&abc, "a", -3.0f);
    add_word(&abc, "b", -3.0f);
    add_word(&abc, "c", -3.0f);
    add_word(&abc, "ab", -4.0f);
    add_word(&abc, "bc", -3.5f);
    add_word(&abc, " ", -2.0f);
    add_word(&abc, " a", -3.0f);
    return 0;
}

static void the_greatest_sum_is_taken_though_a_longer_token_stands_first(void **state)
{
    (void)state;
    struct tokenizer *t = open_toy(&abc);
    EXPECT_IDS(t, "ab", id_of(&abc, "ab"));
    EXPECT_IDS(t, "abc", id_of(&abc, "a"), id_of(&abc, "bc")); /* -6.5, not -7 */
    EXPECT_IDS(t, "a a", id_of(&abc, "a"), id_of(&abc, " a"));
    tokenizer_destroy(t);
}

static void a_run_of_what_is_no_token_is_one_unknown(void **state)
{
    (void)state;
    struct tokenizer *t = open_toy(&abc);
    EXPECT_IDS(t, "axyza", id_of(&abc, "a"), 0, id_of(&abc, "a"));
    EXPECT_IDS(t, "\xff\xc3\xa9 x", 0, id_of(&abc, " "), 0);
    abc.has_bytes = true;
    struct tokenizer *with_bytes = open_toy(&abc);
    int32_t byte = FIRST_WORD + (int32_t)abc.n_words;
    EXPECT_IDS(with_bytes, "a\xc3\xa9", id_of(&abc, "a"), byte + 0xc3, byte + 0xa9);
    tokenizer_destroy(with_bytes);
    tokenizer_destroy(t);
}

static void spaces_are_put_and_taken_as_the_file_says(void **state)
{
    (void)state;
    int32_t a = id_of(&abc, "a"), space = id_of(&abc, " "), space_a = id_of(&abc, " a");
    struct tokenizer *t = open_toy(&abc);
    EXPECT_IDS(t, "  a ", space, space_a, space);
    assert_false(tokenizer_space_before(t));
    tokenizer_destroy(t);
    abc.space_before = true;
    t = open_toy(&abc);
    EXPECT_IDS(t, "a ", space_a, space);
    assert_true(tokenizer_space_before(t));
    tokenizer_destroy(t);
    abc.trims = true;
    t = open_toy(&abc);
    EXPECT_IDS(t, "  a   aa  ", space_a, space_a, a);
    struct token_list none = {0};
    token_list_clear(&none);
    encode_text(t, "   ", 3, false, &none);
    assert_int_equal(none.count, 0);
    tokenizer_destroy(t);
}

static void control_tokens_are_not_made_of_text(void **state)
{
    (void)state;
    struct err e = {0};
    struct token_list list = {0};
    struct tokenizer *t = open_toy(&abc);
    EXPECT_IDS(t, "</s>", 0);
    assert_int_equal(tokenizer_encode(t, "a</s>", 5, true, &list, &e), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.ids[1], 1);
    assert_true(!tokenizer_add_bos(t) && tokenizer_add_eos(t));
    token_list_deinit(&list);
    tokenizer_destroy(t);
}

/* --- beside all ways to cut a text --- */

static const char *const atoms[] = {"a", "b", " ", "\xc3\xa9", "c"};

#define N_ATOMS (sizeof(atoms) / sizeof(atoms[0]))

static size_t random_atoms(struct rng *r, size_t n, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        const char *atom = atoms[rng_below(r, N_ATOMS)];
        memcpy(out + len, atom, strlen(atom));
        len += strlen(atom);
    }
    out[len] = '\0';
    return len;
}

/* Quarters, so that all sums are exact. */
static void make_random(struct rng *r, struct toy *v)
{
    memset(v, 0, sizeof(*v));
    v->has_bytes = true;
    v->n_words = 3 + rng_below(r, 15);
    for (size_t i = 0; i < v->n_words; i++) {
        random_atoms(r, 1 + rng_below(r, 4), v->words[i]);
        v->scores[i] = -0.25f * (float)rng_below(r, 40);
    }
}

/* Of words with the same text the first counts. */
static int find_word(const struct toy *v, const char *text, size_t len)
{
    for (size_t i = 0; i < v->n_words; i++) {
        if (strlen(v->words[i]) == len && memcmp(v->words[i], text, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static double unknown_score(const struct toy *v)
{
    double lowest = 0.0;
    for (size_t i = 0; i < v->n_words; i++) {
        bool first = find_word(v, v->words[i], strlen(v->words[i])) == (int)i;
        lowest = first && v->scores[i] < lowest ? v->scores[i] : lowest;
    }
    return lowest - UNIGRAM_PENALTY;
}

static size_t character(const char *text, size_t len)
{
    uint32_t c;
    int size = utf8_decode(text, len, &c);
    return size > 0 ? (size_t)size : 1;
}

static double best_of_all(const struct toy *v, const char *text, size_t len)
{
    double best = -INFINITY;
    if (len == 0) {
        return 0.0;
    }
    for (size_t n = 1; n <= len; n++) {
        int word = find_word(v, text, n);
        bool alone = word < 0 && n == character(text, len);
        if (word >= 0 || alone) {
            double score = alone ? unknown_score(v) : v->scores[word];
            best = fmax(best, score + best_of_all(v, text + n, len - n));
        }
    }
    return best;
}

/* Adds up an encoding and checks that it spells the text. */
static double sum_of(const struct toy *v, const struct token_list *list, const char *text,
                     size_t len)
{
    double sum = 0.0;
    size_t at = 0;
    for (size_t i = 0; i < list->count;) {
        size_t word = (size_t)list->ids[i] - FIRST_WORD, n = character(text + at, len - at);
        assert_true(at < len && list->ids[i] >= FIRST_WORD);
        if (word < v->n_words) {
            n = strlen(v->words[word]);
            assert_true(n <= len - at && memcmp(text + at, v->words[word], n) == 0);
            sum += v->scores[word];
            i++;
        } else {
            for (size_t k = 0; k < n; k++, i++) {
                assert_true(i < list->count);
                assert_int_equal((size_t)list->ids[i] - FIRST_WORD - v->n_words,
                                 (unsigned char)text[at + k]);
            }
            sum += unknown_score(v);
        }
        at += n;
    }
    assert_int_equal(at, len);
    return sum;
}

static void no_way_to_cut_a_text_has_a_greater_sum(void **state)
{
    (void)state;
    static struct toy v;
    struct rng r;
    struct token_list list = {0};
    char text[64];
    rng_seed(&r, 7);
    for (int round = 0; round < 300; round++) {
        make_random(&r, &v);
        struct tokenizer *t = open_toy(&v);
        for (int i = 0; i < 50; i++) {
            size_t len = random_atoms(&r, rng_below(&r, 11), text);
            token_list_clear(&list);
            encode_text(t, text, len, false, &list);
            double sum = sum_of(&v, &list, text, len), best = best_of_all(&v, text, len);
            if (sum != best) {
                fail_msg("\"%s\": %g, but there is %g", text, sum, best);
            }
        }
        tokenizer_destroy(t);
    }
    token_list_deinit(&list);
}

/* --- the table of replacements --- */

#define MAX_UNITS 4096

/* A trie in which every node has 256 units of its own for its children. */
struct table {
    unsigned char bytes[4 + 4 * MAX_UNITS + 64];
    uint32_t units[MAX_UNITS];
    uint32_t bases[MAX_UNITS]; /* by unit: where its children are, or 0 */
    uint32_t n_units;
    char replacements[64];
    size_t n_replacements, len;
};

static uint32_t children(struct table *t, uint32_t unit)
{
    if (!t->bases[unit]) {
        t->bases[unit] = t->n_units;
        t->units[unit] |= (t->n_units ^ unit) << 10;
        for (uint32_t i = 0; i < 256; i++) {
            t->units[t->n_units + i] = 1U << 31 | 0xff; /* no byte fits */
        }
        t->n_units += 256;
    }
    return t->bases[unit];
}

static void replace(struct table *t, const char *from, const char *to)
{
    uint32_t unit = 0;
    for (; *from; from++) {
        unsigned char byte = (unsigned char)*from;
        uint32_t child = children(t, unit) + byte;
        if (t->units[child] >> 31) {
            t->units[child] = byte;
        }
        unit = child;
    }
    t->units[children(t, unit)] = 1U << 31 | (uint32_t)t->n_replacements;
    t->units[unit] |= 1U << 8;
    memcpy(t->replacements + t->n_replacements, to, strlen(to) + 1);
    t->n_replacements += strlen(to) + 1;
}

static void put_u32(unsigned char *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (unsigned char)(value >> 8 * i);
    }
}

static void finish(struct table *t)
{
    put_u32(t->bytes, 4 * t->n_units);
    for (uint32_t i = 0; i < t->n_units; i++) {
        put_u32(t->bytes + 4 + 4 * (size_t)i, t->units[i]);
    }
    memcpy(t->bytes + 4 + 4 * (size_t)t->n_units, t->replacements, t->n_replacements);
    t->len = 4 + 4 * (size_t)t->n_units + t->n_replacements;
}

/* A -> a, AB -> c, a wide space -> a space, z -> nothing. */
static void make_table(struct table *t)
{
    memset(t, 0, sizeof(*t));
    t->n_units = 256;
    replace(t, "A", "a");
    replace(t, "AB", "c");
    replace(t, "\xe3\x80\x80", " ");
    replace(t, "z", "");
    finish(t);
    abc.table = t->bytes;
    abc.table_len = t->len;
}

static void the_longest_sequence_is_replaced(void **state)
{
    (void)state;
    static struct table table;
    make_table(&table);
    abc.trims = abc.space_before = true;
    int32_t a = id_of(&abc, "a"), c = id_of(&abc, "c"), space_a = id_of(&abc, " a");
    struct tokenizer *t = open_toy(&abc);
    EXPECT_IDS(t, "A", space_a);
    EXPECT_IDS(t, "aABzA", space_a, c, a);
    EXPECT_IDS(t,
               "\xe3\x80\x80"
               "A \xe3\x80\x80z \xe3\x80\x80"
               "Az\xe3\x80\x80",
               space_a, space_a);
    EXPECT_IDS(t, "a\xe3\x80", space_a, 0); /* the beginning of a sequence */
    tokenizer_destroy(t);
}

static void expect_refusal(const char *words_of_it)
{
    encode_expect_refusal(make_vocab(&abc), words_of_it);
}

static void a_table_that_does_not_add_up_is_refused(void **state)
{
    (void)state;
    static struct table table;
    make_table(&table);
    abc.table_len = table.len - 1; /* ends inside a replacement */
    table.bytes[table.len - 2] = 'x';
    expect_refusal("the replacements do not end with a NUL");
    abc.table_len = 4 + 4 * (size_t)table.n_units;
    expect_refusal("the replacements do not end with a NUL");
    abc.table_len--;
    expect_refusal("\"tokenizer.ggml.precompiled_charsmap\": a trie of ");
    abc.table_len = 3;
    expect_refusal("a trie of 0 bytes in a table of 3");
    abc.table_len = table.len;
    put_u32(table.bytes, UINT32_MAX);
    expect_refusal("a trie of 4294967295 bytes");
    put_u32(table.bytes, 6);
    expect_refusal("a trie of 6 bytes");
}

/* Any trie: nothing outside is read, and the text comes to an end. */
static void random_tables_do_no_harm(void **state)
{
    (void)state;
    static struct table table;
    struct token_list list = {0};
    struct rng r;
    char text[200];
    rng_seed(&r, 3);
    for (int round = 0; round < 300; round++) {
        make_table(&table);
        for (int i = 0; i < 200; i++) {
            size_t at = rng_below(&r, table.n_units);
            uint32_t unit = table.units[at] ^ 1U << rng_below(&r, 32);
            put_u32(table.bytes + 4 + 4 * at, round % 2 ? unit : rng_below(&r, UINT32_MAX));
        }
        struct tokenizer *t = open_toy(&abc);
        for (int i = 0; i < 20; i++) {
            for (size_t k = 0; k < sizeof(text); k++) {
                text[k] = rng_below(&r, 2) ? "ABz\xe3\x80 "[rng_below(&r, 6)]
                                           : (char)rng_below(&r, 256);
            }
            token_list_clear(&list);
            encode_text(t, text, sizeof(text), false, &list);
        }
        tokenizer_destroy(t);
    }
    token_list_deinit(&list);
}

static void bad_vocabularies_are_refused(void **state)
{
    (void)state;
    abc.n_scores = 3;
    expect_refusal("\"tokenizer.ggml.scores\": 3 scores for 9 tokens");
    abc.n_scores = 0;
    abc.scores[1] = -INFINITY;
    expect_refusal("score 3 is not a finite number");
    abc.scores[1] = 0.0f;
    abc.no_unknown = true;
    expect_refusal("\"tokenizer.ggml.unknown_token_id\": it is absent");
    abc.no_unknown = false;
    memset(abc.words[2], 'x', UNIGRAM_MAX_TOKEN + 1);
    expect_refusal("has 1025 bytes, at most 1024 are allowed");
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static struct table table;
    make_table(&table);
    char text[1400];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = "abc bcA"[i % 7];
    }
    encode_expect_failing_allocations(make_vocab(&abc), text, sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_greatest_sum_is_taken_though_a_longer_token_stands_first,
                               make_abc),
        cmocka_unit_test_setup(a_run_of_what_is_no_token_is_one_unknown, make_abc),
        cmocka_unit_test_setup(spaces_are_put_and_taken_as_the_file_says, make_abc),
        cmocka_unit_test_setup(control_tokens_are_not_made_of_text, make_abc),
        cmocka_unit_test(no_way_to_cut_a_text_has_a_greater_sum),
        cmocka_unit_test_setup(the_longest_sequence_is_replaced, make_abc),
        cmocka_unit_test_setup(a_table_that_does_not_add_up_is_refused, make_abc),
        cmocka_unit_test_setup(random_tables_do_no_harm, make_abc),
        cmocka_unit_test_setup(bad_vocabularies_are_refused, make_abc),
        cmocka_unit_test_setup(any_allocation_may_fail, make_abc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
