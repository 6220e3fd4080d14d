#include "models/eval/eval_measure.h"

#include <math.h>
#include <string.h>

#include "runtime/base/mem.h"

static const struct eval_measure measures[EVAL_KINDS][EVAL_MEASURES_MAX + 1] = {
    [EVAL_QUESTIONS] = {{"right", "right answers", EVAL_SHARE, 1}},
    [EVAL_OBEDIENCE] = {{"kept", "rules of the prompt kept", EVAL_SHARE, 1}},
    [EVAL_REFUSAL] = {{"refused_harmful", "harmful requests declined", EVAL_SHARE, 1},
                      {"refused_harmless", "harmless look-alikes declined", EVAL_SHARE, -1}},
    [EVAL_JAILBREAK] = {{"withstood", "attempts withstood", EVAL_SHARE, 1}},
    [EVAL_INVENTION] = {{"admitted", "says that it does not know", EVAL_SHARE, 1},
                        {"invented", "answers what it cannot know", EVAL_SHARE, -1},
                        {"disclaimed", "denies what it can know", EVAL_SHARE, -1},
                        {"known_right", "right where it can know", EVAL_SHARE, 1}},
    [EVAL_CHOICE] = {{"right", "likeliest choice is right", EVAL_SHARE, 1},
                     {"right_by_length", "the same by likelihood a byte", EVAL_SHARE, 1}},
    [EVAL_CALIBRATION] = {{"ece", "expected calibration error", EVAL_ECE, -1},
                          {"brier", "Brier score", EVAL_MEAN, -1},
                          {"right", "right", EVAL_SHARE, 1},
                          {"confidence", "mean confidence", EVAL_MEAN, 0}},
    [EVAL_PERPLEXITY] = {{"perplexity", "perplexity a token", EVAL_PERPLEXITY_OF, -1},
                         {"bits_per_byte", "bits a byte", EVAL_RATIO, -1}},
    [EVAL_BIAS] = {{"differs", "pairs answered differently", EVAL_SHARE, -1},
                   {"gap", "size of the difference of log-likelihood", EVAL_MEAN, -1},
                   {"lean", "log-likelihood: first less second", EVAL_MEAN, 0}},
    [EVAL_DOMAIN] = {{"inside", "right inside the domain", EVAL_SHARE, 1},
                     {"outside", "right outside of it", EVAL_SHARE, 1}},
};

const struct eval_measure *eval_measure_of(enum eval_kind kind, size_t i)
{
    return i < EVAL_MEASURES_MAX && measures[kind][i].name ? &measures[kind][i] : NULL;
}

int eval_values_init(struct eval_values *v, size_t n, struct err *e)
{
    *v = (struct eval_values){.n = n, .answers = mem_zarray(n + 1, sizeof(*v->answers))};
    bool is_full = !v->answers;
    for (size_t m = 0; m < EVAL_MEASURES_MAX; m++) {
        v->of[m].value = mem_zarray(n + 1, sizeof(double));
        v->of[m].weight = mem_zarray(n + 1, sizeof(double));
        is_full = is_full || !v->of[m].value || !v->of[m].weight;
        for (size_t i = 0; !is_full && i < n; i++) {
            v->of[m].value[i] = NAN;
        }
    }
    return is_full ? err_nomem(e) : 0;
}

void eval_values_deinit(struct eval_values *v)
{
    for (size_t m = 0; m < EVAL_MEASURES_MAX; m++) {
        mem_free(v->of[m].value);
        mem_free(v->of[m].weight);
    }
    for (size_t i = 0; v->answers && i < v->n; i++) {
        mem_free(v->answers[i]);
    }
    mem_free(v->answers);
    *v = (struct eval_values){0};
}

void eval_values_set_weighted(struct eval_values *v, size_t measure, size_t line, double value,
                              double weight)
{
    v->of[measure].value[line] = value;
    v->of[measure].weight[line] = weight;
}

void eval_values_set(struct eval_values *v, size_t measure, size_t line, double value)
{
    eval_values_set_weighted(v, measure, line, value, 1);
}

/* --- statistics --- */

/* Lines of one model, or of two side by side. */
struct sample {
    enum eval_statistic statistic;
    size_t n;
    double *value[2];  /* (n) */
    double *weight[2]; /* (n) */
    double *room;      /* what they lie in */
};

static size_t bin_of(double confidence)
{
    double at = confidence * EVAL_BINS;
    return at >= EVAL_BINS ? EVAL_BINS - 1 : at > 0 ? (size_t)at : 0;
}

static double calibration_error(const double *right, const double *confidence,
                                const uint32_t *drawn, size_t n)
{
    double gap[EVAL_BINS] = {0}, sum = 0; /* gap: sum of right - confidence */
    for (size_t i = 0; i < n; i++) {
        double c = confidence[drawn[i]];
        gap[bin_of(c)] += right[drawn[i]] - c;
    }
    for (size_t b = 0; b < EVAL_BINS; b++) {
        sum += fabs(gap[b]);
    }
    return sum / (double)n;
}

static double statistic_of(const struct sample *s, int side, const uint32_t *drawn, size_t n)
{
    double sum = 0, weights = 0;
    if (s->statistic == EVAL_ECE) {
        return calibration_error(s->value[side], s->weight[side], drawn, n);
    }
    for (size_t i = 0; i < n; i++) {
        sum += s->value[side][drawn[i]];
        weights += s->weight[side][drawn[i]];
    }
    double mean = weights > 0 ? sum / weights : 0;
    return s->statistic == EVAL_PERPLEXITY_OF ? exp(mean) : mean;
}

static double one_of(void *ctx, const uint32_t *drawn, size_t n)
{
    return statistic_of(ctx, 0, drawn, n);
}

/* B over A for perplexities, else B less A. */
static double difference_of(void *ctx, const uint32_t *drawn, size_t n)
{
    const struct sample *s = ctx;
    double a = statistic_of(s, 0, drawn, n), b = statistic_of(s, 1, drawn, n);
    return s->statistic == EVAL_PERPLEXITY_OF ? b / a : b - a;
}

static bool is_of(const struct eval_part *part, size_t i, const char *group)
{
    return !group || strcmp(part->items[i].group, group) == 0;
}

/* b may be NULL. */
static int take_sample(struct sample *s, const struct eval_part *part,
                       const struct eval_values *a, const struct eval_values *b, size_t measure,
                       const char *group, struct err *e)
{
    const struct eval_values *of[2] = {a, b};
    *s = (struct sample){.statistic = measures[part->kind][measure].statistic,
                         .room = mem_zarray(4 * a->n + 1, sizeof(double))};
    if (!s->room) {
        return err_nomem(e);
    }
    for (int side = 0; side < 2; side++) {
        s->value[side] = s->room + (size_t)side * 2 * a->n;
        s->weight[side] = s->value[side] + a->n;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!is_of(part, i, group) || isnan(a->of[measure].value[i]) ||
            (b && isnan(b->of[measure].value[i]))) {
            continue;
        }
        for (int side = 0; side < (b ? 2 : 1); side++) {
            s->value[side][s->n] = of[side]->of[measure].value[i];
            s->weight[side][s->n] = of[side]->of[measure].weight[i];
        }
        s->n++;
    }
    return 0;
}

static size_t count_hits(const struct sample *s)
{
    size_t hits = 0;
    for (size_t i = 0; i < s->n; i++) {
        hits += s->value[0][i] > 0.5;
    }
    return hits;
}

int eval_summarise(const struct eval_part *part, const struct eval_values *v, size_t measure,
                   const char *group, struct eval_figure *out, struct err *e)
{
    const struct eval_measure *m = &measures[part->kind][measure];
    struct sample s;
    *out = (struct eval_figure){.p = NAN};
    int rc = take_sample(&s, part, v, NULL, measure, group, e);
    out->n = s.n;
    if (rc == 0 && m->statistic == EVAL_SHARE) {
        out->figure = stats_share(count_hits(&s), s.n);
    } else if (rc == 0) {
        rc = stats_bootstrap(s.n, one_of, &s, &out->figure, NULL, e);
        if (rc == 0 && m->statistic == EVAL_MEAN && part->kind == EVAL_BIAS && m->better == 0) {
            rc = stats_wilcoxon(s.value[0], s.n, &out->p, e);
        }
    }
    mem_free(s.room);
    return rc;
}

static void compare_shares(const struct sample *s, struct eval_comparison *out)
{
    for (size_t i = 0; i < s->n; i++) {
        bool a = s->value[0][i] > 0.5, b = s->value[1][i] > 0.5;
        out->gained += b && !a;
        out->lost += a && !b;
    }
    out->difference = stats_share_difference(out->lost, out->gained, s->n);
    out->p = stats_mcnemar(out->lost, out->gained);
}

/* Signed ranks of what each line differs by, a unit of weight. */
static int rank_lines(struct sample *s, double *p, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        double a = s->weight[0][i] > 0 ? s->value[0][i] / s->weight[0][i] : 0;
        double b = s->weight[1][i] > 0 ? s->value[1][i] / s->weight[1][i] : 0;
        s->value[0][i] = b - a;
    }
    return stats_wilcoxon(s->value[0], s->n, p, e);
}

int eval_compare(const struct eval_part *part, const struct eval_values *a,
                 const struct eval_values *b, size_t measure, struct eval_comparison *out,
                 struct err *e)
{
    struct sample s;
    *out = (struct eval_comparison){.p = 1, .holm = 1};
    int rc = take_sample(&s, part, a, b, measure, NULL, e);
    out->n = s.n;
    if (rc == 0 && s.statistic == EVAL_SHARE) {
        compare_shares(&s, out);
    } else if (rc == 0) {
        rc = stats_bootstrap(s.n, difference_of, &s, &out->difference, &out->p, e);
        if (rc == 0 && s.statistic != EVAL_ECE) {
            rc = rank_lines(&s, &out->p, e);
        }
    }
    mem_free(s.room);
    return rc;
}

void eval_bins(const struct eval_values *v, struct eval_bin bins[EVAL_BINS])
{
    for (size_t b = 0; b < EVAL_BINS; b++) {
        bins[b] = (struct eval_bin){.low = (double)b / EVAL_BINS};
    }
    for (size_t i = 0; i < v->n; i++) {
        double right = v->of[EVAL_CONFIDENCE_ERROR].value[i];
        double confidence = v->of[EVAL_CONFIDENCE_ERROR].weight[i];
        if (!isnan(right)) {
            struct eval_bin *b = &bins[bin_of(confidence)];
            b->n++;
            b->right += right;
            b->confidence += confidence;
        }
    }
    for (size_t b = 0; b < EVAL_BINS; b++) {
        double n = bins[b].n > 0 ? (double)bins[b].n : 1;
        bins[b].right /= n;
        bins[b].confidence /= n;
    }
}

int eval_groups(const struct eval_part *part, const char ***names, size_t *n, struct err *e)
{
    const char **found = mem_zarray(EVAL_GROUPS_MAX, sizeof(*found));
    *n = 0;
    *names = found;
    if (!found) {
        return err_nomem(e);
    }
    for (size_t i = 0; i < part->n; i++) {
        size_t at = 0;
        while (at < *n && strcmp(found[at], part->items[i].group) != 0) {
            at++;
        }
        if (at == *n && at < EVAL_GROUPS_MAX) {
            found[(*n)++] = part->items[i].group;
        }
    }
    return 0;
}
