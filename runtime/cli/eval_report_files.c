#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "models/lineage/lineage.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/base/svg_plot.h"
#include "runtime/cli/eval_report.h"

#define REPORT_BYTES_MAX  ((size_t)64 << 20)
#define ANSWERS_BYTES_MAX ((size_t)1 << 30)

/* --- plots --- */

/* All shares in percent, a point with its interval for each model. Side by side, so that
 * intervals do not lie on each other. */
static int plot_shares(const struct eval_results *r, const char *path, struct err *e)
{
    size_t n = 0;
    const char **names = mem_zarray(r->n_rows + 1, sizeof(*names));
    char(*texts)[160] = mem_zarray(r->n_rows + 1, sizeof(*texts));
    double *x = mem_zarray(4 * EVAL_MODELS_MAX * r->n_rows + 1, sizeof(*x));
    struct svg_series series[EVAL_MODELS_MAX];
    int rc = names && texts && x ? 0 : err_nomem(e);
    for (size_t i = 0; rc == 0 && i < r->n_rows; i++) {
        const struct eval_row *row = &r->rows[i];
        const struct eval_measure *m = eval_row_measure(r, row);
        if (m->statistic != EVAL_SHARE) {
            continue;
        }
        snprintf(texts[n], sizeof(texts[n]), "%s: %s", r->suite->parts[row->part].name,
                 m->name);
        names[n] = texts[n];
        for (size_t k = 0; k < r->n_models; k++) {
            const struct eval_figure *f = &row->figures[k];
            double *to = x + 4 * k * r->n_rows + n;
            to[0] = (double)n + 0.12 * ((double)k - (double)(r->n_models - 1) / 2);
            to[r->n_rows] = f->n > 0 ? 100 * f->figure.value : NAN;
            to[2 * r->n_rows] = 100 * f->figure.low;
            to[3 * r->n_rows] = 100 * f->figure.high;
        }
        n++;
    }
    for (size_t k = 0; rc == 0 && k < r->n_models; k++) {
        const double *of = x + 4 * k * r->n_rows;
        series[k] = (struct svg_series){.name = r->models[k].label,
                                        .mark = SVG_POINTS,
                                        .n = n,
                                        .x = of,
                                        .y = of + r->n_rows,
                                        .low = of + 2 * r->n_rows,
                                        .high = of + 3 * r->n_rows};
    }
    const struct svg_plot plot = {.title = r->suite->name,
                                  .y = {.label = "percent", .max = 100},
                                  .categories = names,
                                  .n_categories = n,
                                  .series = series,
                                  .n_series = r->n_models};
    rc = rc == 0 && n > 0 ? svg_plot_write(&plot, 1, path, e) : rc;
    mem_free(names);
    mem_free(texts);
    mem_free(x);
    return rc;
}

/* Shares that are right against confidence; where they lie on the diagonal, the model knows
 * what it knows. */
static int plot_reliability(const struct eval_results *r, size_t part, const char *path,
                            struct err *e)
{
    static const double ends[] = {0, 1};
    double x[EVAL_MODELS_MAX][EVAL_BINS], y[EVAL_MODELS_MAX][EVAL_BINS];
    double low[EVAL_MODELS_MAX][EVAL_BINS], high[EVAL_MODELS_MAX][EVAL_BINS];
    struct svg_series series[EVAL_MODELS_MAX + 1] = {
        {.name = "perfect", .mark = SVG_LINE, .n = 2, .x = ends, .y = ends}};
    for (size_t m = 0; m < r->n_models; m++) {
        struct eval_bin bins[EVAL_BINS];
        size_t n = 0;
        eval_bins(&r->models[m].values[part], bins);
        for (size_t b = 0; b < EVAL_BINS; b++) {
            if (bins[b].n > 0) {
                size_t hits = (size_t)lround(bins[b].right * (double)bins[b].n);
                struct stats_figure share = stats_share(hits, bins[b].n);
                x[m][n] = bins[b].confidence;
                y[m][n] = share.value;
                low[m][n] = share.low;
                high[m][n++] = share.high;
            }
        }
        series[m + 1] = (struct svg_series){.name = r->models[m].label,
                                            .mark = SVG_POINTS,
                                            .n = n,
                                            .x = x[m],
                                            .y = y[m],
                                            .low = low[m],
                                            .high = high[m]};
    }
    const struct svg_plot plot = {.title = r->suite->parts[part].name,
                                  .x = {.label = "confidence", .max = 1},
                                  .y = {.label = "share that is right", .max = 1},
                                  .series = series,
                                  .n_series = r->n_models + 1};
    return svg_plot_write(&plot, 1, path, e);
}

/* --- answers --- */

static int add_answer(struct buf *out, const struct eval_results *r, size_t model, size_t part,
                      size_t line, struct err *e)
{
    const struct eval_part *p = &r->suite->parts[part];
    const struct eval_values *v = &r->models[model].values[part];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "model", r->models[model].label);
    cJSON_AddStringToObject(json, "part", p->name);
    cJSON_AddNumberToObject(json, "line", (double)p->items[line].line);
    cJSON_AddStringToObject(json, "group", p->items[line].group);
    cJSON_AddStringToObject(json, "asked", eval_item_shown(&p->items[line]));
    if (v->answers[line]) {
        cJSON_AddStringToObject(json, "answer", v->answers[line]);
    }
    cJSON *values = cJSON_AddObjectToObject(json, "values");
    for (size_t m = 0; eval_measure_of(p->kind, m); m++) {
        double x = v->of[m].value[line];
        if (isfinite(x)) {
            cJSON_AddNumberToObject(values, eval_measure_of(p->kind, m)->name, x);
        }
    }
    char *text = cJSON_PrintUnformatted(json);
    int rc = text && buf_append_str(out, text) == 0 && buf_append_char(out, '\n') == 0
                 ? 0
                 : err_nomem(e);
    cJSON_free(text);
    cJSON_Delete(json);
    return rc;
}

static int write_answers(const struct eval_results *r, const char *path, struct err *e)
{
    struct buf out;
    int rc = 0;
    buf_init(&out, ANSWERS_BYTES_MAX);
    for (size_t m = 0; m < r->n_models; m++) {
        for (size_t p = 0; p < r->suite->n_parts; p++) {
            for (size_t i = 0; rc == 0 && i < r->suite->parts[p].n; i++) {
                rc = add_answer(&out, r, m, p, i, e);
            }
        }
    }
    rc = rc == 0 ? file_write_atomic(path, out.data ? out.data : "", out.len, e) : rc;
    buf_deinit(&out);
    return rc;
}

/* --- the folder --- */

static int write_json(const struct eval_results *r, const char *path, struct err *e)
{
    cJSON *json = eval_report_json(r);
    char *text = cJSON_Print(json);
    int rc = text ? file_write_atomic(path, text, strlen(text), e) : err_nomem(e);
    cJSON_free(text);
    cJSON_Delete(json);
    return rc;
}

static int write_markdown(const struct eval_results *r, const char *path, struct err *e)
{
    struct buf out;
    buf_init(&out, REPORT_BYTES_MAX);
    int rc = eval_report_markdown(r, &out, e);
    rc = rc == 0 ? file_write_atomic(path, out.data, out.len, e) : rc;
    buf_deinit(&out);
    return rc;
}

static int write_lineage(const struct eval_results *r, const char *path, bool has_files,
                         struct err *e)
{
    struct lineage *l = lineage_create("eval");
    lineage_option(l, "suite", r->suite->name);
    lineage_parent(l, "suite", r->suite->path);
    for (size_t p = 0; p < r->suite->n_parts; p++) {
        for (int i = 0; i < 2; i++) {
            const char *file = r->suite->parts[p].files[i];
            if (file && strcmp(file, r->suite->path) != 0) {
                lineage_parent(l, "questions", file);
            }
        }
    }
    for (size_t m = 0; has_files && m < r->n_models; m++) {
        lineage_parent(l, "model", r->models[m].source);
    }
    int rc = lineage_write(l, path, e);
    lineage_destroy(l);
    return rc;
}

static int write_reliability(const struct eval_results *r, const char *folder, struct err *e)
{
    for (size_t p = 0; p < r->suite->n_parts; p++) {
        char path[PATH_MAX], name[EVAL_NAME_MAX + 32];
        snprintf(name, sizeof(name), "%s-reliability.svg", r->suite->parts[p].name);
        if (r->suite->parts[p].kind == EVAL_CALIBRATION &&
            (file_join(path, sizeof(path), folder, name, e) != 0 ||
             plot_reliability(r, p, path, e) != 0)) {
            return -1;
        }
    }
    return 0;
}

int eval_report_write(const struct eval_results *r, const char *folder, struct err *e)
{
    char json[PATH_MAX], markdown[PATH_MAX], answers[PATH_MAX], shares[PATH_MAX];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return err_set_errno(e, errno, "%s: the folder cannot be made", folder);
    }
    if (file_join(json, sizeof(json), folder, "report.json", e) != 0 ||
        file_join(markdown, sizeof(markdown), folder, "report.md", e) != 0 ||
        file_join(answers, sizeof(answers), folder, "answers.jsonl", e) != 0 ||
        file_join(shares, sizeof(shares), folder, "shares.svg", e) != 0) {
        return -1;
    }
    if (write_json(r, json, e) != 0 || write_markdown(r, markdown, e) != 0 ||
        write_answers(r, answers, e) != 0 || plot_shares(r, shares, e) != 0 ||
        write_reliability(r, folder, e) != 0) {
        return -1;
    }
    return write_lineage(r, json, r->models[0].sha256[0] != '\0', e);
}
