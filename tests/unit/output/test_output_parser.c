/* output_parser.h: each family's calls, what is no call, cuts, hostile text. */
#include "models/output/output_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

#define THINKS .think_open = "<think>", .think_close = "</think>"

static const struct output_format generic = {.calls = OUTPUT_CALLS_JSON};
static const struct output_format generic_thinks = {.calls = OUTPUT_CALLS_JSON, THINKS};
static const struct output_format tagged = {.calls = OUTPUT_CALLS_TAGGED};
static const struct output_format tagged_thinks = {.calls = OUTPUT_CALLS_TAGGED, THINKS};
static const struct output_format bare = {.calls = OUTPUT_CALLS_BARE};
static const struct output_format listed = {.calls = OUTPUT_CALLS_LIST};
static const struct output_format named = {.calls = OUTPUT_CALLS_NAMED};

static const char *const tools[] = {"get_weather", "now"};

/* What came out: R(reasoning) C(content) B0(name) A0(arguments) E0 (end) X0 (cut), pieces of
 * one kind joined. */
struct seen {
    struct buf text;
    enum output_kind kind;
    bool open;
};

static void close_piece(struct seen *s)
{
    if (s->open) {
        assert_int_equal(buf_append_char(&s->text, ')'), 0);
    }
    s->open = false;
}

static int see(void *user, const struct output_segment *g, struct err *e)
{
    (void)e;
    struct seen *s = user;
    if (!s->open || s->kind != g->kind) {
        close_piece(s);
        if (g->kind == OUTPUT_REASONING || g->kind == OUTPUT_CONTENT) {
            buf_printf(&s->text, "%c(", "RC"[g->kind]);
        } else {
            buf_printf(&s->text, "%c%zu", "RCBAEX"[g->kind], g -> call);
        }
        s->open = g->kind < OUTPUT_CALL_END;
        s->kind = g->kind;
        if (g->kind == OUTPUT_CALL_BEGIN || g->kind == OUTPUT_CALL_ARGUMENTS) {
            buf_append_char(&s->text, '(');
        }
    }
    return buf_append(&s->text, g->text, g->len);
}

struct sample {
    const struct output_format *format;
    bool open; /* the prompt ends in reasoning */
    const char *text;
    const char *expected;
};

/* Parses in pieces of at most `most` bytes, at random. */
static void parse(const struct sample *c, size_t most, struct rng *rng, struct seen *s)
{
    struct output_parser p;
    struct err e = {0};
    const struct output_parser_settings settings = {.format = c->format,
                                                    .tools = tools,
                                                    .n_tools = 2,
                                                    .reasoning_open = c->open,
                                                    .sink = see,
                                                    .user = s};
    *s = (struct seen){0};
    buf_init(&s->text, (size_t)64 << 20);
    output_parser_init(&p, &settings);
    const size_t len = strlen(c->text);
    for (size_t at = 0; at < len;) {
        size_t n = most > 1 ? 1 + (size_t)rng_below(rng, (uint32_t)most) : 1;
        n = n < len - at ? n : len - at;
        assert_int_equal(output_parser_feed(&p, c->text + at, n, false, &e), 0);
        at += n;
    }
    assert_int_equal(output_parser_finish(&p, &e), 0);
    close_piece(s);
    assert_int_equal(buf_append_str(&s->text, p.cut ? "!" : ""), 0);
    output_parser_deinit(&p);
}

static void check(const struct sample *c)
{
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 40; round++) {
        struct seen s;
        parse(c, round == 0 ? 1 : round == 1 ? 1 << 20 : 1 + (size_t)round, &rng, &s);
        if (strcmp(s.text.data, c->expected) != 0) {
            fail_msg("%s\n  gives   %s\n  and not %s", c->text, s.text.data, c->expected);
        }
        buf_deinit(&s.text);
    }
}

#define CHECK_ALL(samples)                                                \
    for (size_t i = 0; i < sizeof(samples) / sizeof((samples)[0]); i++) { \
        check(&(samples)[i]);                                             \
    }

#define ROME      "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}"
#define LIMA      "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Lima\"}}"
#define SAID_ROME "B0(get_weather)A0({\"city\": \"Rome\"})E0"
#define SAID_LIMA "B1(get_weather)A1({\"city\": \"Lima\"})E1"

static void text_is_content(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {&tagged, false, "", ""},
        {&tagged, false, " Hi\n\n there. \n", "C( Hi\n\n there. \n)"},
        {&tagged, false, "a < b, <tool_calls> <tool_cal", "C(a < b, <tool_calls> <tool_cal)"},
        {&bare, false, "It is {\"name\": \"now\"}", "C(It is {\"name\": \"now\"})"},
        {&bare, false, "{\"a\": 1}", "C({\"a\": 1})"},
        {&bare, false, "{", "C({)"},
        {&bare, false, " {\"x", "C( {\"x)"},
        {&generic, false, "{\"tool_call\": []}", "C({\"tool_call\": []})"},
        {&generic, false, "{\"tool_calls\": []}", "C({\"tool_calls\": []})"},
        {&generic, false, "{\"tool_calls\"", "C({\"tool_calls\")"},
        {&listed, false, "[TOOL_CALL] [TOOL_CALLS", "C([TOOL_CALL] [TOOL_CALLS)"},
        {&named, false, "[INST]<tool_call>" ROME, "C([INST]<tool_call>" ROME ")"},
    };
    CHECK_ALL(samples);
}

static void calls_of_each_family(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {&tagged, false, "<tool_call>\n" ROME "\n</tool_call>", SAID_ROME},
        {&tagged, false,
         "I look.\n\n<tool_call>\n" ROME "\n</tool_call>\n<tool_call>\n" LIMA
         "\n</tool_call>\n",
         "C(I look.)" SAID_ROME SAID_LIMA},
        {&tagged, false, "<tool_call>" ROME LIMA "</tool_call>\nDone. ",
         SAID_ROME SAID_LIMA "C(Done. )"},
        {&bare, false, "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Rome\"}}",
         SAID_ROME},
        {&bare, false,
         "\n{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": "
         "{\"city\": \"Rome\"}}",
         SAID_ROME},
        {&bare, false, ROME "; " LIMA, SAID_ROME SAID_LIMA},
        {&bare, false, "Well. <|python_tag|>" ROME, "C(Well.)" SAID_ROME},
        {&listed, false, "[TOOL_CALLS][" ROME ", " LIMA "]", SAID_ROME SAID_LIMA},
        {&listed, false, "[TOOL_CALLS] [\n" ROME "]\n", SAID_ROME},
        {&listed, false, "[TOOL_CALLS]" ROME, SAID_ROME},
        {&named, false, "[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Rome\"}", SAID_ROME},
        {&named, false,
         "[TOOL_CALLS]get_weather[CALL_ID]abc123def[ARGS]{\"city\": \"Rome\"}"
         "[TOOL_CALLS]get_weather[ARGS] {\"city\": \"Lima\"}",
         SAID_ROME SAID_LIMA},
        {&named, false, "[TOOL_CALLS][" ROME "]", SAID_ROME},
        {&generic, false, "{\"tool_calls\": [" ROME ", " LIMA "]}", SAID_ROME SAID_LIMA},
        {&generic, false, "\n{ \"tool_calls\" :[ " ROME " ]\n}\n", SAID_ROME},
    };
    CHECK_ALL(samples);
}

static void ways_of_writing_an_object(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {&tagged, false, "<tool_call>{\"name\": \"now\"}</tool_call>", "B0(now)A0({})E0"},
        {&tagged, false, "<tool_call>{\"name\": \"now\", \"arguments\": null}</tool_call>",
         "B0(now)A0({})E0"},
        {&tagged, false, "<tool_call>{\"arguments\": \"\", \"name\": \"now\"}</tool_call>",
         "B0(now)A0({})E0"},
        {&tagged, false, "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>",
         "B0(now)A0({})E0"},
        {&tagged, false,
         "<tool_call>{\"arguments\": {\"city\": \"Rome\"}, \"id\": [1, {\"name\": 2}], "
         "\"name\": \"get_weather\"}</tool_call>",
         SAID_ROME},
        {&tagged, false,
         "<tool_call>{\"name\": \"get\\u005fweather\", \"arguments\": "
         "\"{\\\"city\\\": \\\"R\\u00f4me \\ud83d\\ude42\\\\n\\\"} \"}</tool_call>",
         "B0(get_weather)A0({\"city\": \"Rôme 🙂\\n\"})E0"},
        {&tagged, false,
         "<tool_call>{\"name\": \"now\", \"arguments\": {\"a}\": \"\\\"}]</tool_call>{\", "
         "\"b\": [-1.5e+3, true, [null]], \"é\": {}}}</tool_call>",
         "B0(now)A0({\"a}\": \"\\\"}]</tool_call>{\", \"b\": [-1.5e+3, true, [null]], \"é\": "
         "{}})E0"},
        {&tagged, false,
         "<tool_call>{\"name\": \"now\", \"name\": \"get_weather\", \"arguments\": {\"a\": 1}, "
         "\"arguments\": {\"b\": 2}}</tool_call>",
         "B0(now)A0({\"a\": 1})E0"},
    };
    CHECK_ALL(samples);
}

static void what_is_no_call_is_content(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "<tool_call>{\"name\": \"rm\", \"arguments\": {\"a\": 1}}</tool_call> x",
        "<tool_call>{\"arguments\": {\"a\": 1}, \"name\": \"rm\"}</tool_call>",
        "<tool_call>{\"name\": \"now2\"}</tool_call>",
        "<tool_call>{\"name\": \"no\"}</tool_call>",
        "<tool_call>{\"name\": \"now\\n\"}</tool_call>",
        "<tool_call>{\"name\": 1}</tool_call>",
        "<tool_call>{\"name\": \"now\" \"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"now\", \"arguments\": [1]}</tool_call>",
        "<tool_call>{\"name\": \"now\", \"arguments\": 5}</tool_call>",
        "<tool_call>{\"name\": \"now\", \"arguments\": \"x\"}</tool_call>",
        "<tool_call>{\"name\": \"now\", \"arguments\": \"\\ud800\"}</tool_call>",
        "<tool_call>{\"arguments\": {}}</tool_call>",
        "<tool_call>now</tool_call>",
        "<tool_call>{'name': 'now'}</tool_call>",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected), "C(%s)", texts[i]);
        check(&(struct sample){&tagged, false, texts[i], expected});
    }
    static const struct sample samples[] = {
        {&tagged, false, "<tool_call><tool_call>" ROME "</tool_call>",
         "C(<tool_call>)" SAID_ROME},
        {&tagged, false, "A <tool_call> B <tool_call>" ROME "</tool_call>",
         "C(A <tool_call> B)" SAID_ROME},
        {&bare, false, "{\"name\": \"Bob\", \"parameters\": 3} ok",
         "C({\"name\": \"Bob\", \"parameters\": 3} ok)"},
        {&bare, false, "{\"type\": \"functions\", \"name\": \"now\"}",
         "C({\"type\": \"functions\", \"name\": \"now\"})"},
        {&bare, false, "{\"id\": 1, \"name\": \"now\"}", "C({\"id\": 1, \"name\": \"now\"})"},
        {&bare, false, ROME "; and more", SAID_ROME "C(; and more)"},
        {&named, false, "[TOOL_CALLS]rm[ARGS]{}", "C([TOOL_CALLS]rm[ARGS]{})"},
        {&named, false, "[TOOL_CALLS]now[ARG]{}", "C([TOOL_CALLS]now[ARG]{})"},
        {&listed, false, "[TOOL_CALLS][{\"name\": \"rm\"}, " ROME "]",
         "C([TOOL_CALLS][{\"name\": \"rm\"}, " ROME "])"},
        {&tagged, false, "<tool_call>" ROME "</tool_cup>", SAID_ROME "C(</tool_cup>)"},
    };
    CHECK_ALL(samples);
}

static void a_call_may_break_off(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {&tagged, false, "Hm. <tool_call>\n{\"name\": \"get_wea", "C(Hm.)!"},
        {&tagged, false, "<tool_call>", "!"},
        {&tagged, false, "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": \"b",
         "B0(now)A0({\"a\": \"b)X0!"},
        {&tagged, false,
         "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": b}}</tool_call>",
         "B0(now)A0({\"a\": )X0C(b}}</tool_call>)!"},
        {&tagged, false, "<tool_call>{\"name\": \"now\", \"arguments\": {}",
         "B0(now)A0({})X0!"},
        {&tagged, false, "<tool_call>" ROME, SAID_ROME},
        {&tagged, false, "<tool_call>" ROME "\n</tool", SAID_ROME},
        {&bare, false, "{\"name\": \"get_wea", "C({\"name\": \"get_wea)"},
        {&bare, false, "{\"name\": \"now\", \"para", "!"},
        {&generic, false, "{\"tool_calls\": [{\"na", "!"},
        {&generic, false, "{\"tool_calls\": [" ROME ", {\"na", SAID_ROME "!"},
        {&named, false, "[TOOL_CALLS]now[ARGS]{\"a", "B0(now)A0({\"a)X0!"},
        {&named, false, "[TOOL_CALLS]now[ARGS]{\"a\" 1}", "B0(now)A0({\"a\" )X0C(1})!"},
    };
    CHECK_ALL(samples);
}

static void reasoning_is_apart(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {&tagged_thinks, false, "<think>\nHm, <b>.\n\nSo.\n</think>\n\nYes. ",
         "R(Hm, <b>.\n\nSo.)C(Yes. )"},
        {&tagged_thinks, true, "Hm.\n</think>\n\nYes.", "R(Hm.)C(Yes.)"},
        {&tagged_thinks, true, "\n<think>\nHm.</think>Yes.", "R(Hm.)C(Yes.)"},
        {&tagged_thinks, false, "Yes. <think>no</think>", "C(Yes. <think>no</think>)"},
        {&tagged_thinks, false, "<think></think>\n\nYes.", "C(Yes.)"},
        {&tagged_thinks, false, "<think>a </thi", "R(a </thi)"},
        {&tagged_thinks, false, "<think>a \n", "R(a)"},
        {&tagged_thinks, false, "<thi", "C(<thi)"},
        {&tagged_thinks, false,
         "<think>\nI call <tool_call>" ROME "</tool_call>?\n</think>\n\n<tool_call>\n" ROME
         "\n</tool_call>",
         "R(I call <tool_call>" ROME "</tool_call>?)" SAID_ROME},
        {&generic_thinks, false, "<think>a</think>\n{\"tool_calls\": [" ROME "]}",
         "R(a)" SAID_ROME},
        {&generic_thinks, false, "<think>a</think>b{\"tool_calls\": [" ROME "]}",
         "R(a)C(b{\"tool_calls\": [" ROME "]})"},
    };
    CHECK_ALL(samples);
}

static void without_tools_nothing_is_held(void **state)
{
    (void)state;
    struct seen s = {0};
    struct err e = {0};
    struct output_parser p;
    buf_init(&s.text, 4096);
    output_parser_init(
        &p, &(struct output_parser_settings){.format = &tagged, .sink = see, .user = &s});
    assert_int_equal(output_parser_feed(&p, " <tool_call>\n", 13, false, &e), 0);
    assert_string_equal(s.text.data, "C( <tool_call>\n");
    output_parser_deinit(&p);
    buf_deinit(&s.text);
}

/* Control tokens are markers, and never text. */
static void control_tokens_never_come_out(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool control;
    } pieces[] = {
        {"A", false},     {"[ARGS]", true}, {"B ", false},  {"[TOOL_CALLS]", true},
        {"rm", false},    {"[ARGS]", true}, {"{} ", false}, {"[TOOL_CALLS]", true},
        {"now", false},   {"[ARGS]", true}, {"{}", false},  {"[TOOL_CALLS]", true},
        {"[TOOL", false},
    };
    struct seen s = {0};
    struct err e = {0};
    struct output_parser p;
    buf_init(&s.text, 4096);
    output_parser_init(
        &p, &(struct output_parser_settings){
                .format = &named, .tools = tools, .n_tools = 2, .sink = see, .user = &s});
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_int_equal(output_parser_feed(&p, pieces[i].text, strlen(pieces[i].text),
                                            pieces[i].control, &e),
                         0);
    }
    assert_int_equal(output_parser_finish(&p, &e), 0);
    close_piece(&s);
    assert_string_equal(s.text.data, "C(AB rm{})B0(now)A0({})E0C([TOOL)");
    output_parser_deinit(&p);
    buf_deinit(&s.text);
}

static void fill(struct buf *b, const char *piece, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(buf_append_str(b, piece), 0);
    }
}

static void hostile_text_is_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *before, *piece;
        size_t count;
        const char *begins; /* what comes out begins with it */
    } cases[] = {
        {"<tool_call>{\"name\": \"now\", \"arguments\": ", "[", 10000, "C(<tool_call>"},
        {"<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": ", "[", 10000,
         "B0(now)A0({\"a"},
        {"<tool_call>{\"arguments\": {\"a\": \"", "x", OUTPUT_HELD_MAX, "C(<tool_call>{\"arg"},
        {"<tool_call>{\"a\": \"", "x", OUTPUT_HELD_MAX, "C(<tool_call>{\"a\": \"xx"},
        {"<tool_call>", " ", OUTPUT_HELD_MAX, "C(<tool_call>  "},
        {"a", " ", OUTPUT_HELD_MAX + 10, "C(a  "},
        {"", "<", 100000, "C(<<<"},
        {"", "<tool_call>", 10000, "C(<tool_call><tool_call>"},
        {"<tool_call>{\"name\": \"", "n", 100000, "C(<tool_call>{\"name\": \"nn"},
        {"<tool_call>{\"", "n", 100000, "!"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text;
        struct seen one, whole;
        struct rng rng;
        rng_seed(&rng, i);
        buf_init(&text, 8 << 20);
        fill(&text, cases[i].before, 1);
        fill(&text, cases[i].piece, cases[i].count);
        const struct sample sample = {&tagged, false, text.data, NULL};
        parse(&sample, 1, &rng, &one);
        parse(&sample, 1 << 20, &rng, &whole);
        assert_memory_equal(one.text.data, cases[i].begins, strlen(cases[i].begins));
        assert_string_equal(one.text.data, whole.text.data);
        buf_deinit(&one.text);
        buf_deinit(&whole.text);
        buf_deinit(&text);
    }
}

/* Pieces of markup in any order: the cuts never matter, and no byte comes from nowhere. */
static void cuts_of_random_text_do_not_matter(void **state)
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
        "}",
        "\"name\": ",
        "\"now\"",
        "\"rm\"",
        ", ",
        "\"arguments\": ",
        "{\"a\": 1}",
        "\"tool_calls\": ",
        "\n",
        " ",
        "x",
        "é",
        "\\",
        "\"",
        ROME,
        "[CALL_ID]",
        "<|python_tag|>",
        "now",
        "<",
        "{\"",
        ";",
    };
    static const struct output_format *const formats[] = {&generic_thinks, &tagged_thinks,
                                                          &bare, &listed, &named};
    struct rng rng;
    rng_seed(&rng, 11);
    for (int round = 0; round < 3000; round++) {
        struct buf text;
        buf_init(&text, 1 << 16);
        const size_t n = (size_t)rng_below(&rng, 24);
        fill(&text, "", 1);
        for (size_t i = 0; i < n; i++) {
            fill(&text, pieces[rng_below(&rng, sizeof(pieces) / sizeof(pieces[0]))], 1);
        }
        const struct sample sample = {formats[round % 5], round % 3 == 0 && round % 5 < 2,
                                      text.data, NULL};
        struct seen whole, cut;
        parse(&sample, 1 << 20, &rng, &whole);
        for (int i = 0; i < 4; i++) {
            parse(&sample, 1 + (size_t)i * 3, &rng, &cut);
            assert_string_equal(cut.text.data, whole.text.data);
            buf_deinit(&cut.text);
        }
        buf_deinit(&whole.text);
        buf_deinit(&text);
    }
}

static void memory_may_run_out(void **state)
{
    (void)state;
    const size_t live = mem_live();
    for (size_t nth = 1;; nth++) {
        struct output_parser p;
        struct err e = {0};
        struct seen s = {0};
        static const char text[] = "<think>a b</think> x <tool_call>" ROME "</tool_call>";
        buf_init(&s.text, 4096);
        assert_int_equal(buf_append_str(&s.text, ""), 0);
        output_parser_init(&p, &(struct output_parser_settings){.format = &tagged_thinks,
                                                                .tools = tools,
                                                                .n_tools = 2,
                                                                .sink = see,
                                                                .user = &s});
        mem_fail_at(nth);
        int rc = output_parser_feed(&p, text, strlen(text), false, &e);
        rc = rc == 0 ? output_parser_finish(&p, &e) : rc;
        const bool reached = mem_fail_reached();
        mem_fail_at(0);
        output_parser_deinit(&p);
        buf_deinit(&s.text);
        assert_int_equal(mem_live(), live);
        if (!reached) {
            assert_int_equal(rc, 0);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_content),
        cmocka_unit_test(calls_of_each_family),
        cmocka_unit_test(ways_of_writing_an_object),
        cmocka_unit_test(what_is_no_call_is_content),
        cmocka_unit_test(a_call_may_break_off),
        cmocka_unit_test(reasoning_is_apart),
        cmocka_unit_test(without_tools_nothing_is_held),
        cmocka_unit_test(control_tokens_never_come_out),
        cmocka_unit_test(hostile_text_is_bounded),
        cmocka_unit_test(cuts_of_random_text_do_not_matter),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
