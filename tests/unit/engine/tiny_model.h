/* tiny_model.h: a llama model of a few thousand seeded random weights, loaded. For tests only.
 */
#pragma once

#include "models/model.h"

/* Never NULL: fails the test instead. The caller closes it. */
struct model *tiny_model_open(void);

/* The same model as the architecture "qwen2" has it in a file: rows of queries and keys in
 * another order, and biases, which are zero. */
struct model *tiny_model_open_qwen2(void);

/* The first one with float weights. */
struct model *tiny_model_open_f32(void);

/* With a mixture of experts in place of each feed-forward network. */
struct model *tiny_model_open_mixture(void);

/* The one with float weights, its feed-forward networks being mixtures of experts that are all
 * the same: whatever the router says, it computes what tiny_model_open_f32 does. */
struct model *tiny_model_open_same_experts(void);

/* One of the first four, the share of it that parallel->ranks says, loaded by that. */
enum tiny_model { TINY_MODEL, TINY_MODEL_QWEN2, TINY_MODEL_F32, TINY_MODEL_MIXTURE };
struct model *tiny_model_open_share(enum tiny_model kind, const struct parallel *parallel);
