/* version_refresh.h: prompts and filter chains as they are in the store now, where another
 * process has changed them since they were read.
 *
 * Threads: the loop's. Waits for the disk: only while nobody is served. */
#pragma once

#include "runtime/serve/server.h"

/* *reading counts prompts that are still read ahead before they are what requests get; it is
 * the caller's and outlives them. */
int version_refresh(struct server *s, size_t *reading, struct err *e);
