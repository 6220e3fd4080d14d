/* weir ctl findings: what filters found on a running server, and what other filters would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/chain.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/ctl.h"
#include "runtime/cli/ctl_print.h"
#include "runtime/cli/replay_print.h"

#define TEXTS_BYTES_MAX ((size_t)64 << 20)

/* --- list --- */

static void add_query(struct ctl *c, const char *name, const char *value)
{
    if (value) {
        buf_printf(&c->path, "&%s=", name);
        ctl_escape(&c->path, value);
    }
}

static void add_finding(struct text_table *t, const cJSON *finding)
{
    static const char *const fields[] = {"chain", "version", "side", "name",    "type",
                                         "code",  "verdict", "key",  "request", NULL};
    ctl_add_cell(t, finding, "id");
    ctl_add_time(t, finding, "time");
    for (const char *const *field = fields; *field; field++) {
        ctl_add_cell(t, finding, *field);
    }
    text_table_end_row(t);
}

static int print_findings(const cJSON *all, struct err *e)
{
    static const char *const header[] = {"ID",      "TIME",   "CHAIN",  "VERSION",
                                         "SIDE",    "FILTER", "TYPE",   "CODE",
                                         "VERDICT", "KEY",    "REQUEST"};
    struct text_table t;
    const cJSON *finding;
    text_table_init(&t);
    for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        text_table_add(&t, header[i]);
    }
    text_table_end_row(&t);
    cJSON_ArrayForEach(finding, all)
    {
        add_finding(&t, finding);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

static int list(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    ctl_path(c, "/admin/findings");
    buf_printf(&c->path, "?limit=%ld", c->limit);
    add_query(c, "chain", c->chain);
    add_query(c, "code", c->code);
    add_query(c, "verdict", c->verdict);
    add_query(c, "side", c->side);
    add_query(c, "request", c->request);
    if (c->before > 0) {
        buf_printf(&c->path, "&before=%ld", c->before);
    }
    if (c->with_texts) {
        buf_append_str(&c->path, "&texts=true");
    }
    if (c->json || c->with_texts) {
        int rc = ctl_ask(c, "GET", NULL, e);
        if (rc == 0) {
            ctl_print_answer(c);
        }
        return rc;
    }
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    int rc = root ? print_findings(cJSON_GetObjectItemCaseSensitive(root, "findings"), e) : -1;
    cJSON_Delete(root);
    return rc;
}

/* --- replay --- */

/* Adds the chain that a file holds, as it is, or the name of one on the server. */
static int add_chain(cJSON *body, const char *field, const char *which, struct err *e)
{
    size_t len = strlen(which);
    bool is_file = len > 5 && strcmp(which + len - 5, ".json") == 0;
    cJSON *chain =
        is_file ? json_parse_file(which, CHAIN_MAX_JSON, e) : cJSON_CreateString(which);
    if (!chain) {
        return is_file ? -1 : err_nomem(e);
    }
    cJSON_AddItemToObject(body, field, chain);
    return 0;
}

/* JSON where the file's name says so, else a text a line. */
static cJSON *parse_line(const char *path, const char *line, size_t len, struct err *e)
{
    size_t n = strlen(path);
    if (n > 6 && strcmp(path + n - 6, ".jsonl") == 0) {
        return json_parse(line, len, e);
    }
    char *text = mem_strndup(line, len);
    cJSON *item = text ? cJSON_CreateString(text) : NULL;
    mem_free(text);
    if (!item) {
        err_nomem(e);
    }
    return item;
}

static int add_texts(cJSON *body, const char *path, struct err *e)
{
    size_t len = 0;
    char *text = file_read(path, TEXTS_BYTES_MAX, &len, e);
    cJSON *texts = text ? cJSON_AddArrayToObject(body, "texts") : NULL;
    int rc = texts ? 0 : text ? err_nomem(e) : -1;
    size_t number = 1;
    for (char *line = text; rc == 0 && line && *line; number++) {
        size_t n = strcspn(line, "\r\n");
        cJSON *item = n > 0 ? parse_line(path, line, n, e) : NULL;
        if (item) {
            cJSON_AddItemToArray(texts, item);
        } else if (n > 0) {
            rc = err_prefix(e, "%s:%zu", path, number);
        }
        line += n;
        line += *line == '\r';
        line += *line == '\n';
    }
    mem_free(text);
    return rc;
}

static int replay(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    if (!c->texts == (c->stored == 0)) {
        return ctl_usage(c, e, "either --texts FILE or --stored N is wanted");
    }
    cJSON *body = cJSON_CreateObject();
    int rc = body ? add_chain(body, "chain", arguments[0], e) : err_nomem(e);
    if (rc == 0 && c->against) {
        rc = add_chain(body, "against", c->against, e);
    }
    if (rc == 0 && c->texts) {
        rc = add_texts(body, c->texts, e);
    } else if (rc == 0) {
        cJSON_AddNumberToObject(body, "stored", (double)c->stored);
    }
    if (rc != 0) {
        cJSON_Delete(body);
        return -1;
    }
    if (c->show_text) {
        cJSON_AddTrueToObject(body, "show_text");
    }
    ctl_path(c, "/admin/filters/replay");
    if (ctl_send(c, "POST", body, e) != 0) {
        return -1;
    }
    if (c->json) {
        ctl_print_answer(c);
        return 0;
    }
    cJSON *report = json_parse_large(c->answer.data ? c->answer.data : "", c->answer.len, e);
    rc = report ? replay_print(report, e) : err_prefix(e, "the server's answer");
    cJSON_Delete(report);
    return rc;
}

/* --- the commands --- */

static const struct ctl_command commands[] = {
    {"list", "", 0, 0, " chain code verdict side request before limit with-texts ",
     "what filters found, newest first", list},
    {"replay", "FILE.json|NAME[@VERSION]", 1, 1, " against texts stored show-text ",
     "what this chain would do otherwise than the published one, on texts of a file or on the\n"
     "last ones that the server keeps; nothing is changed",
     replay},
    {.name = NULL},
};

int ctl_findings(int argc, char **argv)
{
    static const struct ctl_command none = {.name = NULL};
    const struct ctl_group group = {.name = "findings",
                                    .summary = "Findings of filters on a running server.",
                                    .common = &none,
                                    .commands = commands};
    char *with_list[64] = {argv[0], (char *)"list"};
    bool is_list = argc < 2 || (argv[1][0] == '-' && strcmp(argv[1], "--help") != 0 &&
                                strcmp(argv[1], "-h") != 0);
    if (!is_list || argc > 60) {
        return ctl_run(&group, argc, argv);
    }
    for (int i = 1; i < argc; i++) {
        with_list[i + 1] = argv[i];
    }
    return ctl_run(&group, argc + 1, with_list);
}
