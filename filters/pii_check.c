#include "filters/pii_check.h"

bool pii_has_luhn_check(const char *digits, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(digits[count - 1 - i] - '0');
        unsigned doubled = 2 * digit;
        sum += i % 2 == 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
    }
    return sum % 10 == 0;
}

/* The product of the dihedral group of order 10: rotations 0 to 4, reflections 5 to 9. */
static unsigned dihedral(unsigned a, unsigned b)
{
    unsigned turn = a < 5 ? (a + b) % 5 : (a + 5 - b % 5) % 5;
    return (a < 5) == (b < 5) ? turn : 5 + turn;
}

bool pii_has_verhoeff_check(const char *digits, size_t count)
{
    static const uint8_t permutation[] = {1, 5, 7, 6, 2, 8, 3, 0, 9, 4};
    unsigned check = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(digits[count - 1 - i] - '0');
        for (size_t turn = 0; turn < i % 8; turn++) {
            digit = permutation[digit];
        }
        check = dihedral(check, digit);
    }
    return check == 0;
}

bool pii_has_mod_11_10_check(const char *digits, size_t count)
{
    unsigned product = 10;
    for (size_t i = 0; i + 1 < count; i++) {
        unsigned sum = (product + (unsigned)(digits[i] - '0')) % 10;
        product = 2 * (sum ? sum : 10) % 11;
    }
    return (product + (unsigned)(digits[count - 1] - '0')) % 10 == 1;
}

unsigned pii_weighted_sum(const char *digits, const uint8_t *weights, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (unsigned)(digits[i] - '0') * weights[i];
    }
    return sum;
}

unsigned pii_rest(const char *digits, size_t count, unsigned divisor)
{
    unsigned rest = 0;
    for (size_t i = 0; i < count; i++) {
        rest = (10 * rest + (unsigned)(digits[i] - '0')) % divisor;
    }
    return rest;
}

bool pii_is_day(unsigned month, unsigned day)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

bool pii_is_one_digit(const char *digits, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (digits[i] != digits[0]) {
            return false;
        }
    }
    return true;
}
