/* sampling_fields.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/api/sampling_fields.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

/* Parses "{FIELDS}". */
static int parse(const char *fields, struct sampling *s, unsigned *given, struct err *e)
{
    static char body[64 * 1024];
    *e = (struct err){0};
    snprintf(body, sizeof(body), "{%s}", fields);
    cJSON *json = json_parse(body, strlen(body), e);
    if (!json) {
        *s = (struct sampling){0};
        return -1;
    }
    int rc = sampling_fields_parse(json, s, given, e);
    cJSON_Delete(json);
    return rc;
}

static void parse_well(const char *fields, struct sampling *s, unsigned *given)
{
    struct err e;
    *s = (struct sampling){0};
    if (parse(fields, s, given, &e) != 0) {
        fail_msg("%s: %s", fields, e.message);
    }
}

/* Numbers of every kind, of which a field takes those in its range and refuses the rest by its
 * name. null is as if it were not there. */
static void a_number_is_in_its_range_or_refused_by_name(void **state)
{
    (void)state;
    static const char *const values[] = {
        "-1",    "0",  "0.5", "1", "2", "2147483648", "1.5", "1e308", "9007199254740993",
        "\"1\"", "[]", "true"};
    enum { N = sizeof(values) / sizeof(values[0]) };
    static const struct {
        const char *name;
        const char *taken; /* 'y' where the value above is right */
    } fields[] = {
        {"temperature", "nyyyynynnnnn"},
        {"top_p", "nyyynnnnnnnn"},
        {"min_p", "nyyynnnnnnnn"},
        {"typical_p", "nyyynnnnnnnn"},
        {"top_n_sigma", "yyyyynynnnnn"},
        {"xtc_probability", "nyyynnnnnnnn"},
        {"xtc_threshold", "nyyynnnnnnnn"},
        {"mirostat_tau", "nyyyynynnnnn"},
        {"mirostat_eta", "nyyynnnnnnnn"},
        {"presence_penalty", "yyyyynynnnnn"},
        {"frequency_penalty", "yyyyynynnnnn"},
        {"dry_multiplier", "nyyyynynnnnn"},
        {"dry_base", "nnnyynynnnnn"},
        {"repetition_penalty", "nnyyynynnnnn"},
        {"repeat_penalty", "nnyyynynnnnn"},
        {"top_k", "yynyynnnnnnn"},
        {"repeat_last_n", "yynyynnnnnnn"},
        {"mirostat", "nynnynnnnnnn"},
        {"dry_allowed_length", "nynyynnnnnnn"},
        {"dry_penalty_last_n", "yynyynnnnnnn"},
        {"min_tokens", "nynyynnnnnnn"},
        {"seed", "yynyyynnnnnn"},
        {"dynatemp_range", "nynnnnnnnnnn"},
        {"use_beam_search", "nnnnnnnnnnnn"},
        {"logit_bias", "nnnnnnnnnnyn"},
        {"stop_token_ids", "nnnnnnnnnnyn"},
        {"bad_words", "nnnnnnnnnnyn"},
        {"allowed_token_ids", "nnnnnnnnnnyn"},
        {"dry_sequence_breakers", "nnnnnnnnnnnn"},
    };
    for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        struct sampling s;
        unsigned given;
        struct err e;
        char text[128];
        for (size_t v = 0; v < N; v++) {
            snprintf(text, sizeof(text), "\"%s\":%s", fields[f].name, values[v]);
            int rc = parse(text, &s, &given, &e);
            if (rc != (fields[f].taken[v] == 'y' ? 0 : -1)) {
                fail_msg("%s: %d, %s", text, rc, e.message);
            }
            if (rc != 0) {
                assert_string_equal(e.param, fields[f].name);
                assert_non_null(strstr(e.message, fields[f].name));
            }
            sampling_deinit(&s);
        }
        snprintf(text, sizeof(text), "\"%s\":null", fields[f].name);
        parse_well(text, &s, &given);
        assert_int_equal(given, 0);
        sampling_deinit(&s);
    }
}

static void all_arrive(void **state)
{
    (void)state;
    struct sampling s;
    unsigned given;
    parse_well("\"temperature\":0.5,\"top_k\":-1,\"top_p\":0.9,\"min_p\":0.1,\"seed\":-3,"
               "\"typical_p\":0.8,\"top_n_sigma\":1.5,\"xtc_probability\":0.25,"
               "\"xtc_threshold\":0.2,\"mirostat\":2,\"mirostat_tau\":3,\"mirostat_eta\":0.5,"
               "\"repetition_penalty\":1.25,\"presence_penalty\":-1,\"frequency_penalty\":2,"
               "\"dry_multiplier\":0.75,\"dry_base\":2,\"dry_allowed_length\":3,"
               "\"dry_penalty_last_n\":99,\"min_tokens\":7,\"repeat_last_n\":11",
               &s, &given);
    assert_true(s.temperature == 0.5f && s.top_k == -1 && s.top_p == 0.9f && s.min_p == 0.1f);
    assert_true(s.seed == (uint64_t)-3 && s.typical_p == 0.8f && s.top_n_sigma == 1.5f);
    assert_true(s.xtc_probability == 0.25f && s.xtc_threshold == 0.2f && s.mirostat == 2);
    assert_true(s.mirostat_tau == 3.0f && s.mirostat_eta == 0.5f);
    assert_true(s.repetition_penalty == 1.25f && s.presence_penalty == -1.0f);
    assert_true(s.frequency_penalty == 2.0f && s.dry.multiplier == 0.75f && s.dry.base == 2.0f);
    assert_true(s.dry.allowed_length == 3 && s.dry.last_n == 99 && s.min_tokens == 7);
    assert_int_equal(s.repeat_last_n, 11);
    assert_int_equal(given, 0xff); /* all there are */
    sampling_deinit(&s);
}

static void minus_one_leaves_the_seed_to_the_server(void **state)
{
    (void)state;
    struct sampling s;
    unsigned given;
    parse_well("\"seed\":-1", &s, &given);
    assert_int_equal(given, 0);
    parse_well("\"seed\":0", &s, &given);
    assert_int_equal(given, SAMPLING_GIVEN_SEED);
}

static void the_repetition_penalty_has_two_names_and_looks_back_as_each_does(void **state)
{
    (void)state;
    struct sampling s;
    unsigned given;
    struct err e;
    parse_well("\"repetition_penalty\":1.5", &s, &given);
    assert_true(s.repetition_penalty == 1.5f && s.repeat_last_n == -1);
    assert_int_equal(given, SAMPLING_GIVEN_REPETITION_PENALTY);
    parse_well("\"repeat_penalty\":1.5", &s, &given);
    assert_int_equal(given, SAMPLING_GIVEN_REPETITION_PENALTY);
    assert_true(s.repetition_penalty == 1.5f && s.repeat_last_n == 64);
    parse_well("\"repeat_penalty\":1.5,\"repeat_last_n\":8", &s, &given);
    assert_int_equal(s.repeat_last_n, 8);
    assert_int_equal(parse("\"repeat_penalty\":1,\"repetition_penalty\":1", &s, &given, &e),
                     -1);
    assert_string_equal(e.param, "repeat_penalty");
}

static void a_bias_comes_as_object_or_pairs(void **state)
{
    (void)state;
    static const char *const forms[] = {"\"logit_bias\":{\"5\":-100,\"0\":2.5,\"7\":false}",
                                        "\"logit_bias\":[[5,-100],[0,2.5],[7,false]]"};
    for (size_t i = 0; i < 2; i++) {
        struct sampling s;
        unsigned given;
        parse_well(forms[i], &s, &given);
        assert_int_equal(s.n_bias, 3);
        assert_non_null(s.bias);
        assert_true(s.bias[0].token == 5 && s.bias[0].bias == -100.0f);
        assert_true(s.bias[1].token == 0 && s.bias[1].bias == 2.5f);
        assert_true(s.bias[2].token == 7 && s.bias[2].bias == -INFINITY);
        sampling_deinit(&s);
    }
}

static void a_wrong_list_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *param;
        const char *fields;
    } cases[] = {
        {"logit_bias", "\"logit_bias\":{\"x\":1}"},
        {"logit_bias", "\"logit_bias\":{\"\":1}"},
        {"logit_bias", "\"logit_bias\":{\"-1\":1}"},
        {"logit_bias", "\"logit_bias\":{\"1.5\":1}"},
        {"logit_bias", "\"logit_bias\":{\"2147483648\":1}"},
        {"logit_bias", "\"logit_bias\":{\"99999999999999999999999\":1}"},
        {"logit_bias", "\"logit_bias\":{\"1\":101}"},
        {"logit_bias", "\"logit_bias\":{\"1\":-1e308}"},
        {"logit_bias", "\"logit_bias\":{\"1\":\"1\"}"},
        {"logit_bias", "\"logit_bias\":{\"1\":null}"},
        {"logit_bias", "\"logit_bias\":{\"1\":true}"},
        {"logit_bias", "\"logit_bias\":[1,2]"},
        {"logit_bias", "\"logit_bias\":[[1]]"},
        {"logit_bias", "\"logit_bias\":[[1,2,3]]"},
        {"logit_bias", "\"logit_bias\":[[-1,2]]"},
        {"logit_bias", "\"logit_bias\":[[0.5,2]]"},
        {"logit_bias", "\"logit_bias\":[[2147483648,2]]"},
        {"logit_bias", "\"logit_bias\":[[\"a\",2]]"},
        {"stop_token_ids", "\"stop_token_ids\":[1,-1]"},
        {"stop_token_ids", "\"stop_token_ids\":[1e308]"},
        {"stop_token_ids", "\"stop_token_ids\":[\"1\"]"},
        {"stop_token_ids", "\"stop_token_ids\":{}"},
        {"dry_sequence_breakers", "\"dry_sequence_breakers\":[]"},
        {"dry_sequence_breakers", "\"dry_sequence_breakers\":[\"\"]"},
        {"dry_sequence_breakers", "\"dry_sequence_breakers\":[\"a\",3]"},
        {"dry_sequence_breakers", "\"dry_sequence_breakers\":[\"0123456789"
                                  "0123456789012345678901234567890\"]"},
        {"samplers", "\"samplers\":[\"top_k\"]"},
        {"samplers", "\"samplers\":\"tk\""},
        {"bad_words", "\"bad_words\":[\"a\"]"},
        {"allowed_token_ids", "\"allowed_token_ids\":[1]"},
        {"use_beam_search", "\"use_beam_search\":true"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sampling s;
        unsigned given;
        struct err e;
        size_t before = mem_live();
        assert_int_equal(parse(cases[i].fields, &s, &given, &e), -1);
        assert_int_equal(mem_live(), before);
        if (strcmp(e.param, cases[i].param) != 0) {
            fail_msg("%s: param \"%s\", message: %s", cases[i].fields, e.param, e.message);
        }
    }
    struct sampling s;
    unsigned given;
    parse_well("\"samplers\":\"edskypmxt\",\"use_beam_search\":false", &s, &given);
    parse_well("\"samplers\":[\"penalties\",\"dry\",\"top_n_sigma\",\"top_k\",\"typ_p\","
               "\"top_p\",\"min_p\",\"xtc\",\"temperature\"]",
               &s, &given);
}

/* n items of a list. */
static const char *long_list(const char *name, const char *item, int n)
{
    static char text[32 * 1024];
    size_t at = (size_t)snprintf(text, sizeof(text), "\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? "," : "", item);
    }
    snprintf(text + at, sizeof(text) - at, "]");
    return text;
}

static void lists_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *item;
        int most;
    } lists[] = {{"logit_bias", "[1,2]", SAMPLING_BIAS_MAX},
                 {"stop_token_ids", "1", SAMPLING_STOP_IDS_MAX},
                 {"dry_sequence_breakers", "\"a\"", SAMPLING_BREAKERS_MAX}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct sampling s;
        unsigned given;
        struct err e;
        parse_well(long_list(lists[i].name, lists[i].item, lists[i].most), &s, &given);
        sampling_deinit(&s);
        const char *longer = long_list(lists[i].name, lists[i].item, lists[i].most + 1);
        assert_int_equal(parse(longer, &s, &given, &e), -1);
        assert_string_equal(e.param, lists[i].name);
    }
}

static void any_failing_allocation_is_told(void **state)
{
    (void)state;
    static const char body[] = "{\"logit_bias\":{\"1\":2},\"stop_token_ids\":[3],"
                               "\"dry_sequence_breakers\":[\"a\",\"b\"]}";
    struct err e = {0};
    cJSON *json = json_parse(body, strlen(body), &e);
    assert_non_null(json);
    for (size_t nth = 1;; nth++) {
        struct sampling s, copy = {0};
        unsigned given;
        size_t before = mem_live();
        mem_fail_at(nth);
        int rc = sampling_fields_parse(json, &s, &given, &e);
        rc = rc == 0 ? sampling_copy(&copy, &s, &e) : rc;
        bool reached = mem_fail_reached();
        mem_fail_at(0);
        if (!reached) {
            assert_int_equal(rc, 0);
            assert_true(copy.bias && copy.stop_ids);
            assert_int_equal(copy.bias[0].token, 1);
            assert_int_equal(copy.stop_ids[0], 3);
        } else {
            assert_int_equal(rc, -1);
            assert_int_equal(e.kind, ERR_NOMEM);
        }
        sampling_deinit(&s);
        sampling_deinit(&copy);
        assert_int_equal(mem_live(), before);
        if (!reached) {
            break;
        }
    }
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_in_its_range_or_refused_by_name),
        cmocka_unit_test(all_arrive),
        cmocka_unit_test(minus_one_leaves_the_seed_to_the_server),
        cmocka_unit_test(the_repetition_penalty_has_two_names_and_looks_back_as_each_does),
        cmocka_unit_test(a_bias_comes_as_object_or_pairs),
        cmocka_unit_test(a_wrong_list_is_refused_by_name),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(any_failing_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
