/* routes.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/api/routes.h"

static enum route_id id_of(const char *method, const char *path)
{
    char allow[64];
    return route_find(method, path, allow)->id;
}

static void every_row_finds_itself(void **state)
{
    (void)state;
#define X(route_name, want_method, want_path, want_auth)                   \
    if (!strchr(want_path, '*')) {                                         \
        char allow[64];                                                    \
        const struct route *r = route_find(want_method, want_path, allow); \
        assert_int_equal(r->id, ROUTE_##route_name);                       \
        assert_int_equal(r->auth, want_auth);                              \
    }
    ROUTES(X)
#undef X
}

static void every_admin_path_needs_the_admin_key(void **state)
{
    (void)state;
#define X(route_name, want_method, want_path, want_auth) \
    assert_int_equal(strncmp(want_path, "/admin/", 7) == 0, (want_auth) == ROUTE_ADMIN);
    ROUTES(X)
#undef X
}

static void a_star_wants_something_in_its_place(void **state)
{
    (void)state;
    assert_int_equal(id_of("GET", "/v1/models/a"), ROUTE_MODELS_GET);
    assert_int_equal(id_of("GET", "/v1/models/"), ROUTE_NOT_FOUND);
    assert_int_equal(id_of("GET", "/v1/models"), ROUTE_MODELS_LIST);
    assert_int_equal(id_of("GET", "/v1/modelsx"), ROUTE_NOT_FOUND);
    assert_int_equal(id_of("GET", ""), ROUTE_NOT_FOUND);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    char allow[64];
    assert_int_equal(route_find("POST", "/admin/prompts/default", allow)->id,
                     ROUTE_WRONG_METHOD);
    assert_string_equal(allow, "GET, PUT");
    assert_int_equal(id_of("HEAD", "/healthz"), ROUTE_HEALTHZ);
    assert_int_equal(id_of("get", "/healthz"), ROUTE_WRONG_METHOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_finds_itself),
        cmocka_unit_test(every_admin_path_needs_the_admin_key),
        cmocka_unit_test(a_star_wants_something_in_its_place),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
