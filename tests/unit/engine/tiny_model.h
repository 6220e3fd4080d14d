/* tiny_model.h: a llama model of a few thousand seeded random weights, loaded. For tests only.
 */
#pragma once

#include "models/model.h"

/* Never NULL: fails the test instead. The caller closes it. */
struct model *tiny_model_open(void);
