/* prompt.h: variables filled in, and what changed between versions */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/registry/line_diff.h"
#include "runtime/registry/prompt.h"

static struct prompt *must_read(const char *body)
{
    struct err e = {0};
    struct prompt *p = prompt_from_json(body, strlen(body), &e);
    if (!p) {
        fail_msg("%s: %s", body, e.message);
    }
    return p;
}

static void values_are_filled_in(void **state)
{
    (void)state;
    struct prompt *p = must_read(
        "{\"text\":\"I am {{name}} of {{city}}, {{name}}.\",\"variables\":{\"name\":\"Ada\","
        "\"city\":null},\"examples\":[{\"user\":\"{{city}}?\",\"assistant\":\"Yes.\"}],"
        "\"documents\":[{\"title\":\"On {{city}}\",\"text\":\"It is {{name}}'s.\"},"
        "{\"title\":\"B\",\"text\":\"C\"}]}");
    struct buf out;
    buf_init(&out, 2 * PROMPT_RENDERED_MAX);
    struct err e = {0};
    const struct prompt_value values[] = {{"city", "{{name}}"}};
    size_t n_same;
    buf_append_str(&out, ">");
    assert_int_equal(prompt_render(p, values, 1, &out, &n_same, &e), 0);
    assert_string_equal(out.data,
                        ">I am Ada of {{name}}, Ada.\n\nReference documents:"
                        "\n\n[Document 1: On {{name}}]\nIt is Ada's.\n[End of document 1]"
                        "\n\n[Document 2: B]\nC\n[End of document 2]");
    assert_int_equal(n_same, strlen("I am Ada of "));

    const struct prompt_value both[] = {{"city", "Ulm"}, {"name", "Bo"}};
    buf_clear(&out);
    assert_int_equal(prompt_render(p, both, 2, &out, &n_same, &e), 0);
    assert_memory_equal(out.data, "I am Bo of Ulm, Bo.", 19);
    assert_int_equal(n_same, strlen("I am "));

    buf_clear(&out);
    assert_int_equal(prompt_fill(p, p->examples[0].user, values, 1, &out, &e), 0);
    assert_string_equal(out.data, "{{name}}?");
    buf_deinit(&out);
    prompt_unref(p);
}

static void what_no_request_changes_is_static_to_the_end(void **state)
{
    (void)state;
    struct prompt *p =
        must_read("{\"text\":\"I am {{name}}.\",\"variables\":{\"name\":\"Ada\"}}");
    struct buf out;
    buf_init(&out, 2 * PROMPT_RENDERED_MAX);
    struct err e = {0};
    size_t n_same;
    assert_int_equal(prompt_render(p, NULL, 0, &out, &n_same, &e), 0);
    assert_string_equal(out.data, "I am Ada.");
    assert_int_equal(n_same, out.len);
    prompt_unref(p);

    /* A text that declares nothing is taken as it is. */
    p = prompt_create(1, "Hi {{name}}", 11, &e);
    buf_clear(&out);
    assert_int_equal(prompt_render(p, NULL, 0, &out, &n_same, &e), 0);
    assert_string_equal(out.data, "Hi {{name}}");
    assert_int_equal(n_same, 11);
    assert_int_equal(prompt_check(p, &e), -1);
    buf_deinit(&out);
    prompt_unref(p);
}

static void a_missing_or_unknown_value_is_named(void **state)
{
    (void)state;
    struct prompt *p = must_read("{\"text\":\"a\",\"variables\":{\"city\":null},\"examples\":"
                                 "[{\"user\":\"{{city}}\",\"assistant\":\"x\"}]}");
    static const struct prompt_value unknown[] = {{"city", "Ulm"}, {"town", "x"}};
    static const struct prompt_value invalid[] = {{"city", "\xFF"}};
    const struct {
        const struct prompt_value *values;
        size_t n;
        const char *param;
    } cases[] = {{NULL, 0, "prompt_variables.city"},
                 {unknown, 2, "prompt_variables.town"},
                 {invalid, 1, "prompt_variables.city"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        buf_init(&out, 100);
        struct err e = {0};
        assert_int_equal(prompt_render(p, cases[i].values, cases[i].n, &out, NULL, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_string_equal(e.param, cases[i].param);
        buf_deinit(&out);
    }
    prompt_unref(p);
}

static void a_short_text_cannot_become_endless(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, PROMPT_BYTES_MAX);
    buf_append_str(&body, "{\"variables\":{\"x\":null},\"text\":\"");
    for (int i = 0; i < 1025; i++) {
        buf_append_str(&body, "{{x}}");
    }
    buf_append_str(&body, "\"}");
    struct prompt *p = must_read(body.data);
    char value[1025];
    memset(value, 'v', sizeof(value) - 1);
    value[1024] = '\0';
    const struct prompt_value values[] = {{"x", value}};
    struct buf out;
    buf_init(&out, 2 * PROMPT_RENDERED_MAX);
    struct err e = {0};
    assert_int_equal(prompt_render(p, values, 1, &out, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.param, "prompt_variables");
    assert_true(out.len <= PROMPT_RENDERED_MAX);
    buf_deinit(&out);
    buf_deinit(&body);
    prompt_unref(p);
}

/* --- differences --- */

static char *diff_lines(const char *a, const char *b)
{
    struct buf out;
    buf_init(&out, (size_t)16 << 20);
    struct err e = {0};
    assert_int_equal(line_diff(a, b, &out, &e), 0);
    char *text = buf_take(&out, NULL);
    buf_deinit(&out);
    return text;
}

static void changes_are_shown_as_diff_does(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        const char *wanted;
    } cases[] = {
        {"", "", ""},
        {"a\nb\n", "a\nb\n", ""},
        {"", "a\n", "@@ -0,0 +1 @@\n+a\n"},
        {"a\n", "", "@@ -1 +0,0 @@\n-a\n"},
        {"a\n", "a", "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"},
        {"a\nb\nc\n", "a\nx\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\n",
         "@@ -6,4 +6,3 @@\n 6\n 7\n 8\n-9\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n",
         "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -7,3 +8,4 @@\n 7\n 8\n 9\n+10\n"},
        {"1\n2\n3\n4\n5\n6\n", "0\n1\n2\n3\n4\n5\n6\n7\n",
         "@@ -1,6 +1,8 @@\n+0\n 1\n 2\n 3\n 4\n 5\n 6\n+7\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = diff_lines(cases[i].a, cases[i].b);
        assert_string_equal(text, cases[i].wanted);
        mem_free(text);
    }
}

/* Reads hunks back: *b_again is a with the changes made. Lines all end with a line break. */
static void apply(const char *a, const char *hunks, struct buf *b_again)
{
    size_t at = 0; /* lines of a that were copied or dropped */
    const char *rest = a;
    while (*hunks) {
        size_t first;
        size_t count = 1;
        assert_true(sscanf(hunks, "@@ -%zu,%zu", &first, &count) >= 1);
        for (size_t begin = count ? first - 1 : first; at < begin; at++) {
            const char *end = strchr(rest, '\n') + 1;
            buf_append(b_again, rest, (size_t)(end - rest));
            rest = end;
        }
        hunks = strchr(hunks, '\n') + 1;
        for (; *hunks && *hunks != '@'; hunks = strchr(hunks, '\n') + 1) {
            size_t len = (size_t)(strchr(hunks, '\n') - hunks);
            if (*hunks != '+') {
                assert_memory_equal(rest, hunks + 1, len);
                rest += len;
                at++;
            }
            if (*hunks != '-') {
                buf_append(b_again, hunks + 1, len);
            }
        }
    }
    buf_append_str(b_again, rest);
}

static void random_lines(struct rng *r, size_t n, struct buf *out)
{
    buf_append_str(out, "");
    for (size_t i = 0; i < n; i++) {
        buf_append_char(out, (char)('a' + rng_below(r, 4)));
        buf_append_char(out, '\n');
    }
}

static void changes_made_to_the_old_give_the_new(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 5);
    for (int round = 0; round < 400; round++) {
        /* Now and then more lines than changes are searched for. */
        size_t n = round % 100 == 99 ? 3000 : 40;
        struct buf a;
        struct buf b;
        struct buf again;
        buf_init(&a, 1 << 20);
        buf_init(&b, 1 << 20);
        buf_init(&again, 1 << 20);
        random_lines(&r, rng_below(&r, (uint32_t)n), &a);
        random_lines(&r, rng_below(&r, (uint32_t)n), &b);
        char *hunks = diff_lines(a.data, b.data);
        apply(a.data, hunks, &again);
        assert_string_equal(again.data, b.data);
        mem_free(hunks);
        buf_deinit(&a);
        buf_deinit(&b);
        buf_deinit(&again);
    }
}

static void a_diff_names_the_versions_and_all_that_the_model_reads(void **state)
{
    (void)state;
    struct prompt *a = must_read("{\"text\":\"Be kind.\",\"note\":\"x\"}");
    struct prompt *b =
        must_read("{\"text\":\"Be kind.\",\"mode\":\"override\",\"variables\":"
                  "{\"x\":\"1\"},\"documents\":[{\"title\":\"T\",\"text\":\"D\"}]}");
    prompt_set_version(a, "p", 1, 0);
    prompt_set_version(b, "p", 2, 0);
    struct buf out;
    buf_init(&out, 1 << 20);
    struct err e = {0};
    assert_int_equal(prompt_diff(a, b, &out, &e), 0);
    assert_string_equal(out.data,
                        "--- p@1\n+++ p@2\n@@ -1 +1,6 @@\n Be kind.\n+[mode: override]\n"
                        "+[variable x]\n+1\n+[document 1: T]\n+D\n");
    buf_clear(&out);
    assert_int_equal(prompt_diff(a, a, &out, &e), 0);
    assert_string_equal(out.data, "");
    buf_deinit(&out);
    prompt_unref(a);
    prompt_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_filled_in),
        cmocka_unit_test(what_no_request_changes_is_static_to_the_end),
        cmocka_unit_test(a_missing_or_unknown_value_is_named),
        cmocka_unit_test(a_short_text_cannot_become_endless),
        cmocka_unit_test(changes_are_shown_as_diff_does),
        cmocka_unit_test(changes_made_to_the_old_give_the_new),
        cmocka_unit_test(a_diff_names_the_versions_and_all_that_the_model_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
