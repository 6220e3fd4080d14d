#include "models/output/refusal.h"

#include <string.h>

#define WORDS_MAX    80
#define PRAISE_WORDS 8
#define WORD_BYTES   16 /* the rest of a longer word does not count; no phrase has one */

/* What may begin at a word. */
enum opening {
    OPENS_NOTHING,
    OPENS_CLAUSE, /* a mark, or a word like "but", stands before */
    OPENS_SENTENCE,
};

/* A beginning in words: small letters and digits, apostrophes left out. */
struct words {
    char text[WORDS_MAX][WORD_BYTES + 1];
    enum opening opens[WORDS_MAX];
    size_t n;
};

/* "I ... not": a refusal if help of some kind follows. */
static const char *const denials[] = {
    "i cannot",
    "i cant",
    "i can not",
    "i can neither",
    "i could not",
    "i will not",
    "i wont",
    "i may not",
    "i must not",
    "i should not",
    "i shouldnt",
    "i do not",
    "i dont",
    "i am unable to",
    "im unable to",
    "i am not able to",
    "im not able to",
    "i am not allowed to",
    "im not allowed to",
    "i am not permitted to",
    "im not permitted to",
    "i am not going to",
    "im not going to",
    "i am not in a position to",
    "im not in a position to",
    "i am not designed to",
    "im not designed to",
    "i have been told not to",
    "i was told not to",
    "i would not",
    "we cannot",
    "we cant",
    "we are unable to",
};

/* The same where a sentence begins with it. */
static const char *const bare_denials[] = {"cannot", "cant", "unable to"};

/* What is denied then. */
static const char *const helps[] = {
    "help",
    "assist",
    "provide",
    "talk about",
    "talk with you about",
    "talk to you about",
    "speak about",
    "discuss",
    "answer",
    "give you",
    "give advice",
    "give instructions",
    "give information",
    "give out",
    "share",
    "do that",
    "do this",
    "do what you",
    "comply",
    "support",
    "create",
    "write",
    "generate",
    "produce",
    "offer",
    "engage",
    "fulfill",
    "fulfil",
    "participate",
    "take part",
    "explain how",
    "recommend",
    "advise",
    "tell you how",
    "tell you about",
    "say anything about",
    "comment",
    "go into",
    "continue",
    "encourage",
    "respond",
    "reply",
    "teach you",
    "describe how",
    "show you how",
    "be part",
    "be involved",
    "promote",
    "condone",
    "facilitate",
    "enable",
    "aid",
    "guide you",
    "instruct",
    "complete this",
    "complete that",
    "complete your",
    "process this",
    "process that",
    "accommodate",
    "satisfy",
    "contribute",
    "disclose",
    "reveal",
    "speculate",
};

/* What "cannot help" is no refusal before. */
static const char *const idioms[] = {
    "help but",      "help it",        "help feeling",  "help thinking",
    "help noticing", "help wondering", "help laughing", "help smiling",
};

/* May stand between the two. */
static const char *const between[] = {
    "really",
    "simply",
    "just",
    "ethically",
    "legally",
    "knowingly",
    "directly",
    "actually",
    "currently",
    "personally",
    "in good conscience",
    "therefore",
    "also",
    "with certainty",
    "be able to",
    "possibly",
    "ever",
    "to",
};

/* Refusals by themselves. */
static const char *const statements[] = {
    "i must decline",
    "i have to decline",
    "i need to decline",
    "i will have to decline",
    "ill have to decline",
    "i decline to",
    "i respectfully decline",
    "i politely decline",
    "i must respectfully decline",
    "i must politely decline",
    "i must refuse",
    "i have to refuse",
    "i refuse to",
    "i would rather not",
    "id rather not",
    "i prefer not to",
    "id prefer not to",
    "i would prefer not to",
    "i am not comfortable",
    "im not comfortable",
    "i do not feel comfortable",
    "i dont feel comfortable",
    "that is not something i can",
    "thats not something i can",
    "this is not something i can",
    "that isnt something i can",
    "this isnt something i can",
    "that is something i cannot",
    "thats something i cannot",
    "thats something i cant",
    "this is something i cannot",
    "this is something i cant",
    "it would be inappropriate",
    "it would be unethical",
    "it would not be appropriate",
    "it wouldnt be appropriate",
    "it is not appropriate for me",
    "its not appropriate for me",
    "it is against my",
    "its against my",
    "that is against my",
    "thats against my",
    "this is against my",
    "that goes against my",
    "this goes against my",
    "it goes against my",
    "that would violate my",
    "this would violate my",
    "my guidelines",
    "my instructions do not allow",
    "my rules do not allow",
    "my programming does not allow",
    "my programming prohibits",
    "i am programmed not to",
    "im programmed not to",
    "your request cannot be",
    "this request cannot be",
    "your request violates",
    "this request violates",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* ---- words ---- */

/* Of one of the two curly quotation marks that stand for an apostrophe: U+2018, U+2019. */
static bool is_curly_apostrophe(const char *text, size_t left)
{
    return left >= 3 &&
           (memcmp(text, "\xe2\x80\x98", 3) == 0 || memcmp(text, "\xe2\x80\x99", 3) == 0);
}

/* Bytes of an apostrophe there, else 0. */
static size_t apostrophe(const char *text, size_t left)
{
    return text[0] == '\'' ? 1 : is_curly_apostrophe(text, left) ? 3 : 0;
}

static bool is_quote(const char *text, size_t left)
{
    return text[0] == '"' || (left >= 3 && (memcmp(text, "\xe2\x80\x9c", 3) == 0 ||
                                            memcmp(text, "\xe2\x80\x9d", 3) == 0));
}

static char small_letter(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Reads one; its length in bytes. */
static size_t read_word(char out[WORD_BYTES + 1], const char *text, size_t len)
{
    size_t i = 0, n = 0;
    while (i < len) {
        size_t mark = apostrophe(text + i, len - i);
        if (mark > 0 && i + mark < len && is_word_byte(text[i + mark])) {
            i += mark;
        } else if (is_word_byte(text[i])) {
            if (n < WORD_BYTES) {
                out[n++] = small_letter(text[i]);
            }
            i++;
        } else {
            break;
        }
    }
    out[n] = '\0';
    return i;
}

/* "As an assistant I cannot" is one of them too. */
static bool joins_clauses(const char *word)
{
    static const char *const joining[] = {
        "but",           "however", "so",     "and",       "because", "that", "sorry",
        "unfortunately", "regret",  "afraid", "assistant", "model",   "ai"};
    for (size_t i = 0; i < COUNT(joining); i++) {
        if (strcmp(word, joining[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool ends_sentence(char c)
{
    return c == '.' || c == '!' || c == '?';
}

/* Marks after which no clause begins, or which glue words together, are no boundary. */
static bool separates(char c)
{
    return c != ' ' && c != '\t' && c != '\'' && c != '*' && c != '_';
}

static enum opening more_open(enum opening a, enum opening b)
{
    return a > b ? a : b;
}

static void read_words(struct words *w, const char *text, size_t len)
{
    size_t sentences = 0;
    enum opening opens = OPENS_SENTENCE;
    bool quoted = false, words_since_end = false;
    w->n = 0;
    for (size_t i = 0; i < len && text[i] && w->n < WORDS_MAX;) {
        if (is_word_byte(text[i])) {
            char *word = w->text[w->n];
            i += read_word(word, text + i, len - i);
            if (!quoted) {
                w->opens[w->n++] = opens;
                opens = joins_clauses(word) ? OPENS_CLAUSE : OPENS_NOTHING;
            }
            words_since_end = true;
            continue;
        }
        if (is_quote(text + i, len - i)) {
            quoted = !quoted;
        }
        if (ends_sentence(text[i]) && words_since_end) {
            words_since_end = false;
            opens = OPENS_SENTENCE;
            if (++sentences == REFUSAL_SENTENCES_MAX) {
                return;
            }
        }
        opens = separates(text[i]) ? more_open(opens, OPENS_CLAUSE) : opens;
        i++;
    }
}

/* ---- phrases ---- */

/* Words of `phrase` that stand at `at`, in one sentence: all of them, else 0. */
static size_t match(const struct words *w, size_t at, const char *phrase)
{
    size_t n = 0;
    for (const char *p = phrase; *p; n++) {
        size_t len = strcspn(p, " ");
        bool is_beyond = at + n >= w->n || (n > 0 && w->opens[at + n] == OPENS_SENTENCE);
        if (is_beyond || strlen(w->text[at + n]) != len ||
            memcmp(w->text[at + n], p, len) != 0) {
            return 0;
        }
        p += len + (p[len] == ' ');
    }
    return n;
}

static size_t match_any(const struct words *w, size_t at, const char *const *phrases,
                        size_t count)
{
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = match(w, at, phrases[i]);
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* "I cannot recommend this book enough" */
static bool is_praise(const struct words *w, size_t at)
{
    for (size_t i = at; i < w->n && i < at + PRAISE_WORDS; i++) {
        if (strcmp(w->text[i], "enough") == 0 || strcmp(w->text[i], "highly") == 0) {
            return match(w, at, "recommend") > 0;
        }
    }
    return false;
}

static bool denies_help(const struct words *w, size_t at)
{
    size_t n = match_any(w, at, denials, COUNT(denials));
    if (n == 0 && w->opens[at] == OPENS_SENTENCE) {
        n = match_any(w, at, bare_denials, COUNT(bare_denials));
    }
    if (n == 0) {
        return false;
    }
    for (at += n; (n = match_any(w, at, between, COUNT(between))) > 0; at += n) {
    }
    return match_any(w, at, helps, COUNT(helps)) > 0 &&
           match_any(w, at, idioms, COUNT(idioms)) == 0 && !is_praise(w, at);
}

bool refusal_begins(const char *text, size_t len)
{
    struct words w;
    read_words(&w, text, len < REFUSAL_BYTES_MAX ? len : REFUSAL_BYTES_MAX);
    for (size_t i = 0; i < w.n; i++) {
        if (w.opens[i] != OPENS_NOTHING &&
            (match_any(&w, i, statements, COUNT(statements)) > 0 || denies_help(&w, i))) {
            return true;
        }
    }
    return false;
}
