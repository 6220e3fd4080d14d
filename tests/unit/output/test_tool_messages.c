/* tool_messages.h: what templates are given, and what real ones make of it. */
#include "models/output/tool_messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/buf.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define FOLDER WEIR_SOURCE_DIR "/../shared/data/templates/"

#define CALL(id, city)                                                                 \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\"," \
    "\"arguments\":\"{\\\"city\\\":\\\"" city "\\\"}\"}}"

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"description\":\"The "
    "weather\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":"
    "\"string\"}}}}}]";

static struct chat_message message(const char *role, const char *content)
{
    return (struct chat_message){
        .role = role, .content = content, .content_len = content ? strlen(content) : 0};
}

static struct chat_message called(const char *content, const char *calls)
{
    struct chat_message m = message("assistant", content);
    m.tool_calls = calls;
    return m;
}

static struct chat_message result(const char *id, const char *content)
{
    struct chat_message m = message("tool", content);
    m.tool_call_id = id;
    return m;
}

/* Messages in lines: ROLE[#ID]: CONTENT[ + CALLS]. */
static char *adapt(const struct output_format *f, const struct chat_message *in, size_t n,
                   const char *tools)
{
    struct err e = {0};
    struct tool_messages m;
    struct buf out;
    cJSON *json = tools ? json_parse(tools, strlen(tools), &e) : NULL;
    buf_init(&out, 1 << 20);
    buf_append_str(&out, "");
    if (tool_messages_init(&m, f, in, n, json, &e) != 0) {
        buf_printf(&out, "error: %s", e.message);
    }
    for (size_t i = 0; i < m.n_messages; i++) {
        const struct chat_message *x = &m.messages[i];
        buf_printf(&out, "%s%s%s: %.*s%s%s\n", x->role, x->tool_call_id ? "#" : "",
                   x->tool_call_id ? x->tool_call_id : "", x->content ? (int)x->content_len : 4,
                   x->content ? x->content : "null", x->tool_calls ? " + " : "",
                   x->tool_calls ? x->tool_calls : "");
    }
    tool_messages_deinit(&m);
    cJSON_Delete(json);
    char *text = buf_take(&out, NULL);
    assert_non_null(text);
    return text;
}

static void check(const struct output_format *f, const struct chat_message *in, size_t n,
                  const char *tools, const char *expected)
{
    char *got = adapt(f, in, n, tools);
    assert_string_equal(got, expected);
    mem_free(got);
}

static void arguments_become_objects(void **state)
{
    (void)state;
    const struct output_format f = {.calls = OUTPUT_CALLS_TAGGED, .empty_content = true};
    const struct chat_message m[] = {
        message("user", "Hi"), called(NULL, "[" CALL("a", "Rome") "]"), result("a", "21"),
        called("x",
               "[{\"id\":\"b\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}},"
               "{\"id\":\"c\",\"function\":{\"name\":\"now\",\"arguments\":\"{\\\"half\"}},"
               "{\"id\":\"d\",\"function\":{\"name\":\"now\",\"arguments\":{\"k\":1}}}]")};
    check(&f, m, 4, NULL,
          "user: Hi\n"
          "assistant:  + [{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":"
          "\"get_weather\",\"arguments\":{\"city\":\"Rome\"}}}]\n"
          "tool#a: 21\n"
          "assistant: x + [{\"id\":\"b\",\"function\":{\"name\":\"now\",\"arguments\":{}}},"
          "{\"id\":\"c\",\"function\":{\"name\":\"now\",\"arguments\":\"{\\\"half\"}},"
          "{\"id\":\"d\",\"function\":{\"name\":\"now\",\"arguments\":{\"k\":1}}}]\n");
}

static void several_calls_become_several_messages(void **state)
{
    (void)state;
    const struct output_format f = {.calls = OUTPUT_CALLS_BARE, .one_call = true};
    const struct chat_message m[] = {
        message("user", "Hi"), called("Both.", "[" CALL("a", "Rome") "," CALL("b", "Lima") "]"),
        result("b", "30"),     result("x", "?"),
        result("a", "21"),     message("user", "And?"),
        called(NULL, "[]"),
    };
    check(&f, m, 7, NULL,
          "user: Hi\n"
          "assistant: Both. + [{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":"
          "\"get_weather\",\"arguments\":{\"city\":\"Rome\"}}}]\n"
          "tool#a: 21\n"
          "assistant: null + [{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":"
          "\"get_weather\",\"arguments\":{\"city\":\"Lima\"}}}]\n"
          "tool#b: 30\n"
          "tool#x: ?\n"
          "user: And?\n"
          "assistant: null\n");
}

static void ids_become_short(void **state)
{
    (void)state;
    const struct output_format f = {.calls = OUTPUT_CALLS_LIST, .short_ids = true};
    const struct chat_message m[] = {called(NULL, "[" CALL("call_123", "Rome") "]"),
                                     result("call_123", "21"), result("abcDEF123", "1")};
    char id[10], expected[512];
    tool_messages_short_id("call_123", id);
    assert_int_equal(strlen(id), 9);
    snprintf(expected, sizeof(expected),
             "assistant: null + [{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":"
             "\"get_weather\",\"arguments\":{\"city\":\"Rome\"}}}]\ntool#%s: 21\n"
             "tool#abcDEF123: 1\n",
             id, id);
    check(&f, m, 3, NULL, expected);
}

#define TOLD                                                                                   \
    "You can call functions. They are, each as a JSON object with its name and a JSON schema " \
    "of its parameters:\n{\"name\":\"get_weather\",\"description\":\"The weather\","           \
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}\n"  \
    "\nTo call one or more of them, answer with a JSON object of this form and nothing else:"  \
    "\n{\"tool_calls\": [{\"name\": \"NAME\", \"arguments\": {\"PARAMETER\": \"VALUE\"}}]}\n"  \
    "The results come in the next message. When no function is needed, answer in plain words."

static void tools_can_be_told_in_words(void **state)
{
    (void)state;
    const struct output_format f = {.calls = OUTPUT_CALLS_JSON};
    const struct output_format no_system = {.calls = OUTPUT_CALLS_JSON, .no_system = true};
    const struct chat_message m[] = {
        message("system", "Be kind."),
        message("user", "Hi"),
        called("So:", "[" CALL("a", "Rome") "," CALL("b", "Lima") "]"),
        result("a", "21"),
        result("z", "30"),
        message("user", "And?"),
    };
#define REST                                                                        \
    "assistant: So:\n{\"tool_calls\": [{\"name\": \"get_weather\", \"arguments\": " \
    "{\"city\":\"Rome\"}}, {\"name\": \"get_weather\", \"arguments\": "             \
    "{\"city\":\"Lima\"}}]}\n"                                                      \
    "user: Result of get_weather:\n21\n\nResult of the function:\n30\n\nAnd?\n"
    check(&f, m, 6, tools_text, "system: Be kind.\n\n" TOLD "\nuser: Hi\n" REST);
    check(&f, m + 1, 5, tools_text, "system: " TOLD "\nuser: Hi\n" REST);
    check(&f, m + 1, 5, NULL, "user: Hi\n" REST);
    check(&f, m + 1, 5, "[]", "user: Hi\n" REST);
    check(&no_system, m + 1, 5, tools_text, "user: " TOLD "\n\nHi\n" REST);
}

static void bad_calls_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[",
        "{}",
        "[1]",
        "[{\"id\":\"a\"}]",
        "[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":1}}]",
        "[{\"id\":1,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (int calls = 0; calls < 2; calls++) {
            const struct output_format f = {.calls = calls ? OUTPUT_CALLS_TAGGED
                                                           : OUTPUT_CALLS_JSON};
            const struct chat_message m[] = {message("user", "a"), called(NULL, bad[i])};
            char *got = adapt(&f, m, 2, NULL);
            assert_non_null(strstr(got, "error: messages[1].tool_calls: "));
            mem_free(got);
        }
    }
}

static void memory_may_run_out(void **state)
{
    (void)state;
    const struct chat_message m[] = {message("user", "Hi"),
                                     called("x", "[" CALL("a", "Rome") "," CALL("b", "R") "]"),
                                     result("a", "21"), result("b", "22")};
    struct err e = {0};
    cJSON *tools = json_parse(tools_text, strlen(tools_text), &e);
    for (int kind = 0; kind < 2; kind++) {
        const struct output_format f = {.calls = kind ? OUTPUT_CALLS_BARE : OUTPUT_CALLS_JSON,
                                        .one_call = true,
                                        .short_ids = true};
        const size_t live = mem_live();
        bool reached = true;
        for (size_t nth = 1; reached; nth++) {
            struct tool_messages out;
            mem_fail_at(nth);
            const int rc = tool_messages_init(&out, &f, m, 4, tools, &e);
            reached = mem_fail_reached();
            mem_fail_at(0);
            assert_int_equal(rc, reached ? -1 : 0);
            tool_messages_deinit(&out);
            assert_int_equal(mem_live(), live);
        }
    }
    cJSON_Delete(tools);
}

/* --- real templates --- */

/* A conversation with two calls through detection, adaption and the template. NULL when the
 * template is not there. */
static char *render(const char *file, const struct chat_message *in, size_t n)
{
    char path[512];
    size_t len;
    struct err e = {0};
    struct output_format f;
    struct tool_messages m;
    struct chat_text text;
    snprintf(path, sizeof(path), FOLDER "%s.jinja", file);
    char *source = file_read(path, CHAT_TEMPLATE_BYTES_MAX, &len, &e);
    if (!source) {
        print_message("skipped: no %s\n", path);
        return NULL;
    }
    struct chat_template *t = chat_template_compile(source, len, &e);
    cJSON *tools = json_parse(tools_text, strlen(tools_text), &e);
    assert_non_null(t);
    assert_int_equal(output_format_detect(&f, t, NULL, &e), 0);
    assert_int_equal(tool_messages_init(&m, &f, in, n, tools, &e), 0);
    const struct chat_render r = {.messages = m.messages,
                                  .n_messages = m.n_messages,
                                  .add_generation_prompt = true,
                                  .bos_token = "<s>",
                                  .eos_token = "</s>",
                                  .tools = m.tools};
    if (chat_template_render(t, &r, &text, &e) != 0) {
        fail_msg("%s: %s", file, e.message);
    }
    char *out = mem_strndup(text.data, text.len);
    chat_text_deinit(&text);
    tool_messages_deinit(&m);
    cJSON_Delete(tools);
    chat_template_destroy(t);
    mem_free(source);
    return out;
}

/* What stands in each template's rendering of the calls and their results: as the template has
 * it for arguments that are objects. That the interpreter renders templates rightly is shown in
 * tests/clients/templates.test.js beside another one. */
static void real_templates_write_calls_as_the_models_do(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *expected[4];
    } cases[] = {
        {"Qwen-Qwen2.5-7B-Instruct",
         {"\"name\": \"get_weather\", \"description\": \"The weather\"",
          "<|im_start|>assistant\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": "
          "{\"city\": \"Rome\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", "
          "\"arguments\": {\"city\": \"Lima\"}}\n</tool_call><|im_end|>\n",
          "<|im_start|>user\n<tool_response>\n21\n</tool_response>\n<tool_response>\n30\n"
          "</tool_response><|im_end|>\n<|im_start|>assistant\n"}},
        {"Qwen-Qwen3-0.6B",
         {"\"name\": \"get_weather\", \"description\": \"The weather\"",
          "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n"
          "</tool_call>\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
          "\"Lima\"}}\n</tool_call><|im_end|>\n",
          "<tool_response>\n30\n</tool_response><|im_end|>\n"}},
        {"ibm-granite-granite-4.0",
         {"<|start_of_role|>assistant<|end_of_role|><tool_call>\n{\"name\": \"get_weather\", "
          "\"arguments\": {\"city\": \"Rome\"}}\n</tool_call>\n<tool_call>\n",
          "<tool_response>\n30\n</tool_response><|end_of_text|>\n"}},
        {"meta-llama-Llama-3.1-8B-Instruct",
         {"<|start_header_id|>assistant<|end_header_id|>\n\n{\"name\": \"get_weather\", "
          "\"parameters\": {\"city\": \"Rome\"}}<|eot_id|><|start_header_id|>ipython"
          "<|end_header_id|>\n\n\"21\"<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
          "\n\n{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Lima\"}}<|eot_id|>"
          "<|start_header_id|>ipython<|end_header_id|>\n\n\"30\"<|eot_id|>"}},
        {"mistralai-Mistral-Nemo-Instruct-2407",
         {"[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}, "
          "\"id\": \"",
          "[TOOL_RESULTS]{\"content\": 30, \"call_id\": \""}},
        {"Mistral-Small-3.2-24B-Instruct-2506",
         {"[TOOL_CALLS]get_weather[CALL_ID]", "[ARGS]{\"city\": \"Rome\"}[TOOL_CALLS]",
          "[TOOL_CONTENT]30[/TOOL_RESULTS]"}},
        {"google-gemma-2-2b-it",
         {"<s><start_of_turn>user\nYou can call functions.",
          "\n\nWhat is the weather?<end_of_turn>\n<start_of_turn>model\n{\"tool_calls\": "
          "[{\"name\": \"get_weather\", \"arguments\": {\"city\":\"Rome\"}}, ",
          "<start_of_turn>user\nResult of get_weather:\n21\n\nResult of get_weather:\n30"
          "<end_of_turn>\n<start_of_turn>model\n"}},
        {"microsoft-Phi-3.5-mini-instruct",
         {"<|system|>\nYou can call functions.", "<|user|>\nResult of get_weather:\n21\n\n"}},
        {"HuggingFaceTB-SmolLM3-3B",
         {"You can call functions.", "<|im_start|>user\nResult of get_weather:\n21\n\n"}},
        {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
         {"<s>You can call functions.", "Result of get_weather:\n21\n\n",
          "<｜Assistant｜>{\"tool_calls\": [{"}},
        {"deepseek-ai-DeepSeek-V3.1",
         {"<s>You can call functions.", "Result of get_weather:\n21\n\n"}},
    };
    const struct chat_message m[] = {
        message("user", "What is the weather?"),
        called(NULL, "[" CALL("call_1", "Rome") "," CALL("call_2", "Lima") "]"),
        result("call_1", "21"), result("call_2", "30")};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = render(cases[i].file, m, 4);
        for (size_t k = 0; text && k < 4 && cases[i].expected[k]; k++) {
            if (!strstr(text, cases[i].expected[k])) {
                fail_msg("%s: no %s in\n%s", cases[i].file, cases[i].expected[k], text);
            }
        }
        mem_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_become_objects),
        cmocka_unit_test(several_calls_become_several_messages),
        cmocka_unit_test(ids_become_short),
        cmocka_unit_test(tools_can_be_told_in_words),
        cmocka_unit_test(bad_calls_are_refused),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(real_templates_write_calls_as_the_models_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
