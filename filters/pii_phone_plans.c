/* Phone numbers by country: codes and lengths of the national numbering plans (ITU-T E.164,
 * operational bulletins). */
#include "filters/pii_scan.h"

static const struct plan {
    char country[3];  /* ISO 3166-1, small letters */
    char code[4];     /* of the country */
    uint8_t min, max; /* digits without the code, and without the 0 before an area */
    bool has_trunk;   /* at home, numbers begin with this 0 */
} plans[] = {
    {"ae", "971", 8, 9, true},   {"ar", "54", 10, 11, true}, {"at", "43", 4, 13, true},
    {"au", "61", 9, 9, true},    {"be", "32", 8, 9, true},   {"bg", "359", 7, 9, true},
    {"br", "55", 10, 11, true},  {"ca", "1", 10, 10, false}, {"ch", "41", 9, 9, true},
    {"cl", "56", 9, 9, false},   {"cn", "86", 9, 11, true},  {"co", "57", 10, 10, false},
    {"cz", "420", 9, 9, false},  {"de", "49", 6, 13, true},  {"dk", "45", 8, 8, false},
    {"eg", "20", 8, 10, true},   {"es", "34", 9, 9, false},  {"fi", "358", 5, 12, true},
    {"fr", "33", 9, 9, true},    {"gb", "44", 7, 10, true},  {"gr", "30", 10, 10, false},
    {"hk", "852", 8, 8, false},  {"hu", "36", 8, 9, true},   {"id", "62", 8, 12, true},
    {"ie", "353", 7, 9, true},   {"il", "972", 8, 9, true},  {"in", "91", 10, 10, true},
    {"is", "354", 7, 9, false},  {"it", "39", 6, 11, true},  {"jp", "81", 9, 10, true},
    {"ke", "254", 7, 10, true},  {"kr", "82", 8, 10, true},  {"lu", "352", 4, 11, false},
    {"mx", "52", 10, 10, false}, {"my", "60", 8, 10, true},  {"ng", "234", 8, 10, true},
    {"nl", "31", 9, 9, true},    {"no", "47", 8, 8, false},  {"nz", "64", 8, 10, true},
    {"pe", "51", 8, 9, true},    {"ph", "63", 8, 10, true},  {"pk", "92", 9, 10, true},
    {"pl", "48", 9, 9, false},   {"pt", "351", 9, 9, false}, {"ro", "40", 9, 9, true},
    {"ru", "7", 10, 10, false},  {"sa", "966", 8, 9, true},  {"se", "46", 7, 10, true},
    {"sg", "65", 8, 8, false},   {"sk", "421", 9, 9, true},  {"th", "66", 8, 9, true},
    {"tr", "90", 10, 10, true},  {"tw", "886", 8, 9, true},  {"ua", "380", 9, 9, true},
    {"us", "1", 10, 10, false},  {"vn", "84", 8, 10, true},  {"za", "27", 9, 9, true},
};
#define PLANS (sizeof(plans) / sizeof(plans[0]))
_Static_assert(PLANS <= 64, "sets of countries are 64 bits");

#define MAX_DIGITS 20u

uint64_t pii_phone_country(const char *name)
{
    for (size_t i = 0; i < PLANS; i++) {
        if (strcmp(plans[i].country, name) == 0) {
            return (uint64_t)1 << i;
        }
    }
    return 0;
}

static bool has_length(const struct plan *plan, size_t digits)
{
    return digits >= plan->min && digits <= plan->max;
}

/* Behind +: the code and the number, perhaps with the 0 that is not dialled from abroad. */
static bool is_international(const struct plan *plan, const char *digits, size_t count)
{
    size_t code = strlen(plan->code);
    if (count <= code || memcmp(digits, plan->code, code) != 0) {
        return false;
    }
    bool has_trunk = plan->has_trunk && digits[code] == '0';
    return has_length(plan, count - code) || (has_trunk && has_length(plan, count - code - 1));
}

/* What is written with joints as in North America has no 0 that could be left out. */
static bool is_of(const struct plan *plan, const char *digits, size_t count, bool has_plus,
                  bool has_joints)
{
    if (has_plus) {
        return is_international(plan, digits, count);
    }
    if (digits[0] == '0') {
        return (plan->has_trunk && has_length(plan, count - 1)) ||
               (count > 2 && digits[1] == '0' && is_international(plan, digits + 2, count - 2));
    }
    bool is_north_american = plan->code[0] == '1' && digits[0] == '1';
    return !(has_joints && plan->has_trunk) &&
           has_length(plan, is_north_american ? count - 1 : count);
}

bool pii_phone_is_of(uint64_t countries, const char *text, size_t len)
{
    char digits[MAX_DIGITS] = "";
    size_t count = 0;
    for (size_t i = 0; i < len && count < MAX_DIGITS; i++) {
        if (pii_is_digit(text[i])) {
            digits[count++] = text[i];
        }
    }
    for (size_t i = 0; i < PLANS; i++) {
        if ((countries >> i & 1) &&
            is_of(&plans[i], digits, count, text[0] == '+', count < len)) {
            return true;
        }
    }
    return false;
}
