/* Places where secrets may begin. */
#include "filters/byte_mask.h"
#include "filters/secret_scan.h"

/* Bytes of a block that are looked at: a run that begins later may end behind it. */
#define STEP (BYTE_MASK_BLOCK - SECRET_MIN_TOKEN + 1)

/* Signs before a value, at most. */
#define MAX_BEHIND 32u

#define DASHES 5u /* before BEGIN */

/* The first of `count` bits in a row. */
static uint64_t rows_of_bits(uint64_t mask, unsigned count)
{
    for (unsigned done = 1; done < count;) {
        unsigned step = done < count - done ? done : count - done;
        mask &= mask >> step;
        done += step;
    }
    return mask;
}

static uint64_t word_bytes(const char *block)
{
    return byte_mask_range(block, '0', '9') | byte_mask_range(block, 'A', 'Z') |
           byte_mask_range(block, 'a', 'z') | byte_mask_range(block, '_', '_');
}

/* The bytes that point to places: where a run without blanks that is as long as a token begins
 * behind a word's end; five dashes; signs that give a value. */
static uint64_t find_pointers(const char *block, bool is_in_word)
{
    uint64_t dashes = rows_of_bits(byte_mask_range(block, '-', '-'), DASHES);
    uint64_t signs = byte_mask_range(block, ':', '>');
    uint64_t runs = rows_of_bits(byte_mask_range(block, '!', '~'), SECRET_MIN_TOKEN);
    if (runs) {
        runs &= ~(word_bytes(block) << 1 | is_in_word);
    }
    return (dashes | signs | runs) & (((uint64_t)1 << STEP) - 1);
}

static uint64_t rules_at(const struct pii_scan *s, size_t at, uint64_t wanted)
{
    uint64_t private_key = (uint64_t)1 << secret_rule_private_key();
    uint64_t assignment = (uint64_t)1 << secret_rule_assignment();
    uint64_t rules = secret_token_rules(s, at, wanted);
    rules |= s->text[at] == '-' ? wanted & private_key : 0;
    if ((wanted & assignment) && secret_is_value(s, at)) {
        rules |= assignment;
    }
    return rules;
}

static bool is_word_byte(int c)
{
    return pii_is_alnum(c) || c == '_';
}

static bool is_spot(const struct pii_scan *s, size_t place, uint64_t wanted,
                    struct finder_spot *spot)
{
    if (is_word_byte(pii_before(s, place, 1)) && s->text[place] != '-') {
        return false;
    }
    *spot = (struct finder_spot){.at = place, .rules = rules_at(s, place, wanted)};
    return spot->rules != 0;
}

static bool is_sign(char c)
{
    return c >= ':' && c <= '>';
}

/* The first place in [from, end) that a byte points to. */
static bool spot_pointed(const struct pii_scan *s, uint64_t wanted, size_t from, size_t end,
                         struct finder_spot *spot)
{
    for (size_t block = from > MAX_BEHIND ? from - MAX_BEHIND : 0; block < end; block += STEP) {
        char copy[BYTE_MASK_BLOCK];
        const char *bytes = byte_mask_block(s->text + block, s->len - block, copy);
        uint64_t mask = find_pointers(bytes, is_word_byte(pii_before(s, block, 1)));
        for (; mask; mask &= mask - 1) {
            size_t at = block + (size_t)__builtin_ctzll(mask);
            size_t place = is_sign(s->text[at]) ? secret_value_begin(s, at) : at;
            if (place < from || place >= end) {
                continue;
            }
            if (is_spot(s, place, wanted, spot)) {
                return true;
            }
            from = place + 1;
        }
    }
    return false;
}

bool secret_spot(const struct pii_scan *s, uint64_t wanted, size_t at, size_t end,
                 struct finder_spot *spot)
{
    size_t near = s->len < SECRET_MIN_TOKEN ? s->len : SECRET_MIN_TOKEN;
    size_t tail = s->has_ended ? s->len : s->len - near;
    size_t pointed_end = tail < end ? tail : end;
    if (at < pointed_end && spot_pointed(s, wanted, at, pointed_end, spot)) {
        return true;
    }
    for (size_t place = at > tail ? at : tail; place < end; place++) {
        if (is_spot(s, place, wanted, spot)) {
            return true;
        }
    }
    return false;
}
