/* replay_print.h: the report of a replay (filters/replay.h) for people, on standard output.
 * Command-internal. */
#pragma once

#include "runtime/base/err.h"
#include "runtime/base/json.h"

int replay_print(const cJSON *report, struct err *e);
