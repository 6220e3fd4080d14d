/* source.h: the raw files, and where each document stands in them.
 *
 * A file whose name ends in .jsonl, .ndjson or .json has one JSON object a line:
 *     {"text": "..."} or {"messages": [{"role": "...", "content": "..."}, ...]}
 * with any further keys, which are kept. Any other file is text: one document, or with
 * `by_blank_lines` one for each run of lines between blank ones.
 *
 * Files are mapped, not read into memory; a document is looked up again whenever it is needed.
 *
 * Threads: read-only once all files are added. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/base/hash.h"

#define SOURCE_FILES_MAX    16384
#define SOURCE_DOCUMENT_MAX ((size_t)64 << 20) /* bytes of a line or text */

struct source_file {
    char *path;
    const unsigned char *data; /* mapped */
    uint64_t size;
    bool is_jsonl;
    bool is_excluded; /* an evaluation set, to keep apart from what is written */
    char sha256[HASH_HEX_LEN + 1];
    uint64_t documents, malformed;
};

/* Where a document stands. */
struct source_place {
    uint64_t offset;
    uint32_t len;
    uint32_t line; /* of its beginning, from 1 */
    uint16_t file;
};

struct source {
    struct source_file *files; /* (n_files) */
    size_t n_files;
    struct source_place *places; /* (n_places) in the order of files and lines */
    size_t n_places, cap_places;
};

void source_deinit(struct source *s);

/* Maps and hashes a file, and finds its documents. */
int source_add(struct source *s, const char *path, bool by_blank_lines, bool is_excluded,
               struct err *e);

/* Whether every file is still as long as it was. */
int source_check(const struct source *s, struct err *e);

#define SEGMENT_ROLE_MAX 15

/* A part of a document that stands for itself: a message, or a whole text. */
struct segment {
    size_t begin, len;               /* in the document's text */
    char role[SEGMENT_ROLE_MAX + 1]; /* "" of a text */
};

/* A document that has been read. Reused from one to the next. */
struct document {
    struct buf text; /* the segments, parted by line breaks */
    struct segment *segments;
    size_t n_segments, cap_segments;
    cJSON *json;    /* the line; NULL of a text */
    char label[32]; /* "label" of the line, or "" */
};

void document_init(struct document *d);
void document_deinit(struct document *d);

/* Puts texts in place of the segments' (one for each); `json` stays as it is. */
int document_replace(struct document *d, const struct buf *texts, struct err *e);

/* Reads the document. ERR_FORMAT: it is malformed; the message names file and line. */
int document_read(struct document *d, const struct source *s, const struct source_place *place,
                  struct err *e);
