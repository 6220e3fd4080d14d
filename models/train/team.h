/* team.h: a fixed number of threads that run the same function side by side, then meet. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

struct train_team;

/* n >= 1 members; the caller is member 0, so n - 1 threads are started. */
struct train_team *train_team_create(size_t n, struct err *e);
void train_team_destroy(struct train_team *t);

/* Runs fn(arg, 0), .., fn(arg, n - 1) at the same time and returns when all have. */
void train_team_run(struct train_team *t, void (*fn)(void *arg, size_t member), void *arg);
