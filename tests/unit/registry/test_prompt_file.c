/* prompt_file.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/prompt_file.h"

/* What the file's text becomes, or why not. */
static const char *convert_bytes(const char *text, size_t len, const char *author)
{
    static char shown[4096];
    struct err e = {0};
    struct buf json;
    buf_init(&json, sizeof(shown) - 1);
    if (prompt_file_to_json("shop.md", text, len, author, &json, &e) != 0) {
        assert_int_equal(e.kind, ERR_FORMAT);
        strcpy(shown, e.message);
    } else {
        cJSON *parsed = json_parse(json.data, json.len, &e);
        assert_non_null(parsed);
        cJSON_Delete(parsed);
        strcpy(shown, json.data);
    }
    buf_deinit(&json);
    return shown;
}

static const char *convert(const char *text)
{
    return convert_bytes(text, strlen(text), NULL);
}

static void a_file_without_front_matter_is_a_text(void **state)
{
    (void)state;
    assert_string_equal(convert("You are Otto."), "{\"text\":\"You are Otto.\"}");
    assert_string_equal(convert("a: b\n---\nc: d\n"), "{\"text\":\"a: b\\n---\\nc: d\"}");
    assert_string_equal(convert("--- a\n----\n"), "{\"text\":\"--- a\\n----\"}");
}

static void all_keys_are_read(void **state)
{
    (void)state;
    assert_string_equal(convert("---\n"
                                "# who may change it: the shop\n"
                                "mode: override\n"
                                "author: Anna: of the shop\n"
                                "\n"
                                "variables:\n"
                                "  city: Bern\n"
                                "  # asked for at the counter\n"
                                "\n"
                                "\tcustomer:\n"
                                "note: short # er\n"
                                "---\n"
                                "You answer in {{city}}.\n"),
                        "{\"mode\":\"override\",\"author\":\"Anna: of the shop\","
                        "\"variables\":{\"city\":\"Bern\",\"customer\":null},"
                        "\"note\":\"short # er\",\"text\":\"You answer in {{city}}.\"}");
    assert_string_equal(convert("---\n---\nx"), "{\"text\":\"x\"}");
    assert_string_equal(convert("---\nnote:\nvariables:\n---\nx"),
                        "{\"variables\":{},\"text\":\"x\"}");
}

static void values_may_be_quoted(void **state)
{
    (void)state;
    assert_string_equal(convert("---\nvariables:\n  a: \"\"\n  b: \"x\\n \\u00e9 '\"\n"
                                "  c: 'it''s \\n'\n  d: ''\n  e: x\"y\n---\nx"),
                        "{\"variables\":{\"a\":\"\",\"b\":\"x\\n \xC3\xA9 '\","
                        "\"c\":\"it's \\\\n\",\"d\":\"\",\"e\":\"x\\\"y\"},\"text\":\"x\"}");
}

static void only_blank_lines_around_the_text_are_dropped(void **state)
{
    (void)state;
    assert_string_equal(convert("---\n---\n\n \n  # Title\n\n---\nmode: x  \n\n\n"),
                        "{\"text\":\"  # Title\\n\\n---\\nmode: x  \"}");
}

static void line_ends_and_byte_order_marks_make_no_difference(void **state)
{
    (void)state;
    static const char plain[] = "---\nnote: n\nvariables:\n  a:\n  b: c\n---\nx {{a}}\n\ny\n";
    static const char windows[] = "\xEF\xBB\xBF---\r\nnote: n\r\nvariables:\r\n  a:\r\n"
                                  "  b: c\r\n---\r\nx {{a}}\r\n\r\ny\r\n";
    char *wanted = mem_strdup(convert(plain));
    assert_string_equal(convert(windows), wanted);
    mem_free(wanted);
}

static void an_author_is_named_where_the_file_names_none(void **state)
{
    (void)state;
    static const char named[] = "---\nauthor: Anna\n---\nx";
    assert_string_equal(convert_bytes("x", 1, "prompts-dir"),
                        "{\"text\":\"x\",\"author\":\"prompts-dir\"}");
    assert_string_equal(convert_bytes(named, sizeof(named) - 1, "prompts-dir"),
                        "{\"author\":\"Anna\",\"text\":\"x\"}");
}

static void mistakes_are_told_by_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "shop.md:1: there is no text"},
        {"\n \n", "shop.md:2: there is no text"},
        {"---\nmode: default\n---\n", "shop.md:3: there is no text"},
        {"---\nmode: default\n",
         "shop.md:1: the front matter that begins here has no `---` at its end"},
        {"---\nnote: a\nYou are Otto.\n---\nx",
         "shop.md:3: `key: value` is wanted here, or `---` at the end of the front matter"},
        {"---\n: x\n---\nx",
         "shop.md:2: `key: value` is wanted here, or `---` at the end of the front matter"},
        {"---\nMode: default\n---\nx",
         "shop.md:2: unknown key \"Mode\"; there are mode, author, note and variables"},
        {"---\nmode: always\n---\nx",
         "shop.md:2: mode is one of prepend, default and override"},
        {"---\nmode:\n---\nx", "shop.md:2: mode is one of prepend, default and override"},
        {"---\nnote: a\nnote: b\n---\nx", "shop.md:3: \"note\" stands there twice"},
        {"---\nvariables:\n  a: 1\n  a: 2\n---\nx", "shop.md:4: \"a\" stands there twice"},
        {"---\nvariables:\nvariables:\n---\nx", "shop.md:3: \"variables\" stands there twice"},
        {"---\nvariables: a\n---\nx",
         "shop.md:2: after `variables:` come lines like `  name: default`"},
        {"---\nvariables:\nnote: n\n  a: b\n---\nx",
         "shop.md:4: an indented line stands only under `variables:`"},
        {"---\nnote: |\n  a\n---\nx", "shop.md:2: a value stands in one line; write \"...\" "
                                      "with \\n for a line's end"},
        {"---\nnote: \"a\n---\nx", "shop.md:2: the quote is not closed at the line's end"},
        {"---\nnote: '\n---\nx", "shop.md:2: the quote is not closed at the line's end"},
        {"---\nnote: \"a\\q\"\n---\nx",
         "shop.md:2: the value in double quotes is not a JSON string"},
        {"---\nnote: 'it's'\n---\nx",
         "shop.md:2: a single quote within single quotes is written twice"},
        {"x\n\xFF\n", "shop.md:2: the text is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(convert(cases[i].text), cases[i].message);
    }
    assert_string_equal(convert_bytes("a\nb\0c", 5, NULL),
                        "shop.md:2: a NUL byte; is it a text file?");
}

static void a_file_of_any_number_of_lines_is_refused_soon(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_append_str(&text, "---\nvariables:\n");
    for (int i = 0; i < 40000; i++) {
        buf_printf(&text, " v%d:\n", i);
    }
    assert_false(text.failed);
    assert_string_equal(convert(text.data), "shop.md:259: too many lines of front matter");
    buf_deinit(&text);
}

static void running_out_of_memory_leaks_nothing(void **state)
{
    (void)state;
    static const char text[] = "---\nnote: n\nvariables:\n  a: 'b'\n---\nx\n";
    size_t live = mem_live();
    bool failed = true;
    for (size_t nth = 1; failed; nth++) {
        struct err e = {0};
        struct buf json;
        buf_init(&json, 4096);
        mem_fail_at(nth);
        int rc = prompt_file_to_json("shop.md", text, sizeof(text) - 1, NULL, &json, &e);
        failed = mem_fail_reached();
        mem_fail_at(0);
        assert_int_equal(rc, failed ? -1 : 0);
        assert_int_equal(e.kind, failed ? ERR_NOMEM : ERR_NONE);
        buf_deinit(&json);
        assert_int_equal(mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_front_matter_is_a_text),
        cmocka_unit_test(all_keys_are_read),
        cmocka_unit_test(values_may_be_quoted),
        cmocka_unit_test(only_blank_lines_around_the_text_are_dropped),
        cmocka_unit_test(line_ends_and_byte_order_marks_make_no_difference),
        cmocka_unit_test(an_author_is_named_where_the_file_names_none),
        cmocka_unit_test(mistakes_are_told_by_file_and_line),
        cmocka_unit_test(a_file_of_any_number_of_lines_is_refused_soon),
        cmocka_unit_test(running_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
