/* JSON Schema: what each keyword allows, and what is refused with its place. Random samples are
 * held against another implementation in tests/clients/json_schema.test.js. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/grammar/json_schema.h"
#include "tests/unit/grammar/matching.h"

static const struct {
    const char *schema;
    const char *allowed[6];
    const char *refused[10];
} examples[] = {
    {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "1", "\"true\""}},
    {"{\"type\":[\"null\",\"integer\"]}", {"null", "0", "-17"}, {"1.5", "01", "-0", "\"\""}},
    {"{\"type\":\"number\"}", {"0", "-1.5", "2e10", "0.001"}, {".5", "1.", "00", "+1", "1e"}},
    {"{\"type\":\"string\"}",
     {"\"\"", "\"a\\n\\\\\\\"\\u0001\\u001F\"", "\"\xE2\x82\xAC\xF0\x9F\x98\x80\""},
     {"\"\\ud800\"", "\"\\udc00\"", "\"\\u0000\"", "\"\\u0062ad\"", "\"\\u00e9\"", "\"a\\/b\"",
      "\"\n\"", "\"\\x\"", "\"a", "\"\xED\xA0\x80\""}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"a\\n\\\"\"", "\"\xE2\x82\xAC\xF0\x9F\x98\x80\""},
     {"\"a\"", "\"abcd\"", "\"\xF0\x9F\x98\x80\""}},
    {"{\"type\":\"string\",\"pattern\":\"b+\",\"maxLength\":4}",
     {"\"b\"", "\"abba\""},
     {"\"a\"", "\"\"", "\"abbba\""}},
    {"{\"type\":\"string\",\"pattern\":\"^a$|^b\"}",
     {"\"a\"", "\"b\"", "\"bxx\""},
     {"\"aa\"", "\"xb\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[\\\"\\\\\\\\\\\\n]+$\"}",
     {"\"\\\"\\\\\\n\""},
     {"\"\"\"", "\"n\""}},
    {"{\"type\":\"string\",\"format\":\"date\"}",
     {"\"2024-02-28\""},
     {"\"2024-02-30\"", "\"2024-13-01\"", "\"24-01-01\""}},
    {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":123}",
     {"5", "9", "10", "99", "100", "123"},
     {"4", "0", "124", "130", "200", "1000", "-5", "05"}},
    {"{\"type\":\"integer\",\"minimum\":-12,\"exclusiveMaximum\":3}",
     {"-12", "-9", "-1", "0", "2"},
     {"-13", "-20", "3", "-0", "10"}},
    {"{\"type\":\"integer\",\"exclusiveMinimum\":998.5}",
     {"999", "1000", "12345"},
     {"998", "99", "0", "-999"}},
    {"{\"type\":\"integer\",\"multipleOf\":7}", {"0", "7", "-14", "700"}, {"1", "8", "-15"}},
    {"{\"type\":\"number\",\"minimum\":0.25,\"maximum\":1}",
     {"0.25", "0.3", "0.999", "1", "1.0", "0.250"},
     {"0.2", "0.249", "1.1", "0", "2", "-0.3", "1.01"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":-1.5,\"exclusiveMaximum\":0}",
     {"-1.4", "-0.001", "-1", "-1.49"},
     {"-1.5", "-1.50", "0", "0.0", "-2", "-0", "-0.0", "1"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":3}",
     {"[null]", "[null, null,null]"},
     {"[]", "[null,null,null,null]", "[1]", "[null,]"}},
    {"{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":{\"const\":3},\"type\":"
     "\"array\"}",
     {"[]", "[1]", "[1,2]", "[1,2,3,3]"},
     {"[2]", "[1,3]", "[1,2,4]"}},
    {"{\"type\":\"array\",\"prefixItems\":[{\"const\":1}],\"minItems\":1}",
     {"[1]"},
     {"[]", "[1,2]"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},"
     "\"c\":{\"type\":\"null\"}},\"required\":[\"b\"]}",
     {"{\"b\":null}", "{\"a\":null,\"b\": null}", "{\"b\":null, \"c\":null}",
      "{\"a\":null,\"b\":null,\"c\":null}"},
     {"{}", "{\"a\":null}", "{\"b\":null,\"a\":null}", "{\"b\":null,\"b\":null}",
      "{\"d\":null,\"b\":null}", "{\"b\":null,}", "{,\"b\":null}"}},
    {"{\"properties\":{\"ab\":{\"const\":1}},\"additionalProperties\":{\"const\":2},\"type\":"
     "\"object\"}",
     {"{}", "{\"ab\":1}", "{\"a\":2}", "{\"ab\":1,\"abc\":2,\"\":2}", "{\"abc\":2}"},
     {"{\"ab\":2}", "{\"a\":1}", "{\"a\":2,\"ab\":1}", "{\"ab\":1,\"ab\":2}",
      "{\"a\\u0062\":2}"}},
    {"{\"type\":\"object\",\"additionalProperties\":false}", {"{}"}, {"{\"a\":1}"}},
    {"{\"type\":\"object\",\"maxProperties\":1}", {"{}", "{\"a\":[]}"}, {"{\"a\":1,\"b\":2}"}},
    {"{\"type\":\"object\",\"patternProperties\":{\"^a\":{\"const\":1},\"b$\":{\"enum\":[1,2]}}"
     "}",
     {"{\"ax\":1}", "{\"xb\":2}", "{\"ab\":1}"},
     {"{\"ab\":2}", "{\"c\":1}"}},
    {"{\"enum\":[\"a\\\"\",1.5,{\"x\":[null]}]}",
     {"\"a\\\"\"", "1.5", "{\"x\":[null]}"},
     {"\"a\"", "1"}},
    {"{\"const\":9007199254740993}", {"9007199254740992"}, {"9007199254740990"}},
    {"{\"type\":\"string\",\"enum\":[\"a\",1,\"bb\"],\"maxLength\":1}",
     {"\"a\""},
     {"1", "\"bb\""}},
    {"{\"anyOf\":[{\"type\":\"null\"},{\"const\":1}]}", {"null", "1"}, {"2"}},
    {"{\"allOf\":[{\"minimum\":2},{\"maximum\":4}],\"type\":\"integer\"}",
     {"2", "4"},
     {"1", "5"}},
    {"{\"oneOf\":[{\"type\":\"integer\",\"maximum\":1},{\"type\":\"integer\",\"minimum\":2,"
     "\"maximum\":3}]}",
     {"0", "3"},
     {"4"}},
    {"{\"not\":{\"type\":[\"object\",\"array\",\"string\",\"number\"]}}",
     {"null", "true"},
     {"1", "{}", "[]"}},
    {"{\"type\":\"string\",\"maxLength\":0,\"nullable\":true}", {"null", "\"\""}, {"\"a\""}},
    {"{\"$defs\":{\"a/b~c\":{\"const\":1}},\"$ref\":\"#/$defs/a~1b~0c\"}", {"1"}, {"2"}},
    {"{\"$defs\":{\"a "
     "b\":{\"const\":1}},\"anyOf\":[{\"$ref\":\"#/$defs/a%20b\"},{\"$ref\":\"#/properties/"
     "x\"}],\"properties\":{\"x\":{\"const\":2}}}",
     {"1", "2"},
     {"3"}},
    {"{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}]}",
     {"null", "[[],[null,[null]]]"},
     {"[1]"}},
    {"true", {"1", "{\"a\":[{}]}"}, {"", "1 "}},
};

static void examples_are_allowed_and_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        struct grammar *g = schema(examples[i].schema);
        for (int k = 0; k < 6; k++) {
            if (examples[i].allowed[k] && !matches(g, examples[i].allowed[k])) {
                fail_msg("%s: does not allow %s", examples[i].schema, examples[i].allowed[k]);
            }
        }
        for (int k = 0; k < 8; k++) {
            if (examples[i].refused[k] && matches(g, examples[i].refused[k])) {
                fail_msg("%s: allows %s", examples[i].schema, examples[i].refused[k]);
            }
        }
        grammar_release(g);
    }
}

static void every_integer_range_is_exact(void **state)
{
    (void)state;
    char text[128];
    for (int lo = -21; lo <= 110; lo += 13) {
        for (int hi = lo; hi <= 131; hi += 17) {
            (void)snprintf(text, sizeof(text),
                           "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}", lo, hi);
            struct grammar *g = schema(text);
            for (int v = -40; v <= 150; v++) {
                (void)snprintf(text, sizeof(text), "%d", v);
                if (matches(g, text) != (v >= lo && v <= hi)) {
                    fail_msg("%d in %d..%d", v, lo, hi);
                }
            }
            grammar_release(g);
        }
    }
}

static void every_decimal_range_is_exact(void **state)
{
    (void)state;
    char text[160];
    for (int lo = -250; lo <= 250; lo += 55) {
        for (int hi = lo; hi <= 300; hi += 65) {
            for (int exclusive = 0; exclusive < 2; exclusive++) {
                (void)snprintf(text, sizeof(text),
                               "{\"type\":\"number\",\"%s\":%.2f,\"%s\":%.2f}",
                               exclusive ? "exclusiveMinimum" : "minimum", lo / 100.0,
                               exclusive ? "exclusiveMaximum" : "maximum", hi / 100.0);
                if (exclusive && lo == hi) {
                    continue;
                }
                struct grammar *g = schema(text);
                for (int v = -310; v <= 310; v++) {
                    char value[16];
                    (void)snprintf(value, sizeof(value), "%s%d.%02d", v < 0 ? "-" : "",
                                   (v < 0 ? -v : v) / 100, (v < 0 ? -v : v) % 100);
                    const bool in = exclusive ? v > lo && v < hi : v >= lo && v <= hi;
                    if (matches(g, value) != in) {
                        fail_msg("%s in %s", value, text);
                    }
                }
                grammar_release(g);
            }
        }
    }
}

static void errors_name_keyword_and_place(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        enum err_kind kind;
        const char *message;
    } cases[] = {
        {"{\"properties\":{\"a\":{\"not\":{\"minimum\":1}}}}", ERR_UNSUPPORTED,
         "#/properties/a/not:"},
        {"{\"items\":{\"anyOf\":[true,{\"if\":true}]}}", ERR_UNSUPPORTED,
         "#/items/anyOf/1/if:"},
        {"{\"dependentSchemas\":{}}", ERR_UNSUPPORTED, "#/dependentSchemas:"},
        {"{\"contains\":true}", ERR_UNSUPPORTED, "#/contains:"},
        {"{\"type\":\"array\",\"uniqueItems\":true}", ERR_UNSUPPORTED, "#/uniqueItems:"},
        {"{\"type\":\"array\",\"items\":[{}]}", ERR_INVALID, "#/items:"},
        {"{\"type\":\"text\"}", ERR_INVALID, "#/type:"},
        {"{\"minLength\":-1}", ERR_INVALID, "#/minLength:"},
        {"{\"$ref\":\"#/nowhere\"}", ERR_INVALID, "#/$ref:"},
        {"{\"$ref\":\"other.json\"}", ERR_UNSUPPORTED, "#/$ref:"},
        {"{\"$ref\":\"#\"}", ERR_INVALID, "refers to itself"},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", ERR_INVALID, "refers to itself"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
         ERR_INVALID, "allows no answer"},
        {"false", ERR_INVALID, "allows no answer"},
        {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", ERR_INVALID, "allows no answer"},
        {"{\"type\":\"string\",\"enum\":[1]}", ERR_INVALID, "allows no answer"},
        {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}", ERR_UNSUPPORTED,
         "#/pattern: regular expression"},
        {"{\"type\":\"string\",\"format\":\"uri\"}", ERR_UNSUPPORTED, "#/format:"},
        {"{\"type\":\"number\",\"multipleOf\":0.1}", ERR_UNSUPPORTED, "#/multipleOf:"},
        {"{\"type\":\"object\",\"minProperties\":3,\"additionalProperties\":true}",
         ERR_UNSUPPORTED, "#/minProperties:"},
        {"{\"oneOf\":[{\"type\":\"string\"},{\"maxLength\":2}]}", ERR_UNSUPPORTED, "#/oneOf:"},
        {"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"properties\":{\"a\":{},"
         "\"b\":{}}}",
         ERR_UNSUPPORTED, "#/oneOf:"},
        {"{\"type\":\"string\",\"pattern\":\"x.{14}$\"}", ERR_LIMIT, "complex"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct err e = schema_error(cases[i].schema);
        if (e.kind != cases[i].kind || !strstr(e.message, cases[i].message)) {
            fail_msg("%s: %d %s", cases[i].schema, e.kind, e.message);
        }
    }
}

static void rules_compose_under_a_name(void **state)
{
    (void)state;
    static const char json[] = "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":"
                               "\"integer\"}},\"required\":[\"x\"]}";
    struct err e = {0};
    struct buf rules;
    cJSON *tree = json_parse(json, strlen(json), &e);
    buf_init(&rules, GRAMMAR_TEXT_MAX);
    buf_append_str(&rules, "root ::= \"<call>\" args \" \" any \"</call>\"\n");
    assert_int_equal(json_schema_to_gbnf(tree, "args", &rules, &e), 0);
    assert_int_equal(json_value_to_gbnf("any", false, &rules, &e), 0);
    struct grammar *g = gbnf(rules.data);
    assert_true(matches(g, "<call>{\"x\":1} [{}]</call>"));
    assert_false(matches(g, "<call>{} 1</call>"));
    grammar_release(g);
    buf_deinit(&rules);
    cJSON_Delete(tree);
}

static void any_object_is_an_object(void **state)
{
    (void)state;
    struct err e = {0};
    struct grammar *g = grammar_from_json_object(&e);
    assert_non_null(g);
    assert_true(matches(g, "{\"a\": [1, {\"b\": null}], \"c\":\"\"}"));
    assert_false(matches(g, "[]"));
    assert_false(matches(g, "{}{}"));
    assert_false(matches(g, "{  }"));
    grammar_release(g);
}

static void a_failed_allocation_is_an_error(void **state)
{
    (void)state;
    static const char json[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
                               "\"string\",\"pattern\":\"^a+\",\"maxLength\":5},"
                               "\"b\":{\"oneOf\":[{\"type\":\"integer\"},{\"enum\":[\"x\",null]"
                               "}]}},\"additionalProperties\":{\"type\":\"array\","
                               "\"prefixItems\":[{\"type\":\"number\",\"minimum\":1}]},"
                               "\"patternProperties\":{\"^x\":true}}";
    struct err e = {0};
    cJSON *tree = json_parse(json, strlen(json), &e);
    for (size_t nth = 1;; nth++) {
        const size_t live = mem_live();
        mem_fail_at(nth);
        struct grammar *g = grammar_from_json_schema(tree, &e);
        const bool reached = mem_fail_reached();
        mem_fail_at(0);
        grammar_release(g);
        assert_int_equal(mem_live(), live);
        if (!reached) {
            assert_non_null(g);
            break;
        }
        assert_null(g);
    }
    cJSON_Delete(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_allowed_and_refused),
        cmocka_unit_test(every_integer_range_is_exact),
        cmocka_unit_test(every_decimal_range_is_exact),
        cmocka_unit_test(errors_name_keyword_and_place),
        cmocka_unit_test(rules_compose_under_a_name),
        cmocka_unit_test(any_object_is_an_object),
        cmocka_unit_test(a_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
