/* export.h: weights of the trainer as a GGUF file. */
#pragma once

#include <stdint.h>

#include "models/format/gguf.h"
#include "models/train/shape.h"
#include "runtime/base/err.h"

/* Writes out_path (atomically): a model of the source's architecture with other numbers. All
 * metadata of the source is carried over, the tokenizer and the chat template among it, and so
 * are its factors of positions.
 *
 * params: the block of s, which import_shape made of the source, at whatever context. Matrices
 * become `type`: TENSOR_F32, TENSOR_F16, or TENSOR_Q8_0 (32 neighbours of a row share d =
 * max|x| / 127, stored as half float, and each is round(x / d)), which refuses matrices whose
 * rows are not a multiple of 32 long. Norms and biases are F32. So what was imported from F32
 * and is exported as F32 is the same numbers. name: general.name; NULL: the source's. */
int export_like(const struct gguf *source, const struct train_shape *s, const float *params,
                uint32_t type, const char *name, const char *out_path, struct err *e);

/* The same from a checkpoint. base_path: what the run began with (a GGUF file or a folder of
 * safetensors); or, of a run that began with seeded weights, a GGUF with its vocabulary, whose
 * tokenizer.* keys are copied into a file of architecture "llama". */
int export_gguf(const char *ckpt_path, const char *base_path, const char *name, uint32_t type,
                const char *out_path, struct err *e);

/* The same of weights in memory, without another copy of them. */
int export_params(const struct train_shape *s, const float *params, const char *base_path,
                  const char *name, uint32_t type, const char *out_path, struct err *e);
