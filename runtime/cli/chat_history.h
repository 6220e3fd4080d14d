/* chat_history.h: the lines of earlier sessions, in a file with mode 0600. Several programs may
 * append to it. Command-internal. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

/* Calls with each of the last CHAT_HISTORY_LINES lines, oldest first; cuts the file to them if
 * there are twice as many. It need not exist. */
int chat_history_read(const char *path, void (*visit)(void *ctx, const char *line), void *ctx,
                      struct err *e);

/* line: without its end. The file's folders are made, for their owner alone. */
int chat_history_append(const char *path, const char *line, struct err *e);
