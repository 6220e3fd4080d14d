/* words_lists.c: text and lists to be copied, ordered or continued. */
#include "models/weir-tiny/corpus/words_tasks.h"

#include <stdio.h>
#include <string.h>

static const char *const days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                   "Friday", "Saturday", "Sunday"};

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* A known or an invented word. */
static void draw_one(struct rng *r, enum corpus_split split, char out[WORD_MAX])
{
    if (corpus_chance(r, 55)) {
        corpus_copy(out, WORD_MAX, words_any(r, split));
    } else {
        words_invent(r, split, out);
    }
}

/* One to five words to be said again: known words, invented ones or a short sentence. */
static void draw_copy_text(struct rng *r, enum corpus_split split, char *out, size_t size)
{
    uint32_t n = 1 + rng_below(r, 5);
    size_t len = 0;

    if (corpus_chance(r, 35)) {
        /* The arguments of one call are evaluated in any order. */
        const char *near = words_noun(r, split);
        const char *noun = words_noun(r, split);
        snprintf(out, size, "The %s %s is near the %s", words_adjective(r, split), noun, near);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        char word[WORD_MAX];

        draw_one(r, split, word);
        len += (size_t)snprintf(out + len, size - len, "%s%s", i ? " " : "", word);
    }
}

void task_repeat(struct rng *r, enum corpus_split split, struct exchange *out)
{
    char text[200];

    draw_copy_text(r, split, text, sizeof(text));
    TASK_FILL("repeat",
              "Repeat after me: {t}|Say this: {t}|Please repeat: {t}|Repeat this: {t}|"
              "Copy this text: {t}|Say \"{t}\".|Repeat \"{t}\".|Please say: {t}|"
              "Write this again: {t}|~Say after me: {t}|~Please copy exactly: {t}|"
              "~Now repeat the following: {t}",
              "{t}", "{t}", {"t", text});
}

/* Up to four different words. */
static uint32_t draw_words(struct rng *r, enum corpus_split split, uint32_t n,
                           const char **words)
{
    for (uint32_t i = 0; i < n; i++) {
        bool again = true;

        while (again) {
            words[i] = words_any(r, split);
            again = false;
            for (uint32_t j = 0; j < i; j++) {
                again |= strcmp(words[i], words[j]) == 0;
            }
        }
    }
    return n;
}

static void join_words(const char *const *words, uint32_t n, const char *separator, char *out,
                       size_t size)
{
    size_t len = 0;

    for (uint32_t i = 0; i < n; i++) {
        len += (size_t)snprintf(out + len, size - len, "%s%s", i ? separator : "", words[i]);
    }
}

void task_reverse(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *words[4], *reversed[4];
    uint32_t n = draw_words(r, split, 2 + rng_below(r, 3), words);
    char before[160], after[160];

    for (uint32_t i = 0; i < n; i++) {
        reversed[i] = words[n - 1 - i];
    }
    join_words(words, n, ", ", before, sizeof(before));
    join_words(reversed, n, ", ", after, sizeof(after));
    TASK_FILL("reverse",
              "Say these words in reverse order: {a}.|Reverse the order of these words: {a}.|"
              "Put these words in reverse order: {a}.|Reverse this list: {a}.|"
              "~Say the list backwards: {a}.|~Give me these words from last to first: {a}.",
              "{b}", "{b}", {"a", before}, {"b", after});
}

static void sort_words(const char **words, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        for (uint32_t j = i; j > 0 && strcmp(words[j - 1], words[j]) > 0; j--) {
            const char *w = words[j];

            words[j] = words[j - 1];
            words[j - 1] = w;
        }
    }
}

void task_sort(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *words[3];
    char before[120], after[120];

    do {
        draw_words(r, split, 3, words);
    } while (words[0][0] == words[1][0] || words[1][0] == words[2][0] ||
             words[0][0] == words[2][0]);
    join_words(words, 3, ", ", before, sizeof(before));
    sort_words(words, 3);
    join_words(words, 3, ", ", after, sizeof(after));
    TASK_FILL("sort",
              "Put these words in alphabetical order: {a}.|Sort these words: {a}.|"
              "Sort this list: {a}.|Order these words from A to Z: {a}.|"
              "~Arrange these words alphabetically: {a}.",
              "{b}", "{b}", {"a", before}, {"b", after});
}

void task_count(struct rng *r, enum corpus_split split, struct exchange *out)
{
    uint32_t from = rng_below(r, split == CORPUS_TRAIN ? 40 : 12), n = 3 + rng_below(r, 8);
    char a[12], b[12], list[120];
    size_t len = 0;

    if (corpus_chance(r, 50)) {
        from = 1;
    }
    for (uint32_t i = 0; i < n; i++) {
        len +=
            (size_t)snprintf(list + len, sizeof(list) - len, "%s%u", i ? ", " : "", from + i);
    }
    snprintf(a, sizeof(a), "%u", from);
    snprintf(b, sizeof(b), "%u", from + n - 1);
    TASK_FILL(
        "count",
        "Count from {a} to {b}.|Can you count from {a} to {b}?|Please count from {a} to {b}.|"
        "Count up from {a} to {b}.|~List the numbers from {a} to {b}.|"
        "~Say the numbers from {a} up to {b}.",
        "{l}.", "{l}.", {"a", a}, {"b", b}, {"l", list});
}

void task_next(struct rng *r, enum corpus_split split, struct exchange *out)
{
    char number[2][12];
    char letter[2][2] = {{0}};
    const char *a, *b, *kind;
    uint32_t die = rng_below(r, 4), i;

    if (die == 0) {
        i = rng_below(r, 7), a = days[i], b = days[(i + 1) % 7], kind = "day";
    } else if (die == 1) {
        i = rng_below(r, 12), a = months[i], b = months[(i + 1) % 12], kind = "month";
    } else if (die == 2) {
        i = rng_below(r, 25), letter[0][0] = (char)('a' + i), letter[1][0] = (char)('b' + i);
        a = letter[0], b = letter[1], kind = "letter";
    } else {
        i = rng_below(r, 1000);
        snprintf(number[0], sizeof(number[0]), "%u", i);
        snprintf(number[1], sizeof(number[1]), "%u", i + 1);
        a = number[0], b = number[1], kind = "number";
    }
    if (corpus_chance(r, 60)) {
        TASK_FILL("next",
                  "Which {k} comes after {a}?|What {k} comes after {a}?|"
                  "What comes after {a}?|Which {k} is next after {a}?|"
                  "~Name the {k} that follows {a}.|~What is the next {k} after {a}?",
                  "The {k} after {a} is {b}.", "{B}.", {"k", kind}, {"a", a}, {"b", b});
    } else {
        TASK_FILL(
            "next",
            "Which {k} comes before {b}?|What {k} comes before {b}?|What comes before {b}?|"
            "Which {k} is just before {b}?|~Name the {k} that goes before {b}.",
            "The {k} before {b} is {a}.", "{A}.", {"k", kind}, {"a", a}, {"b", b});
    }
}

void task_longer(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *words[2];

    do {
        draw_words(r, split, 2, words);
    } while (strlen(words[0]) + 2 > strlen(words[1]) &&
             strlen(words[1]) + 2 > strlen(words[0]));
    TASK_FILL("longer",
              "Which word is longer, {a} or {b}?|Is {a} or {b} the longer word?|"
              "Which is the longer word: {a} or {b}?|"
              "~Of the words {a} and {b}, which one is longer?",
              "The longer word is {l}.", "{L}.", {"a", words[0]}, {"b", words[1]},
              {"l", strlen(words[0]) > strlen(words[1]) ? words[0] : words[1]});
}

void task_twice(struct rng *r, enum corpus_split split, struct exchange *out)
{
    char word[WORD_MAX];

    draw_one(r, split, word);
    TASK_FILL("twice",
              "Say {w} twice.|Say {w} two times.|Repeat {w} twice.|Write {w} two times.|"
              "~Please say {w} two times over.|~I want to read {w} twice.",
              "{w} {w}", "{w} {w}", {"w", word});
}

/* The first, second, third or last of some words. */
void task_pick_word(struct rng *r, enum corpus_split split, struct exchange *out)
{
    static const char *const ordinals[] = {"first", "second", "third"};
    const char *words[4];
    char list[160];
    uint32_t n = draw_words(r, split, 3 + rng_below(r, 2), words);
    uint32_t at = rng_below(r, 4);

    join_words(words, n, corpus_chance(r, 50) ? ", " : " ", list, sizeof(list));
    TASK_FILL("pick",
              "What is the {o} word: {l}?|Which word is the {o} one: {l}?|"
              "Tell me the {o} word of this list: {l}.|What is the {o} word of \"{l}\"?|"
              "~Name the {o} one of these words: {l}.|~Out of {l}, which word is {o}?",
              "The {o} word is {w}.", "{W}.", {"o", at < 3 ? ordinals[at] : "last"},
              {"l", list}, {"w", at < 3 ? words[at] : words[n - 1]});
}

void task_join(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *words[2];

    draw_words(r, split, 2, words);
    TASK_FILL("join",
              "Join {a} and {b} with a plus sign.|Put a plus between {a} and {b}.|"
              "Write {a} and {b} with a plus between them.|"
              "~Connect {a} and {b} with a plus sign.",
              "{a} + {b}", "{a} + {b}", {"a", words[0]}, {"b", words[1]});
}

/* A list in a well-known order, cut off after three or four. */
void task_continue(struct rng *r, enum corpus_split split, struct exchange *out)
{
    uint32_t kind = rng_below(r, 3), n = 3 + rng_below(r, 2), from;
    char items[5][12], list[80];
    const char *pointers[4];

    from = rng_below(r, kind == 0 ? 7 : kind == 1 ? 22 : 90);
    for (uint32_t i = 0; i <= n; i++) {
        if (kind == 0) {
            snprintf(items[i], sizeof(items[i]), "%s", days[(from + i) % 7]);
        } else if (kind == 1) {
            snprintf(items[i], sizeof(items[i]), "%c", (char)('a' + (int)(from + i) % 26));
        } else {
            snprintf(items[i], sizeof(items[i]), "%u", from + i);
        }
        if (i < n) {
            pointers[i] = items[i];
        }
    }
    join_words(pointers, n, ", ", list, sizeof(list));
    TASK_FILL(
        "continue",
        "Continue: {l}|What comes next: {l}?|Complete the list: {l}, ...|What is next: {l}?|"
        "~How does it go on: {l}?|~Please add the next one: {l}",
        "Next comes {x}.", "{X}.", {"l", list}, {"x", items[n]});
}
