/* finding_log.h: findings on their way from the loop to the store.
 *
 * What filters found is put into a bounded queue, and a job off the loop stores what has
 * gathered, several times a second at the most. An answer never waits for it: where the queue
 * is full or the disk does not take them, rows are dropped and counted. Now and then what is
 * beyond the store's limits is deleted in the same way.
 *
 * Threads: the loop. */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "runtime/base/metrics.h"
#include "runtime/registry/finding_store.h"

#define FINDING_QUEUE_ROWS  8192               /* findings that wait, and as many texts */
#define FINDING_QUEUE_BYTES ((size_t)32 << 20) /* of texts that wait */

/* Which texts are kept. */
enum finding_texts {
    FINDING_TEXTS_NONE,
    FINDING_TEXTS_FOUND, /* in which something was found */
    FINDING_TEXTS_ALL,
};

struct finding_settings {
    const char *path; /* NULL: in memory */
    struct finding_limits limits;
    enum finding_texts texts;
};

struct finding_log;

/* metrics: borrowed, counts what is written and dropped. */
struct finding_log *finding_log_start(uv_loop_t *loop, const struct finding_settings *set,
                                      struct metrics *metrics, struct err *e);

enum finding_texts finding_log_texts(const struct finding_log *log);
struct finding_store *finding_log_store(const struct finding_log *log);

/* Puts a text into the queue (copied). What the findings in it say as `text`; 0: none, it was
 * dropped. */
uint64_t finding_log_add_text(struct finding_log *log, const struct finding_text *text);
/* Copies it into the queue. */
void finding_log_add(struct finding_log *log, const struct finding *finding);

/* Calls back on the loop when all that is in the queue now was stored or dropped: at once, if
 * it is empty. `job` lives until then. */
struct finding_wait {
    struct finding_wait *next;
    uint64_t until;
    void (*done)(struct finding_wait *wait);
};
void finding_log_wait(struct finding_log *log, struct finding_wait *wait);

/* Sets what the metrics show of the queue. */
void finding_log_collect(const struct finding_log *log, struct metrics *metrics);

/* Lets go of the loop. Accepts NULL, as the next. */
void finding_log_stop(struct finding_log *log);
/* After the loop's end: stores what is left. */
void finding_log_destroy(struct finding_log *log);
