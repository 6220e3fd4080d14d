/* pid_file.h: a file with the number of the process that serves. Paths may be NULL: nothing
 * happens. */
#pragma once

#include "runtime/base/err.h"

/* Replaces the file by rename. */
int pid_file_write(const char *path, struct err *e);

/* If it still says this process: a successor may have written its own. */
void pid_file_remove(const char *path);
