/* json.h, also against JSONTestSuite (Nicolas Seriot) where its files lie beside the checkout.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static int parses(const char *text, size_t len, struct err *e)
{
    cJSON *tree = json_parse(text, len, e);
    cJSON_Delete(tree);
    return tree != NULL;
}

static void a_fault_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "line 1, column 1"},
        {"{\n \"a\": }", "line 2, column 7"},
        {"[1,]", "a value was expected"},
        {"[1] x", "text after the end"},
        {"\"\\ud800\"", "lone surrogate"},
        {"\"a\xFF\"", "invalid UTF-8"},
        {"\"\\u0000\"", "\\u0000"},
        {"NaN", "a value was expected"},
        {"[-Infinity]", "a digit was expected"},
        {"1234567890123456789012345678901234567890123456789012345678901234", "63 characters"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        assert_false(parses(cases[i].text, strlen(cases[i].text), &e));
        assert_int_equal(e.kind, ERR_FORMAT);
        if (!strstr(e.message, cases[i].message)) {
            fail_msg("%s: %s", cases[i].text, e.message);
        }
    }
}

static void a_nul_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    static const char valid[] = "{\"a\":[1,\"b\\n\",true]}";
    for (size_t i = 0; i < sizeof(valid) - 1; i++) {
        char text[sizeof(valid)];
        memcpy(text, valid, sizeof(valid));
        text[i] = '\0';
        struct err e = {0};
        assert_false(parses(text, sizeof(valid) - 1, &e));
        assert_int_equal(e.kind, ERR_FORMAT);
    }
}

static void depth_is_bounded_exactly(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    char *text = mem_alloc(2 * MANY);
    assert_non_null(text);
    struct err e = {0};
    for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(parses(text, 2 * depth, &e), depth == JSON_MAX_DEPTH);
    }
    memset(text, '[', 2 * MANY);
    assert_false(parses(text, 2 * MANY, &e));
    mem_free(text);
}

/* An array of n zeros, or an object of n members; the text is the caller's. */
static char *many(size_t n, bool members, size_t *len)
{
    static const char *const items[] = {"0,", "\"\":0,"};
    size_t width = strlen(items[members]);
    char *text = mem_alloc(n * width + 2);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++) {
        memcpy(text + 1 + i * width, items[members], width);
    }
    text[0] = members ? '{' : '[';
    text[n * width] = members ? '}' : ']'; /* in place of the last comma */
    *len = n * width + 1;
    return text;
}

static void values_and_members_are_bounded_exactly(void **state)
{
    (void)state;
    for (int members = 0; members <= 1; members++) {
        /* The array itself is a value too. */
        size_t most = members ? JSON_MEMBERS_MAX : JSON_VALUES_MAX - 1;
        for (size_t n = most; n <= most + 1; n++) {
            struct err e = {0};
            size_t len;
            char *text = many(n, members, &len);
            assert_int_equal(parses(text, len, &e), n == most);
            if (n > most) {
                assert_int_equal(e.kind, ERR_LIMIT);
                assert_non_null(strstr(e.message, members ? "20000 members" : "400000 values"));
            }
            cJSON *tree = json_parse_large(text, len, &e);
            assert_non_null(tree);
            assert_int_equal(cJSON_GetArraySize(tree), n);
            cJSON_Delete(tree);
            mem_free(text);
        }
    }
}

/* What is stricter or more limited here than the suite's "must parse", on purpose. */
static int is_exception(const char *name)
{
    return strcmp(name, "y_string_null_escape.json") == 0 ||         /* C strings follow */
           strcmp(name, "y_object_escaped_null_in_key.json") == 0 || /* the same */
           strcmp(name, "y_number_double_close_to_zero.json") == 0;  /* 80 characters */
}

static void json_test_suite_holds(void **state)
{
    (void)state;
    static const char folder[] = WEIR_SOURCE_DIR "/../shared/data/json-parsing/test_parsing";
    DIR *dir = opendir(folder);
    if (!dir) {
        skip();
    }
    int seen = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (strncmp(entry->d_name + 1, "_", 1) != 0 || is_exception(entry->d_name)) {
            continue;
        }
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        struct err e = {0};
        size_t len = 0;
        char *text = file_read(path, 1 << 20, &len, &e);
        assert_non_null(text);
        int ok = parses(text, len, &e);
        mem_free(text);
        if ((entry->d_name[0] == 'y' && !ok) || (entry->d_name[0] == 'n' && ok)) {
            fail_msg("%s: %s", entry->d_name, ok ? "was accepted" : e.message);
        }
        /* Whatever is accepted by the check is accepted by the parser: a refusal is never "out
         * of memory". */
        assert_true(ok || e.kind == ERR_FORMAT);
        seen++;
    }
    closedir(dir);
    assert_true(seen > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_is_told_with_its_place),
        cmocka_unit_test(a_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(depth_is_bounded_exactly),
        cmocka_unit_test(values_and_members_are_bounded_exactly),
        cmocka_unit_test(json_test_suite_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
