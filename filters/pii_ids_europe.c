/* National ids of Europe. */
#include "filters/pii_check.h"
#include "filters/pii_scan.h"

static unsigned value_of(char digit)
{
    return (unsigned)(digit - '0');
}

/* A day that is written ddmmyy. */
static bool has_day_first(const char *id)
{
    return pii_is_day(pii_number(id, 2, 2), pii_number(id, 0, 2));
}

/* ---- United Kingdom ---- */

/* NHS Data Dictionary: mod 11, weights 10 to 2; a check digit of 10 is never given. */
static bool is_nhs(const char *id, size_t len)
{
    static const uint8_t weights[] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
    return !pii_is_one_digit(id, len) && pii_weighted_sum(id, weights, len) % 11 == 0;
}

static const char *const nhs_words[] = {"nhs", "national health", NULL};
const struct pii_form pii_uk_nhs[] = {
    {"ddd-ddd-dddd", NULL, "- ", is_nhs, NULL},
    {"dddddddddd", NULL, NULL, is_nhs, nhs_words},
    {0},
};

/* HMRC, National Insurance Manual NIM39110. */
static bool is_nino(const char *id, size_t len)
{
    static const char *const unused[] = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"};
    for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        if (memcmp(id, unused[i], 2) == 0) {
            return false;
        }
    }
    return !pii_is_one_of(id[1], "DFIOQUV") && id[len - 1] <= 'D';
}

#define NINO_FIRST "TASOHWBCPMRLNEGYJKXZ"
const struct pii_form pii_uk_nino[] = {
    {"aadddddda", NINO_FIRST, NULL, is_nino, NULL},
    {"aa-dd-dd-dd-a", NINO_FIRST, " -", is_nino, NULL},
    {"aa-dddddd-a", NINO_FIRST, " -", is_nino, NULL},
    {"aa-dddddda", NINO_FIRST, " -", is_nino, NULL},
    {"aadd-dd-dd-a", NINO_FIRST, " -", is_nino, NULL},
    {0},
};

/* DVLA: surname filled up with 9, decade, month (of women plus 50), day and year of birth,
 * initials or 9, and three more. */
static bool is_driving_licence(const char *id, size_t len)
{
    (void)len;
    for (size_t i = 1, nines = 0; i < 5; i++) {
        nines += id[i] == '9';
        if (pii_is_digit(id[i]) != (nines > 0) || (nines > 0 && id[i] != '9')) {
            return false;
        }
    }
    bool is_initial = !pii_is_digit(id[11]) || id[11] == '9';
    bool is_second = id[11] == '9' ? id[12] == '9' : !pii_is_digit(id[12]) || id[12] == '9';
    return is_initial && is_second &&
           pii_is_day(pii_number(id, 6, 2) % 50, pii_number(id, 8, 2));
}

const struct pii_form pii_uk_driving_licence[] = {
    {"AXXXXddddddXXXAA", NULL, NULL, is_driving_licence, NULL},
    {0},
};

/* ---- Germany ---- */

/* How many digits stand more than once among the first ten, or 10 if one does more than three
 * times. */
static size_t repeated_digits(const char *id)
{
    size_t count[10] = {0};
    size_t repeated = 0;
    for (size_t i = 0; i < 10; i++) {
        size_t n = ++count[value_of(id[i])];
        repeated += n == 2;
        if (n > 3) {
            return 10;
        }
    }
    return repeated;
}

/* Abgabenordnung 139b, Bundeszentralamt für Steuern: of the first ten digits one stands there
 * two or three times, and no other more than once. */
static bool is_tax_id(const char *id, size_t len)
{
    return repeated_digits(id) == 1 && pii_has_mod_11_10_check(id, len);
}

/* Samples, which have ten different digits, pass where their name stands before them. */
static bool is_named_tax_id(const char *id, size_t len)
{
    return repeated_digits(id) <= 1 && pii_has_mod_11_10_check(id, len);
}

static const char *const tax_id_words[] = {"steuer-id",
                                           "steuerid",
                                           "steuer-idnr",
                                           "idnr",
                                           "steueridentifikationsnummer",
                                           "steuerliche identifikationsnummer",
                                           "tax id",
                                           NULL};
const struct pii_form pii_de_tax_id[] = {
    {"ddddddddddd", "123456789", NULL, is_tax_id, NULL},
    {"dd-ddd-ddd-ddd", "123456789", " ", is_tax_id, NULL},
    {"ddddddddddd", "123456789", NULL, is_named_tax_id, tax_id_words},
    {0},
};

/* SGB VI 147, VKVV 2 to 4: area, day of birth, initial, serial; the check digit is the sum of
 * the digits' sums of the products, the letter as two digits. */
static bool is_de_social_security(const char *id, size_t len)
{
    static const uint8_t weights[] = {2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1};
    char digits[12];
    unsigned letter = (unsigned)(id[8] - 'A') + 1;
    memcpy(digits, id, 8);
    digits[8] = (char)('0' + letter / 10);
    digits[9] = (char)('0' + letter % 10);
    memcpy(digits + 10, id + 9, 2);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(digits); i++) {
        unsigned product = value_of(digits[i]) * weights[i];
        sum += product / 10 + product % 10;
    }
    unsigned day = pii_number(id, 2, 2);
    return pii_is_day(pii_number(id, 4, 2), day > 50 ? day - 50 : day) &&
           sum % 10 == value_of(id[len - 1]);
}

const struct pii_form pii_de_social_security[] = {
    {"ddddddddaddd", NULL, NULL, is_de_social_security, NULL},
    {"dd-dddddd-a-ddd", NULL, " ", is_de_social_security, NULL},
    {0},
};

/* ---- France ---- */

/* INSEE: sex, year, month (20 and more where it is not known), département (2A and 2B on
 * Corsica count as 19 and 18), and a key mod 97. */
static bool is_nir(const char *id, size_t len)
{
    char digits[PII_MAX_ID];
    memcpy(digits, id, len);
    if (!pii_is_digit(id[6])) {
        if (id[5] != '2' || id[6] > 'B') {
            return false;
        }
        digits[5] = '1';
        digits[6] = id[6] == 'A' ? '9' : '8';
    }
    unsigned month = pii_number(id, 3, 2);
    bool is_month = (month >= 1 && month <= 12) || (month >= 20 && month <= 42) || month >= 50;
    return is_month && pii_number(digits, 13, 2) + pii_rest(digits, 13, 97) == 97;
}

const struct pii_form pii_fr_nir[] = {
    {"ddddddxdddddddd", "123478", NULL, is_nir, NULL},
    {"d-dd-dd-dx-ddd-ddd-dd", "123478", " ", is_nir, NULL},
    {"ddddddxdddddd-dd", "123478", " ", is_nir, NULL},
    {0},
};

/* ---- Spain ---- */

static bool has_spanish_letter(unsigned number, char letter)
{
    return letter == "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23];
}

static bool is_nif(const char *id, size_t len)
{
    return has_spanish_letter(pii_number(id, 0, len - 1), id[len - 1]);
}

const struct pii_form pii_es_nif[] = {
    {"dddddddda", NULL, NULL, is_nif, NULL},    {"dddddddd-a", NULL, "- ", is_nif, NULL},
    {"ddddddda", NULL, NULL, is_nif, NULL},     {"ddddddd-a", NULL, "- ", is_nif, NULL},
    {"dd.ddd.ddd-a", NULL, NULL, is_nif, NULL}, {0},
};

static bool is_nie(const char *id, size_t len)
{
    unsigned number = (unsigned)(id[0] - 'X') * 10000000u + pii_number(id, 1, 7);
    return has_spanish_letter(number, id[len - 1]);
}

const struct pii_form pii_es_nie[] = {
    {"addddddda", "XYZ", NULL, is_nie, NULL},
    {"addddddd-a", "XYZ", "-", is_nie, NULL},
    {"a-ddddddd-a", "XYZ", "-", is_nie, NULL},
    {0},
};

/* ---- Italy ---- */

/* Decreto ministeriale 12 marzo 1974: month letters, days plus 40 for women, digits as letters
 * where two people would have the same, and a check letter. */
static bool is_fiscal_code(const char *id, size_t len)
{
    static const uint8_t odd[] = {1,  0,  5, 7, 9, 13, 15, 17, 19, 21, 2,  4,  18,
                                  20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
    static const uint8_t digits[] = {9, 10, 12, 13, 14};
    for (size_t i = 0; i < sizeof(digits); i++) {
        char c = id[digits[i]];
        if (!pii_is_digit(c) && !pii_is_one_of(c, "LMNPQRSTUV")) {
            return false;
        }
    }
    unsigned sum = 0;
    for (size_t i = 0; i + 1 < len; i++) {
        unsigned value = pii_is_digit(id[i]) ? value_of(id[i]) : (unsigned)(id[i] - 'A');
        sum += i % 2 == 0 ? odd[value] : value;
    }
    return pii_is_one_of(id[8], "ABCDEHLMPRST") && sum % 26 == (unsigned)(id[len - 1] - 'A');
}

const struct pii_form pii_it_fiscal_code[] = {
    {"AAAAAAddAXXAXXXA", NULL, NULL, is_fiscal_code, NULL},
    {0},
};

static bool is_it_vat(const char *id, size_t len)
{
    return !pii_is_one_digit(id, len) && pii_has_luhn_check(id, len);
}

static const char *const it_vat_words[] = {"partita iva", "p.iva", "p. iva",
                                           "piva",        "vat",   NULL};
const struct pii_form pii_it_vat[] = {
    {"ddddddddddd", NULL, NULL, is_it_vat, it_vat_words},
    {0},
};

/* ---- Netherlands, Belgium, Switzerland, Ireland ---- */

static bool is_bsn(const char *id, size_t len)
{
    static const uint8_t weights[] = {9, 8, 7, 6, 5, 4, 3, 2, 10}; /* the last is -1 */
    return !pii_is_one_digit(id, len) && pii_weighted_sum(id, weights, len) % 11 == 0;
}

static const char *const bsn_words[] = {"bsn", "burgerservicenummer", "sofinummer", NULL};
const struct pii_form pii_nl_bsn[] = {
    {"ddddddddd", NULL, NULL, is_bsn, bsn_words},
    {"dddd-dd-ddd", NULL, ".", is_bsn, bsn_words},
    {0},
};

/* Koninklijk besluit 25 November 1997: mod 97, of those born from 2000 on with a 2 in front. */
static bool is_nrn(const char *id, size_t len)
{
    (void)len;
    char later[10] = "2";
    memcpy(later + 1, id, 9);
    unsigned key = pii_number(id, 9, 2);
    return pii_is_day(pii_number(id, 2, 2), pii_number(id, 4, 2)) &&
           (key + pii_rest(id, 9, 97) == 97 || key + pii_rest(later, 10, 97) == 97);
}

const struct pii_form pii_be_nrn[] = {
    {"dd.dd.dd-ddd.dd", NULL, NULL, is_nrn, NULL},
    {"ddddddddddd", NULL, NULL, is_nrn, NULL},
    {0},
};

/* AHVN13: an EAN-13 that begins with 756. */
static bool is_ahv(const char *id, size_t len)
{
    static const uint8_t weights[] = {1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1};
    return pii_number(id, 0, 3) == 756 && pii_weighted_sum(id, weights, len) % 10 == 0;
}

const struct pii_form pii_ch_ahv[] = {
    {"ddd-dddd-dddd-dd", "7", ". ", is_ahv, NULL},
    {"ddddddddddddd", "7", NULL, is_ahv, NULL},
    {0},
};

/* Mod 23 over seven digits and, in numbers from 2013 on, one more letter. */
static bool is_pps(const char *id, size_t len)
{
    static const uint8_t weights[] = {8, 7, 6, 5, 4, 3, 2};
    unsigned sum = pii_weighted_sum(id, weights, 7);
    if (len == 9 && id[8] != 'W') {
        sum += 9 * ((unsigned)(id[8] - 'A') + 1);
    }
    return id[7] == "WABCDEFGHIJKLMNOPQRSTUV"[sum % 23] &&
           (len == 8 || pii_is_one_of(id[8], "ABHPTW"));
}

static const char *const pps_words[] = {"pps", "ppsn", "public service number", NULL};
const struct pii_form pii_ie_pps[] = {
    {"dddddddaa", NULL, NULL, is_pps, NULL},
    {"ddddddda", NULL, NULL, is_pps, pps_words},
    {0},
};

/* ---- the North ---- */

static bool is_cpr(const char *id, size_t len)
{
    (void)len;
    return has_day_first(id);
}

/* Its check digit has not been kept to since 2007. */
static const char *const cpr_words[] = {"cpr", "personnummer", NULL};
const struct pii_form pii_dk_cpr[] = {
    {"dddddd-dddd", NULL, "-", is_cpr, cpr_words},
    {"dddddddddd", NULL, NULL, is_cpr, cpr_words},
    {0},
};

/* Skatteetaten: two check digits mod 11; days plus 40 for people who do not live there. */
static bool is_fnr(const char *id, size_t len)
{
    static const uint8_t first[] = {3, 7, 6, 1, 8, 9, 4, 5, 2, 1};
    static const uint8_t second[] = {5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1};
    unsigned day = pii_number(id, 0, 2);
    return pii_is_day(pii_number(id, 2, 2), day > 40 ? day - 40 : day) &&
           pii_weighted_sum(id, first, 10) % 11 == 0 &&
           pii_weighted_sum(id, second, len) % 11 == 0;
}

const struct pii_form pii_no_fnr[] = {
    {"ddddddddddd", NULL, NULL, is_fnr, NULL},
    {"dddddd-ddddd", NULL, " ", is_fnr, NULL},
    {0},
};

/* Skatteverket SKV 704: Luhn over ten digits; coordination numbers have days plus 60. */
static bool is_personnummer(const char *id, size_t len)
{
    unsigned century = len == 12 ? pii_number(id, 0, 2) : 19;
    const char *ten = id + len - 10;
    unsigned day = pii_number(ten, 4, 2);
    return century >= 18 && century <= 20 &&
           pii_is_day(pii_number(ten, 2, 2), day > 60 ? day - 60 : day) &&
           pii_has_luhn_check(ten, 10);
}

static const char *const personnummer_words[] = {
    "personnummer", "pnr", "personnr", "personal identity", "samordningsnummer", NULL};
const struct pii_form pii_se_personnummer[] = {
    {"dddddd-dddd", NULL, "-+", is_personnummer, NULL},
    {"dddddddd-dddd", NULL, "-+", is_personnummer, NULL},
    {"dddddddddddd", NULL, NULL, is_personnummer, NULL},
    {"dddddddddd", NULL, NULL, is_personnummer, personnummer_words},
    {0},
};

/* Digital and Population Data Services Agency: the sign or letter after the day of birth is
 * the century, the last character the rest by 31. */
static bool is_hetu(const char *id, size_t len)
{
    bool has_letter = len == 11;
    unsigned number = 1000 * pii_number(id, 0, 6) + pii_number(id, len - 4, 3);
    return has_day_first(id) && (!has_letter || pii_is_one_of(id[6], "ABCDEFUVWXY")) &&
           id[len - 1] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31];
}

const struct pii_form pii_fi_hetu[] = {
    {"dddddd-dddx", NULL, "-+", is_hetu, NULL},
    {"ddddddadddx", NULL, NULL, is_hetu, NULL},
    {0},
};

/* ---- Poland, Turkey ---- */

/* Months have 80, 20, 40 or 60 added for the centuries from 1800, 2000, 2100 and 2200 on. */
static bool is_pesel(const char *id, size_t len)
{
    static const uint8_t weights[] = {1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1};
    return pii_is_day(pii_number(id, 2, 2) % 20, pii_number(id, 4, 2)) &&
           pii_weighted_sum(id, weights, len) % 10 == 0;
}

static const char *const pesel_words[] = {"pesel", NULL};
const struct pii_form pii_pl_pesel[] = {
    {"ddddddddddd", NULL, NULL, is_pesel, pesel_words},
    {0},
};

static bool is_tckn(const char *id, size_t len)
{
    (void)len;
    unsigned odd = 0;
    unsigned even = 0;
    for (size_t i = 0; i < 9; i++) {
        *(i % 2 == 0 ? &odd : &even) += value_of(id[i]);
    }
    unsigned tenth = (7 * odd + 9 * even) % 10; /* 9 for -1 */
    return value_of(id[9]) == tenth && value_of(id[10]) == (odd + even + tenth) % 10;
}

static const char *const tckn_words[] = {"tckn", "kimlik", "tc", "t.c", "turkish id", NULL};
const struct pii_form pii_tr_tckn[] = {
    {"ddddddddddd", "123456789", NULL, is_tckn, tckn_words},
    {0},
};
