/* byte_alphabet.h: GPT-2's way to write any bytes as printable text.
 *
 * Vocabularies are stored as text, so each of the 256 bytes is given a character: the printable
 * ones of Latin-1 stand for themselves, the others take the code points from U+0100 on, in
 * order. A space is written U+0120, a newline U+010A. (Radford et al. 2019, released code,
 * "bytes_to_unicode".)
 *
 * Threads: pure functions over constant tables.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define BYTE_ALPHABET_MAX 2 /* bytes of UTF-8 that one byte becomes, at most */

/* Writes the characters of len bytes to out, room for BYTE_ALPHABET_MAX * len; returns their
 * length. */
size_t byte_alphabet_encode(const char *bytes, size_t len, char *out);

/* The inverse; out has room for len. False when text holds anything outside the alphabet. */
bool byte_alphabet_decode(const char *text, size_t len, char *out, size_t *out_len);
