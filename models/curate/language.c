#include "models/curate/language.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include "models/curate/words.h"
#include "runtime/base/fnv.h"
#include "runtime/base/utf8.h"

enum script {
    LATIN,
    CYRILLIC,
    GREEK,
    ARABIC,
    HEBREW,
    DEVANAGARI,
    THAI,
    HANGUL,
    KANA,
    HAN,
    SCRIPTS,
    OTHER = SCRIPTS,
};

struct language {
    const char *code;
    enum script script;
    const char *words, *letters; /* parted by blanks */
};

#define LANGUAGE(code, script, words, letters) {code, script, words, letters},
static const struct language languages[] = {
    {"unknown", OTHER, "", ""},
#include "models/curate/language_words.inc"
};
#undef LANGUAGE

#define LANGUAGES     (sizeof(languages) / sizeof(languages[0]))
#define WORD_MAX      32    /* bytes */
#define SAMPLE_BYTES  20000 /* of a text that are looked at */
#define ENOUGH_SHARE  0.10  /* of the words must speak for a language ... */
#define ENOUGH_SCORE  2.1   /* ... by so much, and ... */
#define ENOUGH_LEAD   1.25  /* ... so much more than for the next */
#define LETTER_WEIGHT 0.5
#define VOTES_MAX     2 /* of one word: "ho ho ho" is not Italian */
#define WORDS_MIN     6

const char *language_code(int language)
{
    return languages[language].code;
}

size_t language_count(void)
{
    return LANGUAGES;
}

int language_find(const char *code, size_t len)
{
    for (size_t i = 1; i < LANGUAGES; i++) {
        if (strlen(languages[i].code) == len && memcmp(languages[i].code, code, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static enum script script_of(uint32_t c)
{
    static const struct {
        uint32_t first, last;
        enum script script;
    } ranges[] = {
        {'A', 'Z', LATIN},        {'a', 'z', LATIN},          {0xc0, 0x24f, LATIN},
        {0x370, 0x3ff, GREEK},    {0x400, 0x52f, CYRILLIC},   {0x590, 0x5ff, HEBREW},
        {0x600, 0x77f, ARABIC},   {0x900, 0x97f, DEVANAGARI}, {0xe00, 0xe7f, THAI},
        {0x1100, 0x11ff, HANGUL}, {0x1e00, 0x1eff, LATIN},    {0x3040, 0x30ff, KANA},
        {0x3400, 0x9fff, HAN},    {0xac00, 0xd7af, HANGUL},   {0x20000, 0x3ffff, HAN},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (c >= ranges[i].first && c <= ranges[i].last) {
            return ranges[i].script;
        }
    }
    return OTHER;
}

/* Items to the languages that have them: bit i for language i. Made once. */
#define TABLE_SIZE 8192

static struct {
    uint64_t keys[TABLE_SIZE]; /* 0: free */
    uint32_t masks[TABLE_SIZE];
} table;

static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static uint64_t item_key(const char *item, size_t len, bool is_letter)
{
    return words_mix(fnv64(is_letter ? 3 : 5, item, len)) | 1;
}

static uint32_t *table_slot(uint64_t key)
{
    size_t i = (size_t)(key >> 32) % TABLE_SIZE;
    while (table.keys[i] && table.keys[i] != key) {
        i = (i + 1) % TABLE_SIZE;
    }
    table.keys[i] = key;
    return &table.masks[i];
}

/* The slot of the key, or a free one. */
static size_t table_find(uint64_t key)
{
    size_t i = (size_t)(key >> 32) % TABLE_SIZE;
    while (table.keys[i] && table.keys[i] != key) {
        i = (i + 1) % TABLE_SIZE;
    }
    return i;
}

static void table_add_list(const char *list, bool is_letter, uint32_t bit)
{
    for (size_t n; *list; list += n + (list[n] == ' ')) {
        n = strcspn(list, " ");
        *table_slot(item_key(list, n, is_letter)) |= bit;
    }
}

static void table_make(void)
{
    for (size_t i = 1; i < LANGUAGES; i++) {
        table_add_list(languages[i].words, false, (uint32_t)1 << i);
        table_add_list(languages[i].letters, true, (uint32_t)1 << i);
    }
}

struct ballot {
    double scores[LANGUAGES];
    uint8_t votes[TABLE_SIZE]; /* by slot */
};

/* An item counts in inverse proportion to the languages that have it. */
static void vote(struct ballot *b, enum script script, const char *item, size_t len,
                 bool is_letter, double weight)
{
    size_t at = table_find(item_key(item, len, is_letter));
    uint32_t mask = table.keys[at] ? table.masks[at] : 0;
    if (mask == 0 || b->votes[at] >= (is_letter ? UINT8_MAX : VOTES_MAX)) {
        return;
    }
    b->votes[at]++;
    double share = weight / __builtin_popcount(mask);
    for (size_t i = 1; i < LANGUAGES; i++) {
        if ((mask >> i & 1) && languages[i].script == script) {
            b->scores[i] += share;
        }
    }
}

static int by_words(const char *text, size_t len, enum script script)
{
    pthread_once(&table_once, table_make);
    struct ballot b = {0};
    const double *scores = b.scores;
    char word[WORD_MAX + 5];
    size_t n = 0, words = 0;
    bool is_too_long = false;
    for (size_t at = 0; at <= len;) {
        uint32_t c = ' ';
        int size = at < len ? utf8_decode(text + at, len - at, &c) : 1;
        if (size <= 0) {
            break;
        }
        at += (size_t)size;
        bool in_word = script_of(c) == script || (c == '\'' && n > 0);
        if (in_word && n < WORD_MAX) {
            char letter[5] = {0};
            int bytes = utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), letter);
            memcpy(word + n, letter, (size_t)bytes);
            n += (size_t)bytes;
            if (bytes > 1) {
                vote(&b, script, letter, (size_t)bytes, true, LETTER_WEIGHT);
            }
        } else if (in_word) {
            is_too_long = true;
        } else if (n > 0) {
            word[n] = '\0';
            words++;
            if (!is_too_long) {
                vote(&b, script, word, n, false, 1);
            }
            n = 0;
            is_too_long = false;
        }
    }
    size_t best = 0;
    double second = 0;
    for (size_t i = 1; i < LANGUAGES; i++) {
        if (scores[i] > scores[best]) {
            second = scores[best];
            best = i;
        } else if (scores[i] > second) {
            second = scores[i];
        }
    }
    bool is_clear = words >= WORDS_MIN && scores[best] >= ENOUGH_SCORE &&
                    scores[best] >= ENOUGH_SHARE * (double)words &&
                    scores[best] >= ENOUGH_LEAD * second;
    return is_clear ? (int)best : LANGUAGE_UNKNOWN;
}

int language_identify(const char *text, size_t len)
{
    size_t counts[SCRIPTS + 1] = {0}, all = 0;
    len = len < SAMPLE_BYTES ? len : SAMPLE_BYTES;
    for (size_t at = 0; at < len;) {
        uint32_t c;
        int n = utf8_decode(text + at, len - at, &c);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
        enum script script = script_of(c);
        counts[script]++;
        all += script != OTHER;
    }
    /* Japanese has both; a tenth of kana tells it from Chinese. */
    if (10 * counts[KANA] >= counts[HAN] + counts[KANA] && counts[KANA] > 0) {
        counts[KANA] += counts[HAN];
        counts[HAN] = 0;
    }
    enum script main_script = LATIN;
    for (size_t s = 0; s < SCRIPTS; s++) {
        main_script = counts[s] > counts[main_script] ? (enum script)s : main_script;
    }
    if (all < 6 || 3 * counts[main_script] < 2 * all) {
        return LANGUAGE_UNKNOWN;
    }
    if (main_script == LATIN || main_script == CYRILLIC) {
        return by_words(text, len, main_script);
    }
    for (size_t i = 1; i < LANGUAGES; i++) {
        if (languages[i].script == main_script) {
            return (int)i;
        }
    }
    return LANGUAGE_UNKNOWN;
}
