#include "models/weir-tiny/corpus/persona.h"
#include "models/weir-tiny/corpus/unknown.h"

#include "models/weir-tiny/corpus/words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct topic {
    const char *name; /* reads well after "about" */
    const char *what; /* one sentence; the answer where the topic is allowed */
    struct phrases words;
    struct phrases questions;
};

/* A struct phrases that serves both splits. */
/* clang-format off */
#define L(...) {CORPUS_LIST(__VA_ARGS__), NULL, 0}
/* clang-format on */

static const struct topic topics[] = {
#include "models/weir-tiny/corpus/topics.inc"
#include "models/weir-tiny/corpus/topics_more.inc"
};

/* Never forbidden in training; the training text holds them, if at all, as ordinary words. */
static const char *const heldout_topics[] = {
    "chess",    "astrology",   "skiing",        "motorcycles", "opera music", "architecture",
    "vampires", "tattoos",     "hunting",       "insurance",   "cheese",      "vacations",
    "golf",     "karate",      "sushi",         "wrestling",   "archery",     "hypnosis",
    "bowling",  "yoga",        "sailing trips", "horoscopes",  "pizza",       "real estate",
    "surfing",  "celebrities", "nail polish",
};

static const char *const noun_adjectives[] = {
    "old",        "new",  "red",    "blue",   "green", "small",  "big",     "cheap",  "foreign",
    "modern",     "wild", "broken", "wooden", "round", "famous", "strange", "garden", "winter",
    "summer",     "city", "sea",    "toy",    "dry",   "heavy",  "bright",  "hidden", "family",
    "travelling", "used", "tiny",   "spare",  "royal", "lucky",
};

static const struct phrases forbid_one = {
    CORPUS_LIST("Do not talk about {t}.", "Never talk about {t}.", "Do not discuss {t}.",
                "Never discuss {t}.", "You must not talk about {t}.",
                "You may not talk about {t}.", "Do not answer questions about {t}.",
                "Refuse to talk about {t}.", "Refuse all questions about {t}.",
                "Never answer questions about {t}.", "You are not allowed to talk about {t}.",
                "Do not say anything about {t}.", "Say nothing about {t}.",
                "The topic of {t} is forbidden.", "The topic {t} is not allowed.",
                "{T} is a forbidden topic.", "Avoid {t}.", "Avoid the topic of {t}.",
                "Do not mention {t}.", "Never mention {t}.", "You do not talk about {t}.",
                "You never speak about {t}.", "You must refuse to discuss {t}.",
                "Please do not talk about {t}.", "Please avoid talking about {t}.",
                "If someone asks about {t}, refuse.", "If the user asks about {t}, say no.",
                "Decline questions about {t}.", "Questions about {t} are not allowed.",
                "Stay away from the topic of {t}.", "Stay away from {t}.",
                "Keep away from {t}.", "Do not speak about {t}.", "Never speak about {t}.",
                "You cannot talk about {t}.", "Talking about {t} is not allowed.",
                "You should not talk about {t}.", "You should not discuss {t}.",
                "Do not give advice about {t}.", "Don't talk about {t}.", "Don't discuss {t}.",
                "No talk about {t}.", "You have to refuse questions about {t}.",
                "It is forbidden to talk about {t}."),
    CORPUS_LIST("Talk about anything but {t}.", "You must never talk about {t}.",
                "Politely refuse to talk about {t}.", "Never say anything about {t}.",
                "Discussing {t} is forbidden.", "Please refuse questions about {t}.",
                "You are not allowed to discuss {t}.", "You must avoid the topic of {t}.")};
static const struct more_phrases forbid_one_more = {CORPUS_LIST(
    "Talk about everything except {t}.", "Speak about all things but {t}.",
    "You can talk about anything except {t}.", "Help with everything but {t}.",
    "Any topic is fine, only not {t}.", "{T} is off limits.", "Mentioning {t} is forbidden.",
    "To talk about {t} is not permitted.", "You must keep away from the topic of {t}.",
    "You have to avoid the subject of {t}.", "Turn down questions about {t}.",
    "Turn away questions about {t}.", "Reject questions about {t}.",
    "All questions about {t} must be refused.", "Politely decline questions about {t}.",
    "The subject of {t} is closed.", "Nothing about {t}, please.",
    "Users must not hear about {t} from you.", "Never give answers about {t}.")};

static const struct phrases forbid_two = {
    CORPUS_LIST("Do not talk about {t} or {u}.", "Never discuss {t} or {u}.",
                "Do not discuss {t} and {u}.", "Refuse to talk about {t} and {u}.",
                "You must not talk about {t} or {u}.", "Avoid {t} and {u}.",
                "Do not answer questions about {t} or {u}.",
                "The topics {t} and {u} are forbidden.", "Never mention {t} or {u}.",
                "Do not talk about {t}. Do not talk about {u}.",
                "You may not discuss {t} or {u}.", "Forbidden topics: {t}, {u}.",
                "If someone asks about {t} or {u}, refuse."),
    CORPUS_LIST("You must never talk about {t} or {u}.",
                "Politely refuse to discuss {t} and {u}.",
                "Please refuse questions about {t} or {u}.")};
static const struct more_phrases forbid_two_more = {
    CORPUS_LIST("Politely decline to talk about {t} or {u}.", "Never speak about {t} and {u}.",
                "You should never talk about {t} or {u}.", "Reject questions about {t} or {u}.",
                "Always refuse to discuss {t} or {u}.", "Gently refuse to explain {t} and {u}.",
                "Turn down questions about {t} and {u}.", "{T} and {u} are off limits.",
                "Talk about everything except {t} and {u}.")};

/* "At no time" + "talk about" + "{t}.": more ways to say it than anybody would list. No pair is
 * among those held out above. */
static const char *const forbid_leads[] = {
    "Do not",
    "Never",
    "You may not",
    "You should never",
    "Please never",
    "Kindly do not",
    "You will not",
    "You shall not",
    "At no time",
    "In no case",
    "You cannot",
    "We ask you not to",
    "The rule is: do not",
    "Make sure not to",
    "Take care not to",
    "You are told not to",
    "Politely decline to",
    "Gently refuse to",
    "Always refuse to",
    "Please decline to",
    "Kindly refuse to",
    "You are asked not to",
    "It is not allowed to",

};
static const char *const forbid_verbs[] = {
    "talk about",
    "speak about",
    "discuss",
    "mention",
    "answer questions about",
    "comment on",
    "chat about",
    "explain",
    "write about",
    "bring up",
    "help with",
    "answer anything about",
    "say a word about",
    "give information about",
    "go into",
    "take questions about",
};

/* Other shapes of a ban. */
static const char *const forbid_subjects[] = {
    "{T}",
    "The topic of {t}",
    "The subject of {t}",
    "The theme of {t}",
    "Anything about {t}",
    "Everything about {t}",
    "Any question about {t}",
    "Any talk about {t}",
    "All talk about {t}",
    "Talking about {t}",
    "Speaking about {t}",
    "Speaking of {t}",
    "Chatting about {t}",
    "Writing about {t}",
    "Explaining {t}",
    "Answering questions about {t}",
    "Giving advice about {t}",
    "A chat about {t}",
    "Each question about {t}",
    "To speak about {t}",
    "To mention {t}",
    "Commenting on {t}",
    "Bringing up {t}",
    "Even naming {t}",
};
static const char *const forbid_predicates[] = {
    "is forbidden.",
    "is not allowed.",
    "is banned.",
    "is off limits.",
    "is not permitted.",
    "is prohibited.",
    "is against the rules.",
    "is out of the question.",
    "must be refused.",
    "must be avoided.",
    "is to be avoided.",
    "is strictly forbidden.",
    "is not your business.",
    "has to be declined.",
    "is not for you.",
    "is something you refuse.",
    "gets a refusal.",
    "is taboo.",
    "is excluded here.",
    "shall be declined.",
};
static const char *const allow_leads[] = {
    "Talk about",
    "You can talk about",
    "Speak about",
    "You may discuss",
    "Discuss",
    "Help with",
    "Answer questions about",
    "You talk about",
    "Chat about",
    "Feel free to discuss",
    "You are happy to talk about",
    "Users may ask about",
};
static const char *const allow_tails[] = {
    "everything except {t}.",    "all things but {t}.",
    "anything except {t}.",      "everything but {t}.",
    "all topics except {t}.",    "whatever they like, but not {t}.",
    "any topic, only not {t}.",  "all but {t}.",
    "everything, just not {t}.", "anything, but never {t}.",
    "anything other than {t}.",  "every subject apart from {t}.",
};
static const char *const forbid_conditions[] = {
    "If somebody asks about {t}",     "When the user asks about {t}",
    "When a question is about {t}",   "If the question is about {t}",
    "If the talk turns to {t}",       "Whenever {t} comes up",
    "If a user mentions {t}",         "As soon as someone brings up {t}",
    "Should anyone ask about {t}",    "When {t} is the topic",
    "If they want to hear about {t}", "Where a question touches {t}",
};
static const char *const forbid_reactions[] = {
    "refuse.",
    "say no.",
    "decline.",
    "do not answer.",
    "politely refuse.",
    "turn it down.",
    "you have to refuse.",
    "say that you cannot talk about it.",
    "say you are sorry.",
    "you do not answer.",
    "you must decline.",
    "kindly decline.",
};
static const char *const forbid_orders[] = {
    "Avoid",
    "Steer clear of",
    "Keep off",
    "Keep quiet about",
    "Stay silent on",
    "Stay away from",
    "Leave out",
    "Say nothing on",
    "Skip",
    "Refuse",
    "Reject",
    "Decline",
    "Shun",
    "Do not touch",
    "Do not go near",
    "Ban",
    "Be silent about",
    "Never go near",
    "Make no comment on",
    "Give no help with",
    "Give no advice about",
    "Take no questions about",
    "Do not take up",
    "Have nothing to say about",
};
static const char *const forbid_objects[] = {
    "{t}",
    "the topic of {t}",
    "the subject of {t}",
    "questions about {t}",
    "any talk about {t}",
    "all questions about {t}",
    "anything about {t}",
    "requests about {t}",
};

/* A ban in another shape than "do not talk about {t}". */
static void build_shaped_ban(struct rng *r, char *out, size_t size)
{
    switch (rng_below(r, 4)) {
    case 0: {
        const char *subject = CORPUS_PICK(r, forbid_subjects);
        snprintf(out, size, "%s %s", subject, CORPUS_PICK(r, forbid_predicates));
        return;
    }
    case 1: {
        const char *lead = CORPUS_PICK(r, allow_leads);
        snprintf(out, size, "%s %s", lead, CORPUS_PICK(r, allow_tails));
        return;
    }
    case 2: {
        const char *condition = CORPUS_PICK(r, forbid_conditions);
        snprintf(out, size, "%s, %s", condition, CORPUS_PICK(r, forbid_reactions));
        return;
    }
    default: {
        static const char *const leads[] = {
            "", "", "Kindly ", "You have to ", "You should ", "Always "};
        const char *lead = CORPUS_PICK(r, leads);
        const char *order = CORPUS_PICK(r, forbid_orders);
        char first = lead[0] == '\0' ? order[0] : (char)tolower((unsigned char)order[0]);
        bool negated = strncmp(order, "Do not", 6) == 0 || strncmp(order, "Never", 5) == 0;
        if (negated) {
            lead = "";
            first = order[0];
        }
        snprintf(out, size, "%s%c%s %s.", lead, first, order + 1,
                 CORPUS_PICK(r, forbid_objects));
        return;
    }
    }
}

/* {t} stands for what is forbidden. */
static void build_ban(struct rng *r, char *out, size_t size)
{
    const char *lead = CORPUS_PICK(r, forbid_leads);
    size_t at = (size_t)snprintf(out, size, "%s", lead);
    if (at > 3 && corpus_chance(r, 10) && strcmp(out + at - 3, " to") == 0) {
        at += (size_t)snprintf(out + at, size - at, " ever");
    }
    snprintf(out + at, size - at, " %s {t}.", CORPUS_PICK(r, forbid_verbs));
}

static const struct phrases ask_about = {
    CORPUS_LIST(
        "Tell me about {w}.", "What do you know about {w}?", "Can you tell me about {w}?",
        "I have a question about {w}.", "Let us talk about {w}.", "Let's talk about {w}.",
        "What do you think about {w}?", "Do you know anything about {w}?",
        "I want to talk about {w}.", "Can we talk about {w}?", "Tell me something about {w}.",
        "What about {w}?", "Please explain {w}.", "Explain {w} to me.",
        "I would like to know more about {w}.", "Do you like {w}?", "Can you help me with {w}?",
        "I need help with {w}.", "Teach me about {w}.", "Give me some advice about {w}.",
        "What can you say about {w}?", "Could you explain {w}?", "Why do people like {w}?",
        "Are you interested in {w}?", "Please tell me about {w}.", "Say something about {w}.",
        "I love {w}. What about you?", "I want to learn about {w}.",
        "Do you have a tip about {w}?", "How about {w}?"),
    CORPUS_LIST("What should I know about {w}?", "Could you tell me more about {w}?",
                "I am curious about {w}.", "Would you talk with me about {w}?",
                "Please teach me something about {w}.", "Do you have advice about {w}?")};

static const struct more_phrases ask_about_more = {CORPUS_LIST(
    "Is there anything to know about {w}?", "I would like to hear about {w}.",
    "I am interested in {w}.", "Could we talk about {w}?", "Would you explain {w}?",
    "Would you tell me about {w}?", "Could you teach me about {w}?",
    "Could you say something about {w}?", "Please teach me about {w}.",
    "Please say a few words about {w}.", "What can you tell me about {w}?",
    "What is there to know about {w}?", "What do I need to know about {w}?",
    "What must I know about {w}?", "Have you any advice about {w}?",
    "Do you have tips about {w}?", "Do you have any information about {w}?",
    "Do you have anything on {w}?", "Give me some information about {w}.",
    "Give me a tip about {w}.", "Help me with {w}.", "I wonder about {w}.",
    "I am thinking about {w}.", "I have been reading about {w}.", "My question is about {w}.",
    "This is about {w}.", "Let me ask about {w}.", "May I ask about {w}?",
    "May we talk about {w}?", "Shall we talk about {w}?", "Can we chat about {w}?",
    "Could you help me with {w}?", "Would you help me with {w}?", "What is your view on {w}?",
    "What is your opinion of {w}?", "What do people say about {w}?",
    "Why are people interested in {w}?", "How much do you know about {w}?",
    "Do you know much about {w}?", "Are you good at {w}?", "Do you enjoy {w}?",
    "I want to hear more about {w}.", "I want to know everything about {w}.",
    "I need some advice about {w}.", "I need information about {w}.", "Tell me more about {w}.",
    "Tell me a bit about {w}.", "Tell me everything about {w}.",
    "Explain to me what {w} means.", "Now something about {w}.", "And {w}?",
    "So, {w}: what do you know?", "Hello, I have a question about {w}.",
    "Hi! Can you tell me about {w}?", "Would you like to talk about {w}?",
    "Talk to me about {w}.", "Speak about {w}.", "Discuss {w} with me.", "Let us discuss {w}.",
    "Can you discuss {w} with me?")};

static const char *const ask_any[] = {
#include "models/weir-tiny/corpus/questions_any.inc"
};

static const char *const ask_among_words[] = {
#include "models/weir-tiny/corpus/questions_among_words.inc"
};

static bool is_heldout_topic(const char *noun)
{
    for (size_t i = 0; i < CORPUS_COUNT(heldout_topics); i++) {
        if (strcmp(heldout_topics[i], noun) == 0) {
            return true;
        }
    }
    return false;
}

/* Any noun of the word tasks, or one that does not exist, in a form that reads well after
 * "about". False for what does not exist. */
static bool draw_open_noun(struct rng *r, char *out)
{
    char noun[WORD_MAX];
    bool exists;
    do {
        exists = !corpus_chance(r, 30);
        if (!exists) {
            words_invent(r, CORPUS_TRAIN, noun);
        } else {
            words_plural(words_noun(r, CORPUS_TRAIN), noun);
        }
    } while (is_heldout_topic(noun));
    bool described = corpus_chance(r, 20);
    snprintf(out, VALUE_MAX, "%s%s%s", described ? words_adjective(r, CORPUS_TRAIN) : "",
             described ? " " : "", noun);
    return exists;
}

/* A noun to forbid that is not in the table: any noun, or an invented one, of which it returns
 * false. */
static bool draw_noun(struct rng *r, enum corpus_split split, char *out)
{
    if (split == CORPUS_HELDOUT) {
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, heldout_topics));
    } else if (corpus_wordings() >= CORPUS_WORDINGS_WIDEST && corpus_chance(r, 60)) {
        return draw_open_noun(r, out);
    } else if (corpus_chance(r, 45)) {
        corpus_copy(out, VALUE_MAX, value_noun(r, split));
    } else if (corpus_chance(r, 45)) {
        const char *adjective = CORPUS_PICK(r, noun_adjectives);
        snprintf(out, VALUE_MAX, "%s %s", adjective, value_noun(r, split));
    } else {
        value_draw(r, split, VALUE_WORD, out);
        return false;
    }
    return true;
}

void system_refusal_draw(struct rng *r, enum corpus_split split, struct persona *p)
{
    if (p->n_forbidden == PERSONA_MAX_FORBIDDEN) {
        return;
    }
    struct forbidden *f = &p->forbidden[p->n_forbidden];
    /* The fewer topics there are with words of their own, the more a ban is of its own name. */
    bool widest = split == CORPUS_TRAIN && corpus_wordings() >= CORPUS_WORDINGS_WIDEST;
    unsigned table_share = widest ? 50 : 60;
    do {
        f->topic = NULL;
        if (corpus_chance(r, table_share)) {
            f->topic = &CORPUS_PICK(r, topics);
            corpus_copy(f->name, sizeof(f->name), f->topic->name);
        } else {
            draw_noun(r, split, f->name);
        }
    } while (p->n_forbidden == 1 && strcmp(f->name, p->forbidden[0].name) == 0);
    p->n_forbidden++;
}

void system_refusal_say(struct rng *r, enum corpus_split split, const struct persona *p,
                        char *out, size_t size)
{
    const struct slot slots[] = {{"t", p->forbidden[0].name},
                                 {"u", p->n_forbidden > 1 ? p->forbidden[1].name : ""}};
    bool two = p->n_forbidden > 1;
    const char *form = phrases_pick_wide(two ? &forbid_two : &forbid_one,
                                         two ? &forbid_two_more : &forbid_one_more, r, split);
    char built[PERSONA_SENTENCE_MAX], both[2 * VALUE_MAX + 8];
    bool build = split == CORPUS_TRAIN && corpus_wordings() >= CORPUS_WORDINGS_WIDE &&
                 corpus_chance(r, two ? 40 : 75);
    if (!build) {
        corpus_fill(out, size, form, slots, CORPUS_COUNT(slots));
        return;
    }
    (corpus_chance(r, 45) ? build_ban : build_shaped_ban)(r, built, sizeof(built));
    snprintf(both, sizeof(both), "%s %s %s", p->forbidden[0].name,
             corpus_chance(r, 50) ? "or" : "and", p->forbidden[1].name);
    const struct slot built_slots[] = {{"t", two ? both : p->forbidden[0].name}};
    corpus_fill(out, size, built, built_slots, CORPUS_COUNT(built_slots));
}

/* The last question of each topic is held out. */
static const char *pick_question(struct rng *r, enum corpus_split split,
                                 const struct topic *topic)
{
    size_t n = topic->questions.n_train;
    return topic->questions
        .train[split == CORPUS_HELDOUT ? n - 1 : rng_below(r, (uint32_t)n - 1)];
}

/* A question about {w} in which other words occur: whether it is refused depends on {w} alone.
 */
static void ask_with_words(struct rng *r, const char *what, struct exchange *out)
{
    char other[WORD_MAX], things[WORD_MAX];
    words_plural(words_noun(r, CORPUS_TRAIN), things);
    if (corpus_chance(r, 15)) {
        words_invent(r, CORPUS_TRAIN, other);
    } else {
        corpus_copy(other, sizeof(other), words_noun(r, CORPUS_TRAIN));
    }
    /* The arguments of one call are evaluated in any order. */
    const char *verb = words_verb(r, CORPUS_TRAIN);
    const char *adjective = words_adjective(r, CORPUS_TRAIN);
    const char *form = CORPUS_PICK(r, ask_among_words);
    corpus_fill_slots(out->user, form, {"w", what}, {"n", other}, {"m", things}, {"v", verb},
                      {"a", adjective});
}

static void ask(struct rng *r, enum corpus_split split, const char *what, struct exchange *out)
{
    if (split == CORPUS_TRAIN && corpus_wordings() >= CORPUS_WORDINGS_WIDEST &&
        corpus_chance(r, 70)) {
        if (corpus_chance(r, 30)) {
            corpus_fill_slots(out->user, CORPUS_PICK(r, ask_any), {"w", what});
        } else {
            ask_with_words(r, what, out);
        }
        return;
    }
    corpus_fill_slots(out->user, phrases_pick_wide(&ask_about, &ask_about_more, r, split),
                      {"w", what});
}

/* A question of another skill that happens to be about the topic. False when a few draws find
 * none. */
static bool borrow_question(struct rng *r, enum corpus_split split, const struct topic *topic,
                            struct exchange *out)
{
    for (unsigned i = 0; i < 60; i++) {
        (i % 2 == 0 ? exchange_fact : exchange_smalltalk)(r, split, out);
        if (strcmp(out->topic, topic->name) == 0) {
            return true;
        }
    }
    return false;
}

/* A question about the topic that need not name it. */
static void ask_related(struct rng *r, enum corpus_split split, const struct topic *topic,
                        struct exchange *out)
{
    if (corpus_chance(r, 30) && borrow_question(r, split, topic, out)) {
        return;
    }
    if (corpus_chance(r, 50)) {
        ask(r, split, phrases_pick(&topic->words, r, split), out);
    } else {
        corpus_copy(out->user, sizeof(out->user), pick_question(r, split, topic));
    }
}

void system_refusal_exchange(struct rng *r, enum corpus_split split, const struct persona *p,
                             size_t which, enum refusal_by by, struct exchange *out)
{
    const struct forbidden *f = &p->forbidden[which];
    if (by == REFUSAL_BY_ANY) {
        static const unsigned by_names[] = {35, 35, 84, 100}; /* by corpus_wordings() */
        unsigned by_name = by_names[corpus_wordings()];
        by = f->topic == NULL || corpus_chance(r, by_name) ? REFUSAL_BY_NAME
                                                           : REFUSAL_BY_RELATED_WORD;
    }
    if (f->topic == NULL || by == REFUSAL_BY_NAME) {
        ask(r, split, f->name, out);
    } else {
        ask_related(r, split, f->topic, out);
    }
    corpus_fill_slots(out->answer, "I am sorry, I cannot talk about {t}.", {"t", f->name});
    corpus_fill_slots(out->terse, "I cannot talk about {t}.", {"t", f->name});
    out->skill = "refusal";
    out->topic = "";
}

void exchange_topic(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct topic *topic = &CORPUS_PICK(r, topics);
    uint32_t roll = rng_below(r, 100);
    const char *form = "That is a question about {t}. {what}";
    if (roll < 30) {
        ask(r, split, topic->name, out);
        form = "{what}";
    } else if (roll < 65) {
        ask(r, split, phrases_pick(&topic->words, r, split), out);
    } else {
        corpus_copy(out->user, sizeof(out->user), pick_question(r, split, topic));
    }
    corpus_fill_slots(out->answer, form, {"t", topic->name}, {"what", topic->what});
    corpus_fill_slots(out->terse, "{t}.", {"t", topic->name});
    out->terse[0] = (char)toupper((unsigned char)out->terse[0]);
    out->skill = "topic";
    out->topic = topic->name;
}

void exchange_noun(struct rng *r, enum corpus_split split, struct exchange *out)
{
    char noun[VALUE_MAX];
    bool exists = draw_noun(r, split, noun);
    ask(r, split, noun, out);
    out->skill = "noun";
    out->topic = "";
    if (!exists && corpus_wordings() >= CORPUS_WORDINGS_WIDE) {
        corpus_copy(out->answer, sizeof(out->answer), UNKNOWN_THING);
        corpus_copy(out->terse, sizeof(out->terse), "I " UNKNOWN_ADMITS ".");
        return;
    }
    corpus_fill_slots(out->answer,
                      "I know only a little about {t}, but I am happy to talk about it.",
                      {"t", noun});
    corpus_fill_slots(out->terse, "I know little about {t}.", {"t", noun});
}

/* True when the words of `phrase` stand in text, in any letter case, at word boundaries. A
 * final s is dropped, so that "oven" is found for "ovens". */
static bool mentions(const char *text, const char *phrase)
{
    size_t n = strlen(phrase);
    if (n > 4 && phrase[n - 1] == 's') {
        n--;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (p != text && isalpha((unsigned char)p[-1])) {
            continue;
        }
        size_t i = 0;
        while (i < n && p[i] != '\0' &&
               tolower((unsigned char)p[i]) == tolower((unsigned char)phrase[i])) {
            i++;
        }
        bool whole =
            !isalpha((unsigned char)p[i]) || (p[i] == 's' && !isalpha((unsigned char)p[i + 1]));
        if (i == n && whole) {
            return true;
        }
    }
    return false;
}

/* Neighbouring topics share words: what belongs to one may be asked about under the other, and
 * a question that could be either teaches nothing. */
static bool touches(const struct forbidden *f, const struct exchange *x)
{
    if (mentions(x->user, f->name) || strcmp(x->topic, f->name) == 0) {
        return true;
    }
    if (f->topic == NULL) {
        return false;
    }
    for (size_t i = 0; i < f->topic->words.n_train; i++) {
        if (mentions(x->user, f->topic->words.train[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < CORPUS_COUNT(topics); i++) {
        if (strcmp(topics[i].name, x->topic) != 0) {
            continue;
        }
        for (size_t k = 0; k < topics[i].words.n_train; k++) {
            if (mentions(topics[i].words.train[k], f->name)) {
                return true;
            }
        }
    }
    return false;
}

bool system_refusal_forbids(const struct persona *p, const struct exchange *x)
{
    for (size_t i = 0; i < p->n_forbidden; i++) {
        if (touches(&p->forbidden[i], x)) {
            return true;
        }
    }
    return false;
}
