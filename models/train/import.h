/* import.h: a model file's weights as parameters of the trainer.
 *
 * Taken are the architectures that shape.h can describe: "llama" (Llama, Mistral, SmolLM,
 * TinyLlama), "qwen2", "qwen3" and "smollm3", with their biases, norms of heads, stretched
 * positions and sizes. Others are refused by what they have and the trainer has not. Any type
 * of tensor that can be read becomes float32; each tensor has to be there, of the right shape
 * and finite, and none may be left over.
 *
 *     struct gguf *g = import_open("model.gguf", e);
 *     import_shape(g, 2048, &shape, e);
 *     import_params(g, &shape, params, e);      (train_shape_param_count(&shape) floats)
 *     ... train ...
 *     export_like(g, &shape, params, &how, "tuned.gguf", e);
 *
 * Threads: pure functions of their arguments.
 */
#pragma once

#include <stdint.h>

#include "models/format/gguf.h"
#include "models/train/shape.h"
#include "runtime/base/err.h"

/* A GGUF file, or a folder of safetensors as Hugging Face lays models out, which is converted
 * to float32 in a temporary file first (TMPDIR). The caller's (gguf_close). */
struct gguf *import_open(const char *path, struct err *e);

/* Context of a shape when none is asked for: the model's own, at most this. */
#define IMPORT_CONTEXT 2048

/* context: longest document to train on, at most the model's own; 0: as IMPORT_CONTEXT says.
 */
int import_shape(const struct gguf *g, uint32_t context, struct train_shape *s, struct err *e);

/* Refuses a file with tensors that the trainer does not know. */
int import_check(const struct gguf *g, const struct train_shape *s, struct err *e);

/* s: what import_shape gave. params: its block, filled; what was read goes back to the system,
 * so that the model is in memory once. */
int import_params(const struct gguf *g, const struct train_shape *s, float *params,
                  struct err *e);

/* One tensor of the file, its type and shape checked. */
const struct gguf_tensor *import_find(const struct gguf *g, const struct train_tensor *want,
                                      struct err *e);

/* The same as floats at out (rows, cols), all finite. */
int import_tensor(const struct gguf *g, const struct train_tensor *want, float *out,
                  struct err *e);

/* Only looks whether they are; row: (cols) floats of room. */
int import_scan(const struct gguf *g, const struct train_tensor *want, float *row,
                struct err *e);
