/* output_grammar.h: what each family's grammar allows, and that the parser finds nothing in an
 * allowed text but right calls. */
#include "models/output/output_grammar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "models/output/output_parser.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/output/gbnf_match.h"

#define THINKS .think_open = "<think>", .think_close = "</think>"

static const struct output_format generic = {.calls = OUTPUT_CALLS_JSON};
static const struct output_format generic_thinks = {.calls = OUTPUT_CALLS_JSON, THINKS};
static const struct output_format tagged = {.calls = OUTPUT_CALLS_TAGGED};
static const struct output_format tagged_thinks = {.calls = OUTPUT_CALLS_TAGGED, THINKS};
static const struct output_format bare = {.calls = OUTPUT_CALLS_BARE, .one_call = true};
static const struct output_format listed = {.calls = OUTPUT_CALLS_LIST};
static const struct output_format named = {.calls = OUTPUT_CALLS_NAMED, .call_ids = true};

static const struct output_grammar_tool tools[] = {{"city", "tool-0"}, {"now", "tool-1"}};

/* The arguments of the two: so little that a text can be recognised. */
#define TOOL_RULES "tool-0 ::= \"{\\\"c\\\": \" [1-3] \"}\"\ntool-1 ::= \"{}\"\n"

static char *write_grammar(const struct output_grammar *g)
{
    struct buf rules;
    struct err e = {0};
    buf_init(&rules, 1 << 20);
    if (output_grammar_write(g, &rules, &e) != 0) {
        fail_msg("%s", e.message);
    }
    buf_append_str(&rules, TOOL_RULES "json ::= \"[\" [0-9] \"]\"\n");
    char *text = buf_take(&rules, NULL);
    assert_non_null(text);
    return text;
}

static void check(const struct output_grammar *g, const char *text, bool expected)
{
    char *grammar = write_grammar(g);
    if (gbnf_matches(grammar, text) != expected) {
        fail_msg("%s is %s\n%s", text, expected ? "refused" : "taken", grammar);
    }
    mem_free(grammar);
}

#define CITY "{\"name\": \"city\", \"arguments\": {\"c\": 2}}"
#define NOW  "{\"name\": \"now\", \"arguments\": {}}"
#define BAD  "{\"name\": \"city\", \"arguments\": {\"c\": 9}}"

struct sample {
    const struct output_format *format;
    const char *text;
    /* Whether it is allowed under required, and auto; alone: with one call at most. */
    bool required, automatic, alone;
};

static void families(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {&tagged, "<tool_call>\n" CITY "\n</tool_call>", true, true, true},
        {&tagged, "<tool_call>\n" CITY "\n</tool_call>\n<tool_call>\n" NOW "\n</tool_call>",
         true, true, false},
        {&tagged, "<tool_call>\n" BAD "\n</tool_call>", false, false, false},
        {&tagged, "<tool_call>\n{\"name\": \"rm\", \"arguments\": {}}\n</tool_call>", false,
         false, false},
        {&tagged, "I look.\n<tool_call>\n" CITY "\n</tool_call>", false, true, true},
        {&tagged, "a < b <tool_cal <tool_<tool_call", false, true, true},
        {&tagged, "x <tool_call>", false, false, false},
        {&tagged, "x <<tool_<tool_call> y", false, false, false},
        {&tagged, "<tool_call>\n" CITY "\n</tool_call> bye", false, false, false},
        {&tagged, "", false, true, true},
        {&bare, "{\"name\": \"city\", \"parameters\": {\"c\": 2}}", true, true, true},
        {&bare, " { \"name\" : \"now\", \"parameters\": {}}", false, true, true},
        {&bare, "{\"type\": \"function\", \"name\": \"now\", \"parameters\": {}}", false, true,
         true},
        {&bare, "{\"type\": \"function\", \"name\": \"rm\"}", false, false, false},
        {&bare, "{\"type\": \"object\"}", false, true, true},
        {&bare, "{\"name\": \"Bob\"}", false, false, false},
        {&bare, "{\"names\": 1} {\"name\": \"Bob\"}", false, true, true},
        {&bare, "{\"parameters\": {}}", false, false, false},
        {&bare, "Hi {\"parameters\": {}}", false, true, true},
        {&bare, "Hi <|python_tag|>{\"name\": \"now\", \"parameters\": {}}", false, true, true},
        {&bare, "Hi <|python_tag|>x", false, false, false},
        {&listed, "[TOOL_CALLS][" CITY "]", true, true, true},
        {&listed, "[TOOL_CALLS] [" CITY ", " NOW "]", true, true, false},
        {&listed, "[TOOL_CALLS][]", false, false, false},
        {&listed, "[TOOL_[TOOL_CALL]", false, true, true},
        {&named, "[TOOL_CALLS]city[ARGS]{\"c\": 1}", true, true, true},
        {&named, "[TOOL_CALLS]city[CALL_ID]abcdef123[ARGS]{\"c\": 1}[TOOL_CALLS]now[ARGS]{}",
         true, true, false},
        {&named, "[TOOL_CALLS]city[ARGS]{}", false, false, false},
        {&generic, "{\"tool_calls\": [" CITY "]}", true, true, true},
        {&generic, "{\"tool_calls\": [" CITY ", " CITY "]}", true, true, false},
        {&generic, "{\n \"tool_calls\": [" BAD "]}", false, false, false},
        {&generic, "{\"tool\": 1} {\"tool_calls\"", false, true, true},
        {&tagged_thinks,
         "<think>\n<tool_call> \xc3\xa9 < </thin\n</think>\n\n<tool_call>\n" CITY
         "\n</tool_call>",
         true, true, true},
        {&tagged_thinks, "<tool_call>\n" CITY "\n</tool_call>", true, true, true},
        {&tagged_thinks, "<think>\nhm\n</think>\n\nHi", false, true, true},
        {&tagged_thinks, "<think>\nhm\n</think>\n\n<tool_call>x", false, false, false},
        {&tagged_thinks, "<think>\nhm", false, false, false},
        {&tagged_thinks, "a <think>\nhm", false, true, true},
        {&generic_thinks, "<think>a</think>\n{\"tool_calls\": [" CITY "]}", true, true, true},
        {&generic_thinks, "<think>a</think>\n{\"tool_calls\": 1}", false, false, false},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *s = &samples[i];
        struct output_grammar g = {s->format, tools, 2,   OUTPUT_CHOICE_REQUIRED,
                                   true,      false, NULL};
        check(&g, s->text, s->required);
        g.choice = OUTPUT_CHOICE_AUTO;
        check(&g, s->text, s->automatic);
        g.parallel = false;
        check(&g, s->text, s->alone);
    }
}

static void choices_and_content(void **state)
{
    (void)state;
    struct output_grammar g = {&tagged_thinks, tools, 1,   OUTPUT_CHOICE_REQUIRED,
                               true,           false, NULL};
    /* of one tool alone */
    check(&g, "<tool_call>" CITY "</tool_call>", true);
    check(&g, "<tool_call>" NOW "</tool_call>", false);
    /* the prompt has begun to reason */
    g.reasoning_open = true;
    check(&g, "hm</think>\n<tool_call>" CITY "</tool_call>", true);
    check(&g, "<tool_call>" CITY "</tool_call>", false);
    /* content of a stated form */
    g = (struct output_grammar){&tagged_thinks, tools, 2,     OUTPUT_CHOICE_AUTO,
                                true,           false, "json"};
    check(&g, "[1]", true);
    check(&g, "<think>x</think>\n\n[1]", true);
    check(&g, "<tool_call>" NOW "</tool_call>", true);
    check(&g, "[x]", false);
    g.choice = OUTPUT_CHOICE_REQUIRED;
    check(&g, "[1]", false);
    g.choice = OUTPUT_CHOICE_NONE;
    check(&g, "<think>x</think>[1]", true);
    check(&g, "<tool_call>" NOW "</tool_call>", false);
    g = (struct output_grammar){&tagged, NULL, 0, OUTPUT_CHOICE_NONE, true, false, "json"};
    check(&g, "[1]", true);
    check(&g, "1", false);
}

static void nothing_to_call_is_an_error(void **state)
{
    (void)state;
    struct buf rules;
    struct err e = {0};
    struct output_grammar g = {&tagged, NULL, 0, OUTPUT_CHOICE_REQUIRED, true, false, "json"};
    buf_init(&rules, 1 << 20);
    assert_int_equal(output_grammar_write(&g, &rules, &e), -1);
    g = (struct output_grammar){&tagged, tools, 2, OUTPUT_CHOICE_NONE, true, false, NULL};
    assert_int_equal(output_grammar_write(&g, &rules, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    rules.max = 100;
    g.choice = OUTPUT_CHOICE_AUTO;
    assert_int_equal(output_grammar_write(&g, &rules, &e), -1);
    buf_deinit(&rules);
}

/* --- what is allowed is right --- */

struct found {
    bool wrong;
    char arguments[64];
    size_t len;
};

static int see(void *user, const struct output_segment *g, struct err *e)
{
    (void)e;
    struct found *f = user;
    if (g->kind == OUTPUT_CALL_BEGIN) {
        f->len = 0;
    } else if (g->kind == OUTPUT_CALL_ARGUMENTS && f->len + g->len < sizeof(f->arguments)) {
        memcpy(f->arguments + f->len, g->text, g->len);
        f->len += g->len;
    } else if (g->kind == OUTPUT_CALL_CUT) {
        f->wrong = true;
    } else if (g->kind == OUTPUT_CALL_END) {
        f->arguments[f->len] = '\0';
        f->wrong = f->wrong || !(strcmp(f->arguments, "{}") == 0 ||
                                 (strncmp(f->arguments, "{\"c\": ", 6) == 0 && f->len == 8 &&
                                  f->arguments[6] >= '1' && f->arguments[6] <= '3'));
    }
    return 0;
}

static bool parse_finds_wrong_call(const struct output_format *f, bool open, const char *text)
{
    static const char *const names[] = {"city", "now"};
    struct output_parser p;
    struct err e = {0};
    struct found found = {0};
    output_parser_init(&p, &(struct output_parser_settings){f, names, 2, open, see, &found});
    assert_int_equal(output_parser_feed(&p, text, strlen(text), false, &e), 0);
    assert_int_equal(output_parser_finish(&p, &e), 0);
    const bool wrong = found.wrong || p.cut;
    output_parser_deinit(&p);
    return wrong;
}

/* Pieces of markup in any order; of those that the grammar takes, the parser never sees a call
 * that is not in the grammar. */
static void allowed_texts_have_right_calls_only(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "[TOOL_CALLS]",
        "[ARGS]",
        "[",
        "]",
        "{",
        "\"name\": \"city\", ",
        "\"arguments\": {\"c\": 2}",
        "\"parameters\": {\"c\": 9}",
        "}",
        "\"tool_calls\": ",
        "\n",
        " ",
        "x",
        "<|python_tag|>",
        "\"type\": \"function\", ",
        CITY,
        NOW,
        BAD,
        "city",
        "{\"c\": 2}",
        "{\"c\": 9}",
        "{\"name\": \"city\", \"parameters\": {\"c\": 2}}",
        "{\"tool_calls\": [" NOW "]}",
        "<tool_call>" CITY "</tool_call>",
        "[TOOL_CALLS]city[ARGS]{\"c\": 2}",
        "<tool_",
    };
    static const struct output_format *const formats[] = {&generic_thinks, &tagged_thinks,
                                                          &bare, &listed, &named};
    struct rng rng;
    int allowed = 0;
    rng_seed(&rng, 5);
    for (int i = 0; i < 20; i++) {
        const bool open = i % 5 < 2 && i >= 15;
        const struct output_grammar g = {
            formats[i % 5], tools, 2,   i < 10 ? OUTPUT_CHOICE_AUTO : OUTPUT_CHOICE_REQUIRED,
            i % 2 == 0,     open,  NULL};
        char *grammar = write_grammar(&g);
        for (int round = 0; round < 1500; round++) {
            char text[2048] = "";
            const uint32_t n = rng_below(&rng, 9);
            for (uint32_t k = 0; k < n; k++) {
                strcat(text, pieces[rng_below(&rng, sizeof(pieces) / sizeof(pieces[0]))]);
            }
            if (gbnf_matches(grammar, text)) {
                allowed++;
                if (parse_finds_wrong_call(g.format, open, text)) {
                    fail_msg("%s is allowed by\n%s", text, grammar);
                }
            }
        }
        mem_free(grammar);
    }
    assert_true(allowed > 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families),
        cmocka_unit_test(choices_and_content),
        cmocka_unit_test(nothing_to_call_is_an_error),
        cmocka_unit_test(allowed_texts_have_right_calls_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
