#include "runtime/serve/model_watch.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"

#define LOOK_EVERY_MS  2000
#define LOOK_AGAIN_MS  250 /* while something moves */
#define AFTER_EVENT_MS 50  /* for the other events that come with it */

struct model_watch {
    uv_loop_t *loop;
    uv_work_t work;
    uv_timer_t timer; /* runs but while a look does */
    uv_fs_event_t events;
    unsigned n_handles; /* not closed yet */
    bool is_looking;    /* then what is watched, and `problem`, are the worker's */
    bool has_event;     /* since the look began */
    bool is_stopped;

    struct model_watched what;    /* path is not read any more */
    struct err problem;           /* at the last look */
    char logged[ERR_MESSAGE_MAX]; /* the one that was logged last, or "" */
};

static void release(struct model_watch *w)
{
    if (w->is_stopped && !w->is_looking && w->n_handles == 0) {
        const struct model_watched what = w->what;
        mem_free(w);
        what.on_over(what.ctx);
    }
}

static void look_on_worker(uv_work_t *work)
{
    struct model_watch *w = work->data;
    w->problem = (struct err){0};
    w->what.look(w->what.ctx, &w->problem);
}

static void log_problem(struct model_watch *w)
{
    if (strcmp(w->logged, w->problem.message) != 0) {
        snprintf(w->logged, sizeof(w->logged), "%s", w->problem.message);
        if (w->problem.kind != ERR_NONE) {
            log_error("--repo: %s", w->problem.message);
        }
    }
}

static void on_timer(uv_timer_t *timer);

static void after_look(uv_work_t *work, int status)
{
    struct model_watch *w = work->data;
    (void)status; /* it is never cancelled */
    w->is_looking = false;
    if (w->is_stopped) {
        release(w);
        return;
    }
    log_problem(w);
    uint64_t next_ms = w->has_event                     ? AFTER_EVENT_MS
                       : w->what.is_moving(w->what.ctx) ? LOOK_AGAIN_MS
                                                        : LOOK_EVERY_MS;
    uv_timer_start(&w->timer, on_timer, next_ms, 0);
    if (w->problem.kind == ERR_NONE) {
        w->what.on_look(w->what.ctx);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct model_watch *w = timer->data;
    w->has_event = false;
    if (uv_queue_work(w->loop, &w->work, look_on_worker, after_look) == 0) {
        w->is_looking = true;
    } else {
        uv_timer_start(&w->timer, on_timer, LOOK_EVERY_MS, 0);
    }
}

void model_watch_now(struct model_watch *w)
{
    w->has_event = true;
    if (!w->is_looking && uv_timer_get_due_in(&w->timer) > AFTER_EVENT_MS) {
        uv_timer_start(&w->timer, on_timer, AFTER_EVENT_MS, 0);
    }
}

/* What has happened does not matter, and is not told alike by all systems. */
static void on_event(uv_fs_event_t *events, const char *name, int kinds, int status)
{
    (void)name;
    (void)kinds;
    (void)status;
    model_watch_now(events->data);
}

struct model_watch *model_watch_start(uv_loop_t *loop, const struct model_watched *what,
                                      struct err *e)
{
    struct model_watch *w = mem_zalloc(sizeof(*w));
    if (!w) {
        err_nomem(e);
        return NULL;
    }
    *w = (struct model_watch){.loop = loop, .what = *what};
    uv_timer_init(loop, &w->timer);
    uv_fs_event_init(loop, &w->events);
    w->n_handles = 2;
    w->timer.data = w->events.data = w->work.data = w;
    int rc = uv_fs_event_start(&w->events, on_event, what->path, 0);
    if (rc != 0) {
        log_warn("%s: changes are seen late, by looking every %d seconds: %s", what->path,
                 LOOK_EVERY_MS / 1000, uv_strerror(rc));
    }
    uv_timer_start(&w->timer, on_timer, LOOK_AGAIN_MS, 0);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct model_watch *w = handle->data;
    w->n_handles--;
    release(w);
}

void model_watch_stop(struct model_watch *w)
{
    w->is_stopped = true;
    uv_close((uv_handle_t *)&w->timer, on_closed);
    uv_close((uv_handle_t *)&w->events, on_closed);
}
