/* service_watchdog.h: what is said to a real socket, on a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "runtime/base/log.h"
#include "runtime/serve/service_watchdog.h"

#define MS 1000000u

struct manager {
    int fd;
    char path[64];
};

static void manager_open(struct manager *m)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(m->path, sizeof(m->path), "/tmp/weir-watchdog-%d", (int)getpid());
    strcpy(address.sun_path, m->path);
    m->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(m->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", m->path, 1);
}

static void manager_close(struct manager *m)
{
    close(m->fd);
    unlink(m->path);
    unsetenv("NOTIFY_SOCKET");
}

/* How many words have come, all of them the right one. */
static int words(struct manager *m)
{
    char got[64];
    int n = 0;
    ssize_t len;
    while ((len = recv(m->fd, got, sizeof(got) - 1, MSG_DONTWAIT)) > 0) {
        got[len] = '\0';
        assert_string_equal(got, "WATCHDOG=1");
        n++;
    }
    return n;
}

static uint64_t busy(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static void on_over(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run_for(uv_loop_t *loop, uint64_t ms)
{
    uv_timer_t over;
    uv_timer_init(loop, &over);
    uv_timer_start(&over, on_over, ms, 0);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&over, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
}

static void words_come_only_while_no_step_takes_too_long(void **state)
{
    (void)state;
    struct manager m;
    uv_loop_t loop;
    struct service_watchdog w = {0};
    uint64_t busy_ns = 0;
    manager_open(&m);
    assert_int_equal(uv_loop_init(&loop), 0);
    service_watchdog_start(&w, &loop, 80 * MS, busy, &busy_ns);
    assert_int_equal(words(&m), 0);
    run_for(&loop, 200);
    assert_true(words(&m) >= 2);
    busy_ns = 40 * MS; /* half of the time: patience is not at its end */
    run_for(&loop, 100);
    assert_true(words(&m) >= 1);
    busy_ns++;
    run_for(&loop, 100);
    assert_int_equal(words(&m), 0);
    busy_ns = 0;
    run_for(&loop, 100);
    assert_true(words(&m) >= 1);
    service_watchdog_stop(&w);
    service_watchdog_stop(&w);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(words(&m), 0);
    manager_close(&m);
}

static void the_timer_does_not_keep_the_loop_alive(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct service_watchdog w = {0}, none = {0};
    uint64_t busy_ns = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    service_watchdog_start(&w, &loop, 60000 * (uint64_t)MS, busy, &busy_ns);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    service_watchdog_start(&none, &loop, 0, busy, &busy_ns);
    service_watchdog_stop(&none);
    service_watchdog_stop(&w);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void assert_wanted(const char *usec, const char *pid, uint64_t ns)
{
    usec ? setenv("WATCHDOG_USEC", usec, 1) : unsetenv("WATCHDOG_USEC");
    pid ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID");
    assert_true(service_watchdog_wanted_ns() == ns);
}

static void only_what_is_meant_for_this_process_is_wanted(void **state)
{
    (void)state;
    char own[32];
    snprintf(own, sizeof(own), "%d", (int)getpid());
    assert_wanted(NULL, NULL, 0);
    assert_wanted("2000000", own, 2000000000u);
    assert_wanted("2000000", NULL, 2000000000u);
    assert_wanted("2000000", "1", 0);
    assert_wanted("2000000", "", 0);
    static const char *const wrong[] = {
        "", "-1", " 5", "5s", "99999999999999999999", "18446744073709551615"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_wanted(wrong[i], own, 0);
    }
    assert_wanted(NULL, NULL, 0);
}

int main(void)
{
    log_set_level(LOG_LEVEL_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come_only_while_no_step_takes_too_long),
        cmocka_unit_test(the_timer_does_not_keep_the_loop_alive),
        cmocka_unit_test(only_what_is_meant_for_this_process_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
