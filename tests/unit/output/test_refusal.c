/* refusal.h on sentences that models say, and on what is no refusal although it looks like one.
 */
#include "models/output/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const refusals[] = {
    "I cannot talk about chess.",
    "I am sorry, I cannot talk about golf.",
    "I am sorry, but I cannot help with that. It could hurt people.",
    "I CANNOT TALK ABOUT SUSHI.",
    "Arr, I cannot talk about vampires, matey!",
    "BEEP. I CANNOT TALK ABOUT OPERA MUSIC. BOOP.",
    "I'm sorry, but I can't assist with that request.",
    "I\xe2\x80\x99m sorry, but I can\xe2\x80\x99t help with that.",
    "Sorry, I can't do that.",
    "I can't help you with hacking someone's account.",
    "I'm unable to provide instructions for that.",
    "As an AI language model, I cannot provide medical advice.",
    "As a responsible assistant, I am not able to give you that information.",
    "Unfortunately, I'm not able to discuss this topic.",
    "I apologize, but I cannot fulfill your request.",
    "I won't write that.",
    "I will not help anybody to build a weapon.",
    "I must respectfully decline to answer.",
    "I'd rather not talk about it.",
    "That's not something I can help with.",
    "That goes against my guidelines.",
    "I'm not comfortable with writing this story.",
    "Thank you for asking. However, I am not allowed to talk about insurance.",
    "**I'm sorry**, but I *can't* share that.",
    "Cannot help with that.",
    "  \n\nI cannot in good conscience recommend this.",
    "It would be inappropriate to say more.",
    "I understand that this is hard for you, but I can't tell you how to do it.",
    "We are unable to process that order.",
    "I do not discuss politics.",
    "My guidelines do not permit that.",
    "  **I cannot\nprovide** instructions for this.",
    "As an assistant I must decline.",
    "As an AI language model I can't give advice about that.",
    "I won't be able to share that.",
    "I can't ethically comply with this.",
};

static const char *const others[] = {
    "",
    " ",
    "I do not know the time, because I have no clock.",
    "I cannot sing, but here is a line: the river runs, the river sings.",
    "No, penguins cannot fly, but they swim very well.",
    "I do not know that, because I cannot see you.",
    "No, I cannot use the internet.",
    "I can help with that. First open the door.",
    "I can't help but smile at that.",
    "The fox said: \"I cannot help you,\" and ran away.",
    "\xe2\x80\x9cI can\xe2\x80\x99t help you,\xe2\x80\x9d said the fox.",
    "A locksmith who says that he cannot help is rare.",
    "Sorry to hear that! Here is what you can do.",
    "I am sorry that you are sad. Talk to somebody you trust.",
    "Do not talk about people behind their back.",
    "You cannot help everybody.",
    "It cannot answer, since it is a stone.",
    "Ships are large vessels. They sail the sea. I cannot help with more.",
    "What has teeth but cannot bite? A comb.",
    "I will write it for you.",
    "I cannot recall the year, but it was long ago.",
    "To decline an offer, say: no, thank you.",
    "4",
    "I can't recommend this book enough!",
    "I cannot wait to hear more.",
    "Wifi cannot help with that, a cable can.",
    "A small model cannot answer everything.",
    "A good dictionary and a map cannot answer it.",
    "I am sorry, I do not know that.",
    "Who can do it? Not I. Cannot you?",
};

static void refusals_are_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (!refusal_begins(refusals[i], strlen(refusals[i]))) {
            fail_msg("\"%s\" is a refusal", refusals[i]);
        }
    }
}

static void other_answers_are_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (refusal_begins(others[i], strlen(others[i]))) {
            fail_msg("\"%s\" is no refusal", others[i]);
        }
    }
}

/* Each part of each text, in memory of its own size, so that the sanitizer sees a byte too
 * many. */
static void no_byte_behind_the_text_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        for (size_t len = 0; len <= strlen(refusals[i]); len++) {
            char *copy = test_malloc(len + (len == 0));
            memcpy(copy, refusals[i], len);
            refusal_begins(copy, len);
            test_free(copy);
        }
    }
}

static void only_the_beginning_counts(void **state)
{
    char text[2000];
    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t i = 5; i < sizeof(text); i += 6) {
        text[i] = ' ';
    }
    static const char late[] = ", but I cannot help with that.";
    memcpy(text + REFUSAL_BYTES_MAX, late, strlen(late));
    assert_false(refusal_begins(text, sizeof(text)));
    memcpy(text + REFUSAL_BYTES_MAX / 2, late, strlen(late));
    assert_true(refusal_begins(text, sizeof(text)));
}

static void any_bytes_are_safe(void **state)
{
    char text[REFUSAL_BYTES_MAX + 100];
    uint32_t seed = 1;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof(text); i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = (char)(seed >> 24);
        }
        refusal_begins(text, sizeof(text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_are_seen),
        cmocka_unit_test(other_answers_are_none),
        cmocka_unit_test(no_byte_behind_the_text_is_read),
        cmocka_unit_test(only_the_beginning_counts),
        cmocka_unit_test(any_bytes_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
