/* eval_admits.h: whether an answer says that something is not known, or is not so.
 *
 * "I do not know", "I have not heard of", "there is no such": looked for in the first bytes of
 * an answer, as whole words, in English. A heuristic for rates, as models/output/refusal.h is,
 * and no judgement of one answer: an answer that admits it and goes on to invent counts as
 * admitting.
 *
 * Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes at the beginning that are looked at. */
#define EVAL_ADMITS_BYTES_MAX 400

/* Any bytes are safe. */
bool eval_admits(const char *answer, size_t len);
