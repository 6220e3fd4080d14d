/* chat_input.h: what the user types, one message or command at a time.
 *
 * On a terminal lines are edited (libedit: arrows, Ctrl-R for the history, ~/.editrc), and kept
 * in a history file, which its owner alone can read. Elsewhere lines are read as they come.
 *
 * A message of several lines: a line that ends in a backslash goes on in the next one; between
 * two lines of """ (text may follow the first and come before the second) line breaks are
 * kept. Command-internal. */
#pragma once

#include <stdbool.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct chat_input; /* opaque */

#define CHAT_HISTORY_LINES 1000 /* that are kept */

/* history: a file, made with its folder if need be; NULL: none. Not being able to keep it is
 * told on stderr and no error. */
struct chat_input *chat_input_open(bool is_terminal, const char *history, struct err *e);
void chat_input_close(struct chat_input *in); /* accepts NULL */

/* 1: *out is a message, perhaps an empty one; 0: the end; -1: failed. Ctrl-C drops what was
 * typed, and gives an empty one. *is_fenced: it stood between """, so that a slash is a slash.
 */
int chat_input_read(struct chat_input *in, struct buf *out, bool *is_fenced, struct err *e);

/* $WEIR_CHAT_HISTORY, or weir/chat_history in $XDG_STATE_HOME or ~/.local/state. NULL if there
 * is no such place, or the variable is empty. The caller's (mem_free). */
char *chat_history_path(void);
