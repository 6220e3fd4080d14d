/* drift.h and drift_prompts.h: what is read, what counts, and where answers part. */
#include "runtime/cli/drift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"

static struct drift_prompts parse(const char *text, size_t limit)
{
    struct err e = {0};
    struct drift_prompts p;
    if (drift_prompts_parse(&p, text, strlen(text), limit, &e) != 0) {
        fail_msg("%s", e.message);
    }
    return p;
}

static void plain_lines_and_objects_are_prompts(void **state)
{
    (void)state;
    struct drift_prompts p =
        parse("Hello, you!\r\n\n{\"prompt\":\"Once\",\"category\":\"text\"}\n"
              "{\"skill\":\"sum\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
              "{\"role\":\"user\",\"content\":\"2+3\"}],\"expect\":{\"all\":[\"5\"]}}",
              0);
    assert_int_equal(p.n, 3);
    assert_string_equal(drift_prompt_shown(&p.items[0]), "Hello, you!");
    assert_int_equal(cJSON_GetArraySize(p.items[0].messages), 1);
    assert_null(p.items[0].category);
    assert_string_equal(p.items[1].prompt, "Once");
    assert_null(p.items[1].messages);
    assert_string_equal(p.items[1].category, "text");
    assert_string_equal(drift_prompt_shown(&p.items[2]), "2+3");
    assert_string_equal(p.items[2].category, "sum");
    assert_true(p.items[2].has_expect && !p.items[1].has_expect);
    drift_prompts_deinit(&p);
    p = parse("a\nb\nc\n", 2);
    assert_int_equal(p.n, 2);
    drift_prompts_deinit(&p);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } bad[] = {
        {"", "no prompt is in it"},
        {"\n\r\n", "no prompt is in it"},
        {"a\n{\"prompt\":1}", "line 2: \"prompt\": a text is wanted"},
        {"{\"prompts\":\"a\"}", "line 1: \"prompts\" is not known"},
        {"{\"category\":\"a\"}", "line 1: either \"messages\" or \"prompt\" is wanted"},
        {"{\"prompt\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"b\"}]}", "either"},
        {"{\"messages\":[]}", "an array of one message or more"},
        {"{\"messages\":[{\"role\":\"user\"}]}", "each needs the texts role and content"},
        {"{\"prompt\":\"a\",\"expect\":{\"al\":[]}}", "\"expect\""},
        {"{\"prompt\":", "line 1"},
        {"a\n\xff\n", "line 2: it is no UTF-8"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = {0};
        struct drift_prompts p;
        assert_int_equal(drift_prompts_parse(&p, bad[i].text, strlen(bad[i].text), 0, &e), -1);
        if (!strstr(e.message, bad[i].wanted)) {
            fail_msg("\"%s\" does not say \"%s\"", e.message, bad[i].wanted);
        }
        drift_prompts_deinit(&p);
    }
}

static void the_builtin_set_can_be_read(void **state)
{
    (void)state;
    struct err e = {0};
    struct drift_prompts p;
    if (drift_prompts_parse(&p, (const char *)drift_builtin, drift_builtin_len, 0, &e) != 0) {
        fail_msg("%s", e.message);
    }
    assert_true(p.n >= 50);
    drift_prompts_deinit(&p);
}

static struct drift_answer said(const char *text, enum drift_end end)
{
    return (struct drift_answer){.text = (char *)text, /* only read */
                                 .len = strlen(text),
                                 .end = end,
                                 .tokens = 10,
                                 .seconds = 0.5};
}

static size_t parts_at(const char *a, const char *b)
{
    struct drift_pair pair = {{said(a, DRIFT_STOP), said(b, DRIFT_STOP)}};
    return drift_first_difference(&pair);
}

static void answers_part_at_a_word(void **state)
{
    (void)state;
    assert_int_equal(parts_at("a b c", "a b d"), 3);
    assert_int_equal(parts_at("x", "y"), 1);
    assert_int_equal(parts_at("", "y"), 1);
    assert_int_equal(parts_at("a b", "a b c"), 3);
    assert_int_equal(parts_at("a bc", "a bd"), 2);
    assert_int_equal(parts_at("one two three", "one twofold three"), 2);
    assert_int_equal(parts_at("one two", "one  two"), 2);
}

static void everything_is_counted_once(void **state)
{
    (void)state;
    struct err e = {0};
    struct drift_prompts p = parse("{\"category\":\"x\",\"prompt\":\"1\",\"expect\":{\"all\":"
                                   "[\"yes\"]}}\n2\n3\n4\n{\"category\":\"x\",\"prompt\":\"5\"}"
                                   "\n6",
                                   0);
    const struct drift_pair pairs[] = {
        {{said("yes, it is", DRIFT_STOP), said("no", DRIFT_STOP)}},
        {{said("the same", DRIFT_STOP), said("the same", DRIFT_STOP)}},
        {{said("the same", DRIFT_STOP), said("the same", DRIFT_LENGTH)}},
        {{said("Fine.", DRIFT_STOP), said("I cannot help with that.", DRIFT_STOP)}},
        {{said("", DRIFT_BLOCKED), said("a b c d", DRIFT_FILTERED)}},
        {{said("I cannot help with that", DRIFT_FAILED), said("a", DRIFT_STOP)}},
    };
    struct drift_summary s;
    assert_int_equal(drift_summarise(&p, pairs, NULL, &s, &e), 0);
    assert_int_equal(s.n, 6);
    assert_int_equal(s.n_same, 1);
    static const size_t wanted[DRIFT_RATES][5] = {
        /* of, A, B, A alone, B alone */
        [DRIFT_REFUSED] = {6, 0, 1, 0, 1}, [DRIFT_RATE_FILTERED] = {6, 1, 1, 0, 0},
        [DRIFT_CUT] = {6, 0, 1, 0, 1},     [DRIFT_RATE_FAILED] = {6, 1, 0, 1, 0},
        [DRIFT_RIGHT] = {1, 1, 0, 1, 0},
    };
    for (int i = 0; i < DRIFT_RATES; i++) {
        const struct drift_rate *r = &s.rates[i];
        const size_t found[5] = {r->n, r->hits[0], r->hits[1], r->only[0], r->only[1]};
        assert_memory_equal(found, wanted[i], sizeof(found));
    }
    /* Lengths of the four that both have answered: 3 2 2 1, then 1 2 2 5. */
    assert_int_equal(s.n_lengths, 4);
    assert_true(s.mean[0].value == 2 && s.mean[1].value == 2.5);
    assert_true(s.median[0].value == 2 && s.median[1].value == 2);
    assert_true(s.longer.value == 0.5);
    assert_true(s.length_p == 1);
    assert_true(s.tokens_per_s[0] == 20);

    assert_int_equal(drift_summarise(&p, pairs, "x", &s, &e), 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.rates[DRIFT_RIGHT].n, 1);
    assert_int_equal(drift_summarise(&p, pairs, "none", &s, &e), 0);
    assert_int_equal(s.n, 0);
    drift_prompts_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines_and_objects_are_prompts),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(the_builtin_set_can_be_read),
        cmocka_unit_test(answers_part_at_a_word),
        cmocka_unit_test(everything_is_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
