#include "runtime/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/cli/print_safely.h"

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
    fprintf(stderr, "weir %s: ", name);
    if (isatty(STDERR_FILENO)) {
        print_safely(stderr, e->message, strlen(e->message));
    } else {
        fputs(e->message, stderr);
    }
    fputc('\n', stderr);
    return 1;
}

int cli_print_json(const cJSON *json, struct err *e)
{
    char *text = cJSON_PrintUnformatted(json);
    if (!text) {
        return err_nomem(e);
    }
    puts(text);
    cJSON_free(text);
    return 0;
}

int cli_parse_tokens(const char *text, struct token_list *out, struct err *e)
{
    for (;;) {
        char *end;
        long id = strtol(text, &end, 10);
        if (end == text || id < 0 || id > INT32_MAX) {
            return err_set(e, ERR_INVALID, "--tokens: ids like 1,2,3 are wanted, not \"%.40s\"",
                           text);
        }
        if (token_list_push(out, (int32_t)id) != 0) {
            return err_nomem(e);
        }
        if (*end == '\0') {
            return 0;
        }
        if (*end != ',') {
            return err_set(e, ERR_INVALID, "--tokens: ',' was expected before \"%.40s\"", end);
        }
        text = end + 1;
    }
}
