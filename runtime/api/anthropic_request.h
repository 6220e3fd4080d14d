/* anthropic_request.h: the body of POST /v1/messages and /v1/messages/count_tokens (Anthropic's
 * messages). `system` becomes a system message, tool results become messages of their own. */
#pragma once

#include "runtime/api/answer_request.h"

int anthropic_request_parse(struct answer_request *r, const char *body, size_t len,
                            struct err *e);

/* The same without what only an answer needs: max_tokens may be absent. */
int anthropic_count_request_parse(struct answer_request *r, const char *body, size_t len,
                                  struct err *e);
