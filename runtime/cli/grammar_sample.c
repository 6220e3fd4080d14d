#include "runtime/cli/grammar_sample.h"

#include <string.h>

/* Tokens beside the 256 bytes. */
static const char *const pieces[] = {
    "\"",
    "\":",
    "\": ",
    "\",",
    "\", ",
    "{\"",
    "\"}",
    "[\"",
    "\"]",
    "\"}}",
    "{}",
    "[]",
    "},",
    "],",
    "}]",
    "}}",
    "]]",
    "[[",
    "[{",
    "[1",
    "{\"a",
    "\":\"",
    "\":1",
    "\":{",
    "\":[",
    "\\n",
    "\\\"",
    "\\\\",
    "\\u",
    "\\u00",
    "\\ud8",
    "\\ud83d\\ude00",
    "00",
    "10",
    "12",
    "123",
    "0.",
    ".5",
    "-1",
    "e+",
    "E-1",
    "true",
    "false",
    "null",
    "tr",
    "ue",
    "al",
    "nul",
    "l,",
    "foo",
    "bar",
    "ba",
    "fo",
    "name",
    "id",
    "value",
    "type",
    "a",
    "aa",
    "ab",
    "hello",
    " world",
    "  ",
    "\n",
    "\t",
    "\xC3",
    "\xC3\xA9",
    "\xE2\x82",
    "\xAC",
    "\xE2\x82\xAC",
    "\xF0\x9F",
    "\x98\x80",
    "\xF0\x9F\x98\x80",
    "\xED\xA0",
    "\xED\x9F",
    "\xF4\x8F\xBF\xBF",
    "20",
    "-01",
    "T1",
    ":0",
    "Z",
    "abcdefghijklmnopqrstuvwxyz",
    "                                ",
    "\":\"\",\"",
    "0000000000000000000",
};
#define N_PIECES ((int32_t)(sizeof(pieces) / sizeof(pieces[0])))
#define N_TOKENS (256 + N_PIECES + 1)

/* From here on an end is sought. */
#define TOKENS_OF_TEXT 60

const char *sample_token_bytes(const struct tokenizer *t, int32_t token, size_t *len)
{
    static const unsigned char bytes[] = {
#define B4(x)  (x), (x) + 1, (x) + 2, (x) + 3
#define B16(x) B4(x), B4((x) + 4), B4((x) + 8), B4((x) + 12)
#define B64(x) B16(x), B16((x) + 16), B16((x) + 32), B16((x) + 48)
        B64(0), B64(64), B64(128), B64(192)};
    if (t) {
        return tokenizer_token_bytes(t, token, len);
    }
    if (token < 256) {
        *len = 1;
        return (const char *)&bytes[token];
    }
    const bool ends = token == N_TOKENS - 1;
    *len = ends ? 0 : strlen(pieces[token - 256]);
    return ends ? "" : pieces[token - 256];
}

struct grammar_vocab *sample_vocab(struct err *e)
{
    struct grammar_token tokens[N_TOKENS];
    for (int32_t i = 0; i < N_TOKENS; i++) {
        tokens[i].bytes = sample_token_bytes(NULL, i, &tokens[i].len);
        tokens[i].ends = i == N_TOKENS - 1;
    }
    return grammar_vocab_from_tokens(tokens, N_TOKENS, e);
}

static bool is_set(const uint32_t *mask, int32_t token)
{
    return mask[token / 32] >> (token % 32) & 1;
}

/* The nth of the tokens that are set. */
static int32_t pick(const struct sampler_walk *w, int32_t nth)
{
    const int32_t n = grammar_vocab_size(w->vocab);
    for (int32_t i = 0; i < n; i++) {
        if (is_set(w->mask, i) && nth-- == 0) {
            return i;
        }
    }
    return TOKEN_NONE;
}

/* A token that likely brings the end nearer: one that ends, a quote or bracket that closes, or
 * any that is short. */
static int32_t pick_closing(struct sampler_walk *w, int32_t n_allowed)
{
    static const char closing[] = "\"]}";
    int32_t best = TOKEN_NONE;
    int best_rank = 4;
    const int32_t n = grammar_vocab_size(w->vocab);
    for (int32_t i = 0; i < n; i++) {
        size_t len;
        if (!is_set(w->mask, i)) {
            continue;
        }
        const char *bytes = sample_token_bytes(w->tokenizer, i, &len);
        const char *found = len == 1 && *bytes ? strchr(closing, *bytes) : NULL;
        const int rank = len == 0 ? 0 : found ? 1 + (int)(found - closing) : 4;
        if (rank < best_rank) {
            best_rank = rank;
            best = i;
        }
    }
    return best != TOKEN_NONE ? best
                              : pick(w, (int32_t)rng_below(&w->rng, (uint32_t)n_allowed));
}

int sample_text(struct sampler_walk *w, struct buf *out, struct err *e)
{
    grammar_matcher_reset(w->matcher);
    buf_clear(out);
    const uint32_t patience = rng_below(&w->rng, TOKENS_OF_TEXT);
    for (uint32_t i = 0; i < SAMPLE_TOKENS_MAX; i++) {
        const int32_t n = grammar_matcher_mask(w->matcher, w->mask);
        size_t len;
        if (n <= 0) {
            return n < 0 ? err_nomem(e) : grammar_matcher_may_end(w->matcher);
        }
        /* Late closings are mixed with others: after a quote a letter may be owed. */
        const bool close = i >= patience && rng_below(&w->rng, 4) != 0;
        const int32_t token =
            close ? pick_closing(w, n) : pick(w, (int32_t)rng_below(&w->rng, (uint32_t)n));
        const char *bytes = sample_token_bytes(w->tokenizer, token, &len);
        if (grammar_matcher_accept(w->matcher, token, e) != 0 ||
            buf_append(out, bytes, len) != 0) {
            return -1;
        }
        if (len == 0) {
            return 1;
        }
    }
    return 0;
}
