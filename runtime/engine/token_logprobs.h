/* token_logprobs.h: how likely the model held a token, and which ones were the likeliest: from
 * the logits as they are, before anything of sampler.h. Engine-internal.
 *
 * log(softmax(logits)), its sum in ascending order of ids; where logits are not finite they
 * have no part in it. The same bits on every machine. */
#pragma once

#include "runtime/engine/engine.h"

/* The n_top likeliest go to top, by logit, then by id; there may be fewer when fewer are
 * finite. Returns how many. *logprob: that of `token`. Uses candidates and weights of scratch.
 */
int token_logprobs(const float *logits, int vocab, int32_t token, float *logprob,
                   struct engine_top_logprob *top, int n_top, struct sampler_scratch *scratch);

/* The entropy of the distribution, in nats: 0 where one token is sure, log(vocab) where all are
 * as likely. 0 where no logit is finite. Uses weights and logits of scratch. */
float token_entropy(const float *logits, int vocab, struct sampler_scratch *scratch);
