/* access.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/serve/access.h"

#define SECOND_NS 1000000000ull

/* SHA-256 of "alpha" and "beta". */
#define ALPHA "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
#define BETA  "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753"

static struct access a;
static struct err e;
static char path[] = "/tmp/weir-keys-XXXXXX";

static int begin(void **state)
{
    (void)state;
    strcpy(path, "/tmp/weir-keys-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(access_init(&a, &e), 0);
    return access_set_admin_key(&a, "admin", &e);
}

static int end(void **state)
{
    (void)state;
    access_deinit(&a);
    unlink(path);
    return 0;
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int add_file(const char *text)
{
    write_file(text);
    return access_add_key_file(&a, path, &e);
}

/* ---- names ---- */

static bool host_may(const char *host)
{
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
    a.loopback_only = true;
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

static void further_names_can_be_allowed(void **state)
{
    (void)state;
    a.loopback_only = true;
    assert_int_equal(access_allow_host(&a, "weir.example.org", &e), 0);
    assert_int_equal(access_allow_host(&a, "2001:db8::1", &e), 0);
    assert_true(host_may("weir.example.org:8080"));
    assert_true(host_may("WEIR.example.org"));
    assert_true(host_may("[2001:db8::1]:80"));
    assert_true(host_may("localhost"));
    assert_false(host_may("example.org"));
    assert_false(host_may("weir.example.org.evil.test"));
    static const char *const bad[] = {"", "a:80", "http://a", "[::1]", "*.example.org", "a b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(access_allow_host(&a, bad[i], &e), -1);
    }
}

static bool origin_may(const char *origin)
{
    const struct http_header header = {"Origin", origin};
    const struct http_request r = {.host = "localhost", .headers = &header, .header_count = 1};
    return access_origin_is_near(&a, &r);
}

static void pages_from_elsewhere_do_not_reach_a_loopback_server(void **state)
{
    (void)state;
    assert_true(origin_may("https://example.org")); /* it is no loopback server yet */
    a.loopback_only = true;
    assert_true(origin_may("http://localhost:8080"));
    assert_true(origin_may("https://127.0.0.1"));
    assert_true(origin_may("http://[::1]:3000"));
    assert_false(origin_may("https://example.org"));
    assert_false(origin_may("https://localhost.example.org"));
    assert_false(origin_may("null"));
    assert_false(origin_may(""));
    assert_int_equal(access_allow_host(&a, "example.org", &e), 0);
    assert_true(origin_may("https://example.org"));
}

static void a_unix_socket_asks_for_no_name(void **state)
{
    (void)state;
    const struct http_header header = {"Origin", "https://example.org"};
    const struct http_request r = {
        .host = "anything", .headers = &header, .header_count = 1, .is_unix = true};
    const struct route route = {.id = ROUTE_HEALTHZ, .auth = ROUTE_OPEN};
    struct api_error refusal;
    a.loopback_only = true;
    assert_true(access_check(&a, &route, &r, &refusal));
    assert_true(access_origin_is_near(&a, &r));
}

/* ---- keys ---- */

/* The status with which a route of that kind answers a key: 0 when it may go on. */
static int status_for(enum route_auth auth, enum route_scope scope, const char *name,
                      const char *value)
{
    const struct route route = {.id = ROUTE_ADMIN_MODELS, .auth = auth, .scope = scope};
    const struct http_header header = {name, value};
    const struct http_request r = {
        .host = "x", .headers = &header, .header_count = name ? 1 : 0};
    struct api_error refusal = {0};
    bool may = access_check(&a, &route, &r, &refusal);
    assert_true(may == (refusal.status == 0));
    return refusal.status;
}

static bool may(enum route_auth auth, const char *name, const char *value)
{
    return status_for(auth, SCOPE_CHAT, name, value) == 0;
}

static uint64_t tenant_of(const char *key)
{
    const struct http_header header = {"x-api-key", key};
    const struct http_request r = {.headers = &header, .header_count = 1};
    return access_tenant(&a, &r);
}

static struct access_key *key_of(const char *key)
{
    const struct http_header header = {"x-api-key", key};
    const struct http_request r = {.headers = &header, .header_count = 1};
    return access_key_of(&a, &r);
}

static void each_route_wants_its_own_key(void **state)
{
    (void)state;
    assert_true(may(ROUTE_PUBLIC, NULL, NULL)); /* no keys are set */
    assert_true(may(ROUTE_OPEN, NULL, NULL));
    assert_false(may(ROUTE_ADMIN, NULL, NULL));
    assert_false(may(ROUTE_ADMIN, "Authorization", "Bearer "));
    assert_true(may(ROUTE_ADMIN, "Authorization", "Bearer admin"));
    assert_true(may(ROUTE_ADMIN, "X-Api-Key", "admin"));
    assert_false(may(ROUTE_ADMIN, "Authorization", "Bearer admin2"));
    assert_false(may(ROUTE_ADMIN, "Authorization", "Bearer admi"));

    assert_int_equal(access_add_key(&a, "other", 5, &e), 0);
    assert_int_equal(access_add_key(&a, "public", 6, &e), 0);
    assert_false(may(ROUTE_ADMIN, "Authorization", "Bearer public"));
    assert_false(may(ROUTE_PUBLIC, "Authorization", "Bearer admin"));
    assert_false(may(ROUTE_PUBLIC, NULL, NULL));
    assert_true(may(ROUTE_OPEN, NULL, NULL));
    assert_true(may(ROUTE_PUBLIC, "authorization", "bearer public"));
    assert_false(may(ROUTE_PUBLIC, "authorization", "Basic public"));
    /* Who knows the hash does not know the key. */
    assert_false(may(ROUTE_PUBLIC, "x-api-key",
                     "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7"));
}

static void without_an_admin_key_admin_routes_are_closed(void **state)
{
    (void)state;
    struct access none;
    assert_int_equal(access_init(&none, &e), 0);
    const struct route route = {.id = ROUTE_ADMIN_MODELS, .auth = ROUTE_ADMIN};
    const struct http_header header = {"x-api-key", "anything"};
    const struct http_request r = {.host = "x", .headers = &header, .header_count = 1};
    struct api_error refusal;
    assert_false(access_check(&none, &route, &r, &refusal));
    access_deinit(&none);
}

static void keys_of_a_file_tell_callers_apart(void **state)
{
    (void)state;
    assert_int_equal(tenant_of("anything"), 0);
    assert_int_equal(add_file("# of the team\nalpha\r\n\nbob:" BETA), 0);
    uint64_t alpha = tenant_of("alpha");
    assert_int_not_equal(alpha, 0);
    assert_int_not_equal(tenant_of("beta"), 0);
    assert_int_not_equal(tenant_of("beta"), alpha);
    assert_int_equal(tenant_of("# of the team"), 0);
    assert_int_equal(tenant_of("bob"), 0);
    assert_int_equal(tenant_of(""), 0);
    /* In another order, and hashed: the same callers. */
    write_file("bob:" BETA "\nann:" ALPHA "\n");
    assert_int_equal(access_reload_key_file(&a, &e), 0);
    assert_int_equal(tenant_of("alpha"), alpha);
}

static void a_file_with_an_error_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *wanted;
    } cases[] = {
        {"# none\n", "no key is in it"},
        {"alpha\nbob:abc\n", "line 2: after the name 64 hex digits"},
        {"b ob:" BETA "\n", "line 1: a key's name"},
        {"bob:" BETA ":chat,fly\n", "there is no scope \"fly\"; there are chat, embeddings"},
        {"bob:" BETA "::requests=0\n", "the limit \"requests=0\""},
        {"bob:" BETA "::requests=-1\n", "the limit \"requests=-1\""},
        {"bob:" BETA "::requests=4294967296\n", "the limit \"requests=4294967296\""},
        {"bob:" BETA "::speed=3\n", "the limit \"speed=3\""},
        {"bob:" BETA ":::a b\n", "line 1: a key's name"},
        {"bob:" BETA "::::a b\n", "line 1: a key's name"},
        {"bob:" BETA ":::::a@\n", "line 1: \"a@\" is no model"},
        {"bob:" BETA ":::::a:\n",
         "NAME:SHA256[:SCOPES[:LIMITS[:PROMPT[:FILTERS[:MODEL]]]]] is wanted"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(add_file(cases[i].text), -1);
        assert_non_null(strstr(e.message, cases[i].wanted));
        assert_non_null(strstr(e.message, path));
    }
    char long_key[KEY_MAX + 3];
    memset(long_key, 'k', sizeof(long_key) - 1);
    long_key[sizeof(long_key) - 1] = '\0';
    assert_int_equal(add_file(long_key), -1);
    assert_int_equal(access_add_key_file(&a, "/nonexistent", &e), -1);
}

static void a_scope_opens_its_routes_alone(void **state)
{
    (void)state;
    assert_int_equal(add_file("ann:" ALPHA ":embeddings,models\nbob:" BETA ":*\n"), 0);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_EMBEDDINGS, "x-api-key", "alpha"), 0);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_MODELS, "x-api-key", "alpha"), 0);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_CHAT, "x-api-key", "alpha"), 403);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_CHAT, "x-api-key", "gamma"), 401);
    assert_int_equal(status_for(ROUTE_OPEN, SCOPE_NONE, "x-api-key", "alpha"), 0);
    assert_int_equal(status_for(ROUTE_ADMIN, SCOPE_NONE, "x-api-key", "alpha"), 401);
    for (int i = SCOPE_NONE + 1; i < SCOPE_COUNT; i++) {
        assert_int_equal(status_for(ROUTE_PUBLIC, (enum route_scope)i, "x-api-key", "beta"), 0);
    }
}

static void a_file_read_again_revokes_what_is_gone(void **state)
{
    (void)state;
    assert_int_equal(access_add_key(&a, "option", 6, &e), 0);
    assert_int_equal(add_file("ann:" ALPHA "\nbob:" BETA "\n"), 0);
    struct access_key *held = key_of("alpha");
    write_file("bob:" BETA ":models\n");
    assert_int_equal(access_reload_key_file(&a, &e), 0);
    assert_null(key_of("alpha"));
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_CHAT, "x-api-key", "alpha"), 401);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_CHAT, "x-api-key", "beta"), 403);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_CHAT, "x-api-key", "option"), 0);
    struct api_error refusal;
    access_enter(held, 0, &refusal); /* as a request that began before */
    access_leave(held);

    write_file("bob:nonsense\n");
    assert_int_equal(access_reload_key_file(&a, &e), -1);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_MODELS, "x-api-key", "beta"), 0);
    write_file("# nobody\n");
    assert_int_equal(access_reload_key_file(&a, &e), 0);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_MODELS, "x-api-key", "beta"), 401);
    assert_int_equal(status_for(ROUTE_PUBLIC, SCOPE_MODELS, NULL, NULL), 401);
    write_file("ann:" ALPHA "\n");
    assert_int_equal(access_reload_key_file(&a, &e), 0);
    assert_ptr_equal(key_of("alpha"), held);
}

static void the_admin_key_may_come_from_a_file(void **state)
{
    (void)state;
    write_file("root:" ALPHA "\n");
    assert_int_equal(access_set_admin_key_file(&a, path, &e), 0);
    assert_true(may(ROUTE_ADMIN, "x-api-key", "alpha"));
    assert_false(may(ROUTE_ADMIN, "x-api-key", "admin"));
    write_file("beta\n");
    assert_int_equal(access_set_admin_key_file(&a, path, &e), 0);
    assert_true(may(ROUTE_ADMIN, "x-api-key", "beta"));
    write_file("alpha\nbeta\n");
    assert_int_equal(access_set_admin_key_file(&a, path, &e), -1);
    assert_non_null(strstr(e.message, "2 keys are in it"));
    assert_int_equal(access_set_admin_key(&a, "", &e), -1);
}

static void a_made_key_is_long_and_new(void **state)
{
    (void)state;
    char one[KEY_MADE_LEN + 1];
    char two[KEY_MADE_LEN + 1];
    assert_int_equal(key_generate(one, &e), 0);
    assert_int_equal(access_make_admin_key(&a, two, &e), 0);
    assert_int_equal(strlen(one), KEY_MADE_LEN);
    assert_string_not_equal(one, two);
    assert_true(may(ROUTE_ADMIN, "x-api-key", two));
}

/* ---- limits ---- */

static int enter(struct access_key *key, uint64_t now_ns)
{
    struct api_error refusal = {0};
    access_enter(key, now_ns, &refusal);
    assert_true(refusal.status == 0 || refusal.retry_after_s > 0);
    return refusal.status == 0 ? 0 : refusal.retry_after_s;
}

static void requests_a_minute_are_counted_for_each_key(void **state)
{
    (void)state;
    assert_int_equal(add_file("ann:" ALPHA "::requests=6\nbob:" BETA "\n"), 0);
    struct access_key *ann = key_of("alpha");
    struct access_key *bob = key_of("beta");
    uint64_t now = clock_now_ns() + SECOND_NS;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(enter(ann, now), 0);
        access_leave(ann);
    }
    assert_int_equal(enter(ann, now), 10);
    access_leave(ann);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(enter(bob, now), 0);
        access_leave(bob);
    }
    assert_int_equal(enter(ann, now + 9 * SECOND_NS), 1);
    access_leave(ann);
    assert_int_equal(enter(ann, now + 10 * SECOND_NS), 0);
    access_leave(ann);
    assert_int_equal(enter(ann, now + 11 * SECOND_NS), 9);
    access_leave(ann);
}

static void tokens_a_minute_are_charged_afterwards(void **state)
{
    (void)state;
    assert_int_equal(add_file("ann:" ALPHA "::tokens=600\nbob:" BETA "::tokens=600\n"), 0);
    struct access_key *ann = key_of("alpha");
    assert_int_equal(enter(ann, clock_now_ns()), 0);
    access_charge_tokens(&a, tenant_of("alpha"), 1200);
    access_leave(ann);
    access_charge_tokens(&a, 0, 1000000);
    access_charge_tokens(&a, 12345, 1000000);
    uint64_t now = clock_now_ns();
    int wait = enter(ann, now);
    access_leave(ann);
    assert_in_range(wait, 58, 61);
    assert_int_equal(enter(key_of("beta"), now), 0);
    assert_int_equal(enter(ann, now + 62 * SECOND_NS), 0);
    access_leave(ann);
}

static void requests_at_a_time_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(add_file("ann:" ALPHA "::concurrent=2\n"), 0);
    struct access_key *ann = key_of("alpha");
    assert_int_equal(enter(ann, 1), 0);
    assert_int_equal(enter(ann, 2), 0);
    assert_int_equal(enter(ann, 3), 1);
    access_leave(ann); /* the refused one is over at once */
    assert_int_equal(enter(ann, 4), 1);
    access_leave(ann);
    access_leave(ann);
    assert_int_equal(enter(ann, 5), 0);
}

static void what_is_left_stands_in_the_answer(void **state)
{
    (void)state;
    assert_int_equal(add_file("ann:" ALPHA "::requests=60,tokens=6000\nbob:" BETA "\n"), 0);
    struct access_key *ann = key_of("alpha");
    struct buf head;
    uint64_t now = clock_now_ns() + SECOND_NS;
    buf_init(&head, 4096);
    enter(ann, now);
    access_leave(ann);
    access_add_limit_fields(ann, now + SECOND_NS / 4, &head);
    assert_string_equal(head.data, "x-ratelimit-limit-requests: 60\r\n"
                                   "x-ratelimit-remaining-requests: 59\r\n"
                                   "x-ratelimit-reset-requests: 750ms\r\n"
                                   "x-ratelimit-limit-tokens: 6000\r\n"
                                   "x-ratelimit-remaining-tokens: 6000\r\n"
                                   "x-ratelimit-reset-tokens: 0ms\r\n");
    buf_clear(&head);
    access_add_limit_fields(key_of("beta"), now, &head);
    assert_int_equal(head.len, 0);
    buf_deinit(&head);
}

#define ACCESS_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void a_key_may_have_a_prompt_and_filters_and_a_model(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *prompt, *filters, *model;
    } cases[] = {
        {"bob:" BETA ":*:", "", "", ""},
        {"bob:" BETA ":*::shop", "shop", "", ""},
        {"bob:" BETA ":chat:requests=3:shop:strict", "shop", "strict", ""},
        {"bob:" BETA ":*:::strict", "", "strict", ""},
        {"bob:" BETA ":*::::tiny", "", "", "tiny"},
        {"bob:" BETA ":*::shop:strict:tiny@2026.1", "shop", "strict", "tiny@2026.1"},
        {"bob:" BETA ":*::shop::tiny@stable", "shop", "", "tiny@stable"},
        {"bob:" BETA ":*::::tiny@sha256:8ed3f6ad", "", "", "tiny@sha256:8ed3f6ad"},
        {"bob:" BETA ":*:::a:a@sha256:" ALPHA, "", "a", "a@sha256:" ALPHA},
        {"bob:" BETA ":*::::tiny@sha256", "", "", "tiny@sha256"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct key_record k;
        struct buf out;
        buf_init(&out, 1000);
        assert_int_equal(key_record_parse(&k, cases[i].line, strlen(cases[i].line), 1, &e), 0);
        assert_string_equal(k.prompt, cases[i].prompt);
        assert_string_equal(k.filters, cases[i].filters);
        assert_string_equal(k.model, cases[i].model);
        assert_int_equal(key_record_format(&k, &out), 0);
        out.data[out.len - 1] = '\0'; /* the line's end */
        assert_string_equal(out.data, cases[i].line);
        buf_deinit(&out);
    }
}

static void what_is_no_model_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "@1",
        "tiny@",
        "a b",
        "tiny@a/b",
        "tiny@1@2",
        "tiny@sha256:",
        "tiny@sha256:8ed3f6a",
        "tiny@sha256:8ED3F6AD",
        "tiny@sha256:8ed3f6ax",
        "tiny@sha256:" ALPHA "0",
        "tiny@sha256:8ed3f6ad:more",
        "tiny:more",
    };
    char line[600];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct key_record k;
        int len = snprintf(line, sizeof(line), "bob:" BETA ":*::::%s", bad[i]);
        if (key_record_parse(&k, line, (size_t)len, 1, &e) == 0) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        char pin[KEY_PIN_MAX + 1];
        assert_int_equal(key_pin_parse(pin, bad[i], strlen(bad[i]), &e), -1);
    }
    memset(line, 'a', sizeof(line));
    char pin[KEY_PIN_MAX + 1];
    assert_int_equal(key_pin_parse(pin, line, KEY_PIN_MAX + 1, &e), -1);
    assert_int_equal(key_pin_parse(pin, line, KEY_PIN_MAX, &e), 0);
    assert_int_equal(key_pin_parse(pin, line, 0, &e), -1);
}

static void a_key_is_for_the_model_that_its_line_names(void **state)
{
    (void)state;
    assert_int_equal(add_file("ann:" ALPHA "\nbob:" BETA ":*::::tiny@sha256:8ed3f6ad\n"), 0);
    const struct http_header ann = {"Authorization", "Bearer alpha"};
    const struct http_header bob = {"Authorization", "Bearer beta"};
    const struct http_request of_ann = {.headers = &ann, .header_count = 1};
    const struct http_request of_bob = {.headers = &bob, .header_count = 1};
    assert_null(access_model_of(&a, &of_ann));
    assert_string_equal(access_model_of(&a, &of_bob), "tiny@sha256:8ed3f6ad");
    assert_null(access_model_of(&a, &(struct http_request){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCESS_TEST(only_loopback_names_reach_a_loopback_server),
        ACCESS_TEST(further_names_can_be_allowed),
        ACCESS_TEST(pages_from_elsewhere_do_not_reach_a_loopback_server),
        ACCESS_TEST(a_unix_socket_asks_for_no_name),
        ACCESS_TEST(each_route_wants_its_own_key),
        ACCESS_TEST(without_an_admin_key_admin_routes_are_closed),
        ACCESS_TEST(keys_of_a_file_tell_callers_apart),
        ACCESS_TEST(a_file_with_an_error_is_named_with_its_line),
        ACCESS_TEST(a_key_may_have_a_prompt_and_filters_and_a_model),
        ACCESS_TEST(what_is_no_model_is_refused),
        ACCESS_TEST(a_key_is_for_the_model_that_its_line_names),
        ACCESS_TEST(a_scope_opens_its_routes_alone),
        ACCESS_TEST(a_file_read_again_revokes_what_is_gone),
        ACCESS_TEST(the_admin_key_may_come_from_a_file),
        ACCESS_TEST(a_made_key_is_long_and_new),
        ACCESS_TEST(requests_a_minute_are_counted_for_each_key),
        ACCESS_TEST(tokens_a_minute_are_charged_afterwards),
        ACCESS_TEST(requests_at_a_time_are_bounded),
        ACCESS_TEST(what_is_left_stands_in_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
