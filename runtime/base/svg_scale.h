/* svg_scale.h: from the numbers of a plot to pixels: ranges, ticks and their texts. Part of
 * svg_plot.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/svg_plot.h"

#define SVG_TICKS_MAX 32

/* An axis with its range settled, and where it lies. */
struct svg_scale {
    bool log;
    double min, max;             /* of the axis; logarithms when log */
    double from, to;             /* pixels of min and max */
    double step;                 /* between ticks; 0: log, or categories */
    double ticks[SVG_TICKS_MAX]; /* (n_ticks) values */
    size_t n_ticks;
};

/* The x axis of a plot, or its y axis, from pixel to pixel. */
struct svg_scale svg_scale_make(const struct svg_plot *p, bool vertical, double from,
                                double to);

/* Whether the axis can show the number at all. */
bool svg_scale_shows(const struct svg_scale *s, double v);

/* The pixel of a number that it shows; numbers outside the range lie on its edge. */
double svg_scale_place(const struct svg_scale *s, double v);

/* "0.25", "20k", "3M", "1e-05". */
void svg_scale_format(const struct svg_scale *s, double v, char *out, size_t size);

/* Number i of a series on the x axis. */
double svg_series_x(const struct svg_series *s, size_t i);
