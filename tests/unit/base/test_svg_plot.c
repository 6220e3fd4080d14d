/* Charts: what is drawn, what is left out, and that any text is safe in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/svg_plot.h"

static char *render(const struct svg_plot *plots, size_t n)
{
    struct buf out;
    struct err e;
    size_t len;
    buf_init(&out, 1 << 20);
    assert_int_equal(svg_plot_render(plots, n, &out, &e), 0);
    return buf_take(&out, &len);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)); p += strlen(word)) {
        n++;
    }
    return n;
}

static struct svg_plot plot_of(const struct svg_series *s, size_t n)
{
    return (struct svg_plot){.series = s, .n_series = n};
}

static void texts_are_escaped(void **state)
{
    (void)state;
    const double y[] = {1, 2};
    const struct svg_series s = {.name = "a<b & \"c\"\x01", .n = 2, .y = y};
    struct svg_plot p = plot_of(&s, 1);
    p.title = "</svg><script>alert(1)</script>";
    p.y.label = "\xff\xc3";
    char *svg = render(&p, 1);
    assert_null(strstr(svg, "<script"));
    assert_non_null(strstr(svg, "&lt;/svg&gt;&lt;script&gt;"));
    assert_non_null(strstr(svg, "a&lt;b &amp; &quot;c&quot; </text>"));
    assert_non_null(strstr(svg, ">\xef\xbf\xbd\xef\xbf\xbd</text>"));
    assert_int_equal(count(svg, "</svg>"), 1);
    free(svg);
}

static void a_line_is_broken_where_there_is_no_number(void **state)
{
    (void)state;
    const double y[] = {1, 2, NAN, 3, 4};
    const struct svg_series s = {.n = 5, .y = y};
    struct svg_plot p = plot_of(&s, 1);
    char *svg = render(&p, 1);
    assert_int_equal(count(svg, "<polyline"), 2);
    assert_null(strstr(svg, "nan"));
    free(svg);
}

static void a_log_axis_leaves_out_what_is_not_above_zero(void **state)
{
    (void)state;
    const double y[] = {-1, 0, 1, 10, 1000};
    const struct svg_series s = {.mark = SVG_POINTS, .n = 5, .y = y};
    struct svg_plot p = plot_of(&s, 1);
    p.y.log = true;
    char *svg = render(&p, 1);
    assert_int_equal(count(svg, "<circle"), 3);
    assert_non_null(strstr(svg, ">1</text>"));
    assert_non_null(strstr(svg, ">100</text>"));
    assert_non_null(strstr(svg, ">1k</text>"));
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    free(svg);
}

static void ticks_are_round_numbers_that_hold_the_data(void **state)
{
    (void)state;
    const double y[] = {0.13, 0.71};
    const struct svg_series s = {.n = 2, .y = y};
    struct svg_plot p = plot_of(&s, 1);
    char *svg = render(&p, 1);
    assert_non_null(strstr(svg, ">0.1</text>"));
    assert_non_null(strstr(svg, ">0.8</text>"));
    free(svg);
}

static void every_point_has_its_error_bar_and_every_category_its_bar(void **state)
{
    (void)state;
    static const char *const names[] = {"arithmetic", "names"};
    const double y[] = {0.5, 0.7}, low[] = {0.4, 0.6}, high[] = {0.6, 0.8};
    const struct svg_series s[] = {
        {.name = "before", .mark = SVG_BARS, .n = 2, .y = y},
        {.name = "after", .mark = SVG_BARS, .n = 2, .y = high, .low = y, .high = high},
        {.name = "points", .mark = SVG_POINTS, .n = 2, .y = y, .low = low, .high = high},
    };
    struct svg_plot p = plot_of(s, 3);
    p.categories = names;
    p.n_categories = 2;
    char *svg = render(&p, 1);
    assert_int_equal(count(svg, "<path class=\"whisker"), 4);
    assert_int_equal(count(svg, "<circle"), 2);
    assert_int_equal(count(svg, "<rect"), 1 + 3 + 4); /* background, legend, bars */
    assert_non_null(strstr(svg, ">arithmetic</text>"));
    free(svg);
}

static void a_million_points_stay_a_small_file_and_keep_their_extremes(void **state)
{
    (void)state;
    size_t n = 1000000;
    double *y = calloc(n, sizeof(*y));
    assert_non_null(y);
    for (size_t i = 0; i < n; i++) {
        y[i] = 1.0 + 1e-6 * (double)i;
    }
    y[777777] = 9.0;
    const struct svg_series s = {.n = n, .y = y};
    struct svg_plot p = plot_of(&s, 1);
    p.y = (struct svg_axis){.min = 0.0, .max = 9.0};
    char *svg = render(&p, 1);
    assert_true(strlen(svg) < 60000);
    assert_non_null(strstr(svg, ",12.0 ")); /* the top of the area */
    free(svg);
    free(y);
}

static void no_data_and_one_number_are_drawn_too(void **state)
{
    (void)state;
    const double one[] = {5};
    const struct svg_series s[] = {{.name = "none", .n = 0}, {.n = 1, .y = one}};
    struct svg_plot plots[] = {plot_of(s, 1), plot_of(s + 1, 1), plot_of(NULL, 0)};
    plots[0].x.log = plots[0].y.log = true;
    char *svg = render(plots, 3);
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    free(svg);
}

static void a_full_buffer_is_an_error(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    struct svg_plot p = plot_of(NULL, 0);
    buf_init(&out, 100);
    assert_int_equal(svg_plot_render(&p, 1, &out, &e), -1);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(a_line_is_broken_where_there_is_no_number),
        cmocka_unit_test(a_log_axis_leaves_out_what_is_not_above_zero),
        cmocka_unit_test(ticks_are_round_numbers_that_hold_the_data),
        cmocka_unit_test(every_point_has_its_error_bar_and_every_category_its_bar),
        cmocka_unit_test(a_million_points_stay_a_small_file_and_keep_their_extremes),
        cmocka_unit_test(no_data_and_one_number_are_drawn_too),
        cmocka_unit_test(a_full_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
