/* unigram.h: the encoding of SentencePiece's unigram models (Kudo 2018), as T5 and XLM-RoBERTa
 * use it.
 *
 * A token's score is the logarithm of its probability. Of all ways to cut the text into tokens
 * the one with the greatest sum is taken, found by Viterbi's algorithm; of equal ones that
 * whose last token is longer, and so on to the front. A character that is no token can stand
 * alone at a score of UNIGRAM_PENALTY below the lowest; it becomes its bytes where the
 * vocabulary has tokens for them, and the unknown token otherwise, one for a run of such
 * characters.
 *
 * The text is made even first (normalizer.h), so decoding gives that. Time is linear in the
 * length of the text, times the length of the longest token that may stand at a place.
 *
 * Threads: immutable after unigram_init; any number of threads may encode.
 */
#pragma once

#include "models/tokenizer/byte_pairs.h"
#include "models/tokenizer/normalizer.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/vocab.h"
#include "models/tokenizer/word_cache.h"

#define UNIGRAM_MAX_TEXT  ((size_t)1 << 30)
#define UNIGRAM_MAX_TOKEN 1024 /* bytes */
#define UNIGRAM_PENALTY   10.0

struct unigram {
    const struct vocab *vocab; /* borrowed */
    struct normalizer normalizer;
    float *scores;        /* (n_tokens) */
    double unknown_score; /* of a character that is no token */
    int32_t *order;       /* (n_order): ordinary tokens in the order of their bytes */
    size_t n_order;
    size_t first[257];        /* tokens that begin with byte b: [first[b], first[b + 1]) */
    struct byte_pairs joined; /* of tokens */
    int32_t byte_ids[256];    /* -1 where the vocabulary lacks one */
    int32_t unknown;
};

/* Reads tokenizer.ggml.scores and the normalizer's keys. On failure u can be passed to
 * unigram_deinit too. */
int unigram_init(struct unigram *u, const struct vocab *vocab, int32_t unknown,
                 const struct gguf *g, struct err *e);
void unigram_deinit(struct unigram *u);

/* Appends the ids of a text without special tokens. On failure *out may hold some of them. The
 * cache has seen texts of this tokenizer only. */
int unigram_encode(const struct unigram *u, const char *text, size_t len,
                   struct word_cache *cache, struct token_list *out, struct err *e);
