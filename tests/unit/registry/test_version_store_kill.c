/* prompt_store.h: what was acknowledged is there after kill -9 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/registry/store_fixture.h"

/* How often; WEIR_KILLS in the environment sets another number. */
#define N_KILLS     50 /* of each kind */
#define MAX_WAIT_MS 30

/* Puts and activates until it is killed, telling each revision once it is acknowledged. */
static void write_until_killed(const char *file, int acknowledge)
{
    struct err e = {0};
    struct version_store *s = store_must_open(file);
    for (;;) {
        struct version_state now;
        if (store_put(s, "default", "text", false, &any_change, &now, &e) != 0 ||
            version_store_activate(s, "default", now.latest, &any_change, &now, &e) != 0) {
            fprintf(stderr, "%s\n", e.message);
            _exit(1);
        }
        if (write(acknowledge, &now, sizeof(now)) != (ssize_t)sizeof(now)) {
            _exit(1);
        }
    }
}

/* Reads until the other end is closed, which happens when the child is dead. */
static bool read_last(int fd, struct version_state *last)
{
    bool any = false;
    struct version_state one;
    while (read(fd, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
        *last = one;
        any = true;
    }
    return any;
}

/* One life of the child; whether it acknowledged anything. */
static bool run_and_kill(const char *file, int wait_us, struct version_state *last)
{
    int fd = store_run_and_kill(write_until_killed, file, wait_us);
    bool any = read_last(fd, last);
    close(fd);
    return any;
}

/* Beyond what was acknowledged at most one put and one activation have happened. */
static void check_store(const char *file, const struct version_state *last)
{
    struct err e = {0};
    struct version_store *s = store_must_open(file);
    struct version_state now = {0};
    struct version_text active = {.number = 0};
    int rc = version_store_load(s, "default", &now, &active, NULL, &e);
    assert_true(rc == 0 || (e.kind == ERR_NOT_FOUND && last->revision == 0));
    if (rc == 0) {
        assert_true(now.revision >= last->revision && now.revision <= last->revision + 2);
        assert_true(now.active == last->active || now.active == last->latest + 1);
        assert_true(now.latest == last->latest || now.latest == last->latest + 1);
        assert_int_equal(now.n_versions, now.latest);
        struct version_audit *rows;
        size_t n;
        assert_int_equal(store_audit(s, NULL, 0, 1, &rows, &n, &e), 0);
        assert_int_equal(rows[0].revision, now.revision);
        assert_int_equal(rows[0].id, now.revision);
        mem_free(rows);
    }
    version_text_deinit(&active);
    store_close(s);
}

static void acknowledged_changes_survive_kill_9(void **state)
{
    (void)state;
    const char *set = getenv("WEIR_KILLS");
    long n_kills = set ? strtol(set, NULL, 10) : N_KILLS;
    struct store_folder f;
    store_folder_make(&f);
    struct rng r;
    rng_seed(&r, 11);
    struct version_state last = {0};
    int n_lives = 0;
    for (long i = 0; i < n_kills; i++) {
        struct version_state found = {0};
        bool any = run_and_kill(f.file, (int)rng_below(&r, MAX_WAIT_MS * 1000), &found);
        n_lives += any ? 1 : 0;
        last = any ? found : last;
        check_store(f.file, &last);
        /* What it did without telling counts from now on. */
        struct version_store *s = store_must_open(f.file);
        struct err e = {0};
        if (version_store_load(s, "default", &last, NULL, NULL, &e) != 0) {
            last = (struct version_state){0};
        }
        store_close(s);
    }
    printf("%s: %ld kills, %d after acknowledged changes, %d versions\n",
           version_kind_name(store_kind), n_kills, n_lives, (int)last.latest);
    assert_true(n_lives >= n_kills / 2);
    store_folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_changes_survive_kill_9),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    store_kind = VERSION_FILTERS;
    return n_failed + cmocka_run_group_tests(tests, NULL, NULL);
}
