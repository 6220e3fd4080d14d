/* embeddings_request.h: the body of POST /v1/embeddings, checked.
 *
 * Fields are OpenAI's, and `truncation` as in chat requests. What would change the vectors and
 * cannot be honoured is refused by name. null counts as absent.
 *
 * Ownership: embeddings_request_parse fills, embeddings_request_deinit releases. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/err.h"

#define EMBEDDINGS_TEXTS_MAX  2048
#define EMBEDDINGS_TOKENS_MAX 300000 /* of all texts together */
#define EMBEDDINGS_BYTES_MAX  ((size_t)4 << 20)
/* Numbers of an answer: what texts and the width of a vector make together. */
#define EMBEDDINGS_NUMBERS_MAX ((size_t)2 << 20)

/* One of the texts, as text or as the tokens of it. */
struct embeddings_input {
    const char *text; /* NULL: tokens; points into `json` or `owned` */
    size_t text_len;
    size_t first, end; /* tokens.ids[first .. end - 1] */
    char *owned; /* what a filter made of the text, or what it is shown of tokens; or NULL */
};

struct embeddings_request {
    const char *model;               /* as asked for, or NULL */
    struct embeddings_input *inputs; /* (n_inputs) */
    size_t n_inputs;
    bool is_list; /* "input" is an array, so that errors name its elements */
    struct token_list tokens;
    bool base64;    /* encoding_format */
    int dimensions; /* 0: all */
    bool truncate;  /* "truncation": "auto" */
    cJSON *json;    /* the parsed body */
};

/* vocab: what ids are checked against; d_model: what a vector has. Both 0: that will be checked
 * by embeddings_request_check, since the model is not known yet. */
int embeddings_request_parse(struct embeddings_request *r, const char *body, size_t len,
                             int vocab, int d_model, struct err *e);
int embeddings_request_check(struct embeddings_request *r, int vocab, int d_model,
                             struct err *e);
void embeddings_request_deinit(struct embeddings_request *r);

/* "input", or "input[3]": what errors about a text call it. */
void embeddings_request_name(const struct embeddings_request *r, size_t i, char out[32]);
