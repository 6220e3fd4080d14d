/* service_watchdog.h: tells the service manager again and again that the server works
 * (WATCHDOG=1 of sd_notify(3)), so that it can start one anew that hangs.
 *
 * The word comes from a timer on the loop, so a loop that hangs says nothing; and it is left
 * out while an engine has been at one step for more than half of the time that the manager
 * waits (WATCHDOG_USEC). A hanging engine is thus found after one and a half of that time, and
 * a step that takes long but ends in less goes unpunished.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct service_watchdog {
    uv_timer_t timer;
    uint64_t patience_ns; /* with one step */
    uint64_t (*busy_ns)(void *ctx);
    void *ctx;
    bool is_silent; /* and the log says why */
};

/* What the manager waits for a word of this process, in ns; 0: it does not. A process that
 * another one started in its place has no WATCHDOG_PID, and is meant too. */
uint64_t service_watchdog_wanted_ns(void);

/* busy_ns(ctx) is for how long the engine that is longest at a step has been at it. Says so for
 * the first time after a moment, not before it returns. Nothing happens with wanted_ns 0. The
 * timer does not keep the loop alive. */
void service_watchdog_start(struct service_watchdog *w, uv_loop_t *loop, uint64_t wanted_ns,
                            uint64_t (*busy_ns)(void *ctx), void *ctx);

/* Another process is the one that counts now. The loop must run until the handle is closed; of
 * one that was never started, all zero, nothing is to be closed. */
void service_watchdog_stop(struct service_watchdog *w);
