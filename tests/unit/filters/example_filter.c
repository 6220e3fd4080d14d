#include "tests/unit/filters/example_filter.h"

#include <stdlib.h>
#include <string.h>

/* digits: replaces runs of at least so many digits, such as card or phone numbers. */

static const struct filter_key keys[] = {
    {.name = "at_least", .kind = FILTER_KEY_NUMBER, .fallback = "6", .help = "shortest run"},
    {.name = NULL},
};

struct digits {
    size_t at_least;
};

struct digits_text {
    size_t at_least;
    size_t run; /* digits just before the end of the text */
};

static int digits_configure(void **config, const struct filter_value *values,
                            struct filter_error *error)
{
    double at_least = values[0].number;
    if (!(at_least >= 1 && at_least <= 100)) {
        strcpy(error->key, "at_least");
        strcpy(error->message, "must be from 1 to 100");
        return -1;
    }
    struct digits *digits = malloc(sizeof(*digits));
    if (!digits) {
        return -1;
    }
    digits->at_least = (size_t)at_least;
    *config = digits;
    return 0;
}

static int digits_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text; /* all channels and sides are treated alike */
    const struct digits *digits = config;
    struct digits_text *t = malloc(sizeof(*t));
    if (!t) {
        return -1;
    }
    *t = (struct digits_text){.at_least = digits->at_least};
    *state = t;
    return 0;
}

/* One character at a time, as the type has no FILTER_ANY_CUT. */
static int digits_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    struct digits_text *t = state;
    uint64_t end = span->start + span->len;
    char c = span->text[span->fresh];
    if (c < '0' || c > '9') {
        t->run = 0;
        return host->pass(host, end); /* digits that were held go too */
    }
    t->run++;
    if (t->run < t->at_least) {
        return 0; /* saying nothing holds: the run may still become long enough */
    }
    if (t->run == t->at_least) {
        struct filter_reason why = {
            .size = sizeof(why), .code = "digits", .from = end - t->run, .to = end};
        return host->replace(host, end, "[number]", 8, &why);
    }
    return host->replace(host, end, NULL, 0, NULL); /* the rest of the run, the same change */
}

const struct filter_type filter_digits = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "digits",
    .summary = "replaces long runs of digits",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .keys = keys,
    .configure = digits_configure,
    .release = free,
    .open = digits_open,
    .feed = digits_feed,
    .close = free,
};
