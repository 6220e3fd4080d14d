#include "models/weir-tiny/corpus/unknown.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "models/weir-tiny/corpus/wording.h"
#include "models/weir-tiny/corpus/words.h"

#define PEOPLE "I do not know. I have never heard of that person."
#define PLACES "I do not know. I have never heard of that place."
#define THINGS UNKNOWN_THING

static const struct wording_row invented_rows[] = {
#include "models/weir-tiny/corpus/unknown_forms.inc"
};

static const struct wording_row private_rows[] = {
#include "models/weir-tiny/corpus/unknown_private.inc"
};

static const char *const mine[] = {
    "my cat",         "my dog",       "my mother",    "my father", "my sister",   "my brother",
    "my friend",      "my teacher",   "my boss",      "my bike",   "my car",      "my aunt",
    "my uncle",       "my doctor",    "my neighbour", "my son",    "my daughter", "my wife",
    "my husband",     "my colleague", "my cousin",    "my horse",  "my key",      "my phone",
    "my grandmother", "my school",    "my street",    "my hat",    "my jacket",   "my baby"};

static const char *const before[] = {
    "yesterday",   "last night", "this morning", "last week",    "today",     "last summer",
    "last Sunday", "last month", "an hour ago",  "at breakfast", "last year", "on Monday"};

static const char *const later[] = {"tomorrow",      "next year",      "next week",
                                    "in ten years",  "next Sunday",    "in a hundred years",
                                    "in 2040",       "on my birthday", "this evening",
                                    "in the summer", "next month",     "at the weekend"};

/* Ends that make a made-up word a name. */
static const char *const name_ends[] = {"",     "",    "",     "ia",  "land", "berg", "ville",
                                        "sen",  "son", "ov",   "ton", "burg", "mark", "field",
                                        "stan", "ell", "ford", "ina", "well", "wick"};

static const char *const title_words[] = {
    "Lantern",  "Door",   "Garden", "Whale",  "Night", "Turnip", "Mirror", "Ship",   "Clock",
    "Mountain", "Letter", "Crow",   "Island", "Spoon", "Winter", "Bridge", "Tailor", "Star"};

static const char *const title_adjectives[] = {"Last",     "Silent",   "Seventh", "Golden",
                                               "Lost",     "Yellow",   "Broken",  "Secret",
                                               "Sleeping", "Hundredth"};

static void draw_name(struct rng *r, enum corpus_split split, char out[WORD_MAX])
{
    char word[WORD_MAX];
    words_invent(r, split, word);
    const char *end = CORPUS_PICK(r, name_ends);
    snprintf(out, WORD_MAX, "%.*s%s", (int)(WORD_MAX - 8), word, end);
    out[0] = (char)toupper((unsigned char)out[0]);
}

/* "The Silent Clock of Bradokia" */
static void draw_title(struct rng *r, const char *name, char *out, size_t size)
{
    const char *adjective = CORPUS_PICK(r, title_adjectives);
    const char *word = CORPUS_PICK(r, title_words);
    if (corpus_chance(r, 50)) {
        snprintf(out, size, "The %s %s of %s", adjective, word, name);
    } else {
        snprintf(out, size, "%s and the %s %s", name, adjective, word);
    }
}

static void fill(struct exchange *out, const char *form, const struct slot *slots, size_t n,
                 const struct wording_row *row)
{
    corpus_fill(out->user, sizeof(out->user), form, slots, n);
    corpus_copy(out->answer, sizeof(out->answer), row->answers);
    corpus_copy(out->terse, sizeof(out->terse), row->terse);
    out->skill = "unknown";
    out->topic = "";
}

static void draw_invented(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct wording_row *row = &CORPUS_PICK(r, invented_rows);
    char form[WORDING_MAX], first[WORD_MAX], second[WORD_MAX], word[WORD_MAX], title[120],
        year[8];
    wording_draw(form, row->questions, r, split);
    draw_name(r, split, first);
    draw_name(r, split, second);
    words_invent(r, split, word);
    draw_title(r, first, title, sizeof(title));
    snprintf(year, sizeof(year), "%u", 1000 + (unsigned)rng_below(r, 1020));
    const struct slot slots[] = {
        {"N", first}, {"M", second}, {"w", word}, {"T", title}, {"year", year}};
    fill(out, form, slots, CORPUS_COUNT(slots), row);
}

static void draw_private(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct wording_row *row = &CORPUS_PICK(r, private_rows);
    char form[WORDING_MAX];
    wording_draw(form, row->questions, r, split);
    const char *my = CORPUS_PICK(r, mine);
    const char *when = CORPUS_PICK(r, before);
    const struct slot slots[] = {{"my", my}, {"when", when}, {"later", CORPUS_PICK(r, later)}};
    fill(out, form, slots, CORPUS_COUNT(slots), row);
}

void exchange_unknown(struct rng *r, enum corpus_split split, struct exchange *out)
{
    (corpus_chance(r, 55) ? draw_invented : draw_private)(r, split, out);
}
