#include "models/weir-guard/corpus/roughen.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* In 100 sentences. */
#define CAPITAL_FIRST 55
#define CAPITALS_ALL  4
#define TYPOS         9
#define HIDDEN        6

static bool chance(struct rng *r, uint32_t percent)
{
    return rng_below(r, 100) < percent;
}

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) != 0;
}

/* The beginning of some word of at least `min` letters; *len is its length. NULL: none found.
 */
static char *some_word(const struct buf *text, struct rng *r, size_t min, size_t *len)
{
    for (int tries = 0; tries < 8; tries++) {
        char *p = text->data + rng_below(r, (uint32_t)text->len);
        while (p > text->data && is_letter(p[-1])) {
            p--;
        }
        *len = 0;
        while (is_letter(p[*len])) {
            (*len)++;
        }
        if (*len >= min) {
            return p;
        }
    }
    return NULL;
}

static void slip(struct buf *text, struct rng *r)
{
    size_t len;
    char *word = some_word(text, r, 4, &len);
    if (!word) {
        return;
    }
    char *at = word + 1 + rng_below(r, (uint32_t)len - 2);
    size_t behind = text->len - (size_t)(at - text->data) - 1;
    if (chance(r, 50)) { /* two letters change places */
        char c = at[0];
        at[0] = at[1];
        at[1] = c;
    } else if (chance(r, 60)) { /* one is left out */
        memmove(at, at + 1, behind + 1);
        text->len--;
    } else {
        at[0] = at[1];
    }
}

static char look_alike(char c)
{
    static const char from[] = "aeiost", to[] = "@310$7";
    const char *p = strchr(from, tolower((unsigned char)c));
    return p && c ? to[p - from] : c;
}

/* A word with digits for letters, or with something between its letters. */
static void hide(struct buf *text, struct rng *r)
{
    size_t len;
    char *word = some_word(text, r, 3, &len);
    if (!word) {
        return;
    }
    if (chance(r, 60)) {
        for (size_t i = 0; i < len; i++) {
            word[i] = chance(r, 60) ? look_alike(word[i]) : word[i];
        }
        return;
    }
    static const char between[] = " .-_*";
    char gap = between[rng_below(r, sizeof(between) - 1)];
    struct buf spaced;
    buf_init(&spaced, text->max);
    buf_append(&spaced, text->data, (size_t)(word - text->data));
    for (size_t i = 0; i < len; i++) {
        if (i > 0) {
            buf_append_char(&spaced, gap);
        }
        buf_append_char(&spaced, word[i]);
    }
    buf_append_str(&spaced, word + len);
    buf_clear(text);
    buf_append(text, spaced.data, spaced.len);
    buf_deinit(&spaced);
}

static void capitals(struct buf *text, struct rng *r)
{
    if (chance(r, CAPITALS_ALL)) {
        for (size_t i = 0; i < text->len; i++) {
            text->data[i] = (char)toupper((unsigned char)text->data[i]);
        }
    } else if (chance(r, CAPITAL_FIRST)) {
        text->data[0] = (char)toupper((unsigned char)text->data[0]);
        for (size_t i = 1; i + 1 < text->len; i++) {
            if (text->data[i] == 'i' && text->data[i - 1] == ' ' &&
                !is_letter(text->data[i + 1])) {
                text->data[i] = 'I';
            }
        }
    }
}

void roughen(const char *text, struct rng *r, struct buf *out)
{
    static const char *const ends[] = {"", "", "", ".", ".", ".", "!", "?", "?", "...", "!!"};
    buf_clear(out);
    buf_append_str(out, text);
    if (out->len == 0) {
        return;
    }
    capitals(out, r);
    buf_append_str(out, ends[rng_below(r, sizeof(ends) / sizeof(ends[0]))]);
    if (chance(r, TYPOS)) {
        slip(out, r);
    }
    if (chance(r, HIDDEN)) {
        hide(out, r);
    }
}
