/* wordpiece.h: the encoding of BERT and of the embedding models that descend from it (Devlin et
 * al. 2018; the words are cut as tokenization.py of its released code cuts them).
 *
 * Control characters are dropped. White space parts words; each punctuation mark and each CJK
 * ideograph is a word of its own. Where the vocabulary has no capitals, letters are made small
 * and lose their accents. Then each word is taken from its beginning: the longest token that it
 * begins with, the longest that goes on from there, and so on. If that stops before the end, or
 * the word has more than WORDPIECE_MAX_CHARACTERS, the whole word is the unknown token.
 *
 * GGUF vocabularies mark the tokens that begin a word with U+2581, a space for vocab.h, and
 * leave those that go on without the "##" of BERT's own files. Decoding gives the words with
 * spaces between, not the text that went in.
 *
 * Threads: immutable after wordpiece_init; any number of threads may encode.
 */
#pragma once

#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/vocab.h"
#include "models/tokenizer/word_cache.h"

#define WORDPIECE_MAX_CHARACTERS 100

struct wordpiece {
    const struct vocab *vocab; /* borrowed */
    int32_t unknown;
    size_t longest; /* bytes of a token */
    bool lowercase, strip_accents;
};

/* Reads the two keys tokenizer.ggml.normalizer.*; the vocabulary tells where they are absent.
 * 0, or -1 where they are of another type. */
int wordpiece_init(struct wordpiece *w, const struct vocab *vocab, int32_t unknown,
                   const struct gguf *g, struct err *e);

/* Appends the ids of a text without special tokens. On failure *out may hold some of them. The
 * cache has seen texts of this tokenizer only. */
int wordpiece_encode(const struct wordpiece *w, const char *text, size_t len,
                     struct word_cache *cache, struct token_list *out, struct err *e);
