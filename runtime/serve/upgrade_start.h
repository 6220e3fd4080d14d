/* upgrade_start.h: starts the process that is to replace this one. Internal to upgrade.c.
 *
 * The server may hold tens of GB and run many threads: the child is made without a copy of its
 * memory's tables (posix_spawn). */
#pragma once

#include <sys/types.h>

#include "runtime/serve/server.h"

/* The command that started the server, with its listening sockets as descriptors from 3 on, in
 * the form of passed_sockets.h, and behind them the other end of a handover. *end is the
 * caller's. */
int upgrade_start(const struct server *s, pid_t *pid, int *end, struct err *e);
