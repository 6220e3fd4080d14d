/* cond.h: POSIX condition variables whose waits may have an end, by the clock that nobody sets
 * (clock_now_ns). */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* For cond_wait_until; all else of it is POSIX's. */
void cond_init(pthread_cond_t *c);

/* pthread_cond_wait that ends at until_ns too. False: it is that time. The lock is held again
 * in either case, and a wait may end early for no reason. */
bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t until_ns);
