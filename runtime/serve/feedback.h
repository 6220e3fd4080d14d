/* feedback.h: what users say of answers: POST /v1/feedback, and the admin's routes on what was
 * gathered.
 *
 * Off unless the owner asks for it (--feedback). With FEEDBACK_IDS the server remembers which
 * answers it gave to whom, and no content: what was asked and answered is stored only if the
 * client sends it along. With FEEDBACK_TEXTS it also remembers what was asked and answered, in
 * memory (answer_memory.h), and stores it with the feedback that is given on it.
 *
 * Stored is what was acknowledged: a job off the loop commits it before the answer is sent.
 *
 * Threads: the loop. */
#pragma once

#include <uv.h>

#include "runtime/api/routes.h"
#include "runtime/base/metrics.h"
#include "runtime/net/http_server.h"
#include "runtime/registry/feedback_store.h"
#include "runtime/serve/answer_memory.h"
#include "runtime/serve/drift_desk.h"

enum feedback_keeping { FEEDBACK_OFF, FEEDBACK_IDS, FEEDBACK_TEXTS };

struct feedback_settings {
    enum feedback_keeping keeping;
    const char *path; /* NULL: in memory */
    struct feedback_limits limits;
    size_t answers; /* so many of the newest can be spoken of */
};

struct feedback_desk;
struct server;

/* Not for FEEDBACK_OFF: there is none then. drift, which is told what users thought, outlives
 * it; or NULL. */
struct feedback_desk *feedback_desk_start(uv_loop_t *loop, const struct feedback_settings *set,
                                          struct drift_desk *drift, struct metrics *metrics,
                                          struct err *e);

/* Lets go of the loop. Accepts NULL, as the next. */
void feedback_desk_stop(struct feedback_desk *d);
void feedback_desk_destroy(struct feedback_desk *d); /* after the loop's end */

bool feedback_desk_keeps_texts(const struct feedback_desk *d);

/* What is counted elsewhere, for metrics. Accepts NULL. */
void feedback_desk_collect(const struct feedback_desk *d, struct metrics *metrics);

/* An answer was given; taken over. */
void feedback_desk_remember(struct feedback_desk *d, struct remembered_answer *a);

/* POST /v1/feedback */
void feedback_begin(struct server *s, struct http_exchange *http);

/* The routes under /admin/feedback. */
bool feedback_admin_has(enum route_id route);
void feedback_admin_begin(struct server *s, struct http_exchange *http, enum route_id route);

/* The client is gone. */
void feedback_abort(struct http_exchange *http);
