/* watched_folder.h, look by look, and watched_dir.h on a real loop: with prompts, and with
 * files that name others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/prompt_files.h"
#include "runtime/serve/watched_dir.h"

static char dir[64];
static struct watched_folder folder;

static int begin(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/weir-prompts-XXXXXX");
    assert_non_null(mkdtemp(dir));
    watched_folder_init(&folder, dir, &prompt_files_reader);
    log_set_level(LOG_LEVEL_OFF);
    return 0;
}

static int end(void **state)
{
    char command[128];
    (void)state;
    watched_folder_deinit(&folder);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char path[2][256];
    static unsigned turn;
    turn ^= 1;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
    return path[turn];
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* ---- look by look ---- */

/* The news of all files as "NAME=CONTENT ", "NAME! " or "NAME- ", which are dealt with then. */
static const char *look(void)
{
    static char shown[1024];
    struct err e = {0};
    assert_int_equal(watched_folder_look(&folder, &e), 0);
    shown[0] = '\0';
    for (size_t i = 0; i < folder.count; i++) {
        struct watched_file *file = &folder.files[i];
        size_t at = strlen(shown);
        if (file->news == WATCHED_CHANGED) {
            snprintf(shown + at, sizeof(shown) - at, "%s=%s ", file->name, file->content.json);
        } else if (file->news != WATCHED_NONE) {
            snprintf(shown + at, sizeof(shown) - at, "%s%c ", file->name,
                     file->news == WATCHED_BROKEN ? '!' : '-');
        }
        watched_folder_clear_news(&folder, file);
    }
    return shown;
}

#define SHOWN(name, text) \
    name "={\"text\":\"" text "\",\"author\":\"" PROMPT_FILES_AUTHOR "\"} "

static void a_file_is_read_when_it_stands_still(void **state)
{
    (void)state;
    write_file("a.md", "half");
    assert_string_equal(look(), "");
    assert_true(folder.is_moving);
    write_file("a.md", "half and the rest");
    assert_string_equal(look(), "");
    assert_true(folder.is_moving);
    assert_string_equal(look(), SHOWN("a", "half and the rest"));
    assert_false(folder.is_moving);
    assert_string_equal(look(), "");
}

static void only_visible_markdown_files_count(void **state)
{
    (void)state;
    static const char *const names[] = {"b.md", "a.md", ".hidden.md", ".md", "c.txt", "md"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        write_file(names[i], "x");
    }
    assert_int_equal(symlink("nothing", in_dir("dangling.md")), 0);
    look();
    assert_string_equal(look(), SHOWN("a", "x") SHOWN("b", "x"));
    assert_false(folder.is_moving);
}

static void only_another_content_is_news(void **state)
{
    (void)state;
    write_file("a.md", "one");
    look();
    assert_string_equal(look(), SHOWN("a", "one"));
    write_file("new", "one\n");
    assert_int_equal(rename(in_dir("new"), in_dir("a.md")), 0);
    look();
    assert_string_equal(look(), "");
    write_file("new", "two");
    assert_int_equal(rename(in_dir("new"), in_dir("a.md")), 0);
    look();
    assert_string_equal(look(), SHOWN("a", "two"));
}

static void a_broken_file_is_told_once(void **state)
{
    (void)state;
    write_file("a.md", "one");
    look();
    look();
    write_file("a.md", "---\nmode: never\n---\none");
    look();
    assert_string_equal(look(), "a! ");
    assert_non_null(strstr(folder.files[0].problem.message, "/a.md:2: mode is one of prepend"));
    assert_string_equal(look(), "");
    write_file("a.md", "one"); /* as it was: nothing new */
    look();
    assert_string_equal(look(), "");
    assert_int_equal(mkdir(in_dir("b.md"), 0700), 0);
    look();
    assert_string_equal(look(), "b! ");
}

static void what_is_gone_is_told_when_it_stays_away(void **state)
{
    (void)state;
    write_file("a.md", "one");
    write_file("b.md", "one");
    look();
    look();
    assert_int_equal(unlink(in_dir("a.md")), 0);
    assert_string_equal(look(), "");
    write_file("a.md", "one");
    assert_string_equal(look(), ""); /* an editor's way to write */
    assert_int_equal(unlink(in_dir("a.md")), 0);
    look();
    assert_string_equal(look(), "a- ");
    assert_string_equal(look(), "");
    assert_int_equal(folder.count, 1);
    write_file("a.md", "one");
    look();
    assert_string_equal(look(), SHOWN("a", "one"));
}

static void links_that_are_swapped_are_changes(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_dir("..1"), 0700), 0);
    assert_int_equal(mkdir(in_dir("..2"), 0700), 0);
    write_file("..1/a.md", "one");
    write_file("..1/b.md", "same");
    write_file("..2/a.md", "two");
    write_file("..2/b.md", "same");
    assert_int_equal(symlink("..1", in_dir("..data")), 0);
    assert_int_equal(symlink("..data/a.md", in_dir("a.md")), 0);
    assert_int_equal(symlink("..data/b.md", in_dir("b.md")), 0);
    look();
    assert_string_equal(look(), SHOWN("a", "one") SHOWN("b", "same"));
    assert_int_equal(symlink("..2", in_dir("..data_tmp")), 0);
    assert_int_equal(rename(in_dir("..data_tmp"), in_dir("..data")), 0);
    look();
    assert_string_equal(look(), SHOWN("a", "two"));
}

static void a_folder_that_cannot_be_read_changes_nothing(void **state)
{
    (void)state;
    struct err e = {0};
    write_file("a.md", "one");
    look();
    look();
    folder.path = "/nonexistent/prompts";
    for (int i = 0; i < 3; i++) {
        assert_int_equal(watched_folder_look(&folder, &e), -1);
        assert_non_null(strstr(e.message, "/nonexistent/prompts: cannot open the folder"));
    }
    folder.path = dir;
    assert_string_equal(look(), "");
}

static void the_number_of_files_is_bounded(void **state)
{
    (void)state;
    char name[32];
    struct err e = {0};
    for (int i = 0; i <= WATCHED_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "%d.md", i);
        write_file(name, "x");
    }
    assert_int_equal(watched_folder_look(&folder, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(folder.count, WATCHED_FILES_MAX);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "%d.md", i);
        assert_int_equal(unlink(in_dir(name)), 0);
    }
    for (int i = 0; i < 3; i++) {
        watched_folder_look(&folder, &e);
    }
    assert_int_equal(watched_folder_look(&folder, &e), 0);
    assert_int_equal(folder.count, WATCHED_FILES_MAX + 1 - 10);
}

static void a_look_without_memory_is_made_up_for_by_the_next(void **state)
{
    (void)state;
    size_t live = mem_live();
    bool failed = true;
    write_file("a.md", "---\nnote: 'n'\n---\none");
    for (size_t nth = 1; failed; nth++) {
        struct err e = {0};
        watched_folder_init(&folder, dir, &prompt_files_reader);
        mem_fail_at(nth);
        int rc = watched_folder_look(&folder, &e);
        rc |= watched_folder_look(&folder, &e);
        failed = mem_fail_reached();
        mem_fail_at(0);
        assert_int_equal(e.kind, failed ? ERR_NOMEM : ERR_NONE);
        assert_int_equal(rc, failed ? -1 : 0);
        if (failed) {
            watched_folder_look(&folder, &e);
            watched_folder_look(&folder, &e);
        }
        assert_int_equal(folder.files[0].news, WATCHED_CHANGED);
        watched_folder_deinit(&folder);
        assert_int_equal(mem_live(), live);
    }
}

/* ---- a file with others, and one alone ---- */

static int n_made;

/* A line "with NAME" names another file; "broken" is an error. */
static int read_with_others(const char *name, const char *path, const char *text, size_t len,
                            struct watched_content *out, struct err *e)
{
    char other[64];
    (void)name;
    if (sscanf(text, "with %63s", other) == 1) {
        out->others[out->n_others++] = mem_strdup(in_dir(other));
        char *more = NULL;
        size_t n = 0;
        more = file_read(in_dir(other), 64, &n, e);
        if (!more) {
            return -1;
        }
        out->json = mem_strdup(more);
        mem_free(more);
    } else {
        out->json = mem_strndup(text, len);
    }
    out->json_len = strlen(out->json);
    out->made = &n_made;
    n_made++;
    return strcmp(out->json, "broken") == 0
               ? err_set(e, ERR_FORMAT, "%s: broken", path)
               : hash_sha256_hex(out->json, out->json_len, out->sha256);
}

static void release_made(void *made)
{
    --*(int *)made;
}

static const struct watched_reader others_reader = {.suffix = ".t",
                                                    .noun = "thing",
                                                    .option = "--things",
                                                    .bytes_max = 1000,
                                                    .read = read_with_others,
                                                    .release = release_made};

static void a_change_of_another_file_is_one_of_the_file(void **state)
{
    (void)state;
    size_t live = mem_live();
    watched_folder_init(&folder, dir, &others_reader);
    write_file("words", "one");
    write_file("a.t", "with words");
    /* The second look finds that there is another file, the fourth that both stand still. */
    for (int i = 0; i < 3; i++) {
        assert_string_equal(look(), "");
        assert_true(folder.is_moving);
    }
    assert_string_equal(look(), "a=one ");
    assert_string_equal(look(), "");
    write_file("words", "one two");
    assert_string_equal(look(), "");
    assert_string_equal(look(), "a=one two ");
    /* Broken by the other, whole again by the other. */
    write_file("words", "broken");
    look();
    assert_string_equal(look(), "a! ");
    assert_string_equal(look(), "");
    assert_int_equal(unlink(in_dir("words")), 0);
    look();
    assert_string_equal(look(), "a! ");
    write_file("words", "three");
    look();
    assert_string_equal(look(), "a=three ");
    /* It does not belong to it any more. */
    write_file("a.t", "alone");
    for (int i = 0; i < 3; i++) {
        assert_string_equal(look(), "");
    }
    assert_string_equal(look(), "a=alone ");
    write_file("words", "four");
    assert_string_equal(look(), "");
    assert_false(folder.is_moving);
    watched_folder_deinit(&folder);
    assert_int_equal(n_made, 0);
    assert_int_equal(mem_live(), live);
}

static void a_single_file_is_looked_at_alone(void **state)
{
    (void)state;
    struct watched_reader single = others_reader;
    single.suffix = "";
    single.only = "the.chain";
    watched_folder_init(&folder, dir, &single);
    assert_string_equal(look(), "");
    assert_false(folder.is_moving);
    write_file("the.chain.t", "no");
    write_file("the.chain", "one");
    look();
    assert_string_equal(look(), "the.chain=one ");
    assert_int_equal(unlink(in_dir("the.chain")), 0);
    look();
    assert_string_equal(look(), "the.chain- ");
    write_file("the.chain", "one");
    look();
    assert_string_equal(look(), "the.chain=one ");
    watched_folder_deinit(&folder);
}

/* ---- on a loop ---- */

struct receiver {
    uv_loop_t loop;
    struct watched_dir *watched;
    char received[1024];     /* "NAME=JSON " */
    const char *wait_for;    /* stops the loop when this is in there */
    int busy;                /* so many calls are answered with ERR_BUSY, */
    enum err_kind busy_kind; /* or with that */
    enum err_kind later;     /* with which something fails that has begun */
    bool refuse;
    int calls;
    bool is_late;
};

static int put(void *ctx, const char *name, const struct watched_content *content,
               struct err *e)
{
    struct receiver *r = ctx;
    size_t at = strlen(r->received);
    r->calls++;
    assert_int_equal(strlen(content->json), content->json_len);
    if (r->busy > 0) {
        r->busy--;
        return err_set(e, r->busy_kind ? r->busy_kind : ERR_BUSY, "later");
    }
    if (r->refuse) {
        return err_set(e, ERR_INVALID, "not that one");
    }
    snprintf(r->received + at, sizeof(r->received) - at, "%s=%s ", name, content->json);
    if (r->wait_for && strstr(r->received, r->wait_for)) {
        uv_stop(&r->loop);
    }
    return 0;
}

static void on_late(uv_timer_t *timer)
{
    struct receiver *r = timer->data;
    r->is_late = true;
    uv_stop(&r->loop);
}

/* Runs until `text` has been received (NULL: never), or for so long. */
static bool run_until(struct receiver *r, const char *text, uint64_t ms)
{
    uv_timer_t timer;
    uv_timer_init(&r->loop, &timer);
    timer.data = r;
    r->wait_for = text;
    r->is_late = false;
    uv_timer_start(&timer, on_late, ms, 0);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
    return !r->is_late;
}

static struct watched_dir *start(struct receiver *r, struct err *e)
{
    *r = (struct receiver){.busy = r->busy, .refuse = r->refuse};
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->watched = watched_dir_start(&r->loop, dir, &prompt_files_reader, put, r, e);
    return r->watched;
}

static void stop(struct receiver *r)
{
    watched_dir_stop(r->watched);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static void files_are_handed_on_at_the_start_and_when_they_change(void **state)
{
    (void)state;
    struct receiver r = {0};
    struct err e = {0};
    size_t live = mem_live();
    write_file("b.md", "one");
    write_file("a.md", "one");
    assert_non_null(start(&r, &e));
    assert_string_equal(r.received, SHOWN("a", "one") SHOWN("b", "one"));
    write_file("a.md", "two");
    assert_true(run_until(&r, SHOWN("a", "two"), 10000));
    write_file("new", "three");
    assert_int_equal(rename(in_dir("new"), in_dir("a.md")), 0);
    assert_true(run_until(&r, SHOWN("a", "three"), 10000));
    write_file("c.md", "new");
    assert_true(run_until(&r, SHOWN("c", "new"), 10000));
    assert_int_equal(r.calls, 5);
    stop(&r);
    assert_int_equal(mem_live(), live);
}

static void what_is_no_event_of_the_folder_is_found_by_looking(void **state)
{
    (void)state;
    struct receiver r = {0};
    struct err e = {0};
    char target[] = "/tmp/weir-prompt-XXXXXX";
    int fd = mkstemp(target);
    assert_int_equal(write(fd, "one", 3), 3);
    assert_int_equal(symlink(target, in_dir("a.md")), 0);
    assert_non_null(start(&r, &e));
    assert_string_equal(r.received, SHOWN("a", "one"));
    assert_int_equal(write(fd, " two", 4), 4);
    assert_true(run_until(&r, SHOWN("a", "one two"), 20000));
    stop(&r);
    close(fd);
    unlink(target);
}

static void a_broken_or_refused_file_is_an_error_at_the_start_only(void **state)
{
    (void)state;
    struct receiver r = {0};
    struct err e = {0};
    write_file("a.md", "---\nx\n");
    assert_null(start(&r, &e));
    assert_non_null(strstr(e.message, "/a.md:2: `key: value` is wanted here"));
    assert_int_equal(uv_loop_close(&r.loop), 0);

    write_file("a.md", "x");
    r.refuse = true;
    assert_null(start(&r, &e));
    assert_non_null(strstr(e.message, "/a.md: not that one"));
    assert_int_equal(uv_loop_close(&r.loop), 0);

    r.refuse = false;
    assert_non_null(start(&r, &e));
    r.refuse = true;
    write_file("a.md", "y");
    write_file("b.md", "---\n");
    assert_false(run_until(&r, NULL, 1500));
    assert_int_equal(r.calls, 2); /* refused once and not asked again */
    r.refuse = false;
    write_file("b.md", "fine");
    assert_true(run_until(&r, SHOWN("b", "fine"), 10000));
    stop(&r);
}

static void who_is_busy_is_asked_again(void **state)
{
    (void)state;
    struct receiver r = {.busy = 3};
    struct err e = {0};
    write_file("a.md", "one");
    assert_non_null(start(&r, &e));
    assert_string_equal(r.received, "");
    assert_true(run_until(&r, SHOWN("a", "one"), 10000));
    assert_int_equal(r.calls, 4);
    stop(&r);
}

/* ---- what has begun and fails later ---- */

static void on_failure(uv_timer_t *timer)
{
    struct receiver *r = timer->data;
    const struct err why = {.kind = r->later};
    watched_dir_failed(r->watched, "a", &why);
    watched_dir_failed(r->watched, "no such file", &why);
}

/* After so long the first content fails for that reason. */
static bool is_offered_again(struct receiver *r, enum err_kind why, uint64_t after_ms)
{
    uv_timer_t timer;
    uv_timer_init(&r->loop, &timer);
    timer.data = r;
    r->later = why;
    r->received[0] = '\0';
    uv_timer_start(&timer, on_failure, after_ms, 0);
    bool is_again = run_until(r, SHOWN("a", "one"), 3500);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
    return is_again;
}

static void what_fails_later_is_offered_again_if_the_reason_may_pass(void **state)
{
    (void)state;
    struct receiver r = {0};
    struct err e = {0};
    write_file("a.md", "one");
    write_file("b.md", "one");
    assert_non_null(start(&r, &e));
    assert_int_equal(r.calls, 2);
    assert_true(is_offered_again(&r, ERR_BUSY, 1));
    assert_true(is_offered_again(&r, ERR_IO, 1));
    assert_true(is_offered_again(&r, ERR_NOMEM, 1));
    assert_int_equal(r.calls, 5); /* only that file */
    assert_false(is_offered_again(&r, ERR_LIMIT, 1));
    assert_int_equal(r.calls, 5);
    stop(&r);
    watched_dir_failed(NULL, "a", &e);
}

#define WORKERS 4 /* libuv's number, unless the environment says another */

static void sleep_on_worker(uv_work_t *work)
{
    (void)work;
    usleep(900 * 1000);
}

static void a_failure_during_a_look_is_not_forgotten(void **state)
{
    (void)state;
    struct receiver r = {0};
    struct err e = {0};
    uv_work_t sleepers[WORKERS];
    write_file("a.md", "one");
    assert_non_null(start(&r, &e));
    /* The first look, after 250 ms, must wait for them. */
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(uv_queue_work(&r.loop, &sleepers[i], sleep_on_worker, NULL), 0);
    }
    assert_true(is_offered_again(&r, ERR_BUSY, 600));
    stop(&r);
}

static void a_passing_refusal_is_asked_again(void **state)
{
    (void)state;
    static const enum err_kind kinds[] = {ERR_IO, ERR_NOMEM};
    for (size_t i = 0; i < 2; i++) {
        struct receiver r = {0};
        struct err e = {0};
        write_file("a.md", "one");
        assert_non_null(start(&r, &e));
        r.busy = 1;
        r.busy_kind = kinds[i];
        write_file("a.md", "two");
        assert_true(run_until(&r, SHOWN("a", "two"), 10000));
        assert_int_equal(r.calls, 3);
        stop(&r);
    }
}

static void it_stops_while_it_looks(void **state)
{
    (void)state;
    struct receiver r = {0};
    struct err e = {0};
    size_t live = mem_live();
    for (int ms = 240; ms < 260; ms += 2) {
        assert_non_null(start(&r, &e));
        assert_false(run_until(&r, NULL, (uint64_t)ms));
        stop(&r);
    }
    assert_int_equal(mem_live(), live);
}

static void without_a_folder_there_is_no_start(void **state)
{
    (void)state;
    struct err e = {0};
    assert_null(watched_dir_start(uv_default_loop(), "/nonexistent/p", &prompt_files_reader,
                                  put, NULL, &e));
    assert_string_equal(e.message,
                        "/nonexistent/p: cannot open the folder: No such file or directory");
}

static void a_single_file_must_be_there_at_the_start(void **state)
{
    (void)state;
    struct err e = {0};
    struct receiver r = {0};
    struct watched_reader single = others_reader;
    single.suffix = "";
    single.only = "the.chain";
    assert_null(watched_dir_start(uv_default_loop(), dir, &single, put, &r, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "/the.chain: cannot open"));
    write_file("words", "broken");
    write_file("the.chain", "with words");
    assert_null(watched_dir_start(uv_default_loop(), dir, &single, put, &r, &e));
    assert_non_null(strstr(e.message, "/the.chain: broken"));
    assert_int_equal(r.calls, 0);
    write_file("words", "fine");
    assert_int_equal(uv_loop_init(&r.loop), 0);
    r.watched = watched_dir_start(&r.loop, dir, &single, put, &r, &e);
    assert_non_null(r.watched);
    assert_string_equal(r.received, "the.chain=fine ");
    write_file("words", "finer");
    watched_dir_look(r.watched);
    assert_true(run_until(&r, "the.chain=finer ", 10000));
    stop(&r);
    watched_dir_look(NULL);
    assert_int_equal(n_made, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_read_when_it_stands_still),
        TEST(only_visible_markdown_files_count),
        TEST(only_another_content_is_news),
        TEST(a_broken_file_is_told_once),
        TEST(what_is_gone_is_told_when_it_stays_away),
        TEST(links_that_are_swapped_are_changes),
        TEST(a_folder_that_cannot_be_read_changes_nothing),
        TEST(the_number_of_files_is_bounded),
        TEST(a_look_without_memory_is_made_up_for_by_the_next),
        TEST(a_change_of_another_file_is_one_of_the_file),
        TEST(a_single_file_is_looked_at_alone),
        TEST(a_single_file_must_be_there_at_the_start),
        TEST(files_are_handed_on_at_the_start_and_when_they_change),
        TEST(what_is_no_event_of_the_folder_is_found_by_looking),
        TEST(a_broken_or_refused_file_is_an_error_at_the_start_only),
        TEST(who_is_busy_is_asked_again),
        TEST(what_fails_later_is_offered_again_if_the_reason_may_pass),
        TEST(a_failure_during_a_look_is_not_forgotten),
        TEST(a_passing_refusal_is_asked_again),
        TEST(it_stops_while_it_looks),
        TEST(without_a_folder_there_is_no_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
