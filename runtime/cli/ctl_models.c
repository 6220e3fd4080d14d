/* weir ctl models: the versions of the model that a running server serves. */
#include <stdio.h>
#include <string.h>

#include "runtime/cli/ctl.h"
#include "runtime/cli/ctl_print.h"

#define MODELS "/admin/models"

/* What serves, as a tree, the caller's. NULL: *e says why. */
static cJSON *ask_models(struct ctl *c, struct err *e)
{
    ctl_path(c, MODELS);
    return ctl_ask_json(c, "GET", NULL, e);
}

static void add_labels(struct text_table *t, const cJSON *object)
{
    char text[128] = "";
    const cJSON *label;
    cJSON_ArrayForEach(label, cJSON_GetObjectItemCaseSensitive(object, "labels"))
    {
        size_t len = strlen(text);
        const char *name = cJSON_GetStringValue(label);
        snprintf(text + len, sizeof(text) - len, "%s%.64s", len ? " " : "", name ? name : "");
    }
    text_table_add(t, text);
}

static void add_row(struct text_table *t, const cJSON *version, const char *name)
{
    char hash[13];
    text_table_add(t, name);
    ctl_add_cell(t, version, "state");
    snprintf(hash, sizeof(hash), "%s", ctl_text(version, "sha256"));
    text_table_add(t, hash);
    ctl_add_cell(t, version, "generation");
    add_labels(t, version);
    ctl_add_cell(t, version, "deprecated");
    text_table_add(t, ctl_text(version, "problem"));
    text_table_end_row(t);
}

/* A server without a repository has one row. */
static int print_list(const cJSON *root, struct err *e)
{
    static const char *const header[] = {"VERSION", "STATE",      "SHA256", "GENERATION",
                                         "LABELS",  "DEPRECATED", "PROBLEM"};
    struct text_table t;
    const cJSON *version;
    const cJSON *versions = cJSON_GetObjectItemCaseSensitive(root, "versions");
    text_table_init(&t);
    for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        text_table_add(&t, header[i]);
    }
    text_table_end_row(&t);
    if (!versions) {
        add_row(&t, root, ctl_text(root, "version"));
    }
    cJSON_ArrayForEach(version, versions)
    {
        add_row(&t, version, ctl_text(version, "version"));
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

static int run_list(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    cJSON *root = ask_models(c, e);
    if (!root) {
        return -1;
    }
    int rc = 0;
    if (c->json) {
        ctl_print_answer(c);
    } else {
        printf("model %s\n", ctl_text(root, "id"));
        rc = print_list(root, e);
    }
    cJSON_Delete(root);
    return rc;
}

/* Starts the path of the served model: a server serves one. */
static int model_path(struct ctl *c, const char *part, const char *version, struct err *e)
{
    cJSON *root = ask_models(c, e);
    if (!root) {
        return -1;
    }
    if (version) {
        ctl_path(c, MODELS, ctl_text(root, "id"), part, version);
    } else {
        ctl_path(c, MODELS, ctl_text(root, "id"), part);
    }
    cJSON_Delete(root);
    return 0;
}

static int run_show(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    if (model_path(c, "versions", arguments[0], e) != 0) {
        return -1;
    }
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    if (!root) {
        return -1;
    }
    if (c->json) {
        ctl_print_answer(c);
    } else {
        /* What an owner wrote, and what a gate found, is a tree and best read as one. */
        char *text = cJSON_Print(root);
        printf("%s\n", text ? text : "(out of memory)");
        cJSON_free(text);
    }
    cJSON_Delete(root);
    return 0;
}

static int print_change(struct ctl *c, struct err *e)
{
    if (c->json) {
        ctl_print_answer(c);
        return 0;
    }
    cJSON *root = json_parse(c->answer.data ? c->answer.data : "", c->answer.len, e);
    if (!root) {
        return err_prefix(e, "the server's answer");
    }
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root, "model");
    printf("%s: %s, sha256 %.12s\n", ctl_text(root, "status"), ctl_text(model, "version"),
           ctl_text(model, "sha256"));
    cJSON_Delete(root);
    return 0;
}

static int run_activate(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    cJSON *body = cJSON_CreateObject();
    if (!cJSON_AddStringToObject(body, "version", arguments[0])) {
        cJSON_Delete(body);
        return err_nomem(e);
    }
    if (model_path(c, "activate", NULL, e) != 0) {
        cJSON_Delete(body);
        return -1;
    }
    return ctl_send(c, "POST", body, e) == 0 ? print_change(c, e) : -1;
}

static int run_rollback(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    return model_path(c, "rollback", NULL, e) == 0 && ctl_ask(c, "POST", NULL, e) == 0
               ? print_change(c, e)
               : -1;
}

static int run_reload(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    ctl_path(c, MODELS "/reload");
    return ctl_ask(c, "POST", NULL, e) == 0 ? print_change(c, e) : -1;
}

static const struct ctl_command commands[] = {
    {"list", "", 0, 0, " ", "the versions, newest first, and what became of each", run_list},
    {"show", "VERSION", 1, 1, " ", "a version: what its owner says, and what its gate found",
     run_show},
    {"activate", "VERSION|LABEL", 1, 1, " ",
     "serve another version, once it has been loaded and has passed its gate", run_activate},
    {"rollback", "", 0, 0, " ", "serve the version that served before", run_rollback},
    {"diff", "A B", 2, 2,
     " model prompts n parallel max-tokens show out fail-above load api-key ",
     "what two versions answer to the same prompts\n"
     "A and B are versions or labels of the served model, NAME@VERSION, or two model files\n"
     "(paths), which need no server. Answers are greedy; without --prompts a set that comes\n"
     "with Weir is asked. Exit status 1: it did not run, or more than --fail-above changed.",
     ctl_models_diff},
    {"reload", "", 0, 0, " ", "look at the files of the version that serves anew", run_reload},
    {0},
};

int ctl_models(int argc, char **argv)
{
    static const struct ctl_command none = {.name = NULL};
    const struct ctl_group group = {.name = "models",
                                    .summary = "Versions of the model of a running server.",
                                    .common = &none,
                                    .commands = commands};
    return ctl_run(&group, argc, argv);
}
