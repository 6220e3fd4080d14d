/* spm.h: the encoding of SentencePiece's BPE models (Kudo and Richardson 2018), as Llama 1 and
 * 2, Mistral and Gemma use it.
 *
 * The text begins as its characters. Of all adjacent pairs whose joined text is a token, the
 * one whose token has the greatest score is joined first, leftmost first among equals, until
 * none is left. A character that is no token becomes its bytes, which are tokens of kind byte.
 *
 * That is byte-pair encoding (bpe.h) with the order of scores for ranks: spm_merges.c lists
 * once, for each token, the pairs that make it. The text is cut before merging wherever two
 * bytes meet that no token has side by side: nothing can be joined over such a place. In most
 * vocabularies a space after something else is one.
 *
 * Vocabularies write a space as U+2581; vocab.h has turned that into a space already. Time is
 * O(n log n) in the length of the text whatever it is.
 *
 * Threads: immutable after spm_init; any number of threads may encode.
 */
#pragma once

#include "models/tokenizer/bpe.h"
#include "models/tokenizer/byte_pairs.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/vocab.h"
#include "models/tokenizer/word_cache.h"

#define SPM_MAX_TEXT  ((size_t)1 << 30)
#define SPM_MAX_TOKEN 1024 /* bytes; bounds the time that listing its pairs takes */

/* A character that is no token and is at the beginning or end of one. */
struct spm_loose {
    char bytes[4];
    uint32_t len;
};

/* What is merged are symbols: token ids, and n_tokens + i for the loose character i. */
struct spm {
    const struct vocab *vocab; /* borrowed */
    struct bpe_table merges;   /* of symbols */
    struct spm_loose *loose;   /* (n_loose), in order */
    size_t n_loose;
    int32_t byte_ids[256];      /* -1 where the vocabulary lacks one */
    int32_t ascii_symbols[128]; /* of characters; -1: none */
    struct byte_pairs joined;   /* of tokens */
    bool space_before;          /* a text is encoded as if a space stood before it */
};

/* Reads tokenizer.ggml.scores and add_space_prefix. On failure s can be passed to spm_deinit
 * too.
 */
int spm_init(struct spm *s, const struct vocab *vocab, const struct gguf *g, struct err *e);
void spm_deinit(struct spm *s);

/* The symbol that a character, or a byte that is not UTF-8, begins as, or -1. */
int32_t spm_symbol(const struct spm *s, const char *bytes, size_t len);

/* Appends the ids of a text without special tokens. On failure *out may hold some of them. The
 * cache has seen texts of this tokenizer only. */
int spm_encode(const struct spm *s, const char *text, size_t len, struct word_cache *cache,
               struct bpe_scratch *scratch, struct token_list *out, struct err *e);

/* Private to spm.c and spm_merges.c. */

/* The length of the character that `text` begins with; 1 where none does. */
size_t spm_character(const char *text, size_t len);
/* Fills merges, loose and joined from the vocabulary and tokenizer.ggml.scores. */
int spm_read_merges(struct spm *s, const struct gguf *g, struct err *e);
