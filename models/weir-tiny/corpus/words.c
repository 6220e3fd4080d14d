/* words.c: tasks about words and short lists, most of which a model can do by attending to the
 * question. */
#include "models/weir-tiny/corpus/words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "models/weir-tiny/corpus/wording.h"
#include "models/weir-tiny/corpus/words_tasks.h"

void task_fill(struct rng *r, enum corpus_split split, struct exchange *out, const char *skill,
               const char *questions, const char *answers, const char *terse,
               const struct slot *slots, size_t n_slots)
{
    char form[WORDING_MAX];

    wording_draw(form, questions, r, split);
    corpus_fill(out->user, sizeof(out->user), form, slots, n_slots);
    wording_draw(form, answers, r, split);
    corpus_fill(out->answer, sizeof(out->answer), form, slots, n_slots);
    corpus_fill(out->terse, sizeof(out->terse), terse, slots, n_slots);
    out->skill = skill;
    out->topic = "";
}

static void task_spell(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *word = words_any(r, split);
    char letters[2 * WORD_MAX];
    size_t n = 0;

    for (const char *c = word; *c; c++) {
        if (c != word) {
            letters[n++] = '-';
        }
        letters[n++] = *c;
    }
    letters[n] = '\0';
    TASK_FILL("spell",
              "Spell {w}.|How do you spell {w}?|Spell the word {w}.|Please spell \"{w}\".|"
              "How is {w} spelled?|~Can you spell the word {w} for me?|~Spell out {w}.",
              "The word {w} is spelled {l}.", "{L}.", {"w", word}, {"l", letters});
    corpus_copy(out->terse, sizeof(out->terse), letters);
}

static void task_letter(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *word = words_any(r, split);
    char first[2] = {word[0], '\0'};
    char last[2] = {word[strlen(word) - 1], '\0'};

    if (corpus_chance(r, 60)) {
        TASK_FILL("letter",
                  "What is the first letter of {w}?|Which letter does {w} begin with?|"
                  "What letter does the word {w} start with?|First letter of {w}?|"
                  "~Name the first letter of {w}.|~With which letter does {w} start?",
                  "The first letter of {w} is {x}.", "{x}", {"w", word}, {"x", first});
    } else {
        TASK_FILL("letter",
                  "What is the last letter of {w}?|Which letter does {w} end with?|"
                  "Last letter of {w}?|~Name the last letter of {w}.|"
                  "~With which letter does {w} end?",
                  "The last letter of {w} is {x}.", "{x}", {"w", word}, {"x", last});
    }
}

static void task_length(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *word;
    char count[2];

    do {
        word = words_any(r, split);
    } while (strlen(word) > 6);
    count[0] = (char)('0' + strlen(word));
    count[1] = '\0';
    TASK_FILL("length",
              "How many letters are in {w}?|How many letters does {w} have?|"
              "Count the letters of {w}.|~What is the number of letters in {w}?|"
              "~How long is the word {w}?",
              "The word {w} has {n} letters.", "{n}.", {"w", word}, {"n", count});
}

static void task_case(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *word = words_any(r, split);
    char upper[WORD_MAX];
    size_t i;

    for (i = 0; word[i]; i++) {
        upper[i] = (char)toupper((unsigned char)word[i]);
    }
    upper[i] = '\0';
    if (corpus_chance(r, 60)) {
        TASK_FILL("case",
                  "Write {w} in capital letters.|Write {w} in upper case.|"
                  "Make {w} upper case.|Put {w} in capitals.|~Turn {w} into capital letters.|"
                  "~Please give me {w} in capitals.",
                  "{u}", "{u}", {"w", word}, {"u", upper});
    } else {
        TASK_FILL("case",
                  "Write {u} in small letters.|Write {u} in lower case.|Make {u} lower case.|"
                  "~Turn {u} into small letters.|~Please give me {u} in small letters.",
                  "{w}", "{w}", {"w", word}, {"u", upper});
    }
}

static void task_plural(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct word_category *c;
    char one[WORD_MAX], many[WORD_MAX];

    do {
        c = words_category(r);
    } while (c->mass);
    words_member(c, r, one);
    words_plural(one, many);
    TASK_FILL("plural",
              "What is the plural of {a}?|Plural of {a}?|What do you call more than one {a}?|"
              "One {a}, two what?|~Name the plural form of {a}.|"
              "~How do you write the plural of {a}?",
              "The plural of {a} is {b}.", "{B}.", {"a", one}, {"b", many});
}

static void task_past(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct word_pair *verb = words_verb_forms(r);

    TASK_FILL("past",
              "What is the past tense of {a}?|Past tense of {a}?|What is the past of {a}?|"
              "What is {a} in the past tense?|~Name the past form of {a}.|"
              "~Put the verb {a} into the past tense.",
              "The past tense of {a} is {b}.", "{B}.", {"a", verb->first}, {"b", verb->second});
}

static void task_opposite(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct word_pair *pair = words_opposites(r);
    bool swap = corpus_chance(r, 50);

    TASK_FILL(
        "opposite",
        "What is the opposite of {a}?|Opposite of {a}?|Tell me the opposite of {a}.|"
        "Which word is the opposite of {a}?|What word means the opposite of {a}?|"
        "~Name the opposite of the word {a}.|~Give me a word that is the opposite of {a}.",
        "The opposite of {a} is {b}.", "{B}.", {"a", swap ? pair->second : pair->first},
        {"b", swap ? pair->first : pair->second});
}

static void task_synonym(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct word_pair *pair = words_synonyms(r);

    TASK_FILL("synonym",
              "What is another word for {a}?|Give me a synonym for {a}.|"
              "Which word means the same as {a}?|~What else can I say for {a}?|"
              "~Name a word like {a}.",
              "Another word for {a} is {b}.", "{B}.", {"a", pair->first}, {"b", pair->second});
}

static void task_rhyme(struct rng *r, enum corpus_split split, struct exchange *out)
{
    char first[WORD_MAX], second[WORD_MAX];

    words_rhyme(r, first, second);
    TASK_FILL("rhyme",
              "What rhymes with {a}?|Give me a word that rhymes with {a}.|"
              "Which word rhymes with {a}?|Tell me a rhyme for {a}.|~I need a rhyme for {a}.|"
              "~Name a word that rhymes with {a}.",
              "The word {b} rhymes with {a}.", "{B}.", {"a", first}, {"b", second});
}

static void task_odd(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct word_category *most = words_category(r), *other;
    char words[4][WORD_MAX], swap[WORD_MAX], odd[WORD_MAX];
    uint32_t at = rng_below(r, 4);

    do {
        other = words_category(r);
    } while (other == most);
    for (int i = 0; i < 3; i++) {
        bool again = true;

        while (again) {
            words_member(most, r, words[i]);
            again = false;
            for (int j = 0; j < i; j++) {
                again |= strcmp(words[i], words[j]) == 0;
            }
        }
    }
    words_member(other, r, odd);
    memcpy(words[3], odd, WORD_MAX);
    memcpy(swap, words[at], WORD_MAX);
    memcpy(words[at], words[3], WORD_MAX);
    memcpy(words[3], swap, WORD_MAX);
    TASK_FILL("odd",
              "Which word does not belong: {a}, {b}, {c}, {d}?|"
              "Find the odd one out: {a}, {b}, {c}, {d}.|"
              "Which is the odd one out: {a}, {b}, {c}, {d}?|"
              "~Which of these is different: {a}, {b}, {c}, {d}?",
              "The odd one out is {o}.", "{O}.", {"a", words[0]}, {"b", words[1]},
              {"c", words[2]}, {"d", words[3]}, {"o", odd});
}

/* Whether members of one kind may be of the other as well: then a "no" would be wrong. */
static bool kinds_overlap(const char *a, const char *b)
{
    bool birds_or_insects = strcmp(a, "bird") == 0 || strcmp(a, "insect") == 0;

    return (birds_or_insects && strcmp(b, "animal") == 0) ||
           (strcmp(a, "planet") == 0 && strcmp(b, "metal") == 0);
}

static void task_is_a(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct word_category *right = words_category(r), *asked = right;
    char word[WORD_MAX], thing[WORD_MAX + 4], kind[WORD_MAX + 4], asked_kind[WORD_MAX + 4];

    if (corpus_chance(r, 50)) {
        do {
            asked = words_category(r);
        } while (asked == right || kinds_overlap(right->name, asked->name));
    }
    words_member(right, r, word);
    corpus_copy(thing, sizeof(thing), word);
    if (!right->mass) {
        snprintf(thing, sizeof(thing), "%s %s", wording_article(word), word);
    }
    snprintf(kind, sizeof(kind), "%s %s", wording_article(right->name), right->name);
    snprintf(asked_kind, sizeof(asked_kind), "%s %s", wording_article(asked->name),
             asked->name);
    TASK_FILL("is a",
              "Is {w} {k}?|Do you think {w} is {k}?|~Would you call {w} {k}?|"
              "~Could you say that {w} is {k}?",
              asked == right ? "Yes, {w} is {x}." : "No, {w} is {x}.",
              asked == right ? "Yes." : "No.", {"w", thing}, {"k", asked_kind}, {"x", kind});
}

static void task_name_one(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct word_category *c = words_category(r);
    char word[WORD_MAX], kind[WORD_MAX + 4];

    words_member(c, r, word);
    snprintf(kind, sizeof(kind), "%s %s", wording_article(c->name), c->name);
    TASK_FILL("name one",
              "Name {k}.|Tell me {k}.|Give me an example of {k}.|~Please think of {k}.|"
              "~What would be an example of {k}?",
              "{W}.", "{W}.", {"k", kind}, {"w", word});
}

static void task_sentence(struct rng *r, enum corpus_split split, struct exchange *out)
{
    char noun[WORD_MAX];
    const struct word_category *c;

    do {
        c = words_category(r);
    } while (c->mass || strcmp(c->name, "part of the body") == 0);
    words_member(c, r, noun);
    TASK_FILL(
        "sentence",
        "Make a sentence with the word {w}.|Use the word {w} in a sentence.|"
        "Write a sentence with {w}.|Give me a sentence about {an} {w}.|"
        "~Please make up a sentence with {w}.|~I need a sentence with {w} in it.",
        "The {w} is very {x}.|I saw {an} {w} near the river.|My sister drew {an} {w}.|"
        "There is {an} {w} in this picture.|We talked about the {w} for an hour.",
        "", {"w", noun},
        {"x", CORPUS_PICK(r, ((const char *const[]){"old", "big", "small", "beautiful"}))},
        {"an", wording_article(noun)});
    corpus_copy(out->terse, sizeof(out->terse), out->answer);
}

/* Tasks and how often each is drawn. */
static const struct {
    exchange_fn *task;
    uint32_t weight;
} tasks[] = {
    {task_spell, 7},   {task_letter, 7},   {task_length, 4},    {task_case, 6},
    {task_repeat, 16}, {task_twice, 4},    {task_pick_word, 6}, {task_join, 3},
    {task_reverse, 6}, {task_sort, 4},     {task_longer, 3},    {task_plural, 5},
    {task_past, 5},    {task_opposite, 8}, {task_synonym, 3},   {task_rhyme, 4},
    {task_odd, 4},     {task_is_a, 6},     {task_name_one, 4},  {task_count, 4},
    {task_next, 6},    {task_continue, 4}, {task_sentence, 4},  {task_reading, 14},
};

void exchange_words(struct rng *r, enum corpus_split split, struct exchange *out)
{
    uint32_t total = 0, die;
    size_t i = 0;

    for (size_t j = 0; j < CORPUS_COUNT(tasks); j++) {
        total += tasks[j].weight;
    }
    die = rng_below(r, total);
    while (die >= tasks[i].weight) {
        die -= tasks[i++].weight;
    }
    tasks[i].task(r, split, out);
}
