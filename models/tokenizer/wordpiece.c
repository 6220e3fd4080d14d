#include "models/tokenizer/wordpiece.h"

#include <string.h>
#include <utf8proc.h>

#include "runtime/base/utf8.h"

#define MAX_PARTS 8 /* of a canonical decomposition; Unicode has at most 4 */

/* --- loading --- */

/* A capital that begins words. A name like "<S>" may stand among the tokens of a vocabulary of
 * small letters; a vocabulary with capitals has each of them alone too. */
static bool is_capital(const struct vocab_token *t)
{
    return t->kind == TOKEN_NORMAL && t->n_bytes == 2 && t->bytes[0] == ' ' &&
           t->bytes[1] >= 'A' && t->bytes[1] <= 'Z';
}

static int read_flag(const struct gguf *g, const char *key, bool *out, struct err *e)
{
    return gguf_has(g, key) ? gguf_get_bool(g, key, out, e) : 0;
}

int wordpiece_init(struct wordpiece *w, const struct vocab *vocab, int32_t unknown,
                   const struct gguf *g, struct err *e)
{
    *w = (struct wordpiece){.vocab = vocab, .unknown = unknown, .lowercase = true};
    for (int32_t id = 0; id < vocab->n_tokens; id++) {
        const struct vocab_token *t = &vocab->tokens[id];
        if (t->kind == TOKEN_NORMAL && t->n_bytes > w->longest) {
            w->longest = t->n_bytes;
        }
        w->lowercase = w->lowercase && !is_capital(t);
    }
    if (read_flag(g, "tokenizer.ggml.normalizer.lowercase", &w->lowercase, e) != 0) {
        return -1;
    }
    w->strip_accents = w->lowercase;
    return read_flag(g, "tokenizer.ggml.normalizer.strip_accents", &w->strip_accents, e);
}

/* --- kinds of characters --- */

static bool is_space(uint32_t c)
{
    if (c < 0x80) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
    }
    utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    return kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
           kind == UTF8PROC_CATEGORY_ZP;
}

/* Controls, formats, private use, and what stands for something that could not be read. */
static bool is_dropped(uint32_t c)
{
    if (c < 0x80) {
        return c < ' ' || c == 0x7f;
    }
    utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    return c == 0xfffd || kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF ||
           kind == UTF8PROC_CATEGORY_CO;
}

/* All of ASCII's signs count, "$" and "^" too, which Unicode calls symbols. */
static bool is_punctuation(uint32_t c)
{
    if (c < 0x80) {
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    }
    utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

/* The blocks of tokenization.py, _is_chinese_char. */
static bool is_ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2ceaf) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/* --- words --- */

struct encoding {
    const struct wordpiece *w;
    struct word_cache *cache;
    struct token_list *out;
    struct err *e;
    char word[1 + 4 * WORDPIECE_MAX_CHARACTERS]; /* (len): a space first */
    size_t len;
    size_t n_characters; /* may be more than fit in word */
};

/* The longest token that stands at `at`, or -1; its end in *end. */
static int32_t longest_at(const struct encoding *c, size_t at, size_t *end)
{
    size_t least = at == 0 ? 2 : at + 1; /* the space alone is no piece */
    size_t stop = c->len - at < c->w->longest ? c->len : at + c->w->longest;
    for (; stop >= least; stop--) {
        if (stop < c->len && ((unsigned char)c->word[stop] & 0xc0) == 0x80) {
            continue;
        }
        int32_t id = vocab_find_bytes(c->w->vocab, c->word + at, stop - at);
        if (id >= 0) {
            *end = stop;
            return id;
        }
    }
    return -1;
}

static int match_word(const struct encoding *c)
{
    const size_t count = c->out->count;
    size_t end;
    for (size_t at = 0; at < c->len; at = end) {
        int32_t id = c->n_characters > WORDPIECE_MAX_CHARACTERS ? -1 : longest_at(c, at, &end);
        if (id < 0) {
            c->out->count = count;
            return token_list_push(c->out, c->w->unknown);
        }
        if (token_list_push(c->out, id) != 0) {
            return -1;
        }
    }
    return 0;
}

static int end_word(struct encoding *c)
{
    size_t n = 0;
    const size_t count = c->out->count;
    if (c->n_characters == 0) {
        return 0;
    }
    const int32_t *known = word_cache_find(c->cache, c->word, c->len, &n);
    if ((known ? token_list_append(c->out, known, n) : match_word(c)) != 0) {
        return err_nomem(c->e);
    }
    if (!known) {
        word_cache_put(c->cache, c->word, c->len, c->out->ids + count, c->out->count - count);
    }
    c->len = 1;
    c->n_characters = 0;
    return 0;
}

static void add_character(struct encoding *c, uint32_t character)
{
    if (c->n_characters++ < WORDPIECE_MAX_CHARACTERS) {
        c->len += (size_t)utf8_encode(character, c->word + c->len);
    }
}

static int add_alone(struct encoding *c, uint32_t character)
{
    if (end_word(c) != 0) {
        return -1;
    }
    add_character(c, character);
    return end_word(c);
}

static int add_part(struct encoding *c, uint32_t part)
{
    if (c->w->lowercase) {
        part = (uint32_t)utf8proc_tolower((utf8proc_int32_t)part);
    }
    if (is_punctuation(part)) {
        return add_alone(c, part);
    }
    add_character(c, part);
    return 0;
}

/* Where accents go, normal form D without its non-spacing marks. */
static int add_letters(struct encoding *c, uint32_t character)
{
    utf8proc_int32_t parts[MAX_PARTS];
    int boundary = 0;
    if (character < 0x80 || !c->w->strip_accents) {
        return add_part(c, character);
    }
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)character, parts, MAX_PARTS,
                                                 UTF8PROC_DECOMPOSE, &boundary);
    if (n < 0 || n > MAX_PARTS) {
        return add_part(c, character);
    }
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN &&
            add_part(c, (uint32_t)parts[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int feed(struct encoding *c, uint32_t character)
{
    if (is_space(character)) {
        return end_word(c);
    }
    if (is_dropped(character)) {
        return 0;
    }
    bool alone = is_ideograph(character);
    if ((alone && end_word(c) != 0) || add_letters(c, character) != 0) {
        return -1;
    }
    return alone ? end_word(c) : 0;
}

int wordpiece_encode(const struct wordpiece *w, const char *text, size_t len,
                     struct word_cache *cache, struct token_list *out, struct err *e)
{
    struct encoding c = {.w = w, .cache = cache, .out = out, .e = e, .word = {' '}, .len = 1};
    for (size_t at = 0; at < len;) {
        uint32_t character;
        int size = utf8_decode(text + at, len - at, &character);
        at += size > 0 ? (size_t)size : 1;
        /* What is not UTF-8 would be U+FFFD, which is dropped. */
        if (size > 0 && feed(&c, character) != 0) {
            return -1;
        }
    }
    return end_word(&c);
}
