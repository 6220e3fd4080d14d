/* file_list.h: files that are named one by one or as a folder.
 *
 * A folder stands for the files directly in it whose names end with a suffix, in the order of
 * the bytes of their names; hidden ones are left out. So shards are read in the same order
 * everywhere. */
#pragma once

#include <stddef.h>

#include "runtime/base/err.h"

#define FILE_LIST_MAX 100000

struct file_list {
    char **paths; /* (count) */
    size_t count;
};

/* Fails when a folder has no such file, when a name cannot be read, and when a file is named
 * twice. "-" is taken as it is. */
int file_list_init(struct file_list *l, const char *const *paths, size_t n_paths,
                   const char *suffix, struct err *e);
void file_list_deinit(struct file_list *l);
