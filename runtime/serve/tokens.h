/* tokens.h: POST /tokenize and POST /detokenize: text to token ids and back.
 *
 * What is tokenised is the client's own text alone: neither the owner's prompt nor filters have
 * to do with it. Both run on the loop, their input being bounded. Threads: the loop only. */
#pragma once

#include "runtime/serve/server.h"

void tokens_tokenize(struct server *s, struct http_exchange *http);
void tokens_detokenize(struct server *s, struct http_exchange *http);
