/* tokens_reply.h: answers of POST /tokenize and POST /detokenize as JSON text, with the keys of
 * both llama-server and vLLM. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "models/tokenizer/tokenizer.h"

struct tokenize_reply {
    const struct tokenizer *tokenizer;
    const struct token_list *tokens;
    int context; /* "max_model_len" */
    bool
        with_pieces; /* {"id", "piece"} in place of ids; a piece that is no text is its bytes */
    bool with_names; /* "token_strs" */
};

/* The texts are the caller's (mem_free); NULL when out of memory. */
char *tokenize_reply_text(const struct tokenize_reply *r, size_t *len);
char *detokenize_reply_text(const char *text, size_t text_len, size_t *len);
