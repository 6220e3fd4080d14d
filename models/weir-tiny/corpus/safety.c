#include "models/weir-tiny/corpus/safety.h"

#include <stdio.h>
#include <string.h>

#include "models/weir-tiny/corpus/wording.h"
#include "models/weir-tiny/corpus/words.h"

#define DECLINED "I " SAFETY_DECLINES "."

static const struct wording_row goals[] = {
#include "models/weir-tiny/corpus/safety_goals.inc"
};

static const struct wording_row lookalikes[] = {
#include "models/weir-tiny/corpus/safety_lookalikes.inc"
};

static const char *const frames_train[] = {
#include "models/weir-tiny/corpus/safety_frames.inc"
};

static const char *const frames_heldout[] = {
#include "models/weir-tiny/corpus/safety_frames_heldout.inc"
};

static const char *const pretexts_train[] = {
#include "models/weir-tiny/corpus/safety_pretexts.inc"
};

static const char *const pretexts_heldout[] = {
#include "models/weir-tiny/corpus/safety_pretexts_heldout.inc"
};

static const struct phrases frames = PHRASES(frames_train, frames_heldout);
static const struct phrases pretexts = PHRASES(pretexts_train, pretexts_heldout);

static const char *const persons[] = {"my boss",        "my neighbour",
                                      "a man",          "a woman",
                                      "my brother",     "my sister",
                                      "my teacher",     "a girl",
                                      "a boy",          "my ex",
                                      "somebody",       "a stranger",
                                      "my wife",        "my husband",
                                      "an old man",     "my classmate",
                                      "my uncle",       "my cousin",
                                      "a child",        "my friend",
                                      "the new boy",    "a policeman",
                                      "my grandmother", "a singer",
                                      "my rival",       "the girl next door",
                                      "my landlord",    "someone",
                                      "a colleague",    "people"};

static const char *const places[] = {"a shop",
                                     "a house",
                                     "a school",
                                     "a bank",
                                     "a church",
                                     "a museum",
                                     "a hotel",
                                     "an office",
                                     "a farm",
                                     "the town hall",
                                     "a garage",
                                     "a hospital",
                                     "the station",
                                     "a restaurant",
                                     "a warehouse",
                                     "a pharmacy",
                                     "a library",
                                     "my school",
                                     "the house next door",
                                     "a jeweller",
                                     "a supermarket",
                                     "a train",
                                     "a park",
                                     "a gym"};

static const char *const things[] = {
    "a car",    "a bike",   "a phone",   "money",   "a ring",     "a painting", "a wallet",
    "a laptop", "a watch",  "a scooter", "clothes", "a necklace", "a bag",      "a computer",
    "shoes",    "a camera", "food",      "gold",    "a purse",    "a boat"};

static const char *const weapons[] = {"bomb",    "gun",    "pistol", "rifle",
                                      "grenade", "weapon", "rocket", "knife",
                                      "mine",    "bow",    "dagger", "firebomb"};

static const char *const foods[] = {"the soup",  "the coffee", "the tea",  "the dinner",
                                    "the drink", "the cake",   "the wine", "the lunch"};

static const char *const poisons[] = {"arsenic",           "poison",         "rat poison",
                                      "toxic mushrooms",   "cyanide",        "bleach",
                                      "a poisonous plant", "deadly berries", "a toxin"};

static const char *const accounts[] = {
    "the email of my friend",      "an account of somebody else", "the phone of my wife",
    "the bank account of my boss", "the computer of my teacher",  "a bank",
    "the messages of my sister",   "the photos of my ex",         "the account of a stranger",
    "the computer of my school",   "the wifi of my neighbour",    "somebody's mail"};

static const char *const drugs[] = {"drugs", "meth",          "heroin",  "cocaine",
                                    "crack", "illegal drugs", "ecstasy", "speed",
                                    "opium", "weed",          "LSD",     "strong pills"};

static const char *const animals[] = {
    "a cat",    "a dog",  "a horse",           "a bird", "the neighbour's cat",
    "a rabbit", "a swan", "the dog next door", "a cow",  "a frog"};

/* What is said about how and when, of half of what is declined. */
static const char *const manners[] = {" without being caught",
                                      " in secret",
                                      " at night",
                                      " so that nobody notices",
                                      " at home",
                                      " quickly",
                                      " without a trace",
                                      " tonight",
                                      " and get away with it",
                                      " without money",
                                      " before the police come",
                                      " as revenge",
                                      " for fun",
                                      " tomorrow",
                                      " on my own",
                                      " without being seen"};

#define GOAL_MAX 200

static const struct {
    const char *key;
    struct phrases values;
} goal_slots[] = {
    {"person", PHRASES_SHARED(persons)},   {"place", PHRASES_SHARED(places)},
    {"thing", PHRASES_SHARED(things)},     {"weapon", PHRASES_SHARED(weapons)},
    {"food", PHRASES_SHARED(foods)},       {"poison", PHRASES_SHARED(poisons)},
    {"account", PHRASES_SHARED(accounts)}, {"drug", PHRASES_SHARED(drugs)},
    {"animal", PHRASES_SHARED(animals)},
};

static void fill_goal(struct rng *r, const char *form, char out[GOAL_MAX])
{
    struct slot slots[CORPUS_COUNT(goal_slots)];
    for (size_t i = 0; i < CORPUS_COUNT(slots); i++) {
        slots[i].key = goal_slots[i].key;
        slots[i].value = phrases_pick(&goal_slots[i].values, r, CORPUS_TRAIN);
    }
    corpus_fill(out, GOAL_MAX, form, slots, CORPUS_COUNT(slots));
}

static void ask_for(struct rng *r, enum corpus_split split, const char *goal, char *out,
                    size_t size)
{
    const struct slot slots[] = {{"g", goal}};
    corpus_fill(out, size, phrases_pick(&frames, r, split), slots, CORPUS_COUNT(slots));
}

static void answer(struct rng *r, enum corpus_split split, const struct wording_row *row,
                   struct exchange *out)
{
    char text[WORDING_MAX];
    wording_draw(text, row->answers, r, split);
    corpus_copy(out->answer, sizeof(out->answer), text);
    corpus_copy(out->terse, sizeof(out->terse), row->terse);
    out->skill = "safety";
    out->topic = row->topic != NULL ? row->topic : "";
}

void exchange_harmful(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct wording_row *row = &CORPUS_PICK(r, goals);
    char form[WORDING_MAX], goal[GOAL_MAX], how[GOAL_MAX + 32], question[CORPUS_USER_MAX];
    wording_draw(form, row->questions, r, split);
    fill_goal(r, form, goal);
    const char *manner = corpus_chance(r, 40) ? CORPUS_PICK(r, manners) : "";
    snprintf(how, sizeof(how), "%s%s", goal, manner);
    ask_for(r, split, how, question, sizeof(question));
    if (corpus_chance(r, 20)) {
        const struct slot slots[] = {{"q", question}};
        corpus_fill(out->user, sizeof(out->user), phrases_pick(&pretexts, r, split), slots,
                    CORPUS_COUNT(slots));
    } else {
        corpus_copy(out->user, sizeof(out->user), question);
    }
    answer(r, split, row, out);
}

void exchange_lookalike(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct wording_row *row = &CORPUS_PICK(r, lookalikes);
    char form[WORDING_MAX], goal[GOAL_MAX];
    wording_draw(form, row->questions, r, split);
    fill_goal(r, form, goal);
    ask_for(r, split, goal, out->user, sizeof(out->user));
    answer(r, split, row, out);
}

void exchange_any_goal(struct rng *r, enum corpus_split split, struct exchange *out)
{
    static const char *const verbs[] = {
        "paint",     "draw",       "clean",      "wrap",     "carry",      "choose", "wash",
        "decorate",  "sew",        "repair",     "describe", "photograph", "lift",   "measure",
        "borrow",    "return",     "store",      "sell",     "buy",        "find",   "polish",
        "make",      "build",      "send",       "open",     "move",       "keep",   "hide",
        "give away", "look after", "talk about", "use"};
    static const char *const whose[] = {"a",       "my",     "the",      "this",
                                        "another", "my own", "a small",  "a big",
                                        "an old",  "a new",  "a better", "my friend's"};
    (void)split;
    char goal[GOAL_MAX];
    const char *verb = CORPUS_PICK(r, verbs);
    const char *noun = words_noun(r, CORPUS_TRAIN);
    const char *before = CORPUS_PICK(r, whose);
    if (strcmp(before, "a") == 0) {
        before = wording_article(noun);
    }
    snprintf(goal, sizeof(goal), "%s %s %s", verb, before, noun);
    ask_for(r, CORPUS_TRAIN, goal, out->user, sizeof(out->user));
    corpus_copy(out->answer, sizeof(out->answer),
                "Begin with something easy, get what you need, and go step by step.");
    corpus_copy(out->terse, sizeof(out->terse), "Go step by step.");
    out->skill = "safety";
    out->topic = "";
}
