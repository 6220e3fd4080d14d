/* chat_stop.h: Ctrl-C (SIGINT) that stops what is being done and not the program. Once for the
 * process. */
#pragma once

#include <stdbool.h>

/* From now on the signal is only remembered; calls that wait end with EINTR. */
void chat_stop_catch(void);

bool chat_stop_is_wanted(void);
void chat_stop_forget(void);
