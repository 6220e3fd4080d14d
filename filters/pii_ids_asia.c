/* National ids of Asia, Africa and Oceania. */
#include "filters/pii_check.h"
#include "filters/pii_scan.h"

static unsigned value_of(char digit)
{
    return (unsigned)(digit - '0');
}

/* A day that is written yymmdd. */
static bool has_year_first(const char *id)
{
    return pii_is_day(pii_number(id, 2, 2), pii_number(id, 4, 2));
}

/* ---- South Africa ---- */

/* Day of birth, sex, citizenship, and Luhn. */
static bool is_za_id(const char *id, size_t len)
{
    return has_year_first(id) && id[10] <= '2' && pii_has_luhn_check(id, len);
}

const struct pii_form pii_za_id[] = {
    {"ddddddddddddd", NULL, NULL, is_za_id, NULL},
    {"dddddd-dddd-ddd", NULL, " ", is_za_id, NULL},
    {0},
};

/* ---- India ---- */

static bool is_aadhaar(const char *id, size_t len)
{
    return pii_has_verhoeff_check(id, len);
}

static const char *const aadhaar_words[] = {"aadhaar", "aadhar", "uidai", "uid", NULL};
const struct pii_form pii_in_aadhaar[] = {
    {"dddd-dddd-dddd", "23456789", " -:", is_aadhaar, NULL},
    {"dddddddddddd", "23456789", NULL, is_aadhaar, aadhaar_words},
    {0},
};

/* The fourth letter is the kind of holder: a person, a firm and so on. */
static bool is_pan(const char *id, size_t len)
{
    (void)len;
    return pii_is_one_of(id[3], "ABCFGHJLPT");
}

static const char *const pan_words[] = {"pan", "permanent account", NULL};
const struct pii_form pii_in_pan[] = {
    {"AAAAAddddA", NULL, NULL, is_pan, NULL},
    {"AAAAAddddA", NULL, NULL, NULL, pan_words},
    {0},
};

/* ---- China, Korea, Thailand, Singapore ---- */

/* GB 11643-1999: a day of birth, and ISO 7064 mod 11-2, whose check may be X. */
static bool is_cn_id(const char *id, size_t len)
{
    static const uint8_t weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    unsigned year = pii_number(id, 6, 4);
    return year >= 1850 && year <= 2099 &&
           pii_is_day(pii_number(id, 10, 2), pii_number(id, 12, 2)) &&
           id[len - 1] == "10X98765432"[pii_weighted_sum(id, weights, 17) % 11];
}

const struct pii_form pii_cn_id[] = {
    {"dddddddddddddddddx", "123456789", NULL, is_cn_id, NULL},
    {0},
};

/* Numbers given since October 2020 have no check digit. The seventh digit is sex and century,
 * of foreigners 5 to 8. */
static bool is_rrn(const char *id, size_t len)
{
    (void)len;
    return has_year_first(id) && id[6] >= '1' && id[6] <= '4';
}

static bool is_frn(const char *id, size_t len)
{
    (void)len;
    return has_year_first(id) && id[6] >= '5' && id[6] <= '8';
}

static const char *const rrn_words[] = {
    "rrn", "resident registration",
    "\xEC\xA3\xBC\xEB\xAF\xBC\xEB\x93\xB1\xEB\xA1\x9D\xEB\xB2\x88\xED\x98\xB8",
    "\xEC\xA3\xBC\xEB\xAF\xBC\xEB\xB2\x88\xED\x98\xB8", NULL};
const struct pii_form pii_kr_rrn[] = {
    {"dddddd-ddddddd", NULL, "-", is_rrn, NULL},
    {"ddddddddddddd", NULL, NULL, is_rrn, rrn_words},
    {0},
};

static const char *const frn_words[] = {
    "frn", "foreigner registration",
    "\xEC\x99\xB8\xEA\xB5\xAD\xEC\x9D\xB8\xEB\x93\xB1\xEB\xA1\x9D\xEB\xB2\x88\xED\x98\xB8",
    NULL};
const struct pii_form pii_kr_frn[] = {
    {"dddddd-ddddddd", NULL, "-", is_frn, NULL},
    {"ddddddddddddd", NULL, NULL, is_frn, frn_words},
    {0},
};

/* Department of Provincial Administration: kind of citizen, province (ISO 3166-2:TH), district,
 * and mod 11 with weights 13 to 2. */
static bool is_th_id(const char *id, size_t len)
{
    static const uint8_t weights[] = {13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2};
    static const char last[] = "979987766"; /* second digits of provinces 1x, 2x and so on */
    if (id[1] == '0' || id[2] > last[id[1] - '1']) {
        return false;
    }
    unsigned rest = pii_weighted_sum(id, weights, 12) % 11;
    return value_of(id[len - 1]) == (11 - rest) % 10;
}

/* "Identity number of people" in Thai, which is written without blanks. */
static const char *const th_words[] = {
    "thai id",
    "tnin",
    "thai national",
    "\xE0\xB9\x80\xE0\xB8\xA5\xE0\xB8\x82\xE0\xB8\x9B\xE0\xB8\xA3\xE0\xB8\xB0\xE0\xB8\x88"
    "\xE0\xB8\xB3\xE0\xB8\x95\xE0\xB8\xB1\xE0\xB8\xA7",
    "\xE0\xB8\x9A\xE0\xB8\xB1\xE0\xB8\x95\xE0\xB8\xA3\xE0\xB8\x9B\xE0\xB8\xA3\xE0\xB8\xB0"
    "\xE0\xB8\x8A\xE0\xB8\xB2\xE0\xB8\x8A\xE0\xB8\x99",
    NULL};
const struct pii_form pii_th_id[] = {
    {"d-dddd-ddddd-dd-d", "12345678", "- ", is_th_id, NULL},
    {"ddddddddddddd", "12345678", NULL, is_th_id, th_words},
    {0},
};

/* NRIC and FIN: weights 2, 7, 6, 5, 4, 3, 2, and a row of letters for each series. */
static bool is_nric(const char *id, size_t len)
{
    static const struct {
        char series;
        uint8_t offset;
        const char *letters;
    } rows[] = {
        {'S', 0, "JZIHGFEDCBA"}, {'T', 4, "JZIHGFEDCBA"}, {'F', 0, "XWUTRQPNMLK"},
        {'G', 4, "XWUTRQPNMLK"}, {'M', 3, "KLJNPQRTUWX"},
    };
    static const uint8_t weights[] = {2, 7, 6, 5, 4, 3, 2};
    unsigned sum = pii_weighted_sum(id + 1, weights, 7);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (id[0] == rows[i].series) {
            unsigned rest = (sum + rows[i].offset) % 11;
            return id[len - 1] == rows[i].letters[id[0] == 'M' ? 10 - rest : rest];
        }
    }
    return false;
}

const struct pii_form pii_sg_nric[] = {
    {"addddddda", "STFGM", NULL, is_nric, NULL},
    {0},
};

/* ---- Australia ---- */

/* Australian Taxation Office: mod 11. */
static bool is_tfn(const char *id, size_t len)
{
    static const uint8_t weights[] = {1, 4, 3, 7, 5, 8, 6, 9, 10};
    return !pii_is_one_digit(id, len) && pii_weighted_sum(id, weights, len) % 11 == 0;
}

static const char *const tfn_words[] = {"tfn", "tax file", NULL};
const struct pii_form pii_au_tfn[] = {
    {"ddd-ddd-ddd", NULL, " -", is_tfn, tfn_words},
    {"ddddddddd", NULL, NULL, is_tfn, tfn_words},
    {0},
};

/* Australian Business Register: mod 89, with 1 taken from the first digit. */
static bool is_abn(const char *id, size_t len)
{
    static const uint8_t weights[] = {10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19};
    return (pii_weighted_sum(id, weights, len) - weights[0]) % 89 == 0;
}

static const char *const abn_words[] = {"abn", "business number", NULL};
const struct pii_form pii_au_abn[] = {
    {"dd-ddd-ddd-ddd", "123456789", " ", is_abn, NULL},
    {"ddddddddddd", "123456789", NULL, is_abn, abn_words},
    {0},
};

static bool is_acn(const char *id, size_t len)
{
    static const uint8_t weights[] = {8, 7, 6, 5, 4, 3, 2, 1, 1};
    return pii_weighted_sum(id, weights, len) % 10 == 0;
}

static const char *const acn_words[] = {"acn", "company number", NULL};
const struct pii_form pii_au_acn[] = {
    {"ddd-ddd-ddd", NULL, " ", is_acn, acn_words},
    {"ddddddddd", NULL, NULL, is_acn, acn_words},
    {0},
};

static bool is_au_medicare(const char *id, size_t len)
{
    (void)len;
    static const uint8_t weights[] = {1, 3, 7, 9, 1, 3, 7, 9};
    return value_of(id[8]) == pii_weighted_sum(id, weights, 8) % 10;
}

static const char *const medicare_words[] = {"medicare", NULL};
const struct pii_form pii_au_medicare[] = {
    {"dddd-ddddd-d", "23456", " -", is_au_medicare, NULL},
    {"dddddddddd", "23456", NULL, is_au_medicare, medicare_words},
    {0},
};
