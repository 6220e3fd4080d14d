#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/net/http_choice.h"

static int wanted(const char *field, const char *coding)
{
    struct http_header header = {"Accept-Encoding", field};
    struct http_request request = {.headers = &header, .header_count = field ? 1 : 0};
    return http_coding_wanted(&request, coding);
}

static void without_the_field_only_identity_is_wanted(void **state)
{
    (void)state;
    assert_int_equal(wanted(NULL, "gzip"), 0);
    assert_true(wanted(NULL, "identity") > 0);
    assert_true(wanted("", "identity") > 0);
}

static void a_named_coding_has_its_weight(void **state)
{
    (void)state;
    assert_int_equal(wanted("gzip", "gzip"), 1000);
    assert_int_equal(wanted("deflate, GZip;q=0.5 , br", "gzip"), 500);
    assert_int_equal(wanted("gzip ; Q=0.125", "gzip"), 125);
    assert_int_equal(wanted("gzip;q=0.1259", "gzip"), 125);
    assert_int_equal(wanted("gzip;q=1.000", "gzip"), 1000);
    assert_int_equal(wanted("gzip;q=0", "gzip"), 0);
    assert_int_equal(wanted("gzip;q=0.000", "gzip"), 0);
    assert_int_equal(wanted("identity;q=0", "identity"), 0);
    assert_int_equal(wanted("xgzip, gzipx", "gzip"), 0);
}

static void a_star_is_all_that_is_not_named(void **state)
{
    (void)state;
    assert_int_equal(wanted("*", "br"), 1000);
    assert_int_equal(wanted("*;q=0.2, br;q=0", "br"), 0);
    assert_int_equal(wanted("br, *;q=0", "gzip"), 0);
    assert_int_equal(wanted("br, *;q=0", "identity"), 0);
}

static void what_is_wrong_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(wanted(",,;,=,q=,\t, gzip", "gzip"), 1000);
    assert_int_equal(wanted("gzip;", "gzip"), 1000);
    assert_int_equal(wanted("gzip;q", "gzip"), 1000);
    assert_int_equal(wanted("gzip;q=", "gzip"), 1000);
    assert_int_equal(wanted("gzip;q=0.", "gzip"), 0);
    assert_int_equal(wanted(",", "gzip"), 0);
}

static void several_lines_are_one_list(void **state)
{
    (void)state;
    struct http_header headers[] = {
        {"accept-encoding", "gzip"}, {"host", "br"}, {"ACCEPT-ENCODING", "br;q=0.3"}};
    struct http_request request = {.headers = headers, .header_count = 3};
    assert_int_equal(http_coding_wanted(&request, "gzip"), 1000);
    assert_int_equal(http_coding_wanted(&request, "br"), 300);
}

static bool known(const char *field)
{
    struct http_header header = {"If-None-Match", field};
    struct http_request request = {.headers = &header, .header_count = field ? 1 : 0};
    return http_has_etag(&request, "abc");
}

static void an_etag_is_known_by_its_whole_text(void **state)
{
    (void)state;
    assert_true(known("\"abc\""));
    assert_true(known("W/\"abc\""));
    assert_true(known("\"x\", W/\"y\" ,\"abc\""));
    assert_true(known("*"));
    assert_false(known(NULL));
    assert_false(known(""));
    assert_false(known("abc"));
    assert_false(known("\"abcd\""));
    assert_false(known("\"ab\""));
    assert_false(known("\"ABC\""));
    assert_false(known("\"abc"));
    assert_false(known("W/"));
    assert_false(known("w/\"abc\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_field_only_identity_is_wanted),
        cmocka_unit_test(a_named_coding_has_its_weight),
        cmocka_unit_test(a_star_is_all_that_is_not_named),
        cmocka_unit_test(what_is_wrong_is_passed_over),
        cmocka_unit_test(several_lines_are_one_list),
        cmocka_unit_test(an_etag_is_known_by_its_whole_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
