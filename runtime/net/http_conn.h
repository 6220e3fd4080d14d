/* http_conn.h: a connection, its exchange, and the state all share. Internal to runtime/net.
 * http_conn.c reads, http_conn_output.c writes, http_exchange.c is the handler's side.
 *
 * A connection is in one of four states:
 *
 *   READING    idle, or receiving a request
 *   ANSWERING  the handler has a complete request (or has answered before its body was read)
 *   LINGERING  the last response is on its way out; input is thrown away until EOF
 *   CLOSED     uv_close was called; the last close callback tells the handler and frees
 *
 * The exchange lives in the connection and is reused for each request. Input that comes while
 * ANSWERING waits in `pending`. All reads go through one buffer of the server's, because libuv
 * calls the read callback right after the allocation callback: an idle connection holds no read
 * buffer.
 *
 * With TLS the bytes of the network go through a session (tls.h) on their way in and out, and
 * nothing else is different: queues are counted in bytes of the network.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "runtime/base/buf.h"
#include "runtime/net/http_address.h"
#include "runtime/net/http_parser.h"
#include "runtime/net/http_response.h"
#include "runtime/net/http_server.h"
#include "runtime/net/tls.h"
#include "runtime/net/unix_socket.h"

#define HTTP_READ_BYTES (64 * 1024)

#define HTTP_LISTENERS_MAX 8

/* What one TLS record holds at the most. */
#define HTTP_PLAIN_BYTES (16 * 1024)

/* TCP, or a socket with a name in the file system. */
union http_socket {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct http_listener {
    union http_socket socket;
    struct http_server *server;
    struct tls_context *tls; /* borrowed; NULL: plain HTTP */
    bool is_managed;         /* a service manager made the socket */
    char *unix_path;         /* owned; NULL: TCP */
    struct unix_socket_id unix_id;
    bool leaves_path; /* the file is not ours to remove */
};

struct http_server {
    uv_loop_t *loop;
    struct http_server_settings settings;
    struct http_handler handler;
    void *ctx;
    struct http_listener listeners[HTTP_LISTENERS_MAX]; /* (listener_count) */
    size_t listener_count;
    struct passed_sockets *passed; /* borrowed, or NULL */
    uint16_t port;
    bool accepting;
    bool closing;
    uint32_t idle_ms;        /* when closing: for one more request */
    size_t handles_open;     /* listeners and accept_timer, until their close callbacks */
    uv_timer_t accept_timer; /* tries again after memory ran out */
    struct http_conn *conns; /* all that are not freed */
    size_t bodies_total;
    struct http_server_stats stats;
    uint64_t failure_logged_ms; /* uv_now of the last log line about accepting */
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
    char read_buffer[HTTP_READ_BYTES];
    char plain_buffer[HTTP_PLAIN_BYTES]; /* what TLS made of a part of read_buffer */
};

enum http_conn_state {
    HTTP_CONN_READING,
    HTTP_CONN_ANSWERING,
    HTTP_CONN_LINGERING,
    HTTP_CONN_CLOSED,
};

struct http_exchange {
    struct http_conn *conn;
    void *data;      /* the handler's */
    void *guard;     /* the handler's too */
    void *watch;     /* the same */
    bool is_live;    /* shown to the handler, not ended */
    bool has_begun;  /* a response head was sent */
    int status;      /* in it */
    bool has_body;   /* the response's body goes on the wire: not for HEAD, 204, ... */
    bool keep_alive; /* as the response head said */
    bool wants_drain;
    enum http_framing framing;
};

struct http_conn {
    struct http_server *server;
    struct http_conn *next;
    struct http_conn **link; /* the pointer that points to this one */
    enum http_conn_state state;
    union http_socket socket;
    bool is_unix;
    struct tls_session *tls; /* NULL: plain HTTP */
    uv_timer_t timer;
    uv_shutdown_t shutdown;
    unsigned handles_open; /* socket and timer, until their close callbacks */
    bool is_reading;       /* uv_read_start is in force */
    bool is_processing;    /* requests are being parsed further up the stack */
    bool is_shut;          /* the response side is completely sent and closed */
    bool has_eof;          /* the client closed its side */
    bool has_spoken;       /* something was received */
    bool has_head;         /* the present request's head is complete */
    struct http_parser parser;
    struct http_exchange exchange;
    struct buf pending;   /* read and not parsed yet */
    uint64_t received_ns; /* when the present request's first byte came */

    /* Deadlines in uv_now time, 0 when not in force. */
    uint64_t wake_at;         /* go on with the next request from the loop */
    uint64_t read_by;         /* head, keep-alive or linger; a body as a whole */
    uint64_t body_by;         /* the next piece of a body */
    uint64_t write_by;        /* the client must have taken something */
    uint64_t bytes_submitted; /* for output progress: submitted less queued is what was taken */
    uint64_t bytes_taken;     /* when write_by was set */

    char peer[HTTP_ADDRESS_NAME_MAX];
    char request_id[HTTP_REQUEST_ID_MAX + 1]; /* "" until a request or a refusal needs it */
};

/* Accepts one connection from `listener`, if one waits. -1 when memory ran out: libuv then
 * keeps the connection and stays silent about the listener, so call again later. */
int http_conn_accept(struct http_listener *listener);

/* The server is closing: an idle connection ends after idle_ms, a busy one after its exchange.
 */
void http_conn_close_when_done(struct http_conn *c);

/* Ends it at once with a reset, which also frees what the kernel still holds for it. The
 * handler hears of an unfinished exchange from the close callback. */
void http_conn_cut(struct http_conn *c);

/* Output not yet taken by the kernel, as it goes over the network. */
size_t http_conn_queued_bytes(const struct http_conn *c);

/* More waits than write_queue_bytes_low. */
bool http_conn_is_behind(const struct http_conn *c);

/* Sends all bufs, copying what the kernel does not take now. -1 when the connection is (now)
 * cut. */
int http_conn_write(struct http_conn *c, const uv_buf_t *bufs, unsigned count);

/* The tls_send of a connection's session; ctx is the connection. */
int http_conn_send_encrypted(void *ctx, const void *data, size_t len);

/* Some output was taken by the kernel: go on with what waited for that. */
void http_conn_go_on(struct http_conn *c);

/* Brings reading and the timer in line with the state. Harmless to call at any time. */
void http_conn_settle(struct http_conn *c);

/* What every response head of this connection has: the request's id, the handler's fields. */
void http_conn_complete_head(struct http_conn *c, struct http_response_head *head);

/* The exchange is over: the handler's on_end, once. */
void http_conn_forget_exchange(struct http_conn *c);

/* The handler has ended the exchange: go on to the next request, or close. */
void http_conn_exchange_ended(struct http_conn *c);

/* Called when a handle of the server or its last connection has closed. */
void http_server_maybe_closed(struct http_server *server);
