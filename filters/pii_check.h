/* pii_check.h: check digits, and dates inside of numbers.
 *
 * An id is digits and capital letters without blanks or dashes. Unless said otherwise the
 * functions take ids whose form is right.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ISO/IEC 7812 annex B (Luhn), of digits. */
bool pii_has_luhn_check(const char *digits, size_t count);
/* Verhoeff 1969, of digits. */
bool pii_has_verhoeff_check(const char *digits, size_t count);
/* ISO 7064 mod 11,10, of digits. */
bool pii_has_mod_11_10_check(const char *digits, size_t count);

/* The sum of the first `count` digits, each times its weight. */
unsigned pii_weighted_sum(const char *digits, const uint8_t *weights, size_t count);

/* The rest of a number of `count` digits. */
unsigned pii_rest(const char *digits, size_t count, unsigned divisor);

/* Whether a month has such a day; a 29th of February counts, as years have two digits. */
bool pii_is_day(unsigned month, unsigned day);

/* Whether the digits are all alike. */
bool pii_is_one_digit(const char *digits, size_t count);
