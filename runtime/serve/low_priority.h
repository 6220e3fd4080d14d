/* low_priority.h: work that takes long and that nobody waits for, beside work that somebody
 * does: it gets what processor time the other leaves.
 *
 * Threads: any. A thread cannot raise its own priority again, so the work is done by another
 * one, for which the caller waits; threads that it makes inherit its priority. */
#pragma once

/* Calls run(arg), and returns when it has returned. Where no thread can be had, it is run at
 * the caller's priority. */
void low_priority_run(void (*run)(void *arg), void *arg);
