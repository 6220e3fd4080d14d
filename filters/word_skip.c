#include "filters/word_skip.h"

#include <string.h>

#include "filters/ascii_mask.h"
#include "filters/letters.h"
#include "filters/word_set.h"
#include "runtime/base/mem.h"

#define KEY_BYTES     8u
#define BITS_PER_WORD 32u
#define MIN_LOG2_BITS 12u

/* Multiplicative hashing (Knuth, "The Art of Computer Programming", 6.4): odd constants, the
 * first is 2^64 divided by the golden ratio. */
#define HASH_BYTES UINT64_C(0x9E3779B97F4A7C15)
#define HASH_LEN   UINT64_C(0xD6E8FEB86659FD93)

/* Joins the cases of letters, and a few other characters with each other, which only makes
 * more places worth a look. */
#define FOLD_BYTES UINT64_C(0x2020202020202020)

static bool has_bit(const struct word_skip *skip, const uint64_t *bitmap, uint64_t hash)
{
    uint64_t bit = hash >> skip->shift;
    return bitmap[bit >> 6] >> (bit & 63) & 1;
}

static void set_bit(const struct word_skip *skip, uint64_t *bitmap, uint64_t hash)
{
    uint64_t bit = hash >> skip->shift;
    bitmap[bit >> 6] |= UINT64_C(1) << (bit & 63);
}

/* Two bits stand for what is in a bitmap (Bloom, "Space/time trade-offs in hash coding with
 * allowable errors", CACM 13, 1970), so that it is one word of 300 that is taken for another.
 */
static uint64_t second_hash(uint64_t hash)
{
    return (hash ^ hash >> 32) * HASH_LEN;
}

static bool is_in(const struct word_skip *skip, const uint64_t *bitmap, uint64_t hash)
{
    return has_bit(skip, bitmap, hash) && has_bit(skip, bitmap, second_hash(hash));
}

static void put_in(const struct word_skip *skip, uint64_t *bitmap, uint64_t hash)
{
    set_bit(skip, bitmap, hash);
    set_bit(skip, bitmap, second_hash(hash));
}

/* ---- whole words ---- */

static uint64_t load_key(const char *bytes)
{
    uint64_t key;
    memcpy(&key, bytes, sizeof(key));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    key = __builtin_bswap64(key);
#endif
    return key;
}

/* `bytes` has 8 readable ones, of which the word's are the first. */
static uint64_t hash_word(const struct word_skip *skip, const char *bytes, size_t len)
{
    uint64_t key = load_key(bytes) | (skip->ignores_case ? FOLD_BYTES : 0);
    key &= len < KEY_BYTES ? (UINT64_C(1) << 8 * len) - 1 : ~UINT64_C(0);
    return (key ^ len * HASH_LEN) * HASH_BYTES;
}

static uint64_t hash_pair(uint64_t first, uint64_t second)
{
    return (first + second * 3) * HASH_BYTES;
}

/* Hashes the word between the mark at symbols[*at] and the next one, where *at goes. False when
 * it is not all ASCII: such a word is found only where the text has characters beyond ASCII. */
static bool read_word(const struct word_skip *skip, const unsigned char *symbols, size_t len,
                      size_t *at, uint64_t *hash)
{
    char key[KEY_BYTES] = {0};
    size_t n = 0;
    bool is_ascii = true;
    for (++*at; *at < len && symbols[*at] != WORD_MARK; n++, ++*at) {
        is_ascii = is_ascii && symbols[*at] < 0x80;
        if (n < KEY_BYTES) {
            key[n] = (char)symbols[*at];
        }
    }
    *hash = hash_word(skip, key, n);
    return is_ascii;
}

static void add_whole(struct word_skip *skip, const unsigned char *symbols, size_t len)
{
    if (symbols[0] != WORD_MARK) {
        if (symbols[0] < 0x80) {
            skip->starts[symbols[0]] = 1;
            skip->has_starts = true;
        }
        return;
    }
    size_t at = 0;
    uint64_t first;
    uint64_t second;
    if (!read_word(skip, symbols, len, &at, &first)) {
        return;
    }
    put_in(skip, skip->firsts, first);
    for (at++; at < len && symbols[at] != WORD_MARK; at++) {
    }
    if (at >= len) {
        put_in(skip, skip->singles, first);
    } else if (read_word(skip, symbols, len, &at, &second)) {
        put_in(skip, skip->pairs, hash_pair(first, second));
    }
}

/* 64 bytes of text and those that a key at their end needs; behind the end of the text stand
 * letters, so that its last word has no end. */
struct block {
    const char *bytes;
    char copy[ASCII_MASK_BYTES + KEY_BYTES];
};

static void block_at(struct block *block, const char *text, size_t left)
{
    block->bytes = text;
    if (left < sizeof(block->copy)) {
        memset(block->copy, 'a', sizeof(block->copy));
        memcpy(block->copy, text, left);
        block->bytes = block->copy;
    }
}

static uint64_t starts_in(const struct word_skip *skip, const char *bytes)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < ASCII_MASK_BYTES; i++) {
        unsigned char c = (unsigned char)bytes[i];
        mask |= (uint64_t)(c < 0x80 && skip->starts[c]) << i;
    }
    return mask;
}

/* What the list has to do with a word of the text. */
enum verdict {
    VERDICT_NONE,     /* none of the list begins with it */
    VERDICT_MAY,      /* one may */
    VERDICT_SHOW_MORE /* what follows has to be seen */
};

/* The word at the first bit of `begins`: its hash, unless a character beyond ASCII may go on
 * with it. */
static inline enum verdict read_text_word(const struct word_skip *skip, const char *bytes,
                                          struct ascii_mask mask, uint64_t begins,
                                          uint64_t *hash)
{
    if (!begins) {
        return VERDICT_SHOW_MORE;
    }
    unsigned from = (unsigned)__builtin_ctzll(begins);
    uint64_t gaps = ~mask.word >> from;
    if (!gaps) {
        return VERDICT_SHOW_MORE;
    }
    unsigned len = (unsigned)__builtin_ctzll(gaps);
    *hash = hash_word(skip, bytes + from, len);
    return mask.high >> (from + len) & 1 ? VERDICT_MAY : VERDICT_NONE;
}

/* Of a word that something on the list begins with, by the one after it. */
static enum verdict judge_second(const struct word_skip *skip, const char *bytes,
                                 struct ascii_mask mask, uint64_t begins, uint64_t first)
{
    uint64_t second;
    if (is_in(skip, skip->singles, first)) {
        return VERDICT_MAY;
    }
    enum verdict verdict = read_text_word(skip, bytes, mask, begins & (begins - 1), &second);
    return verdict == VERDICT_NONE && is_in(skip, skip->pairs, hash_pair(first, second))
               ? VERDICT_MAY
               : verdict;
}

/* Goes from one of the words that begin at these bits to the next, as long as nothing on the
 * list begins with them. */
static enum verdict judge_words(const struct word_skip *skip, const char *bytes,
                                struct ascii_mask mask, uint64_t *begins)
{
    for (; *begins; *begins &= *begins - 1) {
        uint64_t hash;
        enum verdict verdict = read_text_word(skip, bytes, mask, *begins, &hash);
        if (verdict == VERDICT_NONE && is_in(skip, skip->firsts, hash)) {
            verdict = judge_second(skip, bytes, mask, *begins, hash);
        }
        if (verdict != VERDICT_NONE) {
            return verdict;
        }
    }
    return VERDICT_NONE;
}

static size_t skip_whole(const struct word_skip *skip, const char *text, size_t len,
                         bool in_word)
{
    struct block block;
    size_t at = 0;
    while (at < len) {
        block_at(&block, text + at, len - at);
        struct ascii_mask mask = ascii_mask_of(block.bytes);
        uint64_t stops = mask.high | (skip->has_starts ? starts_in(skip, block.bytes) : 0);
        uint64_t before_stop = stops ? (stops & (0 - stops)) - 1 : ~UINT64_C(0);
        uint64_t begins = mask.word & ~(mask.word << 1 | in_word) & before_stop;
        enum verdict verdict = judge_words(skip, block.bytes, mask, &begins);
        size_t from = begins ? (size_t)__builtin_ctzll(begins) : 0;
        if (verdict == VERDICT_SHOW_MORE && from > 0 && len - at > ASCII_MASK_BYTES) {
            at += from; /* the next block begins with it */
            in_word = false;
        } else if (verdict != VERDICT_NONE) {
            return at + from < len ? at + from : len;
        } else if (stops) {
            return at + (unsigned)__builtin_ctzll(stops);
        } else {
            at += ASCII_MASK_BYTES;
            in_word = mask.word >> (ASCII_MASK_BYTES - 1) & 1;
        }
    }
    return len;
}

/* ---- parts of words ---- */

#define HIGH_BITS UINT64_C(0x8080808080808080)
#define MAX_REACH 4u
#define PER_LOAD  4u /* places that one load of eight bytes shows all of */

static uint64_t hash_part(const struct word_skip *skip, uint64_t bytes)
{
    return (bytes & ~UINT64_C(0) >> (64 - 8 * skip->reach)) * HASH_BYTES;
}

static void add_part(struct word_skip *skip, const unsigned char *symbols)
{
    char key[KEY_BYTES] = {0};
    memcpy(key, symbols, skip->reach);
    uint64_t bytes = load_key(key);
    if (bytes & HIGH_BITS) {
        return; /* found only where the text has characters beyond ASCII */
    }
    put_in(skip, skip->firsts, hash_part(skip, bytes | (skip->ignores_case ? FOLD_BYTES : 0)));
}

/* The first of so many places of what was loaded that has to be looked at, or `count`. */
static size_t find_part(const struct word_skip *skip, uint64_t bytes, size_t count)
{
    bytes |= skip->ignores_case ? FOLD_BYTES : 0;
    for (size_t i = 0; i < count; i++, bytes >>= 8) {
        if (is_in(skip, skip->firsts, hash_part(skip, bytes))) {
            return i;
        }
    }
    return count;
}

/* Eight bytes at a time. What stands behind the end of the text, or is beyond ASCII, may become
 * anything: a place from where that would be looked up is not skipped. */
static size_t skip_parts(const struct word_skip *skip, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        char copy[KEY_BYTES];
        const char *bytes = text + at;
        size_t shown = KEY_BYTES;
        if (len - at < KEY_BYTES) {
            shown = len - at;
            memset(copy, 0, sizeof(copy));
            memcpy(copy, bytes, shown);
            bytes = copy;
        }
        uint64_t loaded = load_key(bytes);
        uint64_t high = loaded & HIGH_BITS;
        if (high) {
            shown = (unsigned)__builtin_ctzll(high) / 8;
        }
        size_t count = shown < skip->reach ? 0 : shown - skip->reach + 1;
        size_t found = find_part(skip, loaded, count < PER_LOAD ? count : PER_LOAD);
        at += found;
        if (found < PER_LOAD) {
            return at;
        }
    }
    return len;
}

/* ---- both ---- */

int word_skip_init(struct word_skip *skip, bool ignores_case, bool whole_words, size_t count,
                   size_t shortest)
{
    unsigned bits = MIN_LOG2_BITS;
    while (UINT64_C(1) << bits < (uint64_t)count * BITS_PER_WORD) {
        bits++;
    }
    *skip = (struct word_skip){
        .ignores_case = ignores_case,
        .whole_words = whole_words,
        .reach = shortest < MAX_REACH ? shortest : MAX_REACH,
        .shift = 64 - bits,
    };
    size_t length = (size_t)1 << (bits - 6);
    skip->firsts = mem_zarray(3 * length, sizeof(*skip->firsts));
    if (!skip->firsts) {
        return -1;
    }
    skip->singles = skip->firsts + length;
    skip->pairs = skip->singles + length;
    return 0;
}

void word_skip_deinit(struct word_skip *skip)
{
    mem_free(skip->firsts);
    skip->firsts = NULL;
}

void word_skip_add(struct word_skip *skip, const unsigned char *symbols, size_t len)
{
    if (skip->whole_words) {
        add_whole(skip, symbols, len);
    } else {
        add_part(skip, symbols);
    }
}

size_t word_skip_over(const struct word_skip *skip, const char *text, size_t len, bool in_word)
{
    return skip->whole_words ? skip_whole(skip, text, len, in_word)
                             : skip_parts(skip, text, len);
}
