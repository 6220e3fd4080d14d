/* words_reading.c: the user states something and asks about it. The answer stands in the
 * question. */
#include "models/weir-tiny/corpus/words_tasks.h"

#include <stdio.h>
#include <string.h>

#include "models/weir-tiny/corpus/value.h"
#include "models/weir-tiny/corpus/wording.h"

struct reading {
    const char
        *questions; /* with {a}, {b} people; {x}, {y} things; {c}, {d} colours; {t} town */
    const char *answers;
    const char *terse;
};

static const struct reading readings[] = {
    {"{a} has {an_c} {x}. What colour is the {x}?|"
     "The {x} of {a} is {c}. Which colour does it have?|"
     "{a} bought {an_c} {x}. What colour is it?|"
     "~{a} owns {an_c} {x}. Tell me the colour of the {x}.",
     "The {x} is {c}.", "{C}."},
    {"{a} has {an_c} {x} and {b} has {an_d} {y}. Who has the {x}?|"
     "{a} has the {x}. {b} has the {y}. Who has the {x}?|"
     "~{b} owns {an_d} {y} and {a} owns {an_c} {x}. Whose is the {x}?",
     "{a} has the {x}.", "{a}."},
    {"{a} has {an_c} {x} and {b} has {an_d} {y}. What does {b} have?|"
     "{a} has the {x}. {b} has the {y}. What does {b} have?|"
     "~{a} carries {an_x}, and {b} carries {an_y}. What is {b} carrying?",
     "{b} has the {y}.", "The {y}."},
    {"{a} lives in {t}. Where does {a} live?|{a} moved to {t}. Where is {a} now?|"
     "My friend {a} lives in {t}. In which town does my friend live?|"
     "~{a} has a house in {t}. In which town is it?",
     "{a} lives in {t}.", "In {t}."},
    {"{a} is older than {b}. Who is older?|{a} is older than {b}. Who is the older one?|"
     "~{b} is younger than {a}. Who is older?",
     "{a} is older.", "{a}."},
    {"{a} is taller than {b}. Who is taller?|{b} is shorter than {a}. Who is taller?|"
     "~{a} is taller than {b}. Name the taller one.",
     "{a} is taller.", "{a}."},
    {"{a} is taller than {b}. Who is shorter?|{b} is shorter than {a}. Who is shorter?|"
     "~{a} is taller than {b}. Name the shorter one.",
     "{b} is shorter.", "{b}."},
    {"{a} gave the {x} to {b}. Who has the {x} now?|"
     "{b} got the {x} from {a}. Who has the {x} now?|"
     "~{a} handed the {x} to {b}. With whom is the {x} now?",
     "{b} has the {x} now.", "{b}."},
    {"The {x} is in the box and the {y} is on the table. Where is the {x}?|"
     "The {x} is in the box. Where is the {x}?|"
     "~I put the {x} in the box and the {y} under the bed. Where did I put the {x}?",
     "The {x} is in the box.", "In the box."},
    {"My dog is called {a}. What is my dog called?|"
     "I have a cat named {a}. What is the name of my cat?|"
     "My friend is called {a}. What is the name of my friend?|"
     "My sister's name is {a}. What is her name?|"
     "~I have a bird by the name of {a}. What is my bird's name?",
     "The name is {a}.", "{a}."},
    {"My name is {a}. What is my name?|I am {a}. Who am I?|"
     "Remember that my name is {a}. What is my name?|~People call me {a}. What am I called?",
     "Your name is {a}.", "{a}."},
    {"The code word is {x}. What is the code word?|"
     "Remember the word {x}. Which word should you remember?|"
     "The secret word is {x}. What is the secret word?|~I say {x}. Which word did I say?",
     "The word is {x}.", "{X}."},
    {"{a} likes {x}s and {b} likes {y}s. What does {a} like?|"
     "{b} likes {y}s. {a} likes {x}s. What does {a} like?|"
     "~{a} is fond of {x}s, but {b} likes {y}s. What does {a} like?",
     "{a} likes {x}s.", "{X}s."},
};

static const char *const colours[] = {"red",   "blue",  "green",  "yellow", "brown",
                                      "black", "white", "purple", "pink",   "grey"};

static const char *const things[] = {
    "lamp",   "boat",  "hat",    "ball",  "cup",     "kite", "drum",   "book",  "bag",
    "car",    "coat",  "pencil", "bell",  "chair",   "ring", "basket", "stone", "button",
    "clock",  "apple", "shirt",  "spoon", "bottle",  "door", "flag",   "tent",  "ladder",
    "pillow", "jar",   "bike",   "plate", "lantern", "key",
};

#define AN_MAX 48

static void with_article(const char *noun, char out[AN_MAX])
{
    snprintf(out, AN_MAX, "%s %s", wording_article(noun), noun);
}

void task_reading(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const struct reading *reading = &CORPUS_PICK(r, readings);
    char a[VALUE_MAX], b[VALUE_MAX], town[VALUE_MAX];
    char an_c[AN_MAX], an_d[AN_MAX], an_x[AN_MAX], an_y[AN_MAX];
    const char *c = CORPUS_PICK(r, colours), *d, *x = CORPUS_PICK(r, things), *y;

    value_draw(r, split, VALUE_NAME, a);
    do {
        value_draw(r, split, VALUE_NAME, b);
    } while (strcmp(a, b) == 0);
    value_draw(r, split, VALUE_TOWN, town);
    do {
        d = CORPUS_PICK(r, colours);
    } while (d == c);
    do {
        y = CORPUS_PICK(r, things);
    } while (y == x);
    with_article(c, an_c);
    with_article(d, an_d);
    with_article(x, an_x);
    with_article(y, an_y);
    TASK_FILL("reading", reading->questions, reading->answers, reading->terse, {"a", a},
              {"b", b}, {"c", c}, {"d", d}, {"x", x}, {"y", y}, {"t", town}, {"an_c", an_c},
              {"an_d", an_d}, {"an_x", an_x}, {"an_y", an_y});
}
