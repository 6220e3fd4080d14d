/* A text through a chain for the owner's eyes: the steps of a trace add up to what a dry run
 * says, whatever the chunks, and stay within their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/serve/chain_trial.h"

static struct chain *make(const char *json)
{
    struct err e = {0};
    struct chain *c = chain_from_json(json, strlen(json), NULL, &e);
    assert_non_null(c);
    return c;
}

static const char mask_heron[] =
    "{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\",\"words\":[\"heron\"],"
    "\"action\":\"mask\"}]}";

static const char *text_of(const cJSON *o, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static double number_of(const cJSON *o, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static cJSON *trace(const char *json, const char *text, size_t chunk)
{
    const struct chain_trial t = {
        .side = FILTER_OUTPUT, .channel = FILTER_CONTENT, .text = text, .chunk = chunk};
    struct err e = {0};
    struct chain *c = make(json);
    cJSON *root = chain_trial_trace(&t, c, &e);
    chain_unref(c);
    assert_non_null(root);
    return root;
}

static void steps_add_up_for_every_chunk(void **state)
{
    (void)state;
    size_t live = mem_live();
    static const char text[] = "One h\xC3\xA9ron, two herons, one heron.";
    const struct chain_trial t = {
        .side = FILTER_OUTPUT, .channel = FILTER_CONTENT, .text = text, .chunk = 1};
    struct err e = {0};
    struct chain *c = make(mask_heron);
    cJSON *result = chain_trial_result(&t, c, &e);
    chain_unref(c);
    for (size_t chunk = 1; chunk <= sizeof(text); chunk++) {
        cJSON *root = trace(mask_heron, text, chunk);
        char released[128] = "";
        int n_events = 0;
        const cJSON *step;
        cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(root, "steps"))
        {
            strcat(released, text_of(step, "released"));
            n_events += cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(step, "events"));
            assert_int_equal((int)number_of(step, "held_bytes"),
                             (int)strlen(text_of(step, "held")));
            /* The mask is as long as the word, so nothing is lost between in and out. */
            assert_int_equal((int)number_of(step, "fed"),
                             (int)(strlen(released) + strlen(text_of(step, "held"))));
        }
        assert_string_equal(released, text_of(result, "text"));
        assert_string_equal(released, text_of(root, "text"));
        assert_int_equal(n_events, 1);
        cJSON_Delete(root);
    }
    cJSON_Delete(result);
    assert_int_equal(mem_live(), live);
}

static void held_text_runs_through_all_filters(void **state)
{
    (void)state;
    static const char json[] =
        "{\"name\":\"t\",\"filters\":["
        "{\"type\":\"wordlist\",\"words\":[\"cd\"],\"action\":\"mask\","
        "\"word_boundaries\":false},"
        "{\"type\":\"wordlist\",\"words\":[\"abx\"],\"word_boundaries\":false}]}";
    cJSON *root = trace(json, "abc", 1);
    const cJSON *step = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "steps"), 2);
    /* The second filter has "ab", the first holds the "c" that may become "cd". */
    assert_string_equal(text_of(step, "held"), "abc");
    cJSON_Delete(root);
}

static void nothing_is_held_behind_a_stop(void **state)
{
    (void)state;
    static const char json[] =
        "{\"name\":\"t\",\"filters\":[{\"type\":\"wordlist\",\"words\":[\"heron\"]}]}";
    cJSON *root = trace(json, "A heron flies off", 1);
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(root, "steps");
    const cJSON *last = cJSON_GetArrayItem(steps, cJSON_GetArraySize(steps) - 1);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "stopped")));
    assert_string_equal(text_of(root, "text"), "A ");
    assert_int_equal((int)number_of(last, "fed"), 8); /* the space behind the word decides */
    assert_int_equal((int)number_of(last, "held_bytes"), 0);
    cJSON_Delete(root);
}

static void what_is_shown_of_held_text_is_bounded(void **state)
{
    (void)state;
    static const char json[] =
        "{\"name\":\"t\",\"filters\":[{\"type\":\"regex\",\"patterns\":[\"\xC3\xA9+x\"]}]}";
    char text[1024] = "";
    for (int i = 0; i < 250; i++) {
        strcat(text, "\xC3\xA9");
    }
    cJSON *root = trace(json, text, 500);
    const cJSON *step = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "steps"), 0);
    assert_int_equal((int)number_of(step, "held_bytes"), 500);
    assert_int_equal((int)strlen(text_of(step, "held")), CHAIN_TRACE_HELD_MAX);
    cJSON_Delete(root);
}

static void refuse(const char *text, size_t chunk, const char *param)
{
    const struct chain_trial t = {
        .side = FILTER_OUTPUT, .channel = FILTER_CONTENT, .text = text, .chunk = chunk};
    struct err e = {0};
    struct chain *c = make(mask_heron);
    assert_null(chain_trial_trace(&t, c, &e));
    chain_unref(c);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_string_equal(e.param, param);
}

static void long_texts_and_small_steps_are_refused(void **state)
{
    (void)state;
    static char text[CHAIN_TRACE_TEXT_MAX + 2];
    memset(text, 'a', sizeof(text) - 1);
    refuse(text, CHAIN_TRACE_TEXT_MAX, "text");
    text[CHAIN_TRACE_TEXT_MAX] = '\0';
    refuse(text, 3, "chunk");
    cJSON_Delete(trace(mask_heron, text, 4));
    text[CHAIN_TRACE_STEPS_MAX + 1] = '\0';
    refuse(text, 1, "chunk");
}

/* Characters stay whole: of those of 3 bytes a chunk of 5 has one, of those of 4 a chunk of 1.
 */
static void steps_of_whole_characters_are_counted(void **state)
{
    (void)state;
    static char text[CHAIN_TRACE_TEXT_MAX + 1];
    for (size_t i = 0; i + 3 < sizeof(text); i += 3) {
        memcpy(text + i, "\xE2\x82\xAC", 3);
    }
    refuse(text, 5, "chunk");
    cJSON_Delete(trace(mask_heron, text, 6));
    for (size_t i = 0; i + 4 < sizeof(text); i += 4) {
        memcpy(text + i, "\xF0\x9F\xA6\x89", 4);
    }
    cJSON_Delete(trace(mask_heron, text, 1));
}

typedef cJSON *report_function(const struct chain_trial *t, struct chain *chain, struct err *e);

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    size_t before = mem_live();
    struct chain *c = make(mask_heron);
    const struct chain_trial t = {
        .side = FILTER_OUTPUT, .channel = FILTER_CONTENT, .text = "A heron.", .chunk = 3};
    report_function *const reports[] = {chain_trial_result, chain_trial_trace};
    for (size_t i = 0; i < 2; i++) {
        bool reached = true;
        for (size_t nth = 1; reached; nth++) {
            struct err e = {0};
            mem_fail_at(nth);
            cJSON *root = reports[i](&t, c, &e);
            reached = mem_fail_reached();
            mem_fail_at(0);
            assert_true(root || e.message[0] != '\0');
            cJSON_Delete(root);
        }
    }
    chain_unref(c);
    assert_int_equal(mem_live(), before);
}

int main(void)
{
    /* cJSON's allocations count and fail like our own. */
    cJSON_Hooks hooks = {.malloc_fn = mem_alloc, .free_fn = mem_free};
    cJSON_InitHooks(&hooks);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_add_up_for_every_chunk),
        cmocka_unit_test(held_text_runs_through_all_filters),
        cmocka_unit_test(nothing_is_held_behind_a_stop),
        cmocka_unit_test(what_is_shown_of_held_text_is_bounded),
        cmocka_unit_test(long_texts_and_small_steps_are_refused),
        cmocka_unit_test(steps_of_whole_characters_are_counted),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
