#include <math.h>
#include <stdio.h>

#include "runtime/cli/eval_report.h"

/* Text in a cell of a table, or in a paragraph: nothing of it is markup. */
static void add_text(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '|' || *c == '\\' || *c == '<' || *c == '*' || *c == '_' || *c == '`' ||
            *c == '[') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, (unsigned char)*c < 0x20 ? ' ' : *c);
    }
}

static void add_cell(struct buf *out, const char *text)
{
    buf_append_str(out, " ");
    add_text(out, text);
    buf_append_str(out, " |");
}

static void add_rule(struct buf *out, size_t columns)
{
    buf_append_str(out, "\n|");
    for (size_t i = 0; i < columns; i++) {
        buf_append_str(out, "---|");
    }
    buf_append_char(out, '\n');
}

static void add_models(struct buf *out, const struct eval_results *r)
{
    buf_append_str(out, "| model | source | SHA-256 |");
    add_rule(out, 3);
    for (size_t m = 0; m < r->n_models; m++) {
        buf_append_str(out, "|");
        add_cell(out, r->models[m].label);
        add_cell(out, r->models[m].source);
        add_cell(out, r->models[m].sha256);
        buf_append_char(out, '\n');
    }
}

static void add_labels(struct buf *out, const struct eval_results *r, const char *first)
{
    buf_append_str(out, "\n|");
    add_cell(out, first);
    add_cell(out, "lines");
    for (size_t m = 0; m < r->n_models; m++) {
        add_cell(out, r->models[m].label);
    }
    add_rule(out, 2 + r->n_models);
}

static void add_figures(struct buf *out, const struct eval_results *r, const char *name,
                        const struct eval_measure *m, const struct eval_figure *f)
{
    char cell[EVAL_CELL_MAX];
    size_t most = 0;
    for (size_t i = 0; i < r->n_models; i++) {
        most = f[i].n > most ? f[i].n : most;
    }
    buf_append_str(out, "|");
    add_cell(out, name);
    buf_printf(out, " %zu |", most);
    for (size_t i = 0; i < r->n_models; i++) {
        eval_cell(cell, m, &f[i]);
        add_cell(out, cell);
    }
    buf_append_char(out, '\n');
}

static const char *wish(const struct eval_measure *m)
{
    return m->better > 0 ? "more is better" : m->better < 0 ? "less is better" : "";
}

static void add_measures(struct buf *out, const struct eval_results *r, size_t part)
{
    add_labels(out, r, "measure");
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct eval_measure *m = eval_row_measure(r, &r->rows[i]);
        char title[160];
        snprintf(title, sizeof(title), "%s%s%s", m->title, m->better ? ", " : "", wish(m));
        if (r->rows[i].part == part) {
            add_figures(out, r, title, m, r->rows[i].figures);
        }
    }
}

static void add_groups(struct buf *out, const struct eval_results *r, size_t part)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct eval_row *row = &r->rows[i];
        if (row->part != part || row->n_groups == 0) {
            continue;
        }
        buf_printf(out, "\nBy group, %s:\n", eval_row_measure(r, row)->title);
        add_labels(out, r, "group");
        for (size_t g = 0; g < row->n_groups; g++) {
            add_figures(out, r, row->groups[g].name, eval_row_measure(r, row),
                        row->groups[g].figures);
        }
    }
}

static void add_comparisons(struct buf *out, const struct eval_results *r, size_t model)
{
    buf_append_str(out, "\n## ");
    add_text(out, r->models[model].label);
    buf_append_str(out, " compared with ");
    add_text(out, r->models[0].label);
    buf_append_str(out, "\n\n| part | measure | lines | difference | gained | lost | p | "
                        "p, Holm |");
    add_rule(out, 8);
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct eval_row *row = &r->rows[i];
        const struct eval_comparison *c = &row->comparisons[model];
        const struct eval_measure *m = eval_row_measure(r, row);
        char cell[EVAL_CELL_MAX];
        buf_append_str(out, "|");
        add_cell(out, r->suite->parts[row->part].name);
        add_cell(out, m->title);
        buf_printf(out, " %zu |", c->n);
        eval_difference_cell(cell, m, c);
        add_cell(out, cell);
        if (m->statistic == EVAL_SHARE) {
            buf_printf(out, " %zu | %zu |", c->gained, c->lost);
        } else {
            buf_append_str(out, " | |");
        }
        buf_printf(out, " %.3g | %.3g |\n", c->p, c->holm);
    }
    buf_append_str(
        out, "\nShares: points of percent, McNemar's exact test and the interval of Agresti "
             "and Min. Means and perplexities: Wilcoxon's signed ranks over lines, bootstrap "
             "intervals; perplexities as quotient. Calibration error: bootstrap. The last "
             "column is corrected for all rows (Holm).\n");
}

static void add_reliability(struct buf *out, const struct eval_results *r, size_t part)
{
    for (size_t m = 0; m < r->n_models; m++) {
        struct eval_bin bins[EVAL_BINS];
        eval_bins(&r->models[m].values[part], bins);
        buf_append_str(out, "\nReliability of ");
        add_text(out, r->models[m].label);
        buf_append_str(out, ":\n\n| confidence | lines | mean confidence | right |");
        add_rule(out, 4);
        for (size_t b = 0; b < EVAL_BINS; b++) {
            if (bins[b].n > 0) {
                buf_printf(out, "| %.1f to %.1f | %zu | %.3f | %.3f |\n", bins[b].low,
                           bins[b].low + 1.0 / EVAL_BINS, bins[b].n, bins[b].confidence,
                           bins[b].right);
            }
        }
    }
}

static void add_divergence(struct buf *out, const struct eval_divergence *d)
{
    buf_printf(out,
               "\nOver %zu tokens the likeliest one is the same for %.2f %% (%.2f to %.2f); "
               "Kullback-Leibler divergence %.3g nats a token, 99 of 100 below %.3g.\n",
               d->n, 100 * d->top.value, 100 * d->top.low, 100 * d->top.high, d->kl, d->kl_99);
}

static void add_part(struct buf *out, const struct eval_results *r, size_t part)
{
    const struct eval_part *p = &r->suite->parts[part];
    buf_append_str(out, "\n## ");
    add_text(out, p->name);
    buf_printf(out, "\n\nKind: %s, %zu lines.\n", eval_kind_name(p->kind), p->n);
    for (size_t m = 0; m < r->n_models; m++) {
        if (r->models[m].was_skipped[part]) {
            buf_append_str(out, "\nNot asked of ");
            add_text(out, r->models[m].label);
            buf_append_str(out, ": it needs likelihoods, which a server does not tell.\n");
        }
    }
    add_measures(out, r, part);
    add_groups(out, r, part);
    if (p->kind == EVAL_CALIBRATION) {
        add_reliability(out, r, part);
    }
    if (r->divergence[part].n > 0) {
        add_divergence(out, &r->divergence[part]);
    }
}

int eval_report_markdown(const struct eval_results *r, struct buf *out, struct err *e)
{
    buf_append_str(out, "# Evaluation: ");
    add_text(out, r->suite->name);
    buf_append_str(out, "\n\n");
    add_models(out, r);
    buf_append_str(out, "\nIn brackets: 95 % intervals (Wilson for shares, bootstrap for the "
                        "rest). Answers are greedy.\n");
    for (size_t p = 0; p < r->suite->n_parts; p++) {
        add_part(out, r, p);
    }
    for (size_t m = 1; m < r->n_models; m++) {
        add_comparisons(out, r, m);
    }
    return out->failed ? err_nomem(e) : 0;
}
