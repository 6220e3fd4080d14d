/* hf_tensors.h: tensors under their GGUF names, rows in the GGUF order, in the type asked for.
 * Private to models/convert. */
#pragma once

#include "models/convert/hf_config.h"
#include "models/format/safetensors.h"

struct hf_stack;

/* The converted numbers; the writer borrows them until it has written. All-zero is empty. */
struct hf_tensors {
    void **data; /* (count) */
    size_t count;
    struct hf_stack *stacks; /* (n_stacks) experts become one tensor */
    size_t n_stacks;
};

int hf_tensors_add(struct hf_tensors *t, const struct safetensors *from,
                   const struct hf_config *c, uint32_t type, struct gguf_writer *out,
                   struct err *e);
void hf_tensors_deinit(struct hf_tensors *t);
