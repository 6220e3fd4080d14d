/* refusal.h: does an answer decline what was asked? A guess from how it begins, in English.
 *
 * The first sentences (the first 200 bytes, behind white space and marks of formatting) are
 * searched for phrases in which assistants decline: "I can't help with", "I cannot talk about",
 * "I'm not able to provide" ... (refusal.c has the table). Case and the kind of apostrophe do
 * not matter. A refusal in other words or in another language is not seen, and an answer that
 * quotes one at its beginning is taken for one; so it serves to compare versions with each
 * other, and not to count refusals.
 *
 * Threads: pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool refusal_begins(const char *text, size_t len);
