/* clock.h: monotonic time for durations, wall time for display. */
#pragma once

#include <stdint.h>

uint64_t clock_now_ns(void); /* CLOCK_MONOTONIC */
double clock_now_s(void);    /* the same, in seconds */
int64_t clock_unix_s(void);  /* CLOCK_REALTIME, whole seconds */
