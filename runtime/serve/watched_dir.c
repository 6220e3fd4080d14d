#include "runtime/serve/watched_dir.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/registry/version_name.h"

#define LOOK_EVERY_MS  2000
#define LOOK_AGAIN_MS  250 /* while something moves, or `put` is busy */
#define AFTER_EVENT_MS 100 /* for the other events that come with it */
#define START_APART_MS 50  /* between the looks at the start, */
#define START_LOOKS    8   /* of which there are so many while something moves */

struct watched_dir {
    uv_loop_t *loop;
    uv_work_t work;
    uv_timer_t timer; /* runs but while a look does */
    uv_fs_event_t watch;
    unsigned n_handles; /* not closed yet */
    bool is_looking;    /* then `folder` and `problem` are the worker's */
    bool has_event;     /* since the look began */
    bool is_stopped;

    struct watched_folder folder;
    struct err problem;           /* of the folder, at the last look */
    char logged[ERR_MESSAGE_MAX]; /* the one that was logged last, or "" */
    watched_dir_put *put;
    void *ctx;

    /* What has failed during a look, which has the folder: (n_failed). */
    char failed[WATCHED_FILES_MAX][VERSION_NAME_MAX + 1];
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
static int hand_on(struct watched_dir *d, struct watched_file *file, struct err *e)
{
    const struct watched_reader *reader = d->folder.reader;
    int rc = 0;
    bool is_over = true;
    if (file->news == WATCHED_CHANGED) {
        rc = d->put(d->ctx, file->name, &file->content, e);
        if (rc != 0 && e->kind != ERR_BUSY) {
            err_prefix(e, "%s/%s%s", d->folder.path, file->name, reader->suffix);
        }
        is_over = rc == 0 || !may_pass(e);
    } else if (file->news == WATCHED_BROKEN) {
        *e = file->problem;
        rc = -1;
    } else if (file->news == WATCHED_GONE) {
        log_warn("%s/%s%s is gone; %s \"%s\" stays as it is", d->folder.path, file->name,
                 reader->suffix, reader->noun, file->name);
    }
    if (is_over) {
        watched_folder_clear_news(&d->folder, file);
    }
    return rc;
}

/* Whether something is left for the next look. */
static bool hand_on_all(struct watched_dir *d)
{
    bool is_busy = false;
    for (size_t i = 0; i < d->folder.count; i++) {
        struct err e = {0};
        struct watched_file *file = &d->folder.files[i];
        if (hand_on(d, file, &e) == 0) {
            continue;
        }
        if (e.kind == ERR_BUSY) {
            is_busy = true;
        } else {
            log_error("%s \"%s\" stays as it is: %s", d->folder.reader->noun, file->name,
                      e.message);
        }
    }
    return is_busy;
}

void watched_dir_failed(struct watched_dir *d, const char *name, const struct err *why)
{
    if (!d || !may_pass(why)) {
        return;
    }
    if (!d->is_looking) {
        watched_folder_forget_content(&d->folder, name);
    } else if (d->n_failed < WATCHED_FILES_MAX) {
        snprintf(d->failed[d->n_failed++], sizeof(d->failed[0]), "%s", name);
    } else {
        log_error("%s \"%s\" stays as it is until its file changes", d->folder.reader->noun,
                  name);
    }
}

static void forget_failed(struct watched_dir *d)
{
    for (size_t i = 0; i < d->n_failed; i++) {
        watched_folder_forget_content(&d->folder, d->failed[i]);
    }
    d->n_failed = 0;
}

static void log_problem(struct watched_dir *d)
{
    if (d->problem.kind == ERR_NONE) {
        d->logged[0] = '\0';
    } else if (strcmp(d->logged, d->problem.message) != 0) {
        log_error("%s: %s", d->folder.reader->option, d->problem.message);
        snprintf(d->logged, sizeof(d->logged), "%s", d->problem.message);
    }
}

/* --- looking --- */

static void release(struct watched_dir *d)
{
    if (d->is_stopped && !d->is_looking && d->n_handles == 0) {
        watched_folder_deinit(&d->folder);
        mem_free(d);
    }
}

static void look(struct watched_dir *d)
{
    d->problem = (struct err){0};
    watched_folder_look(&d->folder, &d->problem);
}

static void look_on_worker(uv_work_t *work)
{
    look(work->data);
}

static void after_look(uv_work_t *work, int status)
{
    struct watched_dir *d = work->data;
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
    struct watched_dir *d = timer->data;
    d->has_event = false;
    if (uv_queue_work(d->loop, &d->work, look_on_worker, after_look) == 0) {
        d->is_looking = true;
    } else {
        uv_timer_start(&d->timer, on_timer, LOOK_EVERY_MS, 0);
    }
}

void watched_dir_look(struct watched_dir *d)
{
    if (!d) {
        return;
    }
    d->has_event = true; /* so that a look that runs now is followed by another */
    if (!d->is_looking) {
        uv_timer_start(&d->timer, on_timer, 0, 0);
    }
}

/* What has happened does not matter, and is not told alike by all systems. */
static void on_event(uv_fs_event_t *watch, const char *name, int events, int status)
{
    struct watched_dir *d = watch->data;
    (void)name;
    (void)events;
    (void)status;
    d->has_event = true;
    if (!d->is_looking && uv_timer_get_due_in(&d->timer) > AFTER_EVENT_MS) {
        uv_timer_start(&d->timer, on_timer, AFTER_EVENT_MS, 0);
    }
}

/* --- life --- */

/* Whether the only file was read. */
static int check_single(const struct watched_folder *f, struct err *e)
{
    if (f->count == 0) {
        return err_set_errno(e, ENOENT, "%s/%s: cannot open", f->path, f->reader->only);
    }
    return f->is_moving ? err_set(e, ERR_BUSY, "%s/%s: is being written to; try again", f->path,
                                  f->reader->only)
                        : 0;
}

/* All files as they are now; -1 at the first that cannot be used. */
static int take_all(struct watched_dir *d, struct err *e)
{
    look(d);
    for (int i = 1; i < START_LOOKS && d->folder.is_moving; i++) {
        uv_sleep(START_APART_MS);
        look(d);
    }
    if (d->problem.kind != ERR_NONE) {
        *e = d->problem;
        return -1;
    }
    if (d->folder.reader->only && check_single(&d->folder, e) != 0) {
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

static void watch(struct watched_dir *d)
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

struct watched_dir *watched_dir_start(uv_loop_t *loop, const char *dir,
                                      const struct watched_reader *reader, watched_dir_put *put,
                                      void *ctx, struct err *e)
{
    struct watched_dir *d = mem_zalloc(sizeof(*d));
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    d->loop = loop;
    d->put = put;
    d->ctx = ctx;
    watched_folder_init(&d->folder, dir, reader);
    if (take_all(d, e) != 0) {
        watched_folder_deinit(&d->folder);
        mem_free(d);
        return NULL;
    }
    watch(d);
    return d;
}

static void on_closed(uv_handle_t *handle)
{
    struct watched_dir *d = handle->data;
    d->n_handles--;
    release(d);
}

void watched_dir_stop(struct watched_dir *d)
{
    if (!d) {
        return;
    }
    d->is_stopped = true;
    uv_close((uv_handle_t *)&d->timer, on_closed);
    uv_close((uv_handle_t *)&d->watch, on_closed);
}
