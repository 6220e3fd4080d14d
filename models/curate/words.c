#include "models/curate/words.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define NGRAM_BASE 0x9e3779b97f4a7c15u /* odd, so that it has an inverse modulo 2^64 */
#define WORD_SEED  0x243f6a8885a308d3u

enum character { PARTS_WORDS, IN_WORD, IS_WORD };

void words_deinit(struct words *w)
{
    mem_free(w->items);
    *w = (struct words){0};
}

int words_push(struct words *w, uint64_t hash, struct err *e)
{
    if (w->count == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 256;
        uint64_t *grown = mem_realloc_array(w->items, cap, sizeof(*grown));
        if (!grown) {
            return err_nomem(e);
        }
        w->items = grown;
        w->cap = cap;
    }
    w->items[w->count++] = hash;
    return 0;
}

static bool is_unspaced(uint32_t c)
{
    return (c >= 0x0e00 && c <= 0x0eff) || (c >= 0x1000 && c <= 0x109f) ||
           (c >= 0x1780 && c <= 0x17ff) || (c >= 0x3040 && c <= 0x30ff) ||
           (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x20000 && c <= 0x3ffff);
}

static enum character ascii_character(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        return IN_WORD;
    }
    return c && strchr("+-*/=<>%$#@&|^~", c) ? IS_WORD : PARTS_WORDS;
}

static enum character character_of(uint32_t c)
{
    if (c < 128) {
        return ascii_character((unsigned char)c);
    }
    if (is_unspaced(c)) {
        return IS_WORD;
    }
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return IN_WORD;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return IS_WORD;
    default:
        return PARTS_WORDS;
    }
}

static uint32_t folded(uint32_t c)
{
    if (c < 128) {
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

int words_add(struct words *w, const char *text, size_t len, struct err *e)
{
    uint64_t hash = WORD_SEED;
    bool open = false;
    for (size_t at = 0; at < len;) {
        uint32_t c = (unsigned char)text[at];
        int n = c < 128 ? 1 : utf8_decode(text + at, len - at, &c);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
        enum character kind = character_of(c);
        if (open && kind != IN_WORD) {
            open = false;
            if (words_push(w, words_mix(hash), e)) {
                return -1;
            }
            hash = WORD_SEED;
        }
        if (kind == IS_WORD && words_push(w, words_mix(WORD_SEED ^ ((uint64_t)c << 32)), e)) {
            return -1;
        }
        if (kind == IN_WORD) {
            hash = (hash ^ folded(c)) * 0x100000001b3u;
            hash ^= hash >> 29;
            open = true;
        }
    }
    return open ? words_push(w, words_mix(hash), e) : 0;
}

struct words_digest words_digest(const uint64_t *items, size_t count)
{
    struct words_digest d = {count, ~(uint64_t)count};
    for (size_t i = 0; i < count; i++) {
        d.a = words_mix(d.a ^ items[i]);
        d.b = words_mix(d.b + items[i] * NGRAM_BASE);
    }
    return d;
}

void ngrams_init(struct ngrams *g, const uint64_t *items, size_t count, size_t n)
{
    *g = (struct ngrams){.items = items, .count = count, .n = n, .top = 1};
    for (size_t i = 1; i < n; i++) {
        g->top *= NGRAM_BASE;
    }
    for (size_t i = 0; i < n && i < count; i++) {
        g->hash = g->hash * NGRAM_BASE + items[i];
    }
}

int ngrams_next(struct ngrams *g, uint64_t *hash)
{
    if (g->n == 0 || g->at + g->n > g->count) {
        return 0;
    }
    *hash = words_mix(g->hash ^ g->n);
    if (g->at + g->n < g->count) {
        g->hash = (g->hash - g->items[g->at] * g->top) * NGRAM_BASE + g->items[g->at + g->n];
    }
    g->at++;
    return 1;
}
