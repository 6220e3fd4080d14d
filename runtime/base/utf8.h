/* utf8.h: UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, at most U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one character. Returns its length 1..4, 0 if bytes end inside a character that may
 * still become valid, or -1 if they are invalid. */
int utf8_decode(const char *s, size_t len, uint32_t *code_point);
/* Writes 1..4 bytes and returns how many; code_point must be valid. */
int utf8_encode(uint32_t code_point, char out[4]);
bool utf8_is_valid(const char *s, size_t len);
/* Length of the longest prefix that is whole, valid characters. */
size_t utf8_valid_prefix(const char *s, size_t len);
/* How many bytes at the end are the beginning of a character that is not complete yet (0..3).
 */
size_t utf8_incomplete_tail(const char *s, size_t len);
/* The length of the next chunk of whole characters of valid text: at most `max` bytes, but one
 * character at least. */
size_t utf8_chunk_len(const char *s, size_t len, size_t max);
