#include "filters/entities.h"

#include <string.h>

struct name {
    const char *name;
    uint32_t code_point;
};

static const struct name names[] = {
    {"Tab", '\t'},      {"NewLine", '\n'}, {"excl", '!'},       {"quot", '"'},
    {"num", '#'},       {"dollar", '$'},   {"percnt", '%'},     {"amp", '&'},
    {"apos", '\''},     {"lpar", '('},     {"rpar", ')'},       {"ast", '*'},
    {"plus", '+'},      {"comma", ','},    {"period", '.'},     {"sol", '/'},
    {"colon", ':'},     {"semi", ';'},     {"lt", '<'},         {"equals", '='},
    {"gt", '>'},        {"quest", '?'},    {"commat", '@'},     {"lsqb", '['},
    {"bsol", '\\'},     {"rsqb", ']'},     {"Hat", '^'},        {"lowbar", '_'},
    {"grave", '`'},     {"lcub", '{'},     {"verbar", '|'},     {"vert", '|'},
    {"rcub", '}'},      {"nbsp", ' '},     {"ensp", ' '},       {"emsp", ' '},
    {"thinsp", ' '},    {"hyphen", '-'},   {"dash", '-'},       {"ndash", '-'},
    {"mdash", '-'},     {"minus", '-'},    {"lsquo", '\''},     {"rsquo", '\''},
    {"ldquo", '"'},     {"rdquo", '"'},    {"middot", '.'},     {"bull", '.'},
    {"hellip", 0x2026}, {"shy", 0x00AD},   {"zwnj", 0x200C},    {"zwj", 0x200D},
    {"lrm", 0x200E},    {"rlm", 0x200F},   {"NoBreak", 0x2060}, {"ZeroWidthSpace", 0x200B},
};

/* What comes after a letter in the name of that letter with an accent. */
static const char *const accents[] = {"acute", "breve", "caron", "cedil", "circ",
                                      "dot",   "grave", "macr",  "ogon",  "ring",
                                      "slash", "tilde", "uml"};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int digit_value(char c, bool is_hex)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return is_hex && lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* A character that may be written as a number; the controls are left as they are written. */
static bool is_character(uint32_t n)
{
    return (n >= 0x20 && n < 0x7F) || n == '\t' || n == '\n' || n == '\r' ||
           (n > 0x9F && n < 0xD800) || (n > 0xDFFF && n <= 0x10FFFF);
}

/* Behind "&#". */
static enum entity_found read_number(const char *text, size_t len, bool has_ended,
                                     uint32_t *code_point, size_t *entity_len)
{
    size_t at = 2;
    bool is_hex = at < len && (text[at] | 0x20) == 'x';
    at += is_hex;
    size_t first = at;
    uint32_t n = 0;
    for (; at < len && at < ENTITY_MAX; at++) {
        int digit = digit_value(text[at], is_hex);
        if (digit < 0) {
            break;
        }
        n = n > 0x10FFFF ? n : n * (is_hex ? 16 : 10) + (uint32_t)digit;
    }
    if (at == len && at < ENTITY_MAX && !has_ended) {
        return ENTITY_PARTIAL;
    }
    if (at == first || at == ENTITY_MAX || !is_character(n)) {
        return ENTITY_NONE;
    }
    *code_point = n;
    *entity_len = at + (at < len && text[at] == ';');
    return ENTITY_FOUND;
}

/* How a name goes with a known one: the same, or its beginning, or not. */
static enum entity_found compare(const char *name, size_t len, const char *known)
{
    if (strncmp(name, known, len) != 0) {
        return ENTITY_NONE;
    }
    return known[len] == '\0' ? ENTITY_FOUND : ENTITY_PARTIAL;
}

static enum entity_found find_name(const char *name, size_t len, uint32_t *code_point)
{
    bool is_beginning = len == 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        enum entity_found found = compare(name, len, names[i].name);
        if (found == ENTITY_FOUND) {
            *code_point = names[i].code_point;
            return ENTITY_FOUND;
        }
        is_beginning |= found == ENTITY_PARTIAL;
    }
    for (size_t i = 0; len > 0 && i < sizeof(accents) / sizeof(accents[0]); i++) {
        enum entity_found found = compare(name + 1, len - 1, accents[i]);
        if (found == ENTITY_FOUND) {
            *code_point = (unsigned char)name[0];
            return ENTITY_FOUND;
        }
        is_beginning |= found == ENTITY_PARTIAL;
    }
    return is_beginning ? ENTITY_PARTIAL : ENTITY_NONE;
}

enum entity_found entity_read(const char *text, size_t len, bool has_ended,
                              uint32_t *code_point, size_t *entity_len)
{
    if (len > 1 && text[1] == '#') {
        return read_number(text, len, has_ended, code_point, entity_len);
    }
    size_t at = 1;
    while (at < len && is_letter(text[at])) {
        at++;
    }
    enum entity_found found = find_name(text + 1, at - 1, code_point);
    if (at < len) {
        *entity_len = at + 1;
        return found == ENTITY_FOUND && text[at] == ';' ? ENTITY_FOUND : ENTITY_NONE;
    }
    return found == ENTITY_NONE || has_ended ? ENTITY_NONE : ENTITY_PARTIAL;
}
