/* How much the filters "pii" and "secrets" look at, in bytes and places and not in time: it
 * grows with the text and no faster, also for texts that are full of what may be something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filters/secret_scan.h"

/* ---- filters whose callbacks count ---- */

static struct {
    struct pii_places places;
    uint64_t secrets; /* rules */
    uint64_t work;
} counted;

static bool spot_pii(const void *config, const char *text, size_t len, size_t at, size_t end,
                     bool has_ended, struct finder_spot *spot)
{
    (void)config;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    bool is_there = pii_places_spot(&counted.places, &s, at, end, spot);
    counted.work += 1 + (is_there ? spot->at : end) - at;
    return is_there;
}

static enum finder_found scan_pii(const void *config, size_t rule, const char *text, size_t len,
                                  size_t at, bool has_ended, size_t *to)
{
    (void)config;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    counted.work++;
    return pii_kinds[rule].scan ? pii_kinds[rule].scan(&s, at, to)
                                : pii_scan_forms(&s, pii_kinds[rule].forms, at, to);
}

static enum finder_found find_email(const void *config, void *scratch, size_t rule,
                                    const char *text, size_t len, size_t at, bool has_ended,
                                    struct finder_result *result)
{
    (void)config;
    (void)scratch;
    (void)rule;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    counted.work += 1 + len - at;
    return pii_find_email(&s, at, &result->from, &result->to);
}

static bool spot_secret(const void *config, const char *text, size_t len, size_t at, size_t end,
                        bool has_ended, struct finder_spot *spot)
{
    (void)config;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    bool is_there = secret_spot(&s, counted.secrets, at, end, spot);
    counted.work += 1 + (is_there ? spot->at : end) - at;
    return is_there;
}

/* A run that is scanned is at most as long as what is held. */
static enum finder_found scan_secret(const void *config, size_t rule, const char *text,
                                     size_t len, size_t at, bool has_ended, size_t *to)
{
    (void)config;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    counted.work++;
    return rule == secret_rule_private_key()  ? secret_scan_private_key(&s, at, to)
           : rule == secret_rule_assignment() ? secret_scan_value(&s, 3584, at, to)
                                              : secret_scan_token(&s, rule, at, to);
}

static void describe(const void *config, size_t rule, struct filter_reason *why, char *message,
                     const char **replacement, size_t *replacement_len)
{
    (void)config;
    (void)rule;
    (void)why;
    (void)message;
    (void)replacement;
    (void)replacement_len;
}

static struct finder_rules pii_rules(void)
{
    struct finder_rules rules = {
        .count = pii_kind_count,
        .context = PII_CONTEXT,
        .policy = {.action = FINDER_NOTE},
        .find = find_email,
        .spot = spot_pii,
        .scan = scan_pii,
        .describe = describe,
    };
    for (size_t i = 1; i < pii_kind_count; i++) {
        pii_places_add(&counted.places, i, &pii_kinds[i]);
        rules.spotted |= (uint64_t)1 << i;
    }
    return rules;
}

static struct finder_rules secret_rules_counted(void)
{
    counted.secrets = ((uint64_t)1 << secret_rule_count) - 1;
    return (struct finder_rules){
        .count = secret_rule_count,
        .context = SECRET_CONTEXT,
        .spotted = counted.secrets,
        .policy = {.action = FINDER_NOTE},
        .spot = spot_secret,
        .scan = scan_secret,
        .describe = describe,
    };
}

/* ---- a host that lets all pass ---- */

static int pass(struct filter_host *host, uint64_t upto)
{
    (void)host;
    (void)upto;
    return 0;
}

static int note(struct filter_host *host, uint64_t upto, const struct filter_reason *why)
{
    (void)why;
    return pass(host, upto);
}

static int fail_text(struct filter_host *host, const char *message)
{
    (void)host;
    fail_msg("%s", message);
    return -1;
}

/* What a text of so many repetitions costs in pieces of `step` bytes. */
static uint64_t work_of(const struct finder_rules *rules, const char *unit, size_t len,
                        size_t step)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    for (size_t i = 0; i < len; i++) {
        text[i] = unit[i % strlen(unit)];
    }
    struct filter_host host = {
        .size = sizeof(host), .pass = pass, .note = note, .fail = fail_text};
    struct finder finder;
    finder_init(&finder, rules, NULL);
    counted.work = 0;
    for (size_t i = 0; i < len; i += step) {
        size_t n = len - i < step ? len - i : step;
        struct filter_span span = {
            .size = sizeof(span), .text = text + i, .len = n, .start = i};
        assert_int_equal(finder_feed(&finder, &span, &host), 0);
    }
    struct filter_span span = {.size = sizeof(span), .text = "", .start = len};
    assert_int_equal(finder_finish(&finder, &span, &host), 0);
    finder_deinit(&finder);
    free(text);
    return counted.work;
}

#define LEN 6000u

static void expect_linear(const struct finder_rules *rules, const char *unit)
{
    static const size_t steps[] = {1, 4, 4096};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        uint64_t once = work_of(rules, unit, LEN, steps[i]);
        uint64_t twice = work_of(rules, unit, 2 * LEN, steps[i]);
        if (twice > 2 * once + once / 10 + 1000 || once > (uint64_t)600 * LEN) {
            fail_msg("\"%s\" in pieces of %zu: %llu for %u bytes, %llu for twice as many", unit,
                     steps[i], (unsigned long long)once, LEN, (unsigned long long)twice);
        }
    }
}

static const char *const units[] = {
    "1",           "1 ",
    "12-",         "1.",
    "a.a.a.a@",    "a@",
    "a@a.",        "@",
    ":",           "::",
    "ab:",         "a1:",
    "ab-",         "abcd.",
    "1234 ",       "12345678 ",
    "+1 ",         "(1) ",
    "4 1-",        "0",
    "0a",          "ssn 123 ",
    "A",           "AB ",
    "ABCDE1",      "a1",
    "DE89 ",       "1a",
    "0x",          "3",
    "bc1",         "00 ",
    "+",           "(",
    "password=",   "key: ",
    "=",           "\"",
    "= '\"",       "ey",
    "ey.",         "eyJ-eyJ.",
    "-",           "-----",
    "-----BEGIN ", "ghp_",
    "ghp_ghp_",    "xoxb-1234567890-",
    "sk-",         "sk-ant-",
    "M.",          "token=a1_",
    "a-",          "_",
    "key=k",       "key=7aK2m ",
    "\xC3\xA9",    "the quick brown fox ",
};

static void work_grows_with_the_text(void **state)
{
    (void)state;
    struct finder_rules pii = pii_rules();
    struct finder_rules secrets = secret_rules_counted();
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        expect_linear(&pii, units[i]);
        expect_linear(&secrets, units[i]);
    }
}

/* Clean text is passed over: few of its places are looked at for any rule. */
static void clean_text_is_passed_over(void **state)
{
    (void)state;
    struct finder_rules pii = pii_rules();
    struct finder_rules secrets = secret_rules_counted();
    const char *unit = "It was the best of times, it was the worst of times. ";
    assert_true(work_of(&pii, unit, LEN, 4096) < 3 * LEN);
    assert_true(work_of(&secrets, unit, LEN, 4096) < 2 * LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_grows_with_the_text),
        cmocka_unit_test(clean_text_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
