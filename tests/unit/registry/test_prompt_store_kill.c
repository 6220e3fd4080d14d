/* prompt_store.h: what was acknowledged is there after kill -9 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/registry/store_fixture.h"

/* How often; WEIR_KILLS in the environment sets another number. */
#define N_KILLS     100
#define MAX_WAIT_MS 30

/* Puts and activates until it is killed, telling each revision once it is acknowledged. */
static void write_until_killed(const char *file, int acknowledge)
{
    struct err e = {0};
    struct prompt_store *s = store_must_open(file);
    for (;;) {
        struct prompt *p = draft_of("text");
        struct prompt_profile now;
        if (prompt_store_put(s, "default", p, false, &any_change, NULL, &e) != 0 ||
            prompt_store_activate(s, "default", p->version, &any_change, &now, &e) != 0) {
            fprintf(stderr, "%s\n", e.message);
            _exit(1);
        }
        prompt_unref(p);
        if (write(acknowledge, &now, sizeof(now)) != (ssize_t)sizeof(now)) {
            _exit(1);
        }
    }
}

/* Reads until the other end is closed, which happens when the child is dead. */
static bool read_last(int fd, struct prompt_profile *last)
{
    bool any = false;
    struct prompt_profile one;
    while (read(fd, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
        *last = one;
        any = true;
    }
    return any;
}

/* One life of the child; whether it acknowledged anything. */
static bool run_and_kill(const char *file, int wait_us, struct prompt_profile *last)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        write_until_killed(file, ends[1]);
    }
    close(ends[1]);
    /* Three of four die after their first acknowledgement, however slow the machine is; the
     * others perhaps while they open the file. */
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    if (wait_us % 4 != 0) {
        poll(&ready, 1, 10000);
    }
    usleep((useconds_t)wait_us);
    kill(child, SIGKILL);
    bool any = read_last(ends[0], last);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    return any;
}

/* Beyond what was acknowledged at most one put and one activation have happened. */
static void check_store(const char *file, const struct prompt_profile *last)
{
    struct err e = {0};
    struct prompt_store *s = store_must_open(file);
    struct prompt_profile now = {0};
    struct prompt *active = NULL;
    int rc = prompt_store_load(s, "default", &now, &active, NULL, &e);
    assert_true(rc == 0 || (e.kind == ERR_NOT_FOUND && last->revision == 0));
    if (rc == 0) {
        assert_true(now.revision >= last->revision && now.revision <= last->revision + 2);
        assert_true(now.active == last->active || now.active == last->latest + 1);
        assert_true(now.latest == last->latest || now.latest == last->latest + 1);
        assert_int_equal(now.n_versions, now.latest);
        struct prompt_audit *rows;
        size_t n;
        assert_int_equal(prompt_store_audit(s, NULL, 0, 1, &rows, &n, &e), 0);
        assert_int_equal(rows[0].revision, now.revision);
        assert_int_equal(rows[0].id, now.revision);
        mem_free(rows);
    }
    prompt_unref(active);
    prompt_store_close(s);
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
    struct prompt_profile last = {0};
    int n_lives = 0;
    for (long i = 0; i < n_kills; i++) {
        struct prompt_profile found = {0};
        bool any = run_and_kill(f.file, (int)rng_below(&r, MAX_WAIT_MS * 1000), &found);
        n_lives += any ? 1 : 0;
        last = any ? found : last;
        check_store(f.file, &last);
        /* What it did without telling counts from now on. */
        struct prompt_store *s = store_must_open(f.file);
        struct err e = {0};
        if (prompt_store_load(s, "default", &last, NULL, NULL, &e) != 0) {
            last = (struct prompt_profile){0};
        }
        prompt_store_close(s);
    }
    printf("%ld kills, %d after acknowledged changes, %d versions\n", n_kills, n_lives,
           (int)last.latest);
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
