#include "models/weir-tiny/corpus/persona.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* One tone: how a prompt asks for it and how an answer shows it. */
struct tone_type {
    struct phrases wordings;
    const char *form; /* of the answer; NULL where the text itself changes */
    const char *markers[2];
};

static const struct tone_type tones[TONE_COUNT] = {
#include "models/weir-tiny/corpus/tones.inc"
};

void system_tone_say(struct rng *r, enum corpus_split split, enum tone tone, char *out,
                     size_t size)
{
    const char *first = phrases_pick(&tones[tone].wordings, r, split);
    const char *second = phrases_pick(&tones[tone].wordings, r, split);
    if (first == second || corpus_chance(r, 80)) {
        corpus_copy(out, size, first);
        return;
    }
    const struct slot slots[] = {{"a", first}, {"b", second}};
    corpus_fill(out, size, "{a} {b}", slots, CORPUS_COUNT(slots));
}

const char *system_tone_marker(enum tone tone, size_t i)
{
    return i < CORPUS_COUNT(tones[tone].markers) ? tones[tone].markers[i] : NULL;
}

/* Full stops that end a sentence become exclamation marks; those inside "3.14" and "Mr. Tolwin"
 * stay. */
static void exclaim(char *s)
{
    for (char *p = s; *p != '\0'; p++) {
        bool title = p - s >= 2 && p[-1] == 'r' && p[-2] == 'M';
        title = title || (p - s >= 3 && p[-1] == 's' && p[-2] == 'r' && p[-3] == 'M');
        if (*p == '.' && !title && (p[1] == '\0' || isspace((unsigned char)p[1]))) {
            *p = '!';
        }
    }
}

void system_tone_apply(enum tone tone, const struct exchange *x, char *out, size_t size)
{
    char answer[CORPUS_ANSWER_MAX];
    corpus_copy(answer, sizeof(answer), tone == TONE_TERSE ? x->terse : x->answer);
    if (tone == TONE_CHEERFUL) {
        exclaim(answer);
    }
    if (tone == TONE_CAPS) {
        for (char *p = answer; *p != '\0'; p++) {
            *p = (char)toupper((unsigned char)*p);
        }
    }
    const struct slot slots[] = {{"a", answer}};
    corpus_fill(out, size, tones[tone].form != NULL ? tones[tone].form : "{a}", slots,
                CORPUS_COUNT(slots));
}
