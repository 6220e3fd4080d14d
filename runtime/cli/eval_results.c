#include "runtime/cli/eval_results.h"

#include "runtime/base/mem.h"

const struct eval_measure *eval_row_measure(const struct eval_results *r,
                                            const struct eval_row *row)
{
    return eval_measure_of(r->suite->parts[row->part].kind, row->measure);
}

static int summarise(const struct eval_results *r, const struct eval_row *row,
                     const char *group, struct eval_figure *figures, size_t *most,
                     struct err *e)
{
    *most = 0;
    for (size_t m = 0; m < r->n_models; m++) {
        if (eval_summarise(&r->suite->parts[row->part], &r->models[m].values[row->part],
                           row->measure, group, &figures[m], e) != 0) {
            return -1;
        }
        *most = figures[m].n > *most ? figures[m].n : *most;
    }
    return 0;
}

static int add_groups(const struct eval_results *r, struct eval_row *row, struct err *e)
{
    const char **names;
    size_t n, most;
    if (eval_groups(&r->suite->parts[row->part], &names, &n, e) != 0) {
        return -1;
    }
    int rc = 0;
    if (n > 1) {
        row->groups = mem_zarray(n, sizeof(*row->groups));
        rc = row->groups ? 0 : err_nomem(e);
    }
    for (size_t i = 0; rc == 0 && row->groups && i < n; i++) {
        struct eval_group_row *g = &row->groups[row->n_groups];
        g->name = names[i];
        rc = summarise(r, row, names[i], g->figures, &most, e);
        row->n_groups += rc == 0 && most > 0;
    }
    mem_free(names);
    return rc;
}

static int compare(const struct eval_results *r, struct eval_row *row, struct err *e)
{
    const struct eval_model_result *first = &r->models[0];
    for (size_t m = 1; m < r->n_models; m++) {
        if (eval_compare(&r->suite->parts[row->part], &first->values[row->part],
                         &r->models[m].values[row->part], row->measure, &row->comparisons[m],
                         e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int add_row(struct eval_results *r, size_t part, size_t measure, struct err *e)
{
    struct eval_row *row = &r->rows[r->n_rows];
    size_t most;
    *row = (struct eval_row){.part = part, .measure = measure};
    if (summarise(r, row, NULL, row->figures, &most, e) != 0) {
        return -1;
    }
    if (most == 0) {
        return 0;
    }
    r->n_rows++;
    if (measure == 0 && add_groups(r, row, e) != 0) {
        return -1;
    }
    return compare(r, row, e);
}

/* Over everything that one model is compared by. */
static int correct(struct eval_results *r, size_t model, struct err *e)
{
    double *p = mem_zarray(r->n_rows + 1, sizeof(*p));
    if (!p) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < r->n_rows; i++) {
        p[i] = r->rows[i].comparisons[model].p;
    }
    int rc = stats_holm(p, r->n_rows, e);
    for (size_t i = 0; rc == 0 && i < r->n_rows; i++) {
        r->rows[i].comparisons[model].holm = p[i];
    }
    mem_free(p);
    return rc;
}

int eval_results_make(struct eval_results *r, struct err *e)
{
    r->rows = mem_zarray(r->suite->n_parts * EVAL_MEASURES_MAX, sizeof(*r->rows));
    if (!r->rows) {
        return err_nomem(e);
    }
    for (size_t p = 0; p < r->suite->n_parts; p++) {
        for (size_t m = 0; eval_measure_of(r->suite->parts[p].kind, m); m++) {
            if (add_row(r, p, m, e) != 0) {
                return -1;
            }
        }
    }
    for (size_t m = 1; m < r->n_models; m++) {
        if (correct(r, m, e) != 0) {
            return -1;
        }
    }
    return 0;
}

void eval_results_deinit(struct eval_results *r)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        mem_free(r->rows[i].groups);
    }
    mem_free(r->rows);
    for (size_t m = 0; m < r->n_models; m++) {
        for (size_t p = 0; p < EVAL_PARTS_MAX; p++) {
            eval_values_deinit(&r->models[m].values[p]);
        }
    }
    *r = (struct eval_results){0};
}
