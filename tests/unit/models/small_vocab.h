/* small_vocab.h: a vocabulary of a few hundred tokens, trained on a few sentences. For tests
 * only. */
#pragma once

#include "models/format/gguf_write.h"
#include "models/tokenizer/tokenizer.h"

#define SMALL_VOCAB_SIZE 290

/* Writes it to a temporary file, opens that and removes it. Never NULL: fails the test instead.
 */
struct gguf *small_vocab_open(void);

/* The tokenizer of the small vocabulary with another split rule. */
struct tokenizer *small_vocab_tokenizer(const char *pre);

/* Writes w to a temporary file and opens that; takes w. */
struct gguf *small_vocab_reopen(struct gguf_writer *w);
