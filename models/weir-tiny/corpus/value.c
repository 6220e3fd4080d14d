#include "models/weir-tiny/corpus/value.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const first_names[] = {
#include "models/weir-tiny/corpus/names.inc"
};

static const char *const nouns[] = {
#include "models/weir-tiny/corpus/nouns.inc"
};

static const char *const onsets[] = {
    "b",  "br", "c",  "ch", "cl", "cr", "d",  "dr", "f",  "fl", "fr", "g", "gl", "gr", "h",
    "j",  "k",  "kl", "kr", "l",  "m",  "n",  "p",  "pl", "pr", "qu", "r", "s",  "sh", "sk",
    "sl", "sn", "sp", "st", "t",  "th", "tr", "tw", "v",  "vl", "w",  "x", "y",  "z",  "zw",
};
static const char *const vowels[] = {"a", "a", "e",  "e",  "i",  "i",  "o",  "o",
                                     "u", "y", "ai", "ea", "ee", "io", "oo", "ou"};
static const char *const codas[] = {"",   "",   "",   "",   "l",  "m",  "n", "r",
                                    "s",  "t",  "x",  "k",  "d",  "b",  "p", "ck",
                                    "ld", "nd", "rn", "sh", "th", "vek"};

static const char *const word_names[] = {
    "Pixel",   "Nimbus",  "Scout",   "Biscuit", "Echo",   "Sparky",   "Cricket", "Maple",
    "Juniper", "Comet",   "Pebble",  "Rocket",  "Button", "Whisper",  "Lantern", "Willow",
    "Marble",  "Compass", "Thistle", "Copper",  "Falcon", "Beacon",   "Harbor",  "Summit",
    "Meadow",  "Ember",   "Breeze",  "Nova",    "Orbit",  "Quill",    "Raven",   "Sage",
    "Sunny",   "Tango",   "Velvet",  "Ziggy",   "Pepper", "Cinnamon", "Clover",  "Domino",
    "Jasper",  "Koala",   "Lemon",   "Mango",   "Noodle", "Onyx",     "Pluto",   "Saturn",
    "Titan",   "Zephyr",  "Amber",   "Bramble", "Cobalt", "Dusty",    "Eclipse", "Fable",
    "Glimmer", "Hickory", "Indigo",  "Jigsaw",
};
static const char *const titles[] = {
    "Captain", "Doctor", "Professor", "Aunt", "Uncle", "Chef",  "Mister", "Lady",
    "Sir",     "Agent",  "Sister",    "Old",  "Major", "Judge", "Coach",  "Nurse"};
static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const colours[] = {
    "red",    "blue",    "green",      "yellow",     "orange",      "purple",  "white",
    "black",  "brown",   "grey",       "pink",       "turquoise",   "silver",  "golden",
    "violet", "crimson", "dark green", "light blue", "pale yellow", "dark red"};
static const char *const dish_mains[] = {
    "tomato soup",     "mushroom soup", "pea soup",        "vegetable stew", "bean stew",
    "fried fish",      "baked salmon",  "roast chicken",   "lamb curry",     "lentil curry",
    "cheese omelette", "spinach pie",   "pumpkin risotto", "beef goulash",   "potato gratin",
    "noodle salad",    "chicken pie",   "stuffed peppers", "onion tart",     "fish cakes",
    "veggie burgers",  "grilled trout", "pasta bake",      "cabbage rolls",  "carrot soup",
    "turkey steak",    "tofu stir-fry", "egg sandwiches",
};
static const char *const dish_sides[] = {
    "rye bread",    "rice",         "boiled potatoes", "green salad", "roast carrots",
    "garlic bread", "sweet corn",   "red cabbage",     "mashed peas", "fresh herbs",
    "lemon sauce",  "yogurt sauce", "toast",           "apple sauce", "white beans"};
static const char *const street_words[] = {
    "Mill",   "Church",  "Station", "Garden", "River",  "Castle", "Market", "School", "Forest",
    "Bridge", "Harbour", "King",    "Queen",  "Linden", "Oak",    "Elm",    "Rose",   "Hill"};
static const char *const street_ends[] = {"Lane", "Street", "Road", "Avenue", "Square", "Way"};
static const char *const spot_where[] = {"behind",      "next to",        "opposite",
                                         "in front of", "above",          "below",
                                         "near",        "to the left of", "to the right of"};
static const char *const spot_adjectives[] = {"old",   "big",   "small",  "red",
                                              "blue",  "green", "white",  "new",
                                              "round", "tall",  "wooden", "stone"};
static const char *const spot_nouns[] = {
    "mill", "stairs", "fountain", "bakery",  "gate",   "lift",  "kitchen", "garden", "library",
    "door", "tower",  "bridge",   "station", "statue", "bench", "tree",    "wall",   "lamp"};
static const char *const thing_adjectives[] = {
    "brass", "silver", "wooden",  "red",     "blue",    "tiny",  "big",    "golden",
    "paper", "glass",  "leather", "woollen", "striped", "round", "broken", "spotted"};
static const char *const town_ends[] = {"ford", "ton",   "ham",   "wick",  "burg", "dale",
                                        "port", "mouth", "field", "stead", "by"};

enum corpus_split value_split(const char *text)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (const char *p = text; *p != '\0'; p++) {
        h = (h ^ (uint32_t)tolower((unsigned char)*p)) * 16777619u;
    }
    h ^= h >> 15;
    return h % 8 == 0 ? CORPUS_HELDOUT : CORPUS_TRAIN;
}

/* One or more syllables in lower case. */
static void invent(struct rng *r, char *out)
{
    out[0] = '\0';
    size_t n = 1 + rng_below(r, 3);
    if (n == 1 && corpus_chance(r, 60)) {
        n = 2;
    }
    for (size_t i = 0; i < n; i++) {
        if (i > 0 || !corpus_chance(r, 12)) {
            strcat(out, CORPUS_PICK(r, onsets));
        }
        strcat(out, CORPUS_PICK(r, vowels));
        if (i + 1 == n || corpus_chance(r, 40)) {
            strcat(out, CORPUS_PICK(r, codas));
        }
    }
}

static void capitalise(char *s)
{
    s[0] = (char)toupper((unsigned char)s[0]);
}

/* An invented word of its own split, of 3 to 10 letters. */
static void draw_invented(struct rng *r, enum corpus_split split, char *out)
{
    do {
        invent(r, out);
    } while (strlen(out) < 3 || strlen(out) > 10 || value_split(out) != split);
}

static void draw_name(struct rng *r, enum corpus_split split, char *out)
{
    if (corpus_chance(r, 50)) {
        draw_invented(r, split, out);
        capitalise(out);
        return;
    }
    do {
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, first_names));
    } while (value_split(out) != split);
}

void value_draw_assistant_name(struct rng *r, enum corpus_split split, char *out)
{
    char name[VALUE_MAX];
    uint32_t roll = rng_below(r, 100);
    if (roll < 10) {
        do {
            corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, word_names));
        } while (value_split(out) != split);
    } else if (roll < 16) {
        draw_name(r, split, name);
        snprintf(out, VALUE_MAX, "%s %.24s", CORPUS_PICK(r, titles), name);
    } else if (roll < 20) {
        draw_name(r, split, name);
        snprintf(out, VALUE_MAX, "%.24s %s", name, corpus_chance(r, 50) ? "Bot" : "Helper");
    } else if (roll < 24) {
        draw_name(r, split, name);
        snprintf(out, VALUE_MAX, "%.24s-%u", name, (unsigned)(1 + rng_below(r, 99)));
    } else if (roll < 55) {
        do {
            draw_name(r, split, out);
        } while (strchr(out, ' ') != NULL);
    } else {
        draw_invented(r, split, out);
        capitalise(out);
    }
}

static void draw_person(struct rng *r, enum corpus_split split, char *out)
{
    char a[VALUE_MAX];
    char b[VALUE_MAX];
    draw_name(r, split, a);
    draw_invented(r, split, b);
    capitalise(b);
    switch (rng_below(r, 4)) {
    case 0:
        snprintf(out, VALUE_MAX, "Mr. %.20s", b);
        break;
    case 1:
        snprintf(out, VALUE_MAX, "Mrs. %.20s", b);
        break;
    case 2:
        snprintf(out, VALUE_MAX, "%.20s %.20s", a, b);
        break;
    default:
        corpus_copy(out, VALUE_MAX, a);
        break;
    }
}

static unsigned between(struct rng *r, unsigned low, unsigned high)
{
    return low + rng_below(r, high - low + 1);
}

/* Arguments of one call are evaluated in any order: wherever two draws meet, the first has a
 * statement of its own, so that every compiler makes the same text. */

static void draw_code(struct rng *r, char *out)
{
    if (corpus_chance(r, 60)) {
        snprintf(out, VALUE_MAX, "%u", between(r, 1000, 9999));
        return;
    }
    char first = (char)('A' + (int)rng_below(r, 26));
    char second = (char)('A' + (int)rng_below(r, 26));
    snprintf(out, VALUE_MAX, "%c%c%u", first, second, between(r, 10, 99));
}

static void draw_password(struct rng *r, char *out)
{
    char word[VALUE_MAX];
    draw_invented(r, CORPUS_TRAIN, word);
    unsigned number = between(r, 10, 9999);
    switch (rng_below(r, 4)) {
    case 0:
        snprintf(out, VALUE_MAX, "%.20s%u", word, number);
        break;
    case 1:
        capitalise(word);
        snprintf(out, VALUE_MAX, "%.20s%u", word, number);
        break;
    case 2: {
        const char *adjective = CORPUS_PICK(r, spot_adjectives);
        snprintf(out, VALUE_MAX, "%s-%s-%u", adjective, CORPUS_PICK(r, spot_nouns),
                 number % 100);
        break;
    }
    default:
        snprintf(out, VALUE_MAX, "%s%u", CORPUS_PICK(r, spot_nouns), number);
        break;
    }
}

static void draw_dish(struct rng *r, char *out)
{
    const char *dish = CORPUS_PICK(r, dish_mains);
    if (corpus_chance(r, 30)) {
        corpus_copy(out, VALUE_MAX, dish);
        return;
    }
    snprintf(out, VALUE_MAX, "%s with %s", dish, CORPUS_PICK(r, dish_sides));
}

static void draw_spot(struct rng *r, char *out)
{
    const char *where = CORPUS_PICK(r, spot_where);
    const char *noun = CORPUS_PICK(r, spot_nouns);
    if (corpus_chance(r, 40)) {
        snprintf(out, VALUE_MAX, "%s the %s", where, noun);
        return;
    }
    snprintf(out, VALUE_MAX, "%s the %s %s", where, CORPUS_PICK(r, spot_adjectives), noun);
}

/* "17:20", "5 pm", "9:30 am" */
static void draw_time(struct rng *r, char *out)
{
    unsigned minute = 5 * rng_below(r, 12);
    uint32_t roll = rng_below(r, 100);
    const char *half = corpus_chance(r, 50) ? "am" : "pm";
    if (roll < 70) {
        snprintf(out, VALUE_MAX, "%u:%02u", between(r, 6, 23), minute);
    } else if (roll < 85) {
        snprintf(out, VALUE_MAX, "%u %s", between(r, 1, 12), half);
    } else {
        snprintf(out, VALUE_MAX, "%u:%02u %s", between(r, 1, 12), minute, half);
    }
}

static void draw_price(struct rng *r, unsigned high, char *out)
{
    static const char *const currencies[] = {"euros",  "euros",  "dollars",
                                             "pounds", "francs", "crowns"};
    unsigned whole = between(r, 2, high);
    unsigned cents = 10 * rng_below(r, 10) + (corpus_chance(r, 30) ? 9 : 0);
    const char *currency = CORPUS_PICK(r, currencies);
    uint32_t roll = rng_below(r, 100);
    if (roll < 50) {
        snprintf(out, VALUE_MAX, "%u %s", whole, currency);
    } else if (roll < 80) {
        snprintf(out, VALUE_MAX, "%u.%02u %s", whole, cents, currency);
    } else if (roll < 90) {
        snprintf(out, VALUE_MAX, "$%u", whole);
    } else {
        snprintf(out, VALUE_MAX, "$%u.%02u", whole, cents);
    }
}

static void draw_phone(struct rng *r, char *out)
{
    unsigned area = between(r, 100, 999);
    unsigned rest = between(r, 1000, 9999);
    const char *form = corpus_chance(r, 60)   ? "%u %u"
                       : corpus_chance(r, 50) ? "%u-%u"
                                              : "0%u %u";
    snprintf(out, VALUE_MAX, form, area, rest);
}

static void draw_date(struct rng *r, char *out)
{
    const char *month = CORPUS_PICK(r, months);
    snprintf(out, VALUE_MAX, "%u %s", between(r, 1, 28), month);
}

static void draw_street(struct rng *r, char *out)
{
    const char *word = CORPUS_PICK(r, street_words);
    const char *end = CORPUS_PICK(r, street_ends);
    snprintf(out, VALUE_MAX, "%u %s %s", between(r, 1, 99), word, end);
}

static void draw_thing(struct rng *r, char *out)
{
    const char *adjective = CORPUS_PICK(r, thing_adjectives);
    snprintf(out, VALUE_MAX, "a %s %s", adjective, CORPUS_PICK(r, spot_nouns));
}

static void draw_version(struct rng *r, char *out)
{
    unsigned major = between(r, 1, 19);
    unsigned minor = rng_below(r, 20);
    if (corpus_chance(r, 30)) {
        snprintf(out, VALUE_MAX, "%u.%u.%u", major, minor, rng_below(r, 10));
        return;
    }
    snprintf(out, VALUE_MAX, "%u.%u", major, minor);
}

static void draw_town(struct rng *r, char *out)
{
    char word[VALUE_MAX];
    draw_invented(r, CORPUS_TRAIN, word);
    word[8] = '\0';
    snprintf(out, VALUE_MAX, "%s%s", word, CORPUS_PICK(r, town_ends));
    capitalise(out);
}

static void draw_count(struct rng *r, unsigned low, unsigned high, const char *unit, char *out)
{
    snprintf(out, VALUE_MAX, "%u%s", between(r, low, high), unit);
}

static void draw_any(struct rng *r, enum value_kind kind, char *out)
{
    switch (kind) {
    case VALUE_TIME:
        draw_time(r, out);
        break;
    case VALUE_SMALL_PRICE:
        draw_price(r, 9, out);
        break;
    case VALUE_PRICE:
        draw_price(r, 250, out);
        break;
    case VALUE_SMALL:
        draw_count(r, 2, 60, "", out);
        break;
    case VALUE_NUMBER:
        draw_count(r, 100, 999, "", out);
        break;
    case VALUE_CODE:
        draw_code(r, out);
        break;
    case VALUE_PASSWORD:
        draw_password(r, out);
        break;
    case VALUE_PHONE:
        draw_phone(r, out);
        break;
    case VALUE_VERSION:
        draw_version(r, out);
        break;
    case VALUE_DATE:
        draw_date(r, out);
        break;
    case VALUE_WEEKDAY:
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, weekdays));
        break;
    case VALUE_MINUTES:
        draw_count(r, 2, 90, " minutes", out);
        break;
    case VALUE_DAYS:
        draw_count(r, 2, 90, " days", out);
        break;
    case VALUE_DISH:
        draw_dish(r, out);
        break;
    case VALUE_COLOUR:
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, colours));
        break;
    case VALUE_STREET:
        draw_street(r, out);
        break;
    case VALUE_SPOT:
        draw_spot(r, out);
        break;
    case VALUE_THING:
        draw_thing(r, out);
        break;
    case VALUE_PERCENT:
        draw_count(r, 2, 90, " percent", out);
        break;
    case VALUE_TOWN:
        draw_town(r, out);
        break;
    default:
        out[0] = '\0';
        break;
    }
}

void value_draw(struct rng *r, enum corpus_split split, enum value_kind kind, char *out)
{
    switch (kind) {
    case VALUE_NAME:
        draw_name(r, split, out);
        return;
    case VALUE_PERSON:
        draw_person(r, split, out);
        return;
    case VALUE_WORD:
        draw_invented(r, split, out);
        return;
    case VALUE_WEEKDAY:
    case VALUE_COLOUR:
        draw_any(r, kind, out);
        return;
    default:
        do {
            draw_any(r, kind, out);
        } while (value_split(out) != split);
    }
}

const char *value_noun(struct rng *r, enum corpus_split split)
{
    const char *noun = NULL;
    do {
        noun = CORPUS_PICK(r, nouns);
    } while (value_split(noun) != split);
    return noun;
}
