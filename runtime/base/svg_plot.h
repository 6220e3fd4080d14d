/* svg_plot.h: charts as one SVG file: lines, points with error bars, bars.
 *
 * A figure is one or more plots, one below the other. Colours follow the reader's light or dark
 * theme (CSS prefers-color-scheme); the eight series colours are told apart with common kinds
 * of colour blindness (Okabe and Ito 2008), and further series repeat them. Nothing is loaded
 * from elsewhere and there is no script. Texts may be any UTF-8: they are escaped here.
 *
 * Numbers that are not finite (or not above zero, on a log axis) are left out; a line is broken
 * there.
 *
 * Ownership: everything is borrowed for the call. Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum svg_mark {
    SVG_LINE,
    SVG_POINTS, /* with error bars where low and high are given */
    SVG_BARS,   /* from zero; those of several series stand side by side */
};

struct svg_series {
    const char *name; /* in the legend; NULL: none */
    enum svg_mark mark;
    size_t n;
    const double *x;          /* (n); NULL: 0, 1, .. as categories are numbered */
    const double *y;          /* (n) */
    const double *low, *high; /* (n) ends of the error bars, or NULL */
};

struct svg_axis {
    const char *label; /* "loss, nats"; NULL: none */
    bool log;
    double min, max; /* both 0: from the data. Bars begin at 0, unless the axis is log */
};

struct svg_plot {
    const char *title; /* or NULL */
    struct svg_axis x, y;
    const char *const *categories; /* (n_categories) names of x = 0, 1, ..; NULL: numbers */
    size_t n_categories;
    const struct svg_series *series; /* (n_series) */
    size_t n_series;
};

/* Appends the file's text to out. -1 when out is full or memory ran out. */
int svg_plot_render(const struct svg_plot *plots, size_t n_plots, struct buf *out,
                    struct err *e);

/* The same as a file, written atomically. */
int svg_plot_write(const struct svg_plot *plots, size_t n_plots, const char *path,
                   struct err *e);
