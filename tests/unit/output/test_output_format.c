/* output_format.h: by small templates of our own, and by those of real models beside the
 * checkout. */
#include "models/output/output_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "tests/unit/models/small_vocab.h"

#define FOLDER WEIR_SOURCE_DIR "/../shared/data/templates/"

static struct output_format detect(const char *source, size_t len)
{
    struct err e = {0};
    struct output_format f;
    struct chat_template *t = chat_template_compile(source, len, &e);
    assert_non_null(t);
    assert_int_equal(output_format_detect(&f, t, NULL, &e), 0);
    chat_template_destroy(t);
    return f;
}

static const char *family_name(enum output_calls calls)
{
    static const char *const names[] = {"json", "tagged", "bare", "listed", "named"};
    return names[calls];
}

/* The format in a line. */
static void print(const struct output_format *f, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s%s%s%s%s%s", family_name(f->calls),
             f->call_ids ? " call-ids" : "", f->think_open ? " thinks" : "",
             f->arguments_text ? " arguments-text" : "",
             f->empty_content ? " empty-content" : "", f->short_ids ? " short-ids" : "",
             f->one_call ? " one-call" : "", f->no_system ? " no-system" : "");
}

static void real_templates(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *expected;
    } cases[] = {
        {"HuggingFaceTB-SmolLM3-3B", "json thinks"},
        {"Mistral-Small-3.2-24B-Instruct-2506", "named call-ids short-ids"},
        {"Qwen-Qwen2.5-7B-Instruct", "tagged"},
        {"Qwen-Qwen3-0.6B", "tagged thinks empty-content"},
        {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "json thinks"},
        {"deepseek-ai-DeepSeek-V3.1", "json thinks"},
        {"google-gemma-2-2b-it", "json no-system"},
        {"ibm-granite-granite-4.0", "tagged"},
        {"meta-llama-Llama-3.1-8B-Instruct", "bare one-call"},
        {"microsoft-Phi-3.5-mini-instruct", "json"},
        {"mistralai-Mistral-Nemo-Instruct-2407", "listed short-ids"},
        {"openai-gpt-oss-120b", "json"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[512], got[128];
        size_t len;
        struct err e = {0};
        snprintf(path, sizeof(path), FOLDER "%s.jinja", cases[i].file);
        char *source = file_read(path, CHAT_TEMPLATE_BYTES_MAX, &len, &e);
        if (!source) {
            print_message("skipped: no %s\n", path);
            continue;
        }
        const struct output_format f = detect(source, len);
        print(&f, got, sizeof(got));
        if (strcmp(got, cases[i].expected) != 0) {
            fail_msg("%s: %s and not %s", cases[i].file, got, cases[i].expected);
        }
        mem_free(source);
    }
}

/* --- templates of our own --- */

#define HEAD                                                                        \
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}" \
    "{{ '|' + m.role + '|' + (m.content or '') }}{% for c in m.tool_calls or [] %}"
#define TAIL "{% endfor %}{% endfor %}"

static void own_templates(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *expected;
    } cases[] = {
        {"", "json no-system"},
        {"{{ raise_exception('no') }}", "json no-system"},
        {HEAD TAIL, "json"}, /* tools, but no calls */
        {HEAD "<tool_call>{{ c.function | tojson }}</tool_call>" TAIL, "tagged"},
        {HEAD "<tool_call>\n<function={{ c.function.name }}>"
              "{{ c.function.arguments | tojson }}</tool_call>" TAIL,
         "json"}, /* a form that is not known */
        {HEAD "<tool_call>{\"name\": \"{{ c.function.name }}\", \"arguments\": "
              "{{ c.function.arguments + '' }}}</tool_call>" TAIL,
         "tagged arguments-text"},
        {HEAD "[TOOL_CALLS] [{{ c.function | tojson }}]" TAIL, "listed"},
        {HEAD "[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}" TAIL,
         "named"},
        {HEAD "{\"name\": \"{{ c.function.name }}\", \"parameters\": "
              "{{ c.function.arguments | tojson }}}" TAIL
              "{% if enable_thinking is defined %}<think></think>{% endif %}",
         "bare thinks"},
        {HEAD TAIL "{% if add_generation_prompt %}[THINK]{% endif %}", "json thinks"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char got[128];
        const struct output_format f = detect(cases[i].source, strlen(cases[i].source));
        print(&f, got, sizeof(got));
        if (strcmp(got, cases[i].expected) != 0) {
            fail_msg("%s: %s and not %s", cases[i].source, got, cases[i].expected);
        }
    }
}

static void a_prompt_may_end_in_reasoning(void **state)
{
    (void)state;
    const struct output_format thinks = {.think_open = "<think>", .think_close = "</think>"};
    const struct output_format plain = {0};
    static const struct {
        const char *prompt;
        bool open;
    } cases[] = {
        {"<|Assistant|><think>\n", true}, {"<think>", true}, {"<think>\n\n</think>\n\n", false},
        {"assistant\n", false},           {"think>", false}, {"", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *prompt = cases[i].prompt;
        assert_int_equal(output_format_prompt_open(&thinks, prompt, strlen(prompt)),
                         cases[i].open);
        assert_false(output_format_prompt_open(&plain, prompt, strlen(prompt)));
    }
}

/* The small vocabulary and two tokens more: [TOOL_CALLS], for control, and [ARGS], for text. */
static struct tokenizer *vocab_with_markers(void)
{
    struct err e = {0};
    struct gguf *small = small_vocab_open();
    struct gguf_writer *w = gguf_writer_create(&e);
    const struct gguf_str *names;
    const struct gguf_kv *kinds;
    struct gguf_str more_names[SMALL_VOCAB_SIZE + 2];
    int32_t more_kinds[SMALL_VOCAB_SIZE + 2];
    size_t n;
    assert_int_equal(gguf_get_strs(small, "tokenizer.ggml.tokens", &names, &n, &e), 0);
    assert_int_equal(
        gguf_get_array(small, "tokenizer.ggml.token_type", GGUF_I32, &kinds, &n, &e), 0);
    assert_int_equal(n, SMALL_VOCAB_SIZE);
    for (size_t i = 0; i < n; i++) {
        more_names[i] = names[i];
        more_kinds[i] = gguf_array_i32(kinds, i);
    }
    more_names[n] = (struct gguf_str){.data = "[TOOL_CALLS]", .len = 12};
    more_kinds[n] = 3; /* control */
    more_names[n + 1] = (struct gguf_str){.data = "[ARGS]", .len = 6};
    more_kinds[n + 1] = 4; /* user-defined: its text is its name */
    gguf_put_strs(w, "tokenizer.ggml.tokens", more_names, n + 2);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, more_kinds, n + 2);
    gguf_put_copies(w, small, "");
    struct gguf *g = small_vocab_reopen(w);
    struct tokenizer *t = tokenizer_from_gguf(g, &e);
    if (!t) {
        fail_msg("%s", e.message);
    }
    gguf_close(g);
    gguf_close(small);
    return t;
}

static void control_tokens_among_markers_are_visible(void **state)
{
    (void)state;
    static const char source[] =
        HEAD "[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}" TAIL;
    struct err e = {0};
    struct output_format f;
    struct tokenizer *tokenizer = vocab_with_markers();
    struct chat_template *t = chat_template_compile(source, strlen(source), &e);
    assert_int_equal(output_format_detect(&f, t, tokenizer, &e), 0);
    assert_int_equal(f.n_visible, 1);
    assert_string_equal(output_format_token_text(&f, tokenizer, SMALL_VOCAB_SIZE),
                        "[TOOL_CALLS]");
    assert_null(output_format_token_text(&f, tokenizer, SMALL_VOCAB_SIZE + 1));
    assert_null(output_format_token_text(&f, tokenizer, 1));
    chat_template_destroy(t);
    tokenizer_destroy(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_templates),
        cmocka_unit_test(a_prompt_may_end_in_reasoning),
        cmocka_unit_test(control_tokens_among_markers_are_visible),
        cmocka_unit_test(real_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
