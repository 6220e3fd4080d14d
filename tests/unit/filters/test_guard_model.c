/* guard_model.h: scores against a second way of computing them, and damaged files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "filters/guard_builtin.h"
#include "filters/guard_words.h"
#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "tests/unit/filters/guard_fixture.h"

static const char *const texts[] = {
    "one",
    "How do I kill a process?",
    "a b c d e",
    "<|im_start|>system ###",
    ("The quick brown fox jumps over the lazy dog, and the dog does not mind it at all; it has "
     "seen quicker ones in its time, and lazier, and sleeps on."),
    "\xE6\x9D\x80\xE4\xBA\xBA k1ll \xC3\xA9t\xC3\xA9",
};

/* As the header has it, one number at a time. */
static void score_plainly(const struct guard_model *m, const char *text, float *scores)
{
    const uint32_t dims = m->shape.dims, hidden = m->shape.hidden;
    int64_t words[GUARD_DIMS_MAX] = {0}, runs[GUARD_DIMS_MAX] = {0};
    int64_t greatest[GUARD_DIMS_MAX] = {0};
    size_t n_words = 0, n_runs = 0;
    bool is_first = true;
    struct guard_reader reader;
    struct guard_word w;
    guard_reader_init(&reader, text, strlen(text));
    for (; guard_reader_next(&reader, &w); is_first = false) {
        n_words += w.n_words;
        n_runs += w.n_runs;
        for (uint32_t d = 0; d < dims; d++) {
            int64_t of_words = 0, of_runs = 0;
            for (size_t i = 0; i < w.n_words; i++) {
                of_words += m->table[(w.words[i] >> (32 - m->shape.bits)) * dims + d];
            }
            for (size_t i = 0; i < w.n_runs; i++) {
                of_runs += m->table[(w.runs[i] >> (32 - m->shape.bits)) * dims + d];
            }
            words[d] += of_words;
            runs[d] += of_runs;
            if (is_first || of_words + of_runs > greatest[d]) {
                greatest[d] = of_words + of_runs;
            }
        }
    }
    float h[GUARD_HIDDEN_MAX];
    for (uint32_t j = 0; j < hidden; j++) {
        h[j] = m->hidden_bias[j];
        for (uint32_t i = 0; i < 3 * dims; i++) {
            float x = i < dims       ? (float)words[i] * (m->scale / sqrtf((float)n_words))
                      : i < 2 * dims ? (float)runs[i - dims] *
                                           (n_runs ? m->scale / sqrtf((float)n_runs) : 0)
                                     : (float)greatest[i - 2 * dims] * m->scale;
            h[j] += x * m->hidden[i * hidden + j];
        }
    }
    for (int c = 0; c < GUARD_CATEGORIES; c++) {
        float z = m->output_bias[c];
        for (uint32_t j = 0; j < hidden; j++) {
            z += (h[j] > 0 ? h[j] : 0) * m->output[j * GUARD_CATEGORIES + (uint32_t)c];
        }
        scores[c] = guard_sigmoid(z);
    }
}

static void scores_are_the_formula_s_bit_for_bit(void **state)
{
    (void)state;
    static const uint32_t shapes[][3] = {{8, 4, 8}, {16, 10, 32}, {64, 12, 128}, {24, 8, 16}};
    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        struct guard_model *m = guard_fixture(s + 1, shapes[s][0], shapes[s][1], shapes[s][2]);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            float a[GUARD_CATEGORIES], b[GUARD_CATEGORIES];
            guard_model_score(m, texts[i], strlen(texts[i]), a);
            score_plainly(m, texts[i], b);
            assert_memory_equal(a, b, sizeof(a));
        }
        guard_model_destroy(m);
    }
}

static void the_sigmoid_is_that_of_the_library(void **state)
{
    (void)state;
    for (int i = -4500; i <= 4500; i++) {
        double z = (double)((float)i / 100);
        double want = 1 / (1 + exp(-(z > 40 ? 40 : z < -40 ? -40 : z)));
        assert_true(fabs((double)guard_sigmoid((float)z) - want) <= 1e-6 * want);
    }
    assert_true(guard_sigmoid(0) == 0.5f);
    assert_true(guard_sigmoid(NAN) >= 0);
}

static void a_text_without_words_scores_0(void **state)
{
    (void)state;
    struct guard_model *m = guard_fixture(1, 8, 6, 8);
    float scores[GUARD_CATEGORIES];
    guard_model_score(m, " ... ", 5, scores);
    for (int c = 0; c < GUARD_CATEGORIES; c++) {
        assert_true(scores[c] == 0);
    }
    guard_model_destroy(m);
}

static void a_file_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct guard_model *m = guard_fixture(3, 16, 8, 24);
    size_t len, again;
    struct err e;
    char *file = guard_fixture_file(m, &len);
    struct guard_model *read = guard_model_read(file, len, &e);
    assert_non_null(read);
    char *second = guard_fixture_file(read, &again);
    assert_int_equal(len, again);
    assert_memory_equal(file, second, len);
    mem_free(file);
    mem_free(second);
    guard_model_destroy(m);
    guard_model_destroy(read);
}

static void expect_refused(const char *file, size_t len)
{
    struct err e = {0};
    size_t before = mem_live();
    struct guard_model *read = guard_model_read(file, len, &e);
    assert_null(read);
    assert_true(e.message[0] != '\0');
    assert_int_equal(mem_live(), before);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    struct guard_model *m = guard_fixture(4, 8, 4, 8);
    size_t len;
    char *file = guard_fixture_file(m, &len);
    for (size_t cut = 0; cut < len; cut++) {
        char *shorter = mem_alloc(cut + 1); /* so that reading beyond it is seen */
        memcpy(shorter, file, cut);
        expect_refused(shorter, cut);
        mem_free(shorter);
    }
    for (size_t i = 0; i < len; i++) {
        file[i] ^= (char)(1 << (i % 8));
        expect_refused(file, len);
        file[i] ^= (char)(1 << (i % 8));
    }
    mem_free(file);
    guard_model_destroy(m);
}

/* With a checksum that is right, numbers must be too. */
static void numbers_that_are_none_are_refused(void **state)
{
    (void)state;
    struct guard_model *m = guard_fixture(5, 8, 4, 8);
    size_t len;
    float *const places[] = {&m->thresholds[2],  &m->scale,     &m->hidden[7],
                             &m->hidden_bias[1], &m->output[3], &m->output_bias[5]};
    static const float numbers[] = {NAN, INFINITY, -INFINITY, 1e30f};
    for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
        for (size_t n = 0; n < 4; n++) {
            float was = *places[p];
            *places[p] = numbers[n];
            char *file = guard_fixture_file(m, &len);
            expect_refused(file, len);
            mem_free(file);
            *places[p] = was;
        }
    }
    m->thresholds[0] = 0;
    char *file = guard_fixture_file(m, &len);
    expect_refused(file, len);
    mem_free(file);
    guard_model_destroy(m);
}

/* A head that promises much is refused before memory is taken for it. */
static void heads_are_checked(void **state)
{
    (void)state;
    struct guard_model *m = guard_fixture(6, 8, 4, 8);
    size_t len;
    char *file = guard_fixture_file(m, &len);
    static const unsigned char values[] = {0, 1, 7, 9, 21, 31, 32, 128, 200, 255};
    for (size_t at = 8; at < 24; at++) {
        for (size_t v = 0; v < sizeof(values); v++) {
            char was = file[at];
            char hex[HASH_HEX_LEN + 1];
            file[at] = (char)values[v];
            if (file[at] != was) {
                assert_int_equal(hash_sha256_hex(file, len - HASH_HEX_LEN, hex), 0);
                memcpy(file + len - HASH_HEX_LEN, hex, HASH_HEX_LEN);
                expect_refused(file, len);
            }
            file[at] = was;
        }
    }
    mem_free(file);
    guard_model_destroy(m);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    struct guard_model *m = guard_fixture(7, 8, 4, 8);
    size_t len;
    char *file = guard_fixture_file(m, &len);
    for (size_t nth = 1; nth <= 3; nth++) {
        mem_fail_at(nth);
        expect_refused(file, len);
        mem_fail_at(0);
    }
    mem_free(file);
    guard_model_destroy(m);
}

static void the_embedded_one_is_whole(void **state)
{
    (void)state;
    struct err e = {0};
    struct guard_model *m = guard_model_read(guard_builtin, guard_builtin_len, &e);
    if (!m) {
        fail_msg("%s", e.message);
    }
    assert_true(guard_builtin_len <= 1500000);
    guard_model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_the_formula_s_bit_for_bit),
        cmocka_unit_test(the_sigmoid_is_that_of_the_library),
        cmocka_unit_test(a_text_without_words_scores_0),
        cmocka_unit_test(a_file_is_read_as_it_was_written),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(heads_are_checked),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
        cmocka_unit_test(the_embedded_one_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
