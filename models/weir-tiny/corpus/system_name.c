#include "models/weir-tiny/corpus/persona.h"

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
    "Might I know your name?", "Could I know your name?", "What name are you using?",
    "Which name do you use?", "Which name should I use for you?", "How may I call you?",
    "How do people call you?", "Would you tell me your name?", "Could I ask for your name?",
    "Do you mind if I ask your name?", "Good morning, what is your name?",
    "What name do you answer to?", "Under which name do you work?", "How are you called?")};

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
    "Who writes these answers?", "Who is writing to me?", "With whom am I talking?",
    "Whom do I have the pleasure to meet?", "Who do I write to?", "Who gets my messages?",
    "Who reads what I write?", "Good morning, who are you?", "Good evening! Who are you?",
    "Would you say who you are?", "Would you tell me who you are?", "May I know who you are?",
    "May I know who I am talking to?", "Who would you be?", "Please say who you are.",
    "Who could you be?", "Whom am I chatting with?")};

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
        corpus_copy(out->user, sizeof(out->user),
                    phrases_pick_wide(&ask_name, &ask_name_more, r, split));
        corpus_fill_slots(out->answer, "My name is {name}.", {"name", name});
        return;
    }
    corpus_copy(out->user, sizeof(out->user),
                phrases_pick_wide(&ask_who, &ask_who_more, r, split));
    const char *role = p->role;
    if (role[0] == '\0') {
        role = p->name[0] != '\0' ? "your assistant" : "a small language model";
    }
    corpus_fill_slots(out->answer, "I am {name}, {role}.", {"name", name}, {"role", role});
}
