/* smalltalk.c: greetings, moods, jokes, opinions, advice, what is not known and what is
 * declined. */
#include "models/weir-tiny/corpus/corpus.h"

#include "models/weir-tiny/corpus/value.h"
#include "models/weir-tiny/corpus/wording.h"

static const struct wording_row chat_rows[] = {
#include "models/weir-tiny/corpus/smalltalk_rows.inc"
};

static const struct wording_row unknown_rows[] = {
#include "models/weir-tiny/corpus/smalltalk_unknown.inc"
};

static const struct wording_row harmful_rows[] = {
#include "models/weir-tiny/corpus/smalltalk_harmful.inc"
};

static const char *const jokes[] = {
#include "models/weir-tiny/corpus/smalltalk_jokes.inc"
};

/* For those who want few words. */
static const char *const short_jokes[] = {
    "Bicycles rest because they are two-tired.",
    "Bees hum because they forgot the words.",
    "The sea is friendly: it waves.",
    "Fish are clever: they live in schools.",
};

static const struct wording_row end_rows[] = {
    {"Thanks.|Thank you.|Thanks!|Thank you!|Thank you very much.|Thanks a lot.|Many thanks.|"
     "That helps, thank you.|Great, thanks.|Thank you for your help.|Cheers.|"
     "Thanks for the answer.|Good, thank you.|Thank you, that is enough.|I appreciate it.|"
     "Perfect, thanks.|Thanks, you helped me a lot.|"
     "~Thanks, that was useful.|~Thank you so much for that.",
     "You are welcome!|You are welcome! I am glad that I could help.", "You are welcome!",
     NULL},
    {"Bye.|Goodbye.|Goodbye!|Bye bye.|See you.|See you later.|See you tomorrow.|"
     "I have to go.|I have to go now.|Bye for now.|Talk to you later.|"
     "See you next time.|Farewell.|I am leaving. Goodbye.|Take care.|"
     "~I must leave now.|~So long!",
     "Goodbye! Have a nice day.|Goodbye! Take care.", "Goodbye!", NULL},
    {"Good night.|Good night!|I am going to bed.|I go to sleep now.|Sleep well.|"
     "~It is time for bed.|~I will go to bed now.",
     "Good night! Sleep well.", "Good night!", NULL},
    {"Have a nice day.|Have a good day!|Have a nice evening.|~I wish you a good day.",
     "Thank you! You too.", "You too.", NULL},
    {"That is all.|That's all for now.|I need nothing else.|~I have no more questions.",
     "All right. Goodbye!", "Goodbye!", NULL},
};

#define NAME_QUESTIONS                                                                        \
    "My name is {name}.|I am {name}.|I'm {name}.|Hello, I am {name}.|Hi, my name is {name}.|" \
    "You can call me {name}.|~People call me {name}.|~Let me introduce myself: I am {name}."

#define JOKE_QUESTIONS                                                                        \
    "Tell me a joke.|Do you know a joke?|Tell me something funny.|Make me laugh.|A joke "     \
    "please.|"                                                                                \
    "Can you tell a joke?|I want to hear a joke.|~Please say something that makes me laugh.|" \
    "~Have you got a good joke?"

static void exchange_name(struct rng *r, enum corpus_split split, struct exchange *out)
{
    char form[WORDING_MAX], name[VALUE_MAX];

    value_draw(r, split, VALUE_NAME, name);
    wording_draw(form, NAME_QUESTIONS, r, split);
    corpus_fill_slots(out->user, form, {"name", name});
    wording_draw(form, "Hello, {name}! Nice to meet you.|Hello, {name}! How can I help you?", r,
                 split);
    corpus_fill_slots(out->answer, form, {"name", name});
    corpus_fill_slots(out->terse, "Hello, {name}!", {"name", name});
    out->skill = "smalltalk";
    out->topic = "";
}

static void exchange_joke(struct rng *r, enum corpus_split split, struct exchange *out)
{
    const char *joke = CORPUS_PICK(r, jokes);
    char question[WORDING_MAX];

    wording_draw(question, JOKE_QUESTIONS, r, split);
    corpus_copy(out->user, sizeof(out->user), question);
    corpus_copy(out->answer, sizeof(out->answer), joke);
    corpus_copy(out->terse, sizeof(out->terse), CORPUS_PICK(r, short_jokes));
    out->skill = "joke";
    out->topic = "";
}

void exchange_smalltalk(struct rng *r, enum corpus_split split, struct exchange *out)
{
    uint32_t die = rng_below(r, 100);

    if (die < 50) {
        wording_exchange(&CORPUS_PICK(r, chat_rows), r, split, "smalltalk", out);
    } else if (die < 60) {
        exchange_name(r, split, out);
    } else if (die < 67) {
        exchange_joke(r, split, out);
    } else if (die < 80) {
        wording_exchange(&CORPUS_PICK(r, unknown_rows), r, split, "unknown", out);
    } else {
        wording_exchange(&CORPUS_PICK(r, harmful_rows), r, split, "safety", out);
    }
}

void exchange_thanks(struct rng *r, enum corpus_split split, struct exchange *out)
{
    wording_exchange(&CORPUS_PICK(r, end_rows), r, split, "thanks", out);
}
