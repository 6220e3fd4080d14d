/* weir ctl models: the models of a running server, and their versions. */
#include "runtime/cli/ctl_models.h"

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

/* The state, and the share of the requests that a version has: "split 10 % by key". */
static void add_state(struct text_table *t, const cJSON *version, const cJSON *model)
{
    static const char *const names[] = {"split", "shadow"};
    char text[64];
    int len = snprintf(text, sizeof(text), "%.24s", ctl_text(version, "state"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const cJSON *share = cJSON_GetObjectItemCaseSensitive(model, names[i]);
        const cJSON *percent = cJSON_GetObjectItemCaseSensitive(share, "percent");
        const char *by = ctl_text(share, "by");
        if (cJSON_IsNumber(percent) &&
            strcmp(ctl_text(share, "version"), ctl_text(version, "version")) == 0) {
            snprintf(text + len, sizeof(text) - (size_t)len, " %.0f %%%s%.16s",
                     percent->valuedouble, by[0] ? " by " : "", by);
        }
    }
    text_table_add(t, text);
}

/* model: whose version it is. column: its name, shown in a column of its own, or NULL. */
static void add_row(struct text_table *t, const cJSON *version, const cJSON *model,
                    const char *column)
{
    char hash[13];
    if (column) {
        text_table_add(t, column);
    }
    text_table_add(t, ctl_text(version, "version"));
    add_state(t, version, model);
    snprintf(hash, sizeof(hash), "%s", ctl_text(version, "sha256"));
    text_table_add(t, hash);
    ctl_add_cell(t, version, "generation");
    add_labels(t, version);
    ctl_add_cell(t, version, "deprecated");
    ctl_add_cell(t, version, "cutoff");
    text_table_add_whole(t, ctl_text(version, "problem"));
    text_table_end_row(t);
}

static void add_header(struct text_table *t, bool with_models)
{
    static const char *const header[] = {"VERSION", "STATE",      "SHA256", "GENERATION",
                                         "LABELS",  "DEPRECATED", "CUTOFF", "PROBLEM"};
    if (with_models) {
        text_table_add(t, "MODEL");
    }
    for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        text_table_add(t, header[i]);
    }
    text_table_end_row(t);
}

static void add_versions(struct text_table *t, const cJSON *model, const char *column)
{
    const cJSON *version;
    cJSON_ArrayForEach(version, cJSON_GetObjectItemCaseSensitive(model, "versions"))
    {
        add_row(t, version, model, column);
    }
}

/* The model of that name in the answer, or NULL. */
static const cJSON *find_model(const cJSON *root, const char *name)
{
    const cJSON *model;
    cJSON_ArrayForEach(model, cJSON_GetObjectItemCaseSensitive(root, "models"))
    {
        if (strcmp(ctl_text(model, "name"), name) == 0) {
            return model;
        }
    }
    return NULL;
}

/* One model, or all of them if there are several. A server without a repository has one row. */
static void fill_list(struct text_table *t, const cJSON *root, const cJSON *chosen)
{
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(root, "models");
    bool is_table = !chosen && cJSON_GetArraySize(models) > 1;
    const cJSON *model;
    add_header(t, is_table);
    if (!is_table) {
        add_versions(t, chosen ? chosen : root, NULL);
    }
    if (!models) {
        add_row(t, root, root, NULL);
    }
    cJSON_ArrayForEach(model, models)
    {
        if (is_table) {
            add_versions(t, model, ctl_text(model, "name"));
        }
    }
}

static int print_list(const struct ctl *c, const cJSON *root, struct err *e)
{
    struct text_table t;
    const cJSON *chosen = c->model ? find_model(root, c->model) : NULL;
    bool is_only = !cJSON_HasObjectItem(root, "models") && c->model &&
                   strcmp(ctl_text(root, "id"), c->model) == 0; /* of a server without --repo */
    if (c->model && !chosen && !is_only) {
        return err_set(e, ERR_NOT_FOUND, "the server has no model \"%s\"", c->model);
    }
    bool has_several = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "models")) > 1;
    printf("%smodel %s\n", has_several && !c->model ? "default " : "",
           c->model ? c->model : ctl_text(root, "id"));
    text_table_init(&t);
    fill_list(&t, root, chosen);
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
        rc = print_list(c, root, e);
    }
    cJSON_Delete(root);
    return rc;
}

/* "NAME@VERSION" names the model as --model does; what is left is the version. */
const char *ctl_models_take_name(struct ctl *c, char *argument)
{
    char *at = strchr(argument, '@');
    if (!at) {
        return argument;
    }
    *at = '\0';
    c->model = argument;
    return at + 1;
}

/* Starts the path of the model that was named, or else of the default. */
int ctl_models_path(struct ctl *c, const char *part, const char *version, struct err *e)
{
    cJSON *root = c->model ? NULL : ask_models(c, e);
    if (!c->model && !root) {
        return -1;
    }
    const char *name = c->model ? c->model : ctl_text(root, "id");
    if (version) {
        ctl_path(c, MODELS, name, part, version);
    } else {
        ctl_path(c, MODELS, name, part);
    }
    cJSON_Delete(root);
    return 0;
}

static int run_show(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    const char *version = ctl_models_take_name(c, arguments[0]);
    if (ctl_models_path(c, "versions", version, e) != 0) {
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

/* POST with {"version": ...}, which may be NULL. */
static int send_version(struct ctl *c, const char *part, const char *version, struct err *e)
{
    cJSON *body = cJSON_CreateObject();
    if (!body || (version && !cJSON_AddStringToObject(body, "version", version))) {
        cJSON_Delete(body);
        return err_nomem(e);
    }
    if (ctl_models_path(c, part, NULL, e) != 0) {
        cJSON_Delete(body);
        return -1;
    }
    return ctl_send(c, "POST", body, e);
}

static int run_activate(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    const char *version = ctl_models_take_name(c, arguments[0]);
    return send_version(c, "activate", version, e) == 0 ? print_change(c, e) : -1;
}

/* "NAME" or "NAME@VERSION" */
static int send_model(struct ctl *c, const char *part, char *argument, struct err *e)
{
    const char *version = ctl_models_take_name(c, argument);
    bool is_name = version == argument;
    c->model = is_name ? argument : c->model;
    return send_version(c, part, is_name ? NULL : version, e);
}

static int run_load(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    return send_model(c, "load", arguments[0], e) == 0 ? print_change(c, e) : -1;
}

static int run_unload(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    if (send_model(c, "unload", arguments[0], e) != 0) {
        return -1;
    }
    cJSON *root = json_parse(c->answer.data ? c->answer.data : "", c->answer.len, e);
    if (!root) {
        return err_prefix(e, "the server's answer");
    }
    const char *version = ctl_text(root, "version");
    if (c->json) {
        ctl_print_answer(c);
    } else {
        printf("%s: %s%s%s\n", ctl_text(root, "status"), ctl_text(root, "model"),
               version[0] ? "@" : "", version);
    }
    cJSON_Delete(root);
    return 0;
}

static int run_rollback(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    return ctl_models_path(c, "rollback", NULL, e) == 0 && ctl_ask(c, "POST", NULL, e) == 0
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

static int run_audit(struct ctl *c, char **arguments, int n, struct err *e)
{
    c->kind = "model";
    return ctl_audit_list(c, arguments, n, e);
}

static const struct ctl_command commands[] = {
    {"list", "", 0, 0, " model ",
     "the versions of all models, newest first, and what became of each", run_list},
    {"show", "VERSION", 1, 1, " model ",
     "a version: what its owner says, and what its gate found", run_show},
    {"activate", "VERSION|LABEL", 1, 1, " model ",
     "serve another version, once it has been loaded and has passed its gate", run_activate},
    {"rollback", "", 0, 0, " model ", "serve the version that served before", run_rollback},
    {"load", "NAME[@VERSION]", 1, 1, " ",
     "load a model, or a version of it beside the one that serves", run_load},
    {"unload", "NAME[@VERSION]", 1, 1, " ", "unload it, once the requests that it has are over",
     run_unload},
    {"reload", "", 0, 0, " ", "look at the files of the default model's version anew",
     run_reload},
    {"split", "VERSION PERCENT [key|conversation]|off", 1, 3, " model ",
     "give a share of the requests that name no version to another one, by key or by "
     "conversation; off ends it",
     ctl_models_split},
    {"label", "LABEL VERSION|off", 2, 2, " model ",
     "move a label to a version; off: it means again what owners of versions wrote",
     ctl_models_label},
    {"shadow", "[VERSION PERCENT|off]", 0, 2, " model ",
     "run copies of a share of the requests on another version; without arguments: what they "
     "showed",
     ctl_models_shadow},
    {"audit", "[MODEL]", 0, 1, " before limit ", "who has changed what, newest first",
     run_audit},
    {"canary", "[VERSION|promote|rollback]", 0, 1, " model percent plan ",
     "try a version on a share of the requests, end that, or see how it does",
     ctl_models_canary},
    {"diff", "A B", 2, 2,
     " model prompts n parallel max-tokens show out fail-above load api-key ",
     "what two versions answer to the same prompts\n"
     "A and B are versions or labels of the served model, NAME@VERSION, or two model files\n"
     "(paths), which need no server. Answers are greedy; without --prompts a set that comes\n"
     "with Weir is asked. Exit status 1: it did not run, or more than --fail-above changed.",
     ctl_models_diff},
    {0},
};

int ctl_models(int argc, char **argv)
{
    static const struct ctl_command none = {.name = NULL};
    const struct ctl_group group = {.name = "models",
                                    .summary =
                                        "Models of a running server, and their versions. "
                                        "VERSION is one of the default model's,\n"
                                        "of another one with --model NAME or as "
                                        "NAME@VERSION.",
                                    .common = &none,
                                    .commands = commands};
    return ctl_run(&group, argc, argv);
}
