#include "models/weir-tiny/corpus/wording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELDOUT_MARK '~'

static size_t alternative_len(const char *s)
{
    return strcspn(s, "|");
}

/* The alternative after the one at s, or NULL. */
static const char *alternative_next(const char *s)
{
    const char *end = s + alternative_len(s);

    return *end ? end + 1 : NULL;
}

static uint32_t count_marked(const char *list, bool marked)
{
    uint32_t n = 0;

    for (const char *s = list; s; s = alternative_next(s)) {
        n += (*s == HELDOUT_MARK) == marked;
    }
    return n;
}

void wording_draw(char out[WORDING_MAX], const char *list, struct rng *r,
                  enum corpus_split split)
{
    bool marked = split == CORPUS_HELDOUT && count_marked(list, true) > 0;
    uint32_t left = rng_below(r, count_marked(list, marked));
    const char *s = list;
    size_t len;

    while ((*s == HELDOUT_MARK) != marked || left-- > 0) {
        s = alternative_next(s);
    }
    s += marked;
    len = alternative_len(s);
    if (len >= WORDING_MAX) {
        fprintf(stderr, "corpus: wording too long: %.60s\n", s);
        exit(1);
    }
    memcpy(out, s, len);
    out[len] = '\0';
}

void wording_exchange(const struct wording_row *row, struct rng *r, enum corpus_split split,
                      const char *skill, struct exchange *out)
{
    char text[WORDING_MAX];

    wording_draw(text, row->questions, r, split);
    corpus_copy(out->user, sizeof(out->user), text);
    wording_draw(text, row->answers, r, split);
    corpus_copy(out->answer, sizeof(out->answer), text);
    corpus_copy(out->terse, sizeof(out->terse), row->terse ? row->terse : text);
    out->skill = skill;
    out->topic = row->topic ? row->topic : "";
}

const char *wording_article(const char *noun)
{
    /* Vowel letters that sound like consonants and the reverse, as far as our words have them.
     */
    static const char *const a_words[] = {"unicorn", "uniform", "university",
                                          "euro",    "one",     "useful"};
    static const char *const an_words[] = {"hour", "honest"};

    for (size_t i = 0; i < CORPUS_COUNT(a_words); i++) {
        if (strncmp(noun, a_words[i], strlen(a_words[i])) == 0) {
            return "a";
        }
    }
    for (size_t i = 0; i < CORPUS_COUNT(an_words); i++) {
        if (strncmp(noun, an_words[i], strlen(an_words[i])) == 0) {
            return "an";
        }
    }
    return strchr("aeiouAEIOU", noun[0]) ? "an" : "a";
}
