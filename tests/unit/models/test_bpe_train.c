#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/format/gguf.h"
#include "models/tokenizer/bpe_train.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

static char vocab_path[64];
static char jsonl_path[64];

static int choose_paths(void **state)
{
    (void)state;
    snprintf(vocab_path, sizeof(vocab_path), "/tmp/weir-test-train-%ld.gguf", (long)getpid());
    snprintf(jsonl_path, sizeof(jsonl_path), "/tmp/weir-test-train-%ld.jsonl", (long)getpid());
    return 0;
}

static int no_block_is_left(void **state)
{
    (void)state;
    unlink(vocab_path);
    unlink(jsonl_path);
    return mem_live() == 0 ? 0 : -1;
}

static struct bpe_trainer *train(const char *text, size_t vocab_size)
{
    struct err e = {0};
    struct bpe_trainer *t = bpe_trainer_create(&e);

    assert_non_null(t);
    assert_int_equal(bpe_trainer_feed(t, text, strlen(text), &e), 0);
    assert_int_equal(bpe_trainer_run(t, vocab_size, &e), 0);
    return t;
}

static struct gguf *write_and_open(struct bpe_trainer *t)
{
    struct err e = {0};

    assert_int_equal(bpe_trainer_write(t, vocab_path, &e), 0);
    bpe_trainer_destroy(t);
    struct gguf *g = gguf_open(vocab_path, &e);
    assert_non_null(g);
    return g;
}

static void expect_merges(const char *text, size_t vocab_size, const char *const *wanted,
                          size_t n)
{
    struct err e = {0};
    const struct gguf_str *merges;
    size_t count;
    struct gguf *g = write_and_open(train(text, vocab_size));

    assert_int_equal(gguf_get_strs(g, "tokenizer.ggml.merges", &merges, &count, &e), 0);
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(merges[i].len, strlen(wanted[i]));
        assert_memory_equal(merges[i].data, wanted[i], merges[i].len);
    }
    gguf_close(g);
}

static void the_most_frequent_pair_is_merged_first(void **state)
{
    (void)state;
    /* Words: "low" 5, " lower" 2, " newest" 6, " widest" 3 (the example of Sennrich et al.
     * 2016, with the spaces that byte-level words begin with). "es" and "st" both occur 9
     * times: 'e' is smaller. */
    static const char text[] =
        "low\nlow\nlow\nlow\nlow lower lower newest newest newest newest newest"
        " newest widest widest widest";
    static const char *const merges[] = {"e s", "es t", "l o", "lo w", "\xc4\xa0 n"};

    expect_merges(text, BPE_MIN_VOCAB + 5, merges, 5);
}

static void runs_of_one_letter_are_counted_right(void **state)
{
    (void)state;
    static const char *const merges[] = {"a a", "aa aa"};

    expect_merges("aaaaaaaa", BPE_MIN_VOCAB + 2, merges, 2);
}

static void merging_stops_when_nothing_repeats(void **state)
{
    (void)state;
    static const char *const merges[] = {"a b"};

    expect_merges("ab\nab\nxyz", BPE_MAX_VOCAB, merges, 1);
}

static void the_vocabulary_has_what_the_tokenizer_needs(void **state)
{
    (void)state;
    struct err e = {0};
    struct gguf_str s;
    size_t len;
    struct gguf *g = write_and_open(train("ab ab ab\n", BPE_MIN_VOCAB + 1));
    struct tokenizer *t = tokenizer_from_gguf(g, &e);

    assert_non_null(t);
    assert_int_equal(tokenizer_vocab_size(t), 260);
    for (int32_t id = 0; id < BPE_N_SPECIAL; id++) {
        assert_string_equal(tokenizer_token_name(t, id), bpe_special_tokens[id]);
        assert_true(tokenizer_is_control(t, id));
    }
    for (int32_t byte = 0; byte < 256; byte++) {
        const char *bytes = tokenizer_token_bytes(t, BPE_N_SPECIAL + byte, &len);

        assert_int_equal(len, 1);
        assert_int_equal((unsigned char)bytes[0], byte);
    }
    assert_memory_equal(tokenizer_token_bytes(t, 259, &len), "ab", 2);
    assert_int_equal(gguf_get_str(g, "general.architecture", &s, &e), 0);
    assert_memory_equal(s.data, "llama", 5);
    assert_int_equal(gguf_get_str(g, "tokenizer.chat_template", &s, &e), 0);
    assert_memory_equal(s.data, "{% for message in messages %}", 29);
    assert_int_equal(gguf_tensor_count(g), 0);
    tokenizer_destroy(t);
    gguf_close(g);
}

static void jsonl_of_texts_and_messages_is_read(void **state)
{
    (void)state;
    static const char lines[] =
        "{\"text\": \"caf\\u00e9\"}\n\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hey\"}]}\r\n"
        "{\"text\": \"hey\"}";
    struct err e = {0};
    struct bpe_trainer *t = bpe_trainer_create(&e);

    assert_int_equal(file_write_atomic(jsonl_path, lines, strlen(lines), &e), 0);
    if (bpe_trainer_feed_jsonl(t, jsonl_path, &e) != 0) {
        fail_msg("%s", e.message);
    }
    assert_int_equal(bpe_trainer_word_count(t), 3); /* caf\u00e9, user, hey */
    bpe_trainer_destroy(t);
}

static void expect_bad_line(const char *lines, const char *words)
{
    struct err e = {0};
    char where[128];
    struct bpe_trainer *t = bpe_trainer_create(&e);

    assert_int_equal(file_write_atomic(jsonl_path, lines, strlen(lines), &e), 0);
    assert_int_equal(bpe_trainer_feed_jsonl(t, jsonl_path, &e), -1);
    snprintf(where, sizeof(where), "%s: line 2: ", jsonl_path);
    if (!strstr(e.message, words) || strncmp(e.message, where, strlen(where)) != 0) {
        fail_msg("wanted \"%s\", got \"%s\"", words, e.message);
    }
    bpe_trainer_destroy(t);
}

static void a_bad_line_is_named(void **state)
{
    (void)state;
    expect_bad_line("{\"text\": \"a\"}\n{\"text\": 1}\n", "\"text\" must be a string");
    expect_bad_line("{\"text\": \"a\"}\n{\"other\": 1}\n", "neither \"text\"");
    expect_bad_line("{\"text\": \"a\"}\n{\"messages\": [{}]}\n",
                    "\"content\" must be a string");
    expect_bad_line("{\"text\": \"a\"}\n{\"text\": \n", "");
}

static void sizes_out_of_range_are_refused(void **state)
{
    (void)state;
    struct err e = {0};
    struct bpe_trainer *t = bpe_trainer_create(&e);

    assert_int_equal(bpe_trainer_run(t, BPE_MIN_VOCAB - 1, &e), -1);
    assert_int_equal(bpe_trainer_run(t, BPE_MAX_VOCAB + 1, &e), -1);
    assert_int_equal(bpe_trainer_run(t, BPE_MIN_VOCAB, &e), 0);
    assert_int_equal(bpe_trainer_run(t, BPE_MIN_VOCAB, &e), -1);
    bpe_trainer_destroy(t);
}

/* --- against the definition --- */

enum { N_WORDS = 40, WORD_LEN = 12, N_ROUNDS = 25 };

struct naive_word {
    int32_t ids[WORD_LEN];
    size_t len;
};

/* Counts all pairs from nothing and gives the best, as algorithm 1 does. */
static int naive_best(const struct naive_word *words, int32_t n_ids, int32_t *left,
                      int32_t *right)
{
    static int counts[64][64];
    int best = 1;

    memset(counts, 0, sizeof(counts));
    for (size_t w = 0; w < N_WORDS; w++) {
        for (size_t i = 0; i + 1 < words[w].len; i++) {
            counts[words[w].ids[i]][words[w].ids[i + 1]]++;
        }
    }
    for (int32_t a = 0; a < n_ids; a++) {
        for (int32_t b = 0; b < n_ids; b++) {
            if (counts[a][b] > best) {
                best = counts[a][b];
                *left = a;
                *right = b;
            }
        }
    }
    return best > 1;
}

static void naive_merge(struct naive_word *word, int32_t left, int32_t right, int32_t merged)
{
    size_t out = 0;

    for (size_t i = 0; i < word->len; out++) {
        if (i + 1 < word->len && word->ids[i] == left && word->ids[i + 1] == right) {
            word->ids[out] = merged;
            i += 2;
        } else {
            word->ids[out] = word->ids[i++];
        }
    }
    word->len = out;
}

/* Letters a to d are ids 0 to 3 here, merges 4 and up; in the trainer the letters are 3 + 'a'
 * and so on, in the same order. The words differ in letters only, so that no pair crosses them.
 */
static void incremental_counts_give_the_same_merges(void **state)
{
    (void)state;
    struct naive_word words[N_WORDS];
    char names[4 + N_ROUNDS][2 * N_WORDS * WORD_LEN];
    char merges[N_ROUNDS][2 * sizeof(names[0])];
    const char *wanted[N_ROUNDS];
    char text[N_WORDS * (WORD_LEN + 1) + 1];
    struct rng r;

    rng_seed(&r, 5);
    for (int round = 0; round < 20; round++) {
        size_t at = 0;
        size_t n = 0;

        for (size_t w = 0; w < N_WORDS; w++) {
            words[w].len = 1 + rng_below(&r, WORD_LEN);
            for (size_t i = 0; i < words[w].len; i++) {
                words[w].ids[i] = (int32_t)rng_below(&r, 4);
                text[at++] = (char)('a' + words[w].ids[i]);
            }
            text[at++] = '\r'; /* a word of its own: never merged, for \r\r does not occur */
        }
        text[at] = '\0';
        for (int i = 0; i < 4; i++) {
            snprintf(names[i], sizeof(names[i]), "%c", 'a' + i);
        }
        for (int32_t left, right;
             n < N_ROUNDS && naive_best(words, 4 + (int32_t)n, &left, &right); n++) {
            snprintf(names[4 + n], sizeof(names[0]), "%.200s%.200s", names[left], names[right]);
            snprintf(merges[n], sizeof(merges[0]), "%.200s %.200s", names[left], names[right]);
            wanted[n] = merges[n];
            for (size_t w = 0; w < N_WORDS; w++) {
                naive_merge(&words[w], left, right, 4 + (int32_t)n);
            }
        }
        expect_merges(text, BPE_MIN_VOCAB + n, wanted, n);
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    bool reached = true;

    for (size_t nth = 1; reached; nth += nth < 50 ? 1 : 37) {
        struct err e = {0};

        mem_fail_at(nth);
        struct bpe_trainer *t = bpe_trainer_create(&e);
        const bool ok = t && bpe_trainer_feed(t, "the other thing then", 20, &e) == 0 &&
                        bpe_trainer_run(t, BPE_MIN_VOCAB + 3, &e) == 0 &&
                        bpe_trainer_write(t, vocab_path, &e) == 0;
        reached = mem_fail_reached();
        mem_fail_at(0);
        assert_true(ok == !reached);
        assert_true(ok || e.kind == ERR_NOMEM);
        bpe_trainer_destroy(t);
        assert_int_equal(mem_live(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_most_frequent_pair_is_merged_first, no_block_is_left),
        cmocka_unit_test_teardown(runs_of_one_letter_are_counted_right, no_block_is_left),
        cmocka_unit_test_teardown(merging_stops_when_nothing_repeats, no_block_is_left),
        cmocka_unit_test_teardown(the_vocabulary_has_what_the_tokenizer_needs,
                                  no_block_is_left),
        cmocka_unit_test_teardown(jsonl_of_texts_and_messages_is_read, no_block_is_left),
        cmocka_unit_test_teardown(a_bad_line_is_named, no_block_is_left),
        cmocka_unit_test_teardown(sizes_out_of_range_are_refused, no_block_is_left),
        cmocka_unit_test_teardown(incremental_counts_give_the_same_merges, no_block_is_left),
        cmocka_unit_test_teardown(any_allocation_may_fail, no_block_is_left),
    };

    return cmocka_run_group_tests(tests, choose_paths, NULL);
}
