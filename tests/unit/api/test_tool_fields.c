/* tool_fields.h */
#include "runtime/api/tool_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/buf.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

typedef int (*reader)(struct tool_list *l, const cJSON *request, struct err *e);

static int read_text(reader from, struct tool_list *l, const char *text, struct err *e)
{
    cJSON *json = json_parse(text, strlen(text), e);
    if (!json) {
        fail_msg("%s: %s", text, e->message);
    }
    const int rc = from(l, json, e);
    cJSON_Delete(json);
    return rc;
}

/* The list in a line: CHOICE[ parallel]: NAME[*]... with a star on those that may be called. */
static void check(reader from, const char *text, const char *expected)
{
    static const char *const choices[] = {"auto", "none", "required"};
    struct tool_list l;
    struct err e = {0};
    struct buf out;
    buf_init(&out, 1 << 16);
    if (read_text(from, &l, text, &e) != 0) {
        fail_msg("%s: %s", text, e.message);
    }
    buf_printf(&out, "%s%s:", choices[l.choice], l.parallel ? " parallel" : "");
    for (size_t i = 0; i < l.n; i++) {
        buf_printf(&out, " %s%s%s", l.tools[i].name, l.tools[i].strict ? "!" : "",
                   l.tools[i].allowed ? "*" : "");
    }
    if (strcmp(out.data, expected) != 0) {
        fail_msg("%s gives %s and not %s", text, out.data, expected);
    }
    buf_deinit(&out);
    tool_list_deinit(&l);
}

static void refuses(reader from, const char *text, const char *param)
{
    struct tool_list l;
    struct err e = {0};
    if (read_text(from, &l, text, &e) == 0) {
        fail_msg("taken: %s", text);
    }
    if (strcmp(e.param, param) != 0) {
        fail_msg("%s: %s (%s) and not %s", text, e.param, e.message, param);
    }
    assert_non_null(strstr(e.message, param));
}

#define FN(name)   "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"
#define TWO        "\"tools\":[" FN("a") "," FN("b") "]"
#define FLAT(name) "{\"type\":\"function\",\"name\":\"" name "\"}"
#define TWO_FLAT   "\"tools\":[" FLAT("a") "," FLAT("b") "]"
#define TOOL(name) "{\"name\":\"" name "\",\"input_schema\":{\"type\":\"object\"}}"
#define TWO_TOOLS  "\"tools\":[" TOOL("a") "," TOOL("b") "]"

static void chat_requests(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "none parallel:"},
        {"{\"tools\":null,\"tool_choice\":null,\"parallel_tool_calls\":null}",
         "none parallel:"},
        {"{\"tools\":[],\"tool_choice\":\"auto\"}", "none parallel:"},
        {"{" TWO "}", "auto parallel: a* b*"},
        {"{" TWO ",\"parallel_tool_calls\":false}", "auto: a* b*"},
        {"{" TWO ",\"tool_choice\":\"none\"}", "none parallel: a* b*"},
        {"{" TWO ",\"tool_choice\":\"required\"}", "required parallel: a* b*"},
        {"{" TWO ",\"tool_choice\":" FN("b") "}", "required parallel: a b*"},
        {"{" TWO ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"
         "\"auto\",\"tools\":[" FN("a") "]}}}",
         "auto parallel: a* b"},
        {"{" TWO ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"
         "\"required\",\"tools\":[" FN("b") "," FN("a") "]}}}",
         "required parallel: a* b*"},
        {"{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"strict\":true}}]}",
         "auto parallel: a!*"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(tool_list_from_chat, cases[i][0], cases[i][1]);
    }
}

static void responses_and_messages(void **state)
{
    (void)state;
    static const char *const flat[][2] = {
        {"{" TWO_FLAT "}", "auto parallel: a* b*"},
        {"{" TWO_FLAT ",\"tool_choice\":" FLAT("a") "}", "required parallel: a* b"},
        {"{" TWO_FLAT ",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\","
         "\"tools\":[" FLAT("b") "]}}",
         "auto parallel: a b*"},
        {"{" TWO_FLAT ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
         "required: a* b*"},
    };
    static const char *const anthropic[][2] = {
        {"{}", "none parallel:"},
        {"{" TWO_TOOLS "}", "auto parallel: a* b*"},
        {"{" TWO_TOOLS ",\"tool_choice\":{\"type\":\"auto\","
         "\"disable_parallel_tool_use\":true}}",
         "auto: a* b*"},
        {"{" TWO_TOOLS ",\"tool_choice\":{\"type\":\"any\"}}", "required parallel: a* b*"},
        {"{" TWO_TOOLS ",\"tool_choice\":{\"type\":\"none\"}}", "none parallel: a* b*"},
        {"{" TWO_TOOLS ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"b\"}}",
         "required parallel: a b*"},
        {"{\"tools\":[{\"type\":\"custom\",\"name\":\"a\",\"cache_control\":{},"
         "\"input_schema\":{\"type\":\"object\"}}]}",
         "auto parallel: a*"},
    };
    for (size_t i = 0; i < sizeof(flat) / sizeof(flat[0]); i++) {
        check(tool_list_from_responses, flat[i][0], flat[i][1]);
    }
    for (size_t i = 0; i < sizeof(anthropic) / sizeof(anthropic[0]); i++) {
        check(tool_list_from_messages, anthropic[i][0], anthropic[i][1]);
    }
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
#define IN_FN(fields) \
    "{\"tools\":[" FN("a") ",{\"type\":\"function\",\"function\":" fields "}]}"
    static const char *const chat[][2] = {
        {"{\"tools\":{}}", "tools"},
        {"{\"tools\":[1]}", "tools[0]"},
        {"{\"tools\":[{\"function\":{\"name\":\"a\"}}]}", "tools[0].type"},
        {"{\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"a\"}}]}", "tools[0].type"},
        {IN_FN("1"), "tools[1].function"},
        {IN_FN("{}"), "tools[1].function.name"},
        {IN_FN("{\"name\":\"\"}"), "tools[1].function.name"},
        {IN_FN("{\"name\":\"a b\"}"), "tools[1].function.name"},
        {IN_FN("{\"name\":\"\u00e9\"}"), "tools[1].function.name"},
        {IN_FN("{\"name\":\"a\"}"), "tools[1].function.name"},
        {IN_FN("{\"name\":"
               "\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12345\"}"),
         "tools[1].function.name"},
        {IN_FN("{\"name\":\"b\",\"description\":1}"), "tools[1].function.description"},
        {IN_FN("{\"name\":\"b\",\"parameters\":[]}"), "tools[1].function.parameters"},
        {IN_FN("{\"name\":\"b\",\"parameters\":{\"type\":\"string\"}}"),
         "tools[1].function.parameters"},
        {IN_FN("{\"name\":\"b\",\"strict\":1}"), "tools[1].function.strict"},
        {"{\"parallel_tool_calls\":1}", "parallel_tool_calls"},
        {"{\"tool_choice\":\"required\"}", "tool_choice"},
        {"{" TWO ",\"tool_choice\":\"any\"}", "tool_choice"},
        {"{" TWO ",\"tool_choice\":5}", "tool_choice"},
        {"{" TWO ",\"tool_choice\":{}}", "tool_choice.type"},
        {"{" TWO ",\"tool_choice\":{\"type\":\"custom\"}}", "tool_choice.type"},
        {"{" TWO ",\"tool_choice\":" FN("c") "}", "tool_choice.function.name"},
        {"{" TWO ",\"tool_choice\":{\"type\":\"allowed_tools\"}}",
         "tool_choice.allowed_tools.mode"},
        {"{" TWO ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"
         "\"auto\",\"tools\":[]}}}",
         "tool_choice.allowed_tools.tools"},
        {"{" TWO ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":"
         "\"auto\",\"tools\":[" FN("a") "," FN("z") "]}}}",
         "tool_choice.allowed_tools.tools[1].function.name"},
    };
    for (size_t i = 0; i < sizeof(chat) / sizeof(chat[0]); i++) {
        refuses(tool_list_from_chat, chat[i][0], chat[i][1]);
    }
    refuses(tool_list_from_responses, "{\"tools\":[{\"type\":\"web_search\"}]}",
            "tools[0].type");
    refuses(tool_list_from_responses, "{\"tools\":[" FN("a") "]}", "tools[0].name");
    refuses(tool_list_from_messages,
            "{\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"a\"}]}", "tools[0].type");
    refuses(tool_list_from_messages, "{\"tools\":[{\"name\":\"a\",\"input_schema\":1}]}",
            "tools[0].input_schema");
    refuses(tool_list_from_messages, "{" TWO_TOOLS ",\"tool_choice\":\"auto\"}", "tool_choice");
    refuses(tool_list_from_messages, "{" TWO_TOOLS ",\"tool_choice\":{\"type\":\"x\"}}",
            "tool_choice.type");
    refuses(tool_list_from_messages,
            "{" TWO_TOOLS ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"c\"}}",
            "tool_choice.name");
}

static void at_most_128_tools(void **state)
{
    (void)state;
    for (int n = TOOLS_MAX; n <= TOOLS_MAX + 1; n++) {
        struct buf text;
        struct tool_list l;
        struct err e = {0};
        buf_init(&text, 1 << 20);
        buf_append_str(&text, "{\"tools\":[");
        for (int i = 0; i < n; i++) {
            buf_printf(&text, "%s" FLAT("t%d"), i ? "," : "", i);
        }
        buf_append_str(&text, "]}");
        assert_int_equal(read_text(tool_list_from_responses, &l, text.data, &e),
                         n > TOOLS_MAX ? -1 : 0);
        if (n <= TOOLS_MAX) {
            const char *names[TOOLS_MAX];
            assert_int_equal(tool_list_names(&l, names), TOOLS_MAX);
            assert_string_equal(names[127], "t127");
            tool_list_deinit(&l);
        }
        buf_deinit(&text);
    }
}

/* Whatever the API, templates see chat completions' shape; a schema is one of an object. */
static void templates_see_one_shape(void **state)
{
    (void)state;
    static const struct {
        reader from;
        const char *text;
    } cases[] = {
        {tool_list_from_chat,
         "{\"tools\":[{\"function\":{\"strict\":true,\"parameters\":{\"properties\":{}},"
         "\"description\":\"d\",\"name\":\"a\"},\"type\":\"function\"},"
         "{\"type\":\"function\",\"function\":{\"name\":\"b\",\"parameters\":null}}]}"},
        {tool_list_from_responses,
         "{\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"description\":\"d\","
         "\"parameters\":{\"properties\":{},\"type\":null},\"strict\":null}," FLAT("b") "]}"},
        {tool_list_from_messages,
         "{\"tools\":[{\"input_schema\":{\"properties\":{},\"type\":\"object\"},"
         "\"name\":\"a\",\"description\":\"d\"},{\"name\":\"b\"}]}"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct tool_list l;
        struct err e = {0};
        assert_int_equal(read_text(cases[i].from, &l, cases[i].text, &e), 0);
        char *json = cJSON_PrintUnformatted(l.json);
        assert_string_equal(
            json,
            "[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"description\":\"d\","
            "\"parameters\":{\"properties\":{},\"type\":\"object\"}}},"
            "{\"type\":\"function\",\"function\":{\"name\":\"b\",\"parameters\":{\"type\":"
            "\"object\",\"properties\":{},\"additionalProperties\":false}}}]");
        cJSON_free(json);
        tool_list_deinit(&l);
    }
}

static void names_are_of_those_that_may_be_called(void **state)
{
    (void)state;
    struct tool_list l;
    struct err e = {0};
    const char *names[TOOLS_MAX];
    assert_int_equal(
        read_text(tool_list_from_chat, &l, "{" TWO ",\"tool_choice\":" FN("b") "}", &e), 0);
    assert_int_equal(tool_list_names(&l, names), 1);
    assert_string_equal(names[0], "b");
    tool_list_deinit(&l);
    assert_int_equal(
        read_text(tool_list_from_chat, &l, "{" TWO ",\"tool_choice\":\"none\"}", &e), 0);
    assert_int_equal(tool_list_names(&l, names), 0);
    tool_list_deinit(&l);
}

static void calls_in_messages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *param; /* NULL: taken */
    } cases[] = {
        {"[]", NULL},
        {"[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"x.y\",\"arguments\":\"{"
         "\"}}"
         ",{\"id\":\"1\",\"function\":{\"name\":\"x\",\"arguments\":\"\"}}]",
         NULL},
        {"{}", "messages[3].tool_calls"},
        {"[1]", "messages[3].tool_calls[0]"},
        {"[{}]", "messages[3].tool_calls[0].id"},
        {"[{\"id\":\"\"}]", "messages[3].tool_calls[0].id"},
        {"[{\"id\":\"1\",\"type\":\"custom\"}]", "messages[3].tool_calls[0].type"},
        {"[{\"id\":\"1\"}]", "messages[3].tool_calls[0].function"},
        {"[{\"id\":\"1\",\"function\":{}}]", "messages[3].tool_calls[0].function.name"},
        {"[{\"id\":\"1\",\"function\":{\"name\":\"x\",\"arguments\":{}}}]",
         "messages[3].tool_calls[0].function.arguments"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        cJSON *json = json_parse(cases[i].text, strlen(cases[i].text), &e);
        const int rc = tool_calls_check(json, "messages[3].tool_calls", &e);
        assert_int_equal(rc, cases[i].param ? -1 : 0);
        assert_string_equal(e.param, cases[i].param ? cases[i].param : "");
        cJSON_Delete(json);
    }
    struct err e = {0};
    cJSON *made = cJSON_CreateArray();
    assert_int_equal(tool_calls_append(made, "1", "f", "{\"a\":1}"), 0);
    assert_int_equal(tool_calls_check(made, "x", &e), 0);
    cJSON_Delete(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat_requests),
        cmocka_unit_test(responses_and_messages),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(at_most_128_tools),
        cmocka_unit_test(templates_see_one_shape),
        cmocka_unit_test(names_are_of_those_that_may_be_called),
        cmocka_unit_test(calls_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
