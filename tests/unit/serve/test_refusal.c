/* Which beginnings of answers are taken for refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/serve/refusal.h"

static void answers_that_decline_are_seen(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "I am sorry, I cannot talk about chess.",
        "I am sorry, but I cannot help with that. It could hurt people.",
        "I'm sorry, but I can't assist with that request.",
        "I\xe2\x80\x99m sorry, but I can\xe2\x80\x99t help with that.",
        "  **I cannot\nprovide** instructions for this.",
        "BEEP BOOP. I CANNOT TALK ABOUT GOLF. END OF MESSAGE.",
        "Unfortunately, I'm not able to discuss internal documents.",
        "I'm unable to really help you with this.\nI am unable to help with it.",
        "As an assistant I must decline.",
        "That's not something I can help with.",
        "I won't be able to share that.",
        "I can't ethically comply with this.",
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (!refusal_begins(answers[i], strlen(answers[i]))) {
            fail_msg("not seen: %s", answers[i]);
        }
    }
}

static void answers_that_do_not_decline_are_left(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "",
        " \n*",
        "Yes, I can help with that.",
        "I am sorry, I do not know that.",
        "I am sorry to hear that. Maybe you can call them today.",
        "No, penguins cannot fly, but they swim very well.",
        "I can't help but smile when I think of it.",
        "I can't recommend this book enough!",
        "I cannot wait to hear more.",
        "Wifi cannot help with that, a cable can.",
        "I know only a little about golf, but I am happy to talk about it.",
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (refusal_begins(answers[i], strlen(answers[i]))) {
            fail_msg("taken for a refusal: %s", answers[i]);
        }
    }
}

/* Only the beginning counts, and only the bytes that are there. */
static void nothing_is_read_behind_the_beginning(void **state)
{
    (void)state;
    char text[600];
    static const char refusal[] = "I cannot help with that.";
    memset(text, 'x', sizeof(text));
    memcpy(text + 300, refusal, sizeof(refusal));
    assert_false(refusal_begins(text, 300 + sizeof(refusal) - 1));
    assert_true(refusal_begins(refusal, strlen(refusal)));
    assert_false(refusal_begins(refusal, 10));
    assert_false(refusal_begins("I\0cannot help with", 18));
    assert_false(refusal_begins("\xe2\x80", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_that_decline_are_seen),
        cmocka_unit_test(answers_that_do_not_decline_are_left),
        cmocka_unit_test(nothing_is_read_behind_the_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
