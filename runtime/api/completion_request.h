/* completion_request.h: the body of POST /v1/completions (OpenAI's completions): texts, or
 * lists of tokens, with which the model goes on. */
#pragma once

#include "runtime/api/answer_request.h"

#define COMPLETION_PROMPTS_MAX 64

int completion_request_parse(struct answer_request *r, const char *body, size_t len,
                             struct err *e);
