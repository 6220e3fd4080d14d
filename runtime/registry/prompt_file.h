/* prompt_file.h: a prompt as people keep it in a file, with a text editor and in git.
 *
 *     ---
 *     mode: override
 *     author: Anna
 *     note: names the opening hours
 *     variables:
 *       city: Bern
 *       customer:
 *     ---
 *     You answer for our shop in {{city}}. You speak with {{customer}}.
 *
 * What stands between the two lines `---` is front matter as Markdown files have it, and may be
 * missing. It is not YAML, only what of it is needed here: `key: value` in one line each, and
 * under `variables:` indented lines `name: default`. A value is the rest of its line, or stands
 * in quotes: "..." with JSON's escapes, or '...' as it is. A variable without a value must be
 * given by each request; "" is the empty text. Blank lines and lines that begin with # are
 * passed over.
 *
 * The rest is the text, as it is: Markdown means nothing here. Blank lines around it and a byte
 * order mark do not count, and lines may end in CR LF.
 *
 * Threads: any. */
#pragma once

#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/registry/prompt.h"

/* A bound for file_read: the text, and as much front matter as anybody writes. */
#define PROMPT_FILE_MAX (PROMPT_BYTES_MAX + ((size_t)64 << 10))

/* Appends the JSON that prompt_from_json (prompt.h) takes. `path` is for messages; `author`
 * (may be NULL) stands in for one that the file does not name.
 *
 * ERR_FORMAT "PATH:LINE: ..."; what the lines say is otherwise judged by prompt_from_json. */
int prompt_file_to_json(const char *path, const char *text, size_t len, const char *author,
                        struct buf *json, struct err *e);
