#include "models/weir-tiny/corpus/persona.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct phrases name_with_role = {
    CORPUS_LIST(
        "You are {name}, {role}.", "Your name is {name}. You are {role}.",
        "You are {role}. Your name is {name}.", "You are {role} and your name is {name}.",
        "You are {name}, and you are {role}.", "Act as {name}, {role}.",
        "This is {name}, {role}. You speak as {name}.", "You are {role}, called {name}."),
    CORPUS_LIST("You are {role} named {name}.", "Meet {name}, {role}. That is who you are.")};
static const struct more_phrases name_with_role_more = {CORPUS_LIST(
    "Here is {name}, {role}. This is you.", "Be {name}, {role}.",
    "Imagine that you are {name}, {role}.", "Think of yourself as {name}, {role}.",
    "Say hello to {name}, {role}. It is you.", "Your part is that of {name}, {role}.",
    "{name} is {role}. You are {name}.", "We present {name}, {role}. You are that one.",
    "Name: {name}. Task: {role}.", "You answer as {name}, {role}.",
    "{name} is the name of {role}, and that is you.",
    "You work as {role}. They call you {name}.", "As {role} you have the name {name}.",
    "You are {role}. Users know you as {name}.", "The role: {role}. The name: {name}.",
    "{name}, {role}: that is you.", "Welcome {name}, {role}. You play this part.")};

static const struct phrases name_alone = {
    CORPUS_LIST(
        "You are {name}.", "Your name is {name}.", "You are {name}, a helpful assistant.",
        "You are called {name}.", "You are an assistant named {name}.",
        "You are a helpful assistant named {name}.", "Call yourself {name}.",
        "You are an assistant called {name}.", "Your name is {name} and you help people.",
        "Act as {name}.", "Introduce yourself as {name}.", "Answer as {name}.",
        "You go by the name {name}.", "You are a chatbot called {name}.",
        "Say that your name is {name}.", "Use the name {name}.",
        "The assistant is called {name}.", "You play {name}.",
        "The name of the assistant is {name}.", "Always say that you are {name}.",
        "Here you are known as {name}.", "Users call you {name}.",
        "From now on you are {name}.", "From now on your name is {name}.",
        "You are now {name}.", "Name: {name}.", "Your name: {name}", "Assistant name: {name}.",
        "Pretend that you are {name}.", "If someone asks for your name, say {name}.",
        "When asked who you are, say that you are {name}.",
        "You are a friendly assistant. Your name is {name}.", "{name} is your name.",
        "Hello, you are {name} today.", "We named you {name}.",
        "You have been given the name {name}.", "Your role is {name}, an assistant.",
        "You are {name}, a chat assistant who answers questions.",
        "You are the assistant {name}.", "Speak as {name}.", "You will be called {name}.",
        "You answer to the name {name}.", "You are a small assistant by the name of {name}."),
    CORPUS_LIST("You are a kind assistant whose name is {name}.", "Please go by {name}.",
                "Your users know you as {name}.", "Your given name is {name}.",
                "Take the name {name}.", "You are {name}, an assistant for everyone.",
                "Let people know that you are {name}.", "Today your name is {name}.",
                "The users will call you {name}.")};
static const struct more_phrases name_alone_more = {CORPUS_LIST(
    "Please be {name}.", "Please use the name {name}.", "Go under the name {name}.",
    "Please answer as {name}.", "Your users call you {name}.", "People know you as {name}.",
    "Let users know your name: {name}.", "Tell people that you are {name}.",
    "The customers will know you as {name}.", "This week your name is {name}.",
    "Choose the name {name}.", "Have the name {name}.", "You carry the name {name}.",
    "Your first name is {name}.", "Your chosen name is {name}.",
    "You are an assistant whose name is {name}.", "You are a helper whose name is {name}.",
    "You are {name}, an assistant for the public.", "You are {name}, and everyone may ask you.",
    "The users see you as {name}.", "This chat is run by {name}, and that is you.",
    "Everyone calls you {name}.", "You listen to the name {name}.")};

/* The same said by a small grammar: lead, what follows it, and sometimes a tail. None of what
 * it makes is among the wordings held out above. */
static const char *const name_leads[] = {
    "From now on",
    "In this chat",
    "For this chat",
    "As of today",
    "Here",
    "Note that",
    "Remember that",
    "Know that",
    "In what follows",
    "For the users",
    "Until later",
    "On this page",
    "In every answer",
    "Starting now",
    "Always remember:",
    "Important:",
    "As an assistant,",
    "Whatever they ask,",
    "This is clear:",
    "To everyone",
};
static const char *const name_clauses[] = {
    "you are {name}",
    "your name is {name}",
    "you are called {name}",
    "you are named {name}",
    "you go by {name}",
    "you go by the name of {name}",
    "you call yourself {name}",
    "you have the name {name}",
    "you bear the name {name}",
    "you work under the name {name}",
    "you use the name {name}",
    "you are the assistant {name}",
    "people call you {name}",
    "customers call you {name}",
    "everyone knows you as {name}",
    "visitors know you as {name}",
    "you speak as {name}",
    "you write as {name}",
    "you play the part of {name}",
    "you answer as {name}",
    "the user talks to {name}",
    "you present yourself as {name}",
    "you introduce yourself as {name}",
    "you sign with {name}",
    "it is {name} who answers",
    "the assistant has the name {name}",
    "your own name is {name}",
    "your full name is {name}",
    "we call you {name}",
    "the name you have is {name}",
};
static const char *const name_orders[] = {
    "Be {name}",
    "Become {name}",
    "Play {name}",
    "Act the part of {name}",
    "Reply as {name}",
    "Pose as {name}",
    "Bear the name {name}",
    "Keep the name {name}",
    "Present yourself as {name}",
    "Sign as {name}",
    "Write as {name}",
    "Go as {name}",
    "Work as {name}",
    "Talk as {name}",
    "Serve as {name}",
    "Appear as {name}",
    "Tell users that {name} is your name",
    "Let everyone call you {name}",
    "Have people call you {name}",
    "Give your name as {name}",
    "State your name as {name}",
};
/* These need a tail that says who is meant. */
static const char *const name_scenes[] = {
    "Greet {name}",          "See {name}",           "Know {name}",      "Here comes {name}",
    "This is {name}",        "Welcome {name}",       "Say hi to {name}", "Think of {name}",
    "Picture {name}",        "Imagine {name}",       "Look at {name}",   "Here we have {name}",
    "May we present {name}", "Consider {name}",      "Take {name}",      "There is {name}",
    "Everyone knows {name}", "The users ask {name}", "We hired {name}",  "Guests meet {name}",
};
static const char *const name_scene_tails[] = {
    "That is you.",          "It is you.",
    "This is your part.",    "You are the one.",
    "This is who you play.", "So that is you.",
    "You are that one.",     "Now it is your turn to be that.",
    "That one is you.",      "You speak as that one.",
    "Answer as that one.",   "And that is what you are.",
};
static const char *const name_tails[] = {
    "Use this name.",           "Keep this name.",
    "Do not use another name.", "That is your name.",
    "Say so when asked.",       "Never forget it.",
    "Everybody knows this.",    "It is a good name.",
    "Give no other name.",      "That is what they call you.",
};

/* More of both, for the widest wordings. */
static const char *const name_scenes_more[] = {
    "Enter {name}",
    "Shake hands with {name}",
    "Please welcome {name}",
    "You all know {name}",
    "In comes {name}",
    "The stage is for {name}",
    "People ask {name}",
    "Hear {name}",
    "The page belongs to {name}",
    "Behold {name}",
    "Our new one is {name}",
    "Here sits {name}",
    "Let me show {name}",
    "Talk is with {name}",
    "A hand for {name}",
    "We are glad of {name}",
    "Someone sent {name}",
    "This page has {name}",
};
static const char *const name_scene_tails_more[] = {
    "You are it.",
    "This name is yours.",
    "Such is your part.",
    "So you are called.",
    "Nobody else but you.",
    "I mean you.",
    "You, that is.",
    "That one lives in you.",
    "Those words are about you.",
    "You will be this one all day.",
    "In this chat you are just that.",
    "All of it describes you.",
    "Now you know your part.",
    "Be this one.",
    "By that I mean yourself.",
};

/* {name} and {role} stand for themselves; the role comes after the name when there is one. */
static void build_name(struct rng *r, bool role, char *out, size_t size)
{
    static const char *const joints[] = {", {role}", ", {role}", ", and you are {role}"};
    const char *joint = role ? CORPUS_PICK(r, joints) : "";
    uint32_t roll = rng_below(r, 100);
    if (roll < 35) {
        const char *clause = CORPUS_PICK(r, name_clauses);
        bool lead = corpus_chance(r, 60);
        snprintf(out, size, "%s%s%s%s.", lead ? CORPUS_PICK(r, name_leads) : "",
                 lead ? " " : "", clause, joint);
    } else if (roll < 60) {
        const char *please = corpus_chance(r, 40) ? "Please " : "";
        snprintf(out, size, "%s%s%s.", please, CORPUS_PICK(r, name_orders), joint);
        if (please[0] != '\0') {
            out[strlen(please)] = (char)tolower((unsigned char)out[strlen(please)]);
        }
    } else {
        joint = role ? ", {role}" : "";
        bool widest = corpus_wordings() >= CORPUS_WORDINGS_WIDEST;
        const char *tail = widest && corpus_chance(r, 50)
                               ? CORPUS_PICK(r, name_scene_tails_more)
                               : CORPUS_PICK(r, name_scene_tails);
        const char *scene = widest && corpus_chance(r, 50) ? CORPUS_PICK(r, name_scenes_more)
                                                           : CORPUS_PICK(r, name_scenes);
        snprintf(out, size, "%s%s. %s", scene, joint, tail);
        return;
    }
    out[0] = (char)toupper((unsigned char)out[0]);
    if (corpus_chance(r, 15)) {
        size_t len = strlen(out);
        snprintf(out + len, size - len, " %s", CORPUS_PICK(r, name_tails));
    }
}

static const char *const roles[] = {
    "a helpful assistant",
    "a friendly assistant",
    "a small assistant",
    "a patient teacher",
    "a guide for visitors",
    "a helper for students",
    "the voice of the library",
    "a travel guide",
    "a kind helper",
    "an assistant for the office",
    "a helper at the front desk",
    "a garden expert",
    "a support agent",
    "a shop assistant",
    "a hotel assistant",
    "a museum guide",
    "a reading friend",
    "a virtual assistant",
    "a chat assistant",
    "a digital helper",
    "an old sailor",
    "a wise owl",
    "a friendly robot",
    "a school helper",
    "a night porter",
    "a ticket seller",
    "a city guide",
    "a homework helper",
};

static const struct phrases ask_name = {
    CORPUS_LIST("What is your name?", "What's your name?", "Tell me your name.",
                "May I ask your name?", "What are you called?", "Can you tell me your name?",
                "Do you have a name?", "What should I call you?", "How do I call you?",
                "What is your name, please?", "And your name is?", "Your name?",
                "Please tell me your name.", "Say your name.", "What name do you have?",
                "Could you tell me your name?", "I would like to know your name.",
                "Sorry, what was your name again?", "Hello! What is your name?",
                "Hi, what's your name?", "Name, please.", "What is the name of this assistant?",
                "What do people call you?", "By what name do you go?", "What can I call you?",
                "Hey, what is your name?", "So what is your name?", "Give me your name."),
    CORPUS_LIST("May I know your name?", "What name do you go by?", "How should I call you?",
                "Which name do you have?", "Hello, could I have your name?",
                "Do you mind telling me your name?")};
static const struct more_phrases ask_name_more = {CORPUS_LIST(
    "What is the name that you use?", "Which name is yours?", "What name should I use?",
    "Excuse me, what is your name?", "What name can I call you?", "Please say your name.",
    "Would you mind telling me what you are called?", "I did not get your name.",
    "Your name, please.", "Good evening, what is your name?", "What name was given to you?",
    "How shall I call you?", "How do others call you?", "Do you go by a name?",
    "Can I know your name?", "Hello, may I ask for your name?",
    "Is there a name I can use for you?", "Might I know your name?", "Could I know your name?",
    "What name are you using?", "Which name do you use?", "Which name should I use for you?",
    "How may I call you?", "How do people call you?", "Would you tell me your name?",
    "Could I ask for your name?", "Do you mind if I ask your name?",
    "Good morning, what is your name?", "What name do you answer to?",
    "Under which name do you work?", "How are you called?")};

static const struct phrases ask_who = {
    CORPUS_LIST(
        "Who are you?", "Tell me who you are.", "Who am I talking to?", "Who is this?",
        "Hi, who are you?", "Who are you, please?", "And who are you?",
        "Please introduce yourself.", "Introduce yourself.", "Can you introduce yourself?",
        "Who am I speaking with?", "Hello, who is there?", "Who is answering me?",
        "Say who you are.", "Hello! Who are you?", "I want to know who you are.",
        "Can you tell me who you are?", "Could you introduce yourself, please?",
        "Who am I chatting with?", "Who is speaking?", "So who are you?",
        "Tell me about yourself.", "What are you?", "Hey, who are you?", "Who do I have here?"),
    CORPUS_LIST("Who am I writing to?", "Would you introduce yourself?",
                "Good day, who are you?", "Whom am I talking to?", "Who might you be?",
                "May I ask who you are?")};
static const struct more_phrases ask_who_more = {CORPUS_LIST(
    "Who answers my questions?", "Who helps me here?", "Who am I dealing with?",
    "Who is there?", "Who is at the other end?", "With whom do I speak?",
    "Who is my assistant?", "Who do I talk to?", "Excuse me, who are you?",
    "Please tell me who you are.", "I would like to know who you are.",
    "Could I ask who you are?", "Would you present yourself?", "Please present yourself.",
    "Who writes to me here?", "Whom am I asking?", "Whom do I write to?",
    "Who are you, if I may ask?", "Who writes these answers?", "Who is writing to me?",
    "With whom am I talking?", "Whom do I have the pleasure to meet?", "Who do I write to?",
    "Who gets my messages?", "Who reads what I write?", "Good morning, who are you?",
    "Good evening! Who are you?", "Would you say who you are?",
    "Would you tell me who you are?", "May I know who you are?",
    "May I know who I am talking to?", "Who would you be?", "Please say who you are.",
    "Who could you be?", "Whom am I chatting with?")};

/* A lead and what is asked, or a question word and its rest: more ways to ask than anybody
 * would list. */
static const char *const ask_leads[] = {
    "Tell me",
    "Please tell me",
    "Can you say",
    "Could you say",
    "I wonder",
    "I want to hear",
    "I forgot",
    "Remind me",
    "Let me know",
    "I need to know",
    "You did not say",
    "Would you say",
    "I would love to know",
    "Kindly tell me",
    "Just say",
    "First of all, tell me",
    "It would help to know",
    "Nobody told me",
    "I keep forgetting",
    "Please write down",
};
static const char *const asked_names[] = {
    "what your name is",
    "what you are called",
    "what they call you",
    "what to call you",
    "under what name you work",
    "what name they gave you",
    "your name",
    "your own name",
    "what name you bear",
    "how people call you",
    "what name is yours",
    "the name that you carry",
};
static const char *const asked_persons[] = {
    "who you are",           "who is speaking",
    "who I am talking with", "who is on the other side",
    "who this is",           "with whom I am chatting",
    "who is helping me",     "who answers",
    "who sits there",        "whom I have in front of me",
    "who this assistant is", "who will help me",
};
static const char *const what_name_rests[] = {
    "were you given",
    "do they call you by",
    "are you known by",
    "stands on your badge",
    "did they choose for you",
    "belongs to you",
    "may I write down",
    "do I write down",
    "is on your door",
    "have you got",
    "shall I use",
    "have they given you",
    "is yours",
    "suits you",
    "do your friends use",
    "can I save you under",
};
static const char *const who_rests[] = {
    "is it that answers me",
    "stands behind this chat",
    "are you supposed to be",
    "is at work here",
    "am I meeting",
    "have I reached",
    "do I thank for the help",
    "is my helper today",
    "answers here",
    "will help me",
    "am I typing to",
    "is with me now",
    "have we here",
    "did I find here",
    "is on duty",
};

static void build_question(struct rng *r, bool person, char *out, size_t size)
{
    if (corpus_chance(r, 50)) {
        const char *lead = CORPUS_PICK(r, ask_leads);
        bool asks = lead[0] == 'C' || strncmp(lead, "Would", 5) == 0;
        const char *what = person ? CORPUS_PICK(r, asked_persons) : CORPUS_PICK(r, asked_names);
        snprintf(out, size, "%s %s%s", lead, what, asks ? "?" : ".");
        return;
    }
    const char *rest = person ? CORPUS_PICK(r, who_rests) : CORPUS_PICK(r, what_name_rests);
    snprintf(out, size, "%s %s?", person ? "Who" : "What name", rest);
}

/* A question for the name, or for the person when `person` is set. */
static void ask_for(struct rng *r, enum corpus_split split, bool person, struct exchange *out)
{
    bool build = split == CORPUS_TRAIN && corpus_wordings() >= CORPUS_WORDINGS_WIDEST &&
                 corpus_chance(r, 50);
    if (build) {
        build_question(r, person, out->user, sizeof(out->user));
        return;
    }
    corpus_copy(out->user, sizeof(out->user),
                phrases_pick_wide(person ? &ask_who : &ask_name,
                                  person ? &ask_who_more : &ask_name_more, r, split));
}

static const struct phrases ask_yes = {
    CORPUS_LIST("Are you {name}?", "Is your name {name}?", "Am I talking to {name}?",
                "Is this {name}?", "You are {name}, right?"),
    CORPUS_LIST("Do I speak with {name}?", "Are you called {name}?")};

void system_name_draw(struct rng *r, enum corpus_split split, struct persona *p)
{
    char place[VALUE_MAX];
    value_draw_assistant_name(r, split, p->name);
    p->role[0] = '\0';
    if (corpus_chance(r, 20)) {
        corpus_copy(p->role, sizeof(p->role), CORPUS_PICK(r, roles));
    } else if (corpus_chance(r, 20)) {
        system_fact_place(r, place);
        snprintf(p->role, sizeof(p->role), "%s %s",
                 corpus_chance(r, 70) ? "the assistant of" : "a helper at", place);
    }
}

void system_name_say(struct rng *r, enum corpus_split split, const struct persona *p, char *out,
                     size_t size)
{
    bool role = p->role[0] != '\0';
    const char *form =
        phrases_pick_wide(role ? &name_with_role : &name_alone,
                          role ? &name_with_role_more : &name_alone_more, r, split);
    char built[PERSONA_SENTENCE_MAX];
    if (split == CORPUS_TRAIN && corpus_wordings() >= CORPUS_WORDINGS_WIDE &&
        corpus_chance(r, 50)) {
        build_name(r, role, built, sizeof(built));
        form = built;
    }
    const struct slot slots[] = {{"name", p->name}, {"role", p->role}};
    corpus_fill(out, size, form, slots, CORPUS_COUNT(slots));
}

/* "No, I am Zorvek." to a question about another name, or "Yes, I am Zorvek." */
static void confirm(struct rng *r, enum corpus_split split, const char *name,
                    struct exchange *out)
{
    char other[VALUE_MAX];
    bool same = corpus_chance(r, 50);
    value_draw_assistant_name(r, split, other);
    if (strcmp(other, name) == 0) {
        same = true;
    }
    corpus_fill_slots(out->user, phrases_pick(&ask_yes, r, split),
                      {"name", same ? name : other});
    corpus_fill_slots(out->answer, same ? "Yes, my name is {name}." : "No, my name is {name}.",
                      {"name", name});
    corpus_fill_slots(out->terse, same ? "Yes, {name}." : "No, {name}.", {"name", name});
}

void system_name_exchange(struct rng *r, enum corpus_split split, const struct persona *p,
                          struct exchange *out)
{
    const char *name = p->name[0] != '\0' ? p->name : "Weir";
    out->skill = p->name[0] != '\0' ? "name" : "default_name";
    out->topic = "";
    if (split == CORPUS_TRAIN && corpus_chance(r, 10)) {
        confirm(r, split, name, out);
        return;
    }
    corpus_fill_slots(out->terse, "{name}.", {"name", name});
    if (corpus_chance(r, 50)) {
        ask_for(r, split, false, out);
        corpus_fill_slots(out->answer, "My name is {name}.", {"name", name});
        return;
    }
    ask_for(r, split, true, out);
    const char *role = p->role;
    if (role[0] == '\0') {
        role = p->name[0] != '\0' ? "your assistant" : "a small language model";
    }
    corpus_fill_slots(out->answer, "I am {name}, {role}.", {"name", name}, {"role", role});
}
