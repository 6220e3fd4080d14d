#include "models/weir-tiny/corpus/arithmetic.h"

#include <stdio.h>

static const struct phrases ask_sum = {
    CORPUS_LIST("What is {a} + {b}?", "What is {a} plus {b}?", "{a} + {b}", "{a}+{b}",
                "{a} + {b} = ?", "{a} plus {b}", "Add {a} and {b}.", "How much is {a} + {b}?",
                "How much is {a} plus {b}?", "Calculate {a} + {b}.", "Can you add {a} and {b}?",
                "What do you get when you add {a} and {b}?", "What is the sum of {a} and {b}?",
                "Please compute {a} + {b}.", "{a}+{b}=", "{a} + {b} =", "{a} + {b}?",
                "{a}+{b}?", "What's {a} + {b}?", "What's {a} plus {b}?", "Solve {a} + {b}.",
                "Work out {a} + {b}.", "Tell me {a} + {b}.", "The sum of {a} and {b}?",
                "Do you know what {a} + {b} is?", "What does {a} + {b} make?",
                "Add {b} to {a}."),
    CORPUS_LIST("What is {a} added to {b}?", "Please add {a} and {b}.",
                "What does {a} plus {b} equal?", "Compute {a} + {b}.",
                "How many are {a} and {b} together?", "Tell me the sum of {a} and {b}.",
                "Please tell me what {a} + {b} is.")};

static const struct more_phrases ask_sum_more = {CORPUS_LIST(
    "What do you get when {a} is added to {b}?", "{a} added to {b} makes what?",
    "If I add {a} to {b}, what do I get?", "How much is {a} added to {b}?",
    "What is {b} with {a} added?", "Add {a} to {b}.", "Add {a} on top of {b}.",
    "What is the total of {a} and {b}?", "What does adding {a} to {b} give?",
    "Put {a} and {b} together. What is it?", "{a} and {b} make how many?",
    "How many are {a} and {b}?", "Count {a} and {b} together.", "Give me {a} + {b}.",
    "What number is {a} + {b}?", "What is {a} and {b}?", "To {a} I add {b}. What is it now?",
    "{b} is added to {a}. What is the result?", "What will {a} plus {b} be?")};

/* For numbers above 1, because of the plurals. */
static const struct phrases tell_sum = {
    CORPUS_LIST(
        "I have {a} {things} and get {b} more. How many {things} do I have?",
        "{who} has {a} {things} and finds {b} more. How many {things} does {who} have?",
        "{who} had {a} {things} and got {b} more. How many {things} does {who} have now?",
        /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one sentence */
        "There are {a} {things} on the table and {b} {things} on the floor. How many {things} "
        "are there?",
        "There are {a} red cars and {b} blue cars. How many cars are there?",
        "{who} has {a} {things} and Mary has {b} {things}. How many {things} do they have "
        "together?",
        "A farm has {a} sheep and {b} cows. How many animals is that?",
        "I read {a} pages today and {b} pages yesterday. How many pages did I read?",
        "A bus has {a} people. Then {b} more get in. How many people are on the bus?",
        "I bought {a} nails and {b} screws. How many pieces are that together?"),
    CORPUS_LIST("{who} has {a} {things} and buys {b} more. How many {things} does {who} have?",
                "There are {a} girls and {b} boys. How many children are there?")};

static const struct phrases ask_difference = {
    CORPUS_LIST("What is {a} - {b}?", "What is {a} minus {b}?", "{a} - {b}", "{a}-{b}",
                "{a} - {b} = ?", "{a} minus {b}", "Subtract {b} from {a}.",
                "How much is {a} - {b}?", "How much is {a} minus {b}?", "Calculate {a} - {b}.",
                "Take {b} away from {a}.", "{a}-{b}=", "What's {a} - {b}?",
                "Please compute {a} - {b}.", "Solve {a} - {b}.", "Work out {a} - {b}."),
    CORPUS_LIST("What does {a} minus {b} equal?", "Compute {a} - {b}.",
                "Please subtract {b} from {a}.", "Please tell me what {a} - {b} is.")};

static const struct phrases tell_difference = {
    CORPUS_LIST("I have {a} {things} and lose {b}. How many are left?",
                "{who} has {a} {things} and gives {b} away. How many {things} are left?",
                "There are {a} birds. Then {b} fly away. How many birds are left?",
                "I had {a} euros and spent {b}. How many euros are left?"),
    CORPUS_LIST("{who} has {a} {things} and sells {b}. How many {things} are left?")};

static const struct phrases ask_product = {
    CORPUS_LIST("What is {a} * {b}?", "What is {a} times {b}?", "{a} * {b}", "{a} x {b}",
                "{a} times {b}", "Multiply {a} by {b}.", "How much is {a} times {b}?",
                "Calculate {a} * {b}.", "What's {a} times {b}?", "{a}*{b}", "{a} x {b} = ?",
                "Multiply {a} and {b}.",
                "There are {a} boxes with {b} eggs each. How many eggs are there?"),
    CORPUS_LIST("What does {a} times {b} equal?", "Compute {a} * {b}.",
                "Please multiply {a} by {b}.")};

static const char *const people[] = {"Tom",  "Anna",  "Ben", "Lena", "Paul",
                                     "Rosa", "Max",   "Eva", "Sam",  "Nina",
                                     "Otto", "Clara", "Ali", "Mia",  "Leo"};
static const char *const things[] = {"apples",  "coins",    "books",   "eggs",  "pencils",
                                     "stamps",  "marbles",  "flowers", "cards", "shells",
                                     "cookies", "stickers", "buttons", "nuts",  "balls",
                                     "hats",    "cups",     "toys",    "keys",  "stones"};

enum corpus_split arithmetic_split(unsigned a, unsigned b)
{
    unsigned low = a < b ? a : b;
    unsigned high = a < b ? b : a;
    uint32_t h = (low * 100 + high) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return h % 100 < 8 ? CORPUS_HELDOUT : CORPUS_TRAIN;
}

/* Plain questions mostly; sometimes a little story. */
static const struct phrases *choose(struct rng *r, const struct phrases *ask,
                                    const struct phrases *tell, const unsigned operands[2])
{
    bool plural = operands[0] > 1 && operands[1] > 1;
    return plural && corpus_chance(r, 20) ? tell : ask;
}

static void write(struct rng *r, enum corpus_split split, const struct phrases *ask,
                  const unsigned operands[2], const char *operator, unsigned result,
                  struct exchange *out)
{
    char a[16];
    char b[16];
    char c[16];
    snprintf(a, sizeof(a), "%u", operands[0]);
    snprintf(b, sizeof(b), "%u", operands[1]);
    snprintf(c, sizeof(c), "%u", result);
    const char *form = phrases_pick(ask, r, split);
    const char *who = CORPUS_PICK(r, people);
    const char *what = CORPUS_PICK(r, things);
    corpus_fill_slots(out->user, form, {"a", a}, {"b", b}, {"who", who}, {"things", what});
    snprintf(out->answer, sizeof(out->answer), "%s %s %s = %s.", a, operator, b, c);
    corpus_fill_slots(out->terse, "{c}.", {"c", c});
    out->topic = "";
}

/* Two numbers of the split; `high` is exclusive. */
static void draw_pair(struct rng *r, enum corpus_split split, uint32_t high, unsigned pair[2])
{
    do {
        pair[0] = rng_below(r, high);
        pair[1] = corpus_chance(r, 20) ? rng_below(r, 10) : rng_below(r, high);
    } while (arithmetic_split(pair[0], pair[1]) != split);
}

void exchange_addition(struct rng *r, enum corpus_split split, struct exchange *out)
{
    unsigned pair[2];
    draw_pair(r, split, split == CORPUS_TRAIN && corpus_chance(r, 15) ? 20 : 100, pair);
    const struct phrases *ask = choose(r, &ask_sum, &tell_sum, pair);
    struct phrases more = {ask_sum_more.train, ask_sum_more.n_train, NULL, 0};
    if (split == CORPUS_TRAIN && corpus_wordings() >= CORPUS_WORDINGS_WIDEST &&
        ask == &ask_sum && corpus_chance(r, 50)) {
        ask = &more;
    }
    write(r, split, ask, pair, "+", pair[0] + pair[1], out);
    out->skill = "sum";
}

void exchange_subtraction(struct rng *r, enum corpus_split split, struct exchange *out)
{
    unsigned pair[2];
    draw_pair(r, split, 100, pair);
    unsigned ordered[2] = {pair[0] > pair[1] ? pair[0] : pair[1],
                           pair[0] > pair[1] ? pair[1] : pair[0]};
    write(r, split, choose(r, &ask_difference, &tell_difference, ordered), ordered, "-",
          ordered[0] - ordered[1], out);
    out->skill = "difference";
}

void exchange_multiplication(struct rng *r, enum corpus_split split, struct exchange *out)
{
    unsigned pair[2] = {rng_below(r, 11), rng_below(r, 11)};
    write(r, split, &ask_product, pair, "*", pair[0] * pair[1], out);
    out->skill = "product";
}

void exchange_sum(struct rng *r, enum corpus_split split, struct exchange *out)
{
    uint32_t roll = rng_below(r, 100);
    if (roll < 72) {
        exchange_addition(r, split, out);
    } else if (roll < 92) {
        exchange_subtraction(r, split, out);
    } else {
        exchange_multiplication(r, split, out);
    }
}
