/* step_cost.h: how long a step of so many rows takes, learnt from steps that ran.
 *
 * A straight line, seconds = base + per_row * rows, fitted by least squares in which a step
 * counts less the longer ago it was. What is decided with it is pace, never content.
 *
 * Threads: the engine thread only. */
#pragma once

struct step_cost {
    double weight, rows, seconds, rows_rows, rows_seconds; /* decaying sums */
};

void step_cost_observe(struct step_cost *c, int rows, double seconds);

/* Seconds; 0 before anything was observed. */
double step_cost_of(const struct step_cost *c, int rows);

/* The greatest number of rows, at most `max`, that fits into so many seconds; at least 1. */
int step_cost_rows(const struct step_cost *c, double seconds, int max);
