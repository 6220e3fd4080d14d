/* report.h: what a curation says about itself. Inside models/curate only. */
#pragma once

#include "models/curate/output.h"
#include "models/curate/pipeline.h"
#include "models/curate/shards.h"

struct report_files {
    const struct output_file *files; /* (n_files) */
    size_t n_files;
    const struct shard *shards; /* (n_shards) */
    size_t n_shards;
};

/* Why a document was dropped, in a few words: "quality: letters". */
void report_reason(const struct pipeline *p, const struct record *r, char *out, size_t size);

/* manifest.json. 0, or -1. */
int report_manifest(struct pipeline *p, const struct report_files *files, struct buf *out,
                    struct err *e);

/* Precision and recall by kind of dirt, from the labels of the lines: as JSON, and as a table
 * for people. */
int report_labels(const struct pipeline *p, struct buf *json, struct buf *table, struct err *e);
