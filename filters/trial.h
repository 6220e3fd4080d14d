/* trial.h: tries in a copy of this process what may bring a process down.
 *
 * A plugin's code that crashes when it is loaded would take the server and all its answers with
 * it. So it is run in a forked child first, and again here only if the child has survived.
 *
 * Threads: any but the event loop, as it waits for the child. In the child only the calling
 * thread goes on; glibc makes malloc and the loader usable there. */
#pragma once

#include "runtime/base/err.h"

#define TRIAL_SECONDS 5

/* Runs step(context) in a child, whose memory is a copy: nothing that it does is seen here, and
 * what it returns is not looked at. Of the open files it has standard input, output and error,
 * and keep_fd unless that is -1. 0: it came to its end. -1: a signal ended it, it left the
 * process, it took longer than TRIAL_SECONDS (ERR_INVALID), or no child could be made (ERR_IO);
 * the message begins with `what`, such as "loading it". */
int trial_run(const char *what, void (*step)(void *context), void *context, int keep_fd,
              struct err *e);
