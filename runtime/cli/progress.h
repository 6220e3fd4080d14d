/* progress.h: how far long work is, on stderr.
 *
 * On a terminal one line that is redrawn, at most ten times a second:
 *
 *     pretrain  [#####------]  120/1500   8 %  loss 3.2104  8300 tokens/s  eta 0:12:10
 *
 * Where stderr is no terminal, plain lines of the same words, without the bar: the first, one
 * after every tenth of the work or PROGRESS_LINE_S seconds, and the last.
 *
 * Threads: one caller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_LINE_S 30.0

struct progress {
    const char *label; /* "pretrain"; borrowed */
    const char *unit;  /* of `work`, "tokens"; NULL: no speed is shown */
    uint64_t total;    /* 0: not known; no share and no eta then */
    bool terminal;
    bool drawn; /* a line without its end is on the terminal */
    /* where this run began, since a resumed one has done something already */
    uint64_t begin_done;
    double begin_s;
    double drawn_s;    /* when the last line was drawn; 0: none was */
    uint64_t drawn_at; /* and of which `done` */
    double paused_s;   /* time that counts for nothing */
};

/* `done` of `total` is behind us already. */
void progress_begin(struct progress *p, const char *label, const char *unit, uint64_t total,
                    uint64_t done);

/* `work`: units done since progress_begin, for the speed. `note` is shown as it is ("loss
 * 3.2"), or NULL. */
void progress_update(struct progress *p, uint64_t done, double work, const char *note);

/* Time that is not of the work (validation, a checkpoint) is not counted in speed and eta. */
void progress_exclude(struct progress *p, double seconds);

/* A line of its own, above the bar. */
void progress_say(struct progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the line on a terminal. */
void progress_end(struct progress *p);
