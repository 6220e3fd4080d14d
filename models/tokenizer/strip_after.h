/* strip_after.h: special tokens that take the white space behind them, as "rstrip" of an added
 * token in tokenizer.json says. Phi-3's template writes a line break behind each of its tokens,
 * and the model has never seen one there.
 *
 * GGUF has no key for it; ours is tokenizer.weir.rstrip, ids. In files of Phi-3 that others
 * made the tokens are known by their architecture and names.
 *
 * Private to the tokenizer. Threads: immutable after loading. */
#pragma once

#include "models/tokenizer/vocab.h"

struct strip_after {
    bool *strips; /* (n_tokens), or NULL: none does */
};

/* Phi-3 has SentencePiece's BPE, its successors have not. On failure s can be passed to
 * strip_after_deinit too. */
int strip_after_init(struct strip_after *s, const struct vocab *vocab, bool spm,
                     const struct gguf *g, struct err *e);
void strip_after_deinit(struct strip_after *s);

/* The length of the white space at the beginning of text that belongs to the token before it.
 */
size_t strip_after_length(const struct strip_after *s, int32_t id, const char *text,
                          size_t len);
