#include "models/output/json_scan.h"

#include <string.h>

#include "runtime/base/hex.h"
#include "runtime/base/utf8.h"

enum scan_state {
    AWAIT_VALUE,        /* at the beginning, after a colon, after a comma in an array */
    AWAIT_VALUE_OR_END, /* after [ */
    AWAIT_KEY,          /* after a comma in an object */
    AWAIT_KEY_OR_END,   /* after { */
    AWAIT_COLON,
    AFTER_VALUE,
    IN_STRING,
    IN_ESCAPE,
    IN_HEX,
    IN_WORD,
    AFTER_MINUS,
    AFTER_ZERO,
    IN_DIGITS,
    AFTER_POINT,
    IN_FRACTION,
    AFTER_E,
    AFTER_E_SIGN,
    IN_EXPONENT,
};

bool json_is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool in_array(const struct json_scan *s)
{
    return s->depth > 0 && (s->arrays >> (s->depth - 1) & 1);
}

static enum json_scan_event go(struct json_scan *s, enum scan_state state,
                               enum json_scan_event event)
{
    s->state = (int)state;
    return event;
}

static enum json_scan_event open_container(struct json_scan *s, bool array)
{
    if (s->depth == JSON_SCAN_MAX_DEPTH) {
        return JSON_SCAN_BAD;
    }
    const uint64_t bit = (uint64_t)1 << s->depth++;
    s->arrays = array ? s->arrays | bit : s->arrays & ~bit;
    return go(s, array ? AWAIT_VALUE_OR_END : AWAIT_KEY_OR_END, JSON_SCAN_BEGIN);
}

static enum json_scan_event close_container(struct json_scan *s)
{
    s->depth--;
    return go(s, AFTER_VALUE, JSON_SCAN_END);
}

static enum json_scan_event begin_string(struct json_scan *s, bool key)
{
    s->key = key;
    return go(s, IN_STRING, key ? JSON_SCAN_INNER : JSON_SCAN_BEGIN);
}

static enum json_scan_event begin_word(struct json_scan *s, const char *rest)
{
    s->word = rest;
    return go(s, IN_WORD, JSON_SCAN_BEGIN);
}

static enum json_scan_event begin_value(struct json_scan *s, char byte)
{
    switch (byte) {
    case '{':
        return open_container(s, false);
    case '[':
        return open_container(s, true);
    case '"':
        return begin_string(s, false);
    case 't':
        return begin_word(s, "rue");
    case 'f':
        return begin_word(s, "alse");
    case 'n':
        return begin_word(s, "ull");
    case '-':
        return go(s, AFTER_MINUS, JSON_SCAN_BEGIN);
    case '0':
        return go(s, AFTER_ZERO, JSON_SCAN_BEGIN);
    default:
        return is_digit(byte) ? go(s, IN_DIGITS, JSON_SCAN_BEGIN) : JSON_SCAN_BAD;
    }
}

static enum json_scan_event after_value(struct json_scan *s, char byte)
{
    if (s->depth > 0 && byte == ',') {
        return go(s, in_array(s) ? AWAIT_VALUE : AWAIT_KEY, JSON_SCAN_INNER);
    }
    if (s->depth > 0 && byte == (in_array(s) ? ']' : '}')) {
        return close_container(s);
    }
    return JSON_SCAN_BAD;
}

static enum json_scan_event in_string(struct json_scan *s, char byte)
{
    if (byte == '"') {
        return s->key ? go(s, AWAIT_COLON, JSON_SCAN_KEY) : go(s, AFTER_VALUE, JSON_SCAN_END);
    }
    if (byte == '\\') {
        return go(s, IN_ESCAPE, JSON_SCAN_INNER);
    }
    return (unsigned char)byte >= 0x20 ? JSON_SCAN_INNER : JSON_SCAN_BAD;
}

static enum json_scan_event in_escape(struct json_scan *s, char byte)
{
    if (byte == 'u') {
        s->hex_awaits = 4;
        return go(s, IN_HEX, JSON_SCAN_INNER);
    }
    return byte != '\0' && strchr("\"\\/bfnrt", byte) ? go(s, IN_STRING, JSON_SCAN_INNER)
                                                      : JSON_SCAN_BAD;
}

static enum json_scan_event in_hex(struct json_scan *s, char byte)
{
    if (hex_value(byte) < 0) {
        return JSON_SCAN_BAD;
    }
    return --s->hex_awaits == 0 ? go(s, IN_STRING, JSON_SCAN_INNER) : JSON_SCAN_INNER;
}

static enum json_scan_event in_word(struct json_scan *s, char byte)
{
    if (byte != *s->word) {
        return JSON_SCAN_BAD;
    }
    s->word++;
    return *s->word ? JSON_SCAN_INNER : go(s, AFTER_VALUE, JSON_SCAN_INNER);
}

/* A byte that is part of a number, or of none: then what follows a value has to follow. */
static enum json_scan_event in_number(struct json_scan *s, char byte)
{
    const bool whole = s->state == AFTER_ZERO || s->state == IN_DIGITS;
    const bool may_end = whole || s->state == IN_FRACTION || s->state == IN_EXPONENT;

    if (s->state == AFTER_MINUS && byte == '0') {
        return go(s, AFTER_ZERO, JSON_SCAN_INNER);
    }
    if (is_digit(byte) && s->state != AFTER_ZERO) {
        const enum scan_state next = s->state == AFTER_MINUS || whole ? IN_DIGITS
                                     : s->state == AFTER_POINT || s->state == IN_FRACTION
                                         ? IN_FRACTION
                                         : IN_EXPONENT;
        return go(s, next, JSON_SCAN_INNER);
    }
    if (whole && byte == '.') {
        return go(s, AFTER_POINT, JSON_SCAN_INNER);
    }
    if ((whole || s->state == IN_FRACTION) && (byte == 'e' || byte == 'E')) {
        return go(s, AFTER_E, JSON_SCAN_INNER);
    }
    if (s->state == AFTER_E && (byte == '+' || byte == '-')) {
        return go(s, AFTER_E_SIGN, JSON_SCAN_INNER);
    }
    if (!may_end) {
        return JSON_SCAN_BAD;
    }
    return json_is_space(byte) ? go(s, AFTER_VALUE, JSON_SCAN_INNER) : after_value(s, byte);
}

enum json_scan_event json_scan_feed(struct json_scan *s, char byte)
{
    if (s->state <= AFTER_VALUE && json_is_space(byte)) {
        return JSON_SCAN_INNER;
    }
    switch ((enum scan_state)s->state) {
    case AWAIT_VALUE:
        return begin_value(s, byte);
    case AWAIT_VALUE_OR_END:
        return byte == ']' ? close_container(s) : begin_value(s, byte);
    case AWAIT_KEY:
        return byte == '"' ? begin_string(s, true) : JSON_SCAN_BAD;
    case AWAIT_KEY_OR_END:
        return byte == '}'   ? close_container(s)
               : byte == '"' ? begin_string(s, true)
                             : JSON_SCAN_BAD;
    case AWAIT_COLON:
        return byte == ':' ? go(s, AWAIT_VALUE, JSON_SCAN_INNER) : JSON_SCAN_BAD;
    case AFTER_VALUE:
        return after_value(s, byte);
    case IN_STRING:
        return in_string(s, byte);
    case IN_ESCAPE:
        return in_escape(s, byte);
    case IN_HEX:
        return in_hex(s, byte);
    case IN_WORD:
        return in_word(s, byte);
    default:
        return in_number(s, byte);
    }
}

bool json_scan_done(const struct json_scan *s)
{
    return s->depth == 0 && s->state == AFTER_VALUE;
}

bool json_scan_in_string(const struct json_scan *s)
{
    return s->state == IN_STRING || s->state == IN_ESCAPE || s->state == IN_HEX;
}

/* --- the characters of a string --- */

enum chars_state { CHARS_PLAIN, CHARS_ESCAPE, CHARS_HEX };

/* For what no text may hold. */
static int replace(const struct json_chars *c, char *out)
{
    return c->lenient ? utf8_encode(0xFFFD, out) : -1;
}

/* The other half of a pair does not come. */
static int give_up_high(struct json_chars *c, char *out)
{
    if (!c->high) {
        return 0;
    }
    c->high = 0;
    return replace(c, out);
}

static int take_unit(struct json_chars *c, char out[JSON_CHARS_MAX])
{
    const unsigned unit = c->unit;
    const bool low = unit >= 0xDC00 && unit <= 0xDFFF;

    c->state = CHARS_PLAIN;
    if (c->high && low) {
        const uint32_t pair = 0x10000 + ((c->high - 0xD800) << 10) + (unit - 0xDC00);
        c->high = 0;
        return utf8_encode(pair, out);
    }
    const int before = give_up_high(c, out);
    if (before < 0) {
        return -1;
    }
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        c->high = unit;
        return before;
    }
    const int n = unit == 0 || low ? replace(c, out + before) : utf8_encode(unit, out + before);
    return n < 0 ? -1 : before + n;
}

static int feed_hex(struct json_chars *c, char byte, char out[JSON_CHARS_MAX])
{
    const int digit = hex_value(byte);

    if (digit < 0) {
        return -1;
    }
    c->unit = c->unit << 4 | (unsigned)digit;
    return ++c->digits == 4 ? take_unit(c, out) : 0;
}

static int feed_escape(struct json_chars *c, char byte, char out[JSON_CHARS_MAX])
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";

    if (byte == 'u') {
        c->state = CHARS_HEX;
        c->unit = 0;
        c->digits = 0;
        return 0;
    }
    const char *found = byte != '\0' ? strchr(from, byte) : NULL;
    const int before = found ? give_up_high(c, out) : -1;
    if (before < 0) {
        return -1;
    }
    c->state = CHARS_PLAIN;
    out[before] = to[found - from];
    return before + 1;
}

int json_chars_feed(struct json_chars *c, char byte, char out[JSON_CHARS_MAX])
{
    if (c->state == CHARS_HEX) {
        return feed_hex(c, byte, out);
    }
    if (c->state == CHARS_ESCAPE) {
        return feed_escape(c, byte, out);
    }
    if (byte == '\\') {
        c->state = CHARS_ESCAPE;
        return 0;
    }
    const int before = give_up_high(c, out);
    if (before < 0) {
        return -1;
    }
    out[before] = byte;
    return before + 1;
}

bool json_chars_whole(const struct json_chars *c)
{
    return c->state == CHARS_PLAIN && !c->high;
}

int json_chars_end(struct json_chars *c, char out[JSON_CHARS_MAX])
{
    return c->state == CHARS_PLAIN ? give_up_high(c, out) : -1;
}
