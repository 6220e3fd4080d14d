/* export.h: a checkpoint's weights as a GGUF file of architecture "llama". */
#pragma once

#include <stdbool.h>

#include "runtime/base/err.h"

/* Writes out_path (atomically) from a checkpoint and a GGUF with a vocabulary, whose
 * tokenizer.* keys are copied. Matrices are F32, or with q8 Q8_0: 32 neighbours of a row share
 * d = max|x| / 127, stored as half float, and each is round(x / d). Norms stay F32. Matrices
 * whose rows are not a multiple of 32 long refuse Q8_0. */
int export_gguf(const char *ckpt_path, const char *vocab_path, const char *name, bool q8,
                const char *out_path, struct err *e);
