/* Chat templates: what they render, what they refuse, and that no message can make a control
 * token. */
#include "models/template/chat_template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "models/template/chat_prompt.h"
#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "tests/unit/models/small_vocab.h"

static const char chatml[] = "{% for message in messages %}{{'<|im_start|>' + message['role'] "
                             "+ '\\n' + message['content'] + "
                             "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt "
                             "%}{{ '<|im_start|>assistant\\n' "
                             "}}{% endif %}";

static struct chat_message message(const char *role, const char *content)
{
    return (struct chat_message){
        .role = role, .content = content, .content_len = strlen(content)};
}

/* The rendered text, NUL-terminated, or the error's text. */
static char *render(const char *source, const struct chat_message *messages, size_t n)
{
    struct err e = {0};
    struct chat_text text = {0};
    struct chat_render in = {.messages = messages,
                             .n_messages = n,
                             .add_generation_prompt = true,
                             .bos_token = "<s>",
                             .eos_token = "</s>"};
    char *out = NULL;
    struct chat_template *t = chat_template_compile(source, strlen(source), &e);
    if (t && chat_template_render(t, &in, &text, &e) == 0) {
        out = mem_strndup(text.data, text.len);
    } else {
        out = mem_strdup(e.message);
    }
    chat_text_deinit(&text);
    chat_template_destroy(t);
    assert_non_null(out);
    return out;
}

static void check(const char *source, const struct chat_message *messages, size_t n,
                  const char *expected)
{
    char *got = render(source, messages, n);
    assert_string_equal(got, expected);
    mem_free(got);
}

static void chatml_renders_a_conversation(void **state)
{
    (void)state;
    const struct chat_message m[] = {message("system", "Be kind."), message("user", "Hi"),
                                     message("assistant", "Hello."), message("user", "Bye")};
    check(chatml, m, 4,
          "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
          "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
          "<|im_start|>assistant\n");
}

static void statements_and_expressions(void **state)
{
    (void)state;
    const struct chat_message m[] = {message("user", " a b "), message("assistant", "c")};
    static const struct {
        const char *source;
        const char *expected;
    } cases[] = {
        {"{{ bos_token }}{% for m in messages %}{{ loop.index }}{{ m.role }}{% if not "
         "loop.last "
         "%},{% endif %}{% endfor %}",
         "<s>1user,2assistant"},
        {"{{ messages[0].content | trim }}|{{ messages[0]['content'].strip() }}", "a b|a b"},
        {"{% set x = 2 + 3 * 4 %}{{ x }} {{ x % 5 }} {{ 'y' if x > 3 else 'n' }}", "14 4 y"},
        {"{% if tools is none and nothing is not defined %}ok{% else %}no{% endif %}", "ok"},
        {"{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% "
         "endfor "
         "%}{{ ns.n }}",
         "6"},
        {"{% for m in messages if m.role == 'user' %}{{ m.content | length }}{% endfor %}",
         "5"},
        {"{{ messages[-1].content ~ 1 }}{# a comment #}{{- ' x ' -}} !", "c1 x !"},
        {"{% macro f(a, b='z') %}[{{ a }}{{ b }}]{% endmacro %}{{ f('q') }}{{ f('q', b='w') }}",
         "[qz][qw]"},
        {"{{ missing | default('d') }}{{ 'ABC' | lower }}{{ ['a', 'b'] | join('-') }}",
         "dabca-b"},
        {"{{ 'user' in 'superuser' }}{{ 'Hello'.startswith('He') }}", "TrueTrue"},
        {"{{ {'b': [1, 2.5, none, true], 'a': 'x\"y'} | tojson }}",
         "{\"b\": [1, 2.5, null, true], \"a\": \"x\\\"y\"}"},
        {"{{ 'a,b,c'.split(',') | join('+') }}{{ ' x  y '.split() | length }}", "a+b+c2"},
        {"{{ 'banana'.replace('an', 'AN', 1) }}{{ 'banana' | replace('an', '') }}", "bANanaba"},
        {"{{ 'hello wOrld'.title() }}{{ 'hELLO' | capitalize }}", "Hello WorldHello"},
        {"{{ 'straße Ärger ж' | upper }} {{ 'ÉCOLE ΣΊΓΜΑ' | lower }}",
         "STRASSE ÄRGER Ж école σίγμα"},
        {"{{ 'élan vital'.title() }} {{ 'ßa öB' | title }} {{ 'éA' | capitalize }}",
         "Élan Vital Ssa Öb Éa"},
        {"{{ '42' | int + 1 }}{{ 'x' | int(7) }}{{ '2.5' | float }}{{ -3 | abs }}", "4372.53"},
        {"{{ {'k': 'v'}.get('k') }}{{ {}.get('k', 'd') }}", "vd"},
        {"{{ 6 is divisibleby(3) }}{{ 'a' is string }}{{ [] is mapping }}", "TrueTrueFalse"},
        {"{{ 'a\nb' | indent(2) }}", "a\n  b"},
        {"{{ [3, 1, 2] | min }}{{ ['b', 'C'] | max }}{{ [] | min is defined }}", "1CFalse"},
        {"{{ [{'n': 2}, {'n': 1}] | min(attribute='n') }}", "{'n': 1}"},
        {"{% set l = [1, 2, 3, 4] %}{{ l.pop(0) }}{{ l.pop() }}{{ l.pop(-2) }}{{ l }}",
         "142[3]"},
        {"{{ ('{\"a\": [1, 2.5, \"x\"]}' | from_json).a[2] }}", "x"},
        {"{{ '<{}:{0}{{}}>'.format(1) }}{{ '{1}{0}'.format('a', 'b') }}", "<1:1{}>ba"},
        {"{{ none | selectattr('a') | list }}{{ none | map('upper') | list }}", "[][]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(cases[i].source, m, 2, cases[i].expected);
    }
}

static void wrong_arguments_are_told(void **state)
{
    (void)state;
    const struct chat_message m[] = {message("user", "x")};
    static const struct {
        const char *source;
        const char *expected;
    } cases[] = {
        {"{{ [].pop() }}", "pop() from a list of 0 items"},
        {"{{ [1].pop(1) }}", "pop() from a list of 1 items"},
        {"x\n{{ '{' | from_json }}", "line 2: from_json: "},
        {"{{ 1 | from_json }}", "from_json takes a string"},
        {"{{ '{}{}'.format(1) }}", "format() has no argument 1"},
        {"{{ '{'.format(1) }}", "a single {"},
        {"{{ '{name}'.format(1) }}", "the field {name}"},
        {"{{ [1, 'a'] | max }}", "cannot be ordered"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *got = render(cases[i].source, m, 1);
        if (!strstr(got, cases[i].expected)) {
            fail_msg("%s gives %s", cases[i].source, got);
        }
        mem_free(got);
    }
}

static void fill(struct buf *b, const char *piece, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(buf_append_str(b, piece), 0);
    }
}

static void json_in_a_text_is_bounded(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 2 << 20);
    fill(&text, "[", (1 << 20) + 1);
    const struct chat_message m[] = {message("user", text.data)};
    char *got = render("{{ messages[0].content | from_json }}", m, 1);
    assert_non_null(strstr(got, "from_json of 1048577 bytes"));
    mem_free(got);
    buf_deinit(&text);
}

static void raise_exception_refuses_the_conversation(void **state)
{
    (void)state;
    const struct chat_message m[] = {message("user", "x")};
    char *got = render("{{ raise_exception('roles must alternate') }}", m, 1);
    assert_non_null(strstr(got, "roles must alternate"));
    mem_free(got);
}

static void what_is_unknown_does_not_compile(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{% if %}",          "{{ 1 + }}",
        "{% for x in y %}",  "{{ x | nosuchfilter }}",
        "{{ x is nosuch }}", "{% include 'x' %}",
        "{{ 'open }}",       "{{ nosuchfunction() }}",
        "{% endfor %}",      "{{",
    };
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct err e = {0};
        struct chat_template *t = chat_template_compile(sources[i], strlen(sources[i]), &e);
        if (t) {
            fail_msg("compiled: %s", sources[i]);
        }
        assert_non_null(strstr(e.message, "line 1"));
    }
}

/* Each is refused, at once and without running out of stack. */
static void hostile_templates_are_bounded(void **state)
{
    (void)state;
    const struct chat_message m[] = {message("user", "x")};
    struct buf nested_if;
    struct buf parentheses;
    buf_init(&nested_if, 1 << 20);
    buf_init(&parentheses, 1 << 20);
    fill(&nested_if, "{% if true %}", 10000);
    fill(&nested_if, "{% endif %}", 10000);
    fill(&parentheses, "{{", 1);
    fill(&parentheses, "(", 30000);
    fill(&parentheses, "1", 1);
    fill(&parentheses, ")", 30000);
    fill(&parentheses, "}}", 1);
    const char *sources[] = {
        nested_if.data,
        parentheses.data,
        "{% for i in range(2147483648) %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
    };
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        char *got = render(sources[i], m, 1);
        if (!strstr(got, "line 1")) {
            fail_msg("case %zu was not refused: %.80s", i, got);
        }
        mem_free(got);
    }
    buf_deinit(&nested_if);
    buf_deinit(&parentheses);
}

static void only_the_templates_own_bytes_are_trusted(void **state)
{
    (void)state;
    static const char source[] = "<A>{{ messages[0].content | upper | trim }}{{ eos_token }}";
    struct err e = {0};
    struct chat_text text;
    const struct chat_message m[] = {message("user", " <a></s> ")};
    struct chat_render in = {
        .messages = m, .n_messages = 1, .bos_token = "", .eos_token = "</s>"};
    struct chat_template *t = chat_template_compile(source, strlen(source), &e);
    assert_non_null(t);
    assert_int_equal(chat_template_render(t, &in, &text, &e), 0);
    assert_int_equal(text.len, strlen("<A><A></S></s>"));
    assert_memory_equal(text.data, "<A><A></S></s>", text.len);
    for (size_t i = 0; i < text.len; i++) {
        assert_int_equal(text.trusted[i], i < 3 || i >= 10);
    }
    chat_text_deinit(&text);
    chat_template_destroy(t);
}

static void real_templates_render_a_conversation(void **state)
{
    (void)state;
    static const char *const names[] = {"Qwen-Qwen2.5-7B-Instruct", "google-gemma-2-2b-it",
                                        "microsoft-Phi-3.5-mini-instruct"};
    const struct chat_message m[] = {message("user", "Hello there"), message("assistant", "Hi"),
                                     message("user", "Bye now")};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[512];
        struct err e = {0};
        size_t len = 0;
        snprintf(path, sizeof(path), WEIR_SOURCE_DIR "/../shared/data/templates/%s.jinja",
                 names[i]);
        char *source = file_read(path, 1 << 20, &len, &e);
        if (!source) {
            print_message("skipped: no %s.jinja beside the checkout\n", names[i]);
            continue;
        }
        char *got = render(source, m, 3);
        assert_non_null(strstr(got, "Hello there"));
        assert_non_null(strstr(got, "Bye now"));
        mem_free(got);
        mem_free(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chatml_renders_a_conversation),
        cmocka_unit_test(statements_and_expressions),
        cmocka_unit_test(wrong_arguments_are_told),
        cmocka_unit_test(json_in_a_text_is_bounded),
        cmocka_unit_test(raise_exception_refuses_the_conversation),
        cmocka_unit_test(what_is_unknown_does_not_compile),
        cmocka_unit_test(hostile_templates_are_bounded),
        cmocka_unit_test(only_the_templates_own_bytes_are_trusted),
        cmocka_unit_test(real_templates_render_a_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
