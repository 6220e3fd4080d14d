#include "models/tokenizer/text_step.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include "models/tokenizer/white_space.h"
#include "runtime/base/utf8.h"

#define CAPITAL_I_DOT      0x130 /* of two characters in lower case: SpecialCasing.txt */
#define CAPITAL_I_DOT_TEXT "i\xcc\x87"
#define MOST_BYTES         4 /* of a character */

/* By the names that tokenizer.json has for them; Spaces is ours, for WhitespaceSplit. */
static const char *const names[TEXT_N_KINDS] = {
    [TEXT_NFC] = "NFC",
    [TEXT_NFD] = "NFD",
    [TEXT_NFKC] = "NFKC",
    [TEXT_NFKD] = "NFKD",
    [TEXT_LOWERCASE] = "Lowercase",
    [TEXT_STRIP_ACCENTS] = "StripAccents",
    [TEXT_SPACES] = "Spaces",
    [TEXT_REPLACE] = "Replace",
};

static const enum unicode_form_kind forms[] = {
    [TEXT_NFC] = UNICODE_NFC,
    [TEXT_NFD] = UNICODE_NFD,
    [TEXT_NFKC] = UNICODE_NFKC,
    [TEXT_NFKD] = UNICODE_NFKD,
};

static bool is_form(const struct text_step *s)
{
    return s->kind < TEXT_LOWERCASE;
}

enum text_step_kind text_step_find(const char *name, size_t len)
{
    int kind = 0;
    while (kind < TEXT_N_KINDS &&
           !(strlen(names[kind]) == len && memcmp(names[kind], name, len) == 0)) {
        kind++;
    }
    return (enum text_step_kind)kind;
}

int text_step_init(struct text_step *s, enum text_step_kind kind)
{
    *s = (struct text_step){.kind = kind};
    return is_form(s) ? unicode_form_init(&s->form, forms[kind]) : 0;
}

void text_step_init_replace(struct text_step *s, const struct gguf_str *from,
                            const struct gguf_str *to)
{
    *s = (struct text_step){.kind = TEXT_REPLACE, .from_len = from->len, .to_len = to->len};
    memcpy(s->from, from->data, from->len);
    memcpy(s->to, to->data, to->len);
}

void text_step_deinit(struct text_step *s)
{
    unicode_form_deinit(&s->form);
}

static const char *find_replaced(const struct text_step *s, const char *text, size_t len)
{
    return memmem(text, len, s->from, s->from_len);
}

/* No character below U+0300 is a mark, and none of ASCII but capitals and spaces changes. */
static bool byte_may_change(enum text_step_kind kind, unsigned char byte)
{
    switch (kind) {
    case TEXT_LOWERCASE:
        return byte >= 0x80 || (byte >= 'A' && byte <= 'Z');
    case TEXT_STRIP_ACCENTS:
        return byte >= 0xcc;
    default:
        return byte >= 0x80 || (byte >= '\t' && byte <= '\r');
    }
}

bool text_step_keeps(const struct text_step *s, const char *text, size_t len)
{
    if (is_form(s)) {
        return unicode_form_keeps(&s->form, text, len);
    }
    if (s->kind == TEXT_REPLACE) {
        return !find_replaced(s, text, len);
    }
    size_t at = 0;
    while (at < len && !byte_may_change(s->kind, (unsigned char)text[at])) {
        at++;
    }
    return at == len;
}

size_t text_step_bound(const struct text_step *s, const char *text, size_t len)
{
    const size_t times = is_form(s) ? UNICODE_FORM_GROWTH : MOST_BYTES;
    size_t bound = 0, count = 0;
    if (s->kind != TEXT_REPLACE) {
        return __builtin_mul_overflow(len, times, &bound) ? SIZE_MAX : bound;
    }
    const char *end = text + len;
    for (const char *at = find_replaced(s, text, len); at;
         at = find_replaced(s, at + s->from_len, (size_t)(end - at) - s->from_len)) {
        count++;
    }
    return __builtin_mul_overflow(count, s->to_len, &bound) ||
                   __builtin_add_overflow(bound, len, &bound)
               ? SIZE_MAX
               : bound;
}

static void replace(const struct text_step *s, const char *text, size_t len, struct buf *out)
{
    const char *end = text + len, *found;
    while ((found = find_replaced(s, text, (size_t)(end - text)))) {
        buf_append(out, text, (size_t)(found - text));
        buf_append(out, s->to, s->to_len);
        text = found + s->from_len;
    }
    buf_append(out, text, (size_t)(end - text));
}

static void put_lowercase(uint32_t c, struct buf *out)
{
    char bytes[MOST_BYTES];
    if (c == CAPITAL_I_DOT) {
        buf_append_str(out, CAPITAL_I_DOT_TEXT);
        return;
    }
    const int n = utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), bytes);
    buf_append(out, bytes, (size_t)n);
}

static bool is_mark(uint32_t c)
{
    const utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC ||
           kind == UTF8PROC_CATEGORY_ME;
}

/* What becomes of one character, of so many bytes. */
static void put_changed(enum text_step_kind kind, uint32_t c, const char *bytes, size_t size,
                        struct buf *out)
{
    if (kind == TEXT_LOWERCASE) {
        put_lowercase(c, out);
    } else if (kind == TEXT_SPACES && is_white_space(c)) {
        buf_append_char(out, ' ');
    } else if (kind != TEXT_STRIP_ACCENTS || !is_mark(c)) {
        buf_append(out, bytes, size);
    }
}

static void change_characters(enum text_step_kind kind, const char *text, size_t len,
                              struct buf *out)
{
    for (size_t at = 0; at < len;) {
        uint32_t c;
        const int size = utf8_decode(text + at, len - at, &c);
        if (size > 0) {
            put_changed(kind, c, text + at, (size_t)size, out);
        } else {
            buf_append_char(out, text[at]);
        }
        at += size > 0 ? (size_t)size : 1;
    }
}

int text_step_apply(const struct text_step *s, const char *text, size_t len, struct buf *out)
{
    if (is_form(s)) {
        return unicode_form_apply(&s->form, text, len, out);
    }
    if (s->kind == TEXT_REPLACE) {
        replace(s, text, len, out);
    } else {
        change_characters(s->kind, text, len, out);
    }
    return out->failed ? -1 : 0;
}
