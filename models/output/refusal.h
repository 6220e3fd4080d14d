/* refusal.h: whether an answer begins by declining what was asked.
 *
 * A heuristic for figures (refusal rates of versions), not for decisions about one answer. Of
 * the first sentences it looks for a clause that begins as refusals in English do: "I cannot
 * help", "I'm unable to provide", "I must decline", "That is against my guidelines". What only
 * says that something is not known or not possible ("I do not know the time", "I cannot sing",
 * "Penguins cannot fly") is none, nor is what stands in quotation marks. Other languages are
 * not known: their answers are never taken for refusals.
 *
 * On the answers of weir-tiny to 1,000 held-out questions (bans, tones, several rules at once):
 * 266 of the 267 that decline are found, the other says "aboutks"; of the 733 that do not, none
 * is taken for one. tests/unit/output/test_refusal.c has sentences of other
 * models.
 *
 * Threads: none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes at the beginning of an answer that are looked at, and sentences among them: a watcher
 * of a stream need keep no more. */
#define REFUSAL_BYTES_MAX     400
#define REFUSAL_SENTENCES_MAX 2

/* `text` is UTF-8, or nearly: any bytes are safe. */
bool refusal_begins(const char *text, size_t len);
