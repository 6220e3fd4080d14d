/* output_call.h: one call of a tool as a JSON object, read while the model writes it:
 * {"name": "f", "arguments": {...}}, members in any order, "parameters" meaning the same as
 * "arguments". Arguments that were written as a string of JSON text are unwrapped. Private to
 * this folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/output/json_scan.h"
#include "runtime/base/buf.h"

#define OUTPUT_NAME_MAX 64 /* bytes of a tool's name */

enum call_step {
    CALL_BAD, /* it is no call, or no JSON any more */
    CALL_MORE,
    CALL_DONE, /* the object is complete, and a call */
    CALL_FULL, /* out of memory or over a limit */
};

enum call_member {
    MEMBER_NONE,
    MEMBER_OTHER,
    MEMBER_TYPE,
    MEMBER_NAME,
    MEMBER_OBJECT,
    MEMBER_TEXT
};

struct output_call {
    struct json_scan scan;   /* of the object */
    struct json_scan inner;  /* of arguments within a string */
    struct json_chars chars; /* of the string that is being read */
    enum call_member member; /* what the bytes belong to that come next */
    bool strict;             /* members are name, arguments and "type": "function" alone */
    const char *rest;        /* of the type */
    bool has_name;           /* name is whole */
    bool has_arguments;      /* they have begun with {, or the object ended without any */
    char key[16];            /* of the member; longer ones are cut */
    size_t key_len;
    char name[OUTPUT_NAME_MAX + 1];
    size_t name_len;
    struct buf arguments; /* JSON text that the caller has not consumed yet */
};

/* Arguments may wait for the name, at most max_bytes of them. */
void output_call_init(struct output_call *c, size_t max_bytes);
void output_call_deinit(struct output_call *c);
void output_call_reset(struct output_call *c, bool strict);

/* The first byte must be the opening brace. */
enum call_step output_call_feed(struct output_call *c, char byte);

/* Whether a call may be announced: name and beginning of the arguments are known. */
bool output_call_ready(const struct output_call *c);
