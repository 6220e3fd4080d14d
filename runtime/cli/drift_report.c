#include "runtime/cli/drift_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/cli/word_diff.h"

#define CATEGORIES_MAX 256
#define PROMPT_SHOWN   100 /* bytes of a prompt that head its answers */

/* --- figures --- */

static bool is_listed(const struct drift_report *r, const char *name)
{
    for (size_t i = 0; i < r->n_categories; i++) {
        if (strcmp(r->categories[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

int drift_report_make(struct drift_report *r, const struct drift_prompts *prompts,
                      const struct drift_pair *pairs, struct err *e)
{
    r->prompts = prompts;
    r->pairs = pairs;
    r->n_categories = 0;
    r->categories = mem_zarray(CATEGORIES_MAX, sizeof(*r->categories));
    int rc = r->categories ? drift_summarise(prompts, pairs, NULL, &r->all, e) : err_nomem(e);
    for (size_t i = 0; rc == 0 && i < prompts->n && r->n_categories < CATEGORIES_MAX; i++) {
        const char *name = prompts->items[i].category;
        if (name && !is_listed(r, name)) {
            struct drift_category *c = &r->categories[r->n_categories++];
            c->name = name;
            rc = drift_summarise(prompts, pairs, name, &c->summary, e);
        }
    }
    if (rc != 0) {
        drift_report_deinit(r);
    }
    return rc;
}

void drift_report_deinit(struct drift_report *r)
{
    mem_free(r->categories);
    r->categories = NULL;
    r->n_categories = 0;
}

/* --- rows, for both forms --- */

enum { COLUMNS = 4, CELL = 96, ROWS_MAX = 16 };

struct rows {
    char cells[ROWS_MAX][COLUMNS][CELL];
    size_t n;
};

__attribute__((format(printf, 3, 4))) static void set_cell(struct rows *rows, size_t column,
                                                           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(rows->cells[rows->n][column], CELL, format, args);
    va_end(args);
}

static double percent(size_t hits, size_t n)
{
    return n > 0 ? 100.0 * (double)hits / (double)n : 0;
}

static void add_figures(struct rows *rows, const char *name, const struct stats_figure *of)
{
    set_cell(rows, 0, "%s", name);
    for (size_t side = 0; side < 2; side++) {
        set_cell(rows, 1 + side, "%.1f (%.1f to %.1f)", of[side].value, of[side].low,
                 of[side].high);
    }
}

static void add_lengths(struct rows *rows, const struct drift_summary *s)
{
    add_figures(rows, "words, mean", s->mean);
    set_cell(rows, 3, "%+.1f (%+.1f to %+.1f), p = %.2g", s->longer.value, s->longer.low,
             s->longer.high, s->length_p);
    rows->n++;
    add_figures(rows, "words, median", s->median);
    set_cell(rows, 3, "%s", "");
    rows->n++;
}

static void add_rate(struct rows *rows, const char *name, const struct drift_rate *rate)
{
    set_cell(rows, 0, "%s", name);
    for (size_t side = 0; side < 2; side++) {
        set_cell(rows, 1 + side, "%zu (%.1f %%)", rate->hits[side],
                 percent(rate->hits[side], rate->n));
    }
    set_cell(rows, 3, "%zu only before, %zu only after, p = %.2g", rate->only[0], rate->only[1],
             rate->p);
    rows->n++;
}

/* What never happened is left out, but for what everybody looks for. */
static void add_rates(struct rows *rows, const struct drift_summary *s, int max_tokens)
{
    char cut[CELL];
    snprintf(cut, sizeof(cut), "cut at %d tokens", max_tokens);
    const char *const names[DRIFT_RATES] = {
        [DRIFT_REFUSED] = "refused",
        [DRIFT_RATE_FILTERED] = "stopped by filters",
        [DRIFT_CUT] = cut,
        [DRIFT_RATE_FAILED] = "not answered",
        [DRIFT_RIGHT] = "as is expected",
    };
    for (int i = 0; i < DRIFT_RATES; i++) {
        const struct drift_rate *rate = &s->rates[i];
        bool is_seen = rate->hits[0] + rate->hits[1] > 0 || (i == DRIFT_RIGHT && rate->n > 0);
        if (is_seen || i == DRIFT_REFUSED) {
            add_rate(rows, names[i], rate);
        }
    }
}

static void fill_rows(struct rows *rows, const struct drift_report *r)
{
    rows->n = 0;
    set_cell(rows, 0, "%s", "");
    set_cell(rows, 1, "%.90s", r->ids[0]);
    set_cell(rows, 2, "%.90s", r->ids[1]);
    set_cell(rows, 3, "%s", "difference");
    rows->n++;
    add_lengths(rows, &r->all);
    add_rates(rows, &r->all, r->max_tokens);
    set_cell(rows, 0, "%s", "tokens a second");
    set_cell(rows, 1, "%.1f", r->all.tokens_per_s[0]);
    set_cell(rows, 2, "%.1f", r->all.tokens_per_s[1]);
    set_cell(rows, 3, "%s", "");
    rows->n++;
}

static void put_aligned(const struct rows *rows, struct buf *out)
{
    size_t widths[COLUMNS] = {0};
    for (size_t i = 0; i < rows->n; i++) {
        for (size_t k = 0; k < COLUMNS; k++) {
            size_t len = strlen(rows->cells[i][k]);
            widths[k] = len > widths[k] ? len : widths[k];
        }
    }
    for (size_t i = 0; i < rows->n; i++) {
        const char(*cells)[CELL] = rows->cells[i];
        buf_printf(out, "%-*s  %-*s  %-*s%s%s\n", (int)widths[0], cells[0], (int)widths[1],
                   cells[1], cells[3][0] ? (int)widths[2] : 0, cells[2],
                   cells[3][0] ? "  " : "", cells[3]);
    }
}

static void put_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        buf_append_str(out, *text == '|' ? "\\" : "");
        buf_append_char(out, *text == '\n' ? ' ' : *text);
    }
}

static void put_markdown_table(const struct rows *rows, struct buf *out)
{
    for (size_t i = 0; i < rows->n; i++) {
        for (size_t k = 0; k < COLUMNS; k++) {
            buf_append_str(out, "| ");
            put_cell(out, rows->cells[i][k]);
            buf_append_char(out, ' ');
        }
        buf_append_str(out, i == 0 ? "|\n|---|---|---|---|\n" : "|\n");
    }
}

/* --- what both forms say in the same words --- */

static void put_shares(const struct drift_report *r, struct buf *out)
{
    const struct drift_summary *s = &r->all;
    buf_printf(out,
               "%zu prompts, answered greedily with at most %d tokens. %zu answers are the "
               "same: %.1f %% (%.1f to %.1f), and %zu are not.\n",
               s->n, r->max_tokens, s->n_same, 100 * s->same.value, 100 * s->same.low,
               100 * s->same.high, s->n - s->n_same);
}

static const char tests_told[] =
    "In brackets: what a figure lies between with 95 % confidence (shares: Wilson; words: "
    "2,000 resamples). p: how often chance alone makes as large a difference; words by "
    "Wilcoxon's signed rank test, all others by McNemar's exact test, each for itself.";

static void put_prompt(const struct drift_prompt *p, struct buf *out)
{
    const char *text = drift_prompt_shown(p);
    size_t len = strlen(text);
    size_t shown = len > PROMPT_SHOWN ? utf8_valid_prefix(text, PROMPT_SHOWN) : len;
    for (size_t i = 0; i < shown; i++) {
        char c = text[i] == '`' ? '\'' : text[i]; /* Markdown's marks stay whole */
        buf_append_char(out, (unsigned char)c < ' ' ? ' ' : c);
    }
    buf_append_str(out, shown < len ? " ..." : "");
}

static void put_how(const struct drift_pair *pair, struct buf *out)
{
    const struct drift_answer *a = &pair->of[0], *b = &pair->of[1];
    buf_printf(out, "from word %zu on; %zu words, then %zu", drift_first_difference(pair),
               word_count(a->text, a->len), word_count(b->text, b->len));
    if (a->end != b->end) {
        buf_printf(out, "; %s, then %s", drift_end_name(a->end), drift_end_name(b->end));
    }
    buf_append_char(out, '\n');
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The word diff, each line behind `indent`, without what white space stands around it. */
static int put_diff(const struct drift_pair *pair, const char *indent, struct buf *out)
{
    struct buf diff;
    struct err ignored = {0};
    buf_init(&diff, SIZE_MAX / 2);
    int rc = word_diff(pair->of[0].text, pair->of[0].len, pair->of[1].text, pair->of[1].len,
                       &diff, &ignored);
    size_t from = 0, to = diff.len;
    while (from < to && is_space(diff.data[from])) {
        from++;
    }
    while (to > from && is_space(diff.data[to - 1])) {
        to--;
    }
    buf_append_str(out, indent);
    for (size_t i = from; rc == 0 && i < to; i++) {
        buf_append_char(out, diff.data[i]);
        buf_append_str(out, diff.data[i] == '\n' ? indent : "");
    }
    buf_append_char(out, '\n');
    buf_deinit(&diff);
    return rc;
}

/* --- lines --- */

static void put_category_line(const struct drift_category *c, int width, struct buf *out)
{
    const struct drift_summary *s = &c->summary;
    const struct drift_rate *refused = &s->rates[DRIFT_REFUSED];
    buf_printf(out, "%-*s  %5zu prompts  %5.1f %% the same  refused %zu, then %zu", width,
               c->name, s->n, 100 * s->same.value, refused->hits[0], refused->hits[1]);
    if (s->rates[DRIFT_RIGHT].n > 0) {
        buf_printf(out, "  right %zu, then %zu", s->rates[DRIFT_RIGHT].hits[0],
                   s->rates[DRIFT_RIGHT].hits[1]);
    }
    buf_append_char(out, '\n');
}

static void put_categories(const struct drift_report *r, struct buf *out)
{
    int width = 0;
    for (size_t i = 0; i < r->n_categories; i++) {
        int len = (int)strlen(r->categories[i].name);
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < r->n_categories; i++) {
        buf_append_str(out, i == 0 ? "\n" : "");
        put_category_line(&r->categories[i], width, out);
    }
}

int drift_report_text(const struct drift_report *r, size_t show, struct buf *out)
{
    struct rows rows;
    size_t shown = 0, n_changed = r->all.n - r->all.n_same;
    put_shares(r, out);
    buf_append_char(out, '\n');
    fill_rows(&rows, r);
    put_aligned(&rows, out);
    buf_printf(out, "\n%s\n", tests_told);
    put_categories(r, out);
    for (size_t i = 0; i < r->prompts->n && shown < show; i++) {
        if (drift_is_same(&r->pairs[i])) {
            continue;
        }
        shown++;
        buf_printf(out, "\n--- %zu: ", i + 1);
        put_prompt(&r->prompts->items[i], out);
        buf_append_str(out, "\n    ");
        put_how(&r->pairs[i], out);
        if (put_diff(&r->pairs[i], "  ", out) != 0) {
            return -1;
        }
    }
    if (shown < n_changed) {
        buf_printf(out, "\n%zu more have changed; --show N shows more, --out FILE has all\n",
                   n_changed - shown);
    }
    return out->failed ? -1 : 0;
}

/* --- Markdown --- */

static void put_category_table(const struct drift_report *r, struct buf *out)
{
    if (r->n_categories == 0) {
        return;
    }
    buf_append_str(out, "\n## Categories\n\n| category | prompts | the same | refused | right "
                        "|\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < r->n_categories; i++) {
        const struct drift_summary *s = &r->categories[i].summary;
        const struct drift_rate *right = &s->rates[DRIFT_RIGHT];
        buf_append_str(out, "| ");
        put_cell(out, r->categories[i].name);
        buf_printf(out, " | %zu | %.1f %% | %zu, then %zu |", s->n, 100 * s->same.value,
                   s->rates[DRIFT_REFUSED].hits[0], s->rates[DRIFT_REFUSED].hits[1]);
        if (right->n > 0) {
            buf_printf(out, " %zu, then %zu", right->hits[0], right->hits[1]);
        }
        buf_append_str(out, " |\n");
    }
}

int drift_report_markdown(const struct drift_report *r, struct buf *out)
{
    struct rows rows;
    buf_printf(out, "# %s, then %s\n\n", r->ids[0], r->ids[1]);
    put_shares(r, out);
    buf_append_char(out, '\n');
    fill_rows(&rows, r);
    put_markdown_table(&rows, out);
    buf_printf(out, "\n%s\n", tests_told);
    put_category_table(r, out);
    buf_append_str(out, r->all.n > r->all.n_same ? "\n## Changed answers\n" : "");
    for (size_t i = 0; i < r->prompts->n; i++) {
        if (drift_is_same(&r->pairs[i])) {
            continue;
        }
        buf_printf(out, "\n%zu. `", i + 1);
        put_prompt(&r->prompts->items[i], out);
        buf_append_str(out, "`, ");
        put_how(&r->pairs[i], out);
        buf_append_char(out, '\n');
        if (put_diff(&r->pairs[i], "        ", out) != 0) {
            return -1;
        }
    }
    return out->failed ? -1 : 0;
}
