/* lineage.h, lineage_tree.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/lineage/lineage.h"
#include "models/lineage/lineage_tree.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

static char folder[64];
static char path_buffers[8][160];

/* A path in the test's folder; the last eight stay. */
static const char *in(const char *name)
{
    static unsigned next;
    char *out = path_buffers[next++ % 8];
    snprintf(out, sizeof(path_buffers[0]), "%s/%s", folder, name);
    return out;
}

static void put(const char *name, const char *text)
{
    struct err e;
    assert_int_equal(file_write_atomic(in(name), text, strlen(text), &e), 0);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weir-test-lineage-XXXXXX");
    return mkdtemp(folder) ? mkdir(in("raw"), 0700) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static void record(const char *tool, const char *artefact, const char *role_1,
                   const char *parent_1, const char *role_2, const char *parent_2)
{
    struct err e;
    struct lineage *l = lineage_create(tool);
    lineage_parent(l, role_1, in(parent_1));
    lineage_parent(l, role_2, parent_2 ? in(parent_2) : NULL);
    lineage_option(l, "type", "q8_0");
    lineage_option(l, "not given", NULL);
    lineage_option_number(l, "steps", 300);
    lineage_metric(l, "loss", 0.25);
    lineage_metric(l, "perplexity", NAN);
    if (lineage_write(l, in(artefact), &e) != 0) {
        fail_msg("%s", e.message);
    }
    lineage_destroy(l);
}

/* raw/text -> data -> tok -> ckpt -> gguf, and a vocabulary used twice. */
static void make_chain(void)
{
    put("raw/text.jsonl", "raw");
    put("data.jsonl", "curated");
    put("vocab.gguf", "vocabulary");
    put("data.tok", "tokens");
    put("a.ckpt", "weights");
    put("a.gguf", "model");
    record("curate", "data.jsonl", "raw", "raw/text.jsonl", "", NULL);
    record("train vocab", "vocab.gguf", "data", "data.jsonl", "", NULL);
    record("train tokenize", "data.tok", "data", "data.jsonl", "vocab", "vocab.gguf");
    record("train pretrain", "a.ckpt", "data", "data.tok", "", NULL);
    record("train export", "a.gguf", "checkpoint", "a.ckpt", "vocab", "vocab.gguf");
}

static struct lineage_tree *open_tree(const char *name)
{
    struct err e = {0};
    struct lineage_tree *t = lineage_tree_open(in(name), &e);
    if (!t) {
        fail_msg("%s", e.message);
    }
    return t;
}

static char *text_of(const struct lineage_tree *t)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(lineage_tree_print(t, &out), 0);
    char *text = buf_take(&out, NULL);
    buf_deinit(&out);
    return text;
}

static void assert_shown(const struct lineage_tree *t, const char *what)
{
    char *text = text_of(t);
    if (!strstr(text, what)) {
        fail_msg("\"%s\" is not in:\n%s", what, text);
    }
    mem_free(text);
}

static void a_chain_leads_from_the_model_to_the_raw_text(void **state)
{
    (void)state;
    make_chain();
    struct lineage_tree *t = open_tree("a.gguf");
    assert_true(lineage_tree_holds(t));
    assert_int_equal(t->counts[LINEAGE_HOLDS], 5);
    assert_int_equal(t->counts[LINEAGE_SOURCE], 1);
    assert_int_equal(t->root->n_parents, 2);
    const struct lineage_node *ckpt = t->root->parents[0];
    assert_string_equal(ckpt->role, "checkpoint");
    assert_string_equal(ckpt->parents[0]->role, "data");
    assert_shown(t, "raw/text.jsonl");
    assert_shown(t, "train pretrain: type q8_0, steps 300");
    assert_shown(t, "(see above)");
    lineage_tree_close(t);
}

static void a_sidecar_says_what_was_said_and_nothing_else(void **state)
{
    (void)state;
    struct err e;
    make_chain();
    cJSON *json = json_parse_file(in("a.gguf" LINEAGE_SUFFIX), 1 << 20, &e);
    char hex[HASH_HEX_LEN + 1];
    assert_int_equal(hash_sha256_hex("model", 5, hex), 0);
    assert_string_equal(cJSON_GetObjectItem(json, "sha256")->valuestring, hex);
    assert_string_equal(cJSON_GetObjectItem(json, "artefact")->valuestring, "a.gguf");
    const cJSON *options = cJSON_GetObjectItem(json, "options");
    assert_int_equal(cJSON_GetArraySize(options), 2);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "metrics")), 1);
    const cJSON *parent = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "parents"), 0);
    assert_string_equal(cJSON_GetObjectItem(parent, "file")->valuestring, "a.ckpt");
    cJSON_Delete(json);

    json = json_parse_file(in("data.jsonl" LINEAGE_SUFFIX), 1 << 20, &e);
    parent = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "parents"), 0);
    assert_string_equal(cJSON_GetObjectItem(parent, "file")->valuestring, "raw/text.jsonl");
    cJSON_Delete(json);
}

static void a_parent_elsewhere_is_found_from_the_artefacts_folder(void **state)
{
    (void)state;
    struct err e;
    make_chain();
    assert_int_equal(mkdir(in("out"), 0700), 0);
    put("out/b.gguf", "other");
    record("train export", "out/b.gguf", "checkpoint", "a.ckpt", "", NULL);
    cJSON *json = json_parse_file(in("out/b.gguf" LINEAGE_SUFFIX), 1 << 20, &e);
    const cJSON *parent = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "parents"), 0);
    assert_string_equal(cJSON_GetObjectItem(parent, "file")->valuestring, "../a.ckpt");
    cJSON_Delete(json);
    struct lineage_tree *t = open_tree("out/b.gguf");
    assert_int_equal(t->counts[LINEAGE_HOLDS], 5);
    lineage_tree_close(t);
}

static void a_changed_file_is_named(void **state)
{
    (void)state;
    make_chain();
    put("data.jsonl", "curated, and edited");
    struct lineage_tree *t = open_tree("a.gguf");
    assert_false(lineage_tree_holds(t));
    assert_true(t->counts[LINEAGE_CHANGED] >= 1);
    assert_shown(t, "CHANGED: the file is now");
    lineage_tree_close(t);

    make_chain();
    put("a.gguf", "another model");
    t = open_tree("a.gguf");
    assert_int_equal(t->root->state, LINEAGE_CHANGED);
    assert_false(lineage_tree_holds(t));
    lineage_tree_close(t);
}

/* A checkpoint that was trained anew has a sidecar of its own: it is no ancestor. */
static void another_run_at_the_same_path_is_told_from_the_parent(void **state)
{
    (void)state;
    make_chain();
    put("a.ckpt", "weights of another run");
    record("train pretrain", "a.ckpt", "data", "data.tok", "", NULL);
    struct lineage_tree *t = open_tree("a.gguf");
    assert_int_equal(t->root->parents[0]->state, LINEAGE_CHANGED);
    assert_null(t->root->parents[0]->record);
    assert_false(lineage_tree_holds(t));
    lineage_tree_close(t);
}

static void a_missing_file_breaks_no_chain(void **state)
{
    (void)state;
    make_chain();
    assert_int_equal(unlink(in("data.tok")), 0);
    assert_int_equal(unlink(in("raw/text.jsonl")), 0);
    struct lineage_tree *t = open_tree("a.gguf");
    assert_true(lineage_tree_holds(t));
    assert_int_equal(t->counts[LINEAGE_MISSING], 2);
    assert_int_equal(t->root->parents[0]->parents[0]->state, LINEAGE_MISSING);
    assert_int_equal(t->root->parents[0]->parents[0]->n_parents, 2);
    lineage_tree_close(t);
}

static void a_broken_record_is_named(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "{",
        "[]",
        "{\"artefact\": \"a.ckpt\"}",
        "{\"artefact\": \"a\", \"tool\": \"t\", \"sha256\": \"abc\", \"parents\": []}",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        make_chain();
        put("a.ckpt" LINEAGE_SUFFIX, broken[i]);
        struct lineage_tree *t = open_tree("a.gguf");
        assert_int_equal(t->root->parents[0]->state, LINEAGE_BROKEN);
        assert_non_null(strstr(t->root->parents[0]->problem, "a.ckpt" LINEAGE_SUFFIX));
        assert_false(lineage_tree_holds(t));
        lineage_tree_close(t);
    }
}

static void the_whole_chain_goes_into_one_file(void **state)
{
    (void)state;
    struct err e = {0};
    make_chain();
    struct lineage_tree *t = open_tree("a.gguf");
    assert_int_equal(mkdir(in("published"), 0700), 0);
    put("published/model.gguf", "model");
    assert_int_equal(lineage_tree_write(t, "model.gguf", in("published/lineage.json"), &e), 0);
    lineage_tree_close(t);

    const char *const ways[] = {"published/model.gguf", "published/lineage.json", "published"};
    for (size_t i = 0; i < 3; i++) {
        t = open_tree(ways[i]);
        assert_true(lineage_tree_holds(t));
        assert_int_equal(t->counts[LINEAGE_HOLDS], 1);
        assert_int_equal(t->counts[LINEAGE_RECORDED], 5);
        assert_shown(t, "text.jsonl");
        lineage_tree_close(t);
    }
    /* What is made of the published file goes on from there. */
    put("tuned.gguf", "tuned");
    record("train sft", "tuned.gguf", "base", "published/model.gguf", "", NULL);
    t = open_tree("tuned.gguf");
    assert_int_equal(t->counts[LINEAGE_HOLDS], 2);
    assert_int_equal(t->counts[LINEAGE_RECORDED], 5);
    lineage_tree_close(t);

    put("published/model.gguf", "swapped");
    t = open_tree("published/model.gguf");
    assert_int_equal(t->root->state, LINEAGE_CHANGED);
    lineage_tree_close(t);
}

static void a_folder_is_a_source_too(void **state)
{
    (void)state;
    struct err e = {0};
    char first[HASH_HEX_LEN + 1], second[HASH_HEX_LEN + 1];
    make_chain();
    put("raw/b", "two");
    assert_int_equal(lineage_hash(in("raw"), first, &e), 0);
    put("raw/.hidden", "x");
    put("raw/b" LINEAGE_SUFFIX, "x");
    assert_int_equal(lineage_hash(in("raw"), second, &e), 0);
    assert_string_equal(first, second);
    put("raw/b", "three");
    assert_int_equal(lineage_hash(in("raw"), second, &e), 0);
    assert_string_not_equal(first, second);

    put("c.gguf", "from a folder");
    record("quantize", "c.gguf", "model", "raw", "", NULL);
    struct lineage_tree *t = open_tree("c.gguf");
    assert_int_equal(t->counts[LINEAGE_SOURCE], 1);
    lineage_tree_close(t);
}

static void what_has_no_record_is_told(void **state)
{
    (void)state;
    struct err e = {0};
    put("lone.gguf", "model");
    assert_null(lineage_tree_open(in("lone.gguf"), &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_null(lineage_tree_open(in("none/lineage.json"), &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void a_parent_that_cannot_be_read_fails_the_write(void **state)
{
    (void)state;
    struct err e = {0};
    put("x.tok", "x");
    struct lineage *l = lineage_create("train tokenize");
    lineage_parent(l, "data", in("not-there.jsonl"));
    assert_int_equal(lineage_write(l, in("x.tok"), &e), -1);
    assert_non_null(strstr(e.message, "not-there.jsonl"));
    assert_int_not_equal(access(in("x.tok" LINEAGE_SUFFIX), F_OK), 0);
    lineage_destroy(l);
}

/* A record that says it was made from itself. */
static void a_circle_ends(void **state)
{
    (void)state;
    char hex[HASH_HEX_LEN + 1], text[512];
    put("c.ckpt", "c");
    assert_int_equal(hash_sha256_hex("c", 1, hex), 0);
    snprintf(text, sizeof(text),
             "{\"artefact\": \"c.ckpt\", \"sha256\": \"%s\", \"tool\": \"t\", \"parents\": "
             "[{\"role\": \"init\", \"file\": \"c.ckpt\", \"sha256\": \"%s\"}]}",
             hex, hex);
    put("c.ckpt" LINEAGE_SUFFIX, text);
    struct lineage_tree *t = open_tree("c.ckpt");
    assert_true(t->root->parents[0]->is_repeated);
    lineage_tree_close(t);
}

static void names_do_not_control_the_terminal(void **state)
{
    (void)state;
    char hex[HASH_HEX_LEN + 1], text[512];
    put("c.ckpt", "c");
    assert_int_equal(hash_sha256_hex("c", 1, hex), 0);
    snprintf(text, sizeof(text),
             "{\"artefact\": \"c.ckpt\", \"sha256\": \"%s\", \"tool\": \"\\u001b[2J\", "
             "\"parents\": []}",
             hex);
    put("c.ckpt" LINEAGE_SUFFIX, text);
    struct lineage_tree *t = open_tree("c.ckpt");
    assert_shown(t, "?[2J");
    lineage_tree_close(t);
}

static void no_failed_allocation_leaks(void **state)
{
    (void)state;
    make_chain();
    size_t before = mem_live();
    for (size_t nth = 1;; nth++) {
        struct err e = {0};
        mem_fail_at(nth);
        struct lineage_tree *t = lineage_tree_open(in("a.gguf"), &e);
        lineage_tree_close(t);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        assert_int_equal(mem_live(), before);
        if (!reached) {
            assert_non_null(t);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_chain_leads_from_the_model_to_the_raw_text, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_sidecar_says_what_was_said_and_nothing_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_parent_elsewhere_is_found_from_the_artefacts_folder,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_file_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_run_at_the_same_path_is_told_from_the_parent,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_file_breaks_no_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_record_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_whole_chain_goes_into_one_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_is_a_source_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_record_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_parent_that_cannot_be_read_fails_the_write, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_circle_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_do_not_control_the_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_failed_allocation_leaks, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
