/* A filter in a shared object: puts a character of the operator's in place of every digit.
 *
 *   cc -shared -fPIC -I <Weir's sources> -o plugin_example.so plugin_example.c
 */
#include "filters/filter.h"

#include <stdlib.h>
#include <string.h>

static const struct filter_key keys[] = {
    {.name = "mark", .kind = FILTER_KEY_STRING, .fallback = "#", .help = "in place of digits"},
    {.name = NULL},
};

struct marks {
    size_t len;
    char mark[16];
};

static int marks_configure(void **config, const struct filter_value *values,
                           struct filter_error *error)
{
    const struct filter_string *mark = values[0].strings;
    struct marks *marks = calloc(1, sizeof(*marks));
    if (!marks || mark->len > sizeof(marks->mark)) {
        strcpy(error->key, "mark");
        strcpy(error->message, "must be at most 16 bytes");
        free(marks);
        return -1;
    }
    memcpy(marks->mark, mark->data, mark->len);
    marks->len = mark->len;
    *config = marks;
    return 0;
}

/* Nothing has to be remembered: the config serves as the state. */
static int marks_open(void **state, const void *config, const struct filter_text *text)
{
    (void)text;
    *state = (void *)(uintptr_t)config;
    return 0;
}

static int marks_feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    const struct marks *marks = state;
    uint64_t end = span->start + span->len;
    char c = span->text[span->fresh];
    if (c < '0' || c > '9') {
        return host->pass(host, end);
    }
    struct filter_reason why = {
        .size = sizeof(why), .code = "digit", .from = span->start, .to = end};
    return host->replace(host, end, marks->mark, marks->len, &why);
}

FILTER_PLUGIN = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "marks",
    .summary = "puts a mark in place of digits",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .keys = keys,
    .configure = marks_configure,
    .release = free,
    .open = marks_open,
    .feed = marks_feed,
};
