/* team.h: a fork-join team of threads for the kernels of one engine.
 *
 * team_run calls fn(ctx, worker, n_workers) once on every worker, the caller being worker 0,
 * and returns when all have returned. Inside fn, team_barrier waits for all workers, so that a
 * whole model step can be one team_run with barriers between its stages. Waiting spins for some
 * tens of microseconds and then sleeps in the kernel: no core is busy while nothing runs. Where
 * teams run at the same time, as while one version of a model follows another, a thread that
 * spins offers its core to others: what it waits for may be a thread that wants that core.
 *
 * Threads: a team is used by one thread at a time (the one that calls team_run); fn runs on
 * all. What the caller wrote before team_run is visible to fn, what fn wrote is visible after
 * it returns, and what was written before a barrier is visible after it.
 */
#pragma once

#include "runtime/base/err.h"

struct team;

#define TEAM_MAX_THREADS 256

/* Starts threads - 1 threads; 1 <= threads <= TEAM_MAX_THREADS. NULL on failure. The caller
 * owns the team and destroys it from the thread that uses it, outside of team_run. */
struct team *team_create(int threads, struct err *e);

/* The same for work behind that of others, who can use the cores better than threads that spin.
 */
struct team *team_create_behind(int threads, struct err *e);
void team_destroy(struct team *t); /* accepts NULL */

int team_size(const struct team *t);

void team_run(struct team *t, void (*fn)(void *ctx, int worker, int n_workers), void *ctx);

/* Ties each worker to a CPU of its own among those that the process may use, in their order;
 * the calling thread, worker 0, to the first. Fails, changing nothing, when there are fewer
 * CPUs than workers; some tied, when the system refuses. */
int team_pin(struct team *t, struct err *e);

/* Whether so many threads could be pinned by a thread like the calling one; 0, or why not. */
int team_check_pin(int threads, struct err *e);

/* The loop has little to do, but at once: where cores are few, its threads go before those that
 * compute. */
void team_step_back(struct team *t);

/* What nobody waits for: its threads compute when no others want the processor. A thread cannot
 * raise its priority again, so there is no way back. */
void team_step_aside(struct team *t);

/* Inside fn only, and by every worker or none. */
void team_barrier(struct team *t);
