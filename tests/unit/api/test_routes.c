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
#define X(route_name, want_method, want_path, want_auth, want_scope)       \
    if (!strchr(want_path, '*')) {                                         \
        char allow[64];                                                    \
        const struct route *r = route_find(want_method, want_path, allow); \
        assert_int_equal(r->id, ROUTE_##route_name);                       \
        assert_int_equal(r->auth, want_auth);                              \
        assert_int_equal(r->scope, want_scope);                            \
    }
    ROUTES(X)
#undef X
}

static void every_admin_path_needs_the_admin_key(void **state)
{
    (void)state;
#define X(route_name, want_method, want_path, want_auth, want_scope) \
    assert_int_equal(strncmp(want_path, "/admin/", 7) == 0, (want_auth) == ROUTE_ADMIN);
    ROUTES(X)
#undef X
}

/* A public route without a scope would be open to every key, however restricted. */
static void every_public_path_has_a_scope(void **state)
{
    (void)state;
#define X(route_name, want_method, want_path, want_auth, want_scope) \
    assert_int_equal((want_auth) == ROUTE_PUBLIC, (want_scope) != SCOPE_NONE);
    ROUTES(X)
#undef X
}

static void scopes_have_names(void **state)
{
    (void)state;
    for (int i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        const char *name = route_scope_name((enum route_scope)i);
        assert_int_equal(route_scope_named(name, strlen(name)), i);
    }
    assert_int_equal(route_scope_named("chatty", 4), SCOPE_CHAT);
    assert_int_equal(route_scope_named("chat", 3), SCOPE_NONE);
    assert_int_equal(route_scope_named("", 0), SCOPE_NONE);
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
    assert_string_equal(allow, "GET, HEAD, PUT, DELETE, OPTIONS");
    assert_int_equal(id_of("HEAD", "/healthz"), ROUTE_HEALTHZ);
    assert_int_equal(id_of("get", "/healthz"), ROUTE_WRONG_METHOD);
    assert_int_equal(route_find("OPTIONS", "/v1/chat/completions", allow)->id,
                     ROUTE_WRONG_METHOD);
    assert_string_equal(allow, "POST, OPTIONS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_finds_itself),
        cmocka_unit_test(every_admin_path_needs_the_admin_key),
        cmocka_unit_test(every_public_path_has_a_scope),
        cmocka_unit_test(scopes_have_names),
        cmocka_unit_test(a_star_wants_something_in_its_place),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
