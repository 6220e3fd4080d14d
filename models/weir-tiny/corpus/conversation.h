/* conversation.h: a system prompt and turns, put together from the skills.
 *
 * In a training conversation with a system prompt, most turns exercise what the prompt asks
 * for, and the prompt holds to the last turn. The user's turns are roughened a little: letter
 * case, punctuation, a slip of the fingers. */
#pragma once

#include "models/weir-tiny/corpus/persona.h"

#define CONVERSATION_MAX_TURNS  12
#define CONVERSATION_SYSTEM_MAX 1600

struct turn {
    char user[CORPUS_USER_MAX];
    char assistant[CORPUS_ANSWER_MAX];
};

struct conversation {
    char system[CONVERSATION_SYSTEM_MAX]; /* "" for none */
    struct persona persona;
    struct turn turns[CONVERSATION_MAX_TURNS];
    size_t n_turns;
};

/* What the system prompt is to ask for; the rest is left out. */
struct demands {
    bool name, tone;
    unsigned n_facts;
    unsigned n_forbidden;
};

/* Draws the persona and its prompt. A demanded tone is any but TONE_NONE. */
void conversation_begin(struct rng *r, enum corpus_split split, const struct demands *d,
                        struct conversation *c);
/* Adds a turn: x with the user's text roughened (unless exact) and the persona's tone in the
 * answer. */
void conversation_add(struct rng *r, struct conversation *c, const struct exchange *x,
                      bool exact);
/* An exchange that needs no system prompt and touches no forbidden topic. */
void conversation_draw_plain(struct rng *r, enum corpus_split split,
                             const struct conversation *c, struct exchange *x);
/* A whole conversation of the training text. */
void conversation_draw(struct rng *r, struct conversation *c);
/* One to three sums without a system prompt: of all skills arithmetic wants the most examples.
 */
void conversation_draw_arithmetic(struct rng *r, struct conversation *c);

/* Appends "messages":[...]; the last answer is left out when `open`. */
void conversation_write(const struct conversation *c, bool open, struct buf *out);
void conversation_write_string(const char *s,
                               struct buf *out); /* a JSON string, with its quotes */
