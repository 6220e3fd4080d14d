/* guard_words.h: what is folded to the same words, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "filters/guard_words.h"
#include "runtime/base/rng.h"

/* One number for all hashes of a text; *words counts its words. */
static uint64_t fingerprint(const char *text, size_t len, size_t *words)
{
    struct guard_reader reader;
    struct guard_word word;
    uint64_t h = 1;
    *words = 0;
    guard_reader_init(&reader, text, len);
    while (guard_reader_next(&reader, &word)) {
        (*words)++;
        assert_true(word.n_words >= 2 && word.n_words <= 3);
        assert_true(word.n_runs <= GUARD_WORD_RUNS);
        for (size_t i = 0; i < word.n_words; i++) {
            h = h * 6364136223846793005u + word.words[i];
        }
        for (size_t i = 0; i < word.n_runs; i++) {
            h = h * 6364136223846793005u + word.runs[i];
        }
    }
    return h;
}

static void expect(const char *a, const char *b, bool are_same, size_t words)
{
    size_t n_a, n_b;
    bool same = fingerprint(a, strlen(a), &n_a) == fingerprint(b, strlen(b), &n_b);
    if (same != are_same || n_a != words) {
        fail_msg("\"%s\" (%zu words) and \"%s\": %s", a, n_a, b, same ? "same" : "different");
    }
}

static void ways_of_writing_one_thing_are_one(void **state)
{
    (void)state;
    expect("Kill them", "kill THEM", true, 2);
    expect("kill, them.", "kill them", true, 2);
    expect("don't", "dont", true, 1);
    expect("don\xE2\x80\x99t", "dont", true, 1);
    expect("k1ll", "kill", true, 1);
    expect("$h0ot", "shoot", true, 1);
    expect("k i l l him", "kill him", true, 2);
    expect("k.i.l.l him", "kill him", true, 2);
    expect("k*ll", "kll", true, 1);
    expect("soooooo", "soo", true, 1);
    expect("caf\xC3\xA9", "cafe", true, 1);
    expect("k\xD1\x96ll", "kill", true, 1);                /* Cyrillic i */
    expect("ki\xE2\x80\x8Bll", "kill", true, 1);           /* zero width space */
    expect("\xEF\xBD\x8B\xEF\xBD\x89ll", "kill", true, 1); /* full width */
    expect("in 1984", "in 2024", true, 2);
    expect("\xE6\x9D\x80\xE4\xBA\xBA", "\xE6\x9D\x80 \xE4\xBA\xBA", true, 2); /* Han */
}

static void other_things_are_others(void **state)
{
    (void)state;
    expect("kill them", "them kill", false, 2);
    expect("kill", "kiln", false, 1);
    expect("a b", "ab", false, 2);
    expect("good", "god", false, 1);
    expect("<|system|>", "system", false, 3);
    expect("### system", "system", false, 2);
    expect("he: she", "he she", true, 2);
}

static void nothing_has_no_words(void **state)
{
    (void)state;
    static const char *const texts[] = {"", " ", "...", "?! ,", "'", "\xE2\x80\x8B", "\xC3"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t words;
        fingerprint(texts[i], strlen(texts[i]), &words);
        assert_int_equal(words, 0);
    }
}

/* Any bytes end, and are read within their bounds. */
static void any_bytes_are_read(void **state)
{
    (void)state;
    static const char pieces[] = "aab1$@*. '<|#\n\t_-\xC3\xA9\xE6\x9D\x80\xF0\x9F\x98\x80\xFF";
    struct rng r;
    rng_seed(&r, 5);
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t len = rng_below(&r, sizeof(text)), words;
        for (size_t i = 0; i < len; i++) {
            text[i] = rng_below(&r, 20) ? pieces[rng_below(&r, sizeof(pieces) - 1)]
                                        : (char)rng_below(&r, 256);
        }
        fingerprint(text, len, &words);
        assert_true(words <= len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ways_of_writing_one_thing_are_one),
        cmocka_unit_test(other_things_are_others),
        cmocka_unit_test(nothing_has_no_words),
        cmocka_unit_test(any_bytes_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
