/* corpus.h: the text that weir-tiny is trained on, made from our own phrases by a seeded
 * generator.
 *
 * Three things are generated. An *exchange* is one user turn and its answer, made by one skill
 * (a sum, a fact, small talk). A *conversation* is an optional system prompt and some
 * exchanges, with the system prompt's rules (a name, a tone, a fact, a forbidden topic) applied
 * to each answer; conversation.h composes it. A *document* is plain prose without roles.
 *
 * Everything exists in two splits. What a model is judged on (wordings, names, numbers) is
 * drawn from CORPUS_HELDOUT and never occurs in CORPUS_TRAIN: skills keep their phrases in two
 * tables, and their values in two disjoint sets.
 *
 * Answers are plain, short, correct, warm English sentences, with a capital letter and a full
 * stop, in ASCII. The same meaning always gets the same few answer forms: a small model learns
 * few forms well.
 *
 * Threads: all functions are pure but for the generator passed in and corpus_set_wordings.
 * Nothing allocates but documents.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/rng.h"

enum corpus_split { CORPUS_TRAIN, CORPUS_HELDOUT };

#define CORPUS_USER_MAX   600
#define CORPUS_ANSWER_MAX 1200
#define CORPUS_TERSE_MAX  300

/* One user turn and its answer. */
struct exchange {
    char user[CORPUS_USER_MAX]; /* well spelled and punctuated; conversations roughen it up */
    char answer[CORPUS_ANSWER_MAX]; /* "23 + 45 = 68." */
    char terse[CORPUS_TERSE_MAX];   /* the shortest correct answer, with its full stop: "68." */
    const char *skill;              /* static string: "sum" */
    const char *topic;              /* static string: the refusable topic it is about, or "" */
};

/* Fills *out completely. */
typedef void exchange_fn(struct rng *r, enum corpus_split split, struct exchange *out);

/* Appends one document of 50 to 400 words, without a final newline. Paragraphs are parted by
 * "\n\n". */
typedef void document_fn(struct rng *r, struct buf *out);

/* Skills that need no system prompt. */
exchange_fn exchange_sum;       /* arithmetic.c */
exchange_fn exchange_fact;      /* facts.c: general knowledge */
exchange_fn exchange_smalltalk; /* smalltalk.c: greetings, moods, jokes, opinions, advice */
exchange_fn exchange_thanks; /* smalltalk.c: thanks and goodbyes, the end of a conversation */
exchange_fn
    exchange_about_weir; /* about_weir.c: what Weir, a language model and a server are; what it
                          * can and cannot do. Not its name: system_name.c does that. */
exchange_fn exchange_story; /* stories.c: "Tell me a story about a fox." */
exchange_fn exchange_words; /* words.c: spelling, opposites, plurals, rhymes, first letters,
                               repeating */
exchange_fn exchange_topic; /* topics.c: a question about a topic, answered in general terms */

document_fn document_story; /* stories.c */
document_fn document_facts; /* facts.c */

/* --- Phrases --- */

#define CORPUS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Alternatives for one thing to say, parted by split. */
struct phrases {
    const char *const *train;
    size_t n_train;
    const char *const *heldout; /* NULL: the training ones serve both */
    size_t n_heldout;
};

/* Initialisers from arrays of `const char *const`. */
#define PHRASES(train_array, heldout_array)                                                    \
    {                                                                                          \
        (train_array), CORPUS_COUNT(train_array), (heldout_array), CORPUS_COUNT(heldout_array) \
    }
#define PHRASES_SHARED(array)                 \
    {                                         \
        (array), CORPUS_COUNT(array), NULL, 0 \
    }

/* An array and its length, for initialisers in a table: {CORPUS_LIST("a", "b"),
 * CORPUS_LIST("c")}. */
#define CORPUS_LIST(...) \
    (const char *const[]){__VA_ARGS__}, CORPUS_COUNT(((const char *const[]){__VA_ARGS__}))

const char *phrases_pick(const struct phrases *p, struct rng *r, enum corpus_split split);

/* Which wordings the training split draws from. Pretraining has the common ones; fine-tuning
 * widens them: a model that has met few ways of saying a thing takes the others for noise. The
 * widest have questions of any shape about any noun, most of them under a ban of something
 * else, so that a question which is merely unfamiliar is not refused. The named ones, which
 * fine-tuning ends with, are as wide, but what is refused always names what is banned: words
 * that only belong to it are never asked for under its ban. Set once, before anything is
 * drawn; the common ones until then. */
enum corpus_wordings {
    CORPUS_WORDINGS_COMMON,
    CORPUS_WORDINGS_WIDE,
    CORPUS_WORDINGS_WIDEST,
    CORPUS_WORDINGS_NAMED
};
void corpus_set_wordings(enum corpus_wordings wordings);
enum corpus_wordings corpus_wordings(void);

/* Like phrases_pick, for a table that has more training phrases when all are in use. */
struct more_phrases {
    const char *const *train;
    size_t n_train;
};
const char *phrases_pick_wide(const struct phrases *common, const struct more_phrases *more,
                              struct rng *r, enum corpus_split split);

/* CORPUS_PICK(r, array): a uniformly drawn element of an array (not a pointer). */
#define CORPUS_PICK(r, array) ((array)[rng_below((r), (uint32_t)CORPUS_COUNT(array))])

/* True `percent` times in a hundred. */
bool corpus_chance(struct rng *r, unsigned percent);

/* --- Templates --- */

struct slot {
    const char *key;   /* "name" */
    const char *value; /* borrowed */
};

/* Writes `form` into out[size] with each {key} replaced by its slot's value; {Key} gives the
 * value with a capital first letter. An unknown key or a result that does not fit ends the
 * program with a message: forms are ours, so either is a mistake in a table. */
void corpus_fill(char *out, size_t size, const char *form, const struct slot *slots,
                 size_t n_slots);

/* The common case of literal slots: corpus_fill_slots(buf, form, {"a", a}, {"b", b}); buf is an
 * array. */
#define corpus_fill_slots(out, form, ...)                                       \
    corpus_fill((out), sizeof(out), (form), (const struct slot[]){__VA_ARGS__}, \
                CORPUS_COUNT(((const struct slot[]){__VA_ARGS__})))

/* Copies text into out[size]; ends the program when it does not fit. */
void corpus_copy(char *out, size_t size, const char *text);
