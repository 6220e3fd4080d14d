/* llama_embed.h: one vector for a text.
 *
 * The vectors of the tokens (llama_vector) are pooled as the model's file says, by their mean
 * where it says nothing, and scaled to length 1, so that the dot product of two texts' vectors
 * is the cosine of the angle between them. A text's vector depends on its tokens alone, not on
 * the texts that are computed with it nor on how a long one is cut.
 *
 * Threads: as llama_step. */
#pragma once

#include "models/arch/llama_step.h"

struct llama_text {
    const int32_t *tokens; /* (n_tokens), 0 .. vocab - 1 */
    size_t n_tokens;
    float *vector; /* (d_model), filled */
};

/* Texts that fit into one step: at most the cache's slots, text i using slot i, with at most
 * llama_state_max_rows tokens together. One text alone may have more if the model is no
 * encoder. Of a state whose max_logits is its max_rows; each text has at most as many tokens as
 * the cache's context. ERR_CANCELED when the step was given up. */
int llama_embed(struct llama_state *s, const struct llama_config *c,
                const struct llama_weights *w, struct kv_cache *kv,
                const struct llama_text *texts, size_t n_texts, struct err *e);
