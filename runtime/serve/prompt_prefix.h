/* prompt_prefix.h: what every conversation under one prompt begins with, read ahead.
 *
 * Under one version of a prompt and one model all conversations begin with the same tokens: the
 * owner's text, as the model's chat template writes it, up to the first variable whose value a
 * request gives. The engine can read these tokens before anybody asks, and hold them, so that
 * the first answer after a swap is as fast as those before. They are the same for all callers,
 * so what is stored of them may be found by all.
 *
 * Threads: the loop, but for prompt_prefix_find, which any thread may call. */
#pragma once

#include "models/tokenizer/tokenizer.h"
#include "runtime/registry/prompt.h"
#include "runtime/serve/engine_user.h"
#include "runtime/serve/generation.h"

/* Fills *out with these tokens; none when the template cannot say a plain question. */
int prompt_prefix_find(const struct generation *g, struct prompt *p, struct token_list *out,
                       struct err *e);

/* Has them read and held under the name `pin`, which is not 0. The user gets one final event,
 * ENGINE_FINISH_PINNED if all went well; with no tokens there is nothing to do, and *started is
 * false. */
int prompt_prefix_read(const struct generation *g, const struct token_list *prefix,
                       uint64_t pin, struct engine_user *user, bool *started, struct err *e);
