/* weir ctl feedback: what users said of answers. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/cli/ctl.h"
#include "runtime/cli/ctl_print.h"

#define FEEDBACK "/admin/feedback"

static void add_query(struct ctl *c, const char *name, const char *value)
{
    if (value) {
        buf_printf(&c->path, "&%s=", name);
        ctl_escape(&c->path, value);
    }
}

static void begin_path(struct ctl *c, const char *part)
{
    if (part) {
        ctl_path(c, FEEDBACK, part);
    } else {
        ctl_path(c, FEEDBACK);
    }
    buf_append_str(&c->path, "?");
    add_query(c, "user", c->user);
    add_query(c, "key", c->key);
    add_query(c, "answer", c->answer_id);
}

/* --- list --- */

static void add_row(struct text_table *t, const cJSON *f)
{
    const char *said = ctl_text(f, "correction")[0] ? "correction"
                       : ctl_text(f, "over")[0]     ? "better than"
                                                    : ctl_text(f, "thumb");
    ctl_add_cell(t, f, "id");
    ctl_add_time(t, f, "time");
    ctl_add_cell(t, f, "key");
    ctl_add_cell(t, f, "user");
    ctl_add_cell(t, f, "model");
    ctl_add_cell(t, f, "answer");
    text_table_add(t, said);
    text_table_add(t,
                   cJSON_IsString(cJSON_GetObjectItemCaseSensitive(f, "text")) ? "yes" : "no");
    ctl_add_cell(t, f, "comment");
    text_table_end_row(t);
}

static int print_rows(const cJSON *rows, struct err *e)
{
    static const char *const header[] = {"ID",     "TIME", "KEY",  "USER",   "MODEL",
                                         "ANSWER", "SAID", "TEXT", "COMMENT"};
    struct text_table t;
    const cJSON *row;
    text_table_init(&t);
    for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        text_table_add(&t, header[i]);
    }
    text_table_end_row(&t);
    cJSON_ArrayForEach(row, rows)
    {
        add_row(&t, row);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

static int run_list(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    begin_path(c, NULL);
    buf_printf(&c->path, "&limit=%ld", c->limit);
    if (c->before > 0) {
        buf_printf(&c->path, "&before=%ld", c->before);
    }
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    int rc = root ? 0 : -1;
    if (root && c->json) {
        ctl_print_answer(c);
    } else if (root) {
        rc = print_rows(cJSON_GetObjectItemCaseSensitive(root, "feedback"), e);
    }
    cJSON_Delete(root);
    return rc;
}

/* --- export --- */

static int print_example(FILE *to, const cJSON *example, struct err *e)
{
    char *line = cJSON_PrintUnformatted(example);
    int rc = line ? 0 : err_nomem(e);
    if (line && fprintf(to, "%s\n", line) < 0) {
        rc = err_set(e, ERR_IO, "the output cannot be written");
    }
    cJSON_free(line);
    return rc;
}

/* *after: where the next page begins; 0 behind the last one. */
static int export_page(struct ctl *c, FILE *to, double *after, long *count, struct err *e)
{
    begin_path(c, "export");
    buf_printf(&c->path, "&after=%.0f%s", *after, c->pairs ? "&pairs=true" : "");
    if (ctl_ask(c, "GET", NULL, e) != 0) {
        return -1;
    }
    cJSON *root = json_parse_large(c->answer.data ? c->answer.data : "", c->answer.len, e);
    if (!root) {
        return err_prefix(e, "the server's answer");
    }
    const cJSON *example, *next = cJSON_GetObjectItemCaseSensitive(root, "next");
    int rc = 0;
    cJSON_ArrayForEach(example, cJSON_GetObjectItemCaseSensitive(root, "examples"))
    {
        rc = rc == 0 ? print_example(to, example, e) : rc;
        (*count)++;
    }
    *after = cJSON_IsNumber(next) ? next->valuedouble : 0;
    cJSON_Delete(root);
    return rc;
}

static int run_export(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)arguments;
    (void)n;
    double after = 0;
    long count = 0;
    int rc = 0;
    FILE *to = c->out ? fopen(c->out, "we") : stdout;
    if (!to) {
        return err_set(e, ERR_IO, "%s: cannot be written", c->out);
    }
    do {
        rc = export_page(c, to, &after, &count, e);
    } while (rc == 0 && after > 0);
    int ended = c->out ? fclose(to) : fflush(stdout);
    if (ended != 0 && rc == 0) {
        rc = err_set(e, ERR_IO, "%s: cannot be written", c->out ? c->out : "the output");
    }
    if (rc == 0 && c->out) {
        fprintf(stderr, "%s: %ld examples\n", c->out, count);
    }
    return rc;
}

/* --- delete --- */

static int run_delete(struct ctl *c, char **arguments, int n, struct err *e)
{
    if (!c->user == (n == 0)) {
        return ctl_usage(c, e, "either an ID or --user is wanted");
    }
    begin_path(c, NULL);
    add_query(c, "id", n > 0 ? arguments[0] : NULL);
    cJSON *root = ctl_ask_json(c, "DELETE", NULL, e);
    if (!root) {
        return -1;
    }
    const cJSON *deleted = cJSON_GetObjectItemCaseSensitive(root, "deleted");
    if (c->json) {
        ctl_print_answer(c);
    } else {
        printf("%.0f deleted\n", cJSON_IsNumber(deleted) ? deleted->valuedouble : 0);
    }
    cJSON_Delete(root);
    return 0;
}

static const struct ctl_command commands[] = {
    {"list", "", 0, 0, " user key answer before limit ", "what users said, newest first",
     run_list},
    {"export", "", 0, 0, " pairs user key out ",
     "examples to learn from, a line each: pairs for weir align, and with a thumb alone an\n"
     "answer with a label",
     run_export},
    {"delete", "[ID]", 0, 1, " user key ", "one, or all that a user has said", run_delete},
    {.name = NULL},
};

int ctl_feedback(int argc, char **argv)
{
    static const struct ctl_command none = {.name = NULL};
    const struct ctl_group group = {.name = "feedback",
                                    .summary =
                                        "What users of a running server said of answers.",
                                    .common = &none,
                                    .commands = commands};
    return ctl_run(&group, argc, argv);
}
