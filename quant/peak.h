/* peak.h: what this machine can do at most, to hold measured speeds against.
 *
 * Two numbers: int8 operations a second with a kernel's multiply instruction and nothing else,
 * and bytes a second read from memory. Neither makes threads: a `run_all` callback calls the
 * work on every worker (runtime/engine/team.h fits). Takes about half a second in all.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "quant/q8_kernel.h"

/* Calls work(ctx, worker, n_workers) on every worker and returns when all are done. */
struct peak_team {
    void (*run_all)(void *team, void (*work)(void *ctx, int worker, int n_workers), void *ctx);
    void *team;
};

/* Int8 operations a second, all workers together (a multiplication and an addition are two):
 * the best of several short measurements. */
double peak_int8_ops(const struct peak_team *team, const struct q8_kernel *kernel);

/* Bytes a second read, all workers together, each its own part of `buffer`: the best of several
 * passes. The buffer is the caller's, should be written once before (fresh pages are all the
 * same zero page) and several times as large as the caches: 512 MiB or more. */
double peak_read_bytes(const struct peak_team *team, const void *buffer, size_t bytes);
