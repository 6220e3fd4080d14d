/* config.h, nearest.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/config.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"

struct values {
    bool flag;
    const char *word;
    const char *size;
    const char *key;
    const char *folder;
    struct option_strings pairs;
    long count;
    long port;
    double ratio;
    const char *file;
};

#define AT(field) .offset = offsetof(struct values, field)

static int check_pair(const char *text, struct err *e)
{
    return strchr(text, '=') ? 0
                             : err_set(e, ERR_INVALID, "A=B is wanted, not \"%.20s\"", text);
}

static const char *const sizes[] = {"small", "large", "huge", NULL};

static const struct config_setting items[] = {
    {.help = "First"},
    {.name = "config", .type = OPTION_STRING, AT(file), .reload = CONFIG_COMMAND, .help = ""},
    {.name = "flag", .type = OPTION_FLAG, AT(flag), .help = "a flag"},
    {.name = "some_word", .letter = 'w', .type = OPTION_STRING, AT(word), .help = "a | b"},
    {.name = "size",
     .type = OPTION_STRING,
     AT(size),
     .initial = "small",
     .choices = sizes,
     .help = "a size"},
    {.name = "key",
     .type = OPTION_STRING,
     AT(key),
     .environment = "WEIR_TEST_CONFIG_KEY",
     .is_secret = true,
     .help = "a key"},
    {.help = "Second"},
    {.name = "folder",
     .type = OPTION_STRING,
     AT(folder),
     .path = PATH_FOLDER,
     .help = "a folder"},
    {.name = "pair", .type = OPTION_STRINGS, AT(pairs), .check = check_pair, .help = "pairs"},
    {.name = "count",
     .type = OPTION_INT,
     AT(count),
     .argument = "N",
     .initial = "5",
     .min = 1,
     .max = 10,
     .reload = CONFIG_LIVE,
     .help = "a count"},
    {.name = "port",
     .type = OPTION_INT,
     AT(port),
     .otherwise = "8080",
     .max = 65535,
     .help = ""},
    {.name = "ratio",
     .type = OPTION_DOUBLE,
     AT(ratio),
     .initial = "0.5",
     .max = 2,
     .help = "a ratio"},
};
static const struct config_table table = {"test", "test [options]", "A test.", items,
                                          sizeof(items) / sizeof(items[0])};

static struct values values;
static struct config settings;

static int begin(void **state)
{
    (void)state;
    struct err e = {0};
    values = (struct values){.port = -1};
    unsetenv("WEIR_TEST_CONFIG_KEY");
    return config_init(&settings, &table, &values, &e);
}

static int end(void **state)
{
    (void)state;
    config_deinit(&settings);
    return mem_live() == 0 ? 0 : -1;
}

static int parse(int argc, const char **argv)
{
    int positional = 0;
    struct err e = {0};
    return config_parse(&settings, argc, (char **)argv, &positional, &e);
}

static void read_text(const char *text)
{
    config_read_text(&settings, "f.json", text, strlen(text));
}

static void holds(const char *mistake)
{
    const char *all = settings.mistakes.data ? settings.mistakes.data : "";
    if (!strstr(all, mistake)) {
        fail_msg("\"%s\" is not in:\n%s", mistake, all);
    }
}

static void defaults_are_there(void **state)
{
    (void)state;
    assert_int_equal(values.count, 5);
    assert_int_equal(values.port, -1);
    assert_true(values.ratio > 0.4 && values.ratio < 0.6);
    assert_string_equal(values.size, "small");
    assert_null(values.word);
    assert_int_equal(config_source(&settings, "count"), FROM_DEFAULT);
}

static void a_file_is_read_with_its_comments(void **state)
{
    (void)state;
    read_text("// all of it\n{\n  /* a \" quote */ \"flag\": true, // \"count\": 9\n"
              "  \"some_word\": \"// no comment /* \\\" */\",\n"
              "  \"pair\": [\"a=b\", \"c=d\"], \"count\": 7, \"ratio\": 1.5,\n"
              "  \"$schema\": \"x\", \"size\": \"large\"}\n/**/");
    assert_int_equal(settings.n_mistakes, 0);
    assert_true(values.flag);
    assert_string_equal(values.word, "// no comment /* \" */");
    assert_int_equal(values.pairs.count, 2);
    assert_string_equal(values.pairs.items[1], "c=d");
    assert_int_equal(values.count, 7);
    assert_true(values.ratio > 1.4);
    assert_string_equal(values.size, "large");
    assert_int_equal(config_source(&settings, "flag"), FROM_FILE);
}

static void
the_command_line_counts_before_the_file_and_that_before_the_environment(void **state)
{
    (void)state;
    const char *argv[] = {"test", "--count=3", "-w", "mine", "--pair", "x=y"};
    assert_int_equal(parse(6, argv), 0);
    setenv("WEIR_TEST_CONFIG_KEY", "of the environment", 1);
    config_read_environment(&settings);
    assert_string_equal(values.key, "of the environment");
    assert_int_equal(config_source(&settings, "key"), FROM_ENVIRONMENT);
    read_text("{\"count\": 7, \"some_word\": \"theirs\", \"pair\": [\"a=b\"], \"key\": \"k\"}");
    assert_int_equal(settings.n_mistakes, 0);
    assert_int_equal(values.count, 3);
    assert_string_equal(values.word, "mine");
    assert_int_equal(values.pairs.count, 1);
    assert_string_equal(values.pairs.items[0], "x=y");
    assert_string_equal(values.key, "k");
    config_read_environment(&settings);
    assert_string_equal(values.key, "k");
}

static void all_mistakes_are_found_at_once(void **state)
{
    (void)state;
    const char *argv[] = {"test", "--size", "smal", "--pair", "none", "--count", "2"};
    assert_int_equal(parse(7, argv), 0);
    read_text(
        "{\"count\": 11, \"port\": 80.5, \"flag\": \"yes\", \"ratio\": -1,\n"
        "\"some-wrod\": 1, \"xyzxyz\": 1, \"pair\": [\"a=b\", 1, \"none\"], \"key\": 5,\n"
        "\"config\": \"x\", \"port\": 1, \"folder\": null, \"size\": 1, \"a\\\"b c\": 0}");
    holds("--size: \"smal\" is not known; small, large and huge are; did you mean \"small\"?");
    holds("--pair: A=B is wanted, not \"none\"");
    holds("f.json: $.count: 11 is not allowed; a whole number, 1 to 10, is wanted\n");
    holds("f.json: $.port: 80.5 is not allowed; a whole number, 0 to 65535, is wanted\n");
    holds("f.json: $.port: is there twice");
    holds("f.json: $.flag: \"yes\" is not allowed; true or false is wanted");
    holds("f.json: $.ratio: -1 is not allowed; a number, 0 to 2, is wanted");
    holds("f.json: $[\"some-wrod\"]: there is no such setting; did you mean \"some_word\"?");
    holds("f.json: $.xyzxyz: there is no such setting; test --help lists them");
    holds("f.json: $.pair[1]: 1 is not allowed; a text in quotes is wanted");
    holds("f.json: $.pair[2]: A=B is wanted");
    holds("f.json: $.key: a number is not allowed");
    holds("f.json: $.config: is for the command line alone");
    holds(
        "f.json: $.folder: null is not allowed; a text in quotes is wanted (leave the setting");
    holds("f.json: $.size: 1 is not allowed; one of \"small\", \"large\", \"huge\" is wanted");
    holds("f.json: $[\"a\"b c\"]: there is no such setting");
    assert_int_equal(settings.n_mistakes, 16);
    assert_int_equal(values.count, 2);
}

static void what_is_no_object_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *mistake;
    } cases[] = {
        {"", "f.json: "},
        {"[]", "f.json: $: an array is not allowed; an object, { ... }, is wanted"},
        {"{\"count\": 1,\n}", "line 2"},
        {"{\"count\": 1} /* no end", "line 1"},
        {"{\"count\": 1} /", "line 1"},
        {"\"open", "f.json: "},
        {"\"\\", "f.json: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        config_deinit(&settings);
        begin(NULL);
        read_text(cases[i].text);
        assert_int_equal(settings.n_mistakes, 1);
        holds(cases[i].mistake);
    }
}

static void files_that_are_not_there_are_told(void **state)
{
    (void)state;
    values.folder = "/nonexistent/folder";
    config_check_paths(&settings);
    holds("--folder: /nonexistent/folder: No such file or directory");
    config_read_file(&settings, "/nonexistent/weir.json");
    holds("/nonexistent/weir.json: ");
    values.folder = "/dev/null";
    config_check_paths(&settings);
    holds("--folder: /dev/null: it is no folder");
}

static void values_are_compared_and_shown(void **state)
{
    (void)state;
    struct values others = {.port = -1};
    struct config other;
    struct err e = {0};
    struct buf shown;
    assert_int_equal(config_init(&other, &table, &others, &e), 0);
    buf_init(&shown, 4096);
    const char *names[] = {"flag", "some_word", "pair", "count", "ratio", "key", "port"};
    for (size_t i = 0; i < 7; i++) {
        assert_true(config_is_same(&settings, &other, config_index(&table, names[i])));
    }
    read_text("{\"flag\": true, \"some_word\": \"a\\\"b\", \"pair\": [\"a=b\", \"c=d\"],\n"
              "\"count\": 6, \"ratio\": 0.25, \"key\": \"shh\", \"port\": 0}");
    for (size_t i = 0; i < 7; i++) {
        size_t index = config_index(&table, names[i]);
        assert_false(config_is_same(&settings, &other, index));
        config_append_value(&settings, index, &shown);
        buf_append_char(&shown, ' ');
        config_append_value(&other, index, &shown);
        buf_append_char(&shown, ';');
    }
    assert_string_equal(shown.data, "true false;\"a\\u0022b\" null;[\"a=b\", \"c=d\"] [];6 5;"
                                    "0.25 0.5;(secret) null;0 null;");
    buf_deinit(&shown);
    config_deinit(&other);
}

static void a_schema_and_tables_are_made(void **state)
{
    (void)state;
    struct buf text;
    cJSON *schema = config_schema(&table);
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(properties, "count");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(properties, "size");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(count, "maximum")->valueint, 10);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(count, "default")->valueint, 5);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(size, "enum")), 3);
    assert_null(cJSON_GetObjectItemCaseSensitive(properties, "config"));
    cJSON_Delete(schema);
    buf_init(&text, 1 << 16);
    assert_int_equal(config_markdown(&table, &text), 0);
    assert_non_null(strstr(text.data, "## Second\n\n| setting |"));
    assert_non_null(strstr(text.data, "| `some_word`<br>`-w`, `--some-word` | text |  | at a "
                                      "restart | a \\| b |\n"));
    assert_non_null(strstr(text.data,
                           "| `count`<br>`--count N` | whole number, 1 to 10 | 5 | at "
                           "once | a count |\n"));
    buf_deinit(&text);
}

static void distances_are_those_of_the_definition(void **state)
{
    (void)state;
    assert_int_equal(nearest_distance("port", "port"), 0);
    assert_int_equal(nearest_distance("Some-Word", "some_word"), 0);
    assert_int_equal(nearest_distance("", "abc"), 3);
    assert_int_equal(nearest_distance("prot", "port"), 1);  /* neighbours */
    assert_int_equal(nearest_distance("prt", "port"), 1);   /* one is missing */
    assert_int_equal(nearest_distance("poort", "port"), 1); /* one too many */
    assert_int_equal(nearest_distance("pork", "port"), 1);  /* another one */
    assert_int_equal(nearest_distance("ca", "abc"), 3);     /* restricted */
    assert_int_equal(nearest_distance("kitten", "sitting"), 3);
    struct nearest near = {.wanted = "drain_tiemout"};
    nearest_offer(&near, "state");
    assert_null(near.name);
    nearest_offer(&near, "drain_timeout");
    assert_string_equal(near.name, "drain_timeout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_there, begin, end),
        cmocka_unit_test_setup_teardown(a_file_is_read_with_its_comments, begin, end),
        cmocka_unit_test_setup_teardown(
            the_command_line_counts_before_the_file_and_that_before_the_environment, begin,
            end),
        cmocka_unit_test_setup_teardown(all_mistakes_are_found_at_once, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_object_is_told, begin, end),
        cmocka_unit_test_setup_teardown(files_that_are_not_there_are_told, begin, end),
        cmocka_unit_test_setup_teardown(values_are_compared_and_shown, begin, end),
        cmocka_unit_test_setup_teardown(a_schema_and_tables_are_made, begin, end),
        cmocka_unit_test(distances_are_those_of_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
