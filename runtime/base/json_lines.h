/* json_lines.h: JSON Lines (jsonlines.org), files with a JSON value a line, of any size: one
 * line at a time is in memory. Lines of white space are passed over, and so is a byte order
 * mark.
 *
 *     while ((rc = json_lines_next(&lines, e)) > 0) {
 *         ... lines.text, lines.len ...
 *     }
 *
 * Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "runtime/base/err.h"

struct json_lines {
    const char *path;     /* borrowed */
    unsigned long number; /* of the line, from 1 */
    const char *text;     /* the line, with its line feed and a NUL behind it; not parsed */
    size_t len;
    /* private */
    FILE *file;
    char *line;
    size_t cap;
};

/* With dash_is_stdin, "-" is standard input, else a file of that name. After -1 there is
 * nothing to close. */
int json_lines_open(struct json_lines *l, const char *path, bool dash_is_stdin, struct err *e);
void json_lines_close(struct json_lines *l);

/* 1: there is another line, up to the next call; 0: it was the last one; -1: it cannot be read.
 */
int json_lines_next(struct json_lines *l, struct err *e);

/* Puts path and line before what was found wrong with the line. Returns -1. */
int json_lines_blame(const struct json_lines *l, struct err *e);
