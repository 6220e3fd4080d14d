/* National ids of the Americas, and passports. */
#include "filters/pii_check.h"
#include "filters/pii_scan.h"

/* ---- passports ---- */

/* Numbers of many countries: without such a word they could be anything. */
static const char *const passport_words[] = {
    "passport",  "passports",  "travel document", "pasaporte",       "passaporto",
    "passeport", "passaporte", "reisepass",       "reisepassnummer", "\xEC\x97\xAC\xEA\xB6\x8C",
    NULL};
const struct pii_form pii_passport[] = {
    {"ddddddddd", NULL, NULL, NULL, passport_words},
    {"adddddddd", NULL, NULL, NULL, passport_words},
    {"AAddddddd", NULL, NULL, NULL, passport_words},
    {"AAAdddddd", NULL, NULL, NULL, passport_words},
    {"addddddd", NULL, NULL, NULL, passport_words},
    {"adddadddd", NULL, NULL, NULL, passport_words},
    {0},
};

/* ---- United States ---- */

/* Social Security Administration: areas 000, 666 and 9xx, group 00 and serial 0000 are never
 * given, and two numbers became void when advertisements printed them. */
static bool is_ssn(const char *id, size_t len)
{
    if (memcmp(id, "078051120", len) == 0 || memcmp(id, "219099999", len) == 0) {
        return false;
    }
    unsigned area = pii_number(id, 0, 3);
    return area > 0 && area != 666 && pii_number(id, 3, 2) > 0 && pii_number(id, 5, 4) > 0;
}

static const char *const ssn_words[] = {"ssn", "ssns", "social security", NULL};
const struct pii_form pii_ssn[] = {
    {"ddd-dd-dddd", "012345678", "- .", is_ssn, NULL},
    {"ddddddddd", "012345678", NULL, is_ssn, ssn_words},
    {"ddd-dddddd", "012345678", NULL, is_ssn, ssn_words},
    {"ddddd-dddd", "012345678", NULL, is_ssn, ssn_words},
    {0},
};

/* IRS: taxpayers without a social security number; the groups that are given. */
static bool is_itin(const char *id, size_t len)
{
    (void)len;
    unsigned group = pii_number(id, 3, 2);
    return (group >= 50 && group <= 65) || (group >= 70 && group <= 88) ||
           (group >= 90 && group <= 92) || group >= 94;
}

static const char *const itin_words[] = {"itin", "taxpayer", "tax id", "tin", NULL};
const struct pii_form pii_us_itin[] = {
    {"ddd-dd-dddd", "9", "- ", is_itin, NULL},
    {"ddddddddd", "9", NULL, is_itin, itin_words},
    {"ddd-dddddd", "9", NULL, is_itin, itin_words},
    {"ddddd-dddd", "9", NULL, is_itin, itin_words},
    {0},
};

/* Centers for Medicare & Medicaid Services, "Understanding the MBI format". */
static bool is_mbi(const char *id, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (pii_is_one_of(id[i], "SLOIBZ")) {
            return false;
        }
    }
    return true;
}

const struct pii_form pii_us_mbi[] = {
    {"daxd-axd-aadd", "123456789", "- ", is_mbi, NULL},
    {"daxdaxdaadd", "123456789", NULL, is_mbi, NULL},
    {0},
};

/* 45 CFR 162.406: Luhn over the number with 80840 before it. */
static bool is_npi(const char *id, size_t len)
{
    char card[5 + 10] = "80840";
    memcpy(card + 5, id, len);
    return !pii_is_one_digit(id, len - 1) && pii_has_luhn_check(card, sizeof(card));
}

static const char *const npi_words[] = {
    "npi", "npis", "national provider", "provider identifier", "provider id", NULL};
const struct pii_form pii_us_npi[] = {
    {"dddddddddd", "12", NULL, is_npi, npi_words},
    {"dddd-ddd-ddd", "12", "- ", is_npi, npi_words},
    {0},
};

/* American Bankers Association: the Federal Reserve's districts, weights 3, 7, 1. */
static bool is_routing(const char *id, size_t len)
{
    static const uint8_t weights[] = {3, 7, 1, 3, 7, 1, 3, 7, 1};
    unsigned district = pii_number(id, 0, 2);
    return (district <= 12 || (district >= 21 && district <= 32) ||
            (district >= 61 && district <= 72) || district == 80) &&
           !pii_is_one_digit(id, len) && pii_weighted_sum(id, weights, len) % 10 == 0;
}

static const char *const routing_words[] = {"routing", "aba", "rtn", NULL};
const struct pii_form pii_us_routing[] = {
    {"ddddddddd", NULL, NULL, is_routing, routing_words},
    {"dddd-dddd-d", NULL, "-", is_routing, NULL},
    {0},
};

/* ---- Canada ---- */

/* Service Canada: none begins with 0 or 8. */
static bool is_sin(const char *id, size_t len)
{
    return !pii_is_one_digit(id, len) && pii_has_luhn_check(id, len);
}

static const char *const sin_words[] = {"sin", "nas", "social insurance", "assurance sociale",
                                        NULL};
const struct pii_form pii_ca_sin[] = {
    {"ddd-ddd-ddd", "12345679", "-", is_sin, NULL},
    {"ddd-ddd-ddd", "12345679", " ", is_sin, sin_words},
    {"ddddddddd", "12345679", NULL, is_sin, sin_words},
    {0},
};

/* ---- Mexico ---- */

/* RENAPO, "Instructivo normativo para la asignación de la CURP": a day of birth, the sex, and
 * a check digit over the values of all characters; Ñ, which never is one of them here, counts
 * 24. */
static bool is_curp(const char *id, size_t len)
{
    unsigned sum = 0;
    for (size_t i = 0; i + 1 < len; i++) {
        unsigned value = pii_is_digit(id[i]) ? (unsigned)(id[i] - '0')
                                             : (unsigned)(id[i] - 'A') + 10 + (id[i] > 'N');
        sum += value * (unsigned)(18 - i);
    }
    return pii_is_day(pii_number(id, 6, 2), pii_number(id, 8, 2)) &&
           pii_is_one_of(id[10], "HMX") && (sum + (unsigned)(id[17] - '0')) % 10 == 0;
}

const struct pii_form pii_mx_curp[] = {
    {"AAAAddddddAAAAAAXd", NULL, NULL, is_curp, NULL},
    {0},
};

/* ---- Brazil ---- */

/* A check digit by mod 11: the weights' sum gives 0 for rests 0 and 1. */
static bool has_brazilian_check(const char *id, const uint8_t *weights, size_t count)
{
    unsigned rest = pii_weighted_sum(id, weights, count) % 11;
    return (unsigned)(id[count] - '0') == (rest < 2 ? 0 : 11 - rest);
}

static bool is_cpf(const char *id, size_t len)
{
    static const uint8_t weights[] = {11, 10, 9, 8, 7, 6, 5, 4, 3, 2};
    return !pii_is_one_digit(id, len) && has_brazilian_check(id, weights + 1, 9) &&
           has_brazilian_check(id, weights, 10);
}

static const char *const cpf_words[] = {"cpf", "pessoa f\xC3\xADsica", NULL};
const struct pii_form pii_br_cpf[] = {
    {"ddd.ddd.ddd-dd", NULL, NULL, is_cpf, NULL},
    {"ddddddddd-dd", NULL, NULL, is_cpf, NULL},
    {"ddddddddddd", NULL, NULL, is_cpf, cpf_words},
    {0},
};

static bool is_cnpj(const char *id, size_t len)
{
    static const uint8_t weights[] = {6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2};
    return !pii_is_one_digit(id, len) && has_brazilian_check(id, weights + 1, 12) &&
           has_brazilian_check(id, weights, 13);
}

static const char *const cnpj_words[] = {"cnpj", NULL};
const struct pii_form pii_br_cnpj[] = {
    {"dd.ddd.ddd/dddd-dd", NULL, NULL, is_cnpj, NULL},
    {"dddddddddddddd", NULL, NULL, is_cnpj, cnpj_words},
    {0},
};
