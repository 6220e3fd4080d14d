/* file_list.h: files that are named one by one or as a folder.
 *
 * A folder stands for the files directly in it whose names end with a suffix, in the order of
 * the bytes of their names; hidden ones are left out. So shards are read in the same order
 * everywhere. `weir curate` writes train-00000.tok and heldout-00000.tok into one folder: of a
 * folder that has files of the part that is asked for, only these are taken. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

#define FILE_LIST_MAX 100000

struct file_list {
    char **paths; /* (count) */
    size_t count;
};

/* part: "train", for names that begin with "train-", or NULL. Fails when a folder has no such
 * file, when a name cannot be read, and when a file is named twice. "-" is taken as it is. */
int file_list_init(struct file_list *l, const char *const *paths, size_t n_paths,
                   const char *suffix, const char *part, struct err *e);
void file_list_deinit(struct file_list *l);
