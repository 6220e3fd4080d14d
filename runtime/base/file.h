/* file.h: whole files, read and written safely. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

/* Reads a whole file of at most max bytes. Returned memory is the caller's (mem_free) and
 * NUL-terminated; *len excludes the NUL. "-" reads standard input. A pipe is read to its end,
 * and waited for. */
char *file_read(const char *path, size_t max, size_t *len, struct err *e);

/* The same of a regular file; anything else is an error. It never waits: for what a server
 * reads of a folder into which others write. */
char *file_read_regular(const char *path, size_t max, size_t *len, struct err *e);

/* FOLDER/NAME into out[size]. */
int file_join(char *out, size_t size, const char *folder, const char *name, struct err *e);

/* Maps a regular file read-only and private; *data is NULL when it is empty. If it is
 * cut short meanwhile, what is gone reads as zeroes, and file_map_is_cut tells. */
int file_map(const char *path, const unsigned char **data, uint64_t *size, struct err *e);
void file_unmap(const unsigned char *data, uint64_t size); /* accepts NULL */

/* Whether something was read behind the end of the file as it is now (map_guard.h). */
bool file_map_is_cut(const unsigned char *data);

/* Copies the bytes out of the file, to the same address: from now on nothing that happens to
 * the file is seen. -1: no memory, or the file was cut short; the mapping stays as it was. */
int file_map_detach(const char *path, const unsigned char *data, uint64_t size, struct err *e);

/* Writes to PATH.tmp in the same folder, fsyncs and renames, so that a reader sees the old file
 * or the new one and never a part. The mode is that of the file before. */
int file_write_atomic(const char *path, const void *data, size_t len, struct err *e);

/* The same of a file whose parts lie apart, one behind the other. */
struct file_part {
    const void *data;
    size_t len;
};
int file_write_atomic_parts(const char *path, const struct file_part *parts, size_t n_parts,
                            struct err *e);

/* Enough of a file's state to see that it is another, or has changed. */
struct file_stamp {
    uint64_t device, inode, size;
    int64_t mtime_s, mtime_ns;
};

/* Follows symbolic links. All zero, and false, when nothing can be seen at `path`. */
bool file_stamp_take(const char *path, struct file_stamp *stamp);
bool file_stamp_is_same(const struct file_stamp *a, const struct file_stamp *b);
