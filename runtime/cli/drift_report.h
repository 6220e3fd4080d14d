/* drift_report.h: what was found between two versions, for people and for programs.
 * Command-internal. */
#pragma once

#include "runtime/base/buf.h"
#include "runtime/cli/drift.h"

struct drift_category {
    const char *name; /* borrowed from the prompts */
    struct drift_summary summary;
};

struct drift_report {
    const char *ids[2]; /* "tiny@1", "tiny@2" */
    int max_tokens;
    const struct drift_prompts *prompts;
    const struct drift_pair *pairs; /* (prompts->n) */
    struct drift_summary all;
    struct drift_category *categories; /* (n_categories), as they came */
    size_t n_categories;
};

/* Computes all figures. What is given is borrowed. On failure nothing is to be released. */
int drift_report_make(struct drift_report *r, const struct drift_prompts *prompts,
                      const struct drift_pair *pairs, struct err *e);
void drift_report_deinit(struct drift_report *r);

/* Lines for a terminal, with at most `show` of the changed answers. 0, or -1 as buf.h. */
int drift_report_text(const struct drift_report *r, size_t show, struct buf *out);

/* The same as Markdown, with all of them. */
int drift_report_markdown(const struct drift_report *r, struct buf *out);

/* All of it as one JSON object. */
int drift_report_json(const struct drift_report *r, struct buf *out);
