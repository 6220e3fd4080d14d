/* persona.h: what a system prompt of the corpus asks for, and the skills that obey it.
 *
 * For each of the four skills: draw what is asked into the persona, say it in a sentence of the
 * system prompt, and make an exchange that shows it obeyed. The tone is applied to every
 * answer, last. */
#pragma once

#include "models/weir-tiny/corpus/value.h"

enum tone {
    TONE_NONE,
    TONE_TERSE,
    TONE_FORMAL,
    TONE_PIRATE,
    TONE_CHEERFUL,
    TONE_ROBOT,
    TONE_POET,
    TONE_CAPS,
    TONE_COUNT
};

#define PERSONA_MAX_FACTS     3
#define PERSONA_MAX_FORBIDDEN 2
#define PERSONA_SENTENCE_MAX  240

struct topic;
struct fact_kind;

/* A fact stated in the system prompt. */
struct told_fact {
    const struct fact_kind *kind;
    char who[VALUE_MAX];   /* "the office" */
    char value[VALUE_MAX]; /* "17:20" */
    char other[VALUE_MAX]; /* another time, where the statement tells a span: "open from {o} to
                              {v}" */
};

/* A topic not to talk about: one of the table, or any noun. */
struct forbidden {
    const struct topic *topic; /* NULL for a noun outside the table */
    char name[VALUE_MAX];      /* "cooking" */
};

struct persona {
    char name[VALUE_MAX]; /* "" when the prompt gives none: then it is Weir */
    char role[120];       /* "the assistant of the Blue Door Bakery", or "" */
    enum tone tone;
    struct told_fact facts[PERSONA_MAX_FACTS];
    size_t n_facts;
    struct forbidden forbidden[PERSONA_MAX_FORBIDDEN];
    size_t n_forbidden;
};

/* --- Name (system_name.c) --- */
void system_name_draw(struct rng *r, enum corpus_split split, struct persona *p);
void system_name_say(struct rng *r, enum corpus_split split, const struct persona *p, char *out,
                     size_t size);
void system_name_exchange(struct rng *r, enum corpus_split split, const struct persona *p,
                          struct exchange *out);

/* --- Tone (system_tone.c) --- */
void system_tone_say(struct rng *r, enum corpus_split split, enum tone tone, char *out,
                     size_t size);
/* The answer of x as the tone would have it. */
void system_tone_apply(enum tone tone, const struct exchange *x, char *out, size_t size);
const char *system_tone_marker(enum tone tone,
                               size_t i); /* the i-th text that shows the tone, or NULL */

/* --- Facts (system_fact.c) --- */
void system_fact_draw(struct rng *r, enum corpus_split split,
                      struct persona *p); /* appends one */
void system_fact_say(struct rng *r, enum corpus_split split, const struct told_fact *f,
                     char *out, size_t size);
void system_fact_exchange(struct rng *r, enum corpus_split split, const struct told_fact *f,
                          struct exchange *out);
/* A question whose answer the prompt does not hold. */
void system_fact_unknown(struct rng *r, enum corpus_split split, const struct persona *p,
                         struct exchange *out);
/* "the office", "the Blue Door Bakery" */
void system_fact_place(struct rng *r, char *out);

/* --- Refusals (system_refusal.c) --- */
enum refusal_by { REFUSAL_BY_NAME, REFUSAL_BY_RELATED_WORD, REFUSAL_BY_ANY };
void system_refusal_draw(struct rng *r, enum corpus_split split,
                         struct persona *p); /* appends one */
void system_refusal_say(struct rng *r, enum corpus_split split, const struct persona *p,
                        char *out, size_t size);
/* A question about p->forbidden[which], and the refusal. */
void system_refusal_exchange(struct rng *r, enum corpus_split split, const struct persona *p,
                             size_t which, enum refusal_by by, struct exchange *out);
/* True when x touches a forbidden topic and so may not be answered as it is. */
bool system_refusal_forbids(const struct persona *p, const struct exchange *x);
/* A question about a noun outside the table of topics, answered. */
exchange_fn exchange_noun;
