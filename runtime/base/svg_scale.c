#include "runtime/base/svg_scale.h"

#include <math.h>
#include <stdio.h>

double svg_series_x(const struct svg_series *s, size_t i)
{
    return s->x ? s->x[i] : (double)i;
}

static bool is_shown(bool log, double v)
{
    return isfinite(v) && (!log || v > 0.0);
}

bool svg_scale_shows(const struct svg_scale *s, double v)
{
    return is_shown(s->log, v);
}

static void widen(const struct svg_axis *a, double v, double *min, double *max)
{
    if (is_shown(a->log, v)) {
        *min = v < *min ? v : *min;
        *max = v > *max ? v : *max;
    }
}

static void data_range(const struct svg_plot *p, bool vertical, double *min, double *max)
{
    const struct svg_axis *a = vertical ? &p->y : &p->x;
    *min = INFINITY;
    *max = -INFINITY;
    for (size_t s = 0; s < p->n_series; s++) {
        const struct svg_series *series = &p->series[s];
        for (size_t i = 0; i < series->n; i++) {
            widen(a, vertical ? series->y[i] : svg_series_x(series, i), min, max);
            if (vertical && series->low && series->high) {
                widen(a, series->low[i], min, max);
                widen(a, series->high[i], min, max);
            }
        }
        if (vertical && series->mark == SVG_BARS) {
            widen(a, 0.0, min, max);
        }
    }
    if (*min > *max) {
        *min = a->log ? 1.0 : 0.0;
        *max = a->log ? 10.0 : 1.0;
    }
}

/* 1, 2 or 5 times a power of ten, so that about `count` steps make up the range. */
static double nice_step(double range, double count)
{
    double rough = range / count, power = pow(10.0, floor(log10(rough)));
    double lead = rough / power;
    return power * (lead < 1.5 ? 1.0 : lead < 3.5 ? 2.0 : lead < 7.5 ? 5.0 : 10.0);
}

static void linear_ticks(struct svg_scale *s, double count, bool fixed)
{
    if (!(s->max - s->min > 1e-12 * (fabs(s->max) + fabs(s->min)))) {
        double half = s->max == 0.0 ? 1.0 : 0.1 * fabs(s->max);
        s->min -= half;
        s->max += half;
    }
    s->step = nice_step(s->max - s->min, count);
    if (!fixed) {
        s->min = floor(s->min / s->step + 1e-9) * s->step;
        s->max = ceil(s->max / s->step - 1e-9) * s->step;
    }
    double first = ceil(s->min / s->step - 1e-9);
    for (int i = 0; i < SVG_TICKS_MAX; i++) {
        double v = (first + i) * s->step;
        if (v <= s->max + 1e-9 * s->step) {
            s->ticks[s->n_ticks++] = v;
        }
    }
}

/* Powers of ten; 1, 2 and 5 of each where there are few; every so many where there are many. */
static void log_ticks(struct svg_scale *s, double count, bool fixed)
{
    static const double digits[] = {1.0, 2.0, 5.0};
    double low = log10(s->min), high = log10(s->max);
    size_t n_digits = high - low < 2.5 ? 3 : 1;
    int every = (int)fmax(ceil((high - low) / (2.0 * count)), 1.0);
    int first = (int)floor(low + 1e-9), last = (int)ceil(high - 1e-9);
    last = last <= first ? first + 1 : last;
    double below = -INFINITY, above = INFINITY; /* the nearest ticks outside the data */
    for (int k = first; k <= last; k += every) {
        for (size_t i = 0; i < n_digits; i++) {
            double v = digits[i] * pow(10.0, (double)k), at = log10(v);
            below = at <= low + 1e-9 && at > below ? at : below;
            above = at >= high - 1e-9 && at < above ? at : above;
        }
    }
    s->min = fixed || !isfinite(below) ? low : below;
    s->max = fixed || !isfinite(above) ? high : above;
    s->max = s->max > s->min ? s->max : s->min + 0.3;
    for (int k = first; k <= last; k += every) {
        for (size_t i = 0; i < n_digits; i++) {
            double v = digits[i] * pow(10.0, (double)k), at = log10(v);
            if (at >= s->min - 1e-9 && at <= s->max + 1e-9 && s->n_ticks < SVG_TICKS_MAX) {
                s->ticks[s->n_ticks++] = v;
            }
        }
    }
}

struct svg_scale svg_scale_make(const struct svg_plot *p, bool vertical, double from, double to)
{
    const struct svg_axis *a = vertical ? &p->y : &p->x;
    struct svg_scale s = {.log = a->log, .from = from, .to = to};
    bool fixed = a->max > a->min && (!a->log || a->min > 0.0);
    if (fixed) {
        s.min = a->min;
        s.max = a->max;
    } else {
        data_range(p, vertical, &s.min, &s.max);
    }
    if (!vertical && p->categories) {
        s.log = false;
        s.min = -0.5;
        s.max = (double)p->n_categories - 0.5;
        return s;
    }
    double count = fabs(to - from) / (vertical ? 45.0 : 90.0);
    if (s.log) {
        log_ticks(&s, count, fixed);
    } else {
        linear_ticks(&s, count, fixed || !vertical);
    }
    return s;
}

double svg_scale_place(const struct svg_scale *s, double v)
{
    double at = s->log ? v > 0.0 ? log10(v) : s->min : v;
    at = fmin(fmax(at, s->min), s->max);
    return s->from + (at - s->min) / (s->max - s->min) * (s->to - s->from);
}

void svg_scale_format(const struct svg_scale *s, double v, char *out, size_t size)
{
    static const struct {
        double unit;
        const char *suffix;
    } units[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    double magnitude = fabs(v);
    v = magnitude < 1e-12 * fabs(s->step) ? 0.0 : v;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (magnitude >= units[i].unit && (magnitude >= 1e4 || s->log)) {
            snprintf(out, size, "%.5g%s", v / units[i].unit, units[i].suffix);
            return;
        }
    }
    snprintf(out, size, "%.5g", v);
}
