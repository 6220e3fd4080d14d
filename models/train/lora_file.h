/* lora_file.h: a trained adapter as a file: GGUF as llama.cpp has it, general.type "adapter",
 * adapter.type "lora", and for each adapted matrix W two tensors W.lora_a {n_in, rank} and
 * W.lora_b {rank, n_out} in float32. What it adds to W is alpha / rank * B A.
 *
 * Two keys of Weir's own say what it was trained on: weir.adapter.base_sha256, the hash of the
 * base model's file, and weir.adapter.base_name. */
#pragma once

#include "models/format/gguf.h"
#include "models/train/lora.h"
#include "models/train/shape.h"
#include "runtime/base/err.h"

struct lora_file_about {
    const char *name;        /* general.name; NULL: none */
    const struct gguf *base; /* its architecture and name are taken over */
    const char *base_sha256; /* NULL: not known, as of a folder */
};

/* Writes the file (atomically). block: the adapter (lora.h). */
int lora_file_write(const char *path, const struct train_shape *s, const struct lora *lora,
                    const float *block, const struct lora_file_about *about, struct err *e);
