#include "filters/secrets.h"

#include <stdio.h>
#include <string.h>

#include "filters/finder.h"
#include "filters/secret_scan.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"

#define MAX_ENTROPY 8.0 /* bits a byte */

/* The config. */
struct secrets {
    struct finder_rules finder;
    uint32_t least_entropy; /* of assigned values, in 1 / SECRET_BIT */
};

/* The finder's callbacks. */
static bool spot(const void *config, const char *text, size_t len, size_t at, size_t end,
                 bool has_ended, struct finder_spot *spot)
{
    const struct secrets *secrets = config;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    return secret_spot(&s, secrets->finder.spotted, at, end, spot);
}

static enum finder_found scan(const void *config, size_t rule, const char *text, size_t len,
                              size_t at, bool has_ended, size_t *to)
{
    const struct secrets *secrets = config;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    if (rule == secret_rule_private_key()) {
        return secret_scan_private_key(&s, at, to);
    }
    if (rule == secret_rule_assignment()) {
        return secret_scan_value(&s, secrets->least_entropy, at, to);
    }
    return secret_scan_token(&s, rule, at, to);
}

static void describe(const void *config, size_t rule, struct filter_reason *why, char *message,
                     const char **replacement, size_t *replacement_len)
{
    (void)config;
    (void)message;
    (void)replacement;
    (void)replacement_len;
    why->code = secret_rules[rule];
}

enum { KEY_RULES, KEY_ENTROPY, KEY_ACTION, KEY_REPLACEMENT, KEY_MASK };
static const struct filter_key keys[] = {
    [KEY_RULES] = {.name = "rules",
                   .kind = FILTER_KEY_LIST,
                   .help = "which kinds of secrets to look for; all unless given"},
    [KEY_ENTROPY] = {.name = "entropy",
                     .kind = FILTER_KEY_NUMBER,
                     .fallback = "3.5",
                     .help = "rule assignment: the least bits a byte that a value has, 0 to 8"},
    [KEY_ACTION] = {.name = "action",
                    .kind = FILTER_KEY_CHOICE,
                    .fallback = "replace",
                    .choices = finder_action_names,
                    .help = "what happens where a secret is found"},
    [KEY_REPLACEMENT] = {.name = "replacement",
                         .kind = FILTER_KEY_STRING,
                         .fallback = "[secret]",
                         .help = "action replace: what stands in place of a secret"},
    [KEY_MASK] = {.name = "mask",
                  .kind = FILTER_KEY_STRING,
                  .fallback = "*",
                  .help = "action mask: the character in place of each character of a secret"},
    {.name = NULL},
};

static int read_rules(struct secrets *secrets, const struct filter_value *value,
                      struct filter_error *error)
{
    if (value->is_set && value->count == 0) {
        return setting_refuse(error, "rules", "must name at least one");
    }
    for (size_t i = 0; i < value->count; i++) {
        size_t rule = 0;
        while (rule < secret_rule_count &&
               strcmp(secret_rules[rule], value->strings[i].data) != 0) {
            rule++;
        }
        if (rule == secret_rule_count) {
            char key[32];
            char message[FILTER_MAX_ERROR + 1];
            snprintf(key, sizeof(key), "rules[%zu]", i);
            snprintf(message, sizeof(message),
                     "\"%.32s\" is none of the rules that the reference of this filter lists",
                     value->strings[i].data);
            return setting_refuse(error, key, message);
        }
        secrets->finder.spotted |= (uint64_t)1 << rule;
    }
    if (!value->is_set) {
        secrets->finder.spotted = ((uint64_t)1 << secret_rule_count) - 1;
    }
    return 0;
}

static int read_entropy(struct secrets *secrets, const struct filter_value *value,
                        struct filter_error *error)
{
    if (!(value->number >= 0 && value->number <= MAX_ENTROPY)) {
        return setting_refuse(error, "entropy", "must be from 0 to 8");
    }
    secrets->least_entropy = (uint32_t)(value->number * SECRET_BIT);
    uint64_t assignment = (uint64_t)1 << secret_rule_assignment();
    if (value->is_set && !(secrets->finder.spotted & assignment)) {
        return setting_refuse(error, "entropy",
                              "is of no use unless \"rules\" has \"assignment\"");
    }
    return 0;
}

static int secrets_configure(void **config, const struct filter_value *values,
                             struct filter_error *error)
{
    struct secrets *secrets = mem_zalloc(sizeof(*secrets));
    if (!secrets) {
        return setting_refuse(error, "", "out of memory");
    }
    if (finder_policy_read(&secrets->finder.policy, &values[KEY_ACTION],
                           &values[KEY_REPLACEMENT], &values[KEY_MASK], error) != 0 ||
        read_rules(secrets, &values[KEY_RULES], error) != 0 ||
        read_entropy(secrets, &values[KEY_ENTROPY], error) != 0) {
        mem_free(secrets);
        return -1;
    }
    secrets->finder.config = secrets;
    secrets->finder.count = secret_rule_count;
    secrets->finder.context = SECRET_CONTEXT;
    secrets->finder.spot = spot;
    secrets->finder.scan = scan;
    secrets->finder.describe = describe;
    *config = secrets;
    return 0;
}

static int secrets_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    const struct secrets *secrets = config;
    return finder_create(state, &secrets->finder);
}

const struct filter_type filter_secrets = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "secrets",
    .summary = "finds keys and tokens and replaces, masks, stops or notes them",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .flags = FILTER_ANY_CUT | FILTER_DECODED,
    .keys = keys,
    .configure = secrets_configure,
    .release = mem_free,
    .open = secrets_open,
    .feed = finder_feed,
    .finish = finder_finish,
    .close = finder_destroy,
};
