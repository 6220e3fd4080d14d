/* A filter that brings its process down: when it is loaded, if the environment says so, else
 * when it is given settings. */
#include "filters/filter.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct filter_key keys[] = {
    {.name = "how", .kind = FILTER_KEY_STRING, .fallback = "", .help = "how it ends"},
    {.name = NULL},
};

static void come_down(const char *how)
{
    if (strcmp(how, "crash") == 0) {
        raise(SIGSEGV);
    } else if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "exit") == 0) {
        _exit(0);
    } else if (strcmp(how, "hang") == 0) {
        for (;;) {
            pause();
        }
    }
}

__attribute__((constructor)) static void loaded(void)
{
    const char *how = getenv("WEIR_TEST_PLUGIN");
    if (how) {
        come_down(how);
    }
}

static int configure(void **config, const struct filter_value *values,
                     struct filter_error *error)
{
    (void)error;
    come_down(values[0].strings[0].data);
    *config = NULL;
    return 0;
}

static int feed(void *state, const struct filter_span *span, struct filter_host *host)
{
    (void)state;
    return host->pass(host, span->start + span->len);
}

FILTER_PLUGIN = {
    .abi = FILTER_ABI,
    .size = sizeof(struct filter_type),
    .name = "crash",
    .summary = "brings its process down",
    .sides = FILTER_INPUT | FILTER_OUTPUT,
    .keys = keys,
    .configure = configure,
    .feed = feed,
};
