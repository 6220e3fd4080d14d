/* feedback_request.h: the body of POST /v1/feedback.
 *
 *     {"id": "chatcmpl-...", "choice": 0,
 *      "thumb": "up" or "down", "correction": "...", "over": "chatcmpl-..." or {"id",
 * "choice"}, "user": "...", "comment": "...", "messages": [...] or "prompt": "...", "answer":
 * "...", "over_answer": "..."}
 *
 * At least one of the second line is needed; a correction and `over` exclude each other. The
 * last line is for servers that keep no texts.
 *
 * Ownership: strings are borrowed from `json`; feedback_request_deinit releases. */
#pragma once

#include <cjson/cJSON.h>

#include "runtime/base/err.h"

struct feedback_request {
    cJSON *json;
    const char *id;
    int choice;
    int thumb; /* 1, -1; 0: none */
    const char *correction;
    const char *over; /* id of the answer that is worse */
    int over_choice;
    const char *user, *comment;
    const cJSON *messages; /* an array, or the string of "prompt"; NULL: none */
    const char *answer, *over_answer;
};

/* Errors name the field. On failure nothing is left to release. */
int feedback_request_parse(struct feedback_request *r, const char *body, size_t len,
                           struct err *e);
void feedback_request_deinit(struct feedback_request *r);
