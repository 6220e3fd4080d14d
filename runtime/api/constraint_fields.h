/* constraint_fields.h: what requests say of the form that an answer must have.
 *
 * OpenAI's response_format (and text.format of its responses), and the fields of vLLM and
 * llama.cpp: grammar (GBNF), regex, choice, json_schema, structured_outputs, and the older
 * guided_json, guided_regex, guided_choice and guided_grammar. Only one may be given. What a
 * form is made of is checked when it is compiled. */
#pragma once

#include <cjson/cJSON.h>

#include "runtime/base/err.h"

enum constraint_kind {
    CONSTRAINT_NONE,
    CONSTRAINT_JSON_OBJECT,
    CONSTRAINT_JSON_SCHEMA, /* value: a schema */
    CONSTRAINT_GRAMMAR,     /* value: a string; so the next */
    CONSTRAINT_REGEX,
    CONSTRAINT_CHOICE, /* value: an array of strings */
};

struct constraint {
    enum constraint_kind kind;
    const cJSON *value; /* in the request */
    char field[64];     /* its name in errors */
};

/* Reads response_format and the others of a request's body. */
int constraint_fields_parse(const cJSON *body, struct constraint *out, struct err *e);

/* Reads {"type": "text" | "json_object" | "json_schema", ...} when it is not NULL; `where` is
 * its name in errors. */
int constraint_fields_format(const cJSON *format, const char *where, struct constraint *out,
                             struct err *e);
