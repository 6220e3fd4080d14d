#include "runtime/net/http_server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/net/http_address.h"
#include "runtime/net/http_conn.h"
#include "runtime/net/passed_sockets.h"

#define LISTEN_BACKLOG 1024

/* After memory ran out while accepting. */
#define ACCEPT_RETRY_MS 100

/* At most one log line about failing to accept in this time. */
#define ACCEPT_LOG_INTERVAL_MS 10000

struct http_server_settings http_server_settings_default(void)
{
    return (struct http_server_settings){
        .connections_max = 10000,
        .header_bytes_max = 16 * 1024,
        .header_count_max = 100,
        .target_bytes_max = 8 * 1024,
        .body_bytes_max = 8 * 1024 * 1024,
        .bodies_bytes_max = 256 * 1024 * 1024,
        .pipeline_bytes_max = 64 * 1024,
        .write_queue_bytes_max = 4 * 1024 * 1024,
        .kernel_send_bytes = 256 * 1024,
        .write_queue_bytes_low = 64 * 1024,
        .header_timeout_ms = 10 * 1000,
        .body_idle_timeout_ms = 30 * 1000,
        .body_timeout_ms = 300 * 1000,
        .keep_alive_timeout_ms = 75 * 1000,
        .write_stall_timeout_ms = 30 * 1000,
        .linger_timeout_ms = 2 * 1000,
    };
}

static void ignore_sigpipe(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, NULL);
    }
}

static int check_settings(const struct http_server_settings *s, struct err *e)
{
    const struct {
        const char *name;
        size_t value;
    } fields[] = {
        {"connections_max", s->connections_max},
        {"header_bytes_max", s->header_bytes_max},
        {"header_count_max", s->header_count_max},
        {"target_bytes_max", s->target_bytes_max},
        {"body_bytes_max", s->body_bytes_max},
        {"bodies_bytes_max", s->bodies_bytes_max},
        {"pipeline_bytes_max", s->pipeline_bytes_max},
        {"write_queue_bytes_max", s->write_queue_bytes_max},
        {"header_timeout_ms", s->header_timeout_ms},
        {"body_idle_timeout_ms", s->body_idle_timeout_ms},
        {"body_timeout_ms", s->body_timeout_ms},
        {"keep_alive_timeout_ms", s->keep_alive_timeout_ms},
        {"write_stall_timeout_ms", s->write_stall_timeout_ms},
        {"linger_timeout_ms", s->linger_timeout_ms},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].value == 0 || fields[i].value > SIZE_MAX / 4) {
            return err_set_param(e, ERR_INVALID, fields[i].name,
                                 "HTTP server: %s is %zu; it must be at least 1",
                                 fields[i].name, fields[i].value);
        }
    }
    return 0;
}

struct http_server *http_server_create(uv_loop_t *loop,
                                       const struct http_server_settings *settings,
                                       const struct http_handler *handler, void *ctx,
                                       struct err *e)
{
    if (check_settings(settings, e) != 0) {
        return NULL;
    }
    struct http_server *server = mem_zalloc(sizeof(*server));
    if (!server) {
        err_nomem(e);
        return NULL;
    }
    ignore_sigpipe();
    server->loop = loop;
    server->settings = *settings;
    server->handler = *handler;
    server->ctx = ctx;
    server->accepting = true;
    uv_timer_init(loop, &server->accept_timer);
    server->accept_timer.data = server;
    server->handles_open = 1;
    return server;
}

/* ---- accepting ---- */

static void log_accept_failure(struct http_server *server, const char *why)
{
    uint64_t now = uv_now(server->loop);
    if (server->failure_logged_ms == 0 ||
        now - server->failure_logged_ms >= ACCEPT_LOG_INTERVAL_MS) {
        server->failure_logged_ms = now;
        log_warn("HTTP server: cannot accept a connection: %s", why);
    }
}

static void accept_from(struct http_listener *listener);

static void on_accept_retry(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    for (size_t i = 0; server->accepting && i < server->listener_count; i++) {
        accept_from(&server->listeners[i]);
    }
}

static void accept_from(struct http_listener *listener)
{
    struct http_server *server = listener->server;
    if (http_conn_accept(listener) != 0) {
        log_accept_failure(server, "out of memory");
        uv_timer_start(&server->accept_timer, on_accept_retry, ACCEPT_RETRY_MS, 0);
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct http_listener *listener = stream->data;
    struct http_server *server = listener->server;
    if (status < 0) {
        log_accept_failure(server, uv_strerror(status));
    } else if (server->accepting) {
        accept_from(listener);
    }
}

/* A host with colons needs brackets before a port. */
static int listen_error(const char *host, uint16_t port, int status, struct err *e)
{
    bool is_ipv6 = strchr(host, ':') != NULL;
    const char *open = is_ipv6 ? "[" : "";
    const char *close = is_ipv6 ? "]" : "";
    if (status == UV_EADDRINUSE) {
        return err_set(e, ERR_IO,
                       "%s%s%s:%u is already in use; choose another port, or stop the program "
                       "that listens there",
                       open, host, close, port);
    }
    if (status == UV_EACCES) {
        return err_set(
            e, ERR_IO,
            "%s%s%s:%u: permission denied; ports below 1024 need a privilege, choose "
            "a higher one",
            open, host, close, port);
    }
    return err_set(e, ERR_IO, "cannot listen on %s%s%s:%u: %s", open, host, close, port,
                   uv_strerror(status));
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    server->handles_open--;
    http_server_maybe_closed(server);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_listener *listener = handle->data;
    mem_free(listener->unix_path);
    listener->unix_path = NULL;
    listener->server->handles_open--;
    http_server_maybe_closed(listener->server);
}

/* The next free one, or NULL. */
static struct http_listener *next_listener(struct http_server *server, struct err *e)
{
    if (server->listener_count == HTTP_LISTENERS_MAX) {
        err_set(e, ERR_LIMIT, "cannot listen on more than %d addresses", HTTP_LISTENERS_MAX);
        return NULL;
    }
    struct http_listener *listener = &server->listeners[server->listener_count];
    *listener = (struct http_listener){.server = server};
    return listener;
}

/* From here on it is closed with the server, also when listening fails: uv_close takes time. */
static void take_listener(struct http_listener *listener)
{
    listener->socket.handle.data = listener;
    listener->server->listener_count++;
    listener->server->handles_open++;
}

/* `passed` is out of the list then, whatever comes of it. */
static int listen_tcp_passed(struct http_server *server, struct passed_socket *passed,
                             struct tls_context *tls, struct err *e)
{
    struct http_listener *listener = next_listener(server, e);
    if (!listener) {
        return -1;
    }
    uv_tcp_t *tcp = &listener->socket.tcp;
    uv_tcp_init(server->loop, tcp);
    take_listener(listener);
    listener->tls = tls;
    listener->is_managed = passed->is_managed;

    int fd = passed_socket_take(passed);
    int rc = uv_tcp_open(tcp, fd);
    if (rc != 0) {
        close(fd);
    } else {
        rc = uv_listen(&listener->socket.stream, LISTEN_BACKLOG, on_connection);
    }
    if (rc != 0) {
        return err_set(e, ERR_IO, "cannot listen on the socket %s that was passed: %s",
                       passed->name, uv_strerror(rc));
    }
    if (server->port == 0) {
        server->port = http_address_local_port(tcp);
    }
    return 0;
}

int http_server_listen(struct http_server *server, const char *host, uint16_t port,
                       struct tls_context *tls, struct err *e)
{
    struct sockaddr_storage address;
    if (http_address_resolve(host, port, &address, e) != 0) {
        return -1;
    }
    struct passed_socket *passed = passed_sockets_find(server->passed, &address);
    if (passed) {
        return listen_tcp_passed(server, passed, tls, e);
    }
    struct http_listener *listener = next_listener(server, e);
    if (!listener) {
        return -1;
    }
    uv_tcp_t *tcp = &listener->socket.tcp;
    uv_tcp_init(server->loop, tcp);
    take_listener(listener);
    listener->tls = tls;

    int rc = uv_tcp_bind(tcp, (struct sockaddr *)&address, 0);
    if (rc == 0) {
        rc = uv_listen(&listener->socket.stream, LISTEN_BACKLOG, on_connection);
    }
    if (rc != 0) {
        return listen_error(host, port, rc, e);
    }
    if (server->port == 0) {
        server->port = http_address_local_port(tcp);
    }
    return 0;
}

/* Takes the descriptor over. */
static int listen_at_path(struct http_listener *listener, int fd, const char *path,
                          struct err *e)
{
    listener->unix_path = mem_strdup(path);
    if (!listener->unix_path) {
        close(fd);
        return err_nomem(e);
    }
    uv_pipe_init(listener->server->loop, &listener->socket.pipe, 0);
    take_listener(listener);

    int rc = uv_pipe_open(&listener->socket.pipe, fd);
    if (rc != 0) {
        close(fd);
    } else {
        rc = uv_listen(&listener->socket.stream, LISTEN_BACKLOG, on_connection);
    }
    return rc == 0 ? 0 : err_set(e, ERR_IO, "cannot listen on %s: %s", path, uv_strerror(rc));
}

static int listen_unix_passed(struct http_server *server, struct passed_socket *passed,
                              struct err *e)
{
    struct http_listener *listener = next_listener(server, e);
    if (!listener) {
        return -1;
    }
    listener->is_managed = passed->is_managed;
    listener->leaves_path = passed->is_managed;
    const char *path = passed_socket_path(passed);
    /* Without a file it has an abstract name, or somebody has removed it: nothing to remove. */
    if (!unix_socket_find(path, &listener->unix_id)) {
        listener->leaves_path = true;
    }
    return listen_at_path(listener, passed_socket_take(passed), path, e);
}

int http_server_listen_unix(struct http_server *server, const char *path, unsigned mode,
                            struct err *e)
{
    struct unix_socket_id id;
    struct passed_socket *passed = passed_sockets_find_path(server->passed, path);
    if (passed && unix_socket_find(path, &id)) {
        return listen_unix_passed(server, passed, e);
    }
    struct http_listener *listener = next_listener(server, e);
    if (!listener) {
        return -1;
    }
    int fd = unix_socket_bind(path, mode, &listener->unix_id, e);
    return fd >= 0 ? listen_at_path(listener, fd, path, e) : -1;
}

void http_server_use_passed(struct http_server *server, struct passed_sockets *passed)
{
    server->passed = passed;
}

int http_server_listen_passed(struct http_server *server, struct tls_context *tls,
                              struct err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < server->passed->count; i++) {
        struct passed_socket *passed = &server->passed->items[i];
        if (passed->fd >= 0) {
            rc = passed_socket_path(passed) ? listen_unix_passed(server, passed, e)
                                            : listen_tcp_passed(server, passed, tls, e);
        }
    }
    return rc;
}

bool http_server_socket_at(const struct http_server *server, size_t i,
                           struct http_server_socket *out)
{
    if (i >= server->listener_count || !server->accepting) {
        return false;
    }
    const struct http_listener *listener = &server->listeners[i];
    uv_os_fd_t fd = -1;
    if (uv_fileno(&listener->socket.handle, &fd) != 0) {
        return false;
    }
    *out = (struct http_server_socket){.fd = fd, .is_managed = listener->is_managed};
    if (listener->unix_path) {
        snprintf(out->name, sizeof(out->name), "unix:%s", listener->unix_path);
    } else {
        http_address_write_local(&listener->socket.tcp, out->name);
    }
    return true;
}

void http_server_leave_paths(struct http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        server->listeners[i].leaves_path = true;
    }
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

struct http_server_stats http_server_stats(const struct http_server *server)
{
    return server->stats;
}

/* ---- ending ---- */

void http_server_stop_accepting(struct http_server *server)
{
    if (!server->accepting) {
        return;
    }
    server->accepting = false;
    uv_timer_stop(&server->accept_timer);
    for (size_t i = 0; i < server->listener_count; i++) {
        struct http_listener *listener = &server->listeners[i];
        if (listener->unix_path && !listener->leaves_path) {
            unix_socket_remove(listener->unix_path, &listener->unix_id);
        }
        uv_close(&listener->socket.handle, on_listener_closed);
    }
}

void http_server_close(struct http_server *server, uint32_t idle_ms,
                       void (*on_closed)(void *ctx), void *ctx)
{
    if (server->closing) {
        return;
    }
    server->closing = true;
    server->idle_ms = idle_ms;
    server->on_closed = on_closed;
    server->on_closed_ctx = ctx;
    http_server_stop_accepting(server);
    uv_close((uv_handle_t *)&server->accept_timer, on_timer_closed);
    for (struct http_conn *c = server->conns; c; c = c->next) {
        http_conn_close_when_done(c);
    }
}

void http_server_cut(struct http_server *server)
{
    for (struct http_conn *c = server->conns; c; c = c->next) {
        http_conn_cut(c);
    }
}

void http_server_maybe_closed(struct http_server *server)
{
    if (!server->closing || server->handles_open > 0 || server->conns) {
        return;
    }
    void (*on_closed)(void *ctx) = server->on_closed;
    void *ctx = server->on_closed_ctx;
    mem_free(server);
    if (on_closed) {
        on_closed(ctx);
    }
}
