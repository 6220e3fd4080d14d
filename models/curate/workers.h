/* workers.h: the same work on items 0 .. n-1, by several threads.
 *
 * Items are handed out in ascending runs; who does which does not matter, as each writes to
 * places of its own. The first error is that of the lowest item that failed, so it is the same
 * for any number of threads. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

#define WORKERS_MAX 256

/* 0, or -1 with *e. worker: 0 .. threads-1. */
typedef int workers_fn(void *ctx, size_t worker, size_t item, struct err *e);

int workers_run(size_t threads, size_t n, size_t run, workers_fn *fn, void *ctx, struct err *e);
