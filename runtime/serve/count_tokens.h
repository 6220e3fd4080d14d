/* count_tokens.h: POST /v1/messages/count_tokens: how many tokens a request's prompt has, the
 * owner's part included, as its usage would say. */
#pragma once

#include "runtime/net/http_server.h"
#include "runtime/serve/server.h"

void count_tokens_answer(struct server *s, struct http_exchange *http);
