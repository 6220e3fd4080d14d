/* feedback_store.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/registry/feedback_store.h"
#include "tests/unit/registry/store_fixture.h"

#define DAY_MS (24LL * 3600 * 1000)

static struct store_folder folder;

static int set_up(void **state)
{
    (void)state;
    store_folder_make(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_folder_remove(&folder);
    return 0;
}

static struct feedback_store *open_store(uint64_t rows)
{
    struct err e;
    const struct feedback_limits limits = {.rows = rows, .age_ms = 10 * DAY_MS};
    struct feedback_store *s = feedback_store_open(folder.file, &limits, &e);
    if (!s) {
        fail_msg("%s", e.message);
    }
    return s;
}

static void add(struct feedback_store *s, const char *id, const char *user, const char *key,
                int64_t time_ms)
{
    struct err e;
    struct feedback f = {.time_ms = time_ms, .thumb = -1, .choice = 2, .over_choice = 1};
    snprintf(f.id, sizeof(f.id), "%s", id);
    snprintf(f.user, sizeof(f.user), "%s", user);
    snprintf(f.key, sizeof(f.key), "%s", key);
    snprintf(f.answer, sizeof(f.answer), "answer-%s", id);
    snprintf(f.model, sizeof(f.model), "tiny@1");
    f.messages = (char *)"[{\"role\":\"user\",\"content\":\"Who?\"}]";
    f.text = (char *)"a plain secret";
    if (feedback_store_add(s, &f, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

struct seen {
    char ids[256];
    struct feedback last; /* texts are gone */
    int stop_after;
};

static int see(void *ctx, const struct feedback *f, struct err *e)
{
    struct seen *seen = ctx;
    (void)e;
    size_t len = strlen(seen->ids);
    snprintf(seen->ids + len, sizeof(seen->ids) - len, "%s%s", len ? " " : "", f->id);
    seen->last = *f;
    assert_string_equal(f->text, "a plain secret");
    assert_null(f->correction);
    return seen->stop_after > 0 && --seen->stop_after == 0 ? 7 : 0;
}

static void assert_listed(struct feedback_store *s, const struct feedback_query *query,
                          const char *ids)
{
    struct err e;
    struct seen seen = {0};
    assert_int_equal(feedback_store_list(s, query, see, &seen, &e), 0);
    assert_string_equal(seen.ids, ids);
}

static void what_was_added_is_there_after_opening_again(void **state)
{
    (void)state;
    struct err e;
    struct seen seen = {0};
    struct feedback_store *s = open_store(100);
    add(s, "a", "ann", "shop", DAY_MS);
    feedback_store_close(s);
    s = open_store(100);
    const struct feedback_query all = {.limit = 10, .now_ms = DAY_MS};
    assert_int_equal(feedback_store_list(s, &all, see, &seen, &e), 0);
    assert_string_equal(seen.ids, "a");
    assert_int_equal(seen.last.number, 1);
    assert_int_equal(seen.last.choice, 2);
    assert_int_equal(seen.last.over_choice, 1);
    assert_int_equal(seen.last.thumb, -1);
    assert_string_equal(seen.last.answer, "answer-a");
    assert_string_equal(seen.last.key, "shop");
    assert_string_equal(seen.last.model, "tiny@1");
    struct stat st;
    assert_int_equal(stat(folder.file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    feedback_store_close(s);
}

static void rows_are_listed_in_either_order_and_by_who(void **state)
{
    (void)state;
    struct err e;
    struct feedback_store *s = open_store(100);
    add(s, "a", "ann", "shop", DAY_MS);
    add(s, "b", "bob", "shop", DAY_MS);
    add(s, "c", "ann", "lab", DAY_MS);
    assert_listed(s, &(struct feedback_query){.limit = 10, .now_ms = DAY_MS}, "c b a");
    assert_listed(s, &(struct feedback_query){.limit = 2, .now_ms = DAY_MS}, "c b");
    assert_listed(s, &(struct feedback_query){.limit = 2, .before = 2, .now_ms = DAY_MS}, "a");
    assert_listed(s,
                  &(struct feedback_query){
                      .limit = 2, .is_oldest_first = true, .after = 1, .now_ms = DAY_MS},
                  "b c");
    assert_listed(s, &(struct feedback_query){.limit = 9, .user = "ann", .now_ms = DAY_MS},
                  "c a");
    assert_listed(s, &(struct feedback_query){.limit = 9, .key = "lab", .now_ms = DAY_MS}, "c");
    assert_listed(
        s, &(struct feedback_query){.limit = 9, .answer = "answer-b", .now_ms = DAY_MS}, "b");
    struct seen seen = {.stop_after = 2};
    const struct feedback_query all = {.limit = 10, .now_ms = DAY_MS};
    assert_int_equal(feedback_store_list(s, &all, see, &seen, &e), 7);
    assert_string_equal(seen.ids, "c b");
    feedback_store_close(s);
}

static void what_is_too_old_or_too_much_leaves(void **state)
{
    (void)state;
    struct err e;
    struct feedback_store *s = open_store(2);
    add(s, "a", "ann", "", DAY_MS);
    add(s, "b", "ann", "", 2 * DAY_MS);
    add(s, "c", "ann", "", 3 * DAY_MS);
    assert_listed(s, &(struct feedback_query){.limit = 9, .now_ms = 3 * DAY_MS}, "c b");
    /* By its age it is gone before it is deleted. */
    assert_listed(s, &(struct feedback_query){.limit = 9, .now_ms = 12 * DAY_MS + 1}, "c");
    assert_int_equal(feedback_store_prune(s, 13 * DAY_MS + 1, &e), 0);
    assert_listed(s, &(struct feedback_query){.limit = 9, .now_ms = 0}, "");
    add(s, "d", "ann", "", 14 * DAY_MS);
    struct seen seen = {0};
    const struct feedback_query all = {.limit = 10, .now_ms = 14 * DAY_MS};
    assert_int_equal(feedback_store_list(s, &all, see, &seen, &e), 0);
    assert_int_equal(seen.last.number, 4); /* never given twice */
    feedback_store_close(s);
}

static bool file_has(const char *name, const char *text)
{
    struct err e;
    size_t len = 0;
    char *bytes = file_read(name, (size_t)1 << 26, &len, &e);
    bool has = bytes && memmem(bytes, len, text, strlen(text)) != NULL;
    mem_free(bytes);
    return has;
}

static void a_user_is_forgotten_also_by_the_file(void **state)
{
    (void)state;
    struct err e;
    uint64_t n = 0;
    char wal[128];
    struct feedback_store *s = open_store(100);
    add(s, "a", "ann", "shop", DAY_MS);
    add(s, "b", "ann", "lab", DAY_MS);
    add(s, "c", "ann", "lab", DAY_MS);
    assert_int_equal(feedback_store_delete(s, "ann", "shop", "", &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(feedback_store_delete(s, "", "", "c", &n, &e), 0);
    assert_int_equal(n, 1);
    assert_listed(s, &(struct feedback_query){.limit = 9, .now_ms = DAY_MS}, "b");
    assert_int_equal(feedback_store_delete(s, "nobody", "", "", &n, &e), 0);
    assert_int_equal(n, 0);
    assert_int_equal(feedback_store_delete(s, "", "lab", "", &n, &e),
                     -1); /* not all of a key */
    assert_int_equal(feedback_store_delete(s, "ann", "", "", &n, &e), 0);
    snprintf(wal, sizeof(wal), "%s-wal", folder.file);
    assert_false(file_has(folder.file, "a plain secret"));
    assert_false(file_has(wal, "a plain secret"));
    feedback_store_close(s);
}

static void another_programs_file_is_refused(void **state)
{
    (void)state;
    struct err e = {0};
    const struct feedback_limits limits = {.rows = 1, .age_ms = DAY_MS};
    assert_int_equal(
        file_write_atomic(folder.file, "no database at all, but a long enough text", 42, &e),
        0);
    assert_null(feedback_store_open(folder.file, &limits, &e));
    assert_non_null(strstr(e.message, folder.file));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_added_is_there_after_opening_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(rows_are_listed_in_either_order_and_by_who, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_old_or_too_much_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_user_is_forgotten_also_by_the_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_programs_file_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
