/* moderation_request.h: the body of POST /v1/moderations (OpenAI's), checked.
 *
 * Ownership: moderation_request_parse fills, moderation_request_deinit releases; strings point
 * into `json`. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

#define MODERATION_TEXTS_MAX 1024
#define MODERATION_BYTES_MAX ((size_t)1 << 20) /* of all texts together */

struct moderation_request {
    const char *model;  /* as asked for, or NULL */
    const char **texts; /* (n_texts) */
    size_t n_texts;
    bool are_parts; /* of one input: there is one result for all */
    cJSON *json;
};

int moderation_request_parse(struct moderation_request *r, const char *body, size_t len,
                             struct err *e);
void moderation_request_deinit(struct moderation_request *r);
