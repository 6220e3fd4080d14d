/* access.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    struct err e = {0};
    if (api_key[0]) {
        assert_int_equal(access_add_key(&a, "other", 5, &e), 0);
        assert_int_equal(access_add_key(&a, api_key, strlen(api_key), &e), 0);
    }
    const struct route route = {.id = ROUTE_ADMIN_MODELS, .auth = auth};
    const struct http_header header = {name, value};
    const struct http_request r = {
        .host = "x", .headers = &header, .header_count = name ? 1 : 0};
    struct api_error refusal = {0};
    bool may = access_check(&a, &route, &r, &refusal);
    assert_int_equal(refusal.status, may ? 0 : 401);
    access_deinit(&a);
    return may;
}

static uint64_t tenant_of(const struct access *a, const char *key)
{
    const struct http_header header = {"x-api-key", key};
    const struct http_request r = {.headers = &header, .header_count = 1};
    return access_tenant(a, &r);
}

static int add_file(struct access *a, const char *text, struct err *e)
{
    char path[] = "/tmp/weir-keys-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int rc = access_add_key_file(a, path, e);
    unlink(path);
    return rc;
}

static void keys_of_a_file_tell_callers_apart(void **state)
{
    (void)state;
    struct access a = {.admin_key = "admin"};
    struct err e = {0};
    assert_int_equal(tenant_of(&a, "anything"), 0);
    assert_int_equal(add_file(&a, "# of the team\nalpha\r\n\nbeta", &e), 0);
    assert_int_equal(a.n_api_keys, 2);
    assert_int_equal(tenant_of(&a, "alpha"), 1);
    assert_int_equal(tenant_of(&a, "beta"), 2);
    assert_int_equal(tenant_of(&a, "# of the team"), 0);
    assert_int_equal(tenant_of(&a, ""), 0);
    access_deinit(&a);
    assert_int_equal(add_file(&a, "# none\n", &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    char long_key[ACCESS_KEY_MAX + 2];
    memset(long_key, 'k', sizeof(long_key) - 1);
    long_key[sizeof(long_key) - 1] = '\0';
    assert_int_equal(add_file(&a, long_key, &e), -1);
    access_deinit(&a);
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
        cmocka_unit_test(keys_of_a_file_tell_callers_apart),
        cmocka_unit_test(a_made_key_is_long_and_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
