#include <stdio.h>
#include <string.h>

#include "runtime/cli/ctl_models.h"
#include "runtime/cli/ctl_print.h"

/* --- the report --- */

static double number(const cJSON *object, const char *field)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, field));
}

/* before: what stands before the number. */
static void add_number(struct text_table *t, const cJSON *object, const char *field,
                       const char *before)
{
    char text[32];
    snprintf(text, sizeof(text), "%s%.4g", before, number(object, field));
    text_table_add(t, cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(object, field)) ? text
                                                                                      : "-");
}

static void add_interval(struct text_table *t, const cJSON *measure)
{
    char text[64] = "-";
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(measure, "interval");
    const cJSON *high = cJSON_GetObjectItemCaseSensitive(pair, "high");
    if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(pair, "low"))) {
        char end[24] = "inf"; /* too few answers for a limit */
        if (cJSON_IsNumber(high)) {
            snprintf(end, sizeof(end), "%.4g", high->valuedouble);
        }
        snprintf(text, sizeof(text), "%.4g .. %s", number(pair, "low"), end);
    }
    text_table_add(t, text);
}

static void add_measure(struct text_table *t, const cJSON *m)
{
    bool is_ratio = cJSON_HasObjectItem(m, "ratio");
    text_table_add(t, ctl_text(m, "measure"));
    add_number(t, m, "stable", "");
    add_number(t, m, "canary", "");
    add_number(t, m, is_ratio ? "ratio" : "difference", is_ratio ? "x " : "");
    add_interval(t, m);
    add_number(t, m, "margin", is_ratio ? "x " : "");
    text_table_add(t, ctl_text(m, "verdict"));
    text_table_end_row(t);
}

static int print_look(const cJSON *look, struct err *e)
{
    static const char *const header[] = {"MEASURE",  "STABLE", "CANARY", "DIFFERENCE",
                                         "INTERVAL", "MARGIN", "VERDICT"};
    const cJSON *answers = cJSON_GetObjectItemCaseSensitive(look, "answers");
    struct text_table t;
    const cJSON *measure;
    printf("\nlook in step %.0f (%.0f %%), %.0f answers against %.0f: %s\n",
           number(look, "step"), number(look, "percent"), number(answers, "canary"),
           number(answers, "stable"), ctl_text(look, "verdict"));
    text_table_init(&t);
    for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        text_table_add(&t, header[i]);
    }
    text_table_end_row(&t);
    cJSON_ArrayForEach(measure, cJSON_GetObjectItemCaseSensitive(look, "measures"))
    {
        add_measure(&t, measure);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    return rc;
}

static int print_report(const cJSON *root, struct err *e)
{
    const cJSON *answers = cJSON_GetObjectItemCaseSensitive(root, "answers");
    const cJSON *next = cJSON_GetObjectItemCaseSensitive(root, "next_look_at_answers");
    const char *reason = ctl_text(root, "reason");
    printf("%s: canary %s@%s against %s, step %.0f (%.0f %%), %.0f answers against %.0f\n",
           ctl_text(root, "state"), ctl_text(root, "model"), ctl_text(root, "version"),
           ctl_text(root, "stable"), number(root, "step"), number(root, "percent"),
           number(answers, "canary"), number(answers, "stable"));
    if (reason[0]) {
        printf("%s\n", reason);
    }
    if (cJSON_IsNumber(next)) {
        printf("next look at %.0f answers\n", next->valuedouble);
    }
    const cJSON *look;
    int rc = 0;
    cJSON_ArrayForEach(look, cJSON_GetObjectItemCaseSensitive(root, "looks"))
    {
        rc = rc == 0 ? print_look(look, e) : rc;
    }
    return rc;
}

/* --- what is asked for --- */

/* --plan and --percent, with the version. NULL: *e says why. */
static cJSON *begin_body(struct ctl *c, const char *version, struct err *e)
{
    cJSON *body = c->plan ? json_parse(c->plan, strlen(c->plan), e) : cJSON_CreateObject();
    if (!body) {
        if (c->plan) {
            err_prefix(e, "--plan");
        } else {
            err_nomem(e);
        }
        return NULL;
    }
    bool fits = cJSON_IsObject(body) && !cJSON_HasObjectItem(body, "version");
    if (!fits) {
        ctl_usage(c, e, "--plan must be a JSON object, without \"version\"");
    } else if (!cJSON_AddStringToObject(body, "version", version) ||
               (c->percent > 0 &&
                !cJSON_AddNumberToObject(body, "percent", (double)c->percent))) {
        err_nomem(e);
        fits = false;
    }
    if (!fits) {
        cJSON_Delete(body);
        return NULL;
    }
    return body;
}

static cJSON *action_body(const char *action, struct err *e)
{
    cJSON *body = cJSON_CreateObject();
    if (!cJSON_AddStringToObject(body, "action", action)) {
        cJSON_Delete(body);
        err_nomem(e);
        return NULL;
    }
    return body;
}

static int ask(struct ctl *c, char *argument, struct err *e)
{
    const char *what = argument ? ctl_models_take_name(c, argument) : NULL;
    if (ctl_models_path(c, "canary", NULL, e) != 0) {
        return -1;
    }
    if (!what) {
        return ctl_ask(c, "GET", NULL, e);
    }
    bool is_action = strcmp(what, "promote") == 0 || strcmp(what, "rollback") == 0;
    cJSON *body = is_action ? action_body(what, e) : begin_body(c, what, e);
    return body ? ctl_send(c, "POST", body, e) : -1;
}

/* Nothing, a version, "promote" or "rollback". */
int ctl_models_canary(struct ctl *c, char **arguments, int n, struct err *e)
{
    if (ask(c, n > 0 ? arguments[0] : NULL, e) != 0) {
        return -1;
    }
    if (c->json) {
        ctl_print_answer(c);
        return 0;
    }
    cJSON *root = json_parse(c->answer.data ? c->answer.data : "", c->answer.len, e);
    if (!root) {
        return err_prefix(e, "the server's answer");
    }
    int rc = print_report(root, e);
    cJSON_Delete(root);
    return rc;
}
