/* clock.h: monotonic time for durations, wall time for display, processor time for what work
 * costs, however busy the machine is. */
#pragma once

#include <stdint.h>

uint64_t clock_now_ns(void); /* CLOCK_MONOTONIC */
double clock_now_s(void);    /* the same, in seconds */
int64_t clock_unix_s(void);  /* CLOCK_REALTIME, whole seconds */
int64_t clock_unix_ms(void); /* the same, in milliseconds */

/* CLOCK_THREAD_CPUTIME_ID: what the calling thread has computed. */
uint64_t clock_thread_ns(void);
