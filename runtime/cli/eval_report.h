/* eval_report.h: results of an evaluation for people and programs. Command-internal. */
#pragma once

#include "runtime/base/buf.h"
#include "runtime/base/json.h"
#include "runtime/cli/eval_results.h"

/* "97.0 % (93.6-98.6)" or "3.142 (3.1-3.2)", or "" where there is nothing. */
#define EVAL_CELL_MAX 96
void eval_cell(char out[EVAL_CELL_MAX], const struct eval_measure *m,
               const struct eval_figure *f);
/* "+2.1 (-0.3-4.5)", in points of percent; of perplexities "x1.02 (1.01-1.03)". */
void eval_difference_cell(char out[EVAL_CELL_MAX], const struct eval_measure *m,
                          const struct eval_comparison *c);

/* Tables on standard output. */
int eval_report_print(const struct eval_results *r, struct err *e);

/* One JSON object; NULL: no memory. */
cJSON *eval_report_json(const struct eval_results *r);

int eval_report_markdown(const struct eval_results *r, struct buf *out, struct err *e);

/* FOLDER/report.md, report.json, answers.jsonl, shares.svg and, of each part of kind
 * calibration, PART-reliability.svg. The folder is made. */
int eval_report_write(const struct eval_results *r, const char *folder, struct err *e);

/* As `weir eval --set`: by skill, of one model. */
void eval_report_print_set(const struct eval_results *r);
int eval_report_print_set_json(const struct eval_results *r, struct err *e);
