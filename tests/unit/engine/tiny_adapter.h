/* tiny_adapter.h: random adapters for the model of tiny_model.h. For tests only. */
#pragma once

#include "models/arch/llama_adapter.h"
#include "models/format/gguf_write.h"
#include "models/model.h"

#define TINY_ADAPTER_PATH_MAX 128

/* What the file is to be. */
struct tiny_adapter {
    uint64_t seed;
    size_t rank;
    uint32_t type;           /* of its tensors */
    const char *arch;        /* "llama" or "qwen2" */
    const char *base_sha256; /* NULL: it says nothing */
    const char *only;        /* "attn_q": pairs for that alone; NULL: for all */
};

/* Writes the file to a temporary path of its own, which the caller removes. `change`, if not
 * NULL, puts more into it or spoils it before it is written. */
void tiny_adapter_write(const struct tiny_adapter *t, char path[TINY_ADAPTER_PATH_MAX],
                        void (*change)(struct gguf_writer *w));

/* The same, opened for m with this strength. */
struct llama_adapter *tiny_adapter_open(const struct tiny_adapter *t, const struct model *m,
                                        float strength);
