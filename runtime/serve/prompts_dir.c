#include "runtime/serve/prompts_dir.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/registry/prompt.h"
#include "runtime/serve/prompt_folder.h"

#define LOOK_EVERY_MS  2000
#define LOOK_AGAIN_MS  250 /* while something moves, or `put` is busy */
#define AFTER_EVENT_MS 100 /* for the other events that come with it */
#define START_APART_MS 50  /* between the two looks at the start */

struct prompts_dir {
    uv_loop_t *loop;
    uv_work_t work;
    uv_timer_t timer; /* runs but while a look does */
    uv_fs_event_t watch;
    unsigned n_handles; /* not closed yet */
    bool is_looking;    /* then `folder` and `problem` are the worker's */
    bool has_event;     /* since the look began */
    bool is_stopped;

    struct prompt_folder folder;
    struct err problem;           /* of the folder, at the last look */
    char logged[ERR_MESSAGE_MAX]; /* the one that was logged last, or "" */
    prompts_dir_put *put;
    void *ctx;

    /* What has failed during a look, which has the folder: (n_failed). */
    char failed[PROMPT_FOLDER_FILES_MAX][PROMPT_NAME_MAX + 1];
    size_t n_failed;
};

static void on_timer(uv_timer_t *timer);

/* --- what a look has found --- */

/* Not the file is at fault. */
static bool may_pass(const struct err *e)
{
    return e->kind == ERR_BUSY || e->kind == ERR_IO || e->kind == ERR_NOMEM;
}

/* 0: dealt with; -1: broken or refused (*e says why), and to be offered again if that is a
 * refusal that may pass. */
static int hand_on(struct prompts_dir *d, struct prompt_folder_file *file, struct err *e)
{
    int rc = 0;
    bool is_over = true;
    if (file->news == PROMPT_NEWS_CHANGED) {
        rc = d->put(d->ctx, file->name, file->json, file->json_len, e);
        if (rc != 0 && e->kind != ERR_BUSY) {
            err_prefix(e, "%s/%s.md", d->folder.path, file->name);
        }
        is_over = rc == 0 || !may_pass(e);
    } else if (file->news == PROMPT_NEWS_BROKEN) {
        *e = file->problem;
        rc = -1;
    } else if (file->news == PROMPT_NEWS_GONE) {
        log_warn("%s/%s.md is gone; profile \"%s\" stays as it is", d->folder.path, file->name,
                 file->name);
    }
    if (is_over) {
        prompt_folder_clear_news(file);
    }
    return rc;
}

/* Whether something is left for the next look. */
static bool hand_on_all(struct prompts_dir *d)
{
    bool is_busy = false;
    for (size_t i = 0; i < d->folder.count; i++) {
        struct err e = {0};
        struct prompt_folder_file *file = &d->folder.files[i];
        if (hand_on(d, file, &e) == 0) {
            continue;
        }
        if (e.kind == ERR_BUSY) {
            is_busy = true;
        } else {
            log_error("profile \"%s\" stays as it is: %s", file->name, e.message);
        }
    }
    return is_busy;
}

void prompts_dir_failed(struct prompts_dir *d, const char *name, const struct err *why)
{
    if (!d || !may_pass(why)) {
        return;
    }
    if (!d->is_looking) {
        prompt_folder_forget_content(&d->folder, name);
    } else if (d->n_failed < PROMPT_FOLDER_FILES_MAX) {
        snprintf(d->failed[d->n_failed++], sizeof(d->failed[0]), "%s", name);
    } else {
        log_error("profile \"%s\" stays as it is until its file changes", name);
    }
}

static void forget_failed(struct prompts_dir *d)
{
    for (size_t i = 0; i < d->n_failed; i++) {
        prompt_folder_forget_content(&d->folder, d->failed[i]);
    }
    d->n_failed = 0;
}

static void log_problem(struct prompts_dir *d)
{
    if (d->problem.kind == ERR_NONE) {
        d->logged[0] = '\0';
    } else if (strcmp(d->logged, d->problem.message) != 0) {
        log_error("--prompts-dir: %s", d->problem.message);
        snprintf(d->logged, sizeof(d->logged), "%s", d->problem.message);
    }
}

/* --- looking --- */

static void release(struct prompts_dir *d)
{
    if (d->is_stopped && !d->is_looking && d->n_handles == 0) {
        prompt_folder_deinit(&d->folder);
        mem_free(d);
    }
}

static void look(struct prompts_dir *d)
{
    d->problem = (struct err){0};
    prompt_folder_look(&d->folder, &d->problem);
}

static void look_on_worker(uv_work_t *work)
{
    look(work->data);
}

static void after_look(uv_work_t *work, int status)
{
    struct prompts_dir *d = work->data;
    (void)status; /* it is never cancelled */
    d->is_looking = false;
    if (d->is_stopped) {
        release(d);
        return;
    }
    log_problem(d);
    forget_failed(d);
    bool is_busy = hand_on_all(d);
    uint64_t next_ms = d->has_event                     ? AFTER_EVENT_MS
                       : d->folder.is_moving || is_busy ? LOOK_AGAIN_MS
                                                        : LOOK_EVERY_MS;
    uv_timer_start(&d->timer, on_timer, next_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct prompts_dir *d = timer->data;
    d->has_event = false;
    if (uv_queue_work(d->loop, &d->work, look_on_worker, after_look) == 0) {
        d->is_looking = true;
    } else {
        uv_timer_start(&d->timer, on_timer, LOOK_EVERY_MS, 0);
    }
}

/* What has happened does not matter, and is not told alike by all systems. */
static void on_event(uv_fs_event_t *watch, const char *name, int events, int status)
{
    struct prompts_dir *d = watch->data;
    (void)name;
    (void)events;
    (void)status;
    d->has_event = true;
    if (!d->is_looking && uv_timer_get_due_in(&d->timer) > AFTER_EVENT_MS) {
        uv_timer_start(&d->timer, on_timer, AFTER_EVENT_MS, 0);
    }
}

/* --- life --- */

/* All files as they are now; -1 at the first that cannot be used. */
static int take_all(struct prompts_dir *d, struct err *e)
{
    look(d);
    if (d->folder.is_moving) {
        uv_sleep(START_APART_MS);
        look(d);
    }
    if (d->problem.kind != ERR_NONE) {
        *e = d->problem;
        return -1;
    }
    for (size_t i = 0; i < d->folder.count; i++) {
        struct err problem = {0};
        if (hand_on(d, &d->folder.files[i], &problem) != 0 && problem.kind != ERR_BUSY) {
            *e = problem;
            return -1;
        }
    }
    return 0;
}

static void watch(struct prompts_dir *d)
{
    uv_timer_init(d->loop, &d->timer);
    uv_fs_event_init(d->loop, &d->watch);
    d->n_handles = 2;
    d->timer.data = d;
    d->watch.data = d;
    d->work.data = d;
    int rc = uv_fs_event_start(&d->watch, on_event, d->folder.path, 0);
    if (rc != 0) {
        log_warn("%s: changes are seen late, by looking every %d seconds: %s", d->folder.path,
                 LOOK_EVERY_MS / 1000, uv_strerror(rc));
    }
    uv_timer_start(&d->timer, on_timer, LOOK_AGAIN_MS, 0);
}

struct prompts_dir *prompts_dir_start(uv_loop_t *loop, const char *dir, prompts_dir_put *put,
                                      void *ctx, struct err *e)
{
    struct prompts_dir *d = mem_zalloc(sizeof(*d));
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    d->loop = loop;
    d->put = put;
    d->ctx = ctx;
    prompt_folder_init(&d->folder, dir);
    if (take_all(d, e) != 0) {
        prompt_folder_deinit(&d->folder);
        mem_free(d);
        return NULL;
    }
    watch(d);
    return d;
}

static void on_closed(uv_handle_t *handle)
{
    struct prompts_dir *d = handle->data;
    d->n_handles--;
    release(d);
}

void prompts_dir_stop(struct prompts_dir *d)
{
    if (!d) {
        return;
    }
    d->is_stopped = true;
    uv_close((uv_handle_t *)&d->timer, on_closed);
    uv_close((uv_handle_t *)&d->watch, on_closed);
}
