#include "runtime/cli/eval_report.h"

#include <math.h>
#include <stdio.h>

#include "runtime/cli/cli.h"
#include "runtime/cli/text_table.h"

void eval_cell(char out[EVAL_CELL_MAX], const struct eval_measure *m,
               const struct eval_figure *f)
{
    const struct stats_figure *x = &f->figure;
    out[0] = '\0';
    if (f->n == 0) {
        return;
    }
    if (m->statistic == EVAL_SHARE) {
        snprintf(out, EVAL_CELL_MAX, "%.1f %% (%.1f to %.1f)", 100 * x->value, 100 * x->low,
                 100 * x->high);
    } else {
        snprintf(out, EVAL_CELL_MAX, "%.4g (%.4g to %.4g)", x->value, x->low, x->high);
    }
}

void eval_difference_cell(char out[EVAL_CELL_MAX], const struct eval_measure *m,
                          const struct eval_comparison *c)
{
    const struct stats_figure *x = &c->difference;
    out[0] = '\0';
    if (c->n == 0) {
        return;
    }
    if (m->statistic == EVAL_SHARE) {
        snprintf(out, EVAL_CELL_MAX, "%+.1f (%+.1f to %+.1f)", 100 * x->value, 100 * x->low,
                 100 * x->high);
    } else if (m->statistic == EVAL_PERPLEXITY_OF) {
        snprintf(out, EVAL_CELL_MAX, "x %.4f (%.4f to %.4f)", x->value, x->low, x->high);
    } else {
        snprintf(out, EVAL_CELL_MAX, "%+.4g (%+.4g to %+.4g)", x->value, x->low, x->high);
    }
}

static size_t lines_of(const struct eval_results *r, const struct eval_row *row)
{
    size_t most = 0;
    for (size_t m = 0; m < r->n_models; m++) {
        most = row->figures[m].n > most ? row->figures[m].n : most;
    }
    return most;
}

static void add_number(struct text_table *t, size_t n)
{
    char text[32];
    snprintf(text, sizeof(text), "%zu", n);
    text_table_add(t, text);
}

static void add_comparison(struct text_table *t, const struct eval_measure *m,
                           const struct eval_comparison *c)
{
    char cell[EVAL_CELL_MAX];
    eval_difference_cell(cell, m, c);
    text_table_add(t, cell);
    cell[0] = '\0';
    if (m->statistic == EVAL_SHARE) {
        snprintf(cell, sizeof(cell), "+%zu -%zu", c->gained, c->lost);
    }
    text_table_add(t, cell);
    snprintf(cell, sizeof(cell), "%.2g", c->holm);
    text_table_add(t, cell);
}

static void add_head(struct text_table *t, const struct eval_results *r)
{
    text_table_add(t, "part");
    text_table_add(t, "measure");
    text_table_add(t, "lines");
    for (size_t m = 0; m < r->n_models; m++) {
        text_table_add(t, r->models[m].label);
    }
    if (r->n_models == 2) {
        text_table_add(t, "difference");
        text_table_add(t, "hits");
        text_table_add(t, "p");
    }
    text_table_end_row(t);
}

static void add_row(struct text_table *t, const struct eval_results *r,
                    const struct eval_row *row)
{
    const struct eval_measure *m = eval_row_measure(r, row);
    char cell[EVAL_CELL_MAX];
    text_table_add(t, r->suite->parts[row->part].name);
    text_table_add(t, m->title);
    add_number(t, lines_of(r, row));
    for (size_t i = 0; i < r->n_models; i++) {
        eval_cell(cell, m, &row->figures[i]);
        text_table_add(t, cell);
    }
    if (r->n_models == 2) {
        add_comparison(t, m, &row->comparisons[1]);
    }
    text_table_end_row(t);
}

static void print_notes(const struct eval_results *r)
{
    puts("\nIn brackets: 95 % intervals.");
    if (r->n_models == 2) {
        puts("hits: lines gained and lost. p: of the paired test, by Holm for all rows.");
    }
    for (size_t p = 0; p < r->suite->n_parts; p++) {
        const struct eval_divergence *d = &r->divergence[p];
        if (d->n > 0) {
            printf("%s: over %zu tokens the likeliest one is the same for %.2f %%; KL "
                   "divergence %.3g nats a token, 99 %% below %.3g.\n",
                   r->suite->parts[p].name, d->n, 100 * d->top.value, d->kl, d->kl_99);
        }
        for (size_t m = 0; m < r->n_models; m++) {
            if (r->models[m].was_skipped[p]) {
                printf("%s: not asked of %s: it needs likelihoods, which a server does not "
                       "tell.\n",
                       r->suite->parts[p].name, r->models[m].label);
            }
        }
    }
}

int eval_report_print(const struct eval_results *r, struct err *e)
{
    struct text_table t;
    text_table_init(&t);
    add_head(&t, r);
    for (size_t i = 0; i < r->n_rows; i++) {
        add_row(&t, r, &r->rows[i]);
    }
    int rc = text_table_print(&t, e);
    text_table_deinit(&t);
    if (rc == 0) {
        print_notes(r);
    }
    return rc;
}

/* --- one set of questions --- */

static void print_skill(const char *name, const struct eval_figure *f)
{
    printf("%-24s %7.0f %7zu %8.1f\n", name, round(f->figure.value * (double)f->n), f->n,
           100 * f->figure.value);
}

void eval_report_print_set(const struct eval_results *r)
{
    const struct eval_row *row = &r->rows[0];
    printf("%-24s %7s %7s %8s\n", "skill", "right", "of", "percent");
    for (size_t i = 0; i < row->n_groups; i++) {
        print_skill(row->groups[i].name, &row->groups[i].figures[0]);
    }
    if (row->n_groups == 0) {
        print_skill(r->suite->parts[0].items[0].group, &row->figures[0]);
    }
    print_skill("total", &row->figures[0]);
}

static void add_set_result(cJSON *to, const struct eval_figure *f)
{
    double right = round(f->figure.value * (double)f->n);
    cJSON_AddNumberToObject(to, "right", right);
    cJSON_AddNumberToObject(to, "of", (double)f->n);
    cJSON_AddNumberToObject(to, "percent", 100 * right / (double)f->n);
}

int eval_report_print_set_json(const struct eval_results *r, struct err *e)
{
    const struct eval_row *row = &r->rows[0];
    cJSON *root = cJSON_CreateObject();
    add_set_result(root, &row->figures[0]);
    cJSON *skills = cJSON_AddObjectToObject(root, "skills");
    for (size_t i = 0; i < row->n_groups; i++) {
        add_set_result(cJSON_AddObjectToObject(skills, row->groups[i].name),
                       &row->groups[i].figures[0]);
    }
    if (row->n_groups == 0) {
        add_set_result(cJSON_AddObjectToObject(skills, r->suite->parts[0].items[0].group),
                       &row->figures[0]);
    }
    int rc = cli_print_json(root, e);
    cJSON_Delete(root);
    return rc;
}
