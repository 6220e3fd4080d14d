/* Any bytes as a GGUF file: opening and reading it must stay inside its memory, and so must a
 * tokenizer, the sizes and the weights of a model made from it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "models/arch/llama_config.h"
#include "models/arch/llama_weights.h"
#include "models/format/gguf.h"
#include "models/tokenizer/tokenizer.h"
#include "tests/unit/models/gguf_builder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "Hello <|im_end|> 12\n\n  caf\xc3\xa9 \xff";
    struct err e = {0};
    struct gguf *g = gguf_open_memory(data, size, "fuzz", &e);

    if (!g) {
        return 0;
    }
    builder_walk(g);
    struct tokenizer *t = tokenizer_from_gguf(g, &e);
    if (t) {
        struct token_list list = {0};

        tokenizer_encode(t, text, strlen(text), true, &list, &e);
        token_list_deinit(&list);
    }
    tokenizer_destroy(t);
    struct llama_config c;
    struct llama_weights w;

    if (llama_config_from_gguf(&c, g, &e) == 0 &&
        llama_weights_init(&w, &c, g, LLAMA_INT8, &parallel_none, &e) == 0) {
        llama_weights_deinit(&w);
    }
    gguf_close(g);
    return 0;
}
