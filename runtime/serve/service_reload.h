/* service_reload.h: what a service manager hears of SIGHUP: RELOADING=1 at once, and READY=1
 * when what the signal began is over, well or not, so that `systemctl reload` waits for it.
 *
 * Threads: the loop's. */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct server;

struct service_reload {
    uv_timer_t timer;
    bool is_told;      /* that it has begun, and not yet that it is over */
    bool keeps_status; /* what was said meanwhile outlives it */
};

/* Before the others. */
void service_reload_init(struct server *s);

/* The signal has come, and nothing is done yet. */
void service_reload_begin(struct server *s);

/* The loop must run until its handle is closed. */
void service_reload_close(struct server *s);
