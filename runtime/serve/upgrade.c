#include "runtime/serve/upgrade.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/api/upgrade_reply.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/handover.h"
#include "runtime/serve/pid_file.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/server_metrics.h"
#include "runtime/serve/service_notify.h"
#include "runtime/serve/upgrade_start.h"

#define LOOK_EVERY_MS 10

/* For who is refused meanwhile. */
#define RETRY_AFTER_S 2

enum step {
    LOADING,    /* the new process is */
    SETTLING,   /* changes that were begun are waited for */
    HANDING_ON, /* "go" was said */
    ENDING,     /* it failed, and its process is waited for */
};

struct upgrade {
    struct server *server;
    struct http_exchange *ex; /* who waits for the outcome, or NULL */
    uv_timer_t timer;
    pid_t pid;
    int end; /* of the handover */
    enum step step;
    uint64_t begun_ms;
    char version[64];          /* of the new program */
    char why[ERR_MESSAGE_MAX]; /* it failed, or "" */
};

/* --- the end of it --- */

static void on_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void finish(struct upgrade *u)
{
    u->server->upgrade = NULL;
    close(u->end);
    uv_close((uv_handle_t *)&u->timer, on_closed);
}

static void count(struct server *s, const char *outcome)
{
    metrics_add(s->metrics, SERVER_METRIC_UPGRADES, &outcome, 1);
}

static void answer_failure(struct upgrade *u)
{
    if (u->ex) {
        struct api_error error =
            api_error_make(422, "invalid_request_error", "upgrade_failed", NULL, u->why);
        respond_error(u->ex, &error);
    }
}

/* The new process is gone; nothing has changed. */
static void conclude_failure(struct upgrade *u)
{
    struct server *s = u->server;
    struct err e = {0};
    log_error("upgrade failed, this process goes on: %s", u->why);
    snprintf(s->upgrade_problem, sizeof(s->upgrade_problem), "%s", u->why);
    count(s, "failed");
    answer_failure(u);
    drift_desk_resume(s->drift);
    if (!s->stopping) {
        if (pid_file_write(s->set.pid_file, &e) != 0) { /* it may have written its own */
            log_warn("%s", e.message);
        }
        service_notify("READY=1\nSTATUS=Serving; an upgrade has failed: %.400s", u->why);
    }
    finish(u);
}

static void fail(struct upgrade *u, const char *why)
{
    if (!u->why[0]) {
        snprintf(u->why, sizeof(u->why), "%s", why);
    }
    kill(u->pid, SIGKILL); /* it is our child and was not waited for: the number is its own */
    u->step = ENDING;
}

static void succeed(struct upgrade *u)
{
    struct server *s = u->server;
    log_info("process %ld serves now (version %s); this one finishes its requests",
             (long)u->pid, u->version);
    service_notify("MAINPID=%ld\nREADY=1\nSTATUS=Serving", (long)u->pid);
    s->handed_over = true;
    service_watchdog_stop(&s->watchdog);
    model_catalog_retire(s->catalog);
    http_server_leave_paths(s->http);
    server_stop(s, UPGRADE_IDLE_MS);
    if (u->ex) {
        size_t len = 0;
        char *text = upgrade_done_text((long)u->pid, u->version, &len);
        respond_json(u->ex, 200, text, len, NULL, 0);
    }
    finish(u);
}

/* --- while it runs --- */

static void say_how_it_ended(struct upgrade *u, int status)
{
    if (u->why[0]) {
        return;
    }
    if (WIFSIGNALED(status)) {
        snprintf(u->why, sizeof(u->why), "signal %d ended the new process (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        snprintf(u->why, sizeof(u->why),
                 "the new process ended with status %d before it was ready; its messages are "
                 "in the log",
                 WEXITSTATUS(status));
    }
}

/* Whether the process is gone. */
static bool has_ended(struct upgrade *u)
{
    int status = 0;
    if (waitpid(u->pid, &status, WNOHANG) == 0) {
        return false;
    }
    say_how_it_ended(u, status);
    return true;
}

static void on_word(struct upgrade *u, enum handover_word word, const char *text)
{
    if (word == HANDOVER_FAILED) {
        snprintf(u->why, sizeof(u->why), "%s", text);
    } else if (word == HANDOVER_LOADED && u->step == LOADING) {
        snprintf(u->version, sizeof(u->version), "%.63s", text);
        u->step = SETTLING;
        drift_desk_settle(u->server->drift);
    }
}

/* Whether it serves. */
static bool listen_to(struct upgrade *u)
{
    char text[ERR_MESSAGE_MAX];
    for (;;) {
        enum handover_word word = handover_receive(u->end, text);
        if (word == HANDOVER_SERVING && u->step == HANDING_ON) {
            return true;
        }
        if (word == HANDOVER_NOTHING || word == HANDOVER_ENDED) {
            return false;
        }
        on_word(u, word, text);
    }
}

static void go_on(struct upgrade *u)
{
    struct server *s = u->server;
    char why[128];
    if (u->step == SETTLING && s->version_requests == 0 && !drift_desk_is_storing(s->drift)) {
        drift_desk_retire(s->drift);
        handover_send(u->end, HANDOVER_GO, NULL);
        u->step = HANDING_ON;
    }
    if (uv_now(&s->loop) - u->begun_ms > s->set.upgrade_timeout_ms) {
        snprintf(why, sizeof(why),
                 "the new process was not ready within %u s (--upgrade-timeout)",
                 s->set.upgrade_timeout_ms / 1000);
        fail(u, why);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct upgrade *u = timer->data;
    bool serves = listen_to(u);
    if (has_ended(u)) {
        conclude_failure(u);
    } else if (serves) {
        succeed(u);
    } else if (u->step != ENDING) {
        go_on(u);
    }
}

/* --- beginning --- */

/* A service ends with its main process, and its other processes with it, unless it can say that
 * another one is the main one now. */
static bool is_service_that_cannot_say(void)
{
    const char *pid = getenv("SYSTEMD_EXEC_PID"); /* systemd.exec(5) */
    return pid && strtol(pid, NULL, 10) == getpid() && !getenv("NOTIFY_SOCKET");
}

/* NULL: nothing is against it. */
static const char *objection(const struct server *s)
{
    bool reads_input =
        (s->set.filters_path && strcmp(s->set.filters_path, "-") == 0) ||
        (s->set.system_prompt_path && strcmp(s->set.system_prompt_path, "-") == 0);
    if (s->upgrade) {
        return "an upgrade is under way already";
    }
    if (s->stopping || s->successor) {
        return s->stopping ? "the server is stopping" : "the server has not begun yet";
    }
    if (getpid() == 1) {
        return "this is process 1, with which its container ends: replace the container";
    }
    if (is_service_that_cannot_say()) {
        return "systemd would end the service with this process: the unit needs Type=notify";
    }
    if (s->set.generation.ranks) {
        return "the model is shared out among MPI ranks, which one new process cannot replace: "
               "start all of them anew";
    }
    if (reads_input) {
        return "a file was read from standard input, which the new process could not do again";
    }
    if (s->reload || (s->catalog && model_catalog_is_loading(s->catalog))) {
        return "a model is being loaded; try again when that is over";
    }
    return NULL;
}

/* An upgrade that is under way and the end have words of their own. */
static void notify_refused(struct server *s, const char *message)
{
    if (!s->upgrade && !s->stopping && !s->successor) {
        s->service_reload.keeps_status = true;
        service_notify("STATUS=Serving; an upgrade was refused: %.400s", message);
    }
}

static void refuse(struct server *s, struct http_exchange *ex, int status, const char *message)
{
    log_warn("upgrade refused: %s", message);
    notify_refused(s, message);
    count(s, "refused");
    if (ex) {
        struct api_error error =
            api_error_make(status, status == 409 ? "conflict" : "invalid_request_error",
                           "upgrade_refused", NULL, message);
        respond_error(ex, &error);
    }
}

void upgrade_begin(struct server *s, struct http_exchange *ex)
{
    struct err e = {0};
    const char *against = objection(s);
    if (against) {
        refuse(s, ex, 409, against);
        return;
    }
    struct upgrade *u = mem_zalloc(sizeof(*u));
    if (!u) {
        refuse(s, ex, 503, "the server is out of memory");
        return;
    }
    if (upgrade_start(s, &u->pid, &u->end, &e) != 0) {
        mem_free(u);
        refuse(s, ex, 422, e.message);
        return;
    }
    u->server = s;
    u->ex = ex;
    u->begun_ms = uv_now(&s->loop);
    u->timer.data = u;
    uv_timer_init(&s->loop, &u->timer);
    uv_timer_start(&u->timer, on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
    s->upgrade = u;
    log_info("upgrade: process %ld (%s) loads, this one serves", (long)u->pid,
             s->set.command[0]);
    service_notify_reloading("Upgrading");
}

void upgrade_abandon(struct server *s, struct http_exchange *ex)
{
    if (s->upgrade && s->upgrade->ex == ex) {
        s->upgrade->ex = NULL;
    }
}

void upgrade_cancel(struct server *s)
{
    if (s->upgrade && s->upgrade->step != ENDING) {
        fail(s->upgrade, "the server was told to stop");
    }
}

/* --- what must wait for its end --- */

bool upgrade_holds_changes(const struct server *s)
{
    return s->handed_over || s->successor ||
           (s->upgrade && (s->upgrade->step == SETTLING || s->upgrade->step == HANDING_ON));
}

bool upgrade_holds_folders(const struct server *s)
{
    return s->upgrade || upgrade_holds_changes(s);
}

/* Of models, and of what their answers are held against. */
static bool waits_for_end(const char *path)
{
    static const char *const beginnings[] = {"/admin/models", "/admin/drift"};
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (strncmp(path, beginnings[i], strlen(beginnings[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool upgrade_refuses(struct server *s, struct http_exchange *ex, const struct route *route)
{
    bool is_change = route->auth == ROUTE_ADMIN && strcmp(route->method, "GET") != 0;
    bool must_wait = upgrade_holds_changes(s) || (s->upgrade && waits_for_end(route->path));
    if (!is_change || !must_wait) {
        return false;
    }
    struct api_error error =
        api_error_make(503, "server_error", "upgrading", NULL,
                       "the server is being replaced by a new process; try again in a moment");
    error.retry_after_s = RETRY_AFTER_S;
    respond_error(ex, &error);
    return true;
}
