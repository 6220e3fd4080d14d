#include "runtime/base/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/hex.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* cJSON copies a number into 64 bytes and stops there, so a longer one would be read in part.
 * RFC 8259 section 9 lets a parser limit the range and precision of numbers. */
#define NUMBER_MAX 63

/* A limit as it stands in a message. */
#define TEXT_OF(x)     #x
#define NUMBER_TEXT(x) TEXT_OF(x)

/* A recursive-descent check of RFC 8259; building the tree is left to cJSON. */
struct scanner {
    const char *text;
    size_t len;
    size_t at;
    int depth;
    bool bounded; /* values and members are counted */
    size_t values;
    struct err *e;
};

static int scan_value(struct scanner *s);

static int fail_as(const struct scanner *s, enum err_kind kind, const char *what)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < s->at && i < s->len; i++) {
        column++;
        if (s->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return err_set(s->e, kind, "%s at line %zu, column %zu: %s",
                   kind == ERR_LIMIT ? "too much JSON" : "invalid JSON", line, column, what);
}

static int fail(const struct scanner *s, const char *what)
{
    return fail_as(s, ERR_FORMAT, what);
}

static int peek(const struct scanner *s)
{
    return s->at < s->len ? (unsigned char)s->text[s->at] : -1;
}

static void skip_space(struct scanner *s)
{
    while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r') {
        s->at++;
    }
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int scan_hex4(struct scanner *s, unsigned *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        int c = peek(s);
        int digit = hex_value(c);
        if (digit < 0) {
            return fail(s, "four hexadecimal digits must follow \\u");
        }
        *value = *value << 4 | (unsigned)digit;
    }
    return 0;
}

static int scan_unicode_escape(struct scanner *s)
{
    unsigned unit;
    if (scan_hex4(s, &unit) != 0) {
        return -1;
    }
    if (unit == 0) {
        return fail(s, "\\u0000 is not accepted in strings");
    }
    if (unit >= 0xDC00 && unit <= 0xDFFF) {
        return fail(s, "lone surrogate in \\u escape");
    }
    if (unit < 0xD800 || unit > 0xDBFF) {
        return 0;
    }
    unsigned low;
    if (peek(s) != '\\' || s->at + 1 >= s->len || s->text[s->at + 1] != 'u') {
        return fail(s, "lone surrogate in \\u escape");
    }
    s->at += 2;
    if (scan_hex4(s, &low) != 0) {
        return -1;
    }
    return low >= 0xDC00 && low <= 0xDFFF ? 0 : fail(s, "lone surrogate in \\u escape");
}

static int scan_escape(struct scanner *s)
{
    int c = peek(s);
    if (c <= 0 || !strchr("\"\\/bfnrtu", c)) {
        return fail(s, "unknown escape in string");
    }
    s->at++;
    return c == 'u' ? scan_unicode_escape(s) : 0;
}

static int scan_string(struct scanner *s)
{
    s->at++;
    for (;;) {
        int c = peek(s);
        if (c < 0) {
            return fail(s, "string is not closed");
        }
        if (c < 0x20) {
            return fail(s, "control character in string, it must be escaped");
        }
        if (c == '"') {
            s->at++;
            return 0;
        }
        if (c == '\\') {
            s->at++;
            if (scan_escape(s) != 0) {
                return -1;
            }
            continue;
        }
        uint32_t code_point;
        int n = utf8_decode(s->text + s->at, s->len - s->at, &code_point);
        if (n <= 0) {
            return fail(s, "invalid UTF-8");
        }
        s->at += (size_t)n;
    }
}

static int scan_digits(struct scanner *s)
{
    if (!is_digit(peek(s))) {
        return fail(s, "a digit was expected");
    }
    while (is_digit(peek(s))) {
        s->at++;
    }
    return 0;
}

static int scan_number_grammar(struct scanner *s)
{
    if (peek(s) == '-') {
        s->at++;
    }
    if (peek(s) == '0') {
        s->at++;
    } else if (scan_digits(s) != 0) {
        return -1;
    }
    if (peek(s) == '.') {
        s->at++;
        if (scan_digits(s) != 0) {
            return -1;
        }
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-') {
            s->at++;
        }
        return scan_digits(s);
    }
    return 0;
}

static int scan_number(struct scanner *s)
{
    size_t from = s->at;
    if (scan_number_grammar(s) != 0) {
        return -1;
    }
    return s->at - from <= NUMBER_MAX ? 0 : fail(s, "a number has at most 63 characters");
}

static int scan_word(struct scanner *s, const char *word)
{
    size_t n = strlen(word);
    if (s->len - s->at < n || memcmp(s->text + s->at, word, n) != 0) {
        return fail(s, "a value was expected");
    }
    s->at += n;
    return 0;
}

static int scan_member_name(struct scanner *s)
{
    skip_space(s);
    if (peek(s) != '"') {
        return fail(s, "a member name in double quotes was expected");
    }
    if (scan_string(s) != 0) {
        return -1;
    }
    skip_space(s);
    if (peek(s) != ':') {
        return fail(s, "':' was expected after the member name");
    }
    s->at++;
    return 0;
}

/* An array (close == ']') or an object (close == '}'), after its opening bracket. */
static int scan_items(struct scanner *s, char close)
{
    s->at++;
    skip_space(s);
    if (peek(s) == close) {
        s->at++;
        return 0;
    }
    for (size_t n = 1;; n++) {
        if (close == '}' && scan_member_name(s) != 0) {
            return -1;
        }
        if (close == '}' && s->bounded && n > JSON_MEMBERS_MAX) {
            return fail_as(s, ERR_LIMIT,
                           "an object has at most " NUMBER_TEXT(JSON_MEMBERS_MAX) " members");
        }
        if (scan_value(s) != 0) {
            return -1;
        }
        skip_space(s);
        if (peek(s) == close) {
            s->at++;
            return 0;
        }
        if (peek(s) != ',') {
            return fail(s,
                        close == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
        }
        s->at++;
    }
}

static int scan_value(struct scanner *s)
{
    skip_space(s);
    if (s->bounded && s->values++ == JSON_VALUES_MAX) {
        return fail_as(s, ERR_LIMIT,
                       "at most " NUMBER_TEXT(JSON_VALUES_MAX) " values are allowed");
    }
    int c = peek(s);
    if (c == '{' || c == '[') {
        if (s->depth >= JSON_MAX_DEPTH) {
            return fail(s, "nested too deeply");
        }
        s->depth++;
        int rc = scan_items(s, c == '{' ? '}' : ']');
        s->depth--;
        return rc;
    }
    if (c == '"') {
        return scan_string(s);
    }
    if (c == '-' || is_digit(c)) {
        return scan_number(s);
    }
    return c == 't'   ? scan_word(s, "true")
           : c == 'f' ? scan_word(s, "false")
           : c == 'n' ? scan_word(s, "null")
                      : fail(s, c < 0 ? "the text ends where a value was expected"
                                      : "a value was expected");
}

static cJSON *parse(const char *text, size_t len, bool bounded, struct err *e)
{
    struct scanner s = {.text = text, .len = len, .bounded = bounded, .e = e};
    if (scan_value(&s) != 0) {
        return NULL;
    }
    skip_space(&s);
    if (s.at != len) {
        fail(&s, "text after the end of the document");
        return NULL;
    }
    cJSON *tree = cJSON_ParseWithLength(text, len);
    if (!tree) {
        err_nomem(e);
    }
    return tree;
}

cJSON *json_parse(const char *text, size_t len, struct err *e)
{
    return parse(text, len, true, e);
}

cJSON *json_parse_object(const char *body, size_t len, struct err *e)
{
    cJSON *root = json_parse(body, len, e);
    if (root && !cJSON_IsObject(root)) {
        cJSON_Delete(root);
        err_set(e, ERR_INVALID, "the body must be a JSON object");
        return NULL;
    }
    return root;
}

cJSON *json_parse_large(const char *text, size_t len, struct err *e)
{
    return parse(text, len, false, e);
}

/* Takes the text, which may be NULL: then *e says why. */
static cJSON *parse_content(char *text, size_t len, const char *path, struct err *e)
{
    if (!text) {
        return NULL;
    }
    cJSON *tree = json_parse_large(text, len, e);
    if (!tree) {
        err_prefix(e, "%s", path);
    }
    mem_free(text);
    return tree;
}

cJSON *json_parse_file(const char *path, size_t max, struct err *e)
{
    size_t len = 0;
    char *text = file_read(path, max, &len, e);
    return parse_content(text, len, path, e);
}

cJSON *json_parse_regular(const char *path, size_t max, struct err *e)
{
    size_t len = 0;
    char *text = file_read_regular(path, max, &len, e);
    return parse_content(text, len, path, e);
}

static bool needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

int json_append_escaped(struct buf *out, const char *text, size_t len)
{
    for (size_t at = 0, end; at < len; at = end) {
        for (end = at; end < len && !needs_escape(text[end]); end++) {
        }
        buf_append(out, text + at, end - at);
        if (end < len) {
            buf_printf(out, "\\u%04x", (unsigned)(unsigned char)text[end++]);
        }
    }
    return out->failed ? -1 : 0;
}

int json_append_string(struct buf *out, const char *text, size_t len)
{
    buf_append_char(out, '"');
    json_append_escaped(out, text, len);
    buf_append_char(out, '"');
    return out->failed ? -1 : 0;
}
