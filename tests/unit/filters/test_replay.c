/* replay.h: what is told of two chains, held against what they do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "filters/replay.h"
#include "filters/webhook.h"
#include "filters/wordlist.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/unit/filters/toy_filters.h"
#include "tests/unit/filters/trace.h"

#define CHAIN(name, filters) "{\"name\":\"" name "\",\"version\":2,\"filters\":[" filters "]}"
#define STOP(word)           "{\"type\":\"wordlist\",\"side\":\"both\",\"words\":[\"" word "\"]}"
#define NOTE(word)           "{\"type\":\"wordlist\",\"action\":\"note\",\"words\":[\"" word "\"]}"
#define REPLACE(word)        "{\"type\":\"wordlist\",\"action\":\"replace\",\"words\":[\"" word "\"]}"
#define SWAP_STOP(c)         "{\"type\":\"swap\",\"what\":\"q\",\"stop_at\":\"" c "\"}"

static struct replay *begin(const char *before, const char *after, bool show_text)
{
    struct err e = {0};
    const struct replay_options options = {.show_text = show_text};
    struct chain *a = trace_chain(before, toy_types);
    struct chain *b = trace_chain(after, toy_types);
    struct replay *r = replay_create(a, b, &options, &e);
    assert_non_null(r);
    chain_unref(a);
    chain_unref(b);
    return r;
}

static void run_on(struct replay *r, enum filter_side side, const char *text)
{
    struct err e = {0};
    const struct replay_text t = {
        .id = "x", .side = side, .channel = FILTER_CONTENT, .text = text, .len = strlen(text)};
    assert_int_equal(replay_run(r, &t, &e), 0);
}

static void run(struct replay *r, const char *text)
{
    run_on(r, FILTER_OUTPUT, text);
}

/* The report, the caller's. */
static cJSON *report_of(const struct replay *r)
{
    struct err e = {0};
    struct buf text;
    buf_init(&text, (size_t)64 << 20);
    assert_int_equal(replay_report(r, &text), 0);
    cJSON *report = json_parse(text.data, text.len, &e);
    assert_non_null(report);
    buf_deinit(&text);
    return report;
}

static void expect_change(const char *before, const char *after, const char *text,
                          enum replay_change change)
{
    struct replay *r = begin(before, after, false);
    run(r, text);
    for (int i = 0; i < REPLAY_CHANGES; i++) {
        if (replay_count(r, (enum replay_change)i) != (i == (int)change)) {
            fail_msg("\"%s\": %s is %d", text, replay_change_name((enum replay_change)i),
                     (int)replay_count(r, (enum replay_change)i));
        }
    }
    replay_destroy(r);
}

#define HOOK "{\"type\":\"webhook\",\"side\":\"both\",\"url\":\"http://127.0.0.1:9/\"}"

/* A service is not asked, and its filter does not fail for that. */
static void filters_that_ask_are_left_out_and_named(void **state)
{
    (void)state;
    static const struct filter_type *const types[] = {&filter_webhook, &filter_wordlist, NULL};
    struct err e = {0};
    const struct replay_options options = {0};
    struct chain *before = trace_chain(CHAIN("a", REPLACE("bad")), types);
    struct chain *after = trace_chain(CHAIN("b", HOOK "," REPLACE("bad") "," HOOK), types);
    struct replay *r = replay_create(before, after, &options, &e);
    assert_non_null(r);
    run(r, "One. A bad day. Three.");
    run_on(r, FILTER_INPUT, "One. Two.");
    assert_int_equal(replay_count(r, REPLAY_UNCHANGED), 2);
    cJSON *report = report_of(r);
    char *text = cJSON_PrintUnformatted(report);
    assert_non_null(strstr(text, "\"left_out\":[]},\"after\""));
    assert_non_null(strstr(text, "\"left_out\":[0,2]},\"texts\":2"));
    cJSON_free(text);
    cJSON_Delete(report);
    replay_destroy(r);
    chain_unref(before);
    chain_unref(after);
}

static void each_kind_of_difference_has_its_name(void **state)
{
    (void)state;
    static const char none[] = CHAIN("a", "");
    static const char stop[] = CHAIN("a", STOP("bad"));
    static const char other[] = CHAIN("a", STOP("worse"));
    static const char note[] = CHAIN("a", NOTE("bad"));
    static const char replace[] = CHAIN("a", REPLACE("bad"));
    static const char at_b[] = CHAIN("a", SWAP_STOP("b"));
    expect_change(none, stop, "all good", REPLAY_UNCHANGED);
    expect_change(stop, stop, "a bad one", REPLAY_UNCHANGED);
    expect_change(none, stop, "a bad one", REPLAY_NEWLY_STOPPED);
    expect_change(stop, none, "a bad one", REPLAY_NO_LONGER_STOPPED);
    expect_change(stop, other, "a bad and a worse one", REPLAY_STOPPED_OTHERWISE);
    expect_change(stop, at_b, "a big bad", REPLAY_STOPPED_OTHERWISE);
    expect_change(none, replace, "a bad one", REPLAY_TEXT_CHANGED);
    expect_change(none, note, "a bad one", REPLAY_VERDICTS_CHANGED);
    expect_change(note, none, "a bad one", REPLAY_VERDICTS_CHANGED);
    expect_change(stop, none, "", REPLAY_UNCHANGED);
    /* Stopped at the same place by a filter of another type, with the same text before it. */
    expect_change(CHAIN("a", SWAP_STOP("b")), stop, "a bad one", REPLAY_STOPPED_OTHERWISE);
}

static void the_side_of_a_text_counts(void **state)
{
    (void)state;
    struct replay *r = begin(CHAIN("a", ""), CHAIN("a", REPLACE("bad")), false);
    run_on(r, FILTER_INPUT, "a bad one");
    assert_int_equal(replay_count(r, REPLAY_UNCHANGED), 1);
    run_on(r, FILTER_OUTPUT, "a bad one");
    assert_int_equal(replay_count(r, REPLAY_TEXT_CHANGED), 1);
    replay_destroy(r);
}

static void rules_count_what_each_chain_found(void **state)
{
    (void)state;
    struct replay *r = begin(CHAIN("a", NOTE("one") "," NOTE("two")),
                             CHAIN("a", NOTE("two") "," REPLACE("three")), false);
    run(r, "one two three, one two three");
    run(r, "two");
    size_t n;
    const struct replay_rule *rules = replay_rules(r, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rules[0].kind, CHAIN_NOTE);
    assert_int_equal(rules[0].before, 5);
    assert_int_equal(rules[0].after, 3);
    assert_int_equal(rules[0].removed, 2);
    assert_int_equal(rules[0].added + rules[0].moved, 0);
    assert_int_equal(rules[1].kind, CHAIN_REPLACE);
    assert_int_equal(rules[1].before, 0);
    assert_int_equal(rules[1].added, 2);
    replay_destroy(r);
}

/* A filter in front that makes the text longer moves all that comes behind it. */
static void what_only_moved_is_not_added_and_removed(void **state)
{
    (void)state;
    struct replay *r =
        begin(CHAIN("a", NOTE("two")),
              CHAIN("a", "{\"type\":\"wordlist\",\"action\":\"replace\",\"words\":[\"one\"],"
                         "\"replacement\":\"a longer text\"}," NOTE("two")),
              false);
    run(r, "one two two");
    size_t n;
    const struct replay_rule *rules = replay_rules(r, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rules[0].moved, 2);
    assert_int_equal(rules[0].added + rules[0].removed, 0);
    replay_destroy(r);
}

static void the_report_quotes_text_only_if_asked(void **state)
{
    (void)state;
    for (int shown = 0; shown < 2; shown++) {
        struct replay *r = begin(CHAIN("a", ""), CHAIN("b", REPLACE("bad")), shown != 0);
        run(r, "wo \xc3\xbc \"bad\" thing");
        struct buf text;
        buf_init(&text, 1 << 20);
        assert_int_equal(replay_report(r, &text), 0);
        assert_int_equal(strstr(text.data, "thing") != NULL, shown);
        buf_deinit(&text);
        cJSON *report = report_of(r);
        const cJSON *one = cJSON_GetArrayItem(cJSON_GetObjectItem(report, "differences"), 0);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(one, "change")),
                            "text_changed");
        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(one, "differs_at")), 7);
        if (shown) {
            assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(one, "text_after")),
                                "wo \xc3\xbc \"***\" thing");
        }
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(
                                cJSON_GetObjectItem(report, "after"), "name")),
                            "b");
        cJSON_Delete(report);
        replay_destroy(r);
    }
}

static void quotes_are_whole_characters(void **state)
{
    (void)state;
    char text[2048] = "";
    for (size_t i = 0; i < 300; i++) {
        strcat(text, "\xe2\x82\xac");
    }
    strcat(text, " bad ");
    for (size_t i = 0; i < 300; i++) {
        strcat(text, "\xe2\x82\xac");
    }
    struct replay *r = begin(CHAIN("a", ""), CHAIN("b", REPLACE("bad")), true);
    run(r, text);
    cJSON_Delete(report_of(r)); /* which is valid UTF-8, or could not be parsed */
    replay_destroy(r);
}

static void a_text_that_cannot_be_run_is_told_and_the_others_go_on(void **state)
{
    (void)state;
    struct replay *r = begin(CHAIN("a", STOP("bad")), CHAIN("b", STOP("bad")), false);
    run(r, "\xff");
    run(r, "bad");
    assert_int_equal(replay_count(r, REPLAY_NOT_RUN), 1);
    assert_int_equal(replay_count(r, REPLAY_UNCHANGED), 1);
    assert_int_equal(replay_total(r), 2);
    cJSON_Delete(report_of(r));
    replay_destroy(r);
}

static void a_failure_is_a_verdict(void **state)
{
    (void)state;
    struct replay *r =
        begin(CHAIN("a", ""), CHAIN("b", "{\"type\":\"fail\",\"how\":\"message\"}"), false);
    run(r, "a ! b");
    assert_int_equal(replay_count(r, REPLAY_NEWLY_STOPPED), 1);
    size_t n;
    const struct replay_rule *rules = replay_rules(r, &n);
    assert_int_equal(n, 1);
    assert_int_equal(rules[0].kind, CHAIN_FAIL);
    replay_destroy(r);
}

static void lists_are_bounded_and_counts_go_on(void **state)
{
    (void)state;
    struct replay *r = begin(CHAIN("a", ""), CHAIN("b", STOP("bad")), false);
    for (int i = 0; i < REPLAY_DIFFERENCES_MAX + 5; i++) {
        run(r, "a bad one");
    }
    cJSON *report = report_of(r);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "differences")),
                     REPLAY_DIFFERENCES_MAX);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(report, "differences_left_out")),
                     5);
    assert_int_equal(replay_count(r, REPLAY_NEWLY_STOPPED), REPLAY_DIFFERENCES_MAX + 5);
    cJSON_Delete(report);
    replay_destroy(r);
}

static bool is_over_at_once(void *context)
{
    ++*(int *)context;
    return true;
}

static void it_ends_when_it_is_told(void **state)
{
    (void)state;
    int asked = 0;
    struct err e = {0};
    const struct replay_options options = {.is_over = is_over_at_once, .context = &asked};
    struct chain *c = trace_chain(CHAIN("a", STOP("bad")), NULL);
    struct replay *r = replay_create(c, c, &options, &e);
    const struct replay_text t = {.id = "x", .side = FILTER_OUTPUT, .text = "bad", .len = 3};
    assert_int_equal(replay_run(r, &t, &e), -1);
    assert_int_equal(e.kind, ERR_CANCELED);
    assert_int_equal(replay_total(r), 0);
    assert_int_equal(asked, 1);
    replay_destroy(r);
    chain_unref(c);
}

/* Against the same chain nothing ever differs, whatever its filters do. */
static void a_chain_differs_from_itself_in_nothing(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (int i = 0; i < 300; i++) {
        char json[256], text[200];
        snprintf(
            json, sizeof(json),
            CHAIN("a", "{\"type\":\"chaos\",\"seed\":%d},{\"type\":\"chaos\",\"seed\":%d}"), i,
            i + 1000);
        struct replay *r = begin(json, json, false);
        size_t len = rng_below(&rng, sizeof(text) - 1);
        for (size_t k = 0; k < len; k++) {
            text[k] = (char)('a' + rng_below(&rng, 6));
        }
        text[len] = '\0';
        run(r, text);
        assert_int_equal(replay_count(r, REPLAY_UNCHANGED), 1);
        replay_destroy(r);
    }
}

/* --- texts as JSON --- */

static int read_json(const char *json, struct replay_text *out, char id[REPLAY_ID_MAX + 1],
                     struct err *e)
{
    cJSON *item = json_parse(json, strlen(json), e);
    assert_non_null(item);
    int rc = replay_text_from_json(out, item, FILTER_OUTPUT, 7, id, e);
    cJSON_Delete(item);
    return rc;
}

static void texts_are_read_from_json(void **state)
{
    (void)state;
    struct replay_text t;
    struct err e = {0};
    char id[REPLAY_ID_MAX + 1];
    assert_int_equal(read_json("\"abc\"", &t, id, &e), 0);
    assert_int_equal(t.len, 3);
    assert_int_equal(t.side, FILTER_OUTPUT);
    assert_string_equal(t.id, "7");
    assert_int_equal(read_json("{\"text\":\"\",\"side\":\"input\",\"channel\":\"tool_args\","
                               "\"id\":12}",
                               &t, id, &e),
                     0);
    assert_int_equal(t.len, 0);
    assert_int_equal(t.side, FILTER_INPUT);
    assert_int_equal(t.channel, FILTER_TOOL_ARGS);
    assert_string_equal(t.id, "12");
    static const char *const wrong[][2] = {
        {"3", "text"},
        {"{}", "text"},
        {"{\"text\":3}", "text"},
        {"{\"text\":\"a\",\"side\":\"both\"}", "side"},
        {"{\"text\":\"a\",\"side\":1}", "side"},
        {"{\"text\":\"a\",\"channel\":\"x\"}", "channel"},
        {"{\"text\":\"a\",\"id\":[]}", "id"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        e = (struct err){0};
        assert_int_equal(read_json(wrong[i][0], &t, id, &e), -1);
        assert_string_equal(e.param, wrong[i][1]);
    }
}

static void without_memory_it_fails_and_leaks_nothing(void **state)
{
    (void)state;
    size_t live = mem_live();
    int failures = 0;
    for (size_t nth = 1; nth < 2000; nth++) {
        struct replay *r = begin(CHAIN("a", NOTE("one")), CHAIN("b", REPLACE("one")), true);
        struct err e = {0};
        const struct replay_text t = {
            .id = "x", .side = FILTER_OUTPUT, .text = "one two", .len = 7};
        mem_fail_at(nth);
        int rc = replay_run(r, &t, &e);
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        assert_true(rc == 0 || (reached && e.kind == ERR_NOMEM));
        failures += rc != 0;
        assert_int_equal(replay_total(r), rc == 0 ? 1 : 0);
        replay_destroy(r);
        if (!reached) {
            break;
        }
    }
    assert_true(failures > 5);
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_that_ask_are_left_out_and_named),
        cmocka_unit_test(each_kind_of_difference_has_its_name),
        cmocka_unit_test(the_side_of_a_text_counts),
        cmocka_unit_test(rules_count_what_each_chain_found),
        cmocka_unit_test(what_only_moved_is_not_added_and_removed),
        cmocka_unit_test(the_report_quotes_text_only_if_asked),
        cmocka_unit_test(quotes_are_whole_characters),
        cmocka_unit_test(a_text_that_cannot_be_run_is_told_and_the_others_go_on),
        cmocka_unit_test(a_failure_is_a_verdict),
        cmocka_unit_test(lists_are_bounded_and_counts_go_on),
        cmocka_unit_test(it_ends_when_it_is_told),
        cmocka_unit_test(a_chain_differs_from_itself_in_nothing),
        cmocka_unit_test(texts_are_read_from_json),
        cmocka_unit_test(without_memory_it_fails_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
