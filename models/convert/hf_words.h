/* hf_words.h: what "normalizer" and "pre_tokenizer" of tokenizer.json do to a text before BPE
 * or WordPiece cut it, as the keys that models/tokenizer reads. Private to models/convert;
 * unigram models have hf_normalizer.h.
 *
 * A part that would give other tokens and has no key is refused by its name. */
#pragma once

#include "models/format/gguf_write.h"
#include "runtime/base/json.h"

/* Whether a "pre_tokenizer" has a part ByteLevel. */
bool hf_words_are_bytes(const cJSON *tokenizer);

/* All four: 0, or -1 with a message. */
int hf_words_put_byte_level(const cJSON *tokenizer, struct gguf_writer *out, struct err *e);
int hf_words_put_characters(const cJSON *tokenizer, struct gguf_writer *out, struct err *e);
int hf_words_put_spm(const cJSON *tokenizer, struct gguf_writer *out, struct err *e);
int hf_words_put_wordpiece(const cJSON *tokenizer, struct gguf_writer *out, struct err *e);
