#include "models/curate/quality_characters.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

#include "runtime/base/utf8.h"

static const char *const stop_words[] = {
    "a",    "about", "all",  "an",   "and",  "are",  "as",  "at",  "be",  "but",  "by",
    "can",  "do",    "for",  "from", "had",  "have", "he",  "her", "his", "how",  "i",
    "if",   "in",    "is",   "it",   "its",  "me",   "my",  "not", "of",  "on",   "or",
    "she",  "so",    "that", "the",  "they", "this", "to",  "was", "we",  "were", "what",
    "when", "which", "who",  "will", "with", "you",  "your"};

static bool is_stop_word(const char *word, size_t len)
{
    while (len > 0 && !isalpha((unsigned char)word[len - 1])) {
        len--;
    }
    int first = len > 0 ? tolower((unsigned char)*word) : 0;
    for (size_t i = 0; i < sizeof(stop_words) / sizeof(stop_words[0]); i++) {
        if (stop_words[i][0] == first && strlen(stop_words[i]) == len &&
            strncasecmp(stop_words[i], word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Bytes of a tag or an entity that begins here, or 0. */
static size_t markup_len(const char *s, size_t len)
{
    size_t n = 1;
    if (s[0] == '<' && len > 1 && (isalpha((unsigned char)s[1]) || strchr("/!?", s[1]))) {
        while (n < len && n < 400 && s[n] != '>' && s[n] != '<') {
            n++;
        }
        return n < len && s[n] == '>' ? n + 1 : 0;
    }
    if (s[0] == '&') {
        while (n < len && n < 10 && (isalnum((unsigned char)s[n]) || s[n] == '#')) {
            n++;
        }
        return n > 2 && n < len && s[n] == ';' ? n + 1 : 0;
    }
    return 0;
}

/* Bytes of a word of script, as Raffel et al. drop lines for. */
static size_t script_len(const char *s, size_t len)
{
    static const char *const parts[] = {"function(", "var ", "javascript", "document.", "();"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t n = strlen(parts[i]);
        if (len >= n && memcmp(s, parts[i], n) == 0) {
            return n;
        }
    }
    return 0;
}

/* What the first byte of a UTF-8 sequence looks like in Latin-1: A with tilde or circumflex,
 * a with circumflex, eth, and in Windows-1252; `next` is what its second byte looks like. */
static bool is_misread(uint32_t c, uint32_t next)
{
    if (c == 0xc2 || c == 0xc3) {
        return (next >= 0x80 && next <= 0xbf) || next == 0x192 || next == 0x201a ||
               (next >= 0x2018 && next <= 0x2026) || next == 0x20ac || next == 0x2122 ||
               next == 0x160 || next == 0x161;
    }
    if (c == 0xe2 || c == 0xf0 || c == 0xd0 || c == 0xd1) {
        return (next >= 0x80 && next <= 0xbf) || next == 0x20ac || next == 0x201a ||
               next == 0x2020 || next == 0x178 || next == 0x152;
    }
    return false;
}

static bool starts_with(const char *s, size_t len, const char *word)
{
    size_t n = strlen(word);
    return len >= n && strncasecmp(s, word, n) == 0;
}

static void count_wide(struct quality_characters *c, uint32_t code, uint32_t before)
{
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
        c->letters++;
        break;
    case UTF8PROC_CATEGORY_ND:
        c->letters++;
        c->digits++;
        break;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
        c->symbols++;
        break;
    default:
        break;
    }
    c->mojibake += code == 0xfffd || (code >= 0x80 && code < 0xa0);
    c->mojibake += is_misread(before, code) ? 2 : 0;
}

static void count_ascii(struct quality_characters *c, unsigned char code)
{
    if (isalnum(code)) {
        c->letters++;
        c->digits += isdigit(code) != 0;
    } else if (strchr("#*{}|\\~^<>_@`[]", code)) {
        c->symbols++;
    }
}

void quality_characters_count(struct quality_characters *c, const char *text, size_t len)
{
    size_t marked_to = 0, word = 0, unspaced = 0;
    uint32_t before = 0;
    bool in_word = false;
    *c = (struct quality_characters){0};
    for (size_t at = 0; at < len;) {
        uint32_t code = (unsigned char)text[at];
        int n = code < 128 ? 1 : utf8_decode(text + at, len - at, &code);
        if (n <= 0) {
            break;
        }
        bool blank =
            code == ' ' || (code >= '\t' && code <= '\r') || code == 0xa0 || code == 0x3000;
        if (in_word && blank) {
            c->stop_words += is_stop_word(text + word, at - word);
            in_word = false;
        }
        if (at >= marked_to && code < 128) {
            size_t mark = markup_len(text + at, len - at);
            mark = mark ? mark : script_len(text + at, len - at);
            marked_to = mark ? at + mark : marked_to;
        }
        if (!blank) {
            c->runs += !in_word;
            word = in_word ? word : at;
            c->placeholders += !in_word && (starts_with(text + at, len - at, "lorem ipsum") ||
                                            starts_with(text + at, len - at, "dolor sit amet"));
            in_word = true;
            c->shown++;
            c->markup += at < marked_to;
            unspaced += (code >= 0x3040 && code <= 0x9fff) || (code >= 0xe00 && code <= 0xeff);
            if (code < 128) {
                count_ascii(c, (unsigned char)code);
            } else {
                count_wide(c, code, before);
            }
        }
        before = code;
        at += (size_t)n;
    }
    c->stop_words += in_word && is_stop_word(text + word, len - word);
    c->is_unspaced = 2 * unspaced > c->letters;
}
