/* reference_model.h: the model's loss in double precision, written a second time and as plainly
 * as possible, so that central differences of it are exact enough to judge the float gradients.
 */
#pragma once

#include "models/train/lora.h"
#include "models/train/transformer.h"

/* Sum over targets of weight * -log p(target). block: all parameters, in the order of
 * train_shape_tensors. */
double reference_loss(const struct train_shape *s, const double *block,
                      const struct train_slice *slice);

/* The same with an adapter's block beside it, in the order of lora_tensors. */
double reference_loss_lora(const struct train_shape *s, const double *block,
                           const struct lora *lora, const double *adapter,
                           const struct train_slice *slice);
