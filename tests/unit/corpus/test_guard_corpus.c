/* models/weir-guard/corpus: splits share nothing, forms are filled, mistakes are named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "models/weir-guard/corpus/grammar.h"
#include "models/weir-guard/corpus/roughen.h"

static int read_text(struct grammar *g, const char *text, struct err *e)
{
    char path[] = "/tmp/weir_guard_corpus_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int rc = grammar_read(g, path, e);
    unlink(path);
    return rc == 0 ? grammar_finish(g, e) : -1;
}

/* 100 templates "t<number> {word}" and as many words. */
static void make(struct grammar *g)
{
    struct buf text;
    struct err e = {0};
    buf_init(&text, 1 << 20);
    buf_append_str(&text, "a comment\n@list word\n");
    for (int i = 0; i < 100; i++) {
        buf_printf(&text, "w%d\n", i);
    }
    buf_append_str(&text, "+pinned\n\n@text violence sexual weight=3\n");
    for (int i = 0; i < 100; i++) {
        buf_printf(&text, "t%d {word}\n", i);
    }
    buf_append_str(&text, "@text benign weight=1\n+only training\n");
    grammar_init(g);
    if (read_text(g, text.data, &e) != 0) {
        fail_msg("%s", e.message);
    }
    buf_deinit(&text);
}

static void splits_share_neither_templates_nor_words(void **state)
{
    (void)state;
    static int seen[2][100]; /* split + 1 in which it was met */
    struct grammar g;
    struct rng r;
    struct buf out;
    int pinned = 0, only = 0;
    make(&g);
    rng_seed(&r, 1);
    buf_init(&out, 1024);
    for (int i = 0; i < 30000; i++) {
        enum grammar_split split = (enum grammar_split)(i % GRAMMAR_SPLITS);
        buf_clear(&out);
        const char *labels = grammar_draw_text(&g, split, &r, &out);
        int template, word;
        if (strcmp(out.data, "only training") == 0) {
            assert_string_equal(labels, "");
            assert_int_equal(split, GRAMMAR_TRAIN);
            only++;
            continue;
        }
        assert_string_equal(labels, "violence sexual");
        int n = sscanf(out.data, "t%d w%d", &template, &word);
        assert_true(n >= 1);
        assert_true(seen[0][template] == 0 || seen[0][template] == (int)split + 1);
        seen[0][template] = (int)split + 1;
        if (n == 1) {
            assert_int_equal(split, GRAMMAR_TRAIN);
            pinned++;
            continue;
        }
        assert_true(seen[1][word] == 0 || seen[1][word] == (int)split + 1);
        seen[1][word] = (int)split + 1;
    }
    assert_true(pinned > 0 && only > 0);
    for (int kind = 0; kind < 2; kind++) {
        int count[GRAMMAR_SPLITS + 1] = {0};
        for (int i = 0; i < 100; i++) {
            count[seen[kind][i]]++;
        }
        assert_int_equal(count[0], 0);
        assert_true(count[GRAMMAR_DEV + 1] > 0 && count[GRAMMAR_HELDOUT + 1] > 0);
        assert_true(count[GRAMMAR_TRAIN + 1] > 70);
    }
    buf_deinit(&out);
    grammar_deinit(&g);
}

static void forms_are_filled(void **state)
{
    (void)state;
    struct grammar g;
    struct err e = {0};
    struct rng r;
    struct buf out;
    int met[8] = {0};
    static const char *const all[] = {"x a |{} y",  "x b c |{} y",  "x b d |{} y",  "x |{} y",
                                      "x a |{} zy", "x b c |{} zy", "x b d |{} zy", "x |{} zy"};
    grammar_init(&g);
    assert_int_equal(read_text(&g,
                               "@list l\na\nb (c|d)\n@list m\n{l}\n@text benign\n"
                               "+x ({m} |)|{} (z)?y\n",
                               &e),
                     0);
    rng_seed(&r, 2);
    buf_init(&out, 1024);
    for (int i = 0; i < 1000; i++) {
        buf_clear(&out);
        grammar_draw_text(&g, GRAMMAR_TRAIN, &r, &out);
        int which = 0;
        while (which < 8 && strcmp(all[which], out.data) != 0) {
            which++;
        }
        if (which < 8) {
            met[which]++;
        } else {
            fail_msg("%s", out.data);
        }
    }
    for (int i = 0; i < 8; i++) {
        assert_true(met[i] > 0);
    }
    buf_deinit(&out);
    grammar_deinit(&g);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"@liste a\n", ":1: neither @list"},
        {"@text benign\nan {unknown} list\n", "no list {unknown}"},
        {"@list a\n@text benign\nb\n", "\"a\" is empty"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct grammar g;
        struct err e = {0};
        grammar_init(&g);
        assert_int_equal(read_text(&g, cases[i].text, &e), -1);
        assert_non_null(strstr(e.message, cases[i].message));
        grammar_deinit(&g);
    }
}

static void roughened_text_is_never_lost(void **state)
{
    (void)state;
    static const char *const texts[] = {"a", "ab", "the cat sat on the mat", "i am", "?"};
    struct rng r;
    struct buf out;
    rng_seed(&r, 3);
    buf_init(&out, 1024);
    for (int i = 0; i < 20000; i++) {
        const char *text = texts[i % 5];
        roughen(text, &r, &out);
        assert_false(out.failed);
        assert_true(out.len >= strlen(text) - 1 && out.len <= 2 * strlen(text) + 3);
        assert_int_equal(strlen(out.data), out.len);
    }
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_share_neither_templates_nor_words),
        cmocka_unit_test(forms_are_filled),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(roughened_text_is_never_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
