/* language.h: which language a text is written in, by script and by its small words.
 *
 * Scripts of one language of ours decide alone (Greek, Hebrew, Thai, Hangul, kana, Han without
 * kana ...). Among Latin and Cyrillic languages a list of the commonest small words of each,
 * written for this, and letters that few have, are counted; what several languages share counts
 * less. A text of less than six words, or one in which no language has a clear lead, is
 * "unknown": the identifier says nothing rather than guess.
 *
 * What it tells apart, and how well, is measured in tests/unit/curate/test_language.c on
 * sentences that the lists were not made from. Languages that are not listed come out as
 * unknown or as a neighbour; Danish and Norwegian are one ("da").
 *
 * Threads: any. */
#pragma once

#include <stddef.h>

#define LANGUAGE_UNKNOWN 0

/* An index for language_code; LANGUAGE_UNKNOWN when nothing is clear. */
int language_identify(const char *text, size_t len);

const char *language_code(int language); /* ISO 639-1: "en"; "unknown" */
/* -1: there is none of that code. */
int language_find(const char *code, size_t len);
size_t language_count(void); /* unknown included */
