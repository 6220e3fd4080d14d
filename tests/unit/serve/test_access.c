/* access.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/serve/access.h"

static bool host_may(const char *host)
{
    const struct access a = {.admin_key = "k", .loopback_only = true};
    const struct route route = {.id = ROUTE_HEALTHZ, .auth = ROUTE_OPEN};
    const struct http_request r = {.host = host};
    struct api_error refusal = {0};
    bool may = access_check(&a, &route, &r, &refusal);
    assert_int_equal(refusal.status, may ? 0 : 403);
    return may;
}

static void only_loopback_names_reach_a_loopback_server(void **state)
{
    (void)state;
    static const char *const good[] = {"localhost",      "LocalHost:80", "127.0.0.1",
                                       "127.1.2.3:8080", "[::1]",        "[::1]:80"};
    static const char *const bad[] = {"example.org",
                                      "127.0.0.1.example.org",
                                      "127.example.org:80",
                                      "localhost.example.org",
                                      "10.0.0.1",
                                      "[::2]:80",
                                      "[",
                                      ":80",
                                      "1270.0.0.1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(host_may(good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(host_may(bad[i]));
    }
    char longest[600];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(host_may(longest));
}

static bool key_may(const char *api_key, enum route_auth auth, const char *name,
                    const char *value)
{
    struct access a = {.admin_key = "admin"};
    snprintf(a.api_key, sizeof(a.api_key), "%s", api_key);
    const struct route route = {.id = ROUTE_ADMIN_MODELS, .auth = auth};
    const struct http_header header = {name, value};
    const struct http_request r = {
        .host = "x", .headers = &header, .header_count = name ? 1 : 0};
    struct api_error refusal = {0};
    bool may = access_check(&a, &route, &r, &refusal);
    assert_int_equal(refusal.status, may ? 0 : 401);
    return may;
}

static void each_route_wants_its_own_key(void **state)
{
    (void)state;
    assert_true(key_may("", ROUTE_PUBLIC, NULL, NULL));
    assert_true(key_may("", ROUTE_OPEN, NULL, NULL));
    assert_false(key_may("", ROUTE_ADMIN, NULL, NULL));
    assert_false(key_may("", ROUTE_ADMIN, "Authorization", "Bearer "));
    assert_true(key_may("", ROUTE_ADMIN, "Authorization", "Bearer admin"));
    assert_true(key_may("", ROUTE_ADMIN, "X-Api-Key", "admin"));
    assert_false(key_may("", ROUTE_ADMIN, "Authorization", "Bearer admin2"));
    assert_false(key_may("", ROUTE_ADMIN, "Authorization", "Bearer admi"));
    assert_false(key_may("public", ROUTE_ADMIN, "Authorization", "Bearer public"));
    assert_false(key_may("public", ROUTE_PUBLIC, NULL, NULL));
    assert_true(key_may("public", ROUTE_PUBLIC, "authorization", "bearer public"));
    assert_false(key_may("public", ROUTE_PUBLIC, "authorization", "Basic public"));
}

static void a_made_key_is_long_and_new(void **state)
{
    (void)state;
    char a[ACCESS_KEY_MAX];
    char b[ACCESS_KEY_MAX];
    struct err e = {0};
    assert_int_equal(access_generate_key(a, &e), 0);
    assert_int_equal(access_generate_key(b, &e), 0);
    assert_int_equal(strlen(a), 64);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_loopback_names_reach_a_loopback_server),
        cmocka_unit_test(each_route_wants_its_own_key),
        cmocka_unit_test(a_made_key_is_long_and_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
