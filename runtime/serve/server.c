#include "runtime/serve/server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/chain_files.h"
#include "runtime/serve/chain_pick.h"
#include "runtime/serve/exchange.h"
#include "runtime/serve/handover.h"
#include "runtime/serve/listening.h"
#include "runtime/serve/pid_file.h"
#include "runtime/serve/prompt_files.h"
#include "runtime/serve/reload.h"
#include "runtime/serve/router.h"
#include "runtime/serve/server_metrics.h"
#include "runtime/serve/service_notify.h"
#include "runtime/serve/successor.h"
#include "runtime/serve/upgrade.h"

/* For requests that are on their way while the server is told to stop. */
#define STOP_IDLE_MS 200

void server_publish_generation(struct server *s, struct generation *g)
{
    struct generation *old = s->generation;
    s->generation = g;
    if (g) {
        generation_log_published(g);
        prompt_set_add(&s->prompts, g, NULL);
        prompt_set_serve(&s->prompts, g);
    }
    generation_unref(old);
}

const char *server_model_name(const struct server *s)
{
    return s->models ? model_set_name(s->models) : s->generation->model->name;
}

/* --- stopping --- */

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* The last connection is gone: let go of what keeps the loop alive. Signals are still heard, so
 * that one more does not end the program before it has stored what waits. */
static void on_http_closed(void *ctx)
{
    struct server *s = ctx;
    s->http = NULL;
    atomic_store(&s->gives_up_loads, true); /* whoever waited for one is gone */
    successor_stop(s);
    fleet_leave(s->fleet);
    close_handle(&s->drain_timer);
    close_handle(&s->ping_timer);
    service_watchdog_stop(&s->watchdog);
    service_reload_close(s);
    filter_outside_close(&s->outside);
    loop_turns_close(&s->turns);
    certificate_stop_watching(&s->certificate);
    finding_log_stop(s->findings);
    feedback_desk_stop(s->feedback);
    drift_desk_stop(s->drift);
    watched_dir_stop(s->prompts_dir);
    s->prompts_dir = NULL;
    chain_files_stop(s);
    prompt_set_stop(&s->prompts);
    model_waits_close(s);
    model_catalog_stop(s->catalog);
    s->models = NULL;
    generation_unref(s->generation);
    s->generation = NULL;
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct server *s = timer->data;
    if (s->http) {
        log_warn("requests are still running after the drain time, they are cut");
        http_server_cut(s->http);
    }
}

void server_stop(struct server *s, uint32_t idle_ms)
{
    uint32_t drain_ms = s->set.drain_timeout_ms;
    s->stopping = true;
    fleet_leave(s->fleet);
    atomic_store(&s->gives_up_loads, s->waits.count == 0);
    uv_timer_start(&s->drain_timer, on_drain_timeout, drain_ms, 0);
    /* Those that nothing comes from are closed before what is left is cut. */
    http_server_close(s->http, idle_ms < drain_ms / 2 ? idle_ms : drain_ms / 2, on_http_closed,
                      s);
}

void server_fail(struct server *s, const struct err *e)
{
    s->has_failed = true;
    s->failure = *e;
    server_stop(s, 0);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    if (++s->n_stop_signals > 2) {
        log_warn("signal %d for the third time: this is the end", number);
        signal(number, SIG_DFL);
        raise(number);
    }
    if (s->handed_over && s->n_stop_signals == 1) {
        log_info("signal %d: another process serves; running requests are finished", number);
        return;
    }
    if (s->stopping) {
        log_warn("signal %d again: requests are cut", number);
        if (s->http) {
            http_server_cut(s->http);
        }
        return;
    }
    log_info("signal %d: no new requests, running ones are finished", number);
    service_notify("STOPPING=1");
    upgrade_cancel(s);
    server_stop(s, STOP_IDLE_MS);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct server *s = handle->data;
    struct err e = {0};
    if (s->stopping || s->successor || !s->is_ready) {
        return;
    }
    service_reload_begin(s);
    bool is_other_model = s->set.reread && s->set.reread(s->set.reread_ctx, s);
    certificate_reload(&s->certificate);
    if (access_reload_key_file(&s->set.access, &e) != 0) {
        log_error("the keys stay as they are: %s", e.message);
    }
    watched_dir_look(s->prompts_dir);
    chain_files_look(s);
    if (s->upgrade) {
        log_info("the new process loads the models, this one does not load them again");
    } else if (s->catalog) {
        model_catalog_reload(s->catalog);
    } else {
        reload_begin(s, NULL, is_other_model);
    }
}

static void on_upgrade_signal(uv_signal_t *handle, int number)
{
    (void)number;
    upgrade_begin(handle->data, NULL);
}

/* --- starting --- */

static void watch_signal(struct server *s, uv_signal_t *handle, uv_signal_cb callback,
                         int number)
{
    handle->data = s;
    uv_signal_init(&s->loop, handle);
    uv_unref((uv_handle_t *)handle); /* no reason to go on */
    int rc = uv_signal_start(handle, callback, number);
    if (rc != 0) {
        log_warn("signal %d will not be handled: %s", number, uv_strerror(rc));
    }
}

static void end_at_once(int number)
{
    (void)number;
    _exit(0);
}

/* To load a model may take minutes in which the loop hears nothing. Nobody is served and
 * nothing waits to be stored then, so there is nothing to finish. (The default action would do
 * as well, but process 1 of a container has none.) */
static void end_at_signals_of_start(void)
{
    signal(SIGTERM, end_at_once);
    signal(SIGINT, end_at_once);
}

/* Once nothing else is on the loop. The program ends. */
static void stop_watching_signals(struct server *s)
{
    close_handle(&s->on_term);
    close_handle(&s->on_int);
    close_handle(&s->on_hup);
    close_handle(&s->on_usr2);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    signal(SIGTERM, SIG_IGN); /* what is left takes a moment */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
}

static void on_ping_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    exchange_ping_quiet(s, (uint64_t)s->set.ping_ms * 1000000);
}

void server_start_pings(struct server *s)
{
    uv_timer_stop(&s->ping_timer);
    if (s->set.ping_ms > 0) {
        /* Twice as often, so that no stream is quiet for much longer than was set. */
        uint64_t every_ms = s->set.ping_ms / 2 + 1;
        uv_timer_start(&s->ping_timer, on_ping_timer, every_ms, every_ms);
    }
}

/* Prompts and filter chains. */
static int load_versions(struct server *s, struct err *e)
{
    s->no_prompt = prompt_create(0, "", 0, e);
    s->database = s->no_prompt ? version_database_open(s->set.state_path, e) : NULL;
    return s->database && prompt_files_load(s, e) == 0 ? chain_files_load(s, e) : -1;
}

static int load_fleet(struct server *s, struct err *e)
{
    s->fleet = s->set.fleet.name ? fleet_start(s, e) : NULL;
    return s->fleet || !s->set.fleet.name ? 0 : -1;
}

static int load_generation(struct server *s, struct err *e)
{
    if (s->set.repo_path) {
        s->catalog = model_catalog_create(s, e);
        if (!s->catalog || model_catalog_start(s->catalog, e) != 0) {
            return -1;
        }
        s->models = s->catalog->main;
        return 0;
    }
    struct generation *g = generation_load(&s->set.generation, e);
    if (!g) {
        return -1;
    }
    if (generation_serve(g, &s->loop, s->next_generation, e) != 0) {
        generation_discard(g);
        return -1;
    }
    s->next_generation++;
    server_publish_generation(s, g);
    return 0;
}

static int start_watching(struct server *s, struct err *e)
{
    s->metrics = server_metrics_create(s->set.version, e);
    s->findings =
        s->metrics ? finding_log_start(&s->loop, &s->set.findings, s->metrics, e) : NULL;
    if (s->findings && s->set.spans.endpoint) {
        s->spans = span_export_start(&s->set.spans, e);
        if (!s->spans) {
            return -1;
        }
    }
    if (s->findings && !s->set.drift.is_off) {
        s->drift = drift_desk_start(&s->loop, &s->set.drift, s->metrics, e);
        /* A successor reads when the process before it stores nothing any more. */
        bool is_ready =
            s->drift && (s->set.predecessor >= 0 || drift_desk_load(s->drift, e) == 0);
        if (!is_ready) {
            return err_prefix(e, "--drift");
        }
    }
    if (s->findings && s->set.feedback.keeping != FEEDBACK_OFF) {
        s->feedback = feedback_desk_start(&s->loop, &s->set.feedback, s->drift, s->metrics, e);
        if (!s->feedback) {
            return err_prefix(e, "--feedback");
        }
    }
    return s->findings ? 0 : -1;
}

static int start(struct server *s, struct err *e)
{
    if (start_watching(s, e) != 0 || load_versions(s, e) != 0 || load_fleet(s, e) != 0) {
        return -1;
    }
    s->http = http_server_create(&s->loop, &s->set.http, &router_handler, s, e);
    if (!s->http) {
        return -1;
    }
    /* Binding first: a port in use is told at once, not after a long load. A successor listens
     * when it is ready, since what waits in its sockets is served by another until then. */
    if (s->set.predecessor < 0 && listening_begin(s, e) != 0) {
        return -1;
    }
    return load_generation(s, e);
}

/* All is loaded. From the moment that somebody may know of the server it ends in order. */
static int begin_serving(struct server *s, struct err *e)
{
    chain_pick_warn(s);
    return s->set.predecessor < 0 ? server_open(s, e) : successor_begin(s, e);
}

static uint64_t engines_busy_ns(void *ctx)
{
    return exchange_engines_busy_ns(ctx);
}

int server_open(struct server *s, struct err *e)
{
    if (pid_file_write(s->set.pid_file, e) != 0) {
        return err_prefix(e, "--pid-file");
    }
    if (fleet_join(s->fleet, e) != 0) {
        return -1;
    }
    listening_announce(s);
    if (s->set.predecessor < 0) { /* else that one says so, with who is the main process now */
        service_notify("READY=1\nSTATUS=Serving");
    }
    service_watchdog_start(&s->watchdog, &s->loop, service_watchdog_wanted_ns(),
                           engines_busy_ns, s);
    return 0;
}

/* What is left when the loop has nothing to do any more. */
static void release(struct server *s)
{
    model_catalog_destroy(s->catalog);
    finding_log_destroy(s->findings);
    feedback_desk_destroy(s->feedback);
    span_export_stop(s->spans);
    drift_desk_save(s->drift);
    drift_desk_destroy(s->drift);
    fleet_destroy(s->fleet);
    metrics_destroy(s->metrics);
    prompt_set_deinit(&s->prompts);
    chain_set_deinit(&s->chains);
    mem_free(s->filters_path);
    version_database_close(s->database);
    prompt_unref(s->no_prompt);
    chain_unref(s->classifier);
    certificate_deinit(&s->certificate);
    pid_file_remove(s->set.pid_file);
}

/* Tells who waits for it that this process does not serve. */
static int conclude(struct server *s, int rc, struct err *e)
{
    if (s->has_failed) {
        *e = s->failure;
        rc = -1;
    }
    if (rc != 0 && s->set.predecessor >= 0) {
        handover_send(s->set.predecessor, HANDOVER_FAILED, e->message);
    }
    return rc;
}

int server_run(struct server *s, const struct server_settings *set, struct err *e)
{
    *s = (struct server){.set = *set, .next_generation = 1};
    s->set.generation.stop = &s->gives_up_loads;
    int rc = uv_loop_init(&s->loop);
    if (rc != 0) {
        return err_set(e, ERR_IO, "cannot make an event loop: %s", uv_strerror(rc));
    }
    filter_outside_init(&s->outside, &s->loop);
    loop_turns_init(&s->turns, &s->loop);
    model_waits_init(s);
    watch_signal(s, &s->on_hup, on_reload_signal, SIGHUP);
    watch_signal(s, &s->on_usr2, on_upgrade_signal, SIGUSR2);
    end_at_signals_of_start();
    uv_timer_init(&s->loop, &s->drain_timer);
    s->drain_timer.data = s;
    uv_timer_init(&s->loop, &s->ping_timer);
    s->ping_timer.data = s;
    server_start_pings(s);
    service_reload_init(s);
    rc = start(s, e);
    watch_signal(s, &s->on_term, on_stop_signal, SIGTERM);
    watch_signal(s, &s->on_int, on_stop_signal, SIGINT);
    rc = rc == 0 ? begin_serving(s, e) : rc;
    s->is_ready = rc == 0;
    s->stopping = rc != 0;
    if (rc != 0 && s->http) {
        http_server_close(s->http, 0, on_http_closed, s);
    } else if (rc != 0) {
        on_http_closed(s);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    rc = conclude(s, rc, e);
    release(s);
    stop_watching_signals(s);
    uv_loop_close(&s->loop);
    return rc;
}
