/* weir ctl filters: the owner's filter chains on a running server. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/ctl_print.h"
#include "runtime/cli/ctl_versions.h"

#define FILTERS        "/admin/filters"
#define CHAIN_FILE_MAX ((size_t)8 << 20)
#define TEXT_MAX       ((size_t)4 << 20)

cJSON *ctl_filters_read(const char *path, struct err *e)
{
    size_t len = 0;
    char *text = file_read(path, CHAIN_FILE_MAX, &len, e);
    cJSON *root = text ? ctl_versions_parse(text, len, e) : NULL;
    if (text && !root) {
        err_prefix(e, "%s", strcmp(path, "-") == 0 ? "standard input" : path);
    }
    mem_free(text);
    return root;
}

/* Of a version its origin in a table, then the chain; of what is active the chain alone. */
static int print_version(const cJSON *version, struct err *e)
{
    const cJSON *chain = cJSON_GetObjectItemCaseSensitive(version, "chain");
    if (chain && ctl_print_origin(version, e) != 0) {
        return -1;
    }
    char *text = cJSON_Print(chain ? chain : version);
    if (!text) {
        return err_nomem(e);
    }
    printf("%s%s\n", chain ? "\n" : "", text);
    cJSON_free(text);
    return 0;
}

/* --- trying --- */

/* What happened, line by line, and then what is left of the text. */
static void print_trial(const cJSON *root)
{
    const cJSON *event;
    cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(root, "events"))
    {
        const char *message = ctl_text(event, "message");
        const cJSON *from = cJSON_GetObjectItemCaseSensitive(event, "from");
        const cJSON *to = cJSON_GetObjectItemCaseSensitive(event, "to");
        const cJSON *filter = cJSON_GetObjectItemCaseSensitive(event, "filter");
        printf("%-8s filters[%.0f] %s %.0f-%.0f %s%s%s\n", ctl_text(event, "verdict"),
               cJSON_GetNumberValue(filter), ctl_text(event, "type"),
               cJSON_GetNumberValue(from), cJSON_GetNumberValue(to), ctl_text(event, "code"),
               message[0] ? ": " : "", message);
    }
    printf("\n%s\n", ctl_text(root, "text"));
}

static int fill_trial(struct ctl *c, cJSON *body, const char *version, const char *path,
                      struct err *e)
{
    size_t len = 0;
    char *text = file_read(path, TEXT_MAX, &len, e);
    if (!text) {
        return -1;
    }
    bool is_added = cJSON_AddStringToObject(body, "text", text) &&
                    (!c->side || cJSON_AddStringToObject(body, "side", c->side));
    mem_free(text);
    if (!is_added) {
        return err_nomem(e);
    }
    if (c->chain) {
        cJSON *chain = ctl_filters_read(c->chain, e);
        return chain && cJSON_AddItemToObject(body, "chain", chain) ? 0 : -1;
    }
    return version ? ctl_versions_add_version(body, version, e) : 0;
}

static int run_try(struct ctl *c, char **arguments, int n, struct err *e)
{
    char *version = strchr(arguments[0], '@');
    if (version) {
        *version++ = '\0';
    }
    if (version && c->chain) {
        return ctl_usage(c, e, "a version and --chain cannot both be tried");
    }
    cJSON *body = cJSON_CreateObject();
    if (!body || fill_trial(c, body, version, n > 1 ? arguments[1] : "-", e) != 0) {
        cJSON_Delete(body);
        return body ? -1 : err_nomem(e);
    }
    return ctl_versions_try(c, arguments[0], body, print_trial, e);
}

static const struct ctl_command commands[] = {
    {"put", "NAME FILE", 2, 2, " note no-activate if-match ",
     "a new version, which becomes the active one\n"
     "FILE is a chain in JSON (docs/filters.md) that names no files; - is standard input.",
     ctl_versions_put},
    {"try", "NAME[@VERSION] [FILE]", 1, 2, " side chain ",
     "what the chain makes of a text; nothing is stored\n"
     "Without FILE the text is read from standard input.",
     run_try},
    {0},
};

static const char *const version_header[] = {"VERSION", "CREATED", "FILTERS", "BYTES",
                                             "AUTHOR",  "NOTE",    NULL};
static const char *const version_fields[] = {"version", "created", "filters", "bytes",
                                             "author",  "note",    NULL};

static const struct ctl_things chains = {.path = FILTERS,
                                         .list = "chains",
                                         .kind = "filters",
                                         .content = "chain",
                                         .version_header = version_header,
                                         .version_fields = version_fields,
                                         .read_file = ctl_filters_read,
                                         .print_version = print_version};

int ctl_filters(int argc, char **argv)
{
    const struct ctl_group group = {.name = "filters",
                                    .summary = "Filter chains of a running server.",
                                    .common = ctl_versions_commands,
                                    .commands = commands,
                                    .things = &chains};
    return ctl_run(&group, argc, argv);
}
