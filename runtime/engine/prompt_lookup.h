/* prompt_lookup.h: guesses how a text goes on by looking where it went on before.
 *
 * Speculative decoding without a second model (Saxena 2023, "Prompt Lookup Decoding"): the last
 * few tokens are looked for further up in the same sequence, and what followed there is the
 * guess. Summaries, edits and code repeat their prompt often enough. Whether a guess is right
 * is for the model to say (Leviathan et al. 2023): an answer is the same with guesses and
 * without. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PROMPT_LOOKUP_MAX 8 /* tokens guessed at a time */

/* The most recent earlier place counts. Returns how many tokens of `guess` were filled, at most
 * `max` <= PROMPT_LOOKUP_MAX. */
int prompt_lookup(const int32_t *tokens, size_t n, int32_t guess[PROMPT_LOOKUP_MAX], int max);
