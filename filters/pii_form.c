/* Ids with a fixed form. */
#include "filters/pii_scan.h"

/* ---- what stands around an id ---- */

/* Whether an id at `at` would be the rest of something longer: of a word, of one with a dash,
 * of a number with a point, of a phone number. */
static bool is_rest(const struct pii_scan *s, size_t at)
{
    int before = pii_before(s, at, 1);
    int further = pii_before(s, at, 2);
    return pii_is_alnum(before) || before == '+' ||
           (pii_is_one_of(before, "-_") && pii_is_alnum(further)) ||
           (pii_is_one_of(before, ".,:/") && pii_is_digit(further));
}

static enum finder_found form_ends(const struct pii_scan *s, size_t at)
{
    int c = pii_peek(s, at);
    if (pii_is_one_of(c, "-_.,:/")) {
        bool is_dash = c == '-' || c == '_';
        c = pii_peek(s, at + 1);
        if (c != PII_OPEN && !is_dash && !pii_is_digit(c)) {
            return FINDER_MATCH;
        }
    }
    if (c == PII_OPEN) {
        return FINDER_UNDECIDED;
    }
    return pii_is_alnum(c) ? FINDER_NONE : FINDER_MATCH;
}

static bool is_word_at(const char *text, size_t len, const char *word)
{
    size_t n = 0;
    for (; word[n]; n++) {
        if (n == len ||
            pii_upper((unsigned char)text[n]) != pii_upper((unsigned char)word[n])) {
            return false;
        }
    }
    return n == len || !pii_is_letter((unsigned char)text[n]);
}

/* A letter as a bit, in either case; all other bytes share one. */
static uint32_t letter_bit(char c)
{
    return pii_is_letter(c) ? (uint32_t)1 << (c & 31) : 1;
}

bool pii_has_word_before(const struct pii_scan *s, size_t at, const char *const *words)
{
    uint32_t first = 0;
    for (const char *const *word = words; *word; word++) {
        first |= letter_bit(**word);
    }
    for (size_t i = at > PII_WORDS ? at - PII_WORDS : 0; i < at; i++) {
        if (!(first & letter_bit(s->text[i])) || pii_is_alnum(pii_before(s, i, 1))) {
            continue;
        }
        for (const char *const *word = words; *word; word++) {
            if (is_word_at(s->text + i, at - i, *word)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- the form ---- */

/* Whether a byte fits into a shape, or -1 when the shape has a joint there. */
static int fits(char shape, int c)
{
    switch (shape) {
    case 'd':
        return pii_is_digit(c);
    case 'A':
        return c >= 'A' && c <= 'Z';
    case 'a':
        return pii_is_letter(c);
    case 'X':
        return pii_is_digit(c) || (c >= 'A' && c <= 'Z');
    case 'x':
        return pii_is_alnum(c);
    default:
        return -1;
    }
}

static enum finder_found scan_form(const struct pii_scan *s, const struct pii_form *form,
                                   size_t at, size_t *to)
{
    char id[PII_MAX_ID + 1];
    size_t len = 0;
    int joint = 0;
    size_t i = at;
    for (const char *shape = form->shape; *shape; shape++, i++) {
        int c = pii_peek(s, i);
        int is_fit = fits(*shape, c);
        if (is_fit > 0) {
            id[len++] = (char)pii_upper(c);
            continue;
        }
        if (c == PII_OPEN) {
            return FINDER_UNDECIDED;
        }
        if (is_fit == 0 || !(form->joints ? pii_is_one_of(c, form->joints) : c == *shape) ||
            (form->joints && joint && c != joint)) {
            return FINDER_NONE;
        }
        joint = c;
    }
    id[len] = '\0';
    if (form->is_valid && !form->is_valid(id, len)) {
        return FINDER_NONE;
    }
    *to = i;
    return form_ends(s, i);
}

enum finder_found pii_scan_forms(const struct pii_scan *s, const struct pii_form *forms,
                                 size_t at, size_t *to)
{
    if (is_rest(s, at)) {
        return FINDER_NONE;
    }
    /* Forms of one kind have much in common: what was looked for last. */
    const char *first = NULL;
    const char *const *words = NULL;
    bool has_first = true;
    bool has_word = false;
    enum finder_found found = FINDER_NONE;
    for (; forms->shape && found == FINDER_NONE; forms++) {
        if (forms->first != first) {
            first = forms->first;
            has_first = !first || pii_is_one_of(pii_upper((unsigned char)s->text[at]), first);
        }
        if (!has_first) {
            continue;
        }
        found = scan_form(s, forms, at, to);
        if (found == FINDER_NONE || !forms->words) {
            continue;
        }
        if (forms->words != words) {
            words = forms->words;
            has_word = pii_has_word_before(s, at, words);
        }
        found = has_word ? found : FINDER_NONE;
    }
    return found;
}
