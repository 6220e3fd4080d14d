/* matching.h: what a grammar allows, for tests. */
#pragma once

#include <stdbool.h>

#include "runtime/grammar/grammar.h"

/* 256 tokens of one byte each, and one more that ends. */
struct grammar_vocab *byte_vocab(void);

/* The grammar allows exactly this text. */
bool matches(struct grammar *g, const char *text);
/* The grammar allows this beginning. */
bool begins(struct grammar *g, const char *text);

/* Fails the test unless it compiles; the caller releases. */
struct grammar *gbnf(const char *text);
struct grammar *regex(const char *pattern);
struct grammar *schema(const char *json);

/* The error of something that must be refused. */
struct err gbnf_error(const char *text);
struct err regex_error(const char *pattern);
struct err schema_error(const char *json);
