/* Regular expressions: what they allow as a whole answer, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/grammar/matching.h"

static void examples_are_allowed_and_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *allowed[5];
        const char *refused[5];
    } cases[] = {
        {"abc", {"abc"}, {"ab", "abcd", "xabc"}},
        {"^abc$", {"abc"}, {"ab", "abcd"}},
        {"^(a|b$)", {"a", "b"}, {"ab", ""}},
        {"a|b|", {"a", "b", ""}, {"ab"}},
        {"\\d{3}-\\w+", {"123-a_Z"}, {"12-a", "123-", "123-\xC3\xA9"}},
        {"[^\\d\\s]+", {"ab-"}, {"a1", "a b", ""}},
        {"[\\d-z]", {"5", "-", "z"}, {"a"}},
        {"[a-c\\]^-]*", {"a]^-", ""}, {"d"}},
        {".+", {"a\xE2\x82\xAC"}, {"a\n", ""}},
        {"(?:ab){2,3}?", {"abab", "ababab"}, {"ab", "abababab"}},
        {"(?<year>\\d{4})(?P<x>a)", {"2024a"}, {"2024"}},
        {"\\x41\\u00e9\\u{1F600}\\ud83d\\ude00",
         {"A\xC3\xA9\xF0\x9F\x98\x80\xF0\x9F\x98\x80"},
         {"A"}},
        {"\\t\\n\\cA\\.\\/\\-", {"\t\n\x01./-"}, {"t"}},
        {"a{,3}", {"a{,3}"}, {"aaa", ""}},
        {"x{2}y{0}", {"xx"}, {"xxy"}},
        {"\\Aa\\z", {"a"}, {"b"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct grammar *g = regex(cases[i].pattern);
        for (int k = 0; k < 5; k++) {
            if (cases[i].allowed[k] && !matches(g, cases[i].allowed[k])) {
                fail_msg("%s: does not allow \"%s\"", cases[i].pattern, cases[i].allowed[k]);
            }
            if (cases[i].refused[k] && matches(g, cases[i].refused[k])) {
                fail_msg("%s: allows \"%s\"", cases[i].pattern, cases[i].refused[k]);
            }
        }
        grammar_release(g);
    }
}

static void what_can_not_be_enforced_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        enum err_kind kind;
        const char *message;
    } cases[] = {
        {"(a)\\1", ERR_UNSUPPORTED, "back-reference"},
        {"(?<n>a)\\k<n>", ERR_UNSUPPORTED, "back-reference"},
        {"a(?=b)", ERR_UNSUPPORTED, "position 4: a lookahead"},
        {"a(?!b)", ERR_UNSUPPORTED, "negative lookahead"},
        {"(?<=a)b", ERR_UNSUPPORTED, "lookbehind"},
        {"(?<!a)b", ERR_UNSUPPORTED, "negative lookbehind"},
        {"\\bword\\b", ERR_UNSUPPORTED, "word boundary"},
        {"(?i)a", ERR_UNSUPPORTED, "inline flag"},
        {"(?>a)", ERR_UNSUPPORTED, "atomic group"},
        {"a*+", ERR_UNSUPPORTED, "possessive"},
        {"\\p{L}", ERR_UNSUPPORTED, "Unicode property"},
        {"a^b", ERR_UNSUPPORTED, "\"^\" inside"},
        {"(a$)*b", ERR_UNSUPPORTED, "\"$\" inside"},
        {"(a", ERR_INVALID, "')' was expected"},
        {"a)", ERR_INVALID, "has no '('"},
        {"[a", ERR_INVALID, "']' was expected"},
        {"[b-a]", ERR_INVALID, "wrong way round"},
        {"*a", ERR_INVALID, "nothing stands before"},
        {"a**", ERR_INVALID, "behind another"},
        {"a{3,2}", ERR_INVALID, "wrong way round"},
        {"a{9999999}", ERR_LIMIT, "too large"},
        {"\\q", ERR_INVALID, "unknown escape"},
        {"\\", ERR_INVALID, "ends behind a backslash"},
        {"[]", ERR_INVALID, "no answer"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct err e = regex_error(cases[i].pattern);
        if (e.kind != cases[i].kind || !strstr(e.message, cases[i].message)) {
            fail_msg("%s: %d %s", cases[i].pattern, e.kind, e.message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_allowed_and_refused),
        cmocka_unit_test(what_can_not_be_enforced_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
