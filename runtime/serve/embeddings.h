/* embeddings.h: POST /v1/embeddings from its body to its answer.
 *
 * The loop checks the body and runs the filters; tokens, vectors and the answer's text are made
 * on the embedder's thread (runtime/engine/embedder.h). The request holds its generation until
 * the job is back, so a reload breaks none. Threads: the loop only. */
#pragma once

#include "runtime/serve/server.h"

void embeddings_begin(struct server *s, struct http_exchange *http);

/* The client is gone. */
void embeddings_abort(struct http_exchange *http);
