/* gbnf.h: the text of a grammar to a syntax.
 *
 * The notation is llama.cpp's GBNF (see grammar.h for what it has). Beyond it, `[]` matches
 * nothing: generated rules say so where an alternative can not be.
 *
 * Threads: any. */
#pragma once

#include "runtime/grammar/syntax.h"

/* Fills s, an empty syntax, also s->root. 0, or -1 with the line in the message. */
int gbnf_parse(const char *text, size_t len, struct syntax *s, struct err *e);
