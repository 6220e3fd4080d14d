/* stop_text.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/serve/stop_text.h"

/* Feeds `text` in chunks of n bytes and says what passed. */
static void run(const char *const *stops, size_t n_stops, const char *text, size_t n,
                struct buf *out, bool *stopped)
{
    struct stop_text s;
    stop_text_init(&s, stops, n_stops);
    for (size_t at = 0; at < strlen(text); at += n) {
        size_t left = strlen(text) - at;
        assert_int_equal(stop_text_feed(&s, text + at, left < n ? left : n, out), 0);
    }
    assert_int_equal(stop_text_finish(&s, out), 0);
    *stopped = s.stopped;
    stop_text_deinit(&s);
}

static void the_first_stop_ends_the_text_however_it_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *stops[3];
        const char *text;
        const char *passes;
        bool stopped;
    } cases[] = {
        {{"END"}, "one END two", "one ", true},
        {{"END"}, "one EN two E", "one EN two E", false},
        {{"aab"}, "aaab", "a", true},
        {{"bcd", "abcd"}, "xabcd", "x", true},
        {{"abab"}, "ababab", "", true},
        {{"bc", "abcd"}, "xabcd", "xa", true},
        {{"bcx", "abcd"}, "xabcd", "x", true},
        {{"\n\n"}, "a\nb\n\nc", "a\nb", true},
        {{"x", "y", "z"}, "abc", "abc", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n_stops = 0;
        while (n_stops < 3 && cases[i].stops[n_stops]) {
            n_stops++;
        }
        for (size_t n = 1; n <= strlen(cases[i].text); n++) {
            struct buf out;
            bool stopped = false;
            buf_init(&out, 1024);
            run(cases[i].stops, n_stops, cases[i].text, n, &out, &stopped);
            if (stopped != cases[i].stopped || out.len != strlen(cases[i].passes) ||
                memcmp(out.data ? out.data : "", cases[i].passes, out.len) != 0) {
                fail_msg("case %zu in chunks of %zu passes \"%s\"", i, n, out.data);
            }
            buf_deinit(&out);
        }
    }
}

static void only_what_may_become_a_stop_is_held(void **state)
{
    (void)state;
    static const char *const stops[] = {"stop"};
    struct stop_text s;
    struct buf out;
    buf_init(&out, 1024);
    stop_text_init(&s, stops, 1);
    assert_int_equal(stop_text_feed(&s, "a st", 4, &out), 0);
    assert_string_equal(out.data, "a ");
    assert_int_equal(stop_text_feed(&s, "ep", 2, &out), 0);
    assert_string_equal(out.data, "a step");
    assert_int_equal(stop_text_feed(&s, " stopped", 8, &out), 0);
    assert_string_equal(out.data, "a step ");
    assert_int_equal(stop_text_feed(&s, "more", 4, &out), 0);
    assert_string_equal(out.data, "a step ");
    stop_text_deinit(&s);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_stop_ends_the_text_however_it_is_cut),
        cmocka_unit_test(only_what_may_become_a_stop_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
