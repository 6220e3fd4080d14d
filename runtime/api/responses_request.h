/* responses_request.h: the body of POST /v1/responses (OpenAI's responses), without state: the
 * whole conversation comes in `input`, and nothing is stored. */
#pragma once

#include "runtime/api/answer_request.h"

int responses_request_parse(struct answer_request *r, const char *body, size_t len,
                            struct err *e);
