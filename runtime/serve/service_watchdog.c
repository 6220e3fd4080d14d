#include "runtime/serve/service_watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/serve/service_notify.h"

/* Words in the time that the manager waits: some may come late. */
#define WORDS 8

/* 0 where there is no such number. */
static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end = NULL;
    if (!text || *text < '0' || *text > '9') {
        return 0;
    }
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? n : 0;
}

uint64_t service_watchdog_wanted_ns(void)
{
    uint64_t us = number_of("WATCHDOG_USEC");
    bool is_meant = !getenv("WATCHDOG_PID") || number_of("WATCHDOG_PID") == (uint64_t)getpid();
    return is_meant && us <= UINT64_MAX / 1000 ? us * 1000 : 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct service_watchdog *w = timer->data;
    uint64_t busy_ns = w->busy_ns(w->ctx);
    bool hangs = busy_ns > w->patience_ns;
    if (!hangs) {
        service_notify("WATCHDOG=1");
    }
    if (hangs && !w->is_silent) {
        log_error("an engine has been at one step for %.1f s; the service manager will hear "
                  "nothing until it goes on",
                  (double)busy_ns / 1e9);
    } else if (!hangs && w->is_silent) {
        log_info("the engine goes on");
    }
    w->is_silent = hangs;
}

void service_watchdog_start(struct service_watchdog *w, uv_loop_t *loop, uint64_t wanted_ns,
                            uint64_t (*busy_ns)(void *ctx), void *ctx)
{
    uint64_t every_ms = wanted_ns / WORDS / 1000000;
    if (wanted_ns == 0) {
        return;
    }
    every_ms = every_ms > 0 ? every_ms : 1;
    *w =
        (struct service_watchdog){.patience_ns = wanted_ns / 2, .busy_ns = busy_ns, .ctx = ctx};
    w->timer.data = w;
    uv_timer_init(loop, &w->timer);
    uv_unref((uv_handle_t *)&w->timer);
    uv_timer_start(&w->timer, on_timer, every_ms, every_ms);
}

void service_watchdog_stop(struct service_watchdog *w)
{
    if (w->timer.data && !uv_is_closing((uv_handle_t *)&w->timer)) {
        uv_close((uv_handle_t *)&w->timer, NULL);
    }
}
