/* prompt.h: versions, their JSON, bounds and hash */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/registry/prompt.h"

static struct prompt *from_json(const char *body, struct err *e)
{
    *e = (struct err){0};
    return prompt_from_json(body, strlen(body), e);
}

static struct prompt *must_read(const char *body)
{
    struct err e;
    struct prompt *p = from_json(body, &e);
    if (!p) {
        fail_msg("%s: %s", body, e.message);
    }
    return p;
}

static const char full[] =
    "{\"text\":\"You are {{name}}. \\\"Be\\\" kind.\\n\",\"mode\":\"override\","
    "\"examples\":[{\"user\":\"Hi, {{name}}\",\"assistant\":\"Hello\"}],"
    "\"documents\":[{\"title\":\"Hours\",\"text\":\"Open in {{city}}\"}],"
    "\"variables\":{\"city\":null,\"name\":\"Ada\"},\"author\":\"eve\",\"note\":\"first\"}";

static void a_text_alone_has_its_own_hash(void **state)
{
    (void)state;
    struct err e = {0};
    struct prompt *created = prompt_create(7, "Be kind.", 8, &e);
    struct prompt *read =
        must_read("{\"text\":\"Be kind.\",\"author\":\"eve\",\"note\":\"n\"}");
    char wanted[HASH_HEX_LEN + 1];
    hash_sha256_hex("Be kind.", 8, wanted);
    assert_string_equal(created->sha256, wanted);
    assert_string_equal(read->sha256, wanted);
    assert_int_equal(created->version, 7);
    assert_int_equal(read->version, 0);
    prompt_unref(created);
    prompt_unref(read);
}

static void all_fields_are_read_and_written(void **state)
{
    (void)state;
    struct prompt *p = must_read(full);
    assert_string_equal(p->text, "You are {{name}}. \"Be\" kind.\n");
    assert_int_equal(p->text_len, strlen(p->text));
    assert_int_equal(p->mode, PROMPT_OVERRIDE);
    assert_int_equal(p->n_examples, 1);
    assert_string_equal(p->examples[0].user, "Hi, {{name}}");
    assert_string_equal(p->examples[0].assistant, "Hello");
    assert_int_equal(p->n_documents, 1);
    assert_string_equal(p->documents[0].title, "Hours");
    assert_int_equal(p->n_variables, 2);
    assert_string_equal(p->variables[0].name, "city");
    assert_null(p->variables[0].value);
    assert_string_equal(p->variables[1].value, "Ada");
    assert_string_equal(p->author, "eve");
    assert_string_equal(p->note, "first");

    size_t len;
    char *content = prompt_content_json(p, &len);
    assert_int_equal(len, strlen(content));
    struct prompt *again = must_read(content);
    assert_string_equal(again->sha256, p->sha256);
    char *second = prompt_content_json(again, &len);
    assert_string_equal(content, second);

    prompt_set_version(again, "support", 3, 1700000000);
    char *whole = prompt_to_json(again, &len);
    struct err e = {0};
    cJSON *root = json_parse(whole, len, &e);
    assert_non_null(root);
    assert_string_equal(cJSON_GetObjectItem(root, "name")->valuestring, "support");
    assert_true(cJSON_GetObjectItem(root, "version")->valuedouble == 3);
    assert_true(cJSON_GetObjectItem(root, "created")->valuedouble == 1700000000);
    assert_string_equal(cJSON_GetObjectItem(root, "sha256")->valuestring, p->sha256);
    assert_string_equal(cJSON_GetObjectItem(root, "text")->valuestring, p->text);
    assert_int_equal(cJSON_GetArraySize(root), 11);
    cJSON_Delete(root);
    mem_free(whole);
    mem_free(content);
    mem_free(second);
    prompt_unref(again);
    prompt_unref(p);
}

static void a_wrong_field_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *param;
    } cases[] = {
        {"{}", "text"},
        {"{\"text\":null}", "text"},
        {"{\"text\":1}", "text"},
        {"{\"text\":\"a\",\"text\":\"b\"}", "text"},
        {"{\"text\":\"a\",\"txt\":\"b\"}", "txt"},
        {"{\"text\":\"a\",\"version\":3}", "version"},
        {"{\"text\":\"a\",\"mode\":\"Prepend\"}", "mode"},
        {"{\"text\":\"a\",\"mode\":1}", "mode"},
        {"{\"text\":\"a\",\"examples\":{}}", "examples"},
        {"{\"text\":\"a\",\"examples\":[1]}", "examples[0]"},
        {"{\"text\":\"a\",\"examples\":[{\"user\":\"x\",\"assistant\":\"y\"},{\"user\":\"x\"}]"
         "}",
         "examples[1].assistant"},
        {"{\"text\":\"a\",\"examples\":[{\"user\":2,\"assistant\":\"y\"}]}",
         "examples[0].user"},
        {"{\"text\":\"a\",\"examples\":[{\"user\":\"\",\"assistant\":\"y\"}]}",
         "examples[0].user"},
        {"{\"text\":\"a\",\"examples\":[{\"user\":\"x\",\"user\":\"x\",\"assistant\":\"y\"}]}",
         "examples[0].user"},
        {"{\"text\":\"a\",\"examples\":[{\"user\":\"x\",\"assistant\":\"y\",\"role\":\"z\"}]}",
         "examples[0].role"},
        {"{\"text\":\"a\",\"documents\":\"b\"}", "documents"},
        {"{\"text\":\"a\",\"documents\":[null]}", "documents[0]"},
        {"{\"text\":\"a\",\"documents\":[{\"title\":\"x\\ny\",\"text\":\"z\"}]}",
         "documents[0].title"},
        {"{\"text\":\"a\",\"documents\":[{\"title\":\"x\"}]}", "documents[0].text"},
        {"{\"text\":\"a\",\"variables\":[]}", "variables"},
        {"{\"text\":\"a\",\"variables\":{\"x\":1}}", "variables.x"},
        {"{\"text\":\"a\",\"variables\":{\"X\":\"\"}}", "variables.X"},
        {"{\"text\":\"a\",\"variables\":{\"1x\":\"\"}}", "variables.1x"},
        {"{\"text\":\"a\",\"variables\":{\"\":\"\"}}", "variables."},
        {"{\"text\":\"a\",\"variables\":{\"x}}{{y\":\"\"}}", "variables.x}}{{y"},
        {"{\"text\":\"a\",\"variables\":{\"x\":\"\",\"x\":\"\"}}", "variables.x"},
        {"{\"text\":\"a\",\"author\":\"a\\nb\"}", "author"},
        {"{\"text\":\"a\",\"author\":[]}", "author"},
        {"{\"text\":\"a\",\"note\":7}", "note"},
        {"[]", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e;
        assert_null(from_json(cases[i].body, &e));
        if (e.kind != ERR_INVALID || strcmp(e.param, cases[i].param) != 0) {
            fail_msg("%s: kind %d, param %s: %s", cases[i].body, e.kind, e.param, e.message);
        }
    }
    struct err e;
    assert_null(from_json("{\"text\":\"a\"", &e));
    assert_int_equal(e.kind, ERR_FORMAT);
}

static void null_is_as_if_it_were_not_there(void **state)
{
    (void)state;
    prompt_unref(must_read("{\"text\":\"a\",\"mode\":null,\"examples\":null,\"documents\":null,"
                           "\"variables\":null,\"author\":null,\"note\":null}"));
}

static void a_long_name_is_cut_at_a_character(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 4096);
    buf_append_str(&body, "{\"text\":\"a\",\"x");
    for (int i = 0; i < 100; i++) {
        buf_append_str(&body, "\xC3\xA9");
    }
    buf_append_str(&body, "\":1}");
    struct err e;
    assert_null(from_json(body.data, &e));
    assert_int_equal(strlen(e.param), 63);
    assert_memory_equal(e.param, "x\xC3\xA9", 3);
    assert_memory_equal(e.param + 61, "\xC3\xA9", 3);
    buf_deinit(&body);
}

/* `n` times `item`, with commas, and for %zu the number. */
static char *many(const char *before, const char *item, size_t n, const char *after)
{
    struct buf out;
    buf_init(&out, (size_t)4 << 20);
    buf_append_str(&out, before);
    for (size_t i = 0; i < n; i++) {
        char number[24];
        snprintf(number, sizeof(number), "%zu", i);
        buf_append_str(&out, i ? "," : "");
        const char *hole = strchr(item, '#');
        buf_append(&out, item, hole ? (size_t)(hole - item) : strlen(item));
        buf_append_str(&out, hole ? number : "");
        buf_append_str(&out, hole ? hole + 1 : "");
    }
    buf_append_str(&out, after);
    return buf_take(&out, NULL);
}

static void every_list_has_a_bound(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *item;
        size_t max;
        const char *after;
        const char *param;
    } cases[] = {
        {"{\"text\":\"a\",\"examples\":[", "{\"user\":\"x\",\"assistant\":\"y\"}",
         PROMPT_EXAMPLES_MAX, "]}", "examples"},
        {"{\"text\":\"a\",\"documents\":[", "{\"title\":\"x\",\"text\":\"y\"}",
         PROMPT_DOCUMENTS_MAX, "]}", "documents"},
        {"{\"text\":\"a\",\"variables\":{", "\"x#\":\"y\"", PROMPT_VARIABLES_MAX, "}}",
         "variables"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t more = 0; more < 2; more++) {
            char *body =
                many(cases[i].before, cases[i].item, cases[i].max + more, cases[i].after);
            struct err e;
            struct prompt *p = from_json(body, &e);
            assert_int_equal(p == NULL, more);
            if (!p) {
                assert_int_equal(e.kind, ERR_LIMIT);
                assert_string_equal(e.param, cases[i].param);
            }
            prompt_unref(p);
            mem_free(body);
        }
    }
}

static char *filled(const char *before, size_t n, const char *after)
{
    struct buf out;
    buf_init(&out, (size_t)4 << 20);
    buf_append_str(&out, before);
    for (size_t i = 0; i < n; i++) {
        buf_append_char(&out, 'x');
    }
    buf_append_str(&out, after);
    return buf_take(&out, NULL);
}

static void every_text_has_a_bound(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        size_t max;
        const char *after;
        const char *param;
    } cases[] = {
        {"{\"text\":\"", PROMPT_BYTES_MAX, "\"}", "text"},
        {"{\"text\":\"abc\",\"documents\":[{\"title\":\"t\",\"text\":\"", PROMPT_BYTES_MAX - 4,
         "\"}]}", "text"},
        {"{\"text\":\"abc\",\"examples\":[{\"user\":\"t\",\"assistant\":\"",
         PROMPT_BYTES_MAX - 4, "\"}]}", "text"},
        {"{\"text\":\"abc\",\"variables\":{\"t\":\"", PROMPT_BYTES_MAX - 3, "\"}}", "text"},
        {"{\"text\":\"\",\"documents\":[{\"text\":\"t\",\"title\":\"", PROMPT_TITLE_MAX,
         "\"}]}", "documents[0].title"},
        {"{\"text\":\"\",\"author\":\"", VERSION_AUTHOR_MAX, "\"}", "author"},
        {"{\"text\":\"\",\"note\":\"", VERSION_NOTE_MAX, "\"}", "note"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t more = 0; more < 2; more++) {
            char *body = filled(cases[i].before, cases[i].max + more, cases[i].after);
            struct err e;
            struct prompt *p = from_json(body, &e);
            if ((p == NULL) != (more == 1)) {
                fail_msg("case %zu, %zu more: %s", i, more, p ? "taken" : e.message);
            }
            if (!p) {
                assert_int_equal(e.kind, ERR_LIMIT);
                assert_string_equal(e.param, cases[i].param);
            }
            prompt_unref(p);
            mem_free(body);
        }
    }
    char *body =
        filled("{\"text\":\"\",\"variables\":{\"", PROMPT_VARIABLE_NAME_MAX, "\":\"\"}}");
    prompt_unref(must_read(body));
    mem_free(body);
    body =
        filled("{\"text\":\"\",\"variables\":{\"", PROMPT_VARIABLE_NAME_MAX + 1, "\":\"\"}}");
    struct err e;
    assert_null(from_json(body, &e));
    assert_int_equal(e.kind, ERR_INVALID);
    mem_free(body);
}

static void an_undeclared_variable_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *param;
    } cases[] = {
        {"{\"text\":\"Hi {{city}}\"}", "text"},
        {"{\"text\":\"{{{city}}}\"}", "text"},
        {"{\"text\":\"{{cit}} {{city}}\",\"variables\":{\"cit\":\"\"}}", "text"},
        {"{\"text\":\"\",\"examples\":[{\"user\":\"x\",\"assistant\":\"{{city}}\"}]}",
         "examples[0].assistant"},
        {"{\"text\":\"\",\"documents\":[{\"title\":\"{{city}}\",\"text\":\"x\"}]}",
         "documents[0].title"},
        {"{\"text\":\"\",\"documents\":[{\"title\":\"x\",\"text\":\"{{city}}\"}]}",
         "documents[0].text"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e;
        assert_null(from_json(cases[i].body, &e));
        assert_int_equal(e.kind, ERR_INVALID);
        assert_string_equal(e.param, cases[i].param);
        assert_non_null(strstr(e.message, "{{city}}"));
    }
    /* Other braces are text. */
    prompt_unref(must_read("{\"text\":\"{{ city }} {{City}} {{}} {{1}} {city} {{city} {{\"}"));
}

static void the_hash_is_of_what_the_model_reads(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"text\":\"a\"}",
        "{\"text\":\"a\",\"mode\":\"default\"}",
        "{\"text\":\"a\",\"mode\":\"override\"}",
        "{\"text\":\"a\",\"variables\":{\"x\":\"\"}}",
        "{\"text\":\"a\",\"variables\":{\"x\":null}}",
        "{\"text\":\"a\",\"variables\":{\"x\":\"1\"}}",
        "{\"text\":\"a\",\"examples\":[{\"user\":\"b\",\"assistant\":\"c\"}]}",
        "{\"text\":\"a\",\"examples\":[{\"user\":\"c\",\"assistant\":\"b\"}]}",
        "{\"text\":\"a\",\"examples\":[{\"user\":\"bc\",\"assistant\":\"d\"}]}",
        "{\"text\":\"a\",\"examples\":[{\"user\":\"b\",\"assistant\":\"cd\"}]}",
        "{\"text\":\"a\",\"documents\":[{\"title\":\"b\",\"text\":\"c\"}]}",
    };
    enum { N = sizeof(bodies) / sizeof(bodies[0]) };
    char hashes[N][HASH_HEX_LEN + 1];
    for (size_t i = 0; i < N; i++) {
        struct prompt *p = must_read(bodies[i]);
        strcpy(hashes[i], p->sha256);
        prompt_unref(p);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(hashes[i], hashes[k]);
        }
    }
    /* Neither the order of variables nor who wrote it counts. */
    struct prompt *p = must_read("{\"text\":\"a\",\"variables\":{\"x\":\"1\",\"y\":null}}");
    struct prompt *q = must_read("{\"note\":\"n\",\"author\":\"b\",\"variables\":{\"y\":null,"
                                 "\"x\":\"1\"},\"text\":\"a\",\"examples\":[]}");
    assert_string_equal(p->sha256, q->sha256);
    prompt_unref(p);
    prompt_unref(q);
}

static void names_have_a_form(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "Default", "0.1", "support-eu_2.x"};
    static const char *const bad[] = {"", ".a", "-a", "_a", "a b", "a/b", "\xC3\xA9", "a\n"};
    struct err e = {0};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(version_name_check(good[i], "profile", &e), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(version_name_check(bad[i], "profile", &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_string_equal(e.param, "profile");
    }
    char name[VERSION_NAME_MAX + 2];
    memset(name, 'a', sizeof(name) - 1);
    name[VERSION_NAME_MAX + 1] = '\0';
    assert_int_equal(version_name_check(name, "profile", &e), -1);
    name[VERSION_NAME_MAX] = '\0';
    assert_int_equal(version_name_check(name, "profile", &e), 0);
}

static void a_failed_allocation_leaks_nothing(void **state)
{
    (void)state;
    size_t live = mem_live();
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        mem_fail_at(nth);
        struct prompt *p = prompt_from_json(full, sizeof(full) - 1, &e);
        size_t len;
        char *text = p ? prompt_to_json(p, &len) : NULL;
        bool failed = mem_fail_reached();
        mem_fail_at(0);
        assert_int_equal(text == NULL, failed);
        if (!p) {
            /* Of a hash no more is said than that it failed. */
            assert_true(e.kind == ERR_NOMEM || e.kind == ERR_IO);
        }
        mem_free(text);
        prompt_unref(p);
        assert_int_equal(mem_live(), live);
        if (!failed) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_alone_has_its_own_hash),
        cmocka_unit_test(all_fields_are_read_and_written),
        cmocka_unit_test(a_wrong_field_is_named),
        cmocka_unit_test(null_is_as_if_it_were_not_there),
        cmocka_unit_test(a_long_name_is_cut_at_a_character),
        cmocka_unit_test(every_list_has_a_bound),
        cmocka_unit_test(every_text_has_a_bound),
        cmocka_unit_test(an_undeclared_variable_is_named),
        cmocka_unit_test(the_hash_is_of_what_the_model_reads),
        cmocka_unit_test(names_have_a_form),
        cmocka_unit_test(a_failed_allocation_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
