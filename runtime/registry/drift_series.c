#include "runtime/registry/drift_series.h"

#include <math.h>

/* A difference is over when a window that is at least as large as the one which showed it lies
 * within the margin. */
static enum drift_change change_of(int *drift, const struct drift_finding *f, int size)
{
    if (f->differs) {
        enum drift_change change = *drift ? DRIFT_SAME : DRIFT_BEGAN;
        *drift = *drift && *drift < size + 1 ? *drift : size + 1;
        return change;
    }
    if (*drift && size + 1 >= *drift && f->is_judged && fabs(f->difference) <= f->margin) {
        *drift = 0;
        return DRIFT_ENDED;
    }
    return DRIFT_SAME;
}

static void look_at(struct drift_series *s, const struct drift_settings *set, int size,
                    void (*look)(void *ctx, const struct drift_look *look), void *ctx)
{
    s->looks++;
    s->judged = s->sizes[size];
    drift_judge(&s->baseline, &s->judged, set, s->looks, s->findings);
    struct drift_look l = {.number = s->looks, .size = size, .window = &s->judged};
    for (int m = 0; m < ANSWER_MEASURE_COUNT; m++) {
        l.findings[m] = s->findings[m];
        l.changes[m] = change_of(&s->drifts[m], &s->findings[m], size);
    }
    look(ctx, &l);
}

bool drift_series_add(struct drift_series *s, const struct drift_settings *set,
                      const struct answer_seen *a,
                      void (*look)(void *ctx, const struct drift_look *look), void *ctx)
{
    struct answer_seen seen = *a;
    seen.number = s->answers++;
    if (!s->has_baseline) {
        answer_sample_add(&s->baseline, &seen);
        s->has_baseline = s->baseline.answers >= set->baseline;
        return s->has_baseline;
    }
    answer_sample_add(&s->sizes[0], &seen);
    for (int i = 0; i < DRIFT_SIZES && s->sizes[i].answers >= (uint64_t)set->window << i; i++) {
        look_at(s, set, i, look, ctx);
        if (i + 1 < DRIFT_SIZES) {
            answer_sample_merge(&s->sizes[i + 1], &s->sizes[i]);
        } else {
            s->before = s->sizes[i];
        }
        s->sizes[i] = (struct answer_sample){0};
    }
    return false;
}

void drift_series_add_feedback(struct drift_series *s, const struct answer_feedback *f)
{
    double n = answer_sample_count(&s->baseline, ANSWER_MEASURE_FEEDBACK);
    bool is_of_baseline = !s->has_baseline || n < (double)s->baseline.answers;
    if (f->number >= s->feedback_from) {
        answer_sample_add_feedback(is_of_baseline ? &s->baseline : &s->sizes[0], f);
    }
}

void drift_series_newest(const struct drift_series *s, struct answer_sample *out)
{
    *out = s->before;
    for (int i = DRIFT_SIZES - 1; i >= 0; i--) {
        answer_sample_merge(out, &s->sizes[i]);
    }
}

void drift_series_restart(struct drift_series *s, const struct answer_sample *baseline)
{
    uint64_t answers = s->answers;
    struct answer_sample taken = baseline ? *baseline : (struct answer_sample){0};
    *s = (struct drift_series){
        .has_baseline = baseline != NULL,
        .answers = answers,
        .feedback_from = answers - (taken.answers < answers ? taken.answers : answers)};
    s->baseline = taken;
}
