/* vocabulary.c: the words that word tasks are about. */
#include "models/weir-tiny/corpus/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const nouns[] = {
#include "models/weir-tiny/corpus/words_nouns.inc"
};

static const char *const adjectives[] = {
#include "models/weir-tiny/corpus/words_adjectives.inc"
};

static const struct word_pair verbs[] = {
#include "models/weir-tiny/corpus/words_verbs.inc"
};

static const struct word_pair opposites[] = {
#include "models/weir-tiny/corpus/words_opposites.inc"
};

static const struct word_pair synonyms[] = {
#include "models/weir-tiny/corpus/words_synonyms.inc"
};

static const char *const rhymes[] = {
#include "models/weir-tiny/corpus/words_rhymes.inc"
};

static const struct word_category categories[] = {
#include "models/weir-tiny/corpus/words_categories.inc"
};

/* Nouns that do not add -s, -es or -ies. */
static const struct word_pair irregular_plurals[] = {
    {"child", "children"},  {"foot", "feet"},         {"tooth", "teeth"},
    {"goose", "geese"},     {"mouse", "mice"},        {"man", "men"},
    {"woman", "women"},     {"person", "people"},     {"sheep", "sheep"},
    {"fish", "fish"},       {"deer", "deer"},         {"wolf", "wolves"},
    {"leaf", "leaves"},     {"knife", "knives"},      {"loaf", "loaves"},
    {"half", "halves"},     {"shelf", "shelves"},     {"thief", "thieves"},
    {"calf", "calves"},     {"wife", "wives"},        {"potato", "potatoes"},
    {"tomato", "tomatoes"}, {"hero", "heroes"},       {"echo", "echoes"},
    {"ox", "oxen"},         {"dice", "dice"},         {"piano", "pianos"},
    {"mango", "mangoes"},   {"volcano", "volcanoes"}, {"scarf", "scarves"},
    {"elf", "elves"},       {"cactus", "cacti"},      {"mosquito", "mosquitoes"},
    {"crocus", "crocuses"},
};

static bool is_heldout(const char *word)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (; *word; word++) {
        h = (h ^ (unsigned char)*word) * 16777619u;
    }
    return (h >> 8) % 10 == 0;
}

static bool in_split(const char *word, enum corpus_split split)
{
    return is_heldout(word) == (split == CORPUS_HELDOUT);
}

static const char *draw(const char *const *words, size_t n, struct rng *r,
                        enum corpus_split split)
{
    const char *w;

    do {
        w = words[rng_below(r, (uint32_t)n)];
    } while (!in_split(w, split));
    return w;
}

const char *words_noun(struct rng *r, enum corpus_split split)
{
    return draw(nouns, CORPUS_COUNT(nouns), r, split);
}

const char *words_adjective(struct rng *r, enum corpus_split split)
{
    return draw(adjectives, CORPUS_COUNT(adjectives), r, split);
}

const char *words_verb(struct rng *r, enum corpus_split split)
{
    const char *w;

    do {
        w = CORPUS_PICK(r, verbs).first;
    } while (!in_split(w, split));
    return w;
}

const char *words_any(struct rng *r, enum corpus_split split)
{
    uint32_t die = rng_below(r, 10);

    return die < 6   ? words_noun(r, split)
           : die < 8 ? words_adjective(r, split)
                     : words_verb(r, split);
}

void words_invent(struct rng *r, enum corpus_split split, char out[WORD_MAX])
{
    static const char *const starts[] = {"b",  "d",  "f",  "g",  "k",  "l", "m",  "n",
                                         "p",  "r",  "s",  "t",  "v",  "z", "br", "dr",
                                         "gl", "pl", "sh", "st", "tr", "w", "j",  "h"};
    static const char *const middles[] = {"a", "e", "i", "o", "u", "a", "o", "ee", "oo"};
    static const char *const ends[] = {"", "", "n", "k", "l", "m", "p", "r", "t", "x"};

    do {
        uint32_t n = 2 + rng_below(r, 2);
        size_t len = 0;

        out[0] = '\0';
        for (uint32_t i = 0; i < n; i++) {
            /* Two statements: the arguments of one call are evaluated in any order. */
            const char *middle = CORPUS_PICK(r, middles);
            const char *start = CORPUS_PICK(r, starts);
            len += (size_t)snprintf(out + len, WORD_MAX - len, "%s%s", start, middle);
        }
        snprintf(out + len, WORD_MAX - len, "%s", CORPUS_PICK(r, ends));
    } while (!in_split(out, split));
}

static bool ends_with(const char *word, const char *end)
{
    size_t n = strlen(word), m = strlen(end);

    return n >= m && strcmp(word + n - m, end) == 0;
}

void words_plural(const char *noun, char out[WORD_MAX])
{
    size_t n = strlen(noun);

    for (size_t i = 0; i < CORPUS_COUNT(irregular_plurals); i++) {
        if (strcmp(noun, irregular_plurals[i].first) == 0) {
            corpus_copy(out, WORD_MAX, irregular_plurals[i].second);
            return;
        }
    }
    if (n > 1 && noun[n - 1] == 'y' && !strchr("aeiou", noun[n - 2])) {
        snprintf(out, WORD_MAX, "%.*sies", (int)(n - 1), noun);
    } else if (ends_with(noun, "s") || ends_with(noun, "x") || ends_with(noun, "ch") ||
               ends_with(noun, "sh") || ends_with(noun, "z")) {
        snprintf(out, WORD_MAX, "%ses", noun);
    } else {
        snprintf(out, WORD_MAX, "%ss", noun);
    }
}

const struct word_pair *words_verb_forms(struct rng *r)
{
    return &CORPUS_PICK(r, verbs);
}

const struct word_pair *words_opposites(struct rng *r)
{
    return &CORPUS_PICK(r, opposites);
}

const struct word_pair *words_synonyms(struct rng *r)
{
    return &CORPUS_PICK(r, synonyms);
}

/* The nth of the words parted by '|' in list. */
static void copy_nth(const char *list, uint32_t n, char out[WORD_MAX])
{
    size_t len;

    for (; n > 0; n--) {
        list = strchr(list, '|') + 1;
    }
    len = strcspn(list, "|");
    snprintf(out, WORD_MAX, "%.*s", (int)len, list);
}

static uint32_t count_list(const char *list)
{
    uint32_t n = 1;

    for (; *list; list++) {
        n += *list == '|';
    }
    return n;
}

void words_rhyme(struct rng *r, char first[WORD_MAX], char second[WORD_MAX])
{
    const char *group = CORPUS_PICK(r, rhymes);
    uint32_t n = count_list(group);
    uint32_t i = rng_below(r, n);

    /* The answer is always the next of the group: one rhyme a word is enough to know. */
    copy_nth(group, i, first);
    copy_nth(group, (i + 1) % n, second);
}

const struct word_category *words_category(struct rng *r)
{
    return &CORPUS_PICK(r, categories);
}

void words_member(const struct word_category *c, struct rng *r, char out[WORD_MAX])
{
    copy_nth(c->members, rng_below(r, count_list(c->members)), out);
}
