/* prompt_parts.h: what the files behind prompt.h share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/registry/prompt.h"

/* No text yet, one reference; every pointer is NULL or its own allocation (mem_*), which
 * prompt_unref releases. */
struct prompt *prompt_alloc(struct err *e);

/* Fills in sha256 from the other fields. */
int prompt_compute_hash(struct prompt *p, struct err *e);

/* Writes a field's name for err.param, cut at a whole character: names come from outside. */
#define PROMPT_FIELD_MAX 64
void prompt_field(char out[PROMPT_FIELD_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A `{{name}}` in a text. */
struct prompt_slot {
    size_t begin; /* of the first brace */
    size_t end;   /* behind the last one */
    const char *name;
    size_t name_len;
};

/* The first one at or behind `from`; false: there is none. */
bool prompt_next_slot(const char *text, size_t from, struct prompt_slot *slot);

/* NULL: not declared. */
const struct prompt_variable *prompt_find_variable(const struct prompt *p, const char *name,
                                                   size_t len);
