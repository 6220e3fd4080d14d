#include "tests/unit/filters/pii_oracle.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <arpa/inet.h>
#include <pcre2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- checks of a whole candidate ---- */

/* Digits only, doubled every second from the right by adding the digit sums. */
static bool luhn(const char *text)
{
    int digits[32] = {0};
    int n = 0;
    for (; *text; text++) {
        if (*text >= '0' && *text <= '9' && n < 32) {
            digits[n++] = *text - '0';
        }
    }
    int sum = 0;
    for (int i = n - 1, second = 0; i >= 0; i--, second = !second) {
        int d = digits[i] << second;
        sum += d / 10 + d % 10;
    }
    bool is_long = digits[0] == 1 ? n == 15 : n >= 13 && n <= 19;
    return is_long && sum % 10 == 0;
}

/* Moves the first four characters to the end, writes letters as numbers, and divides. */
static bool mod97(const char *text)
{
    char plain[64] = "";
    size_t n = 0;
    for (; *text; text++) {
        if (*text != ' ' && *text != '-') {
            plain[n++] = *text;
        }
    }
    char number[160] = "";
    for (size_t i = 0; i < n; i++) {
        char c = plain[(i + 4) % n];
        size_t len = strlen(number);
        bool is_digit = c >= '0' && c <= '9';
        snprintf(number + len, sizeof(number) - len, "%d",
                 is_digit ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    int rest = 0;
    for (size_t i = 0; number[i]; i++) {
        rest = (rest * 10 + number[i] - '0') % 97;
    }
    return rest == 1;
}

static bool ipv4(const char *text)
{
    int octet[4];
    assert_int_equal(sscanf(text, "%d.%d.%d.%d", octet, octet + 1, octet + 2, octet + 3), 4);
    return octet[0] < 256 && octet[1] < 256 && octet[2] < 256 && octet[3] < 256;
}

static bool ipv6(const char *text)
{
    struct in6_addr a;
    bool has_digit = strpbrk(text, "0123456789") != NULL;
    return (has_digit || !strstr(text, "::")) && inet_pton(AF_INET6, text, &a) == 1;
}

/* Neither all zeros nor all ones. */
static bool mac(const char *text)
{
    return strspn(text, "0:.-") < strlen(text) && strspn(text, "fF:.-") < strlen(text);
}

static bool ssn(const char *text)
{
    int area, group, serial;
    assert_int_equal(sscanf(text, "%3d%*1[-. ]%2d%*1[-. ]%4d", &area, &group, &serial), 3);
    bool is_void = (area == 78 && group == 5 && serial == 1120) ||
                   (area == 219 && group == 9 && serial == 9999);
    return area > 0 && area != 666 && area < 900 && group > 0 && serial > 0 && !is_void;
}

/* Groups behind a leading 0: the joints from the second on are alike, with dots all of them. */
static bool national(const char *text)
{
    size_t lengths[32] = {0};
    char joints[32] = "";
    size_t groups = 0;
    size_t digits = 0;
    for (const char *c = text + (*text == '('); *c; groups++) {
        lengths[groups] = strspn(c, "0123456789");
        digits += lengths[groups];
        c += lengths[groups];
        joints[groups] = *c;
        c += strcspn(c, "0123456789");
    }
    bool are_pairs = groups == 5;
    bool are_long = true;
    for (size_t i = 1; i < groups; i++) {
        are_pairs = are_pairs && lengths[i] == 2;
        are_long = are_long && lengths[i] >= 3;
        bool is_last = i + 1 == groups;
        char wanted = joints[0] == '.' ? '.' : joints[1];
        if (!is_last && (joints[i] != wanted || (wanted == '.' && joints[0] != '.'))) {
            return false;
        }
    }
    bool is_zip = groups == 2 && lengths[0] == 5 && lengths[1] == 4 && joints[0] == '-';
    return !is_zip && digits >= 9 && digits <= 12 && (lengths[0] > 2 || are_pairs || are_long);
}

static bool phone(const char *text)
{
    int digits = 0;
    for (const char *c = text; *c; c++) {
        digits += *c >= '0' && *c <= '9';
    }
    if (*text == '+') {
        return digits >= 8 && digits <= 15;
    }
    if (strncmp(text, "00", 2) == 0) {
        return digits >= 12 && digits <= 17;
    }
    bool has_trunk = *text == '0' || (text[0] == '(' && text[1] == '0');
    return !has_trunk || national(text);
}

/* ---- rules ---- */

#define NOT_INSIDE(joints) "(?<![A-Za-z0-9])(?<![A-Za-z0-9][" joints "])"
#define ENDS(joints)       "(?![A-Za-z0-9])(?![" joints "][A-Za-z0-9])"
#define WORD_ENDS          "(?![A-Za-z0-9])"
#define AREA               "[2-9][0-9]{2}"
#define LABEL              "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

static const struct oracle_rule {
    const char *rule;
    const char *pattern;
    bool (*check)(const char *text);
} rules[] = {
    {"email",
     "(?<![A-Za-z0-9_%+-])(?<![A-Za-z0-9_%+-]\\.)(?=[A-Za-z0-9._%+-]{1,64}@)"
     "[A-Za-z0-9_%+-]+(?:\\.[A-Za-z0-9_%+-]+)*@(?:" LABEL "\\.)+[A-Za-z]{2,63}"
     "(?![A-Za-z0-9])(?!-+[A-Za-z0-9])",
     NULL},
    {"card", NOT_INSIDE("\\.") "[1-6](?:[ -]?[0-9]){12,18}" WORD_ENDS, luhn},
    {"iban",
     "(?<![A-Za-z0-9])(?i:DE[0-9]{2}(?:(?: ?[0-9]{4}){4} ?|(?:-?[0-9]{4}){4}-?)[0-9]{2}|"
     "NO[0-9]{2}(?:(?: ?[0-9]{4}){2} ?|(?:-?[0-9]{4}){2}-?)[0-9]{3}|"
     "GB[0-9]{2}(?: ?[A-Z]{4}(?: ?[0-9]{4}){3} "
     "?|-?[A-Z]{4}(?:-?[0-9]{4}){3}-?)[0-9]{2})" WORD_ENDS,
     mod97},
    {"ssn",
     "(?<![A-Za-z0-9+])(?<![A-Za-z0-9][-_])(?<![0-9][.,:/])"
     "[0-9]{3}(?:-[0-9]{2}-|[ ][0-9]{2}[ ]|[.][0-9]{2}[.])[0-9]{4}"
     "(?![A-Za-z0-9])(?![-_][A-Za-z0-9])(?![.,:/][0-9])",
     ssn},
    {"ipv4", NOT_INSIDE(".") "[0-9]{1,3}(?:\\.[0-9]{1,3}){3}" ENDS("."), ipv4},
    {"mac",
     NOT_INSIDE(":.-") "(?:(?i:[0-9a-f]{2}(?::[0-9a-f]{2}){5})" ENDS(
         ":") "|"
              "(?i:[0-9a-f]{2}(?:-[0-9a-f]{2}){5})" ENDS(
                  "-") "|"
                       "(?i:[0-9a-f]{4}(?:\\.[0-9a-f]{4}){2})" ENDS(".") ")",
     mac},
    {"ipv6", NOT_INSIDE(".:") "(?<!:)[0-9a-fA-F:.]{2,45}(?![:.]{0,2}[0-9A-Za-z])", ipv6},
    {"phone",
     NOT_INSIDE(
         ".,/_+-") "(?<![0-9]:)(?<!\\+)(?:(?:\\+|00)[1-9](?:[ ./()-]{0,2}[0-9])*" WORD_ENDS "|"
                   "(?:1[-. ])?(?:\\(" AREA "\\)[ -]?" AREA "[-. ]|" AREA "-" AREA "-|" AREA
                   "\\." AREA "\\.|" AREA " " AREA
                   " )[0-9]{4}" ENDS("-.") "|"
                                           "(?:\\(0[1-9][0-9]{0,4}\\) ?|0[1-9][0-9]{0,4}[ "
                                           "./-])[0-9]{2,}(?:[ .-][0-9]{2,})*" WORD_ENDS ")",
     phone},
};

/* The longest end of what begins at `at`, or 0. */
static size_t end_at(const struct oracle_rule *rule, const pcre2_code *code, const char *text,
                     size_t at)
{
    int work[2000];
    pcre2_match_data *data = pcre2_match_data_create(100, NULL);
    int n = pcre2_dfa_match(code, (PCRE2_SPTR)text, strlen(text), at,
                            PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, data, NULL, work, 2000);
    assert_true(n >= 0 || n == PCRE2_ERROR_NOMATCH);
    size_t end = 0;
    for (int i = 0; i < n && !end; i++) { /* longest first */
        size_t to = pcre2_get_ovector_pointer(data)[2 * i + 1];
        char candidate[512];
        snprintf(candidate, sizeof(candidate), "%.*s", (int)(to - at), text + at);
        end = !rule->check || rule->check(candidate) ? to : 0;
    }
    pcre2_match_data_free(data);
    return end;
}

void pii_oracle_run(const char *rule_name, const char *text, char *out)
{
    const struct oracle_rule *rule = rules;
    while (strcmp(rule->rule, rule_name) != 0) {
        rule++;
    }
    int error;
    size_t offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)rule->pattern, PCRE2_ZERO_TERMINATED, 0,
                                     &error, &offset, NULL);
    assert_non_null(code);
    size_t n = 0;
    for (size_t i = 0; text[i];) {
        size_t end = end_at(rule, code, text, i);
        if (end) {
            n += (size_t)snprintf(out + n, 1024 - n, "[%s]", rule_name);
            i = end;
        } else {
            out[n++] = text[i++];
        }
    }
    out[n] = '\0';
    pcre2_code_free(code);
}
