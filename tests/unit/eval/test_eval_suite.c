/* eval_suite.h: suites as folders and files, limits and groups, and what is refused. */
#include "models/eval/eval_suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/file.h"

static char folder[] = "/tmp/weir-test-suite-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    struct err e = {0};
    assert_int_equal(file_write_atomic(path_of(name), text, strlen(text), &e), 0);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    put("q.jsonl", "{\"skill\":\"a\",\"prompt\":\"1\",\"expect\":{\"all\":[\"x\"]}}\r\n\n"
                   "{\"skill\":\"b\",\"prompt\":\"2\",\"expect\":{\"all\":[\"x\"]}}\n"
                   "{\"skill\":\"a\",\"prompt\":\"3\",\"expect\":{\"all\":[\"x\"]}}\n"
                   "{\"skill\":\"a\",\"prompt\":\"4\",\"expect\":{\"all\":[\"x\"]}}");
    put("bad.jsonl", "{\"prompt\":\"1\",\"expect\":{\"all\":[\"x\"]}}\n{\"prompt\":\"2\"}\n");
    put("empty.jsonl", "\n\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        static const char *const names[] = {"q.jsonl", "bad.jsonl", "empty.jsonl",
                                            "suite.json"};
        unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

static void assert_refused(const char *suite, const char *message_part)
{
    struct err e = {0};
    put("suite.json", suite);
    struct eval_suite *s = eval_suite_open(folder, NULL, 0, &e);
    assert_null(s);
    if (!strstr(e.message, message_part)) {
        fail_msg("\"%s\" does not say \"%s\"", e.message, message_part);
    }
}

static void a_folder_has_parts_with_lines(void **state)
{
    (void)state;
    struct err e = {0};
    put("suite.json", "{\"name\":\"s\",\"description\":\"d\",\"parts\":["
                      "{\"name\":\"one\",\"kind\":\"questions\",\"file\":\"q.jsonl\"},"
                      "{\"name\":\"two\",\"kind\":\"domain\",\"inside\":\"q.jsonl\","
                      "\"outside\":\"q.jsonl\",\"max_tokens\":7,\"groups\":[\"b\"]}]}");
    struct eval_suite *s = eval_suite_open(folder, NULL, 0, &e);
    if (!s) {
        fail_msg("%s", e.message);
    }
    assert_int_equal(s->n_parts, 2);
    assert_int_equal(s->parts[0].n, 4);
    assert_int_equal(s->parts[0].items[1].line, 3);
    assert_int_equal(s->parts[0].max_tokens, EVAL_ANSWER_TOKENS);
    assert_int_equal(s->parts[1].n, 2);
    assert_int_equal(s->parts[1].max_tokens, 7);
    assert_true(s->parts[1].items[0].is_inside && !s->parts[1].items[1].is_inside);
    eval_suite_close(s);
}

static void a_limit_counts_by_group(void **state)
{
    (void)state;
    struct err e = {0};
    struct eval_suite *s = eval_suite_open(path_of("q.jsonl"), NULL, 2, &e);
    assert_non_null(s);
    assert_int_equal(s->parts[0].n, 3);
    assert_string_equal(eval_item_shown(&s->parts[0].items[2]), "3");
    eval_suite_close(s);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    struct err e = {0};
    assert_null(eval_suite_open(path_of("bad.jsonl"), NULL, 0, &e));
    assert_non_null(strstr(e.message, "bad.jsonl: line 2: \"expect\" is missing"));
    assert_null(eval_suite_open(path_of("empty.jsonl"), NULL, 0, &e));
    assert_non_null(strstr(e.message, "empty.jsonl: holds no question"));
    assert_null(eval_suite_open(path_of("none.jsonl"), NULL, 0, &e));
    assert_non_null(strstr(e.message, "none.jsonl"));
    assert_null(eval_suite_open(path_of("q.jsonl"), "quiz", 0, &e));
    assert_non_null(strstr(e.message, "--kind: \"quiz\" is not known"));
    assert_refused("[]", "an object");
    assert_refused("{\"parts\":[]}", "\"name\" is missing");
    assert_refused("{\"name\":\"../x\",\"parts\":[]}", "\"name\"");
    assert_refused("{\"name\":\"s\",\"parts\":[]}", "one part or more");
    assert_refused("{\"name\":\"s\",\"part\":[]}", "\"part\" is not known");
    assert_refused("{\"name\":\"s\",\"parts\":[{\"name\":\"p\"}]}",
                   "part 1: an object with \"kind\"");
    assert_refused("{\"name\":\"s\",\"parts\":[{\"kind\":\"quiz\"}]}", "\"quiz\" is not known");
    assert_refused("{\"name\":\"s\",\"parts\":[{\"name\":\"p\",\"kind\":\"questions\"}]}",
                   "part 1, p: \"name\" and \"file\"");
    assert_refused("{\"name\":\"s\",\"parts\":[{\"name\":\"p\",\"kind\":\"domain\","
                   "\"inside\":\"q.jsonl\"}]}",
                   "\"inside\" and \"outside\"");
    assert_refused("{\"name\":\"s\",\"parts\":[{\"name\":\"p\",\"kind\":\"questions\","
                   "\"file\":\"q.jsonl\",\"letters\":true}]}",
                   "\"letters\" is not known in a part of kind questions");
    assert_refused("{\"name\":\"s\",\"parts\":[{\"name\":\"p\",\"kind\":\"questions\","
                   "\"file\":\"q.jsonl\",\"max_tokens\":0}]}",
                   "\"max_tokens\"");
    assert_refused("{\"name\":\"s\",\"parts\":[{\"name\":\"p\",\"kind\":\"questions\","
                   "\"file\":\"q.jsonl\",\"groups\":[\"z\"]}]}",
                   "no line of these groups");
    assert_refused("{\"name\":\"s\",\"parts\":[{\"name\":\"p\",\"kind\":\"questions\","
                   "\"file\":\"q.jsonl\"},{\"name\":\"p\",\"kind\":\"questions\","
                   "\"file\":\"q.jsonl\"}]}",
                   "\"p\" is there twice");
}

/* What is shipped can be read. */
static void the_suite_of_weir_tiny(void **state)
{
    (void)state;
    struct err e = {0};
    struct eval_suite *s =
        eval_suite_open(WEIR_SOURCE_DIR "/models/weir-tiny/suite", NULL, 0, &e);
    if (!s) {
        fail_msg("%s", e.message);
    }
    assert_true(s->n_parts >= 10);
    eval_suite_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_has_parts_with_lines),
        cmocka_unit_test(a_limit_counts_by_group),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_suite_of_weir_tiny),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
