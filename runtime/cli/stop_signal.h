/* stop_signal.h: SIGINT and SIGTERM for a run that ends at its next safe place. Once for the
 * process. */
#pragma once

/* From now on the two signals are only remembered; calls that they interrupt go on. */
void stop_signal_catch(void);

/* The number of the last one that came, or 0. */
int stop_signal_number(void);
