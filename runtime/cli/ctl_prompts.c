/* weir ctl prompts: the owner's system prompts on a running server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/ctl_print.h"
#include "runtime/cli/ctl_versions.h"
#include "runtime/registry/prompt_file.h"

#define PROMPTS "/admin/prompts"

/* --- files --- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

static cJSON *parse_markdown(const char *path, const char *text, size_t len, struct err *e)
{
    struct buf json;
    cJSON *root = NULL;
    buf_init(&json, 8 * PROMPT_FILE_MAX);
    if (prompt_file_to_json(path, text, len, NULL, &json, e) == 0) {
        root = json_parse(json.data, json.len, e);
    }
    buf_deinit(&json);
    return root;
}

cJSON *ctl_prompts_read(const char *path, struct err *e)
{
    const char *shown = strcmp(path, "-") == 0 ? "standard input" : path;
    size_t len = 0;
    char *text = file_read(path, 8 * PROMPT_FILE_MAX, &len, e);
    if (!text) {
        return NULL;
    }
    cJSON *root = NULL;
    if (ends_with(path, ".json")) {
        root = ctl_versions_parse(text, len, e);
        if (!root) {
            err_prefix(e, "%s", path);
        }
    } else {
        /* What comes without a name is JSON if it can be. */
        root = shown != path ? ctl_versions_parse(text, len, e) : NULL;
        root = root ? root : parse_markdown(shown, text, len, e);
    }
    mem_free(text);
    return root;
}

/* --- commands --- */

static void print_dry_run(const cJSON *root)
{
    static const char *const counts[] = {"tokens", "shared_tokens", "context", "left"};
    const cJSON *warning;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const cJSON *count = cJSON_GetObjectItemCaseSensitive(root, counts[i]);
        if (cJSON_IsNumber(count)) {
            printf("%-14s %.0f\n", counts[i], count->valuedouble);
        }
    }
    cJSON_ArrayForEach(warning, cJSON_GetObjectItemCaseSensitive(root, "warnings"))
    {
        if (cJSON_IsString(warning)) {
            printf("warning: %s\n", warning->valuestring);
        }
    }
    printf("\n%s\n", ctl_text(root, "text"));
}

static int run_dry_run(struct ctl *c, char **arguments, int n, struct err *e)
{
    cJSON *body = NULL;
    if (n > 1) {
        body = ctl_prompts_read(arguments[1], e);
        if (!body) {
            return -1;
        }
    }
    return ctl_versions_try(c, arguments[0], body, print_dry_run, e);
}

static int run_split(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    if (!ctl_versions_is_number(arguments[2]) || strlen(arguments[2]) > 3 ||
        atoi(arguments[2]) > 100) {
        return ctl_usage(c, e, "PERCENT is a whole number from 0 to 100; 0 ends the split");
    }
    cJSON *body = ctl_versions_body(arguments[1]);
    if (body && !cJSON_AddNumberToObject(body, "percent", atoi(arguments[2]))) {
        cJSON_Delete(body);
        body = NULL;
    }
    ctl_path(c, PROMPTS, arguments[0], "split");
    return ctl_versions_change(c, "PUT", body, e);
}

#define FILES                                                                                \
    "\nFILE is Markdown with front matter (mode, author, note, variables), plain text, or\n" \
    "NAME.json as PUT " PROMPTS "/NAME takes it; - is standard input."

static const struct ctl_command commands[] = {
    {"put", "NAME FILE", 2, 2, " note no-activate if-match ",
     "a new version, which becomes the active one" FILES, ctl_versions_put},
    {"dry-run", "NAME [FILE]", 1, 2, " ",
     "what the model would read, in text and tokens; nothing is stored\n"
     "Without FILE: of the active version." FILES,
     run_dry_run},
    {"split", "NAME VERSION PERCENT", 3, 3, " if-match ",
     "let a share of the requests have another version\n"
     "0 percent ends it.",
     run_split},
    {0},
};

static const char *const version_header[] = {"VERSION", "CREATED", "MODE", "BYTES",
                                             "AUTHOR",  "NOTE",    NULL};
static const char *const version_fields[] = {"version", "created", "mode", "text_bytes",
                                             "author",  "note",    NULL};

static const struct ctl_things prompts = {.path = PROMPTS,
                                          .list = "profiles",
                                          .kind = "prompt",
                                          .content = "prompt",
                                          .has_split = true,
                                          .version_header = version_header,
                                          .version_fields = version_fields,
                                          .read_file = ctl_prompts_read,
                                          .print_version = ctl_print_version};

int ctl_prompts(int argc, char **argv)
{
    const struct ctl_group group = {.name = "prompts",
                                    .summary = "System prompts of a running server.",
                                    .common = ctl_versions_commands,
                                    .commands = commands,
                                    .things = &prompts};
    return ctl_run(&group, argc, argv);
}
