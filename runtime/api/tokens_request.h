/* tokens_request.h: the bodies of POST /tokenize and POST /detokenize, checked.
 *
 * Two shapes are read, llama-server's and vLLM's. Strings point into `json`.
 *
 * Ownership: the parse functions fill, the deinit functions release. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/base/err.h"

#define TOKENIZE_BYTES_MAX    ((size_t)1 << 20)
#define DETOKENIZE_TOKENS_MAX 300000

struct tokenize_request {
    const char *model; /* as asked for, or NULL */
    const char *text;  /* NULL: the body has messages, which chat_request.h reads */
    size_t text_len;
    bool add_special;           /* the tokens that stand around a whole text too */
    bool parse_special;         /* names of control tokens are those tokens */
    bool with_pieces;           /* llama-server: each token with what it stands for */
    bool with_names;            /* vLLM: "token_strs" */
    bool add_generation_prompt; /* of messages */
    cJSON *json;
};

int tokenize_request_parse(struct tokenize_request *r, const char *body, size_t len,
                           struct err *e);
void tokenize_request_deinit(struct tokenize_request *r);

struct detokenize_request {
    const char *model;
    struct token_list tokens;
    cJSON *json;
};

int detokenize_request_parse(struct detokenize_request *r, const char *body, size_t len,
                             struct err *e);
/* Whether the ids are in a vocabulary of that size. */
int detokenize_request_check(const struct detokenize_request *r, int vocab, struct err *e);
void detokenize_request_deinit(struct detokenize_request *r);
