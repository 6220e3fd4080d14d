#include "runtime/serve/server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/exchange.h"
#include "runtime/serve/prompt_admin.h"
#include "runtime/serve/prompts_dir.h"
#include "runtime/serve/reload.h"
#include "runtime/serve/router.h"

#define PROMPTS_DIR_ACTOR "prompts-dir"

void server_publish_generation(struct server *s, struct generation *g)
{
    struct generation *old = s->generation;
    s->generation = g;
    log_info("model %s (generation %llu, sha256 %.12s) is published", g->id,
             (unsigned long long)g->number, g->model->sha256);
    prompt_set_warm(&s->prompts, g);
    generation_unref(old);
}

void server_publish_chain(struct server *s, struct chain *c)
{
    chain_unref(s->chain);
    s->chain = c;
    log_info("filter chain %s@%u with %zu filters is published", chain_name(c),
             chain_version(c), chain_filter_count(c));
}

/* --- stopping --- */

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* The last connection is gone: let go of what keeps the loop alive. */
static void on_http_closed(void *ctx)
{
    struct server *s = ctx;
    s->http = NULL;
    close_handle(&s->on_term);
    close_handle(&s->on_int);
    close_handle(&s->on_hup);
    close_handle(&s->drain_timer);
    close_handle(&s->ping_timer);
    certificate_stop_watching(&s->certificate);
    prompts_dir_stop(s->prompts_dir);
    s->prompts_dir = NULL;
    s->prompts.generation = NULL; /* what is still being read for it is dropped */
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

static void on_stop_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    if (s->stopping) {
        log_warn("signal %d again: requests are cut", number);
        if (s->http) {
            http_server_cut(s->http);
        }
        return;
    }
    s->stopping = true;
    log_info("signal %d: no new requests, running ones are finished", number);
    uv_timer_start(&s->drain_timer, on_drain_timeout, s->set.drain_timeout_ms, 0);
    http_server_close(s->http, on_http_closed, s);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct server *s = handle->data;
    struct err e = {0};
    if (s->stopping || !s->generation) {
        return;
    }
    certificate_reload(&s->certificate);
    if (access_reload_key_file(&s->set.access, &e) != 0) {
        log_error("the keys stay as they are: %s", e.message);
    }
    reload_begin(s, NULL, false);
}

/* --- starting --- */

static void watch_signals(struct server *s)
{
    struct {
        uv_signal_t *handle;
        uv_signal_cb callback;
        int number;
    } signals[] = {{&s->on_term, on_stop_signal, SIGTERM},
                   {&s->on_int, on_stop_signal, SIGINT},
                   {&s->on_hup, on_reload_signal, SIGHUP}};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        signals[i].handle->data = s;
        uv_signal_init(&s->loop, signals[i].handle);
        int rc = uv_signal_start(signals[i].handle, signals[i].callback, signals[i].number);
        if (rc != 0) {
            log_warn("signal %d will not be handled: %s", signals[i].number, uv_strerror(rc));
        }
    }
    s->drain_timer.data = s;
    uv_timer_init(&s->loop, &s->drain_timer);
}

static void on_ping_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    exchange_ping_quiet(s, (uint64_t)s->set.ping_ms * 1000000);
}

static void start_pings(struct server *s)
{
    s->ping_timer.data = s;
    uv_timer_init(&s->loop, &s->ping_timer);
    if (s->set.ping_ms > 0) {
        /* Twice as often, so that no stream is quiet for much longer than was set. */
        uint64_t every_ms = s->set.ping_ms / 2 + 1;
        uv_timer_start(&s->ping_timer, on_ping_timer, every_ms, every_ms);
    }
}

static int add_profile(void *ctx, const struct prompt_profile *profile, struct prompt *active,
                       struct prompt *split, struct err *e)
{
    struct server *s = ctx;
    return prompt_set_publish(&s->prompts, profile, active, split, NULL, NULL, e);
}

static struct prompt *read_system_prompt(const char *path, struct err *e)
{
    size_t len = 0;
    char *text = file_read(path, PROMPT_BYTES_MAX, &len, e);
    if (!text) {
        return NULL;
    }
    /* Editors end files with a line break that nobody means. */
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    struct prompt *p = prompt_create(0, text, len, e);
    mem_free(text);
    if (!p) {
        err_prefix(e, "%s", path);
    }
    return p;
}

/* --system-prompt is the first version; what was kept counts more. */
static int put_first_version(struct server *s, struct err *e)
{
    const char *path = s->set.system_prompt_path;
    if (prompt_set_find(&s->prompts, PROMPT_DEFAULT_PROFILE)) {
        log_info("%s: not read, the default prompt has a version already", path);
        return 0;
    }
    struct prompt *p = read_system_prompt(path, e);
    if (!p) {
        return -1;
    }
    const struct prompt_change change = {.actor = "--system-prompt"};
    struct prompt_profile after;
    int rc = prompt_store_put(s->store, PROMPT_DEFAULT_PROFILE, p, true, &change, &after, e);
    rc = rc == 0 ? prompt_set_publish(&s->prompts, &after, p, NULL, NULL, NULL, e) : rc;
    prompt_unref(p);
    return rc;
}

/* At the start, when nobody is served yet and the disk may be waited for. */
static int put_at_start(struct server *s, const char *name, struct prompt *p, struct err *e)
{
    const struct prompt_change change = {.actor = PROMPTS_DIR_ACTOR};
    struct prompt_profile after;
    return prompt_store_put(s->store, name, p, true, &change, &after, e) == 0
               ? prompt_set_publish(&s->prompts, &after, p, NULL, NULL, NULL, e)
               : -1;
}

/* A file of --prompts-dir has this content now. */
static int put_from_folder(void *ctx, const char *name, const char *json, size_t len,
                           struct err *e)
{
    struct server *s = ctx;
    struct prompt *p = prompt_from_json(json, len, e);
    int rc = p ? prompt_name_check(name, "name", e) : -1;
    if (rc == 0) {
        const struct served_profile *served = prompt_set_find(&s->prompts, name);
        bool is_active = served && strcmp(served->active.prompt->sha256, p->sha256) == 0;
        if (!is_active) {
            rc = s->generation ? prompt_admin_put(s, name, json, len, PROMPTS_DIR_ACTOR, e)
                               : put_at_start(s, name, p, e);
        }
    }
    prompt_unref(p);
    return rc;
}

static int watch_prompts(struct server *s, struct err *e)
{
    if (!s->set.prompts_dir) {
        return 0;
    }
    s->prompts_dir = prompts_dir_start(&s->loop, s->set.prompts_dir, put_from_folder, s, e);
    return s->prompts_dir ? 0 : -1;
}

static int load_prompts(struct server *s, struct err *e)
{
    s->no_prompt = prompt_create(0, "", 0, e);
    s->store = s->no_prompt ? prompt_store_open(s->set.state_path, e) : NULL;
    if (!s->store || prompt_store_load_active(s->store, add_profile, s, e) != 0) {
        return -1;
    }
    if (s->set.system_prompt_path && put_first_version(s, e) != 0) {
        return -1;
    }
    return watch_prompts(s, e);
}

static int load_chain(struct server *s, struct err *e)
{
    static const char empty[] = "{\"name\":\"default\",\"filters\":[]}";
    s->chain = s->set.filters_path ? chain_from_file(s->set.filters_path, e)
                                   : chain_from_json(empty, strlen(empty), NULL, e);
    return s->chain ? 0 : -1;
}

static int load_generation(struct server *s, struct err *e)
{
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

static void announce(const struct server *s)
{
    if (s->set.host) {
        bool is_v6 = strchr(s->set.host, ':') != NULL;
        printf("listening on http%s://%s%s%s:%u\n", s->certificate.tls ? "s" : "",
               is_v6 ? "[" : "", s->set.host, is_v6 ? "]" : "", http_server_port(s->http));
    }
    if (s->set.unix_path) {
        printf("listening on unix:%s\n", s->set.unix_path);
    }
    fflush(stdout);
}

static int listen_everywhere(struct server *s, struct err *e)
{
    const struct server_settings *set = &s->set;
    if (set->tls_cert_path && certificate_open(&s->certificate, &s->loop, set->tls_cert_path,
                                               set->tls_key_path, e) != 0) {
        return -1;
    }
    if (set->host &&
        http_server_listen(s->http, set->host, set->port, s->certificate.tls, e) != 0) {
        return -1;
    }
    return set->unix_path ? http_server_listen_unix(s->http, set->unix_path, set->unix_mode, e)
                          : 0;
}

static int start(struct server *s, struct err *e)
{
    if (load_prompts(s, e) != 0 || load_chain(s, e) != 0) {
        return -1;
    }
    s->http = http_server_create(&s->loop, &s->set.http, &router_handler, s, e);
    if (!s->http) {
        return -1;
    }
    /* Binding first: a port in use is told at once, not after a long load. */
    if (listen_everywhere(s, e) != 0) {
        return -1;
    }
    return load_generation(s, e);
}

int server_run(struct server *s, const struct server_settings *set, struct err *e)
{
    *s = (struct server){.set = *set, .next_generation = 1};
    int rc = uv_loop_init(&s->loop);
    if (rc != 0) {
        return err_set(e, ERR_IO, "cannot make an event loop: %s", uv_strerror(rc));
    }
    watch_signals(s);
    start_pings(s);
    rc = start(s, e);
    if (rc == 0) {
        announce(s);
    } else if (s->http) {
        http_server_close(s->http, on_http_closed, s);
    } else {
        on_http_closed(s);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    prompt_set_deinit(&s->prompts);
    prompt_store_close(s->store);
    prompt_unref(s->no_prompt);
    chain_unref(s->chain);
    chain_unref(s->classifier);
    certificate_deinit(&s->certificate);
    uv_loop_close(&s->loop);
    return rc;
}
