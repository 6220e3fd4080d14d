/* The folder of models: which versions it has, when they appear, and what is never read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/registry/model_repo.h"

static char root[] = "/tmp/weir-repo-XXXXXX";
static struct model_repo repo;

static const char *at(const char *path)
{
    static char out[2][PATH_MAX];
    static int next;
    char *to = out[next ^= 1];
    snprintf(to, PATH_MAX, "%s/%s", root, path);
    return to;
}

static void make(const char *folder)
{
    assert_int_equal(mkdir(at(folder), 0755), 0);
}

static void put(const char *path, const char *content)
{
    FILE *f = fopen(at(path), "w");
    assert_non_null(f);
    assert_true(fputs(content, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Looks once; the versions that have stood still, oldest first, "!" behind broken ones. */
static const char *look(void)
{
    static char shown[1024];
    struct err e = {0};
    assert_int_equal(model_repo_look(&repo, &e), 0);
    shown[0] = '\0';
    for (size_t i = 0; i < repo.count; i++) {
        const struct model_repo_version *v = &repo.versions[i];
        if (v->still != 0) {
            size_t len = strlen(shown);
            snprintf(shown + len, sizeof(shown) - len, "%s%s ", v->name,
                     v->manifest ? "" : "!");
        }
    }
    return shown;
}

static const struct model_repo_version *version(const char *name)
{
    for (size_t i = 0; i < repo.count; i++) {
        if (strcmp(repo.versions[i].name, name) == 0) {
            return &repo.versions[i];
        }
    }
    static const struct model_repo_version none;
    fail_msg("no version %s", name);
    return &none;
}

static int set_up(void **state)
{
    (void)state;
    struct err e = {0};
    snprintf(root, sizeof(root), "/tmp/weir-repo-XXXXXX");
    assert_non_null(mkdtemp(root));
    make("m");
    return model_repo_open(&repo, root, "m", &e);
}

static int tear_down(void **state)
{
    (void)state;
    char command[PATH_MAX];
    model_repo_close(&repo);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static void versions_are_ordered_by_their_numbers(void **state)
{
    (void)state;
    static const char *const names[] = {"1",      "01a",   "2", "9",      "10",     "10-rc1",
                                        "v1.2.9", "v1.10", "w", "2026.1", "2026.11"};
    assert_true(model_version_compare("2", "10") < 0);
    assert_true(model_version_compare("10", "9") > 0);
    assert_true(model_version_compare("v1.9", "v1.10") < 0);
    assert_true(model_version_compare("1", "1.1") < 0);
    assert_true(model_version_compare("007", "7") != 0);
    assert_true(model_version_compare("99999999999999999999", "100000000000000000000") < 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(model_version_compare(names[i], names[i]), 0);
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            int one = model_version_compare(names[i], names[k]);
            int other = model_version_compare(names[k], names[i]);
            assert_int_equal((one > 0) - (one < 0), (other < 0) - (other > 0));
        }
    }
}

static void a_version_appears_when_it_stands_still(void **state)
{
    (void)state;
    make("m/2");
    put("m/2/a.gguf", "half");
    assert_string_equal(look(), "");
    assert_true(repo.is_moving);
    put("m/2/a.gguf", "half and the rest");
    assert_string_equal(look(), "");
    assert_string_equal(look(), "2 ");
    assert_false(repo.is_moving);
    make("m/10");
    look();
    assert_string_equal(look(), "2 10 ");
    uint64_t before = version("2")->still;
    put("m/2/a.gguf", "another length");
    look();
    assert_int_equal(version("2")->still, before);
    look();
    assert_int_not_equal(version("2")->still, before);
}

static void half_written_things_are_passed_over(void **state)
{
    (void)state;
    static const char *const folders[] = {"m/.3", "m/3.tmp", "m/3.part",
                                          "m/3~", "m/a b",   "m/1"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        make(folders[i]);
    }
    put("m/5", "a file is no version");
    put("m/1/a.gguf", "x");
    look();
    assert_string_equal(look(), "1 ");
    uint64_t before = version("1")->still;
    put("m/1/b.gguf.tmp", "x");
    put("m/1/.b.gguf", "x");
    put("m/1/b.gguf~", "x");
    put("m/1/b.gguf.part", "x");
    look();
    assert_string_equal(look(), "1 ");
    assert_int_equal(version("1")->still, before);
    struct err e = {0};
    struct model_files files;
    assert_int_equal(model_repo_locate(&repo, "1", &files, &e), 0);
    assert_non_null(strstr(files.path, "/m/1/a.gguf"));
    model_files_deinit(&files);
}

static void a_version_that_stays_away_is_gone(void **state)
{
    (void)state;
    make("m/1");
    put("m/1/a.gguf", "x");
    look();
    look();
    assert_int_equal(rename(at("m/1"), at("m/.1")), 0);
    assert_string_equal(look(), "1 ");
    assert_string_equal(look(), "");
}

static void a_broken_manifest_breaks_its_version_alone(void **state)
{
    (void)state;
    make("m/1");
    make("m/2");
    put("m/1/a.gguf", "x");
    put("m/2/a.gguf", "x");
    put("m/2/model.json", "{\"labels\":[\"new\"],\"gte\":{}}");
    look();
    assert_string_equal(look(), "1 2! ");
    const struct model_repo_version *v = version("2");
    assert_non_null(strstr(v->problem.message, "m/2/model.json: \"gte\" is not known"));
    put("m/2/model.json", "{\"labels\":[\"new\"]}");
    look();
    assert_string_equal(look(), "1 2 ");
    assert_true(model_manifest_has_label(version("2")->manifest, "new"));
}

static int locate(const char *name, struct model_files *files, struct err *e)
{
    *e = (struct err){0};
    return model_repo_locate(&repo, name, files, e);
}

static void the_model_is_found(void **state)
{
    (void)state;
    struct err e;
    struct model_files files;
    make("m/1");
    assert_int_equal(locate("1", &files, &e), -1);
    assert_non_null(strstr(e.message, "m/1: no model file is in it"));
    put("m/1/config.json", "{}");
    assert_int_equal(locate("1", &files, &e), 0);
    assert_non_null(strstr(files.path, "/m/1"));
    assert_null(strstr(files.path, "/m/1/"));
    model_files_deinit(&files);
    put("m/1/a-00001-of-00002.gguf", "x");
    put("m/1/a-00002-of-00002.gguf", "x");
    assert_int_equal(locate("1", &files, &e), 0);
    assert_non_null(strstr(files.path, "/m/1/a-00001-of-00002.gguf"));
    model_files_deinit(&files);
    put("m/1/b.gguf", "x");
    assert_int_equal(locate("1", &files, &e), 0); /* a folder with config.json */
    model_files_deinit(&files);
    assert_int_equal(unlink(at("m/1/config.json")), 0);
    assert_int_equal(locate("1", &files, &e), -1);
    assert_string_equal(e.param, "file");
    put("m/1/model.json", "{\"file\":\"b.gguf\",\"template\":\"t.jinja\"}");
    assert_int_equal(locate("1", &files, &e), -1);
    assert_non_null(strstr(e.message, "m/1/t.jinja"));
    put("m/1/t.jinja", "x");
    assert_int_equal(locate("1", &files, &e), 0);
    assert_non_null(strstr(files.path, "/m/1/b.gguf"));
    assert_non_null(strstr(files.template_path, "/m/1/t.jinja"));
    assert_string_equal(files.loss_path, "");
    assert_int_equal(files.stamp, model_repo_stamp(&repo, "1"));
    model_files_deinit(&files);
    assert_int_equal(locate("2", &files, &e), -1);
    assert_int_equal(locate("../m/1", &files, &e), -1);
    assert_int_equal(locate("..", &files, &e), -1);
}

static void nothing_outside_of_the_root_is_read(void **state)
{
    (void)state;
    struct err e;
    struct model_files files;
    make("m/1");
    make("m/2");
    make("blobs");
    put("blobs/a", "x");
    assert_int_equal(symlink("/etc/passwd", at("m/1/a.gguf")), 0);
    assert_int_equal(symlink("../../blobs/a", at("m/2/a.gguf")), 0); /* beneath the root */
    assert_int_equal(symlink("/etc", at("m/3")), 0);
    look();
    assert_string_equal(look(), "1! 2 3! ");
    assert_non_null(strstr(version("1")->problem.message,
                           "m/1/a.gguf: a link leads out of the repository"));
    assert_int_equal(locate("1", &files, &e), -1);
    assert_int_equal(locate("3", &files, &e), -1);
    assert_int_equal(locate("2", &files, &e), 0);
    assert_non_null(strstr(files.path, "/blobs/a"));
    model_files_deinit(&files);
}

static void the_only_model_needs_no_name(void **state)
{
    (void)state;
    struct err e = {0};
    struct model_repo other;
    assert_int_equal(model_repo_open(&other, root, NULL, &e), 0);
    assert_string_equal(other.name, "m");
    model_repo_close(&other);
    make("n");
    make(".trash");
    assert_int_equal(model_repo_open(&other, root, NULL, &e), -1);
    assert_non_null(strstr(e.message, "several models"));
    assert_non_null(strstr(e.message, "m"));
    assert_non_null(strstr(e.message, "n"));
    assert_int_equal(model_repo_open(&other, root, "none", &e), -1);
    assert_int_equal(model_repo_open(&other, root, "../m", &e), -1);
    assert_int_equal(model_repo_open(&other, "/nonexistent", NULL, &e), -1);
}

static void models_are_listed_in_their_order(void **state)
{
    (void)state;
    struct err e = {0};
    struct model_repo other;
    struct model_repo_names names;
    static const char *const wanted[] = {"m", "m2", "m10"};
    make("m10");
    make("m2");
    make(".trash");
    make("n.tmp");
    put("file", "x");
    assert_int_equal(symlink("/etc", at("outside")), 0);
    assert_int_equal(model_repo_open_root(&other, root, &e), 0);
    assert_int_equal(model_repo_list_models(&other, &names, &e), 0);
    assert_int_equal(names.count, 4); /* what leads outside is told when it is opened */
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(names.items[i], wanted[i]);
    }
    model_repo_names_deinit(&names);
    model_repo_close(&other);
    assert_int_equal(model_repo_open(&other, root, "outside", &e), -1);
    assert_non_null(strstr(e.message, "leads out of the repository"));
    assert_int_equal(model_repo_open_root(&other, "/nonexistent", &e), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_ordered_by_their_numbers),
        TEST(a_version_appears_when_it_stands_still),
        TEST(half_written_things_are_passed_over),
        TEST(a_version_that_stays_away_is_gone),
        TEST(a_broken_manifest_breaks_its_version_alone),
        TEST(the_model_is_found),
        TEST(nothing_outside_of_the_root_is_read),
        TEST(the_only_model_needs_no_name),
        TEST(models_are_listed_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
