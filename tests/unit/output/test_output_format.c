/* output_format.h, by the templates of real models beside the checkout. */
#include "models/output/output_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
