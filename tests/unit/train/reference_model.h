/* reference_model.h: the model's loss in double precision, written a second time and as plainly
 * as possible, so that central differences of it are exact enough to judge the float gradients.
 */
#pragma once

#include "models/train/transformer.h"

/* Sum over targets of weight * -log p(target). block: all parameters, in the order of
 * train_shape_tensors. */
double reference_loss(const struct train_shape *s, const double *block,
                      const struct train_slice *slice);
