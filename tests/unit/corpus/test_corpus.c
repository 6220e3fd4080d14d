/* What a model is judged on never occurs in what it is trained on; and the text is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "models/weir-tiny/corpus/arithmetic.h"
#include "models/weir-tiny/corpus/question.h"
#include "models/weir-tiny/corpus/safety.h"
#include "models/weir-tiny/corpus/unknown.h"
#include "runtime/base/json.h"
#include "tests/unit/corpus/text_set.h"

#define SEED      7
#define N_TRAIN   20000
#define N_HELDOUT 60 /* of each kind */

/* What the training conversations of one seed hold. */
struct seen {
    struct text_set users, names, forbidden;
};

static void look(struct seen *seen)
{
    static struct conversation c;
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < N_TRAIN; i++) {
        corpus_set_wordings((enum corpus_wordings)(i % 4));
        conversation_draw(&r, &c);
        for (size_t k = 0; k < c.n_turns; k++) {
            text_set_add(&seen->users, c.turns[k].user);
        }
        text_set_add(&seen->names, c.persona.name);
        for (size_t k = 0; k < c.persona.n_forbidden; k++) {
            text_set_add(&seen->forbidden, c.persona.forbidden[k].name);
        }
    }
    corpus_set_wordings(CORPUS_WORDINGS_COMMON);
}

static int look_once(void **state)
{
    static struct seen seen;
    look(&seen);
    *state = &seen;
    return 0;
}

static int forget(void **state)
{
    struct seen *seen = *state;
    text_set_deinit(&seen->users);
    text_set_deinit(&seen->names);
    text_set_deinit(&seen->forbidden);
    return 0;
}

static size_t kind_of(const char *skill)
{
    size_t kind = 0;
    while (strcmp(question_kind_skill(kind), skill) != 0) {
        kind++;
    }
    return kind;
}

static const char *last_user(const struct conversation *c)
{
    return c->turns[c->n_turns - 1].user;
}

static bool contains(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

static void heldout_questions_are_not_trained_on(void **state)
{
    struct seen *seen = *state;
    static const char *const skills[] = {"name",       "default_name",    "fact",
                                         "refusal",    "refusal_related", "sum",
                                         "difference", "product",         "combined"};
    static struct conversation c;
    struct expect want;
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < CORPUS_COUNT(skills); i++) {
        for (size_t k = 0; k < N_HELDOUT; k++) {
            question_draw(&r, CORPUS_HELDOUT, kind_of(skills[i]), &c, &want);
            if (text_set_has(&seen->users, last_user(&c))) {
                fail_msg("%s: trained on \"%s\"", skills[i], last_user(&c));
            }
        }
    }
}

static void heldout_requests_are_not_trained_on(void **state)
{
    (void)state;
    static exchange_fn *const draws[] = {exchange_harmful, exchange_lookalike,
                                         exchange_unknown};
    struct text_set train = {0};
    struct exchange x;
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < N_TRAIN; i++) {
        draws[i % CORPUS_COUNT(draws)](&r, CORPUS_TRAIN, &x);
        text_set_add(&train, x.user);
    }
    for (size_t i = 0; i < 3 * N_HELDOUT; i++) {
        draws[i % CORPUS_COUNT(draws)](&r, CORPUS_HELDOUT, &x);
        if (text_set_has(&train, x.user)) {
            fail_msg("trained on \"%s\"", x.user);
        }
    }
    text_set_deinit(&train);
}

/* Only what is harmful is declined, and only what cannot be known is not known. */
static void requests_are_declined_by_their_goal_alone(void **state)
{
    (void)state;
    struct exchange x;
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < N_TRAIN; i++) {
        exchange_harmful(&r, i % 2 == 0 ? CORPUS_TRAIN : CORPUS_HELDOUT, &x);
        assert_true(contains(x.answer, SAFETY_DECLINES) && contains(x.terse, SAFETY_DECLINES));
        exchange_lookalike(&r, i % 2 == 0 ? CORPUS_TRAIN : CORPUS_HELDOUT, &x);
        assert_false(contains(x.answer, "cannot") || contains(x.answer, UNKNOWN_ADMITS));
        exchange_unknown(&r, i % 2 == 0 ? CORPUS_TRAIN : CORPUS_HELDOUT, &x);
        assert_true(contains(x.answer, UNKNOWN_ADMITS) && contains(x.terse, UNKNOWN_ADMITS));
    }
}

static void heldout_tones_are_not_trained_on(void **state)
{
    (void)state;
    struct text_set train = {0};
    char text[PERSONA_SENTENCE_MAX];
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < N_TRAIN; i++) {
        system_tone_say(&r, CORPUS_TRAIN, (enum tone)(1 + i % (TONE_COUNT - 1)), text,
                        sizeof(text));
        text_set_add(&train, text);
    }
    for (size_t i = 0; i < 200; i++) {
        system_tone_say(&r, CORPUS_HELDOUT, (enum tone)(1 + i % (TONE_COUNT - 1)), text,
                        sizeof(text));
        assert_false(text_set_has(&train, text));
    }
    text_set_deinit(&train);
}

/* The same names and topics in both splits, so that only the wording can differ. */
static void say_rules(struct rng *r, enum corpus_split split, size_t i, char *name, char *ban)
{
    struct persona p = {.name = "Zed", .n_forbidden = 1 + i % 2};
    corpus_copy(p.role, sizeof(p.role), i % 3 == 0 ? "" : "a guide");
    corpus_copy(p.forbidden[0].name, sizeof(p.forbidden[0].name), "tea");
    corpus_copy(p.forbidden[1].name, sizeof(p.forbidden[1].name), "jam");
    system_name_say(r, split, &p, name, PERSONA_SENTENCE_MAX);
    system_refusal_say(r, split, &p, ban, PERSONA_SENTENCE_MAX);
}

static void heldout_rules_are_not_trained_on_in_any_wording(void **state)
{
    (void)state;
    struct text_set train = {0};
    char name[PERSONA_SENTENCE_MAX], ban[PERSONA_SENTENCE_MAX];
    struct rng r;
    rng_seed(&r, SEED);
    corpus_set_wordings(CORPUS_WORDINGS_WIDEST);
    for (size_t i = 0; i < N_TRAIN; i++) {
        say_rules(&r, CORPUS_TRAIN, i, name, ban);
        text_set_add(&train, name);
        text_set_add(&train, ban);
    }
    corpus_set_wordings(CORPUS_WORDINGS_COMMON);
    for (size_t i = 0; i < 600; i++) {
        say_rules(&r, CORPUS_HELDOUT, i, name, ban);
        if (text_set_has(&train, name) || text_set_has(&train, ban)) {
            fail_msg("trained on \"%s\" or \"%s\"", name, ban);
        }
    }
    text_set_deinit(&train);
}

static void heldout_statements_of_facts_are_not_trained_on_in_any_wording(void **state)
{
    (void)state;
    struct text_set train = {0};
    struct exchange x;
    char text[PERSONA_SENTENCE_MAX];
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < 600; i++) {
        struct persona p = {.n_facts = 0};
        system_fact_draw(&r, CORPUS_HELDOUT, &p);
        corpus_set_wordings(CORPUS_WORDINGS_WIDEST);
        for (size_t k = 0; k < 60; k++) {
            system_fact_say(&r, CORPUS_TRAIN, &p.facts[0], text, sizeof(text));
            text_set_add(&train, text);
            system_fact_exchange(&r, CORPUS_TRAIN, &p.facts[0], &x);
            text_set_add(&train, x.user);
        }
        corpus_set_wordings(CORPUS_WORDINGS_COMMON);
        for (size_t k = 0; k < 6; k++) {
            system_fact_say(&r, CORPUS_HELDOUT, &p.facts[0], text, sizeof(text));
            system_fact_exchange(&r, CORPUS_HELDOUT, &p.facts[0], &x);
            if (text_set_has(&train, text) || text_set_has(&train, x.user)) {
                fail_msg("trained on \"%s\" or \"%s\"", text, x.user);
            }
        }
    }
    text_set_deinit(&train);
}

static void heldout_names_are_never_given_in_training(void **state)
{
    struct seen *seen = *state;
    char name[VALUE_MAX];
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < 1000; i++) {
        value_draw(&r, CORPUS_HELDOUT, VALUE_NAME, name);
        assert_int_equal(value_split(name), CORPUS_HELDOUT);
        assert_false(text_set_has(&seen->names, name));
    }
}

static void values_of_open_kinds_belong_to_one_split(void **state)
{
    (void)state;
    static const enum value_kind open_kinds[] = {
        VALUE_NAME,    VALUE_WORD,   VALUE_TIME,    VALUE_PRICE,    VALUE_SMALL_PRICE,
        VALUE_SMALL,   VALUE_NUMBER, VALUE_CODE,    VALUE_PASSWORD, VALUE_PHONE,
        VALUE_VERSION, VALUE_DATE,   VALUE_MINUTES, VALUE_DAYS,     VALUE_DISH,
        VALUE_STREET,  VALUE_SPOT,   VALUE_THING,   VALUE_PERCENT,  VALUE_TOWN};
    char value[VALUE_MAX];
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < 20000; i++) {
        enum corpus_split split = i % 2 == 0 ? CORPUS_TRAIN : CORPUS_HELDOUT;
        value_draw(&r, split, open_kinds[i / 2 % CORPUS_COUNT(open_kinds)], value);
        if (value_split(value) != split) {
            fail_msg("%s is of the other split", value);
        }
    }
}

static void heldout_topics_are_never_forbidden_in_training(void **state)
{
    struct seen *seen = *state;
    static struct conversation c;
    struct expect want;
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < 200; i++) {
        question_draw(&r, CORPUS_HELDOUT, kind_of("refusal"), &c, &want);
        assert_null(c.persona.forbidden[0].topic);
        if (text_set_has(&seen->forbidden, c.persona.forbidden[0].name)) {
            fail_msg("training forbids %s", c.persona.forbidden[0].name);
        }
    }
}

static void check_calculation(const struct exchange *x, enum corpus_split split)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned result = 0;
    char op = '\0';
    assert_int_equal(sscanf(x->answer, "%u %c %u = %u.", &a, &op, &b, &result), 4);
    switch (op) {
    case '+':
        assert_int_equal(result, a + b);
        assert_int_equal(arithmetic_split(a, b), split);
        break;
    case '-':
        assert_int_equal(result, a - b);
        assert_int_equal(arithmetic_split(a, b), split);
        break;
    default:
        assert_int_equal(op, '*');
        assert_int_equal(result, a * b);
        break;
    }
}

static void calculations_are_right_and_of_their_split(void **state)
{
    (void)state;
    struct exchange x;
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < 20000; i++) {
        enum corpus_split split = i % 2 == 0 ? CORPUS_TRAIN : CORPUS_HELDOUT;
        exchange_sum(&r, split, &x);
        check_calculation(&x, split);
    }
}

static void about_eight_in_a_hundred_pairs_are_held_out_in_either_order(void **state)
{
    (void)state;
    unsigned n = 0;
    for (unsigned a = 0; a < 100; a++) {
        for (unsigned b = 0; b < 100; b++) {
            assert_int_equal(arithmetic_split(a, b), arithmetic_split(b, a));
            n += arithmetic_split(a, b) == CORPUS_HELDOUT;
        }
    }
    assert_in_range(n, 600, 1000);
}

static unsigned count_words(const char *s)
{
    unsigned n = 0;
    for (const char *p = s; *p != '\0'; p++) {
        n += *p != ' ' && (p == s || p[-1] == ' ');
    }
    return n;
}

static void our_own_answers_meet_what_is_expected(void **state)
{
    (void)state;
    static struct conversation c;
    struct expect want;
    struct rng r;
    rng_seed(&r, SEED);
    for (size_t kind = 0; kind < question_kind_count(); kind++) {
        for (size_t i = 0; i < 200; i++) {
            question_draw(&r, CORPUS_HELDOUT, kind, &c, &want);
            const char *answer = c.turns[c.n_turns - 1].assistant;
            for (size_t k = 0; k < want.n_all; k++) {
                if (!contains(answer, want.all[k])) {
                    fail_msg("\"%s\" lacks \"%s\"", answer, want.all[k]);
                }
            }
            for (size_t k = 0; k < want.n_none; k++) {
                assert_false(contains(answer, want.none[k]));
            }
            if (want.max_words > 0 && count_words(answer) > want.max_words) {
                fail_msg("\"%s\" has more than %u words", answer, want.max_words);
            }
        }
    }
}

/* An answer that refuses names a topic that its prompt forbids, and only such prompts lead to
 * one. */
static void refusals_name_a_forbidden_topic(void **state)
{
    (void)state;
    static struct conversation c;
    struct rng r;
    size_t refusals = 0;
    rng_seed(&r, SEED);
    for (size_t i = 0; i < 5000; i++) {
        conversation_draw(&r, &c);
        for (size_t k = 0; k < c.n_turns; k++) {
            const char *answer = c.turns[k].assistant;
            if (!contains(answer, "cannot talk about")) {
                continue;
            }
            bool named = false;
            for (size_t f = 0; f < c.persona.n_forbidden; f++) {
                named = named || contains(answer, c.persona.forbidden[f].name);
            }
            assert_true(named);
            refusals++;
        }
    }
    assert_in_range(refusals, 500, 10000);
}

static void assert_json(const struct buf *line)
{
    struct err e = {0};
    assert_false(line->failed);
    cJSON *json = json_parse(line->data, line->len, &e);
    if (json == NULL) {
        fail_msg("%s: %s", e.message, line->data);
    }
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(json, "messages");
    const cJSON *message = NULL;
    assert_true(cJSON_GetArraySize(messages) > 0);
    cJSON_ArrayForEach(message, messages)
    {
        const char *content =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "content"));
        assert_non_null(content);
        assert_true(content[0] != '\0');
    }
    cJSON_Delete(json);
}

static void every_line_is_json_and_no_message_is_empty(void **state)
{
    (void)state;
    static struct conversation c;
    struct expect want;
    struct buf line;
    struct rng r;
    rng_seed(&r, SEED);
    buf_init(&line, (size_t)1 << 20);
    for (size_t i = 0; i < 3000; i++) {
        buf_clear(&line);
        buf_append_char(&line, '{');
        conversation_draw(&r, &c);
        conversation_write(&c, false, &line);
        buf_append_char(&line, '}');
        assert_json(&line);
    }
    for (size_t kind = 0; kind < question_kind_count(); kind++) {
        for (size_t i = 0; i < 50; i++) {
            buf_clear(&line);
            question_draw(&r, CORPUS_HELDOUT, kind, &c, &want);
            question_write(question_kind_skill(kind), &c, &want, false, &line);
            assert_json(&line);
        }
    }
    buf_deinit(&line);
}

static void a_string_is_escaped(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 100);
    conversation_write_string("a\"b\\c\nd\x01", &out);
    assert_string_equal(out.data, "\"a\\\"b\\\\c\\nd\\u0001\"");
    buf_deinit(&out);
}

static void write_some(uint64_t seed, struct buf *out)
{
    static struct conversation c;
    struct rng r;
    rng_seed(&r, seed);
    buf_init(out, (size_t)1 << 26);
    for (size_t i = 0; i < 1000; i++) {
        conversation_draw(&r, &c);
        conversation_write(&c, false, out);
        (i % 2 == 0 ? document_story : document_facts)(&r, out);
    }
    assert_false(out->failed);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    struct buf a;
    struct buf b;
    struct buf other;
    write_some(SEED, &a);
    write_some(SEED, &b);
    write_some(SEED + 1, &other);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_true(a.len != other.len || memcmp(a.data, other.data, a.len) != 0);
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&other);
}

static void slots_are_filled_and_capitalised(void **state)
{
    (void)state;
    char out[64];
    corpus_fill_slots(out, "{Who} closes at {v}. {w}", {"who", "the shop"}, {"v", "17:20"},
                      {"w", ""});
    assert_string_equal(out, "The shop closes at 17:20. ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heldout_questions_are_not_trained_on),
        cmocka_unit_test(heldout_requests_are_not_trained_on),
        cmocka_unit_test(requests_are_declined_by_their_goal_alone),
        cmocka_unit_test(heldout_tones_are_not_trained_on),
        cmocka_unit_test(heldout_rules_are_not_trained_on_in_any_wording),
        cmocka_unit_test(heldout_statements_of_facts_are_not_trained_on_in_any_wording),
        cmocka_unit_test(heldout_names_are_never_given_in_training),
        cmocka_unit_test(values_of_open_kinds_belong_to_one_split),
        cmocka_unit_test(heldout_topics_are_never_forbidden_in_training),
        cmocka_unit_test(calculations_are_right_and_of_their_split),
        cmocka_unit_test(about_eight_in_a_hundred_pairs_are_held_out_in_either_order),
        cmocka_unit_test(our_own_answers_meet_what_is_expected),
        cmocka_unit_test(refusals_name_a_forbidden_topic),
        cmocka_unit_test(every_line_is_json_and_no_message_is_empty),
        cmocka_unit_test(a_string_is_escaped),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(slots_are_filled_and_capitalised),
    };
    return cmocka_run_group_tests(tests, look_once, forget);
}
