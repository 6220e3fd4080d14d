/* api_error.h: the one place where a failure becomes an HTTP status and an error body.
 *
 * The body is OpenAI's: {"error":{"message","type","param","code"}}, all four keys always
 * there; or on Anthropic's routes theirs: {"type":"error","error":{"type","message"},
 * "request_id"}. The statuses are those on which OpenAI's clients decide whether to retry. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

struct api_error {
    int status;
    const char *type;  /* static text, "invalid_request_error" */
    const char *code;  /* static text, or NULL */
    int retry_after_s; /* > 0: send Retry-After */
    bool is_final;     /* another try ends the same way; of a 504 that is known */
    char param[64];    /* "" is sent as null */
    char message[ERR_MESSAGE_MAX];
};

/* From the kind of failure: INVALID, FORMAT, UNSUPPORTED, LIMIT 400; NOT_FOUND,
 * NOT_LOADED 404; BUSY 429;
 * NOMEM 503; DEADLINE 504; the rest 500, whose message says nothing of the inside (it is logged
 * instead). */
struct api_error api_error_from(const struct err *e);

/* A particular one. message is copied. */
struct api_error api_error_make(int status, const char *type, const char *code,
                                const char *param, const char *message);

/* Whose words the body is in. */
enum api_dialect { API_OPENAI, API_ANTHROPIC };

/* That of a path: clients of one API expect its errors on all of its routes. */
enum api_dialect api_dialect_of(const char *path);

/* The tree; request_id goes into Anthropic's, and may be NULL. */
cJSON *api_error_json(const struct api_error *e, enum api_dialect dialect,
                      const char *request_id);

/* The JSON text, NUL-terminated, the caller's (mem_free); NULL when out of memory. */
char *api_error_body(const struct api_error *e, enum api_dialect dialect,
                     const char *request_id, size_t *len);
