/* hf_normalizer.h: how tokenizer.json makes a text even before a unigram model cuts it, as the
 * three keys that models/tokenizer/normalizer.h reads. Private to models/convert.
 *
 * Known is what stands for SentencePiece's own ways: its table, one space for several, a space
 * in front, U+2581 for a space; and before these the steps of hf_forms.h. Other parts are
 * refused by name. */
#pragma once

#include "models/format/gguf_write.h"
#include "runtime/base/json.h"

int hf_normalizer_put(const cJSON *tokenizer, struct gguf_writer *out, struct err *e);
