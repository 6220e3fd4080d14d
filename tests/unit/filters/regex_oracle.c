#include "tests/unit/filters/regex_oracle.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_TEXT 512

/* For each byte: the pattern of which a match begins there, and whether the byte belongs to
 * the same match as the one before. */
struct marks {
    int begins[MAX_TEXT]; /* pattern + 1 */
    bool covered[MAX_TEXT];
    bool joined[MAX_TEXT];
};

/* Returns false when even PCRE2's own limits do not suffice. */
static bool mark(const struct regex_oracle *oracle, size_t pattern, const char *text,
                 struct marks *marks)
{
    /* The optimizations are left out: some of 10.42 make it miss matches. */
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_ALT_CIRCUMFLEX | PCRE2_NO_START_OPTIMIZE;
    options |= oracle->case_sensitive ? 0 : PCRE2_CASELESS;
    int error;
    size_t offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)oracle->patterns[pattern],
                                     PCRE2_ZERO_TERMINATED, options, &error, &offset, NULL);
    assert_non_null(code);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    size_t *range = pcre2_get_ovector_pointer(data);
    size_t at = 0;
    /* PCRE2's check of UTF-8 makes it forget the text before a nested lookbehind (10.42). */
    uint32_t how = PCRE2_NOTEMPTY | PCRE2_NO_UTF_CHECK;
    int rc;
    while ((rc = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), at, how, data, NULL)) >= 0) {
        if (!marks->begins[range[0]]) {
            marks->begins[range[0]] = (int)pattern + 1;
        }
        for (size_t i = range[0]; i < range[1]; i++) {
            marks->covered[i] = true;
            marks->joined[i] |= i > range[0];
        }
        at = range[1];
    }
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return rc == PCRE2_ERROR_NOMATCH;
}

static const char *const names[] = {"stop", "replace", "mask", "note"};

bool regex_oracle_run(const struct regex_oracle *oracle, const char *text, char *out,
                      char *events)
{
    static struct marks marks;
    memset(&marks, 0, sizeof(marks));
    size_t len = strlen(text);
    assert_true(len + 1 < MAX_TEXT);
    for (size_t i = 0; i < oracle->count; i++) {
        if (!mark(oracle, i, text, &marks)) {
            return false;
        }
    }
    bool is_replaced =
        oracle->action == REGEX_ORACLE_REPLACE || oracle->action == REGEX_ORACLE_MASK;
    size_t n = 0;
    size_t said = 0;
    events[0] = '\0';
    for (size_t i = 0; i < len; i++) {
        bool is_first = marks.covered[i] && !marks.joined[i];
        if (is_first && oracle->action == REGEX_ORACLE_STOP) {
            snprintf(events, 4096, "stop %zu patterns[%d]\n", i, marks.begins[i] - 1);
            break;
        }
        if (is_first) {
            size_t end = i + 1;
            while (marks.joined[end]) {
                end++;
            }
            said += (size_t)snprintf(
                events + said, 4096 - said, "%s %zu-%zu patterns[%d]\n",
                oracle->action == REGEX_ORACLE_MASK ? "replace" : names[oracle->action], i, end,
                marks.begins[i] - 1);
        }
        if (!marks.covered[i] || !is_replaced) {
            out[n++] = text[i];
        } else if (oracle->action == REGEX_ORACLE_MASK) {
            if (((unsigned char)text[i] & 0xC0u) != 0x80u) {
                out[n++] = '*';
            }
        } else if (is_first) {
            out[n++] = '<';
            out[n++] = '>';
        }
    }
    out[n] = '\0';
    return true;
}
