/* upgrade_reply.h: answers of /admin/upgrade as JSON text.
 *
 * Texts are the caller's (mem_free); NULL when out of memory. */
#pragma once

#include <stddef.h>

struct upgrade_view {
    long pid;            /* of the process that answers */
    const char *version; /* of its program */
    const char *state;   /* "serving", "upgrading", "draining" */
    const char *problem; /* why the last upgrade failed, or NULL */
};

/* GET. */
char *upgrade_view_text(const struct upgrade_view *view, size_t *len);

/* POST: the process and the program that serve now. */
char *upgrade_done_text(long pid, const char *version, size_t *len);
