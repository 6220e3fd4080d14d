/* output.h: a folder that is there whole or not at all.
 *
 * Files are written into FOLDER.partial, each flushed to the disk; then the folder is renamed.
 * What an interrupted run left there is removed by the next. Two runs for one folder do not
 * meet: the second is refused.
 *
 * Threads: none of this is shared. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/err.h"
#include "runtime/base/hash.h"

#define OUTPUT_PATH_MAX 4096
#define OUTPUT_FILES    "manifest.json" /* a folder with it is a result of ours */

struct output {
    char folder[OUTPUT_PATH_MAX]; /* without a slash at its end */
    char partial[OUTPUT_PATH_MAX];
    int lock; /* -1: not begun */
    bool replace;
};

/* Refuses a folder that is there, unless it is empty or may be replaced. */
int output_begin(struct output *o, const char *folder, bool replace, struct err *e);
/* Gives the folder its name. */
int output_finish(struct output *o, struct err *e);
/* Removes what was written, unless it has been finished. */
void output_end(struct output *o);

struct output_file {
    char name[128], path[OUTPUT_PATH_MAX];
    FILE *f; /* NULL once closed */
    struct hash *hash;
    uint64_t bytes, documents;
    char sha256[HASH_HEX_LEN + 1];
};

int output_open(struct output_file *f, const struct output *o, const char *name, struct err *e);
int output_write(struct output_file *f, const void *data, size_t len, struct err *e);
/* Flushes to the disk and hashes. */
int output_close(struct output_file *f, struct err *e);
/* After an error: just closes; does nothing when it is closed. */
void output_abandon(struct output_file *f);
