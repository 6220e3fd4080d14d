/* grammar_sample.h: texts that a grammar allows, drawn at random: to see what it means, and to
 * test that nothing else comes out. */
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/rng.h"
#include "runtime/grammar/grammar.h"

/* A vocabulary without a model: every byte, what JSON is made of, pieces of characters, and a
 * token that ends. */
struct grammar_vocab *sample_vocab(struct err *e);
/* Its bytes as grammar_vocab_from_tokens took them; of a tokenizer when t is given. */
const char *sample_token_bytes(const struct tokenizer *t, int32_t token, size_t *len);

struct sampler_walk {
    struct grammar_matcher *matcher;
    const struct grammar_vocab *vocab;
    const struct tokenizer *tokenizer; /* NULL: the vocabulary is sample_vocab's */
    struct rng rng;
    uint32_t *mask; /* (grammar_vocab_words) */
};

/* Walks from the beginning to an end, by random tokens at first and by those that close what is
 * open later. 1: *out is a whole text. 0: it did not end in SAMPLE_TOKENS_MAX tokens, or no
 * token could follow. -1: no memory. */
#define SAMPLE_TOKENS_MAX 4000
int sample_text(struct sampler_walk *w, struct buf *out, struct err *e);
