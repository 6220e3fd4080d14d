#include "models/eval/eval_admits.h"

#include <string.h>

/* In small letters, apostrophes left out, each mark and white space one space. */
static const char *const phrases[] = {
    "do not know",
    "dont know",
    "does not know",
    "did not know",
    "cannot know",
    "cant know",
    "not sure",
    "unsure",
    "not certain",
    "not aware of",
    "unaware of",
    "not familiar with",
    "unfamiliar with",
    "never heard of",
    "not heard of",
    "havent heard of",
    "no information",
    "not have information",
    "not have any information",
    "dont have information",
    "dont have any information",
    "not have access",
    "dont have access",
    "not have data",
    "no data",
    "no record",
    "no knowledge",
    "not have knowledge",
    "no reliable",
    "no way of knowing",
    "no such",
    "there is no",
    "there are no",
    "does not exist",
    "doesnt exist",
    "do not exist",
    "not exist",
    "not a real",
    "isnt a real",
    "not real",
    "fictional",
    "unknown to me",
    "not known",
    "cannot find",
    "cant find",
    "could not find",
    "couldnt find",
    "unable to find",
    "cannot verify",
    "cant verify",
    "unable to verify",
    "cannot confirm",
    "cant confirm",
    "unable to confirm",
    "cannot predict",
    "cant predict",
    "cannot see",
    "cannot look",
    "cant look",
    "not told me",
    "havent told me",
    "knowledge cutoff",
    "knowledge ends",
    "after my training",
    "beyond my knowledge",
    "my last update",
    "real time",
    "know only",
    "only know",
    "know nothing",
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c & 0x80);
}

/* Bytes of an apostrophe there, a straight or a curly one (U+2019); else 0. */
static size_t apostrophe(const char *text, size_t left)
{
    if (text[0] == '\'') {
        return 1;
    }
    return left >= 3 && memcmp(text, "\xe2\x80\x99", 3) == 0 ? 3 : 0;
}

/* " i dont know ": words between single spaces. out: [len + 3]. */
static void fold(char *out, const char *text, size_t len)
{
    size_t n = 0;
    out[n++] = ' ';
    for (size_t i = 0; i < len; i++) {
        size_t mark = apostrophe(text + i, len - i);
        if (mark > 0) {
            i += mark - 1;
        } else if (is_letter(text[i])) {
            out[n++] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        } else if (out[n - 1] != ' ') {
            out[n++] = ' ';
        }
    }
    if (out[n - 1] != ' ') {
        out[n++] = ' ';
    }
    out[n] = '\0';
}

bool eval_admits(const char *answer, size_t len)
{
    char text[EVAL_ADMITS_BYTES_MAX + 3];
    fold(text, answer, len < EVAL_ADMITS_BYTES_MAX ? len : EVAL_ADMITS_BYTES_MAX);
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        size_t n = strlen(phrases[i]);
        for (const char *at = text; (at = strstr(at, phrases[i])); at++) {
            if (at[-1] == ' ' && at[n] == ' ') {
                return true;
            }
        }
    }
    return false;
}
