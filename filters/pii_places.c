/* Places where kinds of personal data may begin. */
#include "filters/byte_mask.h"
#include "filters/pii_scan.h"

/* Letters that may stand before the first digit of an id; what has more is a word. */
#define MAX_LETTERS 7u
#define MAX_PREFIX  2u /* letters before a blank or dash */
/* Bytes between the dots of a MAC address, the second of them included. */
#define PAIR 5u
/* Bytes of a block that are looked at: a pair that begins later may end behind it. */
#define STEP (BYTE_MASK_BLOCK - PAIR)
/* Bytes from a place to the end of what points to it, at most. Nearer to the end of the text
 * than that, all words are places. */
#define MAX_AHEAD 16u

static bool is_letter_class(char shape)
{
    return shape == 'a' || shape == 'A';
}

static bool is_open_class(char shape)
{
    return shape == 'x' || shape == 'X';
}

static bool is_class(char shape)
{
    return shape == 'd' || is_letter_class(shape) || is_open_class(shape);
}

/* ---- what a form begins with ---- */

static void add_first(struct pii_places *places, uint64_t bit, const struct pii_form *form)
{
    for (const char *c = form->first; c && *c; c++) {
        places->first[(unsigned char)*c] |= bit;
        places->first[pii_is_letter(*c) ? *c - 'A' + 'a' : *c] |= bit;
    }
    if (form->first) {
        return;
    }
    char shape = form->shape[0];
    for (int c = '0'; c <= '9'; c++) {
        places->first[c] |= shape == 'd' || is_open_class(shape) ? bit : 0;
    }
    for (int c = 'A'; c <= 'Z'; c++) {
        places->first[c] |= shape != 'd' ? bit : 0;
        places->first[c - 'A' + 'a'] |= shape == 'a' || shape == 'x' ? bit : 0;
    }
}

/* The longest and shortest run of one class that a shape may begin with. */
static void count_run(const char *shape, bool (*is_certain)(char shape), size_t *least,
                      size_t *most)
{
    for (*least = 0; is_certain(shape[*least]);) {
        ++*least;
    }
    for (*most = *least; is_certain(shape[*most]) || is_open_class(shape[*most]);) {
        ++*most;
    }
}

static bool is_digit_class(char shape)
{
    return shape == 'd';
}

/* What may follow the first run: a joint, letters, or nothing when the shape is digits only. */
static void add_next(struct pii_places *places, uint64_t bit, const struct pii_form *form,
                     size_t run)
{
    char c = form->shape[run];
    if (!c) {
        places->whole[run < PII_LONGEST ? run : PII_LONGEST] |= bit;
    } else if (!is_class(c)) {
        char own[2] = {c, '\0'};
        for (const char *joint = form->joints ? form->joints : own; *joint; joint++) {
            places->next[(unsigned char)*joint] |= bit;
        }
    }
    for (int letter = 'A'; c && letter <= 'Z'; letter++) {
        places->next[letter] |= bit;
        places->next[letter - 'A' + 'a'] |= bit;
    }
}

static void add_lengths(uint64_t *exact, uint64_t *more, uint64_t bit, uint32_t lengths)
{
    for (size_t n = 0; n <= PII_LONGEST; n++) {
        exact[n] |= lengths >> n & 1 ? bit : 0;
        more[n] |= lengths >> n ? bit : 0;
    }
}

static void add_form(struct pii_places *places, uint64_t bit, const struct pii_form *form)
{
    size_t least, most;
    add_first(places, bit, form);
    count_run(form->shape, is_digit_class, &least, &most);
    if (most > 0) {
        add_lengths(places->digits, places->more_digits, bit, PII_LENGTHS(least, most));
        for (size_t run = least; run <= most; run++) {
            add_next(places, bit, form, run);
        }
    }
    count_run(form->shape, is_letter_class, &least, &most);
    if (most > 0) {
        add_lengths(places->letters, places->more_letters, bit, PII_LENGTHS(least, most));
    }
}

void pii_places_add(struct pii_places *places, size_t index, const struct pii_kind *kind)
{
    uint64_t bit = (uint64_t)1 << index;
    for (const struct pii_form *form = kind->forms; form && form->shape; form++) {
        add_form(places, bit, form);
    }
    if (!kind->scan) {
        return;
    }
    const struct pii_lead *lead = &kind->lead;
    for (const char *c = lead->first; *c; c++) {
        places->first[(unsigned char)*c] |= bit;
    }
    for (const char *c = lead->next; *c; c++) {
        places->next[(unsigned char)*c] |= bit;
    }
    add_lengths(places->digits, places->more_digits, bit, lead->digits);
    add_lengths(places->letters, places->more_letters, bit, lead->letters);
    for (size_t n = 0; n <= PII_LONGEST; n++) {
        places->whole[n] |= lead->whole >> n & 1 ? bit : 0;
    }
}

/* ---- what begins at a place ---- */

static size_t run_length(const struct pii_scan *s, size_t at, bool (*is_in)(int c))
{
    size_t n = 0;
    while (n < PII_LONGEST && at + n < s->len && is_in((unsigned char)s->text[at + n])) {
        n++;
    }
    return n;
}

static uint64_t kinds_at(const struct pii_places *places, const struct pii_scan *s, size_t at)
{
    unsigned char c = (unsigned char)s->text[at];
    uint64_t kinds = places->first[c];
    if (!kinds || !pii_is_alnum(c)) {
        return kinds;
    }
    bool is_digit = pii_is_digit(c);
    size_t n = run_length(s, at, is_digit ? pii_is_digit : pii_is_letter);
    int next = n < PII_LONGEST ? pii_peek(s, at + n) : PII_END;
    if (next == PII_OPEN) {
        return kinds & (is_digit ? places->more_digits[n] : places->more_letters[n]);
    }
    if (!is_digit) {
        return kinds & places->letters[n];
    }
    uint64_t fit = places->whole[n] | (next > 0 ? places->next[next] : 0);
    return kinds & places->digits[n] & (n < PII_LONGEST ? fit : UINT64_MAX);
}

/* The beginning of the word of letters and digits that text[at] is part of, or SIZE_MAX when
 * that is more than MAX_LETTERS before it. */
static size_t word_begin(const struct pii_scan *s, size_t at)
{
    size_t begin = at;
    while (begin > 0 && pii_is_alnum((unsigned char)s->text[begin - 1])) {
        if (at - --begin > MAX_LETTERS) {
            return SIZE_MAX;
        }
    }
    return begin;
}

/* The word of one or two letters before a number that a blank or dash joins to it, or `begin`:
 * ids such as "AB 12 34 56 C" begin with it. */
static size_t prefix_begin(const struct pii_scan *s, size_t begin)
{
    if (!pii_is_one_of(pii_before(s, begin, 1), " -") ||
        !pii_is_letter(pii_before(s, begin, 2))) {
        return begin;
    }
    size_t prefix = word_begin(s, begin - 2);
    return prefix == SIZE_MAX || begin - 1 - prefix > MAX_PREFIX ? begin : prefix;
}

/* The first place not before `from` that the byte at `at` points to, or SIZE_MAX. A joint or a
 * colon points to the word before it, a colon without one to itself; a digit to the word that
 * it stands in, and to a sign or a prefix before that. */
static size_t place_of(const struct pii_scan *s, size_t at, size_t from)
{
    bool is_digit = pii_is_digit(s->text[at]);
    if (!is_digit && !pii_is_alnum(pii_before(s, at, 1))) {
        return at >= from ? at : SIZE_MAX;
    }
    size_t begin = word_begin(s, is_digit ? at : at - 1);
    if (begin == SIZE_MAX) {
        return SIZE_MAX;
    }
    size_t prefix = prefix_begin(s, begin);
    if (prefix < begin && prefix >= from) {
        return prefix;
    }
    if (begin > from && pii_is_one_of((unsigned char)s->text[begin - 1], "+(")) {
        return begin - 1;
    }
    return begin >= from ? begin : SIZE_MAX;
}

static bool is_spot(const struct pii_places *places, const struct pii_scan *s, size_t place,
                    struct finder_spot *spot)
{
    *spot = (struct finder_spot){.at = place, .rules = kinds_at(places, s, place)};
    return spot->rules != 0;
}

/* Digits, colons, and the first of two dashes or dots between which a group of a MAC address
 * fits. */
static uint64_t find_pointers(const char *block)
{
    uint64_t joints = byte_mask_range(block, '-', '.');
    uint64_t pointers = byte_mask_range(block, '0', ':');
    return (pointers | (joints & (joints >> 3 | joints >> PAIR))) & (((uint64_t)1 << STEP) - 1);
}

/* The first place in [from, end) that a byte points to. */
static bool spot_pointed(const struct pii_places *places, const struct pii_scan *s, size_t from,
                         size_t end, struct finder_spot *spot)
{
    size_t until = s->len - end > MAX_AHEAD ? end + MAX_AHEAD : s->len;
    for (size_t block = from; block < until; block += STEP) {
        char copy[BYTE_MASK_BLOCK];
        const char *bytes = byte_mask_block(s->text + block, s->len - block, copy);
        for (uint64_t mask = find_pointers(bytes); mask; mask &= mask - 1) {
            size_t at = block + (size_t)__builtin_ctzll(mask);
            size_t place;
            for (; (place = place_of(s, at, from)) < end; from = place + 1) {
                if (is_spot(places, s, place, spot)) {
                    return true;
                }
            }
        }
    }
    return false;
}

bool pii_places_spot(const struct pii_places *places, const struct pii_scan *s, size_t at,
                     size_t end, struct finder_spot *spot)
{
    size_t tail = s->has_ended ? s->len : s->len - (s->len < MAX_AHEAD ? s->len : MAX_AHEAD);
    size_t pointed_end = tail < end ? tail : end;
    if (at < pointed_end && spot_pointed(places, s, at, pointed_end, spot)) {
        return true;
    }
    for (size_t place = at > tail ? at : tail; place < end; place++) {
        bool is_inside = pii_is_alnum((unsigned char)s->text[place]) &&
                         pii_is_alnum(pii_before(s, place, 1));
        if (!is_inside && is_spot(places, s, place, spot)) {
            return true;
        }
    }
    return false;
}
