/* GBNF: what is taken, what it allows, what is refused and with which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "tests/unit/grammar/matching.h"

struct example {
    const char *grammar;
    const char *allowed[6];
    const char *refused[6];
};

static const struct example examples[] = {
    {"root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "ye", "yesno", "maybe"}},
    {"root ::= [a-c]+ [^a-c]", {"abcd", "a\xC3\xA9", "c\n"}, {"abc", "d", "add"}},
    {"root ::= \"a\"? \"b\"* \"c\"+", {"c", "abbc", "bcc"}, {"", "a", "aac", "ab"}},
    {"root ::= \"a\"{3}", {"aaa"}, {"aa", "aaaa"}},
    {"root ::= \"a\"{2,}", {"aa", "aaaaaaa"}, {"a", ""}},
    {"root ::= \"a\"{,2}", {"", "aa"}, {"aaa"}},
    {"root ::= (\"a\" | \"bc\"){1,2} \"d\"", {"ad", "bcad"}, {"d", "aaad", "bd"}},
    {"root ::= (\"a\"{2} \"b\"){2,3}", {"aabaab", "aabaabaab"}, {"aab", "aabab", "aaabaab"}},
    {"root ::= x{2} \"b\"{1,2}\nx ::= \"a\" | \"\"", {"b", "ab", "aabb"}, {"aaab", "aa"}},
    {"root ::= (\"a\"? \"b\"?){3} \"c\"", {"c", "abc", "ababbc"}, {"bababac"}},
    {"root ::= (\"a\"*)* \"b\"", {"b", "aaab"}, {"a", "ba"}},
    {"root ::= a\na ::= \"(\" a \")\" | \"x\"", {"x", "((x))"}, {"(x", "x)", "()"}},
    {"root ::= \"x\" root | \"y\"", {"y", "xxxy"}, {"x", "yy"}},
    {"# a comment\nroot ::= # another\n  \"a\" | # one more\n  (\n  \"b\"\n  \"c\" )\n",
     {"a", "bc"},
     {"b", "ac"}},
    {"root ::= \"a\"\n  | \"b\"\nother ::= \"c\"", {"a", "b"}, {"c"}},
    {"root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\\\\\\"\"",
     {"A\xC3\xA9\xF0\x9F\x98\x80\n\t\\\""},
     {"A"}},
    {"root ::= [\\x41-\\x43\\]\\n-]", {"A", "C", "]", "\n", "-"}, {"D", "\\", ""}},
    {"root ::= .",
     {"a", "\n", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"},
     {"ab", "\xFF", "\xE2\x82", "\xED\xA0\x80"}},
    {"root ::= [\\u0100-\\U00010000]",
     {"\xC4\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80"},
     {"a", "\xF0\x90\x80\x81", "\xED\xB0\x80"}},
    {"root ::= \"abc\" | \"abd\" | \"a\" | \"xyz\" | \"ab\"",
     {"a", "ab", "abc", "abd", "xyz"},
     {"", "x", "abe", "abcd"}},
    {"root ::= [] | \"a\" never | \"b\"\nnever ::= \"c\" never", {"b"}, {"a", "ac"}},
};

static void examples_are_allowed_and_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const struct example *x = &examples[i];
        struct grammar *g = gbnf(x->grammar);
        for (int k = 0; k < 6; k++) {
            if (x->allowed[k] && !matches(g, x->allowed[k])) {
                fail_msg("%s: does not allow \"%s\"", x->grammar, x->allowed[k]);
            }
            if (x->refused[k] && matches(g, x->refused[k])) {
                fail_msg("%s: allows \"%s\"", x->grammar, x->refused[k]);
            }
        }
        grammar_release(g);
    }
}

static void a_beginning_that_leads_nowhere_is_refused_at_once(void **state)
{
    (void)state;
    struct grammar *g = gbnf("root ::= \"a\" never | \"ab\"\nnever ::= \"x\" never");
    assert_true(begins(g, "a"));
    assert_false(begins(g, "ax"));
    grammar_release(g);
}

static void errors_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *grammar;
        enum err_kind kind;
        const char *message;
    } cases[] = {
        {"", ERR_INVALID, "no rule \"root\""},
        {"root ::= \"a\" b", ERR_INVALID, "line 1: rule \"b\" is used but not defined"},
        {"root ::= a\na ::= a \"x\" | \"y\"", ERR_INVALID,
         "line 2: rule \"a\" is left-recursive"},
        {"root ::= a\na ::= b? a \"x\" | \"y\"\nb ::= \"z\"", ERR_INVALID, "left-recursive"},
        {"root ::= \"a\"\nroot ::= \"b\"", ERR_INVALID,
         "line 2: rule \"root\" is defined twice"},
        {"root ::= \"a\n\"", ERR_INVALID, "line 1: the line ends inside"},
        {"root ::=\n\"a\"{1000001}", ERR_LIMIT, "line 2: the repetition is too large"},
        {"root ::= \"a\"{3,2}", ERR_INVALID, "wrong way round"},
        {"root ::= [z-a]", ERR_INVALID, "wrong way round"},
        {"root ::= (\"a\"", ERR_INVALID, "')' was expected"},
        {"root ::= \"a\")", ERR_INVALID, "')' has no '('"},
        {"root ::= \"\\q\"", ERR_INVALID, "unknown escape"},
        {"root ::= [\\uD800]", ERR_INVALID, "not a Unicode character"},
        {"root = \"a\"", ERR_INVALID, "\"::=\" was expected"},
        {"root ::= *", ERR_INVALID, "was expected"},
        {"root ::= \"a\" root", ERR_INVALID, "allows no answer"},
        {"root ::= \"a\"???????????????????", ERR_LIMIT, "quantifiers"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct err e = gbnf_error(cases[i].grammar);
        if (e.kind != cases[i].kind || !strstr(e.message, cases[i].message)) {
            fail_msg("%s: %d %s", cases[i].grammar, e.kind, e.message);
        }
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    char *text = mem_alloc(2 * MANY + 16);
    assert_non_null(text);
    memcpy(text, "root ::= ", 9);
    memset(text + 9, '(', MANY);
    text[MANY + 9] = '\0';
    assert_int_equal(gbnf_error(text).kind, ERR_LIMIT);
    mem_free(text);
}

static void a_large_repetition_costs_no_states(void **state)
{
    (void)state;
    struct grammar *g = gbnf("root ::= ([a-z]{0,1000000} \".\"){1,1000000}");
    assert_true(matches(g, "abc.def."));
    assert_false(matches(g, "abc.def"));
    grammar_release(g);
}

static void too_many_nodes_are_refused(void **state)
{
    (void)state;
    enum { RULES = 20000 };
    struct buf text;
    buf_init(&text, GRAMMAR_TEXT_MAX);
    buf_append_str(&text, "root ::= \"a\"\n");
    for (int i = 0; i < RULES; i++) {
        buf_printf(&text, "r%d ::= \"0123456789012345678901234567\"\n", i);
    }
    assert_int_equal(gbnf_error(text.data).kind, ERR_LIMIT);
    buf_deinit(&text);
}

static void a_failed_allocation_is_an_error(void **state)
{
    (void)state;
    static const char text[] =
        "root ::= (\"a\" | [b-d]{2,3} x)+ \nx ::= \"q\" | \"r\" | \"s\" | \"t\" root";
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        const size_t live = mem_live();
        mem_fail_at(nth);
        struct grammar *g = grammar_from_gbnf(text, strlen(text), &e);
        const bool reached = mem_fail_reached();
        mem_fail_at(0);
        if (g) {
            grammar_release(g);
        } else {
            assert_int_equal(e.kind, ERR_NOMEM);
        }
        assert_int_equal(mem_live(), live);
        if (!reached) {
            assert_true(nth > 10);
            return;
        }
    }
}

static void choices_are_allowed_as_they_are(void **state)
{
    (void)state;
    static const char *const choices[] = {"red", "green", "re", "\"*", "caf\xC3\xA9", "green"};
    struct err e = {0};
    struct grammar *g = grammar_from_choice(choices, 6, &e);
    assert_non_null(g);
    for (int i = 0; i < 6; i++) {
        assert_true(matches(g, choices[i]));
    }
    assert_false(matches(g, "r"));
    assert_false(matches(g, ""));
    assert_false(matches(g, "redgreen"));
    grammar_release(g);
    assert_null(grammar_from_choice(choices, 0, &e));
    assert_int_equal(e.kind, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_allowed_and_refused),
        cmocka_unit_test(a_beginning_that_leads_nowhere_is_refused_at_once),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_large_repetition_costs_no_states),
        cmocka_unit_test(too_many_nodes_are_refused),
        cmocka_unit_test(a_failed_allocation_is_an_error),
        cmocka_unit_test(choices_are_allowed_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
