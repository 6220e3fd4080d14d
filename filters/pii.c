#include "filters/pii.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "filters/finder.h"
#include "filters/pii_scan.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* In the order in which they name what several of them find in one place. */
static const struct rule {
    const char *name;        /* in settings, and the code of verdicts */
    const char *replacement; /* of action replace */
    const char *first;       /* what it may begin with */
    pii_scanner scan;
} rules[] = {
    {"email", "[email]", DIGITS LETTERS "_%+-", pii_email},
    {"iban", "[iban]", LETTERS, pii_iban},
    {"card", "[card]", "23456", pii_card},
    {"ssn", "[ssn]", "012345678", pii_ssn},
    {"ipv4", "[ipv4]", DIGITS, pii_ipv4},
    {"mac", "[mac]", DIGITS "abcdefABCDEF", pii_mac},
    {"ipv6", "[ipv6]", DIGITS "abcdefABCDEF:", pii_ipv6},
    {"crypto", "[crypto]", "013bB", pii_crypto},
    {"phone", "[phone]", DIGITS "+(", pii_phone},
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

enum { KEY_RULES, KEY_ACTION, KEY_MASK };
static const struct filter_key keys[] = {
    [KEY_RULES] = {.name = "rules",
                   .kind = FILTER_KEY_LIST,
                   .help = "which kinds of data to look for; all unless given"},
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "replace",
                    .choices = finder_action_names,
                    .help = "what happens where some is found"},
    [KEY_MASK] = {.name = "mask",
                  .kind = FILTER_KEY_STRING,
                  .fallback = "*",
                  .help = "action mask: the character in place of each character of it"},
    {.name = NULL},
};

/* The config. */
struct pii {
    struct finder_rules finder;
    const struct rule *rules[RULES];     /* those looked for */
    bool is_first[RULES][UINT8_MAX + 1]; /* `first` of each as a table */
};

/* The finder's callback. */
static enum finder_found find(const void *config, void *scratch, size_t rule, const char *text,
                              size_t len, size_t at, bool has_ended,
                              struct finder_result *result)
{
    (void)scratch;
    const struct pii *pii = config;
    const bool *is_first = pii->is_first[rule];
    struct pii_scan scan = {.text = text, .len = len, .has_ended = has_ended};
    for (; at < len; at++) {
        if (!is_first[(unsigned char)text[at]]) {
            continue;
        }
        enum finder_found found = pii->rules[rule]->scan(&scan, at, &result->to);
        if (found != FINDER_NONE) {
            result->from = at;
            return found;
        }
    }
    return FINDER_NONE;
}

static void describe(const void *config, size_t rule, struct filter_reason *why, char *message,
                     const char **replacement, size_t *replacement_len)
{
    (void)message;
    const struct pii *pii = config;
    why->code = pii->rules[rule]->name;
    *replacement = pii->rules[rule]->replacement;
    *replacement_len = strlen(*replacement);
}

static void add_rule(struct pii *pii, const struct rule *rule)
{
    size_t i = pii->finder.count++;
    pii->rules[i] = rule;
    for (const char *c = rule->first; *c; c++) {
        pii->is_first[i][(unsigned char)*c] = true;
    }
}

static int refuse_rule(struct filter_error *error, size_t index, const char *name)
{
    char key[32];
    char message[FILTER_MAX_ERROR + 1];
    snprintf(key, sizeof(key), "rules[%zu]", index);
    int n = snprintf(message, sizeof(message), "\"%.32s\" is not one of", name);
    for (size_t i = 0; i < RULES; i++) {
        n += snprintf(message + n, sizeof(message) - (size_t)n, "%s \"%s\"", i ? "," : "",
                      rules[i].name);
    }
    return setting_refuse(error, key, message);
}

static int read_rules(struct pii *pii, const struct filter_value *value,
                      struct filter_error *error)
{
    bool is_wanted[RULES] = {false};
    for (size_t i = 0; i < value->count; i++) {
        size_t rule = 0;
        while (rule < RULES && strcmp(rules[rule].name, value->strings[i].data) != 0) {
            rule++;
        }
        if (rule == RULES) {
            return refuse_rule(error, i, value->strings[i].data);
        }
        is_wanted[rule] = true;
    }
    if (value->is_set && value->count == 0) {
        return setting_refuse(error, "rules", "must name at least one");
    }
    for (size_t rule = 0; rule < RULES; rule++) {
        if (is_wanted[rule] || !value->is_set) {
            add_rule(pii, &rules[rule]);
        }
    }
    return 0;
}

static int pii_configure(void **config, const struct filter_value *values,
                         struct filter_error *error)
{
    struct pii *pii = mem_zalloc(sizeof(*pii));
    if (!pii) {
        return setting_refuse(error, "", "out of memory");
    }
    if (finder_policy_read(&pii->finder.policy, &values[KEY_ACTION], NULL, &values[KEY_MASK],
                           error) != 0 ||
        read_rules(pii, &values[KEY_RULES], error) != 0) {
        mem_free(pii);
        return -1;
    }
    pii->finder.config = pii;
    pii->finder.context = PII_CONTEXT;
    pii->finder.find = find;
    pii->finder.describe = describe;
    *config = pii;
    return 0;
}

static int pii_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    const struct pii *pii = config;
    return finder_create(state, &pii->finder);
}

const struct filter_type filter_pii = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "pii",
    .summary = "finds personal data and replaces, masks, stops or notes it",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT,
    .keys = keys,
    .configure = pii_configure,
    .release = mem_free,
    .open = pii_open,
    .feed = finder_feed,
    .finish = finder_finish,
    .close = finder_destroy,
};
