/* script_text.h: a script at work on one text. script_text.c runs it; a build without Lua has
 * script_absent.c in its place, which refuses to begin.
 *
 * Threads and ownership: a text belongs to one thread at a time; code is borrowed until create
 * returns. */
#pragma once

#include <stdbool.h>

#include "filters/filter.h"

#define SCRIPT_MAX_CODE ((size_t)64 << 10) /* bytes */
#define SCRIPT_MAX_HOLD 4096u              /* bytes; each call is shown all that is held */

struct script_limits {
    uint32_t steps; /* of one call */
    size_t memory;  /* bytes, of one text */
};

struct script_text;

/* Loads and runs the code, which returns the filter function. NULL with a message. */
struct script_text *script_text_create(const char *code, size_t len,
                                       const struct script_limits *limits,
                                       const struct filter_text *text, char *message,
                                       size_t room);
void script_text_destroy(struct script_text *script); /* accepts NULL */

/* Calls the function and does what it says. Returns as filter callbacks do. */
int script_text_call(struct script_text *script, const struct filter_span *span, bool is_end,
                     struct filter_host *host);
