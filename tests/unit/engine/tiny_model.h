/* tiny_model.h: a llama model of a few thousand seeded random weights, loaded. For tests only.
 */
#pragma once

#include "models/model.h"

/* Never NULL: fails the test instead. The caller closes it. */
struct model *tiny_model_open(void);

/* The same model as the architecture "qwen2" has it in a file: rows of queries and keys in
 * another order, and biases, which are zero. */
struct model *tiny_model_open_qwen2(void);
