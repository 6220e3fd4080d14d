/* adapter_merge.h: a LoRA adapter into the weights of its base model, as a model file that
 * needs no adapter.
 *
 * Works on the files alone, so it takes every architecture and adapters that others made
 * (llama.cpp's convert_lora_to_gguf.py): W += scale * alpha / rank * B A for each W of the base
 * that has a W.lora_a and a W.lora_b. Hu et al. 2021, section 4. A pair that fits no tensor of
 * the base is an error. Alpha 0 or none is the rank, as in llama.cpp.
 *
 * Threads: none. */
#pragma once

#include <stdint.h>

#include "models/format/gguf.h"
#include "runtime/base/err.h"

#define ADAPTER_MERGE_KEEP UINT32_MAX

struct adapter_merge {
    const struct gguf *base, *adapter;
    float scale;      /* 1: as trained */
    uint32_t type;    /* of matrices: TENSOR_F32, F16 or Q8_0; ADAPTER_MERGE_KEEP: each as it is
                         where that can be written, q8_0 where not */
    const char *name; /* general.name; NULL: the base's */
};

/* Writes `to` (atomically); *n_merged: matrices that were changed. */
int adapter_merge_write(const struct adapter_merge *m, const char *to, size_t *n_merged,
                        struct err *e);
