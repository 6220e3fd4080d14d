/* What a pattern may cost and see.
 *
 * A search with PCRE2_PARTIAL_HARD reports a match only if it stays the same whatever text
 * follows, and otherwise the first place where the end of the text was reached while a match
 * was still possible (pcre2partial(3)). That is what the finder asks for.
 *
 * The finder drops decided text but for its context. PCRE2 tells how many characters the
 * longest lookbehind of a pattern moves back; nested ones add up, so that is taken as often as
 * there are lookbehinds, and once more for \b. One character stays before them, or ^ would
 * hold there.
 */
#include "filters/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "filters/finder.h"
#include "filters/letters.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"

#define MAX_PATTERN 4096u /* bytes */

/* Steps of one search, its nesting, and its memory in KiB. Patterns that do not backtrack
 * wildly need a few steps for each character. */
#define MATCH_LIMIT 100000u
#define DEPTH_LIMIT 10000u
#define HEAP_LIMIT  4096u

enum { KEY_PATTERNS, KEY_ACTION, KEY_REPLACEMENT, KEY_MASK, KEY_CASE };
static const struct filter_key keys[] = {
    [KEY_PATTERNS] = {.name = "patterns",
                      .kind = FILTER_KEY_LIST,
                      .is_required = 1,
                      .help = "regular expressions, as PCRE2 has them"},
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "stop",
                    .choices = finder_action_names,
                    .help = "what happens where one matches"},
    [KEY_REPLACEMENT] = {.name = "replacement",
                         .kind = FILTER_KEY_STRING,
                         .fallback = "***",
                         .help = "action replace: what stands in place of a match"},
    [KEY_MASK] = {.name = "mask",
                  .kind = FILTER_KEY_STRING,
                  .fallback = "*",
                  .help = "action mask: the character in place of each character of a match"},
    [KEY_CASE] = {.name = "case_sensitive",
                  .kind = FILTER_KEY_BOOL,
                  .fallback = "true",
                  .help = "upper and lower case are different letters"},
    {.name = NULL},
};

/* The config. */
struct regex {
    struct finder_rules rules;
    pcre2_code *codes[FINDER_MAX_RULES];
    bool has_jit[FINDER_MAX_RULES];
    size_t count;
    uint64_t begins[256]; /* bit i: a match of pattern i may begin with this byte */
};

/* The state; also the finder's scratch. */
struct regex_text {
    struct finder finder; /* first: finder_feed */
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

/* ---- configuration ---- */

/* What would make matches depend on where a search begins or how it goes, and so on how the
 * text is cut. Returns what it is, or NULL. */
static const char *find_unsuitable(const char *pattern, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (pattern[i] == '\\') {
            i++;
            if (pattern[i] == 'K') {
                return "\\K can not be used here; write a lookbehind, (?<=...)";
            }
            if (pattern[i] == 'G') {
                return "\\G can not be used here";
            }
        } else if (pattern[i] == '(' && pattern[i + 1] == '*') {
            return "verbs, (*...), can not be used here; write \\( for a parenthesis";
        }
    }
    return NULL;
}

static size_t count_lookbehinds(const char *pattern)
{
    size_t n = 0;
    for (const char *at = pattern; (at = strstr(at, "(?<")) != NULL; at += 3) {
        n++;
    }
    return n;
}

/* Bytes before a search that the pattern may look at, from above. */
static size_t context_of(const pcre2_code *code, const char *pattern)
{
    uint32_t lookbehind = 0;
    pcre2_pattern_info(code, PCRE2_INFO_MAXLOOKBEHIND, &lookbehind);
    size_t characters = (size_t)lookbehind * (count_lookbehinds(pattern) + 1) + 1;
    return 4 * (characters + 1);
}

/* Notes with which bytes a match may begin; with any, unless PCRE2 knows better. */
static void note_begins(struct regex *regex, const pcre2_code *code, size_t pattern)
{
    const uint64_t bit = UINT64_C(1) << pattern;
    uint32_t has_first = 0;
    uint32_t first = 0;
    const uint8_t *bitmap = NULL;
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODETYPE, &has_first);
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODEUNIT, &first);
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTBITMAP, (void *)&bitmap);
    /* Whether the case of a first byte matters is not told. */
    bool is_known = has_first == 1 && first < 0x80;
    for (uint32_t c = 0; c < 256; c++) {
        bool begins = is_known ? letter_fold(c) == letter_fold(first)
                      : bitmap ? bitmap[c / 8] >> (c % 8) & 1
                               : true;
        regex->begins[c] |= begins ? bit : 0;
    }
}

static int add_pattern(struct regex *regex, const struct filter_string *pattern,
                       bool is_case_sensitive, pcre2_compile_context *context, char *why,
                       size_t why_max)
{
    if (pattern->len > MAX_PATTERN) {
        snprintf(why, why_max, "is longer than %u bytes", MAX_PATTERN);
        return -1;
    }
    const char *unsuitable = find_unsuitable(pattern->data, pattern->len);
    if (unsuitable) {
        snprintf(why, why_max, "%s", unsuitable);
        return -1;
    }
    /* Without PCRE2_ALT_CIRCUMFLEX, ^ after a newline would depend on whether text follows, and
     * partial matching does not know about that. */
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_ALT_CIRCUMFLEX | PCRE2_NEVER_BACKSLASH_C;
    options |= is_case_sensitive ? 0 : PCRE2_CASELESS;
    int code_error;
    size_t offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern->data, pattern->len, options,
                                     &code_error, &offset, context);
    if (!code) {
        char said[160] = "";
        pcre2_get_error_message(code_error, (PCRE2_UCHAR *)said, sizeof(said));
        snprintf(why, why_max, "offset %zu: %s", offset, said);
        return -1;
    }
    size_t index = regex->count++;
    regex->codes[index] = code;
    uint32_t may_be_empty = 0;
    pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &may_be_empty);
    if (may_be_empty) {
        snprintf(why, why_max, "can match the empty text");
        return -1;
    }
    size_t needed = context_of(code, pattern->data);
    if (needed > FINDER_MAX_CONTEXT) {
        snprintf(why, why_max, "looks too far back");
        return -1;
    }
    if (needed > regex->rules.context) {
        regex->rules.context = needed;
    }
    /* Without a just-in-time compiler the interpreter does it. */
    regex->has_jit[index] = pcre2_jit_compile(code, PCRE2_JIT_PARTIAL_HARD) == 0;
    note_begins(regex, code, index);
    return 0;
}

static int read_patterns(struct regex *regex, const struct filter_value *values,
                         struct filter_error *error)
{
    const struct filter_value *patterns = &values[KEY_PATTERNS];
    if (patterns->count == 0) {
        return setting_refuse(error, "patterns", "must name at least one");
    }
    if (patterns->count > FINDER_MAX_RULES) {
        return setting_refuse(error, "patterns", "must be at most 64");
    }
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) {
        return setting_refuse(error, "", "out of memory");
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int rc = 0;
    for (size_t i = 0; i < patterns->count && rc == 0; i++) {
        char why[FILTER_MAX_ERROR + 1];
        rc = add_pattern(regex, &patterns->strings[i], values[KEY_CASE].choice, context, why,
                         sizeof(why));
        if (rc != 0) {
            char key[32];
            snprintf(key, sizeof(key), "patterns[%zu]", i);
            setting_refuse(error, key, why);
        }
    }
    pcre2_compile_context_free(context);
    return rc;
}

static void regex_release(void *config)
{
    struct regex *regex = config;
    if (regex) {
        for (size_t i = 0; i < regex->count; i++) {
            pcre2_code_free(regex->codes[i]);
        }
        mem_free(regex);
    }
}

/* ---- searching ---- */

/* At the end of the text a partial match is none. It is asked for all the same, as that leaves
 * out an optimization by which PCRE2 10.42 misses matches of patterns such as (?=b)(a|ab)?b; it
 * runs without the just-in-time compiler, on what little is held. */
static int match(const struct regex_text *t, const pcre2_code *code, bool has_jit,
                 const char *text, size_t len, size_t at, bool has_ended)
{
    uint32_t options = PCRE2_NOTEMPTY;
    options |= has_ended ? PCRE2_PARTIAL_SOFT : PCRE2_PARTIAL_HARD;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (has_jit && !has_ended) {
        rc = pcre2_jit_match(code, (PCRE2_SPTR)text, len, at, options, t->data, t->limits);
    }
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        options |= PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT;
        rc = pcre2_match(code, (PCRE2_SPTR)text, len, at, options, t->data, t->limits);
    }
    return rc;
}

static uint64_t may_begin(const void *config, const char *text, size_t len)
{
    const struct regex *regex = config;
    uint64_t patterns = 0;
    for (size_t i = 0; i < len; i++) {
        patterns |= regex->begins[(unsigned char)text[i]];
    }
    return patterns;
}

static enum finder_found find(const void *config, void *scratch, size_t rule, const char *text,
                              size_t len, size_t at, bool has_ended,
                              struct finder_result *result)
{
    const struct regex *regex = config;
    const struct regex_text *t = scratch;
    int rc = match(t, regex->codes[rule], regex->has_jit[rule], text, len, at, has_ended);
    if (rc == PCRE2_ERROR_NOMATCH || (has_ended && rc == PCRE2_ERROR_PARTIAL)) {
        return FINDER_NONE;
    }
    if (rc < 0 && rc != PCRE2_ERROR_PARTIAL) {
        result->why = "a pattern needs too many steps or too much memory for this text";
        return FINDER_FAILED;
    }
    const size_t *range = pcre2_get_ovector_pointer(t->data);
    result->from = range[0];
    result->to = range[1];
    return rc == PCRE2_ERROR_PARTIAL ? FINDER_UNDECIDED : FINDER_MATCH;
}

static void describe(const void *config, size_t rule, struct filter_reason *why, char *message,
                     const char **replacement, size_t *replacement_len)
{
    (void)config;
    (void)replacement;
    (void)replacement_len;
    why->code = "regex";
    snprintf(message, FILTER_MAX_MESSAGE + 1, "patterns[%zu]", rule);
}

static int regex_configure(void **config, const struct filter_value *values,
                           struct filter_error *error)
{
    struct regex *regex = mem_zalloc(sizeof(*regex));
    if (!regex) {
        return setting_refuse(error, "", "out of memory");
    }
    if (finder_policy_read(&regex->rules.policy, &values[KEY_ACTION], &values[KEY_REPLACEMENT],
                           &values[KEY_MASK], error) != 0 ||
        read_patterns(regex, values, error) != 0) {
        regex_release(regex);
        return -1;
    }
    regex->rules.count = regex->count;
    regex->rules.config = regex;
    regex->rules.find = find;
    regex->rules.may_begin = may_begin;
    regex->rules.describe = describe;
    *config = regex;
    return 0;
}

/* ---- one text ---- */

static void regex_close(void *state)
{
    struct regex_text *t = state;
    pcre2_match_data_free(t->data);
    pcre2_match_context_free(t->limits);
    finder_deinit(&t->finder);
    mem_free(t);
}

static int regex_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    const struct regex *regex = config;
    struct regex_text *t = mem_zalloc(sizeof(*t));
    if (!t) {
        return -1;
    }
    finder_init(&t->finder, &regex->rules, t);
    t->data = pcre2_match_data_create(1, NULL);
    t->limits = pcre2_match_context_create(NULL);
    if (!t->data || !t->limits) {
        regex_close(t);
        return -1;
    }
    pcre2_set_match_limit(t->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(t->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(t->limits, HEAP_LIMIT);
    *state = t;
    return 0;
}

const struct filter_type filter_regex = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "regex",
    .summary = "finds regular expressions and stops, replaces, masks or notes what matches",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT | FILTER_DECODED,
    .keys = keys,
    .configure = regex_configure,
    .release = regex_release,
    .open = regex_open,
    .feed = finder_feed,
    .finish = finder_finish,
    .close = regex_close,
};
