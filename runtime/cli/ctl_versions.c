#include "runtime/cli/ctl_versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/cli.h"
#include "runtime/cli/ctl_print.h"

#define PAGE 100 /* things a request */

/* --- arguments --- */

bool ctl_versions_is_number(const char *text)
{
    return text[0] && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 15;
}

/* NAME@VERSION; *version is NULL without one. Points into `name`. */
static int split_name(struct ctl *c, char *argument, char **version, struct err *e)
{
    *version = strchr(argument, '@');
    if (*version) {
        *(*version)++ = '\0';
    }
    return argument[0] && (!*version || **version)
               ? 0
               : ctl_usage(c, e, "NAME or NAME@VERSION is wanted");
}

int ctl_versions_add_version(cJSON *body, const char *version, struct err *e)
{
    const cJSON *added = ctl_versions_is_number(version)
                             ? cJSON_AddNumberToObject(body, "version", strtod(version, NULL))
                             : cJSON_AddStringToObject(body, "version", version);
    return added ? 0 : err_nomem(e);
}

cJSON *ctl_versions_body(const char *version)
{
    struct err ignored;
    cJSON *body = cJSON_CreateObject();
    if (ctl_versions_add_version(body, version, &ignored) != 0) {
        cJSON_Delete(body);
        return NULL;
    }
    return body;
}

/* What the thing is at after a change. */
static int print_change(struct ctl *c, struct err *e)
{
    if (c->json || c->answer.len == 0) {
        ctl_print_answer(c);
        return 0;
    }
    cJSON *profile = json_parse(c->answer.data, c->answer.len, e);
    if (!profile) {
        return err_prefix(e, "the server's answer");
    }
    ctl_print_profile(profile);
    cJSON_Delete(profile);
    return 0;
}

/* Without a body. */
static int change(struct ctl *c, const char *method, struct err *e)
{
    return ctl_ask(c, method, NULL, e) == 0 ? print_change(c, e) : -1;
}

int ctl_versions_change(struct ctl *c, const char *method, cJSON *body, struct err *e)
{
    if (!body) {
        return err_nomem(e);
    }
    return ctl_send(c, method, body, e) == 0 ? print_change(c, e) : -1;
}

cJSON *ctl_versions_parse(const char *text, size_t len, struct err *e)
{
    cJSON *root = json_parse(text, len, e);
    if (root && !cJSON_IsObject(root)) {
        err_set(e, ERR_FORMAT, "an object is wanted");
        cJSON_Delete(root);
        root = NULL;
    }
    return root;
}

/* --- commands --- */

static void add_object_row(struct text_table *t, const cJSON *profile, bool has_split)
{
    ctl_add_cell(t, profile, "name");
    ctl_add_cell(t, profile, "active");
    ctl_add_cell(t, profile, "latest");
    ctl_add_cell(t, profile, "versions");
    if (has_split) {
        ctl_add_split(t, profile);
    }
    ctl_add_cell(t, profile, "revision");
    ctl_add_time(t, profile, "updated");
    text_table_end_row(t);
}

static void add_header_row(struct text_table *t, const char *const *names)
{
    for (; *names; names++) {
        text_table_add(t, *names);
    }
    text_table_end_row(t);
}

/* Moves the items of one page to the list in `whole`; how many, or -1. What is served from
 * files is on each page alike. */
static int fetch_page(struct ctl *c, cJSON *whole, struct err *e)
{
    cJSON *all = cJSON_GetObjectItemCaseSensitive(whole, c->things->list);
    const cJSON *last = cJSON_GetArrayItem(all, cJSON_GetArraySize(all) - 1);
    ctl_path(c, c->things->path);
    buf_printf(&c->path, "?limit=%d", PAGE);
    if (last) {
        buf_append_str(&c->path, "&after=");
        ctl_escape(&c->path, ctl_text(last, "name"));
    }
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    if (!root) {
        return -1;
    }
    cJSON *page = cJSON_GetObjectItemCaseSensitive(root, c->things->list);
    int n = cJSON_GetArraySize(page);
    for (int i = 0; i < n; i++) {
        cJSON_AddItemToArray(all, cJSON_DetachItemFromArray(page, 0));
    }
    if (!cJSON_HasObjectItem(whole, "served") && cJSON_HasObjectItem(root, "served")) {
        cJSON_AddItemToObject(whole, "served",
                              cJSON_DetachItemFromObjectCaseSensitive(root, "served"));
    }
    cJSON_Delete(root);
    return n;
}

static int print_objects(const cJSON *all, bool has_split, struct err *e)
{
    static const char *const header[] = {"NAME",  "ACTIVE",   "LATEST",  "VERSIONS",
                                         "SPLIT", "REVISION", "UPDATED", NULL};
    struct text_table t;
    const cJSON *profile;
    text_table_init(&t);
    for (size_t i = 0; header[i]; i++) {
        if (has_split || strcmp(header[i], "SPLIT") != 0) {
            text_table_add(&t, header[i]);
        }
    }
    text_table_end_row(&t);
    cJSON_ArrayForEach(profile, all)
    {
        add_object_row(&t, profile, has_split);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

/* What the store knows nothing of, and requests get all the same. */
static void print_files(const cJSON *root)
{
    const cJSON *served;
    cJSON_ArrayForEach(served, cJSON_GetObjectItemCaseSensitive(root, "served"))
    {
        if (strcmp(ctl_text(served, "from"), "file") == 0) {
            printf("%s is served from a file (sha256 %.12s)\n", ctl_text(served, "name"),
                   ctl_text(served, "sha256"));
        }
    }
}

static int run_list(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    cJSON *root = cJSON_CreateObject();
    cJSON *all = cJSON_AddArrayToObject(root, c->things->list);
    int rc = all ? 0 : err_nomem(e);
    int got = PAGE;
    while (rc == 0 && got == PAGE) {
        got = fetch_page(c, root, e);
        rc = got < 0 ? -1 : 0;
    }
    if (rc == 0) {
        rc = c->json ? cli_print_json(root, e) : print_objects(all, c->things->has_split, e);
    }
    if (rc == 0 && !c->json) {
        print_files(root);
    }
    cJSON_Delete(root);
    return rc;
}

static int run_show(struct ctl *c, char **arguments, int n, struct err *e)
{
    char *version;
    (void)n;
    if (split_name(c, arguments[0], &version, e) != 0) {
        return -1;
    }
    if (version) {
        ctl_path(c, c->things->path, arguments[0], "versions", version);
    } else {
        ctl_path(c, c->things->path, arguments[0]);
    }
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    if (!root) {
        return -1;
    }
    int rc = 0;
    const cJSON *shown =
        version ? root : cJSON_GetObjectItemCaseSensitive(root, c->things->content);
    if (c->json) {
        ctl_print_answer(c);
    } else {
        if (!version) {
            ctl_print_profile(root);
        }
        if (cJSON_IsObject(shown)) {
            rc = c->things->print_version(shown, e);
        }
    }
    cJSON_Delete(root);
    return rc;
}

static int run_diff(struct ctl *c, char **arguments, int n, struct err *e)
{
    ctl_path(c, c->things->path, arguments[0], "diff");
    for (int i = 1; i < n; i++) {
        buf_append_str(&c->path, i == 1 ? "?from=" : "&to=");
        ctl_escape(&c->path, arguments[i]);
    }
    if (ctl_ask(c, "GET", NULL, e) != 0) {
        return -1;
    }
    if (!c->json) {
        ctl_print_answer(c);
        return 0;
    }
    cJSON *root = cJSON_CreateObject();
    int rc = cJSON_AddStringToObject(root, "diff", c->answer.len > 0 ? c->answer.data : "")
                 ? cli_print_json(root, e)
                 : err_nomem(e);
    cJSON_Delete(root);
    return rc;
}

/* Sets a field of the body that the file does not have, or that `always` replaces. */
static int set_field(cJSON *body, const char *field, const char *value, bool always,
                     struct err *e)
{
    if (!value || !value[0] ||
        (!always && cJSON_GetObjectItemCaseSensitive(body, field) != NULL)) {
        return 0;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(body, field);
    return cJSON_AddStringToObject(body, field, value) ? 0 : err_nomem(e);
}

int ctl_versions_put(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    cJSON *body = c->things->read_file(arguments[1], e);
    if (!body) {
        return -1;
    }
    if (set_field(body, "note", c->note, true, e) != 0 ||
        set_field(body, "author", c->actor, false, e) != 0) {
        cJSON_Delete(body);
        return -1;
    }
    ctl_path(c, c->things->path, arguments[0]);
    if (c->no_activate) {
        buf_append_str(&c->path, "?activate=false");
    }
    return ctl_versions_change(c, "PUT", body, e);
}

static int run_activate(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    ctl_path(c, c->things->path, arguments[0], "activate");
    return ctl_versions_change(c, "POST", ctl_versions_body(arguments[1]), e);
}

static int run_rollback(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    ctl_path(c, c->things->path, arguments[0], "rollback");
    return change(c, "POST", e);
}

static int run_label(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    ctl_path(c, c->things->path, arguments[0], "labels", arguments[1]);
    return ctl_versions_change(c, "PUT", ctl_versions_body(arguments[2]), e);
}

static int run_unlabel(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    ctl_path(c, c->things->path, arguments[0], "labels", arguments[1]);
    return change(c, "DELETE", e);
}

static int run_delete(struct ctl *c, char **arguments, int n, struct err *e)
{
    char *version;
    (void)n;
    if (split_name(c, arguments[0], &version, e) != 0) {
        return -1;
    }
    if (version) {
        ctl_path(c, c->things->path, arguments[0], "versions", version);
    } else {
        ctl_path(c, c->things->path, arguments[0]);
    }
    return change(c, "DELETE", e);
}

int ctl_versions_rows(struct ctl *c, const char *field, const char *const *header,
                      const char *const *fields, struct err *e)
{
    struct text_table t;
    const cJSON *item;
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    if (!root) {
        return -1;
    }
    if (c->json) {
        ctl_print_answer(c);
        cJSON_Delete(root);
        return 0;
    }
    text_table_init(&t);
    add_header_row(&t, header);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, field))
    {
        for (const char *const *f = fields; *f; f++) {
            if (strcmp(*f, "time") == 0 || strcmp(*f, "created") == 0) {
                ctl_add_time(&t, item, *f);
            } else if (strcmp(*f, "reason") == 0) {
                text_table_add_whole(&t, ctl_text(item, *f));
            } else {
                ctl_add_cell(&t, item, *f);
            }
        }
        text_table_end_row(&t);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    cJSON_Delete(root);
    return rc;
}

static int run_versions(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    ctl_path(c, c->things->path, arguments[0], "versions");
    buf_printf(&c->path, "?limit=%ld", c->limit);
    return ctl_versions_rows(c, "versions", c->things->version_header,
                             c->things->version_fields, e);
}

static int run_audit(struct ctl *c, char **arguments, int n, struct err *e)
{
    c->kind = c->things->kind;
    return ctl_audit_list(c, arguments, n, e);
}

int ctl_versions_try(struct ctl *c, const char *name, cJSON *body,
                     void (*print)(const cJSON *answer), struct err *e)
{
    ctl_path(c, c->things->path, name, "dry-run");
    if ((body ? ctl_send(c, "POST", body, e) : ctl_ask(c, "POST", NULL, e)) != 0) {
        return -1;
    }
    if (c->json) {
        ctl_print_answer(c);
        return 0;
    }
    cJSON *root = json_parse_large(c->answer.data ? c->answer.data : "", c->answer.len, e);
    if (!root) {
        return err_prefix(e, "the server's answer");
    }
    print(root);
    cJSON_Delete(root);
    return 0;
}

const struct ctl_command ctl_versions_commands[] = {
    {"list", "", 0, 0, " ", "all of them", run_list},
    {"show", "NAME[@VERSION]", 1, 1, " ",
     "one and its active version, or another one\n"
     "VERSION is a number, a label, active or latest.",
     run_show},
    {"versions", "NAME", 1, 1, " limit ", "its versions, newest first", run_versions},
    {"diff", "NAME [FROM [TO]]", 1, 3, " ",
     "what has changed between two versions\n"
     "Without FROM and TO: from the active version to the latest.",
     run_diff},
    {"activate", "NAME VERSION|LABEL", 2, 2, " if-match ", "serve another version",
     run_activate},
    {"rollback", "NAME", 1, 1, " if-match ", "serve the version that was active before",
     run_rollback},
    {"label", "NAME LABEL VERSION", 3, 3, " if-match ", "let a label stand for a version",
     run_label},
    {"unlabel", "NAME LABEL", 2, 2, " if-match ", "remove a label", run_unlabel},
    {"delete", "NAME[@VERSION]", 1, 1, " if-match ", "remove it, or one of its versions",
     run_delete},
    {"audit", "[NAME]", 0, 1, " limit ", "who has changed what, newest first", run_audit},
    {0},
};
