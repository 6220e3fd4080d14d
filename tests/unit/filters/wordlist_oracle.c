#include "tests/unit/filters/wordlist_oracle.h"

#include <stdlib.h>
#include <string.h>

/* Text as characters: each one's bytes, its folded form, and whether it is a word's. */
struct characters {
    size_t count;
    size_t at[ORACLE_MAX_TEXT + 1]; /* byte offset; at[count] is the length */
    const char *letter[ORACLE_MAX_TEXT];
    bool in_word[ORACLE_MAX_TEXT];
};

/* The letters that the tests use; of those on one line the last one is the folded form. */
static const char *const forms[][3] = {
    {"A", "a"}, {"B", "b"}, {"K", "\xE2\x84\xAA", "k"}, {"\xC3\x89", "\xC3\xA9"}, {" "},
    {"-"},      {"c"},
};

static size_t character_len(const char *s)
{
    unsigned char c = (unsigned char)*s;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

static const char *find_letter(const char *s, size_t len, bool case_sensitive)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        for (size_t k = 0; k < 3 && forms[i][k]; k++) {
            if (strlen(forms[i][k]) == len && memcmp(forms[i][k], s, len) == 0) {
                size_t last = k;
                while (!case_sensitive && last < 2 && forms[i][last + 1]) {
                    last++;
                }
                return forms[i][last];
            }
        }
    }
    abort();
}

static void split(const char *text, bool case_sensitive, struct characters *out)
{
    size_t at = 0;
    out->count = 0;
    while (text[at]) {
        size_t len = character_len(text + at);
        if (out->count == ORACLE_MAX_TEXT) {
            abort();
        }
        out->at[out->count] = at;
        out->letter[out->count] = find_letter(text + at, len, case_sensitive);
        out->in_word[out->count] = text[at] != ' ' && text[at] != '-';
        out->count++;
        at += len;
    }
    out->at[out->count] = at;
}

static bool is_at(const struct characters *word, const struct characters *text, size_t start,
                  bool whole)
{
    size_t end = start + word->count;
    if (end > text->count) {
        return false;
    }
    for (size_t i = 0; i < word->count; i++) {
        if (word->letter[i] != text->letter[start + i]) {
            return false;
        }
    }
    if (whole && word->in_word[0] && start > 0 && text->in_word[start - 1]) {
        return false;
    }
    return !(whole && word->in_word[word->count - 1] && end < text->count &&
             text->in_word[end]);
}

/* covered[i]: character i lies in an occurrence; joined[i]: in one together with character i
 * - 1. first[i]: the word known to begin at i: the shortest, of equal ones the first in the
 * list. */
struct coverage {
    bool covered[ORACLE_MAX_TEXT + 1];
    bool joined[ORACLE_MAX_TEXT + 1];
    size_t first[ORACLE_MAX_TEXT];
    size_t first_len[ORACLE_MAX_TEXT];
};

static void cover(const struct oracle_list *list, const struct characters *text,
                  struct coverage *c)
{
    memset(c, 0, sizeof(*c));
    for (size_t w = 0; w < list->count; w++) {
        struct characters word;
        split(list->words[w], list->case_sensitive, &word);
        for (size_t start = 0; start < text->count; start++) {
            if (!is_at(&word, text, start, list->whole_words)) {
                continue;
            }
            for (size_t i = 0; i < word.count; i++) {
                c->covered[start + i] = true;
                c->joined[start + i] |= i > 0;
            }
            if (c->first_len[start] == 0 || word.count < c->first_len[start]) {
                c->first_len[start] = word.count;
                c->first[start] = w;
            }
        }
    }
}

void oracle_run(const struct oracle_list *list, const char *text, struct oracle_result *result)
{
    struct characters characters;
    struct coverage c;
    split(text, list->case_sensitive, &characters);
    cover(list, &characters, &c);
    result->text[0] = '\0';
    result->stopped = false;
    result->hit_count = 0;
    for (size_t i = 0; i < characters.count; i++) {
        bool begins = c.covered[i] && !c.joined[i];
        if (begins) {
            result->from[result->hit_count] = characters.at[i];
            result->word[result->hit_count++] = c.first[i];
        }
        if (c.covered[i] && list->action == ORACLE_STOP) {
            result->stopped = true;
            return;
        }
        if (c.covered[i] && list->action == ORACLE_MASK) {
            strcat(result->text, list->replacement);
        } else if (c.covered[i] && list->action == ORACLE_REPLACE) {
            strcat(result->text, begins ? list->replacement : "");
        } else {
            strncat(result->text, text + characters.at[i],
                    characters.at[i + 1] - characters.at[i]);
        }
    }
}
