#include "runtime/cli/cli.h"

#include <stdio.h>

int cli_options(const struct options *o, int argc, char **argv, int *positional)
{
    struct err e;
    int rc = options_parse(o, argc, argv, positional, &e);
    if (rc < 0) {
        fprintf(stderr, "weir %s: %s\nusage: %s\n", argv[0], e.message, o->usage);
        return 2;
    }
    return rc == 1 ? 0 : -1;
}

int cli_fail(const char *name, const struct err *e)
{
    fprintf(stderr, "weir %s: %s\n", name, e->message);
    return 1;
}
