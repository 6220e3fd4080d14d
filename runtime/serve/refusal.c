#include "runtime/serve/refusal.h"

#include <string.h>

#define BEGINNING 200

/* What stands before the thing that is declined: "i cannot", "i'm sorry, but i can't" ... */
static const char *const unable[] = {
    "i cannot ",
    "i can not ",
    "i can't ",
    "i won't ",
    "i will not ",
    "i must not ",
    "i may not ",
    "i am unable to ",
    "i'm unable to ",
    "i am not able to ",
    "i'm not able to ",
    "i am not allowed to ",
    "i'm not allowed to ",
    "i won't be able to ",
    "i will not be able to ",
    "i am not comfortable ",
    "i'm not comfortable ",
    "we cannot ",
    "we can't ",
    "we are unable to ",
    "we're unable to ",
};

/* Behind one of those, at once or after an adverb. Others ("I cannot see", "I can't help but
 * smile") decline nothing. */
static const char *const declined[] = {
    "help with",      "help you",   "assist",     "talk about",   "speak about",
    "discuss",        "provide",    "comply",     "do that",      "do this",
    "fulfill",        "fulfil",     "answer",     "give you",     "give advice",
    "offer",          "share",      "engage in",  "participate",  "generate",
    "create",         "write that", "write this", "produce",      "tell you how",
    "explain how to", "advise",     "go into",    "say anything", "continue with",
    "helping",        "providing",  "discussing", "writing",      "creating",
    "sharing",        "answering",  "talking",    "assisting",
};

/* These decline by themselves. */
static const char *const whole[] = {
    "i must decline",
    "i have to decline",
    "i must refuse",
    "i have to refuse",
    "i decline to",
    "i respectfully decline",
    "that is not something i can",
    "that's not something i can",
    "this is not something i can",
    "this isn't something i can",
    "it would be inappropriate for me",
    "it is against my",
    "it goes against my",
    "against my guidelines",
    "i'm sorry, but i can't.",
    "i am sorry, but i cannot.",
};

static const char *const adverbs[] = {
    "", "really ", "directly ", "in good conscience ", "ethically ", "personally ", "legally "};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* The beginning in lower case with plain apostrophes and single spaces. */
static void normalise(const char *text, size_t len, char out[BEGINNING + 1])
{
    static const char apostrophe[] = "\xe2\x80\x99"; /* U+2019 */
    size_t n = 0, i = 0;
    while (i < len && strchr(" \t\r\n*_\"'#>-", text[i]) && text[i]) {
        i++;
    }
    while (i < len && n < BEGINNING) {
        if (len - i >= 3 && memcmp(text + i, apostrophe, 3) == 0) {
            out[n++] = '\'';
            i += 3;
        } else if (strchr(" \t\r\n*_", text[i]) && text[i]) {
            if (n > 0 && out[n - 1] != ' ') {
                out[n++] = ' ';
            }
            i++;
        } else {
            out[n++] = lower(text[i++]);
        }
    }
    out[n] = '\0';
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool declines(const char *rest)
{
    for (size_t a = 0; a < COUNT(adverbs); a++) {
        if (!starts_with(rest, adverbs[a])) {
            continue;
        }
        for (size_t d = 0; d < COUNT(declined); d++) {
            if (starts_with(rest + strlen(adverbs[a]), declined[d])) {
                return true;
            }
        }
    }
    return false;
}

/* "Wi-Fi cannot" has no "i cannot" in it. */
static bool begins_word(const char *text, const char *at)
{
    return at == text || strchr(" (,.;:!?\"", at[-1]);
}

bool refusal_begins(const char *text, size_t len)
{
    char begin[BEGINNING + 1];
    normalise(text, len, begin);
    for (size_t i = 0; i < COUNT(unable); i++) {
        for (const char *at = begin; (at = strstr(at, unable[i])); at++) {
            if (begins_word(begin, at) && declines(at + strlen(unable[i]))) {
                return true;
            }
        }
    }
    for (size_t i = 0; i < COUNT(whole); i++) {
        const char *at = strstr(begin, whole[i]);
        if (at && begins_word(begin, at)) {
            return true;
        }
    }
    return false;
}
