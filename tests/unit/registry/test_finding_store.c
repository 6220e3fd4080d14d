/* finding_store.h: rows come back as they were stored, leave by number, age and bytes, and are
 * all there or not at all when the disk fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/registry/database.h"
#include "runtime/registry/finding_store.h"
#include "tests/unit/registry/store_fixture.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

static const struct finding_limits limits = {
    .rows = 100, .age_ms = 30 * DAY_MS, .text_bytes = 10000};

static struct finding_store *must_open(const char *path, const struct finding_limits *l)
{
    struct err e = {0};
    struct finding_store *s = finding_store_open(path, l, &e);
    if (!s) {
        fail_msg("%s", e.message);
    }
    return s;
}

static struct finding finding_of(int64_t time_ms, const char *chain, const char *code)
{
    struct finding f = {.time_ms = time_ms,
                        .version = 3,
                        .request = "req_1",
                        .answer = "chatcmpl-1",
                        .key = "ann",
                        .route = "/v1/chat/completions",
                        .place = "messages[0].content",
                        .side = "input",
                        .channel = "content",
                        .ordinal = 4,
                        .filter = 5,
                        .name = "names",
                        .type = "wordlist",
                        .verdict = "note",
                        .message = "words[0] \xc3\xbc",
                        .is_recorded = true,
                        .from = 10,
                        .to = (uint64_t)1 << 40,
                        .at = 7};
    snprintf(f.chain, sizeof(f.chain), "%s", chain);
    snprintf(f.code, sizeof(f.code), "%s", code);
    return f;
}

static void add(struct finding_store *s, const struct finding *f, size_t n)
{
    struct err e = {0};
    const struct finding_batch batch = {.findings = f, .n_findings = n};
    assert_int_equal(finding_store_add(s, &batch, &e), 0);
}

static size_t list(struct finding_store *s, const struct finding_query *q, struct finding **out)
{
    struct err e = {0};
    size_t n;
    assert_int_equal(finding_store_list(s, q, out, &n, &e), 0);
    return n;
}

static size_t count(struct finding_store *s)
{
    struct finding *all;
    size_t n = list(s, &(struct finding_query){.limit = FINDING_PAGE_MAX}, &all);
    mem_free(all);
    return n;
}

static void prune(struct finding_store *s, int64_t now_ms)
{
    struct err e = {0};
    bool more = true;
    for (int i = 0; more; i++) {
        assert_true(i < 1000);
        assert_int_equal(finding_store_prune(s, now_ms, &more, &e), 0);
    }
}

static void a_row_comes_back_as_it_was(void **state)
{
    (void)state;
    struct store_folder folder;
    store_folder_make(&folder);
    struct finding_store *s = must_open(folder.file, &limits);
    struct finding f = finding_of(123456789, "shop", "email");
    add(s, &f, 1);
    for (int again = 0; again < 2; again++) {
        struct finding *all;
        assert_int_equal(list(s, &(struct finding_query){.limit = 10}, &all), 1);
        f.id = 1;
        assert_memory_equal(&all[0], &f, sizeof(f));
        mem_free(all);
        finding_store_close(s);
        s = must_open(folder.file, &limits);
    }
    finding_store_close(s);
    struct stat info;
    assert_int_equal(stat(folder.file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    store_folder_remove(&folder);
}

static void lists_go_backwards_and_by_what_is_asked(void **state)
{
    (void)state;
    struct finding_store *s = must_open(NULL, &limits);
    for (int i = 0; i < 60; i++) {
        struct finding f = finding_of(i, i % 2 ? "shop" : "home", i % 3 ? "email" : "phone");
        f.version = i % 4 < 2 ? 1 : 2;
        snprintf(f.verdict, sizeof(f.verdict), "%s", i % 5 ? "note" : "stop");
        snprintf(f.side, sizeof(f.side), "%s", i % 6 ? "input" : "output");
        snprintf(f.request, sizeof(f.request), "req_%d", i);
        add(s, &f, 1);
    }
    const struct {
        struct finding_query q;
        size_t n;
    } cases[] = {
        {{.limit = 1000}, 60},
        {{.limit = 7}, 7},
        {{.limit = 1000, .before = 11}, 10},
        {{.limit = 1000, .chain = "shop"}, 30},
        {{.limit = 1000, .chain = "shop", .version = 2}, 15},
        {{.limit = 1000, .code = "phone"}, 20},
        {{.limit = 1000, .verdict = "stop"}, 12},
        {{.limit = 1000, .side = "output"}, 10},
        {{.limit = 1000, .request = "req_17"}, 1},
        {{.limit = 1000, .chain = "' OR 1=1 --"}, 0},
        {{.limit = 1000, .chain = "shop", .code = "phone", .verdict = "stop"}, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct finding *found;
        size_t n = list(s, &cases[i].q, &found);
        assert_int_equal(n, cases[i].n);
        for (size_t k = 1; k < n; k++) {
            assert_true(found[k].id < found[k - 1].id);
        }
        mem_free(found);
    }
    finding_store_close(s);
}

/* --- what leaves --- */

static void rows_leave_by_number(void **state)
{
    (void)state;
    struct finding_store *s = must_open(NULL, &limits);
    for (int i = 0; i < 5000; i++) {
        struct finding f = finding_of(DAY_MS, "shop", "email");
        add(s, &f, 1);
    }
    prune(s, DAY_MS);
    assert_int_equal(count(s), limits.rows);
    struct finding *all;
    size_t n = list(s, &(struct finding_query){.limit = 1000}, &all);
    assert_int_equal(all[0].id, 5000);
    assert_int_equal(all[n - 1].id, 5000 - limits.rows + 1);
    mem_free(all);
    struct finding f = finding_of(DAY_MS, "shop", "email");
    add(s, &f, 1);
    prune(s, DAY_MS);
    assert_int_equal(count(s), limits.rows);
    finding_store_close(s);
}

static void rows_leave_by_age_and_numbers_do_not_come_back(void **state)
{
    (void)state;
    struct store_folder folder;
    store_folder_make(&folder);
    struct finding_store *s = must_open(folder.file, &limits);
    for (int i = 0; i < 50; i++) {
        struct finding f = finding_of(i * DAY_MS, "shop", "email");
        add(s, &f, 1);
    }
    prune(s, 49 * DAY_MS);
    assert_int_equal(count(s), 31); /* 30 days old, and younger */
    prune(s, 1000 * DAY_MS);
    assert_int_equal(count(s), 0);
    prune(s, 1000 * DAY_MS);
    finding_store_close(s);
    s = must_open(folder.file, &limits);
    struct finding f = finding_of(DAY_MS, "shop", "email");
    add(s, &f, 1);
    struct finding *all;
    assert_int_equal(list(s, &(struct finding_query){.limit = 10}, &all), 1);
    assert_int_equal(all[0].id, 51);
    mem_free(all);
    finding_store_close(s);
    store_folder_remove(&folder);
}

/* --- texts --- */

static void add_text(struct finding_store *s, const char *text, size_t len, const char *side,
                     int64_t time_ms)
{
    struct err e = {0};
    struct finding f = finding_of(time_ms, "shop", "email");
    struct finding_text t = {.time_ms = time_ms,
                             .request = "req_1",
                             .place = "messages[0].content",
                             .channel = "content",
                             .ordinal = 2,
                             .is_cut = true,
                             .text = (char *)text,
                             .len = len};
    snprintf(t.side, sizeof(t.side), "%s", side);
    f.text = 1;
    const struct finding_batch batch = {
        .findings = &f, .n_findings = 1, .texts = &t, .n_texts = 1};
    assert_int_equal(finding_store_add(s, &batch, &e), 0);
}

struct seen {
    size_t n, bytes;
    uint64_t last;
    int end_after;
};

static int see(void *ctx, const struct finding_text *text, struct err *e)
{
    struct seen *seen = ctx;
    assert_true(seen->n == 0 || text->id < seen->last);
    assert_string_equal(text->channel, "content");
    assert_int_equal(text->ordinal, 2);
    assert_true(text->is_cut);
    seen->last = text->id;
    seen->bytes += text->len;
    seen->n++;
    return seen->end_after && (int)seen->n == seen->end_after
               ? err_set(e, ERR_CANCELED, "enough")
               : 0;
}

static void texts_are_kept_to_the_byte(void **state)
{
    (void)state;
    static const char text[] = "a\0b \xe2\x82\xac \"'\n";
    struct finding_store *s = must_open(NULL, &limits);
    struct err e = {0};
    add_text(s, text, sizeof(text) - 1, "input", DAY_MS);
    add_text(s, "", 0, "output", DAY_MS);
    struct finding *all;
    assert_int_equal(list(s, &(struct finding_query){.limit = 10}, &all), 2);
    assert_int_equal(all[1].text, 1);
    size_t len;
    char *back = finding_store_text(s, all[1].text, &len, &e);
    assert_int_equal(len, sizeof(text) - 1);
    assert_memory_equal(back, text, len);
    mem_free(back);
    mem_free(all);
    assert_null(finding_store_text(s, 77, &len, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);

    struct seen seen = {0};
    assert_int_equal(finding_store_texts(s, "", 10, 1000, see, &seen, &e), 0);
    assert_int_equal(seen.n, 2);
    seen = (struct seen){0};
    assert_int_equal(finding_store_texts(s, "input", 10, 1000, see, &seen, &e), 0);
    assert_int_equal(seen.n, 1);
    seen = (struct seen){0};
    assert_int_equal(finding_store_texts(s, "", 10, 3, see, &seen, &e), 0);
    assert_int_equal(seen.n, 1); /* the empty one */
    seen = (struct seen){.end_after = 1};
    assert_int_equal(finding_store_texts(s, "", 10, 1000, see, &seen, &e), -1);
    assert_int_equal(seen.n, 1);
    finding_store_close(s);
}

static void texts_leave_by_bytes_and_their_findings_stay(void **state)
{
    (void)state;
    struct store_folder folder;
    store_folder_make(&folder);
    struct finding_store *s = must_open(folder.file, &limits);
    char text[1000];
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 25; i++) {
        add_text(s, text, sizeof(text), "input", DAY_MS);
        if (i == 12) { /* what is there is counted anew */
            finding_store_close(s);
            s = must_open(folder.file, &limits);
        }
    }
    struct err e = {0};
    prune(s, DAY_MS);
    struct seen seen = {0};
    assert_int_equal(finding_store_texts(s, "", 1000, 1 << 20, see, &seen, &e), 0);
    assert_int_equal(seen.bytes, limits.text_bytes);
    assert_int_equal(seen.last, 16); /* the newest stayed */
    struct finding *all;
    size_t n = list(s, &(struct finding_query){.limit = 1000}, &all);
    assert_int_equal(n, 25);
    assert_int_equal(all[0].text, 25);
    assert_int_equal(all[n - 1].text, 0);
    mem_free(all);
    prune(s, 40 * DAY_MS);
    seen = (struct seen){0};
    assert_int_equal(finding_store_texts(s, "", 1000, 1 << 20, see, &seen, &e), 0);
    assert_int_equal(seen.n, 0);
    finding_store_close(s);
    store_folder_remove(&folder);
}

static void a_text_that_has_left_is_not_in_the_file(void **state)
{
    (void)state;
    struct store_folder folder;
    store_folder_make(&folder);
    struct finding_store *s = must_open(folder.file, &limits);
    static const char secret[] = "the-secret-that-somebody-wrote";
    add_text(s, secret, strlen(secret), "input", DAY_MS);
    prune(s, 100 * DAY_MS);
    finding_store_close(s); /* the log becomes part of the file */
    struct err e = {0};
    size_t len;
    char *bytes = file_read(folder.file, 1 << 20, &len, &e);
    assert_non_null(bytes);
    assert_null(memmem(bytes, len, secret, strlen(secret)));
    mem_free(bytes);
    store_folder_remove(&folder);
}

/* --- faults --- */

/* In a child whose files may not grow beyond some size, as on a full disk. */
static int fill_the_disk(const char *path)
{
    struct err e = {0};
    struct finding_store *s = finding_store_open(path, &limits, &e);
    struct finding many[200];
    for (size_t i = 0; i < 200; i++) {
        many[i] = finding_of(DAY_MS, "shop", "email");
    }
    const struct finding_batch batch = {.findings = many, .n_findings = 200};
    struct rlimit small = {.rlim_cur = 300000, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    if (!s || setrlimit(RLIMIT_FSIZE, &small) != 0) {
        return 1;
    }
    size_t stored = 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 100; i++) {
        rc = finding_store_add(s, &batch, &e);
        stored += rc == 0 ? 200 : 0;
    }
    if (rc == 0 || e.kind != ERR_IO || !strstr(e.message, path)) {
        fprintf(stderr, "stored %zu: %s\n", stored, e.message);
        return 2;
    }
    /* What was stored is there, nothing of what failed, and with room it goes on. */
    struct finding *all;
    size_t n;
    struct finding_query q = {.limit = FINDING_PAGE_MAX};
    if (finding_store_list(s, &q, &all, &n, &e) != 0 || all[0].id != stored) {
        return 3;
    }
    mem_free(all);
    small.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &small);
    rc = finding_store_add(s, &batch, &e);
    finding_store_close(s);
    return rc == 0 ? 0 : 4;
}

static void a_full_disk_is_an_error_and_not_a_half_batch(void **state)
{
    (void)state;
    struct store_folder folder;
    store_folder_make(&folder);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(fill_the_disk(folder.file));
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    finding_store_close(must_open(folder.file, &limits));
    store_folder_remove(&folder);
}

/* As a store of another kind would. */
static void open_other(const char *path)
{
    static const char *const steps[] = {"CREATE TABLE t(x);"};
    static const struct database_schema schema = {
        .application_id = 7, .steps = steps, .n_steps = 1};
    struct database d;
    struct err e = {0};
    assert_int_equal(database_open(&d, path, &schema, &e), 0);
    database_close(&d);
}

static void foreign_files_are_left_alone(void **state)
{
    (void)state;
    struct store_folder folder;
    struct err e = {0};
    store_folder_make(&folder);
    open_other(folder.file);
    assert_null(finding_store_open(folder.file, &limits, &e));
    assert_non_null(strstr(e.message, "another program"));
    open_other(folder.file);
    char path[128];
    snprintf(path, sizeof(path), "%s/none/x", folder.path);
    assert_null(finding_store_open(path, &limits, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    store_folder_remove(&folder);
}

static void a_file_that_cannot_be_written_is_refused(void **state)
{
    (void)state;
    struct store_folder folder;
    store_folder_make(&folder);
    finding_store_close(must_open(folder.file, &limits));
    assert_int_equal(chmod(folder.path, 0755), 0);
    assert_int_equal(chmod(folder.file, 0444), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct err e = {0};
        bool refused = (geteuid() != 0 || setuid(65534) == 0) &&
                       !finding_store_open(folder.file, &limits, &e) &&
                       strstr(e.message, "cannot be written");
        _exit(refused ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_folder_remove(&folder);
}

static void without_memory_it_fails_and_leaks_nothing(void **state)
{
    (void)state;
    size_t live = mem_live();
    for (size_t nth = 1; nth < 50; nth++) {
        struct err e = {0};
        struct finding_store *s = must_open(NULL, &limits);
        struct finding f = finding_of(DAY_MS, "shop", "email");
        const struct finding_batch batch = {.findings = &f, .n_findings = 1};
        struct finding *all = NULL;
        size_t n = 0;
        mem_fail_at(nth);
        bool added = finding_store_add(s, &batch, &e) == 0;
        bool listed = added && finding_store_list(s, &(struct finding_query){.limit = 5}, &all,
                                                  &n, &e) == 0;
        bool failed = mem_fail_reached();
        mem_fail_at(0);
        assert_int_equal(listed, !failed);
        assert_int_equal(count(s), added);
        mem_free(all);
        finding_store_close(s);
    }
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_comes_back_as_it_was),
        cmocka_unit_test(lists_go_backwards_and_by_what_is_asked),
        cmocka_unit_test(rows_leave_by_number),
        cmocka_unit_test(rows_leave_by_age_and_numbers_do_not_come_back),
        cmocka_unit_test(texts_are_kept_to_the_byte),
        cmocka_unit_test(texts_leave_by_bytes_and_their_findings_stay),
        cmocka_unit_test(a_text_that_has_left_is_not_in_the_file),
        cmocka_unit_test(a_full_disk_is_an_error_and_not_a_half_batch),
        cmocka_unit_test(foreign_files_are_left_alone),
        cmocka_unit_test(a_file_that_cannot_be_written_is_refused),
        cmocka_unit_test(without_memory_it_fails_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
