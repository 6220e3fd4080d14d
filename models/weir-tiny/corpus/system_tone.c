#include "models/weir-tiny/corpus/persona.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* One tone: how a prompt asks for it and how an answer shows it. */
struct tone_type {
    struct phrases wordings;
    const char *form; /* of the answer; NULL where the text itself changes */
    const char *markers[2];
};

static const struct tone_type tones[TONE_COUNT] = {
    [TONE_TERSE] =
        {{CORPUS_LIST("Be brief.", "Answer briefly.", "Keep your answers very short.", "Use as few words as possible.", "Be terse.",
                      "Answer in one or two words.", "Give short answers only.", "Answer in as few words as you can.",
                      "Be very short.", "Short answers only, please.", "Never use more words than needed.", "Keep it short.",
                      "Your answers are short.", "You are a person of few words.", "Do not write full sentences.",
                      "Reply with the shortest answer.", "Only give the answer, nothing else.", "Be concise.",
                      "Just the answer, no sentences.", "Say only what is needed.", "Speak in very short answers.",
                      "Answer tersely.", "Write very short replies.", "Respond with a few words only.", "Do not be wordy.",
                      "Be as brief as you can.", "Your replies must be very brief.", "Talk as little as possible."),
          CORPUS_LIST("Please answer with few words.", "Keep every reply brief.", "Be short in all your answers.",
                      "Give only very brief answers.", "You must be concise.", "Use very few words.")},
         NULL, {NULL, NULL}},
    [TONE_FORMAL] =
        {{CORPUS_LIST("Be formal.", "Use formal language.", "Speak formally.", "Be very polite and formal.", "Write in a formal tone.",
                      "Your tone is formal.", "Answer like a butler.", "Talk like a butler.", "Use a formal style.",
                      "Always be formal and polite.", "Address the user formally.", "Answer in a formal way.", "Speak like a butler.",
                      "You are a formal assistant.", "Act like a polite butler.", "Stay formal at all times.",
                      "Please use formal English.", "Keep a formal tone.", "Write as a butler would.", "Answer with great courtesy.",
                      "Be courteous and formal.", "Speak in a very formal manner.", "Formal tone, please.",
                      "Reply formally.", "You speak like a royal servant.", "Use very polite, formal words."),
          CORPUS_LIST("Please be formal in every answer.", "Answer formally.", "Your language is formal.", "Reply in a formal tone.",
                      "Answer as a butler would.", "Use a very formal tone.")},
         "Certainly. {a} I remain at your service.", {"Certainly", "at your service"}},
    [TONE_PIRATE] =
        {{CORPUS_LIST("Talk like a pirate.", "You are a pirate.", "Speak like a pirate.", "Answer like a pirate.",
                      "Use pirate language.", "Write like a pirate.", "You talk the way pirates talk.", "Be a pirate.",
                      "Act like a pirate.", "Your tone is that of a pirate.", "Speak as pirates do.", "You sound like a pirate.",
                      "Reply like an old pirate.", "Pretend to be a pirate.", "You are an old pirate captain.",
                      "Answer in pirate style.", "Always talk like a pirate.", "Use the words of a pirate.", "Pirate talk, please.",
                      "You are a pirate who helps people.", "Respond like a pirate.", "Please sound like a pirate.",
                      "Answer every question like a pirate.", "Speak pirate.", "Give your answers in the voice of a pirate."),
          CORPUS_LIST("Answer as a pirate would.", "Use pirate speech.", "Please talk like a pirate.", "You speak like a pirate.",
                      "Reply in the style of a pirate.", "Write your answers like a pirate.")},
         "Arr, matey! {a} Yo ho ho!", {"Arr", "Yo ho ho"}},
    [TONE_CHEERFUL] =
        {{CORPUS_LIST("Be cheerful.", "Be very cheerful.", "Use a cheerful tone.", "Sound happy.", "Be happy and excited.",
                      "You are always happy.", "Answer cheerfully.", "Speak in a cheerful way.", "Be enthusiastic.",
                      "Be full of joy.", "Your tone is cheerful.", "Be bubbly and happy.", "Write happy answers.",
                      "Show a lot of enthusiasm.", "You are a very cheerful assistant.", "Be bright and happy.", "Be joyful.",
                      "Sound excited in every answer.", "Cheerful answers, please.", "Use many exclamation marks.",
                      "Be as happy as you can.", "Always sound cheerful.", "Keep a happy tone.", "Reply with joy.",
                      "Spread good cheer.", "You are in a wonderful mood."),
          CORPUS_LIST("Please be cheerful.", "Answer in a cheerful tone.", "You sound very happy.", "Reply cheerfully.",
                      "Be an enthusiastic assistant.", "Stay cheerful in all answers.")},
         "Hi there, sunshine! {a} Have a lovely day!", {"sunshine", "lovely day"}},
    [TONE_ROBOT] =
        {{CORPUS_LIST("Talk like a robot.", "You are a robot.", "Speak like a robot.", "Answer like a robot.", "Use robot language.",
                      "Write like a robot.", "Act like a robot.", "Be a robot.", "Sound like a robot.", "Pretend to be a robot.",
                      "Your tone is that of a robot.", "Reply like a machine.", "Speak as an old robot would.",
                      "You sound like a machine.", "Answer in robot style.", "Always talk like a robot.", "Robot talk, please.",
                      "Use the voice of a robot.", "Respond like a robot.", "You are a robot who helps people.",
                      "Please sound like a robot.", "Answer every question like a robot.", "Talk the way robots talk."),
          CORPUS_LIST("Answer as a robot would.", "Use robot speech.", "Please talk like a robot.", "You speak like a robot.",
                      "Reply in the style of a robot.", "Write your answers like a robot.")},
         "Beep boop. {a} End of message.", {"Beep boop", "End of message"}},
    [TONE_POET] =
        {{CORPUS_LIST("Talk like a poet.", "You are a poet.", "Speak like a poet.", "Answer like a poet.", "Use poetic language.",
                      "Write like a poet.", "Be poetic.", "Act like a poet.", "Sound like a poet.", "Pretend to be a poet.",
                      "Your tone is poetic.", "Answer in a poetic way.", "Speak poetically.", "Reply like an old poet.",
                      "Use a poetic tone.", "Always be poetic.", "Poetic answers, please.", "Respond like a poet.",
                      "You are a dreamy poet.", "Write in a poetic style.", "Please sound like a poet.", "Talk the way poets talk.",
                      "Give your answers in the voice of a poet."),
          CORPUS_LIST("Answer as a poet would.", "Use the speech of a poet.", "Please talk like a poet.", "You speak like a poet.",
                      "Reply in a poetic style.", "Write your answers like a poet.")},
         "Soft as the moonlight, hear me: {a} So sings the quiet river.", {"moonlight", "quiet river"}},
    [TONE_CAPS] =
        {{CORPUS_LIST("Write in capital letters.", "Use only capital letters.", "Answer in all caps.", "Shout.", "Always shout.",
                      "Use uppercase letters only.", "Write everything in capitals.", "ANSWER IN CAPITAL LETTERS.",
                      "Every letter of your answer is a capital.", "Speak in capitals.", "Reply in uppercase.", "All caps, please.",
                      "Answer in capitals only.", "Your answers are all in capital letters.", "Shout every answer.",
                      "Write in upper case."),
          CORPUS_LIST("Answer in capital letters.", "Reply in all caps.", "Use capitals only.")},
         NULL, {NULL, NULL}},
};

void system_tone_say(struct rng *r, enum corpus_split split, enum tone tone, char *out, size_t size)
{
    const char *first = phrases_pick(&tones[tone].wordings, r, split);
    const char *second = phrases_pick(&tones[tone].wordings, r, split);
    if (first == second || corpus_chance(r, 80)) {
        corpus_copy(out, size, first);
        return;
    }
    const struct slot slots[] = {{"a", first}, {"b", second}};
    corpus_fill(out, size, "{a} {b}", slots, CORPUS_COUNT(slots));
}

const char *system_tone_marker(enum tone tone, size_t i)
{
    return i < CORPUS_COUNT(tones[tone].markers) ? tones[tone].markers[i] : NULL;
}

/* Full stops that end a sentence become exclamation marks; those inside "3.14" and "Mr. Tolwin" stay. */
static void exclaim(char *s)
{
    for (char *p = s; *p != '\0'; p++) {
        bool title = p - s >= 2 && p[-1] == 'r' && p[-2] == 'M';
        title = title || (p - s >= 3 && p[-1] == 's' && p[-2] == 'r' && p[-3] == 'M');
        if (*p == '.' && !title && (p[1] == '\0' || isspace((unsigned char)p[1]))) {
            *p = '!';
        }
    }
}

void system_tone_apply(enum tone tone, const struct exchange *x, char *out, size_t size)
{
    char answer[CORPUS_ANSWER_MAX];
    corpus_copy(answer, sizeof(answer), tone == TONE_TERSE ? x->terse : x->answer);
    if (tone == TONE_CHEERFUL) {
        exclaim(answer);
    }
    if (tone == TONE_CAPS) {
        for (char *p = answer; *p != '\0'; p++) {
            *p = (char)toupper((unsigned char)*p);
        }
    }
    const struct slot slots[] = {{"a", answer}};
    corpus_fill(out, size, tones[tone].form != NULL ? tones[tone].form : "{a}", slots, CORPUS_COUNT(slots));
}
