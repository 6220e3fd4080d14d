/* self_run.h: other commands of this program as steps of a command. Command-internal.
 *
 * Each runs as a process of its own: what it needs of memory is gone afterwards, and it does
 * what it does when a person calls it. It is killed when this process dies. */
#pragma once

#include "runtime/base/err.h"

/* `weir ARGS...`, args ends with NULL; waits for its end. Its standard output goes to the file
 * out_path, or with NULL to this one's standard error. -1: it could not be started, or ended
 * with another status than 0; its own message is on standard error then. */
int self_run(const char *const *args, const char *out_path, struct err *e);
