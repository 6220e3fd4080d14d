#include "filters/pii.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "filters/finder.h"
#include "filters/pii_scan.h"
#include "filters/setting_checks.h"
#include "runtime/base/mem.h"

#define DIGITS   "0123456789"
#define HEX      "abcdefABCDEF"
#define LETTERS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define MAX_NAME 31u /* bytes of a kind's name */

#define NATIONAL(id) {.name = #id, .forms = pii_##id},

const struct pii_kind pii_kinds[] = {
    {.name = "email", .scan = pii_email, .lead = {.first = "", .next = ""}},
    {.name = "iban",
     .scan = pii_iban,
     .lead = {.first = LETTERS, .letters = PII_LENGTHS(2, 2), .next = ""}},
    {.name = "card",
     .scan = pii_card,
     .lead = {.first = "123456",
              .digits = PII_LENGTHS(1, 19),
              .whole = PII_LENGTHS(13, 19),
              .next = " -"}},
    {.name = "ssn", .forms = pii_ssn},
    PII_NATIONAL(NATIONAL){.name = "ipv4",
                           .scan = pii_ipv4,
                           .lead = {.first = DIGITS, .digits = PII_LENGTHS(1, 3), .next = "."}},
    {.name = "mac",
     .scan = pii_mac,
     .lead = {.first = DIGITS HEX,
              .digits = PII_LENGTHS(1, 4),
              .letters = PII_LENGTHS(1, 4),
              .next = ":-." HEX}},
    {.name = "ipv6",
     .scan = pii_ipv6,
     .lead = {.first = DIGITS HEX ":",
              .digits = PII_LENGTHS(1, 4),
              .letters = PII_LENGTHS(1, 4),
              .next = ":" HEX}},
    {.name = "crypto",
     .scan = pii_crypto,
     .lead = {.first = "013bB",
              .digits = PII_LENGTHS(1, PII_LONGEST),
              .letters = PII_LENGTHS(2, 2),
              .whole = PII_LENGTHS(26, PII_LONGEST),
              .next = LETTERS}},
    {.name = "phone",
     .scan = pii_phone,
     .lead = {.first = DIGITS "+(",
              .digits = PII_LENGTHS(1, 17),
              .whole = PII_LENGTHS(8, 17),
              .next = " -./()"}},
};
const size_t pii_kind_count = sizeof(pii_kinds) / sizeof(pii_kinds[0]);
#define KINDS (sizeof(pii_kinds) / sizeof(pii_kinds[0]))
_Static_assert(KINDS <= FINDER_MAX_RULES, "sets of kinds are 64 bits");

enum { KEY_RULES, KEY_COUNTRIES, KEY_ACTION, KEY_MASK };
static const struct filter_key keys[] = {
    [KEY_RULES] = {.name = "rules",
                   .kind = FILTER_KEY_LIST,
                   .help = "which kinds of data to look for; all unless given"},
    [KEY_COUNTRIES] = {.name = "phone_countries",
                       .kind = FILTER_KEY_LIST,
                       .help = "rule phone: numbers of these countries only; all unless given"},
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
    struct pii_places places;
    uint64_t phone_countries;              /* 0: all */
    const struct pii_kind *kinds[KINDS];   /* those looked for */
    char replacement[KINDS][MAX_NAME + 3]; /* of action replace: a kind's name in brackets */
};

/* The finder's callbacks. E-mail is found by its sign, all others by where they may begin. */
static enum finder_found find(const void *config, void *scratch, size_t rule, const char *text,
                              size_t len, size_t at, bool has_ended,
                              struct finder_result *result)
{
    (void)config;
    (void)scratch;
    (void)rule;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    return pii_find_email(&s, at, &result->from, &result->to);
}

static bool spot(const void *config, const char *text, size_t len, size_t at, size_t end,
                 bool has_ended, struct finder_spot *spot)
{
    const struct pii *pii = config;
    struct pii_scan s = {.text = text, .len = len, .has_ended = has_ended};
    return pii_places_spot(&pii->places, &s, at, end, spot);
}

static enum finder_found scan(const void *config, size_t rule, const char *text, size_t len,
                              size_t at, bool has_ended, size_t *to)
{
    const struct pii *pii = config;
    const struct pii_kind *kind = pii->kinds[rule];
    struct pii_scan s = {.text = text,
                         .len = len,
                         .has_ended = has_ended,
                         .phone_countries = pii->phone_countries};
    return kind->scan ? kind->scan(&s, at, to) : pii_scan_forms(&s, kind->forms, at, to);
}

static void describe(const void *config, size_t rule, struct filter_reason *why, char *message,
                     const char **replacement, size_t *replacement_len)
{
    (void)message;
    const struct pii *pii = config;
    why->code = pii->kinds[rule]->name;
    *replacement = pii->replacement[rule];
    *replacement_len = strlen(*replacement);
}

static void add_kind(struct pii *pii, const struct pii_kind *kind)
{
    size_t i = pii->finder.count++;
    pii->kinds[i] = kind;
    snprintf(pii->replacement[i], sizeof(pii->replacement[i]), "[%s]", kind->name);
    if (kind->scan != pii_email) {
        pii->finder.spotted |= (uint64_t)1 << i;
        pii_places_add(&pii->places, i, kind);
    }
}

static int refuse_rule(struct filter_error *error, size_t index, const char *name)
{
    char key[32];
    char message[FILTER_MAX_ERROR + 1];
    snprintf(key, sizeof(key), "rules[%zu]", index);
    snprintf(message, sizeof(message),
             "\"%.32s\" is none of the rules that the reference of this filter lists", name);
    return setting_refuse(error, key, message);
}

static int read_rules(struct pii *pii, const struct filter_value *value,
                      struct filter_error *error)
{
    bool is_wanted[KINDS] = {false};
    for (size_t i = 0; i < value->count; i++) {
        size_t kind = 0;
        while (kind < KINDS && strcmp(pii_kinds[kind].name, value->strings[i].data) != 0) {
            kind++;
        }
        if (kind == KINDS) {
            return refuse_rule(error, i, value->strings[i].data);
        }
        is_wanted[kind] = true;
    }
    if (value->is_set && value->count == 0) {
        return setting_refuse(error, "rules", "must name at least one");
    }
    for (size_t kind = 0; kind < KINDS; kind++) {
        if (is_wanted[kind] || !value->is_set) {
            add_kind(pii, &pii_kinds[kind]);
        }
    }
    return 0;
}

static int read_countries(struct pii *pii, const struct filter_value *value,
                          struct filter_error *error)
{
    char key[48];
    for (size_t i = 0; i < value->count; i++) {
        uint64_t country = pii_phone_country(value->strings[i].data);
        if (!country) {
            snprintf(key, sizeof(key), "phone_countries[%zu]", i);
            return setting_refuse(error, key,
                                  "is not the code of a country that the reference of this "
                                  "filter lists, such as \"us\"");
        }
        pii->phone_countries |= country;
    }
    if (value->is_set && value->count == 0) {
        return setting_refuse(error, "phone_countries", "must name at least one");
    }
    bool has_phone = pii->finder.count > 0 &&
                     pii->kinds[pii->finder.count - 1]->scan == pii_phone; /* the last kind */
    if (value->is_set && !has_phone) {
        return setting_refuse(error, "phone_countries",
                              "is of no use unless \"rules\" has \"phone\"");
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
        read_rules(pii, &values[KEY_RULES], error) != 0 ||
        read_countries(pii, &values[KEY_COUNTRIES], error) != 0) {
        mem_free(pii);
        return -1;
    }
    pii->finder.config = pii;
    pii->finder.context = PII_CONTEXT;
    pii->finder.find = find;
    pii->finder.spot = spot;
    pii->finder.scan = scan;
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
    .flags = FILTER_ANY_CUT | FILTER_DECODED,
    .keys = keys,
    .configure = pii_configure,
    .release = mem_free,
    .open = pii_open,
    .feed = finder_feed,
    .finish = finder_finish,
    .close = finder_destroy,
};
