/* hf_added.h: what "added_tokens" of tokenizer.json says of single tokens, as lists of ids.
 * Private to models/convert. */
#pragma once

#include "models/format/gguf_write.h"
#include "runtime/base/json.h"

/* Puts the ids of the tokens for which `member` is true under `key`; nothing where there are
 * none. The ids have been checked. */
int hf_added_put(const cJSON *tokenizer, const char *member, const char *key,
                 struct gguf_writer *out, struct err *e);
