/* entities.h: HTML character references as a way to write a character (HTML, "Character
 * references"): numbers, decimal or hexadecimal, whose ";" may be missing; and names with their
 * ";", of which those are known that stand for an ASCII character, for a blank, for a dash or
 * quote or for something invisible, and those of letters with accents, as the letter alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENTITY_MAX 32u /* bytes of a reference; longer ones are none */

enum entity_found {
    ENTITY_NONE,    /* the "&" is nothing but itself */
    ENTITY_PARTIAL, /* more text decides; at most ENTITY_MAX bytes are undecided */
    ENTITY_FOUND,
};

/* What begins with the "&" at text[0], of len >= 1 bytes. has_ended: no more text will come. */
enum entity_found entity_read(const char *text, size_t len, bool has_ended,
                              uint32_t *code_point, size_t *entity_len);
