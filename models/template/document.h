/* document.h: a text from a Jinja template and JSON, in the same engine and under the same kind
 * of bounds as chat templates (chat_template.h): for what the program writes for people, such
 * as a model card.
 *
 * Threads: any; nothing is kept. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

#define DOCUMENT_TEMPLATE_BYTES_MAX ((size_t)256 << 10)

/* Appends what the template makes of `variables`, an object whose members are its variables. An
 * error of the template names its line. */
int document_render(const char *source, size_t len, const cJSON *variables, struct buf *out,
                    struct err *e);
