/* The filter "script": what a script can do, and all that it can not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "tests/unit/filters/single.h"

/* Wall time in which the worst script must have been ended, sanitizers and a busy machine
 * included. */
#define MAX_NS UINT64_C(5000000000)

static const char *settings(const char *code)
{
    static char json[4096];
    char *to = json + snprintf(json, sizeof(json), "\"type\":\"script\",\"code\":\"");
    for (; *code; code++) {
        if (*code == '"' || *code == '\\') {
            *to++ = '\\';
        }
        *to++ = *code == '\n' ? ' ' : *code;
    }
    strcpy(to, "\"");
    return json;
}

/* ---- what it can do ---- */

#define BAD                                                                      \
    "return function(span)\n"                                                    \
    "  local at, to = span.text:find('bad')\n"                                   \
    "  if at then return pass(at - 1), replace(to, '***', 'bad', 'found') end\n" \
    "  if span.ended then return end\n"                                          \
    "  local held = utf8.offset(span.text, -2)\n"                                \
    "  return pass(held and held - 1 or 0)\n"                                    \
    "end"

static void text_is_held_passed_and_replaced(void **state)
{
    (void)state;
    single_expect(settings(BAD),
                  "a bad b\xC3\xA4"
                  "d badbad ba",
                  "a *** b\xC3\xA4"
                  "d ****** ba",
                  "replace 0/script content#0 2-5 @2 bad: found\n"
                  "replace 0/script content#0 11-14 @11 bad: found\n"
                  "replace 0/script content#0 14-17 @14 bad: found\n");
}

static void a_script_remembers_within_its_text(void **state)
{
    (void)state;
    const char *count = "local seen = 0\n"
                        "return function(span)\n"
                        "  if span.text == 'x' then seen = seen + 1 end\n"
                        "  if seen == 3 then return stop(0, 'third', 'x number ' .. seen) end\n"
                        "  if span.text == '!' then return note(1, 'loud') end\n"
                        "  return pass()\n"
                        "end";
    single_expect(settings(count), "ax!xbxc", "ax!xb",
                  "note 0/script content#0 2-3 @3 loud: \n"
                  "stop 0/script content#0 5-6 @5 third: x number 3\n");
    struct chain *chain = single_chain(settings(count));
    static const struct trace_step steps[] = {
        {FILTER_CONTENT, "xx"}, {FILTER_CONTENT, ""}, {FILTER_CONTENT, "xx"}};
    struct trace trace;
    trace_run(&trace, chain, FILTER_OUTPUT, steps, 3, TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "xxxx");
    trace_deinit(&trace);
    chain_unref(chain);
}

static void a_script_knows_its_text(void **state)
{
    (void)state;
    single_expect(settings("return function(s) if s.ended then return replace(#s.text, s.side"
                           " .. ' ' .. s.channel .. ' ' .. s.ordinal .. ' ' .. s.start"
                           " .. ' ' .. s.fresh) end end"),
                  "abc", "output content 0 0 4", NULL);
}

static void random_text_gives_the_same_for_all_cuts(void **state)
{
    (void)state;
    static const char *const pieces[] = {"b", "a", "d", " ", "bad", "\xC3\xA9"};
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < 100; i++) {
        char text[256] = "";
        for (uint32_t k = rng_below(&rng, 60); k > 0; k--) {
            strcat(text, pieces[rng_below(&rng, 6)]);
        }
        struct chain *chain = single_chain(settings(BAD));
        struct trace whole, cut;
        trace_run_text(&whole, chain, text, TRACE_WHOLE, NULL);
        assert_null(strstr(trace_string(&whole.text[FILTER_CONTENT]), "bad"));
        trace_run_text(&cut, chain, text, TRACE_RANDOM, &rng);
        trace_assert_equal(&whole, &cut);
        trace_deinit(&whole);
        trace_deinit(&cut);
        chain_unref(chain);
    }
}

/* ---- what it can not do ---- */

static void what_could_do_harm_is_not_there(void **state)
{
    (void)state;
    static const char *const names[] = {"io",
                                        "os",
                                        "package",
                                        "require",
                                        "debug",
                                        "load",
                                        "loadstring",
                                        "loadfile",
                                        "dofile",
                                        "print",
                                        "coroutine",
                                        "setmetatable",
                                        "getmetatable",
                                        "pcall",
                                        "xpcall",
                                        "collectgarbage",
                                        "pairs",
                                        "next",
                                        "rawset",
                                        "_G",
                                        "string.dump",
                                        "string.match",
                                        "string.gsub",
                                        "string.gmatch",
                                        "string.format",
                                        "math.random",
                                        "math.randomseed",
                                        "table.sort",
                                        "table.move",
                                        "utf8.charpattern"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char code[256];
        snprintf(code, sizeof(code), "assert(%s == nil) return function() return pass() end",
                 names[i]);
        chain_unref(single_chain(settings(code)));
    }
    chain_unref(single_chain(settings("assert(('').gsub == nil and ('').dump == nil)"
                                      " return function() end")));
    single_expect_refused(settings("tostring({})"), "a table or function has no text");
    single_expect_refused(settings("return tostring(type)"), "has no text");
    single_expect_refused("\"type\":\"script\",\"code\":\"\\u001bLua\"", "attempt to load a");
}

/* Both at the start and in a call, and what is said about it. `more` settings follow. */
static void expect_bomb(const char *bomb, const char *more, const char *message)
{
    char code[1024], json[8192], events[256];
    uint64_t began = clock_now_ns();
    snprintf(json, sizeof(json), "%s%s", settings(bomb), more);
    single_expect_refused(json, message);
    snprintf(code, sizeof(code), "return function() %s end", bomb);
    snprintf(json, sizeof(json), "%s%s", settings(code), more);
    snprintf(events, sizeof(events),
             "fail 0/script content#0 0-0 @0 filter_failed: the script %s\n", message);
    struct chain *chain = single_chain(json);
    struct trace trace;
    trace_run_text(&trace, chain, "secret", TRACE_WHOLE, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]), "");
    assert_string_equal(trace_string(&trace.events), events);
    trace_deinit(&trace);
    chain_unref(chain);
    uint64_t took = clock_now_ns() - began;
    printf("%7.1f ms: %s\n", (double)took / 1e6, bomb);
    if (took > MAX_NS) {
        fail_msg("%.1f s for: %s", (double)took / 1e9, bomb);
    }
}

static void endless_work_runs_out_of_steps(void **state)
{
    (void)state;
    static const char *const bombs[] = {
        "while true do end",
        "local function f() return f() end f()",
        "repeat local s = ('x'):rep(1000):upper() until false",
        "local s = ('a'):rep(60000) while true do s:find('b') end",
        "local s = ('a'):rep(60000) while true do utf8.len(s) end",
        "local s = ('a'):rep(60000) while true do tonumber(s) end",
        "local s = ('a'):rep(30000) local t, u = s .. 'x', s .. 'y' while t < u do end",
        "local s = ('a'):rep(30000) local t, u = s .. 'x', s .. 'y' while t ~= u do end",
        "local t = {} while true do table.insert(t, 1, 0) table.remove(t, 1) end",
        "local t = {} for i = 1, 900 do t[i] = '' end while true do table.concat(t) end",
        "while true do for i = 1, 1e9 do ('').rep('', 1e15) end end",
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        expect_bomb(bombs[i], "", "took more than 10000 steps");
    }
}

static void endless_memory_runs_out_too(void **state)
{
    (void)state;
    static const char *const bombs[] = {
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t = {t, {}, {}, {}, {}, {}, {}, {}} end",
        "local t = {} for i = 1, 2000 do t[i] = ('x'):rep(2000) .. i end",
        "local function f() return 1 + f() end f()",
        "local function f(...) return 1 + f(1, ...) end f()",
        "local s = ('x'):rep(30000) while true do local a = s .. 'y' end",
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        expect_bomb(bombs[i], ",\"max_steps\":1000000", "wanted more memory than it may have");
    }
    single_expect_refused(settings("('x'):rep(1e9)"), "the string is too long");
    single_expect_refused(settings("table.unpack({}, 1, 1e7)"), "too many results to unpack");
    single_expect_refused(settings("string.byte(('x'):rep(30000), 1, -1)"),
                          "string slice too long");
}

static void code_that_is_too_deep_is_refused(void **state)
{
    (void)state;
    char code[2048] = "return ";
    for (int i = 0; i < 600; i++) {
        strcat(code, "(");
    }
    single_expect_refused(settings(code), "filters[0].code: ");
}

static void errors_name_the_line_and_never_the_text(void **state)
{
    (void)state;
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"error(span.text)", "the script raised an error on line 1"},
        {"error({})", "the script raised an error on line 1"},
        {"return 7", "the script raised an error"},
        {"return {}", "the script raised an error"},
        {"return pass(2)", "the script raised an error"},
        {"return pass(-1)", "the script raised an error"},
        {"return pass(0.5)", "the script raised an error on line 1"},
        {"return pass(1), pass(0)", "the script raised an error"},
        {"return replace(1, '\\xFF')", "wrong call: the replacement is not UTF-8"},
        {"return replace(1, ('x'):rep(5000))", "wrong call: the replacement is too long"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char code[256];
        snprintf(code, sizeof(code), "return function(span) %s end", cases[i].body);
        struct chain *chain = single_chain(settings(code));
        struct trace trace;
        trace_run_text(&trace, chain, "secret", TRACE_WHOLE, NULL);
        if (!strstr(trace_string(&trace.events), cases[i].message) ||
            strstr(trace_string(&trace.events), "secret")) {
            fail_msg("%s: %s", cases[i].body, trace_string(&trace.events));
        }
        trace_deinit(&trace);
        chain_unref(chain);
    }
}

static void a_script_that_fails_open_is_left_out(void **state)
{
    (void)state;
    char json[8192];
    snprintf(json, sizeof(json), "%s,\"fail\":\"open\"",
             settings("return function(s) if s.text == 'c' then error('') end"
                      " return replace(1, 'x') end"));
    single_expect(json, "abcab", "xxcab", NULL);
}

static void holding_is_bounded(void **state)
{
    (void)state;
    static char text[5001];
    memset(text, 'a', sizeof(text) - 1);
    single_expect(settings("return function() end"), text, "",
                  "fail 0/script content#0 0-0 @0 filter_failed: "
                  "the script holds more than 4096 bytes\n");
}

static void settings_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    single_expect_refused("\"type\":\"script\"",
                          "filters[0]: give either \"code\" or \"file\"");
    single_expect_refused(settings("return 1"), "filters[0].code: the script must return a");
    single_expect_refused(settings("return function("), "filters[0].code: script:1: ");
    single_expect_refused("\"type\":\"script\",\"file\":\"a.lua\"", "filters[0].file: only a");
    single_expect_refused("\"type\":\"script\",\"code\":\"\",\"max_steps\":1",
                          "filters[0].max_steps: must be a whole number from 1000");
}

/* Every allocation of a chain and a text may fail, and nothing leaks or passes. */
static void running_out_of_memory_leaks_nothing(void **state)
{
    (void)state;
    size_t live = mem_live();
    bool reached = true;
    for (size_t n = 1; reached && n < 5000; n += 7) {
        char json[8192];
        snprintf(json, sizeof(json), "{\"name\":\"t\",\"filters\":[{%s}]}", settings(BAD));
        struct err e;
        mem_fail_at(n);
        struct chain *chain = chain_from_json(json, strlen(json), NULL, &e);
        struct chain_stream *stream =
            chain ? chain_stream_create(chain, FILTER_OUTPUT, &e) : NULL;
        struct buf out;
        buf_init(&out, 100);
        struct chain_sink sink = chain_sink_buf(&out);
        if (stream) {
            chain_feed(stream, FILTER_CONTENT, "a bad", 5, &sink, &e);
        }
        reached = mem_fail_reached();
        mem_fail_at(0);
        assert_null(strstr(trace_string(&out), "bad"));
        buf_deinit(&out);
        chain_stream_destroy(stream);
        chain_unref(chain);
        assert_int_equal(mem_live(), live);
    }
    assert_false(reached);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_held_passed_and_replaced),
        cmocka_unit_test(a_script_remembers_within_its_text),
        cmocka_unit_test(a_script_knows_its_text),
        cmocka_unit_test(random_text_gives_the_same_for_all_cuts),
        cmocka_unit_test(what_could_do_harm_is_not_there),
        cmocka_unit_test(endless_work_runs_out_of_steps),
        cmocka_unit_test(endless_memory_runs_out_too),
        cmocka_unit_test(code_that_is_too_deep_is_refused),
        cmocka_unit_test(errors_name_the_line_and_never_the_text),
        cmocka_unit_test(a_script_that_fails_open_is_left_out),
        cmocka_unit_test(holding_is_bounded),
        cmocka_unit_test(settings_that_make_no_sense_are_refused),
        cmocka_unit_test(running_out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
