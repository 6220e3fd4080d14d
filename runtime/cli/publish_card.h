/* publish_card.h: the model card, Markdown from a template. Command-internal.
 *
 * The template is Jinja (model_card.md.jinja, or the owner's own) and gets the variables: name,
 * version, file, megabytes, sha256, architecture, parameters, types, context, description,
 * licence, cutoff, published, weir, baseline, report, suite, notes (texts, "" where there is
 * nothing to say), suite_rows (part, measure, lines, value, change), biases and limits (lists
 * of texts), data (role, file, sha256), steps (tool, file, sha256, options, metrics), sets
 * (set, sha256, rows of skill, right, of, percent, low, high, change). Numbers are texts
 * already, as they shall be shown.
 *
 * Threads: none. */
#pragma once

#include "models/lineage/lineage_tree.h"
#include "runtime/base/json.h"
#include "runtime/base/options.h"

/* The one that comes with the program. */
extern const unsigned char model_card_template[];
extern const size_t model_card_template_len;

/* All borrowed; NULL: there is nothing to say. */
struct publish_card {
    const char *name, *version;
    const char *file;   /* its name in the version's folder */
    const char *path;   /* where it is now */
    const char *sha256; /* of it */
    const char *description, *licence, *cutoff, *notes, *report;
    const struct option_strings *biases, *limits;
    const struct lineage_tree *lineage;
    const cJSON *suite;   /* report.json of a suite (publish_suite.h), or NULL */
    const cJSON *results; /* eval.json (publish_eval.h) */
    const char *baseline; /* a version, or NULL */
    const cJSON *baseline_results;
    const char *template_path; /* NULL: the program's own */
};

/* Appends the card. */
int publish_card_write(const struct publish_card *c, struct buf *out, struct err *e);
