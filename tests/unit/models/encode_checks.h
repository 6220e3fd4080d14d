/* encode_checks.h: what tests of each kind of vocabulary have in common. For tests only; every
 * function fails the test where something is not as expected. */
#pragma once

#include <string.h>

#include "models/format/gguf.h"
#include "models/tokenizer/tokenizer.h"

/* These take g, the vocabulary's file. */
struct tokenizer *encode_open(struct gguf *g);
void encode_expect_refusal(struct gguf *g, const char *words_of_it);
/* Loads and encodes again and again, each time with the next allocation failing: the error says
 * so, and nothing is left behind. */
void encode_expect_failing_allocations(struct gguf *g, const char *text, size_t len);

/* Appends the ids of a text. */
void encode_text(const struct tokenizer *t, const char *text, size_t len, bool parse_special,
                 struct token_list *out);

void encode_expect_ids(const struct tokenizer *t, const char *text, size_t len,
                       const int32_t *ids, size_t n);
/* The same where names of special tokens are read as these. */
void encode_expect_special_ids(const struct tokenizer *t, const char *text, size_t len,
                               const int32_t *ids, size_t n);

/* EXPECT_IDS(t, "text", 5, 6): these and no others. The text is a literal, and may hold NULs.
 */
#define EXPECT_IDS(t, text, ...)                                                        \
    encode_expect_ids((t), (text), sizeof("" text) - 1, (const int32_t[]){__VA_ARGS__}, \
                      sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
#define EXPECT_SPECIAL_IDS(t, text, ...)                        \
    encode_expect_special_ids((t), (text), sizeof("" text) - 1, \
                              (const int32_t[]){__VA_ARGS__},   \
                              sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
