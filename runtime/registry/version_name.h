/* version_name.h: how things that have versions, and their versions, may be called: bounds and
 * checks that prompts, filter chains and their store have in common. Threads: any. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

#define VERSION_NAME_MAX   64
#define VERSION_AUTHOR_MAX 128
#define VERSION_NOTE_MAX   2048

/* Whether it is a name for a prompt, a chain or a label: a letter or digit, then these and
 * . _ - ; 1 to VERSION_NAME_MAX bytes. ERR_INVALID names `param`. */
int version_name_check(const char *name, const char *param, struct err *e);

/* One line, for what is shown within lines. ERR_INVALID and ERR_LIMIT name `field`. */
int version_line_check(const char *field, const char *text, size_t max, struct err *e);

/* Who made a version, one line, and what is new in it. Errors name "author" or "note". */
int version_origin_check(const char *author, const char *note, struct err *e);
