/* output_segment.h: what output_parser.h makes of a model's text. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

enum output_kind {
    OUTPUT_REASONING,
    OUTPUT_CONTENT,
    OUTPUT_CALL_BEGIN,     /* text: the tool's name */
    OUTPUT_CALL_ARGUMENTS, /* text: the next piece of the arguments' JSON text */
    OUTPUT_CALL_END,       /* the arguments are a whole JSON object */
    OUTPUT_CALL_CUT,       /* the call will never be complete */
};

struct output_segment {
    enum output_kind kind;
    size_t call;      /* of calls: 0 is the answer's first */
    const char *text; /* (len) not NUL-terminated but for names; lives as long as the call of
                         the sink */
    size_t len;
};

/* 0, or -1 to give up, with the error set. */
typedef int (*output_sink)(void *user, const struct output_segment *segment, struct err *e);
