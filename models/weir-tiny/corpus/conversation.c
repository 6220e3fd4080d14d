#include "models/weir-tiny/corpus/conversation.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "models/weir-tiny/corpus/safety.h"
#include "models/weir-tiny/corpus/unknown.h"

struct skill {
    exchange_fn *draw;
    unsigned weight;
};

static const struct skill skills[] = {
    {exchange_sum, 30},       {exchange_fact, 16}, {exchange_smalltalk, 14},
    {exchange_about_weir, 5}, {exchange_story, 6}, {exchange_words, 10},
    {exchange_topic, 12},     {exchange_noun, 7},
};

/* Where all wordings are in use: more of what people ask first, less of what is learnt early,
 * and what is declined or cannot be known, in many more ways than small talk has. */
static const struct skill later_skills[] = {
    {exchange_sum, 22},       {exchange_fact, 27},   {exchange_smalltalk, 14},
    {exchange_about_weir, 6}, {exchange_story, 4},   {exchange_words, 10},
    {exchange_topic, 10},     {exchange_noun, 7},    {exchange_harmful, 7},
    {exchange_lookalike, 7},  {exchange_unknown, 6},
};

static const char *const plain_prompts[] = {
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "Answer the questions of the user.",
    "Help the user.",
    "You help people.",
    "You are here to help.",
    "Be helpful.",
    "You are an assistant.",
    "Please help the user.",
    "You answer questions.",
    "Give correct answers.",
    "You are a chat assistant.",
    "Be a good assistant.",
};

static const char *const fillers[] = {
    "You answer questions.",
    "Help the user.",
    "You help visitors.",
    "Be helpful.",
    "You talk to customers.",
    "Give correct answers.",
    "You are here to help.",
    "Users may ask you anything.",
    "Help people with their questions.",
    "You are a helpful assistant.",
    "You know many things.",
    "You like to help.",
    "Guests will ask you questions.",
    "You talk to students.",
    "Follow these rules.",
    "Do your best.",
    "You sit at the front desk.",
    "The user is a customer.",
    "The user is a guest.",
    "You work all day.",
};

#define MAX_SENTENCES 8

/* A prompt's sentences in the order they are said. */
struct sentences {
    char text[MAX_SENTENCES][PERSONA_SENTENCE_MAX];
    size_t n;
};

static char *next_sentence(struct sentences *s)
{
    return s->text[s->n++];
}

static void shuffle(struct rng *r, struct sentences *s)
{
    for (size_t i = s->n; i > 1; i--) {
        size_t k = rng_below(r, (uint32_t)i);
        char swap[PERSONA_SENTENCE_MAX];
        memcpy(swap, s->text[k], sizeof(swap));
        memcpy(s->text[k], s->text[i - 1], sizeof(swap));
        memcpy(s->text[i - 1], swap, sizeof(swap));
    }
}

static void join(struct rng *r, const struct sentences *s, char *out, size_t size)
{
    uint32_t roll = rng_below(r, 100);
    const char *before = roll < 6 ? "- " : "";
    const char *between = roll < 18 ? "\n" : " ";
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < s->n; i++) {
        int n =
            snprintf(out + len, size - len, "%s%s%s", i > 0 ? between : "", before, s->text[i]);
        len += (size_t)n;
    }
}

/* Rules are sometimes framed. */
static const char *const rule_frames[] = {
    "Important: {s}",
    "Rule: {s}",
    "Remember: {s}",
    "{s} This is important.",
    "{s} Always follow this rule.",
    "Please remember: {s}",
    "{s} Never forget this.",
    "Note: {s}",
    "Your rule: {s}",
    "{s} Do this in every answer.",
    "1. {s}",
    "Instruction: {s}",
};

static void frame_rule(struct rng *r, char *sentence)
{
    char plain[PERSONA_SENTENCE_MAX];
    if (!corpus_chance(r, 12)) {
        return;
    }
    corpus_copy(plain, sizeof(plain), sentence);
    const struct slot slots[] = {{"s", plain}};
    corpus_fill(sentence, PERSONA_SENTENCE_MAX, CORPUS_PICK(r, rule_frames), slots,
                CORPUS_COUNT(slots));
}

static void say(struct rng *r, enum corpus_split split, struct conversation *c)
{
    struct persona *p = &c->persona;
    struct sentences s = {.n = 0};
    if (p->name[0] != '\0') {
        system_name_say(r, split, p, next_sentence(&s), PERSONA_SENTENCE_MAX);
    }
    if (p->tone != TONE_NONE) {
        system_tone_say(r, split, p->tone, s.text[s.n], PERSONA_SENTENCE_MAX);
        frame_rule(r, next_sentence(&s));
    }
    for (size_t i = 0; i < p->n_facts; i++) {
        system_fact_say(r, split, &p->facts[i], next_sentence(&s), PERSONA_SENTENCE_MAX);
    }
    if (p->n_forbidden > 0) {
        system_refusal_say(r, split, p, s.text[s.n], PERSONA_SENTENCE_MAX);
        frame_rule(r, next_sentence(&s));
    }
    if (s.n > 0 && corpus_chance(r, 25)) {
        corpus_copy(next_sentence(&s), PERSONA_SENTENCE_MAX, CORPUS_PICK(r, fillers));
    }
    if (corpus_chance(r, 60)) {
        shuffle(r, &s);
    }
    join(r, &s, c->system, sizeof(c->system));
}

void conversation_begin(struct rng *r, enum corpus_split split, const struct demands *d,
                        struct conversation *c)
{
    memset(c, 0, sizeof(*c));
    if (d->name) {
        system_name_draw(r, split, &c->persona);
    }
    if (d->tone) {
        c->persona.tone = (enum tone)(1 + rng_below(r, TONE_COUNT - 1));
    }
    for (unsigned i = 0; i < d->n_facts; i++) {
        system_fact_draw(r, split, &c->persona);
    }
    for (unsigned i = 0; i < d->n_forbidden; i++) {
        system_refusal_draw(r, split, &c->persona);
    }
    say(r, split, c);
}

static void drop_final_punctuation(char *s)
{
    size_t len = strlen(s);
    if (len > 1 && (s[len - 1] == '.' || s[len - 1] == '?' || s[len - 1] == '!')) {
        s[len - 1] = '\0';
    }
}

static void drop_apostrophes(char *s)
{
    char *w = s;
    for (const char *p = s; *p != '\0'; p++) {
        if (*p != '\'') {
            *w++ = *p;
        }
    }
    *w = '\0';
}

/* Swaps two letters inside a word in lower case. */
static void slip(struct rng *r, char *s)
{
    size_t len = strlen(s);
    if (len < 8) {
        return;
    }
    for (unsigned attempt = 0; attempt < 8; attempt++) {
        size_t i = 1 + rng_below(r, (uint32_t)len - 3);
        if (islower((unsigned char)s[i - 1]) && islower((unsigned char)s[i]) &&
            islower((unsigned char)s[i + 1])) {
            char t = s[i];
            s[i] = s[i + 1];
            s[i + 1] = t;
            return;
        }
    }
}

static void change_case(char *s, int (*convert)(int))
{
    for (char *p = s; *p != '\0'; p++) {
        *p = (char)convert((unsigned char)*p);
    }
}

static void roughen(struct rng *r, char *s)
{
    uint32_t roll = rng_below(r, 100);
    if (roll < 9) {
        change_case(s, tolower);
    } else if (roll < 12) {
        change_case(s, toupper);
    } else if (roll < 15) {
        slip(r, s);
    }
    if (corpus_chance(r, 12)) {
        drop_final_punctuation(s);
    }
    if (corpus_chance(r, 5)) {
        drop_apostrophes(s);
    }
}

void conversation_add(struct rng *r, struct conversation *c, const struct exchange *x,
                      bool exact)
{
    struct turn *t = &c->turns[c->n_turns++];
    corpus_copy(t->user, sizeof(t->user), x->user);
    if (strcmp(x->skill, "words") == 0 || strcmp(x->skill, "noun") == 0) {
        if (corpus_chance(r, 10)) {
            drop_final_punctuation(t->user);
        }
    } else if (!exact) {
        roughen(r, t->user);
    }
    system_tone_apply(c->persona.tone, x, t->assistant, sizeof(t->assistant));
}

static exchange_fn *pick_skill(struct rng *r)
{
    bool later = corpus_wordings() >= CORPUS_WORDINGS_WIDE;
    const struct skill *from = later ? later_skills : skills;
    size_t n = later ? CORPUS_COUNT(later_skills) : CORPUS_COUNT(skills);
    unsigned total = 0;
    for (size_t i = 0; i < n; i++) {
        total += from[i].weight;
    }
    uint32_t roll = rng_below(r, total);
    for (size_t i = 0; i < n; i++) {
        if (roll < from[i].weight) {
            return from[i].draw;
        }
        roll -= from[i].weight;
    }
    return from[0].draw;
}

void conversation_draw_plain(struct rng *r, enum corpus_split split,
                             const struct conversation *c, struct exchange *x)
{
    const struct persona *p = &c->persona;
    for (;;) {
        exchange_fn *draw = pick_skill(r);
        bool its_own_name = draw == exchange_about_weir && p->name[0] != '\0';
        bool wordy = draw == exchange_story && p->tone == TONE_CAPS;
        if (its_own_name || wordy) {
            continue;
        }
        draw(r, split, x);
        if (!system_refusal_forbids(p, x)) {
            return;
        }
    }
}

/* A question that a ban must not stop. */
static void draw_allowed(struct rng *r, const struct conversation *c, struct exchange *x)
{
    bool widest = corpus_wordings() >= CORPUS_WORDINGS_WIDEST;
    bool noun = c->persona.forbidden[0].topic == NULL;
    if (widest && corpus_chance(r, 50)) {
        conversation_draw_plain(r, CORPUS_TRAIN, c, x);
        return;
    }
    unsigned about_topic = noun ? 35 : widest ? 50 : 75;
    do {
        (corpus_chance(r, about_topic) ? exchange_topic : exchange_noun)(r, CORPUS_TRAIN, x);
    } while (system_refusal_forbids(&c->persona, x));
}

/* A turn that shows the prompt obeyed. False when this persona asks for nothing that needs one.
 */
static bool draw_obeying(struct rng *r, const struct conversation *c, struct exchange *x)
{
    const struct persona *p = &c->persona;
    switch (rng_below(r, 3)) {
    case 0:
        if (p->name[0] != '\0') {
            system_name_exchange(r, CORPUS_TRAIN, p, x);
            return true;
        }
        return false;
    case 1:
        if (p->n_facts > 0 && corpus_chance(r, 92)) {
            system_fact_exchange(r, CORPUS_TRAIN, &p->facts[rng_below(r, (uint32_t)p->n_facts)],
                                 x);
            return !system_refusal_forbids(p, x);
        }
        if (p->n_facts > 0) {
            system_fact_unknown(r, CORPUS_TRAIN, p, x);
            return !system_refusal_forbids(p, x);
        }
        return false;
    default:
        if (p->n_forbidden == 0) {
            return false;
        }
        /* Of a hundred, by corpus_wordings(). */
        static const unsigned allowed[] = {35, 50, 75, 75};
        if (corpus_chance(r, allowed[corpus_wordings()])) {
            draw_allowed(r, c, x);
            return true;
        }
        system_refusal_exchange(r, CORPUS_TRAIN, p, rng_below(r, (uint32_t)p->n_forbidden),
                                REFUSAL_BY_ANY, x);
        return true;
    }
}

static bool asks_something(const struct persona *p)
{
    return p->name[0] != '\0' || p->n_facts > 0 || p->n_forbidden > 0;
}

static bool asked_before(const struct conversation *c, const struct exchange *x)
{
    for (size_t i = 0; i < c->n_turns; i++) {
        if (strcmp(c->turns[i].user, x->user) == 0) {
            return true;
        }
    }
    return false;
}

static void draw_any_turn(struct rng *r, const struct conversation *c, struct exchange *x)
{
    if (asks_something(&c->persona) && corpus_chance(r, 78)) {
        while (!draw_obeying(r, c, x)) {
        }
        return;
    }
    if (c->persona.name[0] == '\0' && corpus_chance(r, 6)) {
        system_name_exchange(r, CORPUS_TRAIN, &c->persona, x);
        if (!system_refusal_forbids(&c->persona, x)) {
            return;
        }
    }
    conversation_draw_plain(r, CORPUS_TRAIN, c, x);
}

/* The words around a question. */
static const char *const question_frames[] = {
    "Quick question: {q}",
    "One more thing: {q}",
    "I have a question. {q}",
    "Hi there. {q}",
    "Please help me. {q}",
    "Good morning! {q}",
    "Tell me something: {q}",
    "{q} Please tell me.",
    "{q} Thank you.",
    "{q} I would like to know.",
    "{q} I hope you can help.",
    "Hello! {q}",
    "Excuse me. {q}",
    "Now to something else. {q}",
    "Good evening. {q}",
    "{q} I am in a hurry.",
    "Maybe you can help. {q}",
    "Okay. {q}",
    "I was wondering: {q}",
    "Just one thing: {q}",
    "Hey. {q}",
    "I need to know this: {q}",
    "{q} Please answer.",
    "Right. {q}",
};

static void frame_question(struct rng *r, struct exchange *x)
{
    static const char *const framed_skills[] = {"fact",    "name",  "default_name",
                                                "refusal", "topic", "noun"};
    bool framed = false;
    if (corpus_wordings() < CORPUS_WORDINGS_WIDE || !corpus_chance(r, 12)) {
        return;
    }
    for (size_t i = 0; i < CORPUS_COUNT(framed_skills); i++) {
        framed |= strcmp(x->skill, framed_skills[i]) == 0;
    }
    if (framed && strlen(x->user) < CORPUS_USER_MAX - 40) {
        char plain[CORPUS_USER_MAX];
        corpus_copy(plain, sizeof(plain), x->user);
        corpus_fill_slots(x->user, CORPUS_PICK(r, question_frames), {"q", plain});
    }
}

/* Few people ask the same thing twice. */
static void draw_turn(struct rng *r, const struct conversation *c, struct exchange *x)
{
    for (unsigned attempt = 0; attempt < 4; attempt++) {
        draw_any_turn(r, c, x);
        if (!asked_before(c, x)) {
            break;
        }
    }
    frame_question(r, x);
}

static size_t draw_turn_count(struct rng *r)
{
    uint32_t roll = rng_below(r, 100);
    if (roll < 55) {
        return 1;
    }
    if (roll < 80) {
        return 2;
    }
    if (roll < 96) {
        return 3 + rng_below(r, 3);
    }
    return 6 + rng_below(r, CONVERSATION_MAX_TURNS - 6);
}

static void draw_demands(struct rng *r, struct demands *d)
{
    memset(d, 0, sizeof(*d));
    uint32_t roll = rng_below(r, 100);
    bool widest = corpus_wordings() >= CORPUS_WORDINGS_WIDEST;
    if (widest && corpus_chance(r, 40)) {
        roll = 52; /* more bans */
    }
    d->name = roll < 22 || corpus_chance(r, widest ? 35 : 20);
    d->n_facts = (roll >= 22 && roll < 52) || corpus_chance(r, 15)
                     ? 1 + rng_below(r, PERSONA_MAX_FACTS)
                     : 0;
    d->n_forbidden =
        (roll >= 52 && roll < 78) || corpus_chance(r, 10) ? (corpus_chance(r, 80) ? 1 : 2) : 0;
    d->tone = roll >= 78 || corpus_chance(r, 12);
}

void conversation_draw(struct rng *r, struct conversation *c)
{
    uint32_t roll = rng_below(r, 100);
    if (roll < 70) {
        struct demands d;
        draw_demands(r, &d);
        conversation_begin(r, CORPUS_TRAIN, &d, c);
    } else {
        memset(c, 0, sizeof(*c));
        if (roll < 76) {
            corpus_copy(c->system, sizeof(c->system), CORPUS_PICK(r, plain_prompts));
        }
    }
    size_t n = draw_turn_count(r);
    for (size_t i = 0; i < n; i++) {
        struct exchange x;
        draw_turn(r, c, &x);
        conversation_add(r, c, &x, false);
    }
    if (c->n_turns < CONVERSATION_MAX_TURNS && corpus_chance(r, 8)) {
        struct exchange x;
        exchange_thanks(r, CORPUS_TRAIN, &x);
        if (!system_refusal_forbids(&c->persona, &x)) {
            conversation_add(r, c, &x, false);
        }
    }
}

void conversation_draw_arithmetic(struct rng *r, struct conversation *c)
{
    memset(c, 0, sizeof(*c));
    size_t n = 1 + rng_below(r, 3);
    for (size_t i = 0; i < n; i++) {
        struct exchange x;
        exchange_sum(r, CORPUS_TRAIN, &x);
        conversation_add(r, c, &x, false);
    }
}

void conversation_write_string(const char *s, struct buf *out)
{
    buf_append_char(out, '"');
    for (const char *p = s; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\') {
            buf_append_char(out, '\\');
            buf_append_char(out, *p);
        } else if (c == '\n') {
            buf_append_str(out, "\\n");
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_append_char(out, *p);
        }
    }
    buf_append_char(out, '"');
}

static void write_message(const char *role, const char *content, struct buf *out)
{
    buf_printf(out, "{\"role\":\"%s\",\"content\":", role);
    conversation_write_string(content, out);
    buf_append_char(out, '}');
}

void conversation_write(const struct conversation *c, bool open, struct buf *out)
{
    buf_append_str(out, "\"messages\":[");
    if (c->system[0] != '\0') {
        write_message("system", c->system, out);
        buf_append_char(out, ',');
    }
    for (size_t i = 0; i < c->n_turns; i++) {
        if (i > 0) {
            buf_append_char(out, ',');
        }
        write_message("user", c->turns[i].user, out);
        if (!open || i + 1 < c->n_turns) {
            buf_append_char(out, ',');
            write_message("assistant", c->turns[i].assistant, out);
        }
    }
    buf_append_char(out, ']');
}
