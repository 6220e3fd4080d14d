/* answer_form.h: forms that were compiled are kept, each once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/serve/answer_form.h"

static struct grammar *compile(const char *regex)
{
    struct err e = {0};
    struct grammar *g = grammar_from_regex(regex, strlen(regex), &e);
    assert_non_null(g);
    return g;
}

static int count(const struct form_cache *c)
{
    int n = 0;
    for (size_t i = 0; i < FORM_CACHE_SIZE; i++) {
        n += c->items[i].grammar != NULL;
    }
    return n;
}

static void what_is_there_already_is_used(void **state)
{
    (void)state;
    struct form_cache c = {0};
    struct grammar *first = form_cache_add(&c, "a", compile("a"));
    struct grammar *again = form_cache_add(&c, "a", compile("a"));
    struct grammar *other = form_cache_add(&c, "b", compile("b"));
    assert_ptr_equal(first, again);
    assert_ptr_not_equal(first, other);
    assert_int_equal(count(&c), 2);
    grammar_release(first);
    grammar_release(again);
    grammar_release(other);
    form_cache_deinit(&c);
}

static void the_one_that_was_used_longest_ago_makes_room(void **state)
{
    (void)state;
    struct form_cache c = {0};
    char key[16];
    for (int i = 0; i <= FORM_CACHE_SIZE; i++) {
        snprintf(key, sizeof(key), "%d", i);
        grammar_release(form_cache_add(&c, key, compile("a")));
        if (i > 0) {
            struct grammar *used = form_cache_find(&c, "0");
            assert_non_null(used);
            grammar_release(used);
        }
    }
    assert_int_equal(count(&c), FORM_CACHE_SIZE);
    assert_null(form_cache_find(&c, "1"));
    form_cache_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_already_is_used),
        cmocka_unit_test(the_one_that_was_used_longest_ago_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
