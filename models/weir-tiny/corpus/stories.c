/* stories.c: short stories from plots, a hero, a friend, a thing and a place. */
#include "models/weir-tiny/corpus/corpus.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "models/weir-tiny/corpus/wording.h"
#include "models/weir-tiny/corpus/words.h"

#define PLOT_STEPS 9

/* A wording list a sentence, NULL after the last. */
struct plot {
    const char *steps[PLOT_STEPS];
};

static const struct plot plots[] = {
#include "models/weir-tiny/corpus/stories_plots.inc"
};

static const char *const kinds[] = {
    "fox",    "cat",      "dog",    "bear",   "mouse",  "rabbit", "owl",   "hedgehog",
    "otter",  "frog",     "duck",   "goat",   "horse",  "wolf",   "lion",  "robin",
    "beaver", "squirrel", "badger", "turtle", "dragon", "robot",  "giant", "sailor",
    "baker",  "king",     "girl",   "boy",    "farmer", "miller", "snail", "donkey",
    "crow",   "deer",     "kitten", "puppy",  "fairy",  "pirate",
};

static const char *const things[] = {
    "lantern", "key",    "kite",     "drum",    "red ball", "boat",   "blue hat", "map",
    "bell",    "book",   "flute",    "ring",    "stone",    "basket", "clock",    "scarf",
    "teapot",  "shell",  "umbrella", "cup",     "feather",  "mirror", "coin",     "spoon",
    "wagon",   "pillow", "button",   "violin",  "candle",   "jar",    "compass",  "ladder",
    "broom",   "puzzle", "whistle",  "balloon",
};

static const char *const places[] = {
    "the old mill",   "the river",         "the big forest",  "the green hill",
    "the lake",       "the village",       "the harbour",     "the stone bridge",
    "the meadow",     "the weir",          "the lighthouse",  "the apple garden",
    "the long beach", "the quiet valley",  "the windy tower", "the small island",
    "the pond",       "the market square",
};

static const char *const moods[] = {"small", "kind",  "curious", "brave",  "quiet", "clever",
                                    "young", "happy", "little",  "gentle", "shy",   "cheerful"};

static const char *const she_names[] = {"Mia",  "Lena",  "Tilda", "Rosa",  "Nora", "Ida",
                                        "Pia",  "Wilma", "Juna",  "Lotta", "Emma", "Zara",
                                        "Fina", "Anna",  "Clara", "Molly", "Ruby", "Daisy"};
static const char *const he_names[] = {"Tom",   "Ben",  "Oskar", "Finn", "Leo",   "Max",
                                       "Bruno", "Karl", "Piet",  "Otto", "Milo",  "Hugo",
                                       "Sam",   "Jack", "Theo",  "Toby", "Rufus", "Noah"};

/* The people and things of one story. */
struct cast {
    const char *kind, *friend, *friend_kind, *thing, *place, *mood;
    char name[WORD_MAX];
    bool she, friend_she;
};

static const char *draw_name(struct rng *r, bool *she)
{
    *she = corpus_chance(r, 50);
    return *she ? CORPUS_PICK(r, she_names) : CORPUS_PICK(r, he_names);
}

/* Who cannot be called she, and he. */
static bool is_male(const char *kind)
{
    return strcmp(kind, "boy") == 0 || strcmp(kind, "king") == 0;
}

static bool is_female(const char *kind)
{
    return strcmp(kind, "girl") == 0;
}

static void draw_hero(struct rng *r, enum corpus_split split, struct cast *c)
{
    c->kind = CORPUS_PICK(r, kinds);
    do {
        corpus_copy(c->name, sizeof(c->name), draw_name(r, &c->she));
    } while (c->she ? is_male(c->kind) : is_female(c->kind));
    if (corpus_chance(r, 30)) {
        words_invent(r, split, c->name);
        c->name[0] = (char)toupper((unsigned char)c->name[0]);
    }
}

static void draw_cast(struct rng *r, enum corpus_split split, struct cast *c)
{
    draw_hero(r, split, c);
    do {
        c->friend_kind = CORPUS_PICK(r, kinds);
    } while (is_male(c->friend_kind) || is_female(c->friend_kind) || c->friend_kind == c->kind);
    do {
        c->friend = draw_name(r, &c->friend_she);
    } while (strcmp(c->friend, c->name) == 0);
    c->thing = CORPUS_PICK(r, things);
    c->place = CORPUS_PICK(r, places);
    c->mood = CORPUS_PICK(r, moods);
}

static void with_article(const char *noun, char *out, size_t size)
{
    snprintf(out, size, "%s %s", wording_article(noun), noun);
}

/* Writes the story of the cast along a plot, as one paragraph. */
static void tell(struct rng *r, const struct cast *c, char *out, size_t size)
{
    const struct plot *plot = &CORPUS_PICK(r, plots);
    char an_kind[64], an_friend[64], an_thing[64], an_mood[64];
    size_t len = 0;
    const struct slot slots[] = {
        {"name", c->name},
        {"kind", c->kind},
        {"an_kind", an_kind},
        {"friend", c->friend},
        {"friendkind", c->friend_kind},
        {"an_friendkind", an_friend},
        {"thing", c->thing},
        {"an_thing", an_thing},
        {"place", c->place},
        {"mood", c->mood},
        {"an_mood", an_mood},
        {"he", c->she ? "she" : "he"},
        {"him", c->she ? "her" : "him"},
        {"his", c->she ? "her" : "his"},
        {"himself", c->she ? "herself" : "himself"},
        {"he2", c->friend_she ? "she" : "he"},
    };

    with_article(c->kind, an_kind, sizeof(an_kind));
    with_article(c->friend_kind, an_friend, sizeof(an_friend));
    with_article(c->thing, an_thing, sizeof(an_thing));
    with_article(c->mood, an_mood, sizeof(an_mood));
    for (int i = 0; i < PLOT_STEPS && plot->steps[i]; i++) {
        char form[WORDING_MAX];

        wording_draw(form, plot->steps[i], r, CORPUS_TRAIN);
        if (i > 0 && len + 1 < size) {
            out[len++] = ' ';
        }
        corpus_fill(out + len, size - len, form, slots, CORPUS_COUNT(slots));
        len += strlen(out + len);
    }
}

/* What of the cast a request names. */
static const char *const ask_kind_and_thing =
    "Tell me a story about {an_kind} and {an_thing}.|"
    "Can you tell me a story about {an_kind} and {an_thing}?|"
    "Write a short story about {an_kind} and {an_thing}.|"
    "I would like a story with {an_kind} and {an_thing}.|"
    "Tell a story with {an_kind} and {an_thing} in it.|"
    "~Make up a story about {an_kind} and {an_thing}.|"
    "~Please invent a story with {an_kind} and {an_thing}.";
static const char *const ask_kind =
    "Tell me a story about {an_kind}.|Write a story about {an_kind}.|"
    "Can you tell me a story about {an_kind}?|Do you know a story about {an_kind}?|"
    "~Make up a story about {an_kind}.";
static const char *const ask_thing = "Tell me a story about {an_thing}.|"
                                     "Write a short story about {an_thing}.|"
                                     "~Make up a story about {an_thing}.";
static const char *const ask_name =
    "Tell me a story about {name} the {kind}.|Write a story about {an_kind} named {name}.|"
    "Tell me a story about {an_kind} called {name}.|~Make up a story about {name}, {an_kind}.";
static const char *const ask_place = "Tell me a story about {an_kind} at {place}.|"
                                     "~Make up a story about {an_kind} near {place}.";
static const char *const ask_any =
    "Tell me a story.|Please tell me a story.|Tell me a bedtime story.|Write a short story.|"
    "Can you tell me a story?|I want to hear a story.|~Make up a story for me.|"
    "~Have you got a story for me?";

static bool tells_of(const char *story, const char *word)
{
    return strstr(story, word) != NULL;
}

void exchange_story(struct rng *r, enum corpus_split split, struct exchange *out)
{
    static const char *const *const asks[] = {
        &ask_kind_and_thing, &ask_kind_and_thing, &ask_kind,  &ask_kind,
        &ask_thing,          &ask_name,           &ask_place, &ask_any};
    const char *ask = *CORPUS_PICK(r, asks);
    char form[WORDING_MAX], an_kind[64], an_thing[64];
    struct cast c;

    do {
        draw_cast(r, split, &c);
        tell(r, &c, out->answer, sizeof(out->answer));
    } while (!tells_of(out->answer, c.kind) || !tells_of(out->answer, c.thing) ||
             !tells_of(out->answer, c.place));
    with_article(c.kind, an_kind, sizeof(an_kind));
    with_article(c.thing, an_thing, sizeof(an_thing));
    wording_draw(form, ask, r, split);
    corpus_fill_slots(out->user, form, {"name", c.name}, {"kind", c.kind}, {"an_kind", an_kind},
                      {"thing", c.thing}, {"an_thing", an_thing}, {"place", c.place});
    corpus_fill_slots(out->terse, "{Name} the {kind} found a friend.", {"name", c.name},
                      {"kind", c.kind});
    out->skill = "story";
    out->topic = "books";
}

void document_story(struct rng *r, struct buf *out)
{
    struct cast c;
    char story[CORPUS_ANSWER_MAX];

    draw_cast(r, CORPUS_TRAIN, &c);
    tell(r, &c, story, sizeof(story));
    buf_append_str(out, story);
}
