#include "runtime/engine/step_cost.h"

#define DECAY 0.97 /* a step counts half after 23 others */

void step_cost_observe(struct step_cost *c, int rows, double seconds)
{
    double x = rows;
    c->weight = DECAY * c->weight + 1.0;
    c->rows = DECAY * c->rows + x;
    c->seconds = DECAY * c->seconds + seconds;
    c->rows_rows = DECAY * c->rows_rows + x * x;
    c->rows_seconds = DECAY * c->rows_seconds + x * seconds;
}

/* The line through what was observed. With steps of one size alone it goes through the origin:
 * nothing is known of a base. */
static void fit(const struct step_cost *c, double *base, double *per_row)
{
    double mean_rows = c->rows / c->weight;
    double mean_seconds = c->seconds / c->weight;
    double variance = c->rows_rows / c->weight - mean_rows * mean_rows;
    double covariance = c->rows_seconds / c->weight - mean_rows * mean_seconds;
    *per_row = variance > 0.05 * mean_rows * mean_rows && covariance > 0.0
                   ? covariance / variance
                   : mean_seconds / mean_rows;
    *base = mean_seconds - *per_row * mean_rows;
    if (*base < 0.0) {
        *base = 0.0;
        *per_row = mean_seconds / mean_rows;
    }
}

double step_cost_of(const struct step_cost *c, int rows)
{
    double base, per_row;
    if (c->weight == 0.0) {
        return 0.0;
    }
    fit(c, &base, &per_row);
    return base + per_row * rows;
}

int step_cost_rows(const struct step_cost *c, double seconds, int max)
{
    double base, per_row;
    if (c->weight == 0.0) {
        return max;
    }
    fit(c, &base, &per_row);
    double rows = (seconds - base) / per_row;
    if (rows < 1.0) {
        return 1;
    }
    return rows < max ? (int)rows : max;
}
