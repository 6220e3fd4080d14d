#include "runtime/cli/publish_suite.h"

#include <stdio.h>
#include <string.h>

#include "runtime/cli/self_run.h"

#define REPORT_BYTES_MAX ((size_t)64 << 20)
#define LEVEL            0.05
#define CELL_MAX         96

/* --- running --- */

cJSON *publish_suite_run(const struct publish_place *p, const char *baseline, const char *model,
                         const char *suite, long limit, struct err *e)
{
    char folder[PATH_MAX], report[PATH_MAX], lines[32];
    const char *args[16] = {"eval", "--suite", suite, "--out", folder, "--limit", lines};
    size_t n = 5;
    if (publish_place_path(p, PUBLISH_REPORT_FOLDER, folder, e) != 0 ||
        publish_place_path(p, PUBLISH_REPORT_FOLDER "/report.json", report, e) != 0) {
        return NULL;
    }
    if (limit > 0) {
        snprintf(lines, sizeof(lines), "%ld", limit);
        n = 7;
    }
    if (baseline) {
        args[n++] = "-m";
        args[n++] = baseline;
    }
    args[n++] = "-m";
    args[n++] = model;
    args[n] = NULL;
    return self_run(args, NULL, e) == 0 ? json_parse_file(report, REPORT_BYTES_MAX, e) : NULL;
}

/* --- reading the report --- */

/* NAN where it is not there. */
static double number_of(const cJSON *object, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

static const cJSON *last_of(const cJSON *object, const char *list)
{
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(object, list);
    return cJSON_GetArrayItem(items, cJSON_GetArraySize(items) - 1);
}

static bool is_share(const cJSON *measure)
{
    return strcmp(text_of(measure, "statistic"), "share") == 0;
}

/* --- comparing --- */

/* By how much it is worse, in points or percent; 0 where nothing is better or worse. */
static double loss_of(const cJSON *measure, const cJSON *comparison)
{
    const char *better = text_of(measure, "better");
    double sign = strcmp(better, "more") == 0 ? -1 : strcmp(better, "less") == 0 ? 1 : 0;
    if (is_share(measure)) {
        return sign * 100 * number_of(comparison, "difference");
    }
    bool is_perplexity = strcmp(text_of(measure, "statistic"), "perplexity") == 0;
    return is_perplexity ? sign * 100 * (number_of(comparison, "ratio") - 1) : 0;
}

static int compare_measure(const cJSON *part, const cJSON *measure, double max_loss,
                           struct err *e)
{
    const cJSON *comparison = last_of(measure, "compared_with_first");
    double loss = comparison ? loss_of(measure, comparison) : 0;
    double p = number_of(comparison, "p_holm");
    /* Written so that what is no number is no loss. */
    if (!(loss > max_loss) || !(p < LEVEL)) {
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "worse than the baseline: %s, %s: by %.1f %s (p = %.2g), and at most %g are "
                   "allowed",
                   text_of(part, "name"), text_of(measure, "title"), loss,
                   is_share(measure) ? "points" : "%", p, max_loss);
}

int publish_suite_compare(const cJSON *report, double max_loss, struct err *e)
{
    const cJSON *part, *measure;
    cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(report, "parts"))
    {
        cJSON_ArrayForEach(measure, cJSON_GetObjectItemCaseSensitive(part, "measures"))
        {
            if (compare_measure(part, measure, max_loss, e) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* --- for the card --- */

static void add_value(cJSON *row, const cJSON *measure)
{
    char text[CELL_MAX];
    const cJSON *m = last_of(measure, "models");
    double value = number_of(m, "value"), low = number_of(m, "low"),
           high = number_of(m, "high");
    if (is_share(measure)) {
        snprintf(text, sizeof(text), "%.1f %% (%.1f to %.1f)", 100 * value, 100 * low,
                 100 * high);
    } else {
        snprintf(text, sizeof(text), "%.4g (%.4g to %.4g)", value, low, high);
    }
    cJSON_AddStringToObject(row, "value", text);
    snprintf(text, sizeof(text), "%.0f", number_of(m, "lines"));
    cJSON_AddStringToObject(row, "lines", text);
}

static void add_change(cJSON *row, const cJSON *measure)
{
    char text[CELL_MAX] = "";
    const cJSON *c = last_of(measure, "compared_with_first");
    bool is_ratio = cJSON_HasObjectItem(c, "ratio");
    double change = number_of(c, is_ratio ? "ratio" : "difference");
    double low = number_of(c, "low"), high = number_of(c, "high");
    if (c && is_share(measure)) {
        snprintf(text, sizeof(text), "%+.1f (%+.1f to %+.1f)", 100 * change, 100 * low,
                 100 * high);
    } else if (c) {
        snprintf(text, sizeof(text), "%s%.4g (%.4g to %.4g)", is_ratio ? "x " : "", change, low,
                 high);
    }
    cJSON_AddStringToObject(row, "change", text);
}

cJSON *publish_suite_rows(const cJSON *report)
{
    cJSON *rows = cJSON_CreateArray();
    const cJSON *part, *measure;
    cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(report, "parts"))
    {
        cJSON_ArrayForEach(measure, cJSON_GetObjectItemCaseSensitive(part, "measures"))
        {
            cJSON *row = cJSON_CreateObject();
            cJSON_AddStringToObject(row, "part", text_of(part, "name"));
            cJSON_AddStringToObject(row, "measure", text_of(measure, "title"));
            add_value(row, measure);
            add_change(row, measure);
            cJSON_AddItemToArray(rows, row);
        }
    }
    return rows;
}
