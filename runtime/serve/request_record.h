/* request_record.h: what is known of a request when it is over. Metrics, the line in the log
 * and spans are made of it, and of nothing else. No text of a user is in it, and no key.
 *
 * It holds no pointers but to tables of the program, so that it may be copied and read by
 * another thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/model.h"
#include "runtime/net/http_request.h"
#include "runtime/net/trace_context.h"
#include "runtime/registry/version_name.h"

struct request_record {
    struct trace_context trace;      /* its span is the request's */
    char caller[TRACE_SPAN_LEN + 1]; /* the span that the client named; "": none */
    char id[HTTP_REQUEST_ID_MAX + 1];
    const char *method; /* of the table of routes; "none" */
    const char *route;
    bool is_routine;     /* nobody wants to read of it */
    int status;          /* 499: the client left before there was one */
    const char *outcome; /* request_watch.h; "" where no model is asked */

    /* Of requests that a model is asked for. */
    const char *operation;      /* as OpenTelemetry's conventions name it; NULL: of no model */
    char model[MODEL_NAME_MAX]; /* "": it is not known which */
    char version[MODEL_NAME_MAX];              /* of it */
    char answered_by[MODEL_NAME_MAX * 2 + 16]; /* "name@version" */
    char prompt[VERSION_NAME_MAX + 32];        /* "name@version", of the owner; or "" */
    char filters[VERSION_NAME_MAX + 32];       /* the same of the chain */
    char answer[48];                           /* its id, or "" */
    const char *finish; /* why the first answer ended, in OpenAI's words; NULL: it did not */
    size_t n_timed;     /* tokens of the first answer, which the times are of */
    size_t prompt_tokens, cached_tokens, completion_tokens;

    /* When, by clock_now_ns(); 0: never. */
    uint64_t received_ns;
    uint64_t submitted_ns; /* to the engine */
    uint64_t started_ns;   /* it left the engine's queue */
    uint64_t first_ns;     /* the first answer's first token */
    uint64_t last_ns;      /* and its last one */
    uint64_t ended_ns;
    int64_t begin_unix_ns; /* received_ns by the wall's clock */
};
