#include "runtime/base/svg_plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/svg_scale.h"
#include "runtime/base/utf8.h"

/* Pixels. */
#define WIDTH       760.0
#define AREA_HEIGHT 240.0
#define LEFT        68.0
#define RIGHT       16.0
#define TITLE_ROW   26.0
#define LEGEND_ROW  18.0
#define TICK_ROW    20.0
#define LABEL_ROW   18.0
#define GAP         14.0
#define CHAR_WIDTH  6.6 /* about, of the 12 pixel font */

#define MAX_BYTES ((size_t)16 << 20)
#define COLOURS   8

/* Readers see no more points of a line than two a pixel. */
#define LINE_POINTS_MAX 1500

struct figure {
    struct buf *out;
    const struct svg_plot *plot;
    struct svg_scale x, y;
    double top; /* of the area with the data */
};

static const char style[] =
    "<style>"
    ".weir-plot{font:12px system-ui,sans-serif}"
    ".weir-plot text{fill:#1f2328}.weir-plot .back{fill:#fff}"
    ".weir-plot .grid{stroke:#d8dee4;stroke-width:1}.weir-plot .axis{stroke:#8c959f}"
    ".weir-plot .title{font-weight:600;font-size:14px}"
    ".weir-plot .line{fill:none;stroke-width:1.4;stroke-linejoin:round}"
    ".weir-plot .whisker{stroke-width:1.4;fill:none}"
    ".weir-plot .s0{stroke:#0072b2}.weir-plot .f0{fill:#0072b2}"
    ".weir-plot .s1{stroke:#d55e00}.weir-plot .f1{fill:#d55e00}"
    ".weir-plot .s2{stroke:#009e73}.weir-plot .f2{fill:#009e73}"
    ".weir-plot .s3{stroke:#cc79a7}.weir-plot .f3{fill:#cc79a7}"
    ".weir-plot .s4{stroke:#b8860b}.weir-plot .f4{fill:#b8860b}"
    ".weir-plot .s5{stroke:#3aa0d8}.weir-plot .f5{fill:#3aa0d8}"
    ".weir-plot .s6{stroke:#57606a}.weir-plot .f6{fill:#57606a}"
    ".weir-plot .s7{stroke:#8250df}.weir-plot .f7{fill:#8250df}"
    "@media(prefers-color-scheme:dark){"
    ".weir-plot text{fill:#e6edf3}.weir-plot .back{fill:#0d1117}"
    ".weir-plot .grid{stroke:#262c36}.weir-plot .axis{stroke:#6e7681}"
    ".weir-plot .s0{stroke:#4ba3e3}.weir-plot .f0{fill:#4ba3e3}"
    ".weir-plot .s1{stroke:#f0883e}.weir-plot .f1{fill:#f0883e}"
    ".weir-plot .s2{stroke:#2dc79a}.weir-plot .f2{fill:#2dc79a}"
    ".weir-plot .s3{stroke:#e5a3c8}.weir-plot .f3{fill:#e5a3c8}"
    ".weir-plot .s4{stroke:#e3b341}.weir-plot .f4{fill:#e3b341}"
    ".weir-plot .s5{stroke:#79c8f5}.weir-plot .f5{fill:#79c8f5}"
    ".weir-plot .s6{stroke:#aab4be}.weir-plot .f6{fill:#aab4be}"
    ".weir-plot .s7{stroke:#b392f0}.weir-plot .f7{fill:#b392f0}"
    "}</style>";

static void append_escaped(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        uint32_t c;
        int n = utf8_decode(text + i, len - i, &c);
        if (n <= 0) {
            buf_append_str(out, "\xef\xbf\xbd"); /* U+FFFD: not a character */
            i++;
            continue;
        }
        if (c == '&') {
            buf_append_str(out, "&amp;");
        } else if (c == '<') {
            buf_append_str(out, "&lt;");
        } else if (c == '>') {
            buf_append_str(out, "&gt;");
        } else if (c == '"') {
            buf_append_str(out, "&quot;");
        } else if (c < 0x20 || c == 0x7f || c == 0xfffe || c == 0xffff) {
            buf_append_char(out, ' '); /* XML 1.0 does not have them */
        } else {
            buf_append(out, text + i, (size_t)n);
        }
        i += (size_t)n;
    }
}

/* Characters, near enough: bytes that do not go on with one. */
static double text_width(const char *text)
{
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        n += ((unsigned char)*p & 0xc0) != 0x80;
    }
    return CHAR_WIDTH * (double)n;
}

static void text_at(struct buf *out, double x, double y, const char *attributes,
                    const char *text)
{
    buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
    append_escaped(out, text);
    buf_append_str(out, "</text>\n");
}

static void draw_x_axis(const struct figure *f, double bottom, bool slanted)
{
    const struct svg_plot *p = f->plot;
    char text[32], attributes[96];
    for (size_t i = 0; i < f->x.n_ticks; i++) {
        double x = svg_scale_place(&f->x, f->x.ticks[i]);
        buf_printf(f->out,
                   "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                   x, x, f->top, bottom);
        svg_scale_format(&f->x, f->x.ticks[i], text, sizeof(text));
        text_at(f->out, x, bottom + 15.0, "text-anchor=\"middle\"", text);
    }
    for (size_t i = 0; p->categories && i < p->n_categories; i++) {
        double x = svg_scale_place(&f->x, (double)i);
        if (slanted) {
            snprintf(attributes, sizeof(attributes),
                     "text-anchor=\"end\" transform=\"rotate(-40 %.1f %.1f)\"", x + 4.0,
                     bottom + 13.0);
            text_at(f->out, x + 4.0, bottom + 13.0, attributes, p->categories[i]);
        } else {
            text_at(f->out, x, bottom + 15.0, "text-anchor=\"middle\"", p->categories[i]);
        }
    }
    buf_printf(f->out,
               "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
               f->x.from, f->x.to, bottom, bottom);
}

static void draw_y_axis(const struct figure *f)
{
    char text[32], attributes[96];
    double middle = f->top + AREA_HEIGHT / 2.0;
    for (size_t i = 0; i < f->y.n_ticks; i++) {
        double y = svg_scale_place(&f->y, f->y.ticks[i]);
        buf_printf(f->out,
                   "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                   f->x.from, f->x.to, y, y);
        svg_scale_format(&f->y, f->y.ticks[i], text, sizeof(text));
        text_at(f->out, f->x.from - 6.0, y + 4.0, "text-anchor=\"end\"", text);
    }
    if (f->plot->y.label) {
        snprintf(attributes, sizeof(attributes),
                 "text-anchor=\"middle\" transform=\"rotate(-90 14 %.1f)\"", middle);
        text_at(f->out, 14.0, middle, attributes, f->plot->y.label);
    }
}

/* --- series --- */

static bool shows(const struct figure *f, const struct svg_series *s, size_t i)
{
    return svg_scale_shows(&f->x, svg_series_x(s, i)) && svg_scale_shows(&f->y, s->y[i]);
}

static double pixel_x(const struct figure *f, const struct svg_series *s, size_t i)
{
    return svg_scale_place(&f->x, svg_series_x(s, i));
}

/* Draws on from the last point, or begins a line. */
static void line_to(const struct figure *f, const struct svg_series *s, size_t i, size_t colour,
                    bool *open)
{
    if (!*open) {
        buf_printf(f->out, "<polyline class=\"line s%zu\" points=\"", colour);
    }
    buf_printf(f->out, "%.1f,%.1f ", pixel_x(f, s, i), svg_scale_place(&f->y, s->y[i]));
    *open = true;
}

/* Of a line of very many points, the lowest and the highest of each stretch are drawn. */
static void draw_line(const struct figure *f, const struct svg_series *s, size_t colour)
{
    size_t stretch = s->n / (LINE_POINTS_MAX / 2) + 1;
    stretch = s->n <= LINE_POINTS_MAX ? 1 : stretch;
    bool open = false;
    for (size_t begin = 0; begin < s->n; begin += stretch) {
        size_t end = begin + stretch < s->n ? begin + stretch : s->n;
        size_t low = SIZE_MAX, high = SIZE_MAX;
        for (size_t i = begin; i < end; i++) {
            if (shows(f, s, i)) {
                low = low == SIZE_MAX || s->y[i] < s->y[low] ? i : low;
                high = high == SIZE_MAX || s->y[i] > s->y[high] ? i : high;
            }
        }
        if (low == SIZE_MAX) {
            buf_append_str(f->out, open ? "\"/>\n" : "");
            open = false;
            continue;
        }
        line_to(f, s, low < high ? low : high, colour, &open);
        if (low != high) {
            line_to(f, s, low < high ? high : low, colour, &open);
        }
    }
    buf_append_str(f->out, open ? "\"/>\n" : "");
}

static void draw_whisker(const struct figure *f, double x, double low, double high,
                         size_t colour)
{
    double from = svg_scale_place(&f->y, low), to = svg_scale_place(&f->y, high);
    buf_printf(f->out,
               "<path class=\"whisker s%zu\" d=\"M%.1f %.1fV%.1fM%.1f %.1fh8M%.1f %.1fh8\"/>\n",
               colour, x, from, to, x - 4.0, from, x - 4.0, to);
}

static void draw_error(const struct figure *f, const struct svg_series *s, size_t i, double x,
                       size_t colour)
{
    if (s->low && s->high && svg_scale_shows(&f->y, s->high[i]) && !isnan(s->low[i])) {
        draw_whisker(f, x, s->low[i], s->high[i], colour);
    }
}

static void draw_points(const struct figure *f, const struct svg_series *s, size_t colour)
{
    for (size_t i = 0; i < s->n; i++) {
        if (shows(f, s, i)) {
            double x = pixel_x(f, s, i);
            draw_error(f, s, i, x, colour);
            buf_printf(f->out, "<circle class=\"f%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"/>\n",
                       colour, x, svg_scale_place(&f->y, s->y[i]));
        }
    }
}

/* Pixels between neighbouring x of a series of bars, as wide as a group of bars may be. */
static double bar_spacing(const struct figure *f, const struct svg_series *s)
{
    double least = (f->x.to - f->x.from) / (double)(s->n > 0 ? s->n : 1);
    for (size_t i = 1; i < s->n; i++) {
        double apart = fabs(pixel_x(f, s, i) - pixel_x(f, s, i - 1));
        least = apart > 0.0 && apart < least ? apart : least;
    }
    return least;
}

/* Bar number `at` of `count` that stand side by side. */
static void draw_bars(const struct figure *f, const struct svg_series *s, size_t colour,
                      size_t at, size_t count)
{
    double group = 0.8 * bar_spacing(f, s), width = group / (double)count;
    double zero = svg_scale_place(&f->y, 0.0);
    for (size_t i = 0; i < s->n; i++) {
        if (shows(f, s, i)) {
            double x = pixel_x(f, s, i) - group / 2.0 + width * (double)at;
            double y = svg_scale_place(&f->y, s->y[i]);
            buf_printf(f->out,
                       "<rect class=\"f%zu\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                       "height=\"%.1f\"/>\n",
                       colour, x, fmin(y, zero), fmax(width - 1.0, 0.5), fabs(y - zero));
            draw_error(f, s, i, x + width / 2.0, count > 1 ? 6 : colour == 6 ? 0 : 6);
        }
    }
}

static void draw_series(const struct figure *f)
{
    const struct svg_plot *p = f->plot;
    size_t bars = 0, bar = 0;
    for (size_t i = 0; i < p->n_series; i++) {
        bars += p->series[i].mark == SVG_BARS;
    }
    for (size_t i = 0; i < p->n_series; i++) {
        const struct svg_series *s = &p->series[i];
        size_t colour = i % COLOURS;
        if (s->mark == SVG_LINE) {
            draw_line(f, s, colour);
        } else if (s->mark == SVG_POINTS) {
            draw_points(f, s, colour);
        } else {
            draw_bars(f, s, colour, bar++, bars);
        }
    }
}

/* --- layout --- */

/* Draws names from `top` on, or with out == NULL only measures; returns the height. */
static double legend(const struct svg_plot *p, struct buf *out, double top)
{
    double x = LEFT, y = top;
    bool any = false;
    for (size_t i = 0; i < p->n_series; i++) {
        if (!p->series[i].name) {
            continue;
        }
        double width = 32.0 + text_width(p->series[i].name);
        if (any && x + width > WIDTH - RIGHT) {
            x = LEFT;
            y += LEGEND_ROW;
        }
        any = true;
        if (out) {
            buf_printf(out,
                       "<rect class=\"f%zu\" x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"%d\" "
                       "rx=\"2\"/>\n",
                       i % COLOURS, x, p->series[i].mark == SVG_LINE ? y + 7.0 : y + 3.0,
                       p->series[i].mark == SVG_LINE ? 3 : 10);
            text_at(out, x + 17.0, y + 12.0, "", p->series[i].name);
        }
        x += width;
    }
    return any ? y + LEGEND_ROW - top : 0.0;
}

static bool slants(const struct svg_plot *p)
{
    double room = (WIDTH - LEFT - RIGHT) / (double)(p->n_categories ? p->n_categories : 1);
    for (size_t i = 0; p->categories && i < p->n_categories; i++) {
        if (text_width(p->categories[i]) > room - 4.0) {
            return true;
        }
    }
    return false;
}

/* What stands under the area: names of ticks and of the axis. */
static double height_below(const struct svg_plot *p)
{
    double widest = 0.0, height = TICK_ROW;
    for (size_t i = 0; slants(p) && i < p->n_categories; i++) {
        widest = fmax(widest, text_width(p->categories[i]));
        height = fmin(12.0 + 0.66 * widest, 160.0);
    }
    return height + (p->x.label ? LABEL_ROW : 0.0);
}

static double height_above(const struct svg_plot *p)
{
    return (p->title ? TITLE_ROW : 8.0) + legend(p, NULL, 0.0) + 4.0;
}

static void draw_plot(const struct svg_plot *p, double top, struct buf *out)
{
    struct figure f = {.out = out, .plot = p, .top = top + height_above(p)};
    double bottom = f.top + AREA_HEIGHT;
    f.x = svg_scale_make(p, false, LEFT, WIDTH - RIGHT);
    f.y = svg_scale_make(p, true, bottom, f.top);
    if (p->title) {
        text_at(out, LEFT, top + 18.0, "class=\"title\"", p->title);
    }
    legend(p, out, top + (p->title ? TITLE_ROW : 8.0));
    draw_y_axis(&f);
    draw_x_axis(&f, bottom, slants(p));
    draw_series(&f);
    if (p->x.label) {
        text_at(out, (LEFT + WIDTH - RIGHT) / 2.0, bottom + height_below(p) - 2.0,
                "text-anchor=\"middle\"", p->x.label);
    }
}

int svg_plot_render(const struct svg_plot *plots, size_t n_plots, struct buf *out,
                    struct err *e)
{
    double height = 0.0, top = 0.0;
    for (size_t i = 0; i < n_plots; i++) {
        height += height_above(&plots[i]) + AREA_HEIGHT + height_below(&plots[i]) + GAP;
    }
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"weir-plot\" "
               "viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\">\n%s\n"
               "<rect class=\"back\" width=\"%.0f\" height=\"%.0f\"/>\n",
               WIDTH, height, WIDTH, height, style, WIDTH, height);
    for (size_t i = 0; i < n_plots; i++) {
        draw_plot(&plots[i], top, out);
        top += height_above(&plots[i]) + AREA_HEIGHT + height_below(&plots[i]) + GAP;
    }
    buf_append_str(out, "</svg>\n");
    return out->failed ? err_nomem(e) : 0;
}

int svg_plot_write(const struct svg_plot *plots, size_t n_plots, const char *path,
                   struct err *e)
{
    struct buf out;
    buf_init(&out, MAX_BYTES);
    int rc = svg_plot_render(plots, n_plots, &out, e) ||
                     file_write_atomic(path, out.data, out.len, e)
                 ? -1
                 : 0;
    buf_deinit(&out);
    return rc;
}
