/* llama_embed.h: one vector for a text, from an encoder.
 *
 * The vectors of the tokens are pooled as the model's file says and scaled to length 1, so that
 * the dot product of two texts' vectors is the cosine of the angle between them.
 *
 * Threads: as llama_step. */
#pragma once

#include "models/arch/llama_step.h"

/* tokens: (n), at most the state's max_rows and max_logits, and the cache's context; slot 0 of
 * the cache is used. out: (d_model). */
int llama_embed(struct llama_state *s, const struct llama_config *c,
                const struct llama_weights *w, struct kv_cache *kv, const int32_t *tokens,
                size_t n, float *out, struct err *e);
