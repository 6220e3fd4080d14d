/* publish_suite.h: a suite of `weir eval` about a new version, held against the one before.
 * Command-internal.
 *
 * The report goes with the version as the folder PUBLISH_REPORT_FOLDER: report.md, report.json,
 * answers and plots.
 *
 * Threads: none. */
#pragma once

#include "runtime/base/json.h"
#include "runtime/cli/publish_place.h"

#define PUBLISH_REPORT_FOLDER "report"

/* Runs it about the baseline, unless NULL, and the model, in this order. limit: lines of each
 * part, 0: all. The report.json; the caller's (cJSON_Delete). NULL: *e says why. */
cJSON *publish_suite_run(const struct publish_place *p, const char *baseline, const char *model,
                         const char *suite, long limit, struct err *e);

/* ERR_INVALID: a share is worse than the baseline's by more than max_loss points, or a
 * perplexity by more than max_loss percent, and that is more than chance (p, corrected for all
 * that the suite measures, is below 0.05). */
int publish_suite_compare(const cJSON *report, double max_loss, struct err *e);

/* An array of {part, measure, lines, value, change} as texts, for the card; the caller's. The
 * model is the last one of the report. */
cJSON *publish_suite_rows(const cJSON *report);
