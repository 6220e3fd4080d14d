#include "filters/json_reader.h"

#include <string.h>

int json_reader_init(struct json_reader *reader, const struct json_paths *paths, bool is_strict)
{
    *reader = (struct json_reader){.is_strict = is_strict};
    return json_place_init(&reader->place, paths);
}

void json_reader_deinit(struct json_reader *reader)
{
    json_place_deinit(&reader->place);
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_outside(const struct json_reader *reader)
{
    return reader->state == JSON_STATE_OUTSIDE && reader->token == JSON_OTHER &&
           !reader->is_strict;
}

static size_t skip_outside(struct json_reader *reader, const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && !reader->saw_other_text && text[n] != '{' && text[n] != '[') {
        reader->saw_other_text = !is_blank((unsigned char)text[n++]);
    }
    while (n < len && text[n] != '{' && text[n] != '[') {
        n++;
    }
    return n;
}

static size_t skip_string(struct json_reader *reader, const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && (unsigned char)text[n] >= 0x20 && text[n] != '"' && text[n] != '\\') {
        n++;
    }
    reader->escape.high = n > 0 ? 0 : reader->escape.high;
    return n;
}

size_t json_reader_skip(struct json_reader *reader, const char *text, size_t len)
{
    if (is_outside(reader)) {
        return skip_outside(reader, text, len);
    }
    bool is_plain =
        reader->token == JSON_STRING && !reader->in_name && reader->escape.left == 0;
    return is_plain ? skip_string(reader, text, len) : 0;
}

static bool ends_token(uint32_t c)
{
    return is_blank(c) || (c < 0x80 && c != 0 && strchr(",:[]{}\"", (int)c));
}

/* ---- strings ---- */

static int hex_digit(uint32_t c)
{
    if (c >= '0' && c <= '9') {
        return (int)(c - '0');
    }
    uint32_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? (int)(lower - 'a' + 10) : -1;
}

/* One character of what the string says is known. Half a pair alone stands for no character. */
static void complete(struct json_reader *reader, uint32_t code, struct json_step *step)
{
    struct json_escape *escape = &reader->escape;
    bool is_low = code >= 0xDC00 && code < 0xE000;
    if (is_low && escape->high) {
        code = 0x10000 + ((escape->high - 0xD800) << 10) + (code - 0xDC00);
        escape->high = 0;
    } else if (code >= 0xD800 && code < 0xDC00) {
        escape->high = code;
        return;
    } else {
        escape->high = 0;
        code = is_low ? 0xFFFD : code;
    }
    step->completes = true;
    if (reader->in_name) {
        json_place_add_to_name(&reader->place, code);
    }
}

static void read_escape(struct json_reader *reader, uint32_t c, struct json_step *step)
{
    static const char names[] = "\"\\/bfnrt";
    static const char codes[] = "\"\\/\b\f\n\r\t";
    struct json_escape *escape = &reader->escape;
    if (escape->is_hex) {
        int digit = hex_digit(c);
        step->is_wrong = digit < 0;
        escape->code = escape->code << 4 | (uint32_t)(digit < 0 ? 0 : digit);
        if (--escape->left == 0) {
            complete(reader, escape->code, step);
        }
        return;
    }
    escape->left = 0;
    if (c == 'u') {
        *escape = (struct json_escape){.left = 4, .is_hex = true, .high = escape->high};
        return;
    }
    const char *named = c != 0 && c < 0x80 ? strchr(names, (int)c) : NULL;
    step->is_wrong = !named;
    complete(reader, named ? (uint32_t)codes[named - names] : c, step);
}

static void end_value(struct json_reader *reader)
{
    reader->token = JSON_OTHER;
    reader->state = reader->place.depth == 0 && !reader->is_strict ? JSON_STATE_OUTSIDE
                    : reader->in_name                              ? JSON_STATE_COLON
                                                                   : JSON_STATE_AFTER;
    reader->in_name = false;
}

/* A quotation mark that cuts an escape short is the string's end all the same. */
static void read_string(struct json_reader *reader, uint32_t c, struct json_step *step)
{
    struct json_escape *escape = &reader->escape;
    step->kind = reader->in_name ? JSON_OTHER : JSON_STRING;
    if (escape->left > 0 && !(escape->is_hex && c == '"')) {
        read_escape(reader, c, step);
    } else if (c == '"') {
        step->is_wrong = escape->left > 0;
        step->closes = true;
        end_value(reader);
    } else if (c == '\\') {
        *escape = (struct json_escape){.left = 1, .high = escape->high};
    } else {
        step->is_wrong = c < 0x20;
        complete(reader, c, step);
    }
}

/* ---- numbers and words ---- */

enum {
    NUMBER_BEGIN,
    NUMBER_MINUS,
    NUMBER_ZERO,
    NUMBER_WHOLE,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_E_SIGN,
    NUMBER_E_DIGITS,
    NUMBER_WRONG,
};

static bool number_is_whole(uint8_t state)
{
    return state == NUMBER_ZERO || state == NUMBER_WHOLE || state == NUMBER_FRACTION ||
           state == NUMBER_E_DIGITS;
}

/* RFC 8259, 6. */
static uint8_t number_next(uint8_t state, uint32_t c)
{
    bool is_digit = c >= '0' && c <= '9';
    bool is_e = c == 'e' || c == 'E';
    switch (state) {
    case NUMBER_BEGIN:
    case NUMBER_MINUS:
        return c == '-' && state == NUMBER_BEGIN ? NUMBER_MINUS
               : c == '0'                        ? NUMBER_ZERO
               : is_digit                        ? NUMBER_WHOLE
                                                 : NUMBER_WRONG;
    case NUMBER_ZERO:
    case NUMBER_WHOLE:
        return is_digit && state == NUMBER_WHOLE ? NUMBER_WHOLE
               : c == '.'                        ? NUMBER_POINT
               : is_e                            ? NUMBER_E
                                                 : NUMBER_WRONG;
    case NUMBER_POINT:
        return is_digit ? NUMBER_FRACTION : NUMBER_WRONG;
    case NUMBER_FRACTION:
        return is_digit ? NUMBER_FRACTION : is_e ? NUMBER_E : NUMBER_WRONG;
    case NUMBER_E:
        return c == '+' || c == '-' ? NUMBER_E_SIGN : is_digit ? NUMBER_E_DIGITS : NUMBER_WRONG;
    case NUMBER_E_SIGN:
    case NUMBER_E_DIGITS:
        return is_digit ? NUMBER_E_DIGITS : NUMBER_WRONG;
    default:
        return NUMBER_WRONG;
    }
}

static void read_token(struct json_reader *reader, uint32_t c, struct json_step *step)
{
    step->kind = reader->in_name ? JSON_OTHER : reader->token;
    if (reader->in_name) {
        json_place_add_to_name(&reader->place, c);
    } else if (reader->token == JSON_NUMBER) {
        reader->number = number_next(reader->number, c);
        reader->token_is_wrong |= reader->number == NUMBER_WRONG;
    } else if (reader->literal && *reader->literal && (uint32_t)*reader->literal == c) {
        reader->literal++;
    } else {
        reader->token_is_wrong = true;
    }
    step->is_wrong = reader->token_is_wrong;
}

static void end_token(struct json_reader *reader, struct json_step *step)
{
    bool is_whole = reader->token == JSON_NUMBER ? number_is_whole(reader->number)
                                                 : reader->literal && !*reader->literal;
    step->token_ended = !reader->in_name;
    step->token_is_json = is_whole && !reader->token_is_wrong;
    step->is_wrong = !step->token_is_json;
    end_value(reader);
}

/* ---- structure ---- */

static void begin_value(struct json_reader *reader, struct json_step *step)
{
    step->begins = true;
    step->is_meant = json_place_value(&reader->place, &step->path);
}

static void begin_string(struct json_reader *reader, bool is_name, struct json_step *step)
{
    reader->token = JSON_STRING;
    reader->in_name = is_name;
    reader->escape = (struct json_escape){0};
    if (is_name) {
        json_place_begin_name(&reader->place);
    } else {
        step->kind = JSON_STRING;
        begin_value(reader, step);
    }
}

static void begin_token(struct json_reader *reader, uint32_t c, bool is_name,
                        struct json_step *step)
{
    bool is_number = c == '-' || (c >= '0' && c <= '9');
    reader->literal = c == 't' ? "true" : c == 'f' ? "false" : c == 'n' ? "null" : NULL;
    reader->token = is_number         ? JSON_NUMBER
                    : c == 'n'        ? JSON_NULL
                    : reader->literal ? JSON_BOOL
                                      : JSON_WORD;
    reader->number = NUMBER_BEGIN;
    reader->in_name = is_name;
    reader->token_is_wrong = is_name || reader->token == JSON_WORD;
    if (is_name) {
        json_place_begin_name(&reader->place);
    } else {
        begin_value(reader, step);
    }
    read_token(reader, c, step);
}

/* The value is an object or a list. A lenient reader takes one that can not stand there for a
 * new document. */
static int enter(struct json_reader *reader, bool is_list, bool may_stand,
                 struct json_step *step)
{
    uint32_t path;
    step->is_wrong = !may_stand;
    if (!may_stand) {
        json_place_restart(&reader->place);
    }
    (void)json_place_value(&reader->place, &path);
    if (json_place_enter(&reader->place, is_list) != 0) {
        return -1;
    }
    reader->state = is_list ? JSON_STATE_FIRST_VALUE : JSON_STATE_FIRST_NAME;
    return 0;
}

static void leave(struct json_reader *reader, bool is_list, struct json_step *step)
{
    bool may_end = reader->state == JSON_STATE_AFTER ||
                   reader->state == (is_list ? JSON_STATE_FIRST_VALUE : JSON_STATE_FIRST_NAME);
    step->is_wrong =
        !may_end || reader->place.depth == 0 || json_place_in_list(&reader->place) != is_list;
    json_place_leave(&reader->place);
    end_value(reader);
}

static void read_comma(struct json_reader *reader, struct json_step *step)
{
    step->is_wrong = reader->state != JSON_STATE_AFTER || reader->place.depth == 0;
    json_place_next(&reader->place);
    reader->state = json_place_in_list(&reader->place) ? JSON_STATE_VALUE : JSON_STATE_NAME;
}

static void read_colon(struct json_reader *reader, struct json_step *step)
{
    step->is_wrong = reader->state != JSON_STATE_COLON;
    if (!json_place_in_list(&reader->place)) {
        reader->state = JSON_STATE_VALUE;
    }
}

/* A character between tokens of a document. Where no value may stand, a string or word is the
 * name of one in an object, and in a list one more element. */
static int read_structure(struct json_reader *reader, uint32_t c, struct json_step *step)
{
    bool may_stand = reader->state == JSON_STATE_VALUE ||
                     reader->state == JSON_STATE_FIRST_VALUE ||
                     reader->state == JSON_STATE_OUTSIDE;
    bool may_be_name =
        reader->state == JSON_STATE_NAME || reader->state == JSON_STATE_FIRST_NAME;
    switch (c) {
    case '{':
    case '[':
        return enter(reader, c == '[', may_stand, step);
    case '}':
    case ']':
        leave(reader, c == ']', step);
        return 0;
    case ',':
        read_comma(reader, step);
        return 0;
    case ':':
        read_colon(reader, step);
        return 0;
    default:
        break;
    }
    bool is_name = !may_stand && !json_place_in_list(&reader->place);
    if (!may_stand && !is_name) {
        json_place_next(&reader->place);
    }
    if (c == '"') {
        begin_string(reader, is_name, step);
        step->is_wrong = is_name ? !may_be_name : !may_stand;
    } else {
        begin_token(reader, c, is_name, step);
        step->is_wrong |= !may_stand;
    }
    return 0;
}

int json_reader_read(struct json_reader *reader, uint32_t c, struct json_step *step)
{
    *step = (struct json_step){.kind = JSON_OTHER};
    if (reader->token == JSON_STRING) {
        read_string(reader, c, step);
        return 0;
    }
    if (reader->token != JSON_OTHER) {
        if (!ends_token(c)) {
            read_token(reader, c, step);
            return 0;
        }
        end_token(reader, step);
    }
    if (is_blank(c) || (is_outside(reader) && c != '{' && c != '[')) {
        return 0;
    }
    struct json_step ended = *step;
    int rc = read_structure(reader, c, step);
    step->token_ended = ended.token_ended;
    step->token_is_json = ended.token_is_json;
    step->is_wrong |= ended.is_wrong;
    return rc;
}

void json_reader_end(struct json_reader *reader, struct json_step *step)
{
    *step = (struct json_step){.kind = JSON_OTHER};
    if (reader->token != JSON_OTHER && reader->token != JSON_STRING) {
        end_token(reader, step);
    }
}
