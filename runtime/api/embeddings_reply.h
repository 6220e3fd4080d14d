/* embeddings_reply.h: the answer of POST /v1/embeddings as JSON text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct embeddings_reply {
    const char *model;
    const float *vectors; /* (n_vectors, d_model), each of length 1 */
    size_t n_vectors, d_model;
    size_t dimensions; /* 1 .. d_model: so many of a vector's first numbers, scaled to length 1
                          again if they are fewer */
    bool base64; /* vectors as little-endian IEEE 754 binary32 in base64; else as arrays */
    size_t prompt_tokens;
};

/* The text is the caller's (mem_free); NULL when out of memory. */
char *embeddings_reply_text(const struct embeddings_reply *r, size_t *len);
