/* prompt_prefix.h: what every conversation under one prompt begins with.
 *
 * Under one version of a prompt and one model all conversations begin with the same tokens: the
 * owner's text, as the model's chat template writes it, up to the first variable whose value a
 * request gives. The engine can read these tokens before anybody asks, and hold them, so that
 * the first answer after a swap is as fast as those before. They are the same for all callers,
 * so what is stored of them may be found by all.
 *
 * Threads: any; nothing is kept. */
#pragma once

#include "models/tokenizer/tokenizer.h"
#include "runtime/registry/prompt.h"
#include "runtime/serve/generation.h"

/* Fills *out with these tokens; none when the template cannot say a plain question. */
int prompt_prefix_find(const struct generation *g, struct prompt *p, struct token_list *out,
                       struct err *e);
