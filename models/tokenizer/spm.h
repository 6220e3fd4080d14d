/* spm.h: the encoding of SentencePiece's BPE models (Kudo and Richardson 2018), as Llama 1 and
 * 2, Mistral and Gemma use it.
 *
 * The text begins as its characters. Of all adjacent pairs whose joined text is a token, the
 * one whose token has the greatest score is joined first, leftmost first among equals, until
 * none is left. A character that is no token becomes its bytes, which are tokens of kind byte.
 *
 * Vocabularies write a space as U+2581; vocab.h has turned that into a space already. Time is
 * O(n log n) in the length of a word, where the vocabulary has words that begin with their
 * spaces, or else of the text.
 *
 * Threads: immutable after spm_init; any number of threads may encode.
 */
#pragma once

#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/vocab.h"

#define SPM_MAX_TEXT ((size_t)1 << 30)

struct spm {
    const struct vocab *vocab; /* borrowed */
    float *scores;             /* (n_tokens) */
    int32_t byte_ids[256];     /* -1 where the vocabulary lacks one */
    bool words_apart;          /* no token goes on with a space after something else */
    bool space_before;         /* a text is encoded as if a space stood before it */
};

/* Reads tokenizer.ggml.scores and add_space_prefix. On failure s can be passed to spm_deinit
 * too.
 */
int spm_init(struct spm *s, const struct vocab *vocab, const struct gguf *g, struct err *e);
void spm_deinit(struct spm *s);

/* Appends the ids of a text without special tokens. On failure *out may hold some of them. */
int spm_encode(const struct spm *s, const char *text, size_t len, struct token_list *out,
               struct err *e);
