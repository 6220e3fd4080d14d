/* chat_request.h: the body of POST /v1/chat/completions (OpenAI's chat completions). */
#pragma once

#include "runtime/api/answer_request.h"

int chat_request_parse(struct answer_request *r, const char *body, size_t len, struct err *e);
