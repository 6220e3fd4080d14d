/* vocab.h: inside of a grammar_vocab (grammar.h). */
#pragma once

#include <stdatomic.h>

#include "runtime/grammar/grammar.h"

/* Tokens longer than this are in a tree of their own: see state_table.h, "views". */
#define VOCAB_SHORT_MAX 16

/* One node of a prefix tree. Nodes lie in depth-first order, children by byte. */
struct vocab_node {
    uint32_t end;   /* the first node behind this one's subtree */
    int32_t token;  /* the first of the tokens that end here, or TOKEN_NONE */
    uint32_t depth; /* bytes before this node's */
    uint8_t byte;
};

struct vocab_tree {
    struct vocab_node *nodes; /* (n) */
    size_t n;
};

struct grammar_vocab {
    atomic_uint refs;
    uint64_t serial; /* tells it from every other of this process */
    int32_t n_tokens;
    uint32_t max_len;             /* of a token, in bytes */
    struct vocab_tree short_tree; /* tokens of at most VOCAB_SHORT_MAX bytes */
    struct vocab_tree long_tree;
    int32_t *same;     /* (n_tokens) the next token with the same bytes, or TOKEN_NONE */
    uint32_t *ends;    /* (words) mask of the tokens that end an answer */
    int32_t n_ends;    /* how many they are */
    uint32_t *offsets; /* (n_tokens + 1) into bytes */
    unsigned char *bytes;
};

static inline bool vocab_ends(const struct grammar_vocab *v, int32_t token)
{
    return v->ends[token / 32] >> (token % 32) & 1;
}
