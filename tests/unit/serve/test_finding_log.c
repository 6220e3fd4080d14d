/* finding_log.h: from the loop to the store, in batches, without ever waiting for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/finding_log.h"
#include "runtime/serve/server_metrics.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

struct fixture {
    uv_loop_t loop;
    struct metrics *metrics;
    struct finding_log *log;
};

static void begin(struct fixture *f, const char *path, uint64_t rows)
{
    struct err e = {0};
    const struct finding_settings set = {
        .path = path,
        .limits = {.rows = rows, .age_ms = 30 * DAY_MS, .text_bytes = 1 << 20},
        .texts = FINDING_TEXTS_FOUND};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->metrics = server_metrics_create("test", &e);
    f->log = finding_log_start(&f->loop, &set, f->metrics, &e);
    assert_non_null(f->log);
}

/* The loop ends, as the server's does, and then the log. */
static void end_loop(struct fixture *f)
{
    finding_log_stop(f->log);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void end(struct fixture *f)
{
    end_loop(f);
    finding_log_destroy(f->log);
    metrics_destroy(f->metrics);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void add(struct fixture *f, int number, uint64_t text)
{
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    struct finding finding = {.time_ms = now.tv_sec * 1000, .verdict = "note", .text = text};
    snprintf(finding.code, sizeof(finding.code), "%d", number);
    finding_log_add(f->log, &finding);
}

static uint64_t add_text(struct fixture *f, const char *text)
{
    uv_timeval64_t now;
    uv_gettimeofday(&now);
    const struct finding_text t = {
        .time_ms = now.tv_sec * 1000, .text = (char *)text, .len = strlen(text)};
    return finding_log_add_text(f->log, &t);
}

static double dropped(const struct fixture *f, const char *why)
{
    return metrics_value(f->metrics, SERVER_METRIC_FINDINGS_DROPPED, &why);
}

static double written(const struct fixture *f)
{
    return metrics_value(f->metrics, SERVER_METRIC_FINDINGS_WRITTEN, NULL);
}

static size_t stored(const struct fixture *f, uint64_t *newest)
{
    struct err e = {0};
    struct finding *all;
    size_t n;
    const struct finding_query q = {.limit = FINDING_PAGE_MAX};
    assert_int_equal(finding_store_list(finding_log_store(f->log), &q, &all, &n, &e), 0);
    if (newest) {
        *newest = n > 0 ? all[0].id : 0;
    }
    mem_free(all);
    return n;
}

struct waiting {
    struct finding_wait wait;
    struct fixture *f;
    size_t found; /* in the store at the call */
    int calls;
};

static void on_stored(struct finding_wait *wait)
{
    struct waiting *w = (struct waiting *)wait;
    w->found = stored(w->f, NULL);
    w->calls++;
}

static void wait_for(struct fixture *f, struct waiting *w)
{
    *w = (struct waiting){.f = f, .wait.done = on_stored};
    finding_log_wait(f->log, &w->wait);
}

static void who_waits_finds_all_that_was_there_before(void **state)
{
    (void)state;
    struct fixture f;
    struct waiting first, second, third;
    begin(&f, NULL, 1000);
    wait_for(&f, &first);
    assert_int_equal(first.calls, 1); /* there was nothing to wait for */
    add(&f, 1, 0);
    add(&f, 2, 0);
    wait_for(&f, &first); /* a batch begins */
    add(&f, 3, 0);
    wait_for(&f, &second); /* in the one after it */
    wait_for(&f, &third);
    assert_int_equal(first.calls + second.calls + third.calls, 0);
    while (first.calls + second.calls + third.calls < 3) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    assert_true(first.found >= 2);
    assert_int_equal(second.found, 3);
    assert_int_equal(third.found, 3);
    assert_true(written(&f) == 3.0);
    end(&f);
}

static void rows_are_stored_after_a_moment_without_being_asked(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL, 1000);
    add(&f, 1, 0);
    uint64_t until = uv_hrtime() + 5000000000ULL;
    while (written(&f) == 0.0 && uv_hrtime() < until) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    assert_int_equal(stored(&f, NULL), 1);
    end(&f);
}

static void texts_go_with_their_findings(void **state)
{
    (void)state;
    struct fixture f;
    struct waiting w;
    struct err e = {0};
    begin(&f, NULL, 1000);
    for (int batch = 0; batch < 3; batch++) {
        uint64_t one = add_text(&f, "text one");
        uint64_t two = add_text(&f, "text two");
        add(&f, 1, two);
        add(&f, 2, one);
        add(&f, 3, 0);
        wait_for(&f, &w);
        while (w.calls == 0) {
            uv_run(&f.loop, UV_RUN_ONCE);
        }
        struct finding *all;
        size_t n, len;
        const struct finding_query q = {.limit = 3};
        struct finding_store *store = finding_log_store(f.log);
        assert_int_equal(finding_store_list(store, &q, &all, &n, &e), 0);
        assert_int_equal(all[0].text, 0);
        char *text = finding_store_text(store, all[1].text, &len, &e);
        assert_string_equal(text, "text one");
        mem_free(text);
        text = finding_store_text(store, all[2].text, &len, &e);
        assert_string_equal(text, "text two");
        mem_free(text);
        mem_free(all);
    }
    end(&f);
}

/* Between two turns of the loop nothing can be stored. */
static void a_full_queue_drops_and_counts(void **state)
{
    (void)state;
    struct fixture f;
    struct waiting w;
    begin(&f, NULL, 100000);
    for (int i = 0; i < FINDING_QUEUE_ROWS + 100; i++) {
        add(&f, i, 0);
    }
    assert_true(dropped(&f, "queue_full") == 100.0);
    finding_log_collect(f.log, f.metrics);
    assert_true(metrics_value(f.metrics, SERVER_METRIC_FINDINGS_WAITING, NULL) ==
                (double)FINDING_QUEUE_ROWS);
    char *long_text = malloc(FINDING_TEXT_MAX + 1);
    memset(long_text, 'x', FINDING_TEXT_MAX);
    long_text[FINDING_TEXT_MAX] = '\0';
    size_t taken = 0;
    while (add_text(&f, long_text) != 0) {
        taken++;
    }
    free(long_text);
    assert_int_equal(taken, FINDING_QUEUE_BYTES / FINDING_TEXT_MAX);
    assert_true(dropped(&f, "text_queue_full") == 1.0);
    wait_for(&f, &w);
    while (w.calls == 0) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    assert_true(written(&f) == (double)FINDING_QUEUE_ROWS);
    add(&f, 1, 0); /* there is room again */
    assert_true(dropped(&f, "queue_full") == 100.0);
    end(&f);
}

static void what_is_beyond_the_limit_leaves_in_the_background(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL, 50);
    for (int i = 0; i < 8000; i++) {
        add(&f, i, 0);
    }
    uint64_t until = uv_hrtime() + 20000000000ULL;
    while ((written(&f) < 8000.0 || stored(&f, NULL) > 50) && uv_hrtime() < until) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    uint64_t newest;
    assert_int_equal(stored(&f, &newest), 50);
    assert_int_equal(newest, 8000);
    end(&f);
}

static void what_waits_at_the_end_is_stored(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-findings-XXXXXX";
    assert_non_null(mkdtemp(path));
    char file[64], other[80];
    snprintf(file, sizeof(file), "%s/f", path);
    struct fixture f;
    begin(&f, file, 1000);
    add(&f, 1, add_text(&f, "abc"));
    end_loop(&f);
    add(&f, 2, 0); /* of an answer that ended behind its client */
    finding_log_destroy(f.log);
    metrics_destroy(f.metrics);
    assert_int_equal(uv_loop_close(&f.loop), 0);
    begin(&f, file, 1000);
    assert_int_equal(stored(&f, NULL), 2);
    end(&f);
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(other, sizeof(other), "%s%s", file, suffixes[i]);
        unlink(other);
    }
    rmdir(path);
}

/* Files may not grow beyond some size, as on a full disk. */
static void fill_the_disk(const char *file)
{
    struct fixture f;
    struct waiting w;
    struct rlimit small = {.rlim_cur = 200000, .rlim_max = RLIM_INFINITY};
    log_set_level(LOG_LEVEL_OFF);
    begin(&f, file, 100000);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int batch = 0; batch < 4; batch++) {
        for (int i = 0; i < 2000; i++) {
            add(&f, i, 0);
        }
        wait_for(&f, &w);
        while (w.calls == 0) {
            uv_run(&f.loop, UV_RUN_ONCE);
        }
    }
    assert_true(dropped(&f, "not_written") >= 4000.0);
    assert_true(written(&f) + dropped(&f, "not_written") == 8000.0);
    assert_int_equal(stored(&f, NULL) == 0, written(&f) == 0.0);
    double before = written(&f);
    small.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &small);
    add(&f, 1, 0);
    wait_for(&f, &w);
    while (w.calls == 0) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    assert_true(written(&f) == before + 1.0);
    end(&f);
}

static void a_full_disk_drops_and_counts_and_is_tried_again(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-findings-XXXXXX";
    assert_non_null(mkdtemp(path));
    char file[64], other[80];
    snprintf(file, sizeof(file), "%s/f", path);
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    fill_the_disk(file);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(other, sizeof(other), "%s%s", file, suffixes[i]);
        unlink(other);
    }
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_finds_all_that_was_there_before),
        cmocka_unit_test(rows_are_stored_after_a_moment_without_being_asked),
        cmocka_unit_test(texts_go_with_their_findings),
        cmocka_unit_test(a_full_queue_drops_and_counts),
        cmocka_unit_test(what_is_beyond_the_limit_leaves_in_the_background),
        cmocka_unit_test(what_waits_at_the_end_is_stored),
        cmocka_unit_test(a_full_disk_drops_and_counts_and_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
