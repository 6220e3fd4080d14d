/* hf_model.h: a folder as Hugging Face lays models out, to GGUF: config.json, tokenizer.json,
 * tokenizer_config.json and safetensors.
 *
 * Names of keys and tensors become those of the GGUF specification and of llama.cpp's
 * converter, so that either program reads the result. What is not known is refused by name,
 * never dropped.
 *
 * Threads: none.
 */
#pragma once

#include <stdint.h>

#include "models/format/gguf.h"
#include "runtime/base/err.h"

/* Writes the model in `folder` to the file `to`; matrices have `type`: TENSOR_F32, TENSOR_F16
 * or TENSOR_Q8_0. */
int hf_model_convert(const char *folder, const char *to, uint32_t type, struct err *e);

/* The same into a temporary file (TMPDIR), which is gone once it is open. The caller's
 * (gguf_close); messages name the folder. */
struct gguf *hf_model_open(const char *folder, uint32_t type, struct err *e);
