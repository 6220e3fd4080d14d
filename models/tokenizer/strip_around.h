/* strip_around.h: special tokens that take the white space behind them or in front of them, as
 * "rstrip" and "lstrip" of an added token in tokenizer.json say. Phi-3's template writes a line
 * break behind each of its tokens, and the model has never seen one there.
 *
 * GGUF has no keys for it; ours are tokenizer.weir.rstrip and lstrip, ids. In files of Phi-3
 * that others made the tokens are known by their architecture and names.
 *
 * Private to the tokenizer. Threads: immutable after loading. */
#pragma once

#include "models/tokenizer/vocab.h"

struct strip_around {
    bool *behind;   /* (n_tokens), or NULL: none does */
    bool *in_front; /* the same */
};

/* Phi-3 has SentencePiece's BPE, its successors have not. On failure s can be passed to
 * strip_around_deinit too. */
int strip_around_init(struct strip_around *s, const struct vocab *vocab, bool spm,
                      const struct gguf *g, struct err *e);
void strip_around_deinit(struct strip_around *s);

/* The length of the white space at the beginning of a text that belongs to the token before it.
 */
size_t strip_around_behind(const struct strip_around *s, int32_t id, const char *text,
                           size_t len);
/* And of that at the end of one, which belongs to the token behind it. */
size_t strip_around_in_front(const struct strip_around *s, int32_t id, const char *text,
                             size_t len);
