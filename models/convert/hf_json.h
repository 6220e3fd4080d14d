/* hf_json.h: how the files of this folder read tokenizer.json. Private to models/convert. */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "runtime/base/json.h"

/* U+2581, which stands for a space in vocabularies of SentencePiece's kind. */
#define HF_SPACE_MARK "\xe2\x96\x81"

/* A member; what is null is not there. `object` may be NULL. */
static inline const cJSON *hf_get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(item) ? NULL : item;
}

/* Whether an item is this text; NULL is none. */
static inline bool hf_is(const cJSON *item, const char *text)
{
    const char *s = cJSON_GetStringValue(item);
    return s && strcmp(s, text) == 0;
}
