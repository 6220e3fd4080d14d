/* run_log.h: what happened in a run, as JSON Lines, and the charts of it.
 *
 * The first line describes the run, {"run": {"tool": ..., "options": {...}, ...}}; then there
 * is one object a step that was logged, {"step": 10, "loss": 3.21, ...}. A run that is resumed
 * cuts off what was written after the step that it goes on from, so that every step stands
 * there once and in order, whatever ended the run before; a line that was not finished goes
 * too.
 *
 * Each line is in the file when the call returns (not on the disk: there is no fsync).
 *
 * Threads: one writer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/json.h"

struct run_log;

/* A number of a step. One that is not finite is left out of the line. */
struct run_log_value {
    const char *name; /* "val_loss"; a plain word */
    double value;
};

/* A new log, with `description` (borrowed; an object) as its first line. */
struct run_log *run_log_create(const char *path, const cJSON *description, struct err *e);

/* Goes on with the log of a run that is resumed after step `step`: lines of later steps are cut
 * off. Where there is no such file, or it does not begin as a log does, this is
 * run_log_create. */
struct run_log *run_log_resume(const char *path, const cJSON *description, uint64_t step,
                               struct err *e);

/* Accepts NULL. */
void run_log_close(struct run_log *l);

/* Appends a line. -1 when it cannot be written (a full disk); the next call tries again. */
int run_log_step(struct run_log *l, uint64_t step, const struct run_log_value *values,
                 size_t n_values, struct err *e);

/* --- charts --- */

#define RUN_LOG_LINES_MAX 4

/* One chart: some of the numbers over the steps. */
struct run_log_plot {
    const char *title;
    const char *label; /* of the y axis */
    bool log_y;
    const char *names[RUN_LOG_LINES_MAX]; /* of run_log_value; ends with NULL where fewer */
};

/* Draws the log into an SVG file, one chart below the other; a chart of whose numbers the log
 * has none is left out. -1 when there is nothing to draw. */
int run_log_draw(const char *log_path, const struct run_log_plot *plots, size_t n_plots,
                 const char *svg_path, struct err *e);
