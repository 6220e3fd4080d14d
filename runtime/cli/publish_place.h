/* publish_place.h: a new version's folder in a model repository, from its first file to the
 * rename by which it appears. Command-internal.
 *
 * It is made as REPO/NAME/.VERSION.publish, which no server looks at, and everything in it is
 * on disk before the rename. What a killed run left is removed by the next one; two at a time
 * do not get in each other's way, since the second is refused.
 *
 * Threads: none. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/registry/version_name.h"

struct publish_place {
    char folder[PATH_MAX];              /* REPO/NAME */
    char making[PATH_MAX];              /* REPO/NAME/.VERSION.publish */
    char version[VERSION_NAME_MAX + 1]; /* that is made */
    char newest[VERSION_NAME_MAX + 1];  /* of those that are there; "" without any */
    int fd;                             /* of `folder`, locked */
    bool is_made;                       /* `making` is there and ours */
    bool made_folder;                   /* `folder` was not there before */
};

/* version NULL: the next number. The repository's folder must be there, that of the name need
 * not. ERR_CONFLICT: the version is there already, or another run is at work. On failure
 * nothing is left to close. */
int publish_place_open(struct publish_place *p, const char *repo, const char *name,
                       const char *version, struct err *e);

/* Removes what is not published. */
void publish_place_close(struct publish_place *p);

/* Path of a file in the folder that is made. */
int publish_place_path(const struct publish_place *p, const char *file, char out[PATH_MAX],
                       struct err *e);

int publish_place_write(const struct publish_place *p, const char *file, const char *text,
                        size_t len, struct err *e);
int publish_place_copy(const struct publish_place *p, const char *from, const char *file,
                       struct err *e);

/* Removes a file from the folder that is made, if it is there. */
void publish_place_remove(const struct publish_place *p, const char *file);

/* All on disk, then the version appears. */
int publish_place_commit(struct publish_place *p, struct err *e);
