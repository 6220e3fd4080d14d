/* frozen.h: a model that stands still while an adapter beside it is trained, used where its
 * file has it.
 *
 * Matrices stay in the mapped file in whatever type they have there, and a few rows at a time
 * become floats whenever they are multiplied by. So the model takes no memory of its own beside
 * the system's cache of the file, which other processes share, and a quantised file trains as a
 * quantised one (Dettmers et al. 2023, "QLoRA"). Norms and biases, which are small, are copied.
 *
 * Ownership: borrows the gguf, which has to stay open, and its file must not be written to.
 * Threads: immutable; any number of threads may read.
 */
#pragma once

#include "models/format/gguf.h"
#include "models/train/shape.h"
#include "runtime/base/err.h"

struct frozen_model;

/* s: what import_shape gave. Every tensor is checked as import_params does. NULL on failure. */
struct frozen_model *frozen_create(const struct gguf *g, const struct train_shape *s,
                                   struct err *e);
void frozen_destroy(struct frozen_model *f); /* accepts NULL */

/* Parameters for transformer_*; a copy takes an adapter's pairs (lora_bind). */
const struct train_params *frozen_params(const struct frozen_model *f);
