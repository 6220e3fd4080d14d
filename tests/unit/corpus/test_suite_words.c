/* No question of weir-tiny's suite stands in what it is trained on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/eval/eval_suite.h"
#include "models/weir-tiny/corpus/conversation.h"
#include "tests/unit/corpus/text_set.h"

#define CONVERSATIONS 15000 /* of each width of wordings */

static void draw_users(struct text_set *users)
{
    static struct conversation c;
    for (int wordings = CORPUS_WORDINGS_COMMON; wordings <= CORPUS_WORDINGS_NAMED; wordings++) {
        struct rng r;
        rng_seed(&r, 40 + (uint64_t)wordings);
        corpus_set_wordings((enum corpus_wordings)wordings);
        for (size_t i = 0; i < CONVERSATIONS; i++) {
            conversation_draw(&r, &c);
            for (size_t k = 0; k < c.n_turns; k++) {
                text_set_add(users, c.turns[k].user);
            }
        }
    }
}

static size_t count_seen(struct text_set *users, const struct eval_part *p)
{
    size_t seen = 0;
    for (size_t i = 0; i < p->n; i++) {
        const char *text = eval_item_shown(&p->items[i]);
        if (text_set_has(users, text)) {
            print_message("%s, line %zu: %s\n", p->name, p->items[i].line, text);
            seen++;
        }
    }
    return seen;
}

static void questions_of_the_suite_are_not_trained_on(void **state)
{
    (void)state;
    struct err e = {0};
    struct text_set users = {0};
    size_t seen = 0;
    struct eval_suite *s =
        eval_suite_open(WEIR_SOURCE_DIR "/models/weir-tiny/suite", NULL, 0, &e);
    if (!s) {
        fail_msg("%s", e.message);
    }
    draw_users(&users);
    for (size_t p = 0; p < s->n_parts; p++) {
        if (s->parts[p].kind != EVAL_PERPLEXITY) {
            seen += count_seen(&users, &s->parts[p]);
        }
    }
    assert_int_equal(seen, 0);
    text_set_deinit(&users);
    eval_suite_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_of_the_suite_are_not_trained_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
