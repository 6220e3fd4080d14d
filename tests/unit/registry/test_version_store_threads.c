/* prompt_store.h, called by many threads at the same time */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "tests/unit/registry/store_fixture.h"

#define N_THREADS  8
#define N_PROFILES 10
#define N_VERSIONS 1000 /* of all threads together */

static struct version_store *store;

struct worker {
    int number;
    int failures;
    int n_activated; /* changes of what is active that were acknowledged */
};

static void profile_name(int i, char out[8])
{
    snprintf(out, 8, "p%d", i % N_PROFILES);
}

/* Every second change only if nobody else changed the profile since it was read. */
static int activate(const char *profile, uint64_t version, bool careful)
{
    for (;;) {
        struct err e = {0};
        struct version_change change = {.actor = "thread"};
        change.if_match = careful ? store_state(store, profile).revision : 0;
        if (version_store_activate(store, profile, version, &change, NULL, &e) == 0) {
            return 0;
        }
        if (e.kind != ERR_CONFLICT) {
            fprintf(stderr, "activate: %s\n", e.message);
            return -1;
        }
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = w->number; i < N_VERSIONS; i += N_THREADS) {
        char profile[8];
        char text[32];
        profile_name(i, profile);
        snprintf(text, sizeof(text), "text %d", i);
        struct err e = {0};
        const struct store_content content = content_of(text);
        const struct version_draft draft = {
            .content = content.json, .sha256 = "", .author = "", .note = text};
        struct version_stored stored;
        struct version_text back = {.number = 0};
        bool ok = version_store_put(store, profile, &draft, false, &any_change, &stored, NULL,
                                    &e) == 0 &&
                  activate(profile, stored.number, i % 2 == 0) == 0 &&
                  version_store_get(store, profile, "active", &back, &e) == 0;
        w->failures += ok ? 0 : 1;
        w->n_activated += ok ? 1 : 0;
        version_text_deinit(&back);
    }
    return NULL;
}

/* Every version is there, under numbers without gaps, and the audit's chain of what was active
 * has no break. */
static int check_profile(const char *profile, bool seen[N_VERSIONS])
{
    struct err e = {0};
    struct version_info *versions;
    struct version_audit *rows;
    size_t n;
    size_t n_rows;
    struct version_state now = store_state(store, profile);
    assert_int_equal(version_store_versions(store, profile, 0, 1000, &versions, &n, &e), 0);
    assert_int_equal(n, N_VERSIONS / N_PROFILES);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(versions[i].version, n - i);
        char number[24];
        snprintf(number, sizeof(number), "%zu", n - i);
        struct version_text t;
        int written;
        assert_int_equal(version_store_get(store, profile, number, &t, &e), 0);
        assert_int_equal(sscanf(t.note, "text %d", &written), 1);
        assert_string_equal(t.content, content_of(t.note).json);
        assert_false(seen[written]);
        seen[written] = true;
        version_text_deinit(&t);
    }
    mem_free(versions);

    assert_int_equal(store_audit(store, profile, 0, 1000, &rows, &n_rows, &e), 0);
    assert_int_equal(now.revision, n_rows);
    char active[24];
    snprintf(active, sizeof(active), "%d", (int)now.active);
    assert_string_equal(rows[0].after, active);
    int n_activated = 0;
    for (size_t i = 0; i < n_rows; i++) {
        assert_int_equal(rows[i].revision, n_rows - i);
        assert_string_equal(rows[i].before, i + 1 < n_rows ? rows[i + 1].after : "");
        n_activated += strcmp(rows[i].action, "activate") == 0;
    }
    mem_free(rows);
    return n_activated;
}

static void no_update_of_eight_threads_is_lost(void **state)
{
    (void)state;
    struct store_folder f;
    store_folder_make(&f);
    store = store_must_open(f.file);
    pthread_t threads[N_THREADS];
    struct worker workers[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    int acknowledged = 0;
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
        acknowledged += workers[i].n_activated;
    }
    assert_int_equal(acknowledged, N_VERSIONS);
    bool seen[N_VERSIONS] = {false};
    int n_activated = 0;
    for (int i = 0; i < N_PROFILES; i++) {
        char profile[8];
        profile_name(i, profile);
        n_activated += check_profile(profile, seen);
    }
    assert_int_equal(n_activated, N_VERSIONS);
    store_close(store);
    store_folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_update_of_eight_threads_is_lost),
    };
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    store_kind = VERSION_FILTERS;
    return n_failed + cmocka_run_group_tests(tests, NULL, NULL);
}
