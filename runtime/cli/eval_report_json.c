#include <math.h>

#include "runtime/cli/eval_report.h"

/* JSON knows no infinity and no NaN. */
static void add_number(cJSON *to, const char *name, double x)
{
    if (isfinite(x)) {
        cJSON_AddNumberToObject(to, name, x);
    } else {
        cJSON_AddNullToObject(to, name);
    }
}

static void add_interval(cJSON *to, const char *name, const struct stats_figure *f)
{
    add_number(to, name, f->value);
    add_number(to, "low", f->low);
    add_number(to, "high", f->high);
}

static void add_figures(cJSON *to, const struct eval_results *r, const struct eval_figure *f)
{
    cJSON *list = cJSON_AddArrayToObject(to, "models");
    for (size_t m = 0; m < r->n_models; m++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddItemToArray(list, one);
        cJSON_AddNumberToObject(one, "lines", (double)f[m].n);
        if (f[m].n == 0) {
            continue;
        }
        add_interval(one, "value", &f[m].figure);
        if (!isnan(f[m].p)) {
            add_number(one, "p_of_zero", f[m].p);
        }
    }
}

static void add_comparisons(cJSON *to, const struct eval_results *r, const struct eval_row *row)
{
    static const char *const names[] = {[EVAL_SHARE] = "difference",
                                        [EVAL_MEAN] = "difference",
                                        [EVAL_PERPLEXITY_OF] = "ratio",
                                        [EVAL_RATIO] = "difference",
                                        [EVAL_ECE] = "difference"};
    const struct eval_measure *measure = eval_row_measure(r, row);
    cJSON *list = r->n_models > 1 ? cJSON_AddArrayToObject(to, "compared_with_first") : NULL;
    for (size_t m = 1; m < r->n_models; m++) {
        const struct eval_comparison *c = &row->comparisons[m];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddItemToArray(list, one);
        cJSON_AddStringToObject(one, "model", r->models[m].label);
        cJSON_AddNumberToObject(one, "lines", (double)c->n);
        add_interval(one, names[measure->statistic], &c->difference);
        if (measure->statistic == EVAL_SHARE) {
            cJSON_AddNumberToObject(one, "gained", (double)c->gained);
            cJSON_AddNumberToObject(one, "lost", (double)c->lost);
        }
        add_number(one, "p", c->p);
        add_number(one, "p_holm", c->holm);
    }
}

static void add_row(cJSON *to, const struct eval_results *r, const struct eval_row *row)
{
    static const char *const statistics[] = {[EVAL_SHARE] = "share",
                                             [EVAL_MEAN] = "mean",
                                             [EVAL_PERPLEXITY_OF] = "perplexity",
                                             [EVAL_RATIO] = "ratio",
                                             [EVAL_ECE] = "calibration_error"};
    static const char *const better[] = {"less", "neither", "more"};
    const struct eval_measure *m = eval_row_measure(r, row);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToArray(to, json);
    cJSON_AddStringToObject(json, "name", m->name);
    cJSON_AddStringToObject(json, "title", m->title);
    cJSON_AddStringToObject(json, "statistic", statistics[m->statistic]);
    cJSON_AddStringToObject(json, "better", better[m->better + 1]);
    add_figures(json, r, row->figures);
    add_comparisons(json, r, row);
    cJSON *groups = row->n_groups > 0 ? cJSON_AddObjectToObject(json, "groups") : NULL;
    for (size_t i = 0; i < row->n_groups; i++) {
        add_figures(cJSON_AddObjectToObject(groups, row->groups[i].name), r,
                    row->groups[i].figures);
    }
}

static void add_bins(cJSON *to, const struct eval_results *r, size_t part)
{
    cJSON *list = cJSON_AddArrayToObject(to, "reliability");
    for (size_t m = 0; m < r->n_models; m++) {
        cJSON *rows = cJSON_CreateArray();
        struct eval_bin bins[EVAL_BINS];
        cJSON_AddItemToArray(list, rows);
        eval_bins(&r->models[m].values[part], bins);
        for (size_t b = 0; b < EVAL_BINS; b++) {
            cJSON *row = cJSON_CreateObject();
            cJSON_AddItemToArray(rows, row);
            add_number(row, "from", bins[b].low);
            cJSON_AddNumberToObject(row, "lines", (double)bins[b].n);
            if (bins[b].n > 0) {
                add_number(row, "confidence", bins[b].confidence);
                add_number(row, "right", bins[b].right);
            }
        }
    }
}

static void add_divergence(cJSON *to, const struct eval_divergence *d)
{
    cJSON *json = cJSON_AddObjectToObject(to, "divergence");
    cJSON_AddNumberToObject(json, "tokens", (double)d->n);
    add_number(json, "kl", d->kl);
    add_number(json, "kl_99", d->kl_99);
    add_interval(json, "top_1_agreement", &d->top);
}

static void add_part(cJSON *to, const struct eval_results *r, size_t part)
{
    const struct eval_part *p = &r->suite->parts[part];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToArray(to, json);
    cJSON_AddStringToObject(json, "name", p->name);
    cJSON_AddStringToObject(json, "kind", eval_kind_name(p->kind));
    cJSON_AddNumberToObject(json, "lines", (double)p->n);
    cJSON *measures = cJSON_AddArrayToObject(json, "measures");
    for (size_t i = 0; i < r->n_rows; i++) {
        if (r->rows[i].part == part) {
            add_row(measures, r, &r->rows[i]);
        }
    }
    if (p->kind == EVAL_CALIBRATION) {
        add_bins(json, r, part);
    }
    if (r->divergence[part].n > 0) {
        add_divergence(json, &r->divergence[part]);
    }
}

cJSON *eval_report_json(const struct eval_results *r)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "suite", r->suite->name);
    cJSON *models = cJSON_AddArrayToObject(root, "models");
    for (size_t m = 0; m < r->n_models; m++) {
        cJSON *model = cJSON_CreateObject();
        cJSON_AddItemToArray(models, model);
        cJSON_AddStringToObject(model, "label", r->models[m].label);
        cJSON_AddStringToObject(model, "source", r->models[m].source);
        if (r->models[m].sha256[0]) {
            cJSON_AddStringToObject(model, "sha256", r->models[m].sha256);
        }
    }
    cJSON *parts = cJSON_AddArrayToObject(root, "parts");
    for (size_t p = 0; p < r->suite->n_parts; p++) {
        add_part(parts, r, p);
    }
    return root;
}
