/* What is said to etcd and read from it, and what a fleet keeps there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/api/etcd_text.h"
#include "runtime/api/fleet_text.h"
#include "runtime/base/mem.h"

static struct buf text;

static int begin(void **state)
{
    (void)state;
    buf_init(&text, 1 << 16);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_deinit(&text);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- asking ---- */

static void keys_and_values_are_base64(void **state)
{
    (void)state;
    assert_int_equal(etcd_put_text(&text, "a/b", "x\0y", 3, 7), 0);
    assert_string_equal(text.data, "{\"key\":\"YS9i\",\"value\":\"eAB5\",\"lease\":\"7\"}");
    buf_clear(&text);
    assert_int_equal(etcd_range_text(&text, "a/"), 0);
    assert_string_equal(text.data, "{\"key\":\"YS8=\",\"range_end\":\"YTA=\"}"); /* "a0" */
    buf_clear(&text);
    assert_int_equal(etcd_range_text(&text, "a\xff"), 0);
    assert_string_equal(text.data, "{\"key\":\"Yf8=\",\"range_end\":\"Yg==\"}"); /* "b" */
    buf_clear(&text);
    assert_int_equal(etcd_range_text(&text, ""), -1);
}

static void a_transaction_has_its_condition(void **state)
{
    (void)state;
    const struct etcd_condition condition = {"k", 9000000000000000001};
    const struct etcd_write writes[] = {{"k", "v"}, {"h", NULL}};
    assert_int_equal(etcd_txn_text(&text, &condition, 1, writes, 2), 0);
    assert_string_equal(
        text.data,
        "{\"compare\":[{\"key\":\"aw==\",\"target\":\"MOD\",\"result\":\"EQUAL\","
        "\"mod_revision\":\"9000000000000000001\"}],\"success\":[{\"request_put\":{\"key\":"
        "\"aw==\",\"value\":\"dg==\"}},{\"request_delete_range\":{\"key\":\"aA==\"}}]}");
}

static void names_of_a_login_are_escaped(void **state)
{
    (void)state;
    assert_int_equal(etcd_login_text(&text, "a\"b", "c\n"), 0);
    assert_string_equal(text.data, "{\"name\":\"a\\u0022b\",\"password\":\"c\\u000a\"}");
}

/* ---- answers ---- */

static int read_answer(const char *json, struct etcd_answer *a, struct err *e)
{
    *e = (struct err){0};
    return etcd_answer_read(a, json, strlen(json), e);
}

static void a_range_is_read(void **state)
{
    (void)state;
    struct etcd_answer a;
    struct err e;
    assert_int_equal(read_answer("{\"header\":{\"revision\":\"9000000000000000001\"},\"kvs\":["
                                 "{\"key\":\"YQ==\",\"value\":\"eA==\",\"mod_revision\":\"5\"},"
                                 "{\"key\":\"YQBi\",\"value\":\"eA==\"}," /* a NUL inside */
                                 "{\"key\":\"Yg==\",\"mod_revision\":\"6\"}],\"count\":\"3\"}",
                                 &a, &e),
                     0);
    assert_int_equal(a.revision, 9000000000000000001);
    assert_int_equal(a.n_pairs, 2);
    assert_string_equal(a.pairs[0].key, "a");
    assert_string_equal(a.pairs[0].value, "x");
    assert_int_equal(a.pairs[0].mod_revision, 5);
    assert_string_equal(a.pairs[1].value, ""); /* an empty value is left out */
    etcd_answer_deinit(&a);
}

static void a_watch_tells_what_was_put_and_deleted_and_why_it_ends(void **state)
{
    (void)state;
    struct etcd_answer a;
    struct err e;
    assert_int_equal(
        read_answer("{\"result\":{\"header\":{\"revision\":\"8\"},\"events\":["
                    "{\"kv\":{\"key\":\"YQ==\",\"value\":\"eA==\",\"mod_revision\":\"8\"}},"
                    "{\"type\":\"DELETE\",\"kv\":{\"key\":\"Yg==\",\"mod_revision\":\"8\"}}]}}",
                    &a, &e),
        0);
    assert_int_equal(a.n_pairs, 2);
    assert_string_equal(a.pairs[0].value, "x");
    assert_string_equal(a.pairs[1].key, "b");
    assert_null(a.pairs[1].value);
    assert_false(a.is_canceled);
    etcd_answer_deinit(&a);
    assert_int_equal(
        read_answer("{\"result\":{\"header\":{\"revision\":\"8\"},\"canceled\":true,"
                    "\"compact_revision\":\"7\"}}",
                    &a, &e),
        0);
    assert_true(a.is_canceled);
    assert_int_equal(a.compact_revision, 7);
    etcd_answer_deinit(&a);
}

static void failures_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum err_kind kind;
    } cases[] = {
        {"{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", ERR_DENIED},
        {"{\"error\":\"etcdserver: authentication failed, invalid user ID or password\","
         "\"code\":3}",
         ERR_DENIED},
        {"{\"error\":{\"grpc_code\":7,\"message\":\"etcdserver: permission denied\"}}",
         ERR_DENIED},
        {"{\"error\":\"etcdserver: requested lease not found\",\"code\":5}", ERR_IO},
        {"{\"error\":{}}", ERR_IO},
        {"[]", ERR_FORMAT},
        {"{\"kvs\":[{\"key\":\"*\"}]}", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct etcd_answer a;
        struct err e;
        assert_int_equal(read_answer(cases[i].json, &a, &e), -1);
        assert_true(e.kind == cases[i].kind || i == 6);
        assert_true(e.message[0] != '\0');
    }
    struct etcd_answer a;
    struct err e;
    assert_int_equal(read_answer("<html>", &a, &e), -1);
    /* Odd shapes are read as what is not there. */
    assert_int_equal(read_answer("{\"kvs\":{\"a\":5},\"ID\":true,\"TTL\":1e300}", &a, &e), 0);
    assert_int_equal(a.lease, 0);
    assert_int_equal(a.ttl, 0);
    etcd_answer_deinit(&a);
}

/* ---- what a fleet keeps ---- */

static void a_key_says_what_it_is_of(void **state)
{
    (void)state;
    char key[ETCD_KEY_MAX], name[VERSION_NAME_MAX + 1];
    enum fleet_kind kind;
    for (int k = 0; k < FLEET_KINDS; k++) {
        fleet_config_key(key, "shop", (enum fleet_kind)k, "default");
        assert_true(fleet_config_key_read(key, "shop", &kind, name));
        assert_int_equal(kind, k);
        assert_string_equal(name, "default");
        assert_false(fleet_config_key_read(key, "other", &kind, name));
    }
    assert_false(fleet_config_key_read("/weir/shop/config/prompt/a/b", "shop", &kind, name));
    assert_false(fleet_config_key_read("/weir/shop/config/prompt/", "shop", &kind, name));
    assert_false(fleet_config_key_read("/weir/shop/config/key/a", "shop", &kind, name));
}

static void a_change_is_written_and_read_back(void **state)
{
    (void)state;
    char content[] = "{\"text\":\"Hi \\\"you\\\"\"}";
    struct fleet_change back;
    struct err e = {0};
    const struct fleet_change c = {.version = "3",
                                   .number = 3,
                                   .latest = 5,
                                   .sha256 = "abc",
                                   .content = content,
                                   .content_len = strlen(content),
                                   .actor = "an\"n"};
    assert_int_equal(fleet_change_write(&c, &text), 0);
    assert_int_equal(fleet_change_read(&back, FLEET_PROMPT, text.data, text.len, &e), 0);
    assert_string_equal(back.version, "3");
    assert_int_equal(back.number, 3);
    assert_int_equal(back.latest, 5);
    assert_string_equal(back.sha256, "abc");
    assert_string_equal(back.actor, "an\"n");
    assert_string_equal(back.content, content);
    fleet_change_deinit(&back);
}

static void what_is_no_change_is_told_by_its_field(void **state)
{
    (void)state;
    static const struct {
        enum fleet_kind kind;
        const char *json, *param;
    } cases[] = {
        {FLEET_PROMPT, "{}", "version"},
        {FLEET_PROMPT, "{\"version\":3}", "version"},
        {FLEET_PROMPT, "{\"version\":\"x\",\"sha256\":\"a\",\"content\":{}}", "version"},
        {FLEET_PROMPT, "{\"version\":\"-1\",\"sha256\":\"a\",\"content\":{}}", "version"},
        {FLEET_PROMPT, "{\"version\":\"3\",\"content\":{}}", "sha256"},
        {FLEET_FILTERS, "{\"version\":\"3\",\"sha256\":\"a\"}", "content"},
        {FLEET_FILTERS, "{\"version\":\"3\",\"sha256\":\"a\",\"content\":\"x\"}", "content"},
        {FLEET_MODEL, "{\"version\":\"\"}", "version"},
        {FLEET_MODEL, "{\"version\":\"3\",\"actor\":5}", "actor"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fleet_change c;
        struct err e = {0};
        assert_int_equal(
            fleet_change_read(&c, cases[i].kind, cases[i].json, strlen(cases[i].json), &e), -1);
        assert_string_equal(e.param, cases[i].param);
    }
    struct fleet_change c;
    struct err e = {0};
    assert_int_equal(fleet_change_read(&c, FLEET_MODEL, "7", 1, &e), -1);
    assert_int_equal(fleet_change_read(&c, FLEET_MODEL, "{\"version\":\"v1.2\"}", 18, &e), 0);
    assert_string_equal(c.version, "v1.2");
    fleet_change_deinit(&c);
}

#define TEXT_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEXT_TEST(keys_and_values_are_base64),
        TEXT_TEST(a_transaction_has_its_condition),
        TEXT_TEST(names_of_a_login_are_escaped),
        TEXT_TEST(a_range_is_read),
        TEXT_TEST(a_watch_tells_what_was_put_and_deleted_and_why_it_ends),
        TEXT_TEST(failures_are_told_apart),
        TEXT_TEST(a_key_says_what_it_is_of),
        TEXT_TEST(a_change_is_written_and_read_back),
        TEXT_TEST(what_is_no_change_is_told_by_its_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
