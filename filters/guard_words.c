#include "filters/guard_words.h"

#include <string.h>
#include <utf8proc.h>

#include "filters/letters.h"
#include "runtime/base/utf8.h"

#define LETTERS_MIN 3 /* so many single letters in a row are a word spelled out */

/* What a character is here. */
enum kind { KIND_GAP, KIND_NONE, KIND_LETTER, KIND_WORD, KIND_MARKUP };

struct folded {
    enum kind kind;
    char text[4]; /* (len) */
    size_t len;
};

/* Letters of other scripts that look like Latin ones. */
static char look_alike(uint32_t c)
{
    static const struct {
        uint32_t from;
        char to;
    } pairs[] = {
        {0x0430, 'a'}, {0x0432, 'b'}, {0x0435, 'e'}, {0x043A, 'k'}, {0x043C, 'm'},
        {0x043D, 'h'}, {0x043E, 'o'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0442, 't'},
        {0x0443, 'y'}, {0x0445, 'x'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'},
        {0x0501, 'd'}, {0x03B1, 'a'}, {0x03B5, 'e'}, {0x03B9, 'i'}, {0x03BA, 'k'},
        {0x03BD, 'v'}, {0x03BF, 'o'}, {0x03C1, 'p'}, {0x03C4, 't'}, {0x03C5, 'u'},
        {0x03C7, 'x'}, {0x0131, 'i'}, {0x0142, 'l'}, {0x00F8, 'o'}, {0x0111, 'd'},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (pairs[i].from == c) {
            return pairs[i].to;
        }
    }
    return '\0';
}

static struct folded ascii(char c)
{
    struct folded f = {.kind = KIND_GAP, .text = {c}, .len = 1};
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        f.kind = KIND_LETTER;
        return f;
    }
    if (c >= 'A' && c <= 'Z') {
        f.text[0] = (char)(c + ('a' - 'A'));
        f.kind = KIND_LETTER;
        return f;
    }
    switch (c) {
    case '\'':
    case '`':
        f.kind = KIND_NONE;
        break;
    case '<':
    case '>':
    case '[':
    case ']':
    case '{':
    case '}':
    case '|':
    case '#':
    case '=':
    case '/':
    case '\\':
    case '"':
    case '^':
    case '~':
    case ':':
        f.kind = KIND_MARKUP;
        break;
    default:
        break;
    }
    return f;
}

static bool is_without_width(uint32_t c)
{
    return c == 0xAD || (c >= 0x200B && c <= 0x200F) || (c >= 0x2060 && c <= 0x2064) ||
           (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE007F);
}

/* A character outside ASCII: first what it is made of, then what it looks like. */
static struct folded fold_other(uint32_t c)
{
    struct folded f = {.kind = KIND_GAP};
    if (c == 0x2019 || c == 0x2018 || is_without_width(c)) {
        f.kind = KIND_NONE;
        return f;
    }
    utf8proc_int32_t parts[8];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)c, parts, 8, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    uint32_t base = n >= 1 && n <= 8 ? (uint32_t)parts[0] : c;
    if (base < 0x80) {
        return ascii((char)base);
    }
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)base);
    if (category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME) {
        f.kind = KIND_NONE;
        return f;
    }
    uint32_t lower = letter_fold(base);
    char latin = look_alike(lower);
    if (latin) {
        return ascii(latin);
    }
    bool is_letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
    if (is_letter) {
        f.kind = letter_is_in_word(lower) ? KIND_LETTER : KIND_WORD;
        f.len = (size_t)utf8_encode(lower, f.text);
    }
    return f;
}

/* The character at `at`; *len is 0 where the text ends or is not UTF-8. */
static struct folded fold(const char *at, const char *end, size_t *len)
{
    *len = 0;
    if (at == end) {
        return (struct folded){0};
    }
    if ((unsigned char)*at < 0x80) {
        *len = 1;
        return ascii(*at);
    }
    uint32_t code_point;
    int n = utf8_decode(at, (size_t)(end - at), &code_point);
    if (n <= 0) {
        return (struct folded){0};
    }
    *len = (size_t)n;
    return fold_other(code_point);
}

/* What stands for a letter before or between letters. '\0': nothing does. */
static char letter_for(char c)
{
    switch (c) {
    case '0':
        return 'o';
    case '1':
    case '!':
        return 'i';
    case '3':
        return 'e';
    case '4':
    case '@':
        return 'a';
    case '5':
    case '$':
        return 's';
    case '7':
    case '+':
        return 't';
    default:
        return '\0';
    }
}

static bool is_latin(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool letter_follows(const char *at, const char *end)
{
    size_t len;
    struct folded next = fold(at, end, &len);
    return len > 0 && next.kind == KIND_LETTER && is_latin(next.text[0]);
}

/* ---- words ---- */

struct spelling {
    char bytes[GUARD_WORD_BYTES];
    size_t len;
};

/* Of letters drawn out two are kept: "sooo" is "soo". */
static void add(struct spelling *s, const char *text, size_t len)
{
    size_t n = s->len;
    if (len == 1 && n >= 2 && s->bytes[n - 1] == *text && s->bytes[n - 2] == *text) {
        return;
    }
    if (n + len <= sizeof(s->bytes)) {
        memcpy(s->bytes + n, text, len);
        s->len += len;
    }
}

static bool is_number(const struct spelling *s)
{
    for (size_t i = 0; i < s->len; i++) {
        if (s->bytes[i] < '0' || s->bytes[i] > '9') {
            return false;
        }
    }
    return s->len > 0;
}

/* Reads a run of markup, the first of which is `c`. One lone colon, quote or slash is none. */
static bool read_markup(struct guard_reader *r, struct spelling *s)
{
    size_t len;
    size_t n = 0;
    for (;;) {
        struct folded f = fold(r->at, r->end, &len);
        if (len == 0 || f.kind != KIND_MARKUP) {
            break;
        }
        if (s->len < sizeof(s->bytes)) {
            s->bytes[s->len++] = f.text[0];
        }
        n++;
        r->at += len;
    }
    return n > 1 || strchr("<[{|#", s->bytes[0]);
}

static void read_letters(struct guard_reader *r, struct spelling *s)
{
    for (;;) {
        size_t len;
        struct folded f = fold(r->at, r->end, &len);
        if (len == 0) {
            return;
        }
        char sign = f.len == 1 ? letter_for(f.text[0]) : '\0';
        if (sign && letter_follows(r->at + len, r->end)) {
            f.kind = KIND_LETTER;
            f.text[0] = sign;
        } else if (*r->at == '*' && s->len > 0 && letter_follows(r->at + len, r->end)) {
            f.kind = KIND_NONE;
        }
        if (f.kind == KIND_LETTER) {
            add(s, f.text, f.len);
        } else if (f.kind != KIND_NONE) {
            return;
        }
        r->at += len;
    }
}

/* The next word of the text, before single letters are joined. */
static bool read_word(struct guard_reader *r, struct spelling *s)
{
    for (;;) {
        size_t len;
        s->len = 0;
        struct folded f = fold(r->at, r->end, &len);
        if (len == 0) {
            return false;
        }
        if (f.kind == KIND_WORD) {
            add(s, f.text, f.len);
            r->at += len;
            return true;
        }
        if (f.kind == KIND_MARKUP) {
            if (read_markup(r, s)) {
                return true;
            }
            continue;
        }
        read_letters(r, s);
        if (is_number(s)) {
            s->bytes[0] = '0';
            s->len = 1;
        }
        if (s->len > 0) {
            return true;
        }
        if (r->at < r->end && fold(r->at, r->end, &len).kind == KIND_GAP && len > 0) {
            r->at += len;
        }
    }
}

/* ---- hashes ---- */

static uint32_t mix(uint32_t h)
{
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    h ^= h >> 13;
    return h;
}

static void hash_runs(const struct spelling *s, struct guard_word *word)
{
    char framed[GUARD_WORD_BYTES + 2];
    size_t n = s->len + 2;
    framed[0] = '<';
    memcpy(framed + 1, s->bytes, s->len);
    framed[n - 1] = '>';
    word->n_runs = 0;
    for (size_t from = 0; from + 3 <= n; from++) {
        uint32_t h = 0x9E3779B9u;
        for (size_t i = 0; i < 5 && from + i < n; i++) {
            h = (h ^ (unsigned char)framed[from + i]) * 0x01000193u;
            /* The whole word is there as such. */
            if (i >= 2 && i + 1 < n && word->n_runs < GUARD_WORD_RUNS) {
                word->runs[word->n_runs++] = mix(h + (uint32_t)i);
            }
        }
    }
}

static void hash_word(struct guard_reader *r, const struct spelling *s, struct guard_word *word)
{
    uint32_t h = 0x811C9DC5u;
    for (size_t i = 0; i < s->len; i++) {
        h = (h ^ (unsigned char)s->bytes[i]) * 0x01000193u;
    }
    h |= 1; /* 0 is no word */
    word->n_words = 0;
    word->words[word->n_words++] = mix(h);
    word->words[word->n_words++] = mix(r->before[0] * 0x85EBCA6Bu + h + 1);
    if (r->before[0] != 0) {
        word->words[word->n_words++] = mix(r->before[1] * 0xC2B2AE35u + h + 2);
    }
    r->before[1] = r->before[0];
    r->before[0] = h;
    hash_runs(s, word);
}

void guard_reader_init(struct guard_reader *r, const char *text, size_t len)
{
    *r = (struct guard_reader){.at = text, .end = text + len};
}

/* Takes the first of the letters that wait, or all of them if they spell a word. */
static void take_letters(struct guard_reader *r, struct spelling *s)
{
    size_t n = r->n_letters >= LETTERS_MIN ? r->n_letters : 1;
    s->len = 0;
    for (size_t i = 0; i < n; i++) {
        add(s, r->letters + i, 1);
    }
    r->n_letters -= n;
    memmove(r->letters, r->letters + n, r->n_letters);
}

bool guard_reader_next(struct guard_reader *r, struct guard_word *word)
{
    struct spelling s = {.len = 0};
    while (!r->has_word) {
        if (!read_word(r, &s)) {
            break;
        }
        if (s.len == 1 && is_latin(s.bytes[0]) && r->n_letters < sizeof(r->letters)) {
            r->letters[r->n_letters++] = s.bytes[0];
            continue;
        }
        memcpy(r->word, s.bytes, s.len);
        r->n_word = s.len;
        r->has_word = true;
    }
    if (r->n_letters > 0) {
        take_letters(r, &s);
    } else if (r->has_word) {
        memcpy(s.bytes, r->word, r->n_word);
        s.len = r->n_word;
        r->has_word = false;
    } else {
        return false;
    }
    hash_word(r, &s, word);
    return true;
}
