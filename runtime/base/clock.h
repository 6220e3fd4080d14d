/* clock.h: monotonic time for durations, wall time for display, processor time for what work
 * costs, however busy the machine is. */
#pragma once

#include <stdint.h>

uint64_t clock_now_ns(void); /* CLOCK_MONOTONIC */
double clock_now_s(void);    /* the same, in seconds */
/* From one clock_now_ns() to a later one; 0 where `to_ns` is not later. */
double clock_seconds(uint64_t from_ns, uint64_t to_ns);

int64_t clock_unix_s(void);  /* CLOCK_REALTIME, whole seconds */
int64_t clock_unix_ms(void); /* the same, in milliseconds */
int64_t clock_unix_ns(void); /* and in nanoseconds */

/* CLOCK_THREAD_CPUTIME_ID: what the calling thread has computed. */
uint64_t clock_thread_ns(void);
