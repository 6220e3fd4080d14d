/* cors.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/serve/cors.h"

static bool allows(const struct cors *c, const char *origin)
{
    const struct http_header header = {"Origin", origin};
    const struct http_request r = {
        .method = "GET", .headers = &header, .header_count = origin ? 1 : 0};
    return cors_allows(c, &r);
}

static void exactly_the_listed_origins_are_allowed(void **state)
{
    (void)state;
    struct cors c = {0};
    struct err e;
    assert_false(allows(&c, "https://a.example"));
    assert_int_equal(cors_allow(&c, "https://a.example,http://localhost:3000", &e), 0);
    assert_int_equal(cors_allow(&c, "http://[::1]:8080", &e), 0);
    assert_true(allows(&c, "https://a.example"));
    assert_true(allows(&c, "http://localhost:3000"));
    assert_true(allows(&c, "http://[::1]:8080"));
    assert_false(allows(&c, "http://a.example"));
    assert_false(allows(&c, "https://a.example:8443"));
    assert_false(allows(&c, "https://a.example.evil.test"));
    assert_false(allows(&c, "null"));
    assert_false(allows(&c, NULL));
    cors_deinit(&c);
}

static void a_star_must_be_asked_for(void **state)
{
    (void)state;
    struct cors c = {0};
    struct err e;
    assert_int_equal(cors_allow(&c, "*", &e), 0);
    assert_true(allows(&c, "https://a.example"));
    assert_true(allows(&c, "null"));
    assert_false(allows(&c, NULL));
    cors_deinit(&c);
}

static void what_is_no_origin_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "a.example",
                                      "https://",
                                      "://a",
                                      "https://a/path",
                                      "https://A.example",
                                      "null",
                                      "https://a ",
                                      "https://a,,https://b",
                                      "https://*.example"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cors c = {0};
        struct err e;
        assert_int_equal(cors_allow(&c, bad[i], &e), -1);
        cors_deinit(&c);
    }
}

static void asked_fields_are_named_back_if_they_are_names(void **state)
{
    (void)state;
    struct http_header headers[] = {{"Origin", "https://a.example"},
                                    {"Access-Control-Request-Method", "POST"},
                                    {"Access-Control-Request-Headers", "authorization, x-a"}};
    const struct http_request r = {.method = "OPTIONS", .headers = headers, .header_count = 3};
    struct buf head;
    buf_init(&head, 4096);
    assert_true(cors_is_preflight(&r));
    cors_add_preflight_fields(&r, "POST, OPTIONS", &head);
    assert_non_null(strstr(head.data, "Access-Control-Allow-Headers: authorization, x-a\r\n"));
    assert_non_null(strstr(head.data, "Access-Control-Allow-Methods: POST, OPTIONS\r\n"));
    assert_non_null(strstr(head.data, "Access-Control-Max-Age: "));
    buf_clear(&head);
    headers[2].value = "a: b";
    cors_add_preflight_fields(&r, "POST", &head);
    assert_null(strstr(head.data, "Allow-Headers"));
    buf_deinit(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_listed_origins_are_allowed),
        cmocka_unit_test(a_star_must_be_asked_for),
        cmocka_unit_test(what_is_no_origin_is_refused),
        cmocka_unit_test(asked_fields_are_named_back_if_they_are_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
