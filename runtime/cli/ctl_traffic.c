/* weir ctl models split, label, shadow: which requests get which version. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/ctl_models.h"
#include "runtime/cli/ctl_print.h"

static int post(struct ctl *c, const char *part, cJSON *body, struct err *e)
{
    if (ctl_models_path(c, part, NULL, e) != 0) {
        cJSON_Delete(body);
        return -1;
    }
    return ctl_send(c, "POST", body, e);
}

static cJSON *read_answer(struct ctl *c, struct err *e)
{
    cJSON *root = json_parse(c->answer.data ? c->answer.data : "", c->answer.len, e);
    if (!root) {
        err_prefix(e, "the server's answer");
    }
    return root;
}

static void print_share(const cJSON *root, const char *name)
{
    const cJSON *share = cJSON_GetObjectItemCaseSensitive(root, name);
    const cJSON *percent = cJSON_GetObjectItemCaseSensitive(share, "percent");
    if (cJSON_IsNumber(percent)) {
        const char *by = ctl_text(share, "by");
        printf("%s: version %s, %.0f %%%s%s\n", name, ctl_text(share, "version"),
               percent->valuedouble, by[0] ? " by " : "", by);
    } else {
        printf("%s: none\n", name);
    }
}

/* What is in force after a change. */
static int print_traffic(struct ctl *c, struct err *e)
{
    if (c->json) {
        ctl_print_answer(c);
        return 0;
    }
    cJSON *root = read_answer(c, e);
    if (!root) {
        return -1;
    }
    const cJSON *label;
    printf("model %s: version %s serves\n", ctl_text(root, "model"), ctl_text(root, "serving"));
    print_share(root, "split");
    print_share(root, "shadow");
    cJSON_ArrayForEach(label, cJSON_GetObjectItemCaseSensitive(root, "moved_labels"))
    {
        printf("label %s: version %s\n", label->string, label->valuestring);
    }
    cJSON_Delete(root);
    return 0;
}

/* "off", or VERSION PERCENT [BY]. NULL: *e says why not. */
static cJSON *share_body(struct ctl *c, char **arguments, int n, struct err *e)
{
    bool is_off = n == 1 && strcmp(arguments[0], "off") == 0;
    if (n == 1 && !is_off) {
        ctl_usage(c, e, "VERSION PERCENT or off is wanted");
        return NULL;
    }
    char *end = NULL;
    long percent = is_off ? 0 : strtol(arguments[1], &end, 10);
    if (!is_off && (end == arguments[1] || (*end && strcmp(end, "%") != 0))) {
        ctl_usage(c, e, "PERCENT must be a number");
        return NULL;
    }
    const char *version = ctl_models_take_name(c, arguments[0]);
    cJSON *body = cJSON_CreateObject();
    bool whole = cJSON_AddNumberToObject(body, "percent", (double)percent) &&
                 (is_off || cJSON_AddStringToObject(body, "version", version)) &&
                 (n < 3 || cJSON_AddStringToObject(body, "by", arguments[2]));
    if (!whole) {
        cJSON_Delete(body);
        err_nomem(e);
        return NULL;
    }
    return body;
}

static int change_share(struct ctl *c, const char *part, char **arguments, int n, struct err *e)
{
    cJSON *body = share_body(c, arguments, n, e);
    return body && post(c, part, body, e) == 0 ? print_traffic(c, e) : -1;
}

int ctl_models_split(struct ctl *c, char **arguments, int n, struct err *e)
{
    return change_share(c, "split", arguments, n, e);
}

int ctl_models_label(struct ctl *c, char **arguments, int n, struct err *e)
{
    (void)n;
    bool is_off = strcmp(arguments[1], "off") == 0;
    const char *version = ctl_models_take_name(c, arguments[1]);
    cJSON *body = cJSON_CreateObject();
    bool whole = cJSON_AddStringToObject(body, "label", arguments[0]) &&
                 (is_off ? cJSON_AddNullToObject(body, "version")
                         : cJSON_AddStringToObject(body, "version", version));
    if (!whole) {
        cJSON_Delete(body);
        return err_nomem(e);
    }
    return post(c, "labels", body, e) == 0 ? print_traffic(c, e) : -1;
}

/* --- the report of a shadow --- */

static double number(const cJSON *o, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0.0;
}

static void print_means(const cJSON *report, const char *name)
{
    const cJSON *side = cJSON_GetObjectItemCaseSensitive(report, name);
    printf("%s: %.1f bytes, %.1f tokens, %.1f tokens/s\n", name, number(side, "mean_bytes"),
           number(side, "mean_tokens"), number(side, "tokens_per_s"));
}

static void print_report(const cJSON *root)
{
    const cJSON *report = cJSON_GetObjectItemCaseSensitive(root, "report");
    const cJSON *item;
    print_share(root, "shadow");
    if (!cJSON_IsObject(report)) {
        return;
    }
    printf("version %s, copies:", ctl_text(report, "version"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(report, "copies"))
    {
        printf(" %s %.0f", item->string, item->valuedouble);
    }
    printf("\n");
    if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(report, "identical_share"))) {
        printf("identical: %.1f %%, ended alike: %.1f %%\n",
               100.0 * number(report, "identical_share"),
               100.0 * number(report, "same_finish_share"));
        print_means(report, "real");
        print_means(report, "copy");
    }
}

int ctl_models_shadow(struct ctl *c, char **arguments, int n, struct err *e)
{
    if (n > 0) {
        return change_share(c, "shadow", arguments, n, e);
    }
    if (ctl_models_path(c, "shadow", NULL, e) != 0) {
        return -1;
    }
    cJSON *root = ctl_ask_json(c, "GET", NULL, e);
    if (!root) {
        return -1;
    }
    if (c->json) {
        ctl_print_answer(c);
    } else {
        print_report(root);
    }
    cJSON_Delete(root);
    return 0;
}
