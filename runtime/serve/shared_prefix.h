/* shared_prefix.h: what every prompt begins with, read ahead.
 *
 * Under one system prompt and one model all prompts begin with the same tokens: the owner's
 * text as the model's chat template writes it. When either is published, the engine reads these
 * tokens at once and keeps them, so that the first answer after a swap is as fast as those
 * before. They are the same for all callers, so what is stored of them may be found by all.
 *
 * Threads: the loop only. */
#pragma once

#include "runtime/serve/server.h"

/* For the model and the prompt that are published now. Without memory, or with a template that
 * cannot say a plain question, nothing is shared, and answers are only slower. */
void shared_prefix_update(struct server *s);
