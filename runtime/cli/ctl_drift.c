/* weir ctl drift: whether the answers of a version stay as they were. */
#include <stdio.h>
#include <string.h>

#include "runtime/cli/ctl.h"
#include "runtime/cli/ctl_print.h"

#define DRIFT "/admin/drift"

/* MODEL[@VERSION] */
struct asked {
    char model[256];
    const char *version; /* or NULL */
};

static int read_asked(struct ctl *c, const char *text, struct asked *a, struct err *e)
{
    if (strlen(text) >= sizeof(a->model)) {
        return ctl_usage(c, e, "MODEL[@VERSION] is too long");
    }
    memcpy(a->model, text, strlen(text) + 1);
    char *at = strchr(a->model, '@');
    a->version = at ? at + 1 : NULL;
    if (at) {
        *at = '\0';
    }
    return a->model[0] ? 0 : ctl_usage(c, e, "MODEL[@VERSION] is wanted");
}

static void add_query(struct ctl *c, const char *name, const char *value)
{
    if (value) {
        buf_printf(&c->path, "&%s=", name);
        ctl_escape(&c->path, value);
    }
}

/* Of the one that there may be in `arguments`, and of --prompt. */
static int begin_path(struct ctl *c, const char *path, char **arguments, int n, struct err *e)
{
    struct asked a = {.model = ""};
    if (n > 0 && read_asked(c, arguments[0], &a, e) != 0) {
        return -1;
    }
    ctl_path(c, path);
    buf_append_str(&c->path, "?");
    add_query(c, "model", a.model[0] ? a.model : NULL);
    add_query(c, "version", a.version);
    add_query(c, "prompt", c->prompt);
    return 0;
}

/* --- numbers --- */

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void add_number(struct text_table *t, const cJSON *object, const char *name)
{
    char text[32];
    snprintf(text, sizeof(text), "%.3g", number(object, name));
    text_table_add(t, cJSON_IsNumber(member(object, name)) ? text : "-");
}

/* One side of a measure: "12 30 61 110 222" or "5 % of 240". */
static void describe(char *out, size_t size, const cJSON *side)
{
    static const char *const percents[] = {"10", "25", "50", "75", "90"};
    const cJSON *list = member(side, "quantiles");
    int len = 0;
    if (number(side, "n") == 0) {
        snprintf(out, size, "-");
    } else if (!list) {
        snprintf(out, size, "%.3g %% of %.0f", 100 * number(side, "share"), number(side, "n"));
    }
    for (size_t i = 0; list && number(side, "n") > 0 && i < 5 && (size_t)len < size; i++) {
        len += snprintf(out + len, size - (size_t)len, i ? " %.3g" : "%.3g",
                        number(list, percents[i]));
    }
}

static void add_side(struct text_table *t, const cJSON *side)
{
    char text[128];
    describe(text, sizeof(text), side);
    text_table_add(t, text);
}

static void add_row(struct text_table *t, const char *const *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text_table_add(t, cells[i]);
    }
    text_table_end_row(t);
}

/* --- list --- */

static void add_series(struct text_table *t, const cJSON *s)
{
    char text[128]; /* the names of all measures */
    const cJSON *baseline = member(s, "baseline"), *m;
    ctl_add_cell(t, s, "model");
    ctl_add_cell(t, s, "version");
    ctl_add_cell(t, s, "prompt");
    ctl_add_cell(t, s, "state");
    snprintf(text, sizeof(text), "%.0f", number(baseline, "answers"));
    text_table_add(t, text);
    ctl_add_time(t, baseline, "taken");
    snprintf(text, sizeof(text), "%.0f", number(s, "looks"));
    text_table_add(t, text);
    size_t len = 0;
    text[0] = '\0';
    cJSON_ArrayForEach(m, member(s, "measures"))
    {
        if (cJSON_IsTrue(member(m, "differs")) && len < sizeof(text)) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, len ? ",%s" : "%s",
                                    ctl_text(m, "measure"));
        }
    }
    text_table_add(t, len ? text : "-");
    text_table_end_row(t);
}

static int list(struct ctl *c, char **arguments, int n, struct err *e)
{
    static const char *const header[] = {"MODEL",    "VERSION", "PROMPT", "STATE",
                                         "BASELINE", "TAKEN",   "LOOKS",  "DIFFERS"};
    if (begin_path(c, DRIFT, arguments, n, e) != 0) {
        return -1;
    }
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    if (!root || c->json) {
        int rc = root ? 0 : -1;
        if (root) {
            ctl_print_answer(c);
        }
        cJSON_Delete(root);
        return rc;
    }
    struct text_table t;
    const cJSON *s;
    text_table_init(&t);
    add_row(&t, header, sizeof(header) / sizeof(header[0]));
    cJSON_ArrayForEach(s, member(root, "series"))
    {
        add_series(&t, s);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    cJSON_Delete(root);
    return rc;
}

/* --- show --- */

static int print_measures(const cJSON *series, struct err *e)
{
    static const char *const header[] = {"MEASURE",    "UNIT",     "BASELINE", "NOW",
                                         "DIFFERENCE", "AT LEAST", "MARGIN",   "ALERT"};
    struct text_table t;
    const cJSON *m;
    text_table_init(&t);
    add_row(&t, header, sizeof(header) / sizeof(header[0]));
    cJSON_ArrayForEach(m, member(series, "measures"))
    {
        ctl_add_cell(&t, m, "measure");
        ctl_add_cell(&t, m, "unit");
        add_side(&t, member(m, "baseline"));
        add_side(&t, member(m, "now"));
        add_number(&t, m, "difference");
        add_number(&t, m, "at_least");
        add_number(&t, m, "margin");
        add_number(&t, m, "alert");
        text_table_end_row(&t);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

static int print_series(const cJSON *s, struct err *e)
{
    const cJSON *baseline = member(s, "baseline");
    const char *by = ctl_text(baseline, "by");
    printf("%s@%s, prompt %s: %s\n", ctl_text(s, "model"), ctl_text(s, "version"),
           ctl_text(s, "prompt"), ctl_text(s, "state"));
    printf("baseline: %.0f answers", number(baseline, "answers"));
    if (strcmp(ctl_text(s, "state"), "taking_baseline") == 0) {
        printf(" of %.0f", number(baseline, "wanted"));
    }
    printf("%s%s; now: %.0f answers, look %.0f\n", by[0] ? ", by " : "", by,
           number(member(s, "now"), "answers"), number(s, "looks"));
    return print_measures(s, e);
}

static int show(struct ctl *c, char **arguments, int n, struct err *e)
{
    if (begin_path(c, DRIFT, arguments, n, e) != 0) {
        return -1;
    }
    buf_append_str(&c->path, c->json ? "&distributions=true" : "");
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    const cJSON *s, *all = member(root, "series");
    int rc = root ? 0 : -1;
    bool is_first = true;
    if (root && c->json) {
        ctl_print_answer(c);
    } else if (root && cJSON_GetArraySize(all) == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "no such answers were seen (see weir ctl drift list)");
    } else if (root) {
        cJSON_ArrayForEach(s, all)
        {
            printf("%s", is_first ? "" : "\n");
            is_first = false;
            rc = rc == 0 ? print_series(s, e) : rc;
        }
    }
    cJSON_Delete(root);
    return rc;
}

/* --- alerts --- */

static int print_alerts(const cJSON *all, struct err *e)
{
    static const char *const header[] = {"NUMBER",  "BEGAN",      "ENDED",   "MODEL",
                                         "VERSION", "PROMPT",     "MEASURE", "BASELINE",
                                         "NOW",     "DIFFERENCE", "AT LEAST"};
    struct text_table t;
    const cJSON *a;
    text_table_init(&t);
    add_row(&t, header, sizeof(header) / sizeof(header[0]));
    cJSON_ArrayForEach(a, all)
    {
        add_number(&t, a, "number");
        ctl_add_time(&t, a, "began");
        ctl_add_time(&t, a, "ended");
        ctl_add_cell(&t, a, "model");
        ctl_add_cell(&t, a, "version");
        ctl_add_cell(&t, a, "prompt");
        ctl_add_cell(&t, a, "measure");
        add_side(&t, member(a, "baseline"));
        add_side(&t, member(a, "now"));
        add_number(&t, a, "difference");
        add_number(&t, a, "at_least");
        text_table_end_row(&t);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

static int alerts(struct ctl *c, char **arguments, int n, struct err *e)
{
    if (begin_path(c, DRIFT "/alerts", arguments, n, e) != 0) {
        return -1;
    }
    buf_printf(&c->path, "&limit=%ld", c->limit);
    if (c->before > 0) {
        buf_printf(&c->path, "&before=%ld", c->before);
    }
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    int rc = root ? 0 : -1;
    if (root && c->json) {
        ctl_print_answer(c);
    } else if (root) {
        rc = print_alerts(member(root, "alerts"), e);
    }
    cJSON_Delete(root);
    return rc;
}

/* --- baseline --- */

static void add_asked(cJSON *object, const struct asked *a, const char *prompt)
{
    cJSON_AddStringToObject(object, "model", a->model);
    if (a->version) {
        cJSON_AddStringToObject(object, "version", a->version);
    }
    if (prompt) {
        cJSON_AddStringToObject(object, "prompt", prompt);
    }
}

static int baseline(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    struct asked a = {.model = ""}, from = {.model = ""};
    if (read_asked(c, arguments[0], &a, e) != 0 ||
        (c->from && read_asked(c, c->from, &from, e) != 0)) {
        return -1;
    }
    if (c->from && c->next) {
        return ctl_usage(c, e, "--next and --from exclude each other");
    }
    if (c->from_prompt && !c->from) {
        return ctl_usage(c, e, "--from-prompt goes with --from");
    }
    cJSON *body = cJSON_CreateObject();
    add_asked(body, &a, c->prompt);
    if (c->from) {
        add_asked(cJSON_AddObjectToObject(body, "from"), &from, c->from_prompt);
    } else {
        cJSON_AddStringToObject(body, "take", c->next ? "next" : "newest");
    }
    ctl_path(c, DRIFT "/baseline");
    if (ctl_send(c, "POST", body, e) != 0) {
        return -1;
    }
    if (c->json) {
        ctl_print_answer(c);
        return 0;
    }
    cJSON *root = json_parse_large(c->answer.data ? c->answer.data : "", c->answer.len, e);
    int rc = root ? print_series(root, e) : err_prefix(e, "the server's answer");
    cJSON_Delete(root);
    return rc;
}

static const struct ctl_command commands[] = {
    {"list", "[MODEL[@VERSION]]", 0, 1, " prompt ",
     "answers that are watched, by version and prompt, and whether they differ", list},
    {"show", "[MODEL[@VERSION]]", 0, 1, " prompt ",
     "their distributions, then and now, and what the test says", show},
    {"alerts", "[MODEL[@VERSION]]", 0, 1, " prompt limit before ",
     "alerts, newest first, with both distributions", alerts},
    {"baseline", "MODEL[@VERSION]", 1, 1, " prompt next from from-prompt ",
     "takes the newest answers as the baseline from now on", baseline},
    {.name = NULL},
};

int ctl_drift(int argc, char **argv)
{
    static const struct ctl_command none = {.name = NULL};
    const struct ctl_group group = {.name = "drift",
                                    .summary = "Whether answers stay as they were.",
                                    .common = &none,
                                    .commands = commands};
    return ctl_run(&group, argc, argv);
}
