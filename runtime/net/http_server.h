/* http_server.h: an HTTP/1.1 and 1.0 server (RFC 9110, RFC 9112) on a libuv loop.
 *
 * The server accepts connections, reads one request at a time from each, calls the handler, and
 * writes what the handler answers. It knows nothing of routes, JSON requests or models. What
 * never reaches the handler, because it is malformed, too large, too slow or ambiguous about
 * where it ends (request smuggling), is answered here, with a body in OpenAI's error shape, and
 * the connection is then closed.
 *
 * The life of an exchange (one request and its response):
 *
 *   head read -> [on_headers] -> body read -> on_request -> one of
 *       http_respond                                                  a whole response
 *       http_stream_begin, http_stream_write ..., http_stream_end     a streamed one
 *   or, at any moment before the handler finished it: the client goes away -> on_abort
 *
 * The handler may answer inside a callback or any time later. Every exchange that was shown to
 * the handler ends exactly once: when http_respond or http_stream_end is called, or when
 * on_abort returns. After that its pointer is dead.
 *
 * A client that closes its side (FIN) while its request is being computed counts as gone.
 * Pipelined requests are answered in order, each begun when the one before was answered. While
 * an exchange runs the connection goes on reading, up to pipeline_bytes_max bytes, so that a
 * departure is seen at once; a client that pipelines more than that is only noticed by its
 * failing writes.
 *
 * Threads: everything here, callbacks included, runs on the loop's thread. Callbacks must not
 * block.
 *
 * Ownership: said at each function. A connection's memory is bounded by its settings and
 * released in the last uv_close callback.
 *
 * Signals: http_server_create ignores SIGPIPE for the process if it still has its default
 * action, because libuv writes without MSG_NOSIGNAL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/net/http_request.h"

struct http_server;   /* opaque */
struct http_exchange; /* opaque */

struct tls_context;    /* tls.h */
struct passed_sockets; /* passed_sockets.h */

/* Room for the name of a socket: the longest is a unix path. */
#define HTTP_SOCKET_NAME_MAX 128

/* Every bound on what a client can make the server hold or wait for. */
struct http_server_settings {
    size_t connections_max;          /* more are answered 503 and closed */
    size_t header_bytes_max;         /* request line and fields together; more is 431 */
    size_t header_count_max;         /* fields; more is 431 */
    size_t target_bytes_max;         /* request target; more is 414 */
    size_t body_bytes_max;           /* more is 413, at once when Content-Length says so */
    size_t bodies_bytes_max;         /* all bodies held at a time; more is 503 */
    size_t pipeline_bytes_max;       /* read ahead while an exchange runs */
    size_t write_queue_bytes_max;    /* a client that lets more than this pile up is cut off */
    size_t kernel_send_bytes;        /* what the kernel may hold of a connection's output */
    size_t write_queue_bytes_low;    /* on_drain is called when the queue falls to this */
    uint32_t header_timeout_ms;      /* first byte to end of head; 408 */
    uint32_t body_idle_timeout_ms;   /* between two reads of a body; 408 */
    uint32_t body_timeout_ms;        /* for a whole body; 408 */
    uint32_t keep_alive_timeout_ms;  /* from a response to the next request; closed silently */
    uint32_t write_stall_timeout_ms; /* the client takes none of its waiting output; cut off */
    uint32_t linger_timeout_ms; /* after a last response, for the client to read it and close */
};

/* 10,000 connections; head 16 KiB with 100 fields, target 8 KiB; body 8 MiB, all bodies 256
 * MiB; pipeline 64 KiB; write queue 4 MiB, low 64 KiB, in the kernel 256 KiB; header 10 s, body
 * idle 30 s, body 300 s, keep-alive 75 s, write stall 30 s, linger 2 s. */
struct http_server_settings http_server_settings_default(void);

/* What the program does with exchanges. Only on_request and on_abort must be there. */
struct http_handler {
    /* The head is complete and the body, if there is one, is not read yet (nor has 100 Continue
     * been sent). Either answers now with http_respond, to refuse early, in which case
     * on_request is not called and an unread body closes the connection; or does nothing, and
     * the body is read. */
    void (*on_headers)(void *ctx, struct http_exchange *ex);

    /* The request is complete. Answer now or later. */
    void (*on_request)(void *ctx, struct http_exchange *ex);

    /* The client is gone, was cut off for not reading, or was too slow or wrong in sending its
     * body (then already answered). Called once, for an exchange that on_headers or on_request
     * has been shown and that nobody finished, always from the loop and never inside a call of
     * this header. Stop its work; do not respond. */
    void (*on_abort)(void *ctx, struct http_exchange *ex);

    /* A streaming exchange's queue was above write_queue_bytes_low and has fallen to it. */
    void (*on_drain)(void *ctx, struct http_exchange *ex);

    /* A response head is made, also one of the server's own refusals: add further fields with
     * http_field_add. Runs inside of the response functions; call none of them. ex is NULL
     * when no request could be read. */
    void (*on_response)(void *ctx, const struct http_exchange *ex, struct buf *head);

    /* The exchange is over, however it ended. Called once for each that on_headers or
     * on_request has been shown, the last call for it, also inside of the response functions;
     * call none of them. */
    void (*on_end)(void *ctx, struct http_exchange *ex);
};

/* Counters since creation, for metrics. */
struct http_server_stats {
    size_t connections_open;
    uint64_t connections_total;
    uint64_t connections_refused; /* over connections_max */
    uint64_t connections_stalled; /* cut off because the client did not read */
    uint64_t tls_failures;        /* handshakes that failed, records that were broken */
    uint64_t requests_total;      /* shown to the handler */
    uint64_t requests_refused;    /* answered by the server itself: 4xx, 5xx */
    uint64_t requests_aborted;    /* on_abort calls */
    uint64_t bytes_received;
    uint64_t bytes_sent; /* handed to the kernel or waiting in a queue */
};

/* `settings` and `handler` are copied, ctx is borrowed. NULL on failure. */
struct http_server *http_server_create(uv_loop_t *loop,
                                       const struct http_server_settings *settings,
                                       const struct http_handler *handler, void *ctx,
                                       struct err *e);

/* Binds and listens. host is an IPv4 or IPv6 address, or a name, of which the first address is
 * taken; port 0 picks a free one. tls is borrowed and must outlive the server; NULL: plain
 * HTTP. May be called again for a further address. */
int http_server_listen(struct http_server *server, const char *host, uint16_t port,
                       struct tls_context *tls, struct err *e);

/* The same for a unix socket at `path`, a file with these permission bits. A socket there at
 * which nobody listens is replaced. The file is removed when the server stops accepting. */
int http_server_listen_unix(struct http_server *server, const char *path, unsigned mode,
                            struct err *e);

/* From now on the two above take a socket of that address out of `passed` (borrowed), if it is
 * there, instead of making one. A file of a unix socket is removed at the end as always, unless
 * a service manager made it. */
void http_server_use_passed(struct http_server *server, struct passed_sockets *passed);

/* Listens on all that are left in there, whatever their addresses: TCP ones with `tls`. */
int http_server_listen_passed(struct http_server *server, struct tls_context *tls,
                              struct err *e);

/* The port of the first successful http_server_listen; 0 before. */
uint16_t http_server_port(const struct http_server *server);

/* A listening socket, for a process that is to take over. */
struct http_server_socket {
    int fd;                          /* the server's */
    bool is_managed;                 /* a service manager made it */
    char name[HTTP_SOCKET_NAME_MAX]; /* "127.0.0.1:8080", "unix:/run/weir.sock" */
};

/* The i-th; false behind the last one, and after the server has stopped accepting. */
bool http_server_socket_at(const struct http_server *server, size_t i,
                           struct http_server_socket *out);

/* Another process listens on the same sockets: their files stay when this server ends. */
void http_server_leave_paths(struct http_server *server);

struct http_server_stats http_server_stats(const struct http_server *server);

/* Closes the listening sockets. Open connections are served as before. */
void http_server_stop_accepting(struct http_server *server);

/* Graceful end: stops accepting, lets running exchanges finish and closes their connections
 * after the answer, which says so if it has not begun yet. A client that was not told may be
 * sending: a connection that is idle, or new, or was promised to stay, gets idle_ms for one
 * more request, which is answered. When the last is gone the server is released and then
 * on_closed called (NULL: nothing). The loop must run for that. Waits as long as the exchanges
 * take: to bound it, call http_server_cut later. Calls after the first do nothing. */
void http_server_close(struct http_server *server, uint32_t idle_ms,
                       void (*on_closed)(void *ctx), void *ctx);

/* Cuts every connection now; on_abort follows, from the loop, for each unfinished exchange. */
void http_server_cut(struct http_server *server);

/* ---- an exchange ---- */

/* Lent until the exchange ends. */
const struct http_request *http_exchange_request(const struct http_exchange *ex);

/* One pointer for the handler's own use, NULL at first. The server never touches what it points
 * to. */
void http_exchange_set_data(struct http_exchange *ex, void *data);
void *http_exchange_data(const struct http_exchange *ex);

/* A second one, for what stands between the server and the code that answers (who asks, under
 * which limits). NULL at first; readable until on_end returns. */
void http_exchange_set_guard(struct http_exchange *ex, void *guard);
void *http_exchange_guard(const struct http_exchange *ex);

/* A third one, for what is told of the request when it is over (metrics, traces, logs). */
void http_exchange_set_watch(struct http_exchange *ex, void *watch);
void *http_exchange_watch(const struct http_exchange *ex);

/* The status that was answered; 0 before a response was begun. Readable until on_end returns.
 */
int http_exchange_status(const struct http_exchange *ex);

/* Output accepted and not yet taken by the kernel: the measure for holding a producer back. */
size_t http_exchange_queued_bytes(const struct http_exchange *ex);

/* ---- responses ----
 *
 * The server adds Date, Content-Length or Transfer-Encoding, Connection and x-request-id;
 * leave them out. Names and values are copied; control bytes in them are replaced by spaces, so
 * no value can add a field. For HEAD the body is not sent, and neither is it for 1xx, 204 and
 * 304. Response functions call back only on_response and on_end. 0, or -1 when the connection
 * is lost or memory ran out, in which case the connection is cut: after -1 from
 * http_stream_begin or _write either call http_stream_end or wait for on_abort. */

/* Adds a field to a head that is being made. For on_response. */
void http_field_add(struct buf *head, const char *name, const char *value);

/* A whole response with Content-Length. Ends the exchange, whatever it returns (if a stream was
 * begun, by cutting the connection). body may be NULL when len is 0. */
int http_respond(struct http_exchange *ex, int status, const struct http_header *headers,
                 size_t header_count, const void *body, size_t len);

/* Begins a response of unknown length: chunked for HTTP/1.1, ended by closing for HTTP/1.0. The
 * head is sent at once. */
int http_stream_begin(struct http_exchange *ex, int status, const struct http_header *headers,
                      size_t header_count);

/* Copies and sends one piece. len 0 does nothing. A write that finds write_queue_bytes_max or
 * more already waiting cuts the connection off instead. */
int http_stream_write(struct http_exchange *ex, const void *data, size_t len);

/* Ends the response and the exchange. */
int http_stream_end(struct http_exchange *ex);

/* Ends the exchange by cutting the connection, so that a client can tell a streamed response
 * that failed half-way from one that is complete. */
void http_exchange_cut(struct http_exchange *ex);
