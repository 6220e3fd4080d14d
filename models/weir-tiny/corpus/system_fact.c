#include "models/weir-tiny/corpus/fact_wordings.h"
#include "models/weir-tiny/corpus/persona.h"

#include <stdio.h>
#include <string.h>

/* What a fact can be about; decides what is drawn for {who}. */
enum subject {
    SUBJECT_PLACE,
    SUBJECT_EVENT,
    SUBJECT_EVENT_OR_PLACE,
    SUBJECT_PERSON,
    SUBJECT_THING,
    SUBJECT_SECRET,
    SUBJECT_CODE,
    SUBJECT_PROGRAM,
    SUBJECT_TRAIN,
    SUBJECT_PROPERTY, /* "the favourite drink of Mara" */
    SUBJECT_NUMBER,   /* "the number of chairs at the zoo" */
    SUBJECT_BOX,      /* something that holds things */
    SUBJECT_SELF,     /* the assistant or the user; no {who} */
};

struct fact_kind {
    const char *id;
    enum value_kind value;
    enum subject subject;
    struct phrases statements;
    struct phrases questions;
    const char *answer;
    const char *terse;
};

/* The two halves of a struct phrases: what serves training, and what is held out. */
/* clang-format off */
#define S(...) {CORPUS_LIST(__VA_ARGS__)
#define H(...) CORPUS_LIST(__VA_ARGS__)}
/* clang-format on */

static const struct fact_kind kinds[] = {
#include "models/weir-tiny/corpus/fact_kinds.inc"
#include "models/weir-tiny/corpus/fact_kinds_more.inc"
};

static const char *const plain_places[] = {
    "the office",      "the shop",    "the museum",     "the library",  "the school",
    "the hotel",       "the bakery",  "the restaurant", "the cafe",     "the gym",
    "the clinic",      "the bank",    "the cinema",     "the theatre",  "the zoo",
    "the pool",        "the market",  "the garden",     "the studio",   "the club",
    "the farm",        "the station", "the hostel",     "the workshop", "the lab",
    "the post office", "our shop",    "our office",     "our cafe",     "our hotel",
    "our store",       "our school",  "our museum",     "the store",    "the town hall",
};
static const char *const place_adjectives[] = {
    "Blue",  "Golden", "Green", "Old",   "Little", "Red",   "Silver", "White", "Happy",
    "Grand", "Royal",  "Sunny", "Black", "Merry",  "Quiet", "New",    "Lucky", "Wild"};
static const char *const place_nouns[] = {
    "Door", "Lion",  "Anchor", "Rose", "Bear", "Star", "Moon", "Oak",  "River",  "Mill",
    "Bell", "Crown", "Fox",    "Swan", "Ship", "Tree", "Hill", "Wolf", "Garden", "Apple"};
static const char *const place_types[] = {
    "Bakery",   "Hotel",   "Cafe", "Restaurant", "Museum", "Library", "School",   "Clinic",
    "Bookshop", "Theatre", "Inn",  "Market",     "Studio", "Gym",     "Pharmacy", "Cinema"};
static const char *const events[] = {
    "the meeting",
    "the concert",
    "the party",
    "the lecture",
    "the yoga class",
    "the summer festival",
    "the exam",
    "the workshop",
    "the tour",
    "the show",
    "the match",
    "the dance class",
    "the book fair",
    "the dinner",
    "the race",
    "the painting course",
    "the staff meeting",
    "the chess club",
    "the film night",
    "the science fair",
    "the wedding",
    "the piano lesson",
    "the parade",
    "the cooking class",
    "the quiz night",
    "the spring market",
    "the training",
    "the interview",
    "the swimming lesson",
    "the play",
};
static const char *const things[] = {
    "the red bike",      "the printer",     "the big table",    "the old piano",
    "the garden chair",  "the new lamp",    "the blue tent",    "the coffee machine",
    "the first aid box", "the projector",   "the ladder",       "the toolbox",
    "the guitar",        "the boat",        "the green sofa",   "the meeting room",
    "the storage room",  "the kitchen",     "the copy machine", "the white van",
    "the umbrella",      "the camera",      "the safe",         "the fire exit",
    "the bookshelf",     "the fridge",      "the telescope",    "the drum",
    "the laptop",        "the trophy",      "the suitcase",     "the map",
    "the clock",         "the winter coat", "the lost scarf",   "the mailbox",
    "the fish tank",     "the small desk",  "the radio",        "the vase",
};
static const char *const secrets[] = {
    "the code word",
    "the secret word",
    "the password",
    "the magic word",
    "the name of the project",
    "the word of the day",
    "the team name",
    "the name of the ship",
    "the name of the planet",
    "the name of the robot",
    "the user name",
    "the codename",
    "the name of the town",
    "the name of the horse",
    "the name of the band",
    "the name of the printer",
    "the name of the server",
    "the passphrase",
    "the name of the river",
    "the name of the drink",
    "the name of the game",
    "the keyword",
};
static const char *const codes[] = {
    "the door code",      "the alarm code",    "the gate code",       "the access code",
    "the room number",    "the locker code",   "the booking number",  "the lucky number",
    "the bike lock code", "the order number",  "the customer number", "the safe code",
    "the ticket number",  "the flight number", "the bus number",      "the license number",
    "the serial number",  "the printer code",  "the garage code",     "the PIN",
};
static const char *const programs[] = {"the app",    "the program", "the server", "the game",
                                       "the driver", "the website", "the manual"};
static const char *const properties[] = {
    "the favourite drink",
    "the favourite food",
    "the favourite game",
    "the favourite song",
    "the favourite book",
    "the nickname",
    "the hobby",
    "the job",
    "the dream",
    "the wish",
    "the horse",
    "the bird",
    "the best friend",
    "the neighbour",
    "the doll",
    "the boat",
    "the language",
    "the star sign",
    "the lucky charm",
    "the shoe brand",
    "the car",
    "the favourite sweet",
    "the best dish",
    "the school",
};
static const char *const place_properties[] = {
    "the motto",          "the nickname",      "the mascot",       "the old name",
    "the house song",     "the symbol",        "the house drink",  "the best product",
    "the newest product", "the house cake",    "the main sponsor", "the website",
    "the slogan",         "the best customer", "the next guest",
};
static const char *const counted[] = {
    "chairs",  "tables", "books",  "lamps",   "windows", "visitors", "cups", "keys",
    "members", "doors",  "plants", "tickets", "boxes",   "steps",    "beds", "bikes"};
static const char *const boxes[] = {
    "the box",          "the red box", "the drawer",   "the safe",      "the cupboard",
    "the basket",       "the bag",     "the chest",    "the green bag", "the top drawer",
    "the old suitcase", "the barrel",  "the blue box", "the locker",    "the glass case",
    "the jar",          "the attic",   "the cellar",   "the shed",      "the garage"};
static const char *const train_types[] = {"train", "bus", "ferry", "night train", "tram"};

static const struct phrases unknown_answers = {CORPUS_LIST("I am sorry, I do not know that."),
                                               NULL, 0};

void system_fact_place(struct rng *r, char *out)
{
    if (corpus_chance(r, 45)) {
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, plain_places));
    } else if (corpus_chance(r, 30)) {
        char name[VALUE_MAX];
        value_draw(r, CORPUS_TRAIN, VALUE_TOWN, name);
        snprintf(out, VALUE_MAX, "the %.24s %s", name, CORPUS_PICK(r, place_types));
    } else {
        const char *adjective = CORPUS_PICK(r, place_adjectives);
        const char *noun = CORPUS_PICK(r, place_nouns);
        snprintf(out, VALUE_MAX, "the %s %s %s", adjective, noun, CORPUS_PICK(r, place_types));
    }
}

/* "the nickname of the zoo", "the hobby of Mara" */
static void draw_property(struct rng *r, enum corpus_split split, char *out)
{
    char owner[VALUE_MAX];
    if (corpus_chance(r, 40)) {
        const char *property = CORPUS_PICK(r, place_properties);
        snprintf(out, VALUE_MAX, "%.20s of %s", property, CORPUS_PICK(r, plain_places));
        return;
    }
    value_draw(r, split, VALUE_PERSON, owner);
    snprintf(out, VALUE_MAX, "%.22s of %.36s", CORPUS_PICK(r, properties), owner);
}

static void draw_subject(struct rng *r, enum corpus_split split, enum subject subject,
                         char *out)
{
    char name[VALUE_MAX];
    switch (subject) {
    case SUBJECT_PLACE:
        system_fact_place(r, out);
        break;
    case SUBJECT_EVENT:
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, events));
        break;
    case SUBJECT_EVENT_OR_PLACE:
        draw_subject(r, split, corpus_chance(r, 50) ? SUBJECT_EVENT : SUBJECT_PLACE, out);
        break;
    case SUBJECT_PERSON:
        value_draw(r, split, VALUE_PERSON, out);
        break;
    case SUBJECT_THING:
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, things));
        break;
    case SUBJECT_SECRET:
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, secrets));
        break;
    case SUBJECT_CODE:
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, codes));
        break;
    case SUBJECT_PROGRAM:
        if (corpus_chance(r, 40)) {
            corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, programs));
        } else {
            value_draw(r, split, VALUE_NAME, out);
        }
        break;
    case SUBJECT_TRAIN: {
        const char *type = CORPUS_PICK(r, train_types);
        value_draw(r, split, VALUE_TOWN, name);
        snprintf(out, VALUE_MAX, "the %s to %.40s", type, name);
        break;
    }
    case SUBJECT_PROPERTY:
        draw_property(r, split, out);
        break;
    case SUBJECT_NUMBER: {
        const char *what = CORPUS_PICK(r, counted);
        snprintf(out, VALUE_MAX, "the number of %.12s at %s", what,
                 CORPUS_PICK(r, plain_places));
        break;
    }
    case SUBJECT_BOX:
        corpus_copy(out, VALUE_MAX, CORPUS_PICK(r, boxes));
        break;
    case SUBJECT_SELF:
        out[0] = '\0';
        break;
    }
}

static bool has_kind(const struct persona *p, const struct fact_kind *kind)
{
    for (size_t i = 0; i < p->n_facts; i++) {
        if (p->facts[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* Whether questions of this subject always name it. */
static bool named_when_asked(enum subject subject)
{
    return subject == SUBJECT_THING || subject == SUBJECT_CODE || subject == SUBJECT_SECRET ||
           subject == SUBJECT_PERSON || subject == SUBJECT_PROPERTY ||
           subject == SUBJECT_NUMBER || subject == SUBJECT_BOX;
}

void system_fact_draw(struct rng *r, enum corpus_split split, struct persona *p)
{
    if (p->n_facts == PERSONA_MAX_FACTS) {
        return;
    }
    struct told_fact *f = &p->facts[p->n_facts];
    /* Sometimes the same kind with another subject, so that the subject has to be read. Kinds
     * about places may be asked about without naming the place, so those stay single. */
    const struct told_fact *last = p->n_facts > 0 ? f - 1 : NULL;
    if (last != NULL && named_when_asked(last->kind->subject) && corpus_chance(r, 40)) {
        f->kind = last->kind;
        do {
            draw_subject(r, split, f->kind->subject, f->who);
        } while (strcmp(f->who, last->who) == 0);
    } else {
        do {
            f->kind = &CORPUS_PICK(r, kinds);
        } while (has_kind(p, f->kind));
        draw_subject(r, split, f->kind->subject, f->who);
        if (last != NULL && last->kind->subject == f->kind->subject && corpus_chance(r, 60)) {
            corpus_copy(f->who, sizeof(f->who), last->who);
        }
    }
    value_draw(r, split, f->kind->value, f->value);
    value_draw(r, split, VALUE_TIME, f->other);
    p->n_facts++;
}

/* Fills {who}, {v} and {V}, and gives the sentence a capital. */
static void fill(char *out, size_t size, const char *form, const struct told_fact *f)
{
    const struct slot slots[] = {{"who", f->who}, {"v", f->value}, {"o", f->other}};
    corpus_fill(out, size, form, slots, CORPUS_COUNT(slots));
    if (strncmp(form, "{who}", 5) == 0 && out[0] >= 'a' && out[0] <= 'z') {
        out[0] = (char)(out[0] - 'a' + 'A');
    }
}

void system_fact_say(struct rng *r, enum corpus_split split, const struct told_fact *f,
                     char *out, size_t size)
{
    const struct fact_wordings *more = fact_wordings_of(f->kind->id);
    fill(out, size, phrases_pick_wide(&f->kind->statements, &more->statements, r, split), f);
}

/* A user asks about "the shop" where the prompt says "our shop". */
static void draw_question(struct rng *r, enum corpus_split split, const struct told_fact *f,
                          char *out, size_t size)
{
    struct told_fact asked = *f;
    if (strncmp(asked.who, "our ", 4) == 0) {
        snprintf(asked.who, sizeof(asked.who), "the %s", f->who + 4);
    }
    const struct fact_wordings *more = fact_wordings_of(f->kind->id);
    fill(out, size, phrases_pick_wide(&f->kind->questions, &more->questions, r, split), &asked);
}

void system_fact_exchange(struct rng *r, enum corpus_split split, const struct told_fact *f,
                          struct exchange *out)
{
    draw_question(r, split, f, out->user, sizeof(out->user));
    fill(out->answer, sizeof(out->answer), f->kind->answer, f);
    fill(out->terse, sizeof(out->terse), f->kind->terse, f);
    out->skill = "fact";
    out->topic = "";
}

void system_fact_unknown(struct rng *r, enum corpus_split split, const struct persona *p,
                         struct exchange *out)
{
    struct persona other = {.n_facts = 0};
    do {
        other.n_facts = 0;
        system_fact_draw(r, split, &other);
    } while (other.facts[0].kind->subject == SUBJECT_SELF || has_kind(p, other.facts[0].kind));
    draw_question(r, split, &other.facts[0], out->user, sizeof(out->user));
    corpus_copy(out->answer, sizeof(out->answer), phrases_pick(&unknown_answers, r, split));
    corpus_copy(out->terse, sizeof(out->terse), "I do not know.");
    out->skill = "unknown_fact";
    out->topic = "";
}
