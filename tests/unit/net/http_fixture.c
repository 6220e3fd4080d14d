#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/net/http_fixture.h"
#include "tests/unit/net/http_transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/buf.h"

#define WAIT_S 20

enum command { COMMAND_NONE, COMMAND_CLOSE, COMMAND_CUT, COMMAND_STATS };

/* A timed answer in progress. */
struct job {
    uv_timer_t timer;
    struct http_fixture *fixture;
    struct http_exchange *ex;
    size_t left; /* /gentle */
};

static void on_job_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void job_end(struct job *job)
{
    uv_close((uv_handle_t *)&job->timer, on_job_closed);
}

static struct job *job_start(struct http_fixture *f, struct http_exchange *ex,
                             uv_timer_cb callback, uint64_t after_ms, uint64_t repeat_ms)
{
    struct job *job = calloc(1, sizeof(*job));
    job->fixture = f;
    job->ex = ex;
    uv_timer_init(&f->loop, &job->timer);
    job->timer.data = job;
    uv_timer_start(&job->timer, callback, after_ms, repeat_ms);
    http_exchange_set_data(ex, job);
    return job;
}

static void answer_later(uv_timer_t *timer)
{
    struct job *job = timer->data;
    http_respond(job->ex, 200, NULL, 0, "later", 5);
    job_end(job);
}

static void tick(uv_timer_t *timer)
{
    struct job *job = timer->data;
    http_stream_write(job->ex, "tick\n", 5);
}

static size_t note_queued(const struct job *job)
{
    size_t queued = http_exchange_queued_bytes(job->ex);
    if (queued > atomic_load(&job->fixture->queued_peak)) {
        atomic_store(&job->fixture->queued_peak, queued);
    }
    return queued;
}

static void flood(uv_timer_t *timer)
{
    static char piece[64 * 1024];
    struct job *job = timer->data;
    for (int i = 0; i < 16; i++) {
        if (http_stream_write(job->ex, piece, sizeof(piece)) != 0) {
            atomic_fetch_add(&job->fixture->failed_writes, 1);
            uv_timer_stop(timer); /* on_abort follows */
            return;
        }
        note_queued(job);
    }
}

static void pour(struct job *job)
{
    static char piece[32 * 1024];
    while (job->left > 0) {
        if (note_queued(job) > 64 * 1024) {
            return;
        }
        size_t len = job->left < sizeof(piece) ? job->left : sizeof(piece);
        if (http_stream_write(job->ex, piece, len) != 0) {
            return;
        }
        job->left -= len;
    }
    http_stream_end(job->ex);
    job_end(job);
}

static void pour_first(uv_timer_t *timer)
{
    pour(timer->data);
}

static void on_drain(void *ctx, struct http_exchange *ex)
{
    (void)ctx;
    pour(http_exchange_data(ex));
}

static void respond_info(struct http_exchange *ex)
{
    const struct http_request *r = http_exchange_request(ex);
    static const struct http_header plain = {"Content-Type", "text/plain"};
    struct buf text;
    buf_init(&text, 64 * 1024 * 1024);
    buf_printf(&text, "%s %s ?%s host=%s headers=%zu body=%zu:", r->method, r->path, r->query,
               r->host, r->header_count, r->body_len);
    buf_append(&text, r->body, r->body_len);
    http_respond(ex, 200, &plain, 1, text.data, text.len);
    buf_deinit(&text);
}

static void respond_three(struct http_exchange *ex)
{
    http_stream_begin(ex, 200, NULL, 0);
    http_stream_write(ex, "one ", 4);
    http_stream_write(ex, "two ", 4);
    http_stream_write(ex, "three", 5);
    http_stream_end(ex);
}

static void respond_injected(struct http_exchange *ex)
{
    static const struct http_header evil = {"X-Echo", "a\r\nSet-Cookie: b"};
    http_respond(ex, 200, &evil, 1, "ok", 2);
}

static void on_headers(void *ctx, struct http_exchange *ex)
{
    (void)ctx;
    if (strcmp(http_exchange_request(ex)->path, "/refuse") == 0) {
        http_respond(ex, 401, NULL, 0, "no", 2);
    }
}

static void on_request(void *ctx, struct http_exchange *ex)
{
    struct http_fixture *f = ctx;
    const char *path = http_exchange_request(ex)->path;
    atomic_fetch_add(&f->requests, 1);
    if (strcmp(path, "/later") == 0) {
        job_start(f, ex, answer_later, 20, 0);
    } else if (strcmp(path, "/ticks") == 0) {
        http_stream_begin(ex, 200, NULL, 0);
        job_start(f, ex, tick, 0, 2);
    } else if (strcmp(path, "/flood") == 0) {
        http_stream_begin(ex, 200, NULL, 0);
        job_start(f, ex, flood, 0, 1);
    } else if (strcmp(path, "/gentle") == 0) {
        http_stream_begin(ex, 200, NULL, 0);
        job_start(f, ex, pour_first, 0, 0)->left = FIXTURE_GENTLE_BYTES;
    } else if (strcmp(path, "/three") == 0) {
        respond_three(ex);
    } else if (strcmp(path, "/cut") == 0) {
        http_stream_begin(ex, 200, NULL, 0);
        http_stream_write(ex, "half", 4);
        http_exchange_cut(ex);
    } else if (strcmp(path, "/empty") == 0) {
        http_respond(ex, 204, NULL, 0, NULL, 0);
    } else if (strcmp(path, "/peer") == 0) {
        const char *peer = http_exchange_request(ex)->peer;
        http_respond(ex, 200, NULL, 0, peer, strlen(peer));
    } else if (strcmp(path, "/inject") == 0) {
        respond_injected(ex);
    } else if (strcmp(path, "/hang") != 0) {
        respond_info(ex);
    }
}

static void on_end(void *ctx, struct http_exchange *ex)
{
    struct http_fixture *f = ctx;
    (void)ex;
    atomic_fetch_add(&f->ends, 1);
}

static void on_abort(void *ctx, struct http_exchange *ex)
{
    struct http_fixture *f = ctx;
    struct job *job = http_exchange_data(ex);
    if (job) {
        job_end(job);
    }
    atomic_fetch_add(&f->aborts, 1);
}

/* ---- the thread ---- */

static void on_server_closed(void *ctx)
{
    struct http_fixture *f = ctx;
    f->server = NULL;
    atomic_store(&f->closed, 1);
    uv_close((uv_handle_t *)&f->command, NULL);
}

static void on_command(uv_async_t *async)
{
    struct http_fixture *f = async->data;
    int wanted = atomic_exchange(&f->wanted, COMMAND_NONE);
    if (wanted == COMMAND_CLOSE && f->server) {
        http_server_close(f->server, f->close_idle_ms, on_server_closed, f);
    } else if (wanted == COMMAND_CUT && f->server) {
        http_server_cut(f->server);
    } else if (wanted == COMMAND_STATS && f->server) {
        f->stats = http_server_stats(f->server);
    }
    if (wanted != COMMAND_NONE) {
        uv_sem_post(&f->done);
    }
}

static void run_loop(void *arg)
{
    struct http_fixture *f = arg;
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fixture: %s\n", what);
        abort();
    }
}

static void command(struct http_fixture *f, enum command wanted)
{
    atomic_store(&f->wanted, (int)wanted);
    uv_async_send(&f->command);
    uv_sem_wait(&f->done);
}

static void listen_for_tests(struct http_fixture *f)
{
    struct err e;
    if (http_transport == HTTP_OVER_UNIX) {
        must(http_server_listen_unix(f->server, http_transport_unix_path(), 0600, &e) == 0,
             e.message);
        return;
    }
    if (http_transport == HTTP_OVER_TLS) {
        f->tls = tls_context_create(http_transport_cert_path(), http_transport_key_path(), &e);
        must(f->tls != NULL, e.message);
    }
    must(http_server_listen(f->server, "127.0.0.1", 0, f->tls, &e) == 0, e.message);
}

void http_fixture_start(struct http_fixture *f, const struct http_server_settings *settings)
{
    static const struct http_handler handler = {
        .on_headers = on_headers,
        .on_request = on_request,
        .on_abort = on_abort,
        .on_drain = on_drain,
        .on_end = on_end,
    };
    struct http_server_settings defaults = http_server_settings_default();
    struct err e;
    memset(f, 0, sizeof(*f));
    must(uv_loop_init(&f->loop) == 0, "uv_loop_init");
    must(uv_sem_init(&f->done, 0) == 0, "uv_sem_init");
    must(uv_async_init(&f->loop, &f->command, on_command) == 0, "uv_async_init");
    f->command.data = f;
    f->server = http_server_create(&f->loop, settings ? settings : &defaults, &handler, f, &e);
    must(f->server != NULL, "http_server_create");
    listen_for_tests(f);
    f->port = http_server_port(f->server);
    must(uv_thread_create(&f->thread, run_loop, f) == 0, "uv_thread_create");
}

void http_fixture_close(struct http_fixture *f)
{
    f->close_requested = true;
    command(f, COMMAND_CLOSE);
}

void http_fixture_cut(struct http_fixture *f)
{
    command(f, COMMAND_CUT);
}

struct http_server_stats http_fixture_stats(struct http_fixture *f)
{
    command(f, COMMAND_STATS);
    return f->stats;
}

void http_fixture_stop(struct http_fixture *f)
{
    if (!f->close_requested) {
        http_fixture_close(f);
    }
    uv_thread_join(&f->thread);
    must(atomic_load(&f->closed) == 1, "the loop ended before the server");
    must(uv_loop_close(&f->loop) == 0, "handles are left on the loop");
    uv_sem_destroy(&f->done);
    tls_context_destroy(f->tls);
}

static void sleep_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static int is_late(time_t start)
{
    return time(NULL) - start > WAIT_S;
}

void http_fixture_wait(atomic_int *value, int wanted)
{
    time_t start = time(NULL);
    while (atomic_load(value) < wanted) {
        must(!is_late(start), "waited in vain");
        sleep_a_little();
    }
}

void http_fixture_wait_open(struct http_fixture *f, size_t wanted)
{
    time_t start = time(NULL);
    while (http_fixture_stats(f).connections_open != wanted) {
        must(!is_late(start), "waited in vain for connections");
        sleep_a_little();
    }
}
