/* model_store.h: what was acknowledged is there after kill -9, with its audit row */
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
#include "runtime/registry/model_store.h"
#include "tests/unit/registry/store_fixture.h"

/* How often; WEIR_KILLS in the environment sets another number. */
#define N_KILLS     50
#define MAX_WAIT_MS 30

/* Version and replaced version are those of the revision, so that what is found can be
 * checked. */
static void version_of(uint64_t revision, char out[24])
{
    snprintf(out, 24, "v%llu", (unsigned long long)revision);
}

/* Activates one version after the other until it is killed, telling each revision once it is
 * acknowledged. */
static void write_until_killed(const char *file, int acknowledge)
{
    struct err e = {0};
    struct model_record r;
    struct version_database *d = version_database_open(file, &e);
    if (!d || model_store_load(d, "tiny", &r, &e) != 0) {
        fprintf(stderr, "%s\n", e.message);
        _exit(1);
    }
    uint64_t revision = r.revision;
    model_record_deinit(&r);
    for (;;) {
        char version[24], replaced[24];
        version_of(revision + 1, version);
        version_of(revision, replaced);
        const struct model_change c = {.action = MODEL_ACTION_ACTIVATE,
                                       .who = "tester",
                                       .version = version,
                                       .stamp = revision + 1,
                                       .replaced = revision > 0 ? replaced : NULL};
        if (model_store_change(d, "tiny", &c, NULL, &e) != 0) {
            fprintf(stderr, "%s\n", e.message);
            _exit(1);
        }
        revision++;
        if (write(acknowledge, &revision, sizeof(revision)) != (ssize_t)sizeof(revision)) {
            _exit(1);
        }
    }
}

/* One life of the child: the last revision that it acknowledged, or 0. */
static uint64_t run_and_kill(const char *file, int wait_us)
{
    int fd = store_run_and_kill(write_until_killed, file, wait_us);
    uint64_t last = 0, one;
    while (read(fd, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
        last = one;
    }
    close(fd);
    return last;
}

/* Beyond what was acknowledged at most one change has happened, and that one wholly. */
static uint64_t check_store(const char *file, uint64_t acknowledged)
{
    struct err e = {0};
    struct model_record r;
    struct version_database *d = version_database_open(file, &e);
    assert_non_null(d);
    assert_int_equal(model_store_load(d, "tiny", &r, &e), 0);
    assert_true(r.revision >= acknowledged && r.revision <= acknowledged + 1);
    if (r.revision > 0) {
        char version[24];
        version_of(r.revision, version);
        assert_string_equal(r.active.version, version);
        size_t n_past = r.revision - 1 < MODEL_STORE_PAST_MAX ? (size_t)r.revision - 1
                                                              : MODEL_STORE_PAST_MAX;
        assert_int_equal(r.n_past, n_past);
        if (n_past > 0) {
            version_of(r.revision - 1, version);
            assert_string_equal(r.past[n_past - 1].version, version);
        }
        const struct version_audit_filter filter = {.kind = VERSION_MODELS, .name = "tiny"};
        struct version_audit *rows;
        size_t n;
        assert_int_equal(version_database_audit(d, &filter, 0, 1, &rows, &n, &e), 0);
        assert_int_equal(rows[0].revision, r.revision);
        assert_string_equal(rows[0].after, r.active.version);
        mem_free(rows);
    }
    uint64_t revision = r.revision;
    model_record_deinit(&r);
    version_database_close(d);
    return revision;
}

static void acknowledged_changes_survive_kill_9(void **state)
{
    (void)state;
    const char *set = getenv("WEIR_KILLS");
    long n_kills = set ? strtol(set, NULL, 10) : N_KILLS;
    struct store_folder f;
    store_folder_make(&f);
    struct rng r;
    rng_seed(&r, 12);
    uint64_t last = 0;
    long n_lives = 0;
    for (long i = 0; i < n_kills; i++) {
        uint64_t found = run_and_kill(f.file, (int)rng_below(&r, MAX_WAIT_MS * 1000));
        n_lives += found > 0;
        /* What it did without telling counts from now on. */
        last = check_store(f.file, found > 0 ? found : last);
    }
    printf("%ld kills, %ld after acknowledged changes, %llu changes\n", n_kills, n_lives,
           (unsigned long long)last);
    assert_true(n_lives >= n_kills / 2);
    store_folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_changes_survive_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
