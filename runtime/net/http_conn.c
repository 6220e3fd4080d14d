#include "runtime/net/http_conn.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/net/http_address.h"

/* Connections over the limit that may be open at a time just to be told so. */
#define REFUSALS_MAX 64

/* TCP keep-alive probes begin after this many seconds of silence, so that a peer which vanished
 * without a word during a long computation is noticed. */
#define TCP_KEEPALIVE_S 60

/* The first byte of TLS, the content type "handshake": RFC 8446 5.1. */
#define TLS_HANDSHAKE 0x16

/* For input that the kernel has already. */
#define READ_SOON_MS 1000

static struct http_conn *conn_of(void *handle)
{
    return ((uv_handle_t *)handle)->data;
}

static uint64_t now_ms(const struct http_conn *c)
{
    return uv_now(c->server->loop);
}

/* ---- the end ---- */

void http_conn_forget_exchange(struct http_conn *c)
{
    c->exchange.is_live = false;
    if (c->server->handler.on_end) {
        c->server->handler.on_end(c->server->ctx, &c->exchange);
    }
}

static void tell_abort(struct http_conn *c)
{
    if (c->exchange.is_live) {
        c->exchange.is_live = false;
        c->server->stats.requests_aborted++;
        c->server->handler.on_abort(c->server->ctx, &c->exchange);
        http_conn_forget_exchange(c);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct http_conn *c = conn_of(handle);
    struct http_server *server = c->server;
    if (--c->handles_open > 0) {
        return;
    }
    tell_abort(c);
    *c->link = c->next;
    if (c->next) {
        c->next->link = c->link;
    }
    server->stats.connections_open--;
    http_parser_deinit(&c->parser);
    buf_deinit(&c->pending);
    tls_session_destroy(c->tls);
    mem_free(c);
    http_server_maybe_closed(server);
}

static void close_now(struct http_conn *c, bool with_reset)
{
    if (c->state == HTTP_CONN_CLOSED) {
        return;
    }
    c->state = HTTP_CONN_CLOSED;
    uv_close((uv_handle_t *)&c->timer, on_closed);
    if (!with_reset || c->is_unix || uv_tcp_close_reset(&c->socket.tcp, on_closed) != 0) {
        uv_close(&c->socket.handle, on_closed);
    }
}

void http_conn_cut(struct http_conn *c)
{
    close_now(c, true);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct http_conn *c = conn_of(request->handle);
    if (c->state == HTTP_CONN_CLOSED) {
        return;
    }
    c->is_shut = true;
    if (status < 0 || c->has_eof) {
        close_now(c, status < 0);
        return;
    }
    c->read_by = now_ms(c) + c->server->settings.linger_timeout_ms;
    http_conn_settle(c);
}

/* Sends what is queued and FIN, then waits for the client's. Closing with input unread would
 * make the kernel send a reset, which can destroy the response before the client has read it:
 * RFC 9112 9.6. */
static void linger(struct http_conn *c)
{
    c->state = HTTP_CONN_LINGERING;
    buf_deinit(&c->pending);
    c->wake_at = 0;
    c->read_by = 0;
    c->body_by = 0;
    if (c->tls) {
        tls_session_end(c->tls);
    }
    if (c->state != HTTP_CONN_CLOSED &&
        uv_shutdown(&c->shutdown, &c->socket.stream, on_shutdown) != 0) {
        http_conn_cut(c);
    }
}

static void close_idle(struct http_conn *c)
{
    if (http_conn_queued_bytes(c) > 0) {
        linger(c);
        http_conn_settle(c);
    } else {
        close_now(c, false);
    }
}

static bool is_idle(const struct http_conn *c)
{
    return c->state == HTTP_CONN_READING && !http_parser_has_begun(&c->parser);
}

void http_conn_close_when_done(struct http_conn *c)
{
    uint32_t idle_ms = c->server->idle_ms;
    if (!is_idle(c) || c->pending.len > 0) {
        return;
    }
    if (idle_ms == 0) {
        close_idle(c);
    } else if (c->read_by == 0 || c->read_by > now_ms(c) + idle_ms) {
        c->read_by = now_ms(c) + idle_ms;
        http_conn_settle(c);
    }
}

/* ---- refusals ---- */

/* Answers for the handler and ends the connection. */
static void refuse(struct http_conn *c, const struct http_refusal *refusal)
{
    const char *method = c->parser.request.method;
    bool is_head = method && strcmp(method, "HEAD") == 0;
    struct http_response_head head = {.status = refusal->status};
    struct buf out;
    buf_init(&out, HTTP_RESPONSE_HEAD_MAX);
    http_conn_complete_head(c, &head);
    if (http_response_append_refusal(&out, refusal, &head, is_head) != 0) {
        http_conn_cut(c);
    } else {
        uv_buf_t whole = {.base = out.data, .len = out.len};
        if (http_conn_write(c, &whole, 1) == 0) {
            linger(c);
        }
    }
    buf_deinit(&out);
    tell_abort(c);
}

static void refuse_request(struct http_conn *c, const struct http_refusal *refusal)
{
    c->server->stats.requests_refused++;
    refuse(c, refusal);
}

/* ---- requests ---- */

static void show_to_handler(struct http_conn *c)
{
    c->exchange.is_live = true;
    c->server->stats.requests_total++;
}

static void on_head(struct http_conn *c, size_t bytes_left)
{
    const struct http_server *server = c->server;
    struct http_exchange *ex = &c->exchange;
    c->parser.request.peer = c->peer;
    c->parser.request.received_ns = c->received_ns;
    c->parser.request.is_unix = c->is_unix;
    c->parser.request.id = c->request_id;
    http_request_choose_id(&c->parser.request, c->request_id);
    c->has_head = true;
    *ex = (struct http_exchange){.conn = c};

    if (server->handler.on_headers) {
        show_to_handler(c);
        server->handler.on_headers(server->ctx, ex);
        if (!ex->is_live) {
            return;
        }
        if (ex->has_begun) {
            c->state = HTTP_CONN_ANSWERING;
            c->read_by = 0;
            return;
        }
    }
    if (c->parser.has_body) {
        c->read_by = now_ms(c) + server->settings.body_timeout_ms;
        c->body_by = now_ms(c) + server->settings.body_idle_timeout_ms;
    }
    if (c->parser.expects_continue && bytes_left == 0) {
        uv_buf_t interim = {.base = (char *)"HTTP/1.1 100 Continue\r\n\r\n", .len = 25};
        http_conn_write(c, &interim, 1);
    }
}

static void on_request(struct http_conn *c)
{
    c->state = HTTP_CONN_ANSWERING;
    c->read_by = 0;
    c->body_by = 0;
    if (!c->exchange.is_live) {
        show_to_handler(c);
    }
    c->server->handler.on_request(c->server->ctx, &c->exchange);
}

void http_conn_exchange_ended(struct http_conn *c)
{
    if (c->state == HTTP_CONN_CLOSED) {
        return;
    }
    c->body_by = 0;
    const struct http_server *server = c->server;
    bool has_time = !server->closing || server->idle_ms > 0;
    if (!c->exchange.keep_alive || !has_time) {
        linger(c);
    } else {
        http_parser_reset(&c->parser);
        c->has_head = false;
        c->request_id[0] = '\0';
        c->state = HTTP_CONN_READING;
        c->read_by = now_ms(c) + (server->closing ? server->idle_ms
                                                  : server->settings.keep_alive_timeout_ms);
        /* A request may be waiting, but the handler that called us must not be called from
         * here. */
        c->wake_at = c->is_processing || c->pending.len == 0 ? 0 : now_ms(c);
    }
    http_conn_settle(c);
}

static void set_read_deadlines(struct http_conn *c, bool had_begun)
{
    if (!had_begun && http_parser_has_begun(&c->parser)) {
        c->received_ns = clock_now_ns();
        c->read_by = now_ms(c) + c->server->settings.header_timeout_ms;
    } else if (c->body_by != 0) {
        c->body_by = now_ms(c) + c->server->settings.body_idle_timeout_ms;
    }
}

/* Parses and starts requests while that is possible. Returns how many bytes were used. */
static size_t process(struct http_conn *c, const char *data, size_t len)
{
    size_t used = 0;
    c->is_processing = true;
    while (c->state == HTTP_CONN_READING && !http_conn_is_behind(c)) {
        if (used == len && c->parser.state == HTTP_PARSER_IN_HEAD) {
            break;
        }
        bool had_begun = http_parser_has_begun(&c->parser);
        size_t n;
        enum http_parser_event event =
            http_parser_feed(&c->parser, data + used, len - used, &n);
        used += n;
        set_read_deadlines(c, had_begun);
        if (event == HTTP_PARSER_MORE) {
            break;
        }
        if (event == HTTP_PARSER_HEAD) {
            on_head(c, len - used);
        } else if (event == HTTP_PARSER_DONE) {
            on_request(c);
        } else {
            refuse_request(c, &c->parser.refusal);
        }
    }
    c->is_processing = false;
    return used;
}

static bool can_process(const struct http_conn *c)
{
    return c->state == HTTP_CONN_READING && !c->is_processing;
}

static void process_pending(struct http_conn *c)
{
    if (!can_process(c) || c->pending.len == 0) {
        return;
    }
    size_t used = process(c, c->pending.data, c->pending.len);
    if (c->pending.len > used) {
        buf_consume(&c->pending, used);
    } else {
        buf_deinit(&c->pending);
    }
}

void http_conn_go_on(struct http_conn *c)
{
    process_pending(c);
    http_conn_settle(c);
}

/* ---- input ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct http_conn *c = conn_of(handle);
    size_t room = c->server->settings.pipeline_bytes_max - c->pending.len;
    bool is_waiting = c->state == HTTP_CONN_ANSWERING || c->pending.len > 0;
    *buf = (uv_buf_t){
        .base = c->server->read_buffer,
        .len = is_waiting && room < HTTP_READ_BYTES ? room : HTTP_READ_BYTES,
    };
}

static void on_input(struct http_conn *c, const char *data, size_t len)
{
    size_t used = 0;
    if (c->pending.len == 0 && can_process(c)) {
        used = process(c, data, len);
    }
    bool is_kept = c->state == HTTP_CONN_READING || c->state == HTTP_CONN_ANSWERING;
    if (is_kept && used < len && buf_append(&c->pending, data + used, len - used) != 0) {
        http_conn_cut(c);
    }
}

static void on_input_end(struct http_conn *c, bool is_eof)
{
    c->is_reading = false;
    c->has_eof = true;
    if (is_eof && c->state == HTTP_CONN_LINGERING) {
        if (c->is_shut) {
            close_now(c, false);
        }
    } else if (is_eof && is_idle(c)) {
        close_idle(c);
    } else {
        http_conn_cut(c);
    }
}

/* HTTP where TLS is spoken: a human's mistake, who is told in the language that he speaks. */
static void refuse_plain(struct http_conn *c)
{
    static const struct http_refusal refusal = {
        400, "https_required", "This port speaks HTTPS: use an address that begins so."};
    tls_session_destroy(c->tls);
    c->tls = NULL;
    refuse_request(c, &refusal);
}

static void on_tls_failure(struct http_conn *c)
{
    c->server->stats.tls_failures++;
    log_debug("TLS with %s failed: %s", c->peer, tls_session_failure(c->tls));
    if (c->state == HTTP_CONN_READING && !c->has_head) {
        linger(c); /* an alert may be on its way */
    } else {
        http_conn_cut(c);
    }
}

static void on_encrypted_input(struct http_conn *c, const char *data, size_t len)
{
    char *plain = c->server->plain_buffer;
    tls_session_lend(c->tls, data, len);
    while (c->state == HTTP_CONN_READING || c->state == HTTP_CONN_ANSWERING) {
        size_t n;
        enum tls_result result = tls_session_read(c->tls, plain, HTTP_PLAIN_BYTES, &n);
        if (result == TLS_DATA) {
            on_input(c, plain, n);
            continue;
        }
        if (result == TLS_END) {
            uv_read_stop(&c->socket.stream); /* as libuv does by itself at an end */
            on_input_end(c, true);
        } else if (result == TLS_FAILED && c->state != HTTP_CONN_CLOSED) {
            on_tls_failure(c);
        }
        return;
    }
}

static void on_received(struct http_conn *c, const char *data, size_t len)
{
    bool is_first = !c->has_spoken;
    c->server->stats.bytes_received += len;
    c->has_spoken = true;
    if (c->tls && is_first && data[0] != TLS_HANDSHAKE) {
        refuse_plain(c);
    } else if (c->tls && c->state != HTTP_CONN_LINGERING) {
        on_encrypted_input(c, data, len);
    } else {
        on_input(c, data, len);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_conn *c = conn_of(stream);
    if (n < 0) {
        on_input_end(c, n == UV_EOF);
    } else if (n > 0) {
        on_received(c, buf->base, (size_t)n);
    }
    http_conn_settle(c);
}

/* ---- time ---- */

static void refuse_late(struct http_conn *c)
{
    const struct http_server_settings *s = &c->server->settings;
    bool in_body = c->parser.state == HTTP_PARSER_IN_BODY;
    uint32_t limit = !in_body                 ? s->header_timeout_ms
                     : now_ms(c) < c->read_by ? s->body_idle_timeout_ms
                                              : s->body_timeout_ms;
    struct http_refusal refusal = {.status = 408, .code = "request_timeout"};
    snprintf(refusal.message, sizeof(refusal.message),
             "The request %s did not arrive in time: nothing complete within %u ms.",
             in_body ? "body" : "head", limit);
    refuse_request(c, &refusal);
}

/* Closing now would destroy a request that has arrived and is read in a moment. */
static bool has_input_waiting(const struct http_conn *c)
{
    uv_os_fd_t fd;
    char byte;
    return uv_fileno(&c->socket.handle, &fd) == 0 &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void on_read_deadline(struct http_conn *c)
{
    if (c->state == HTTP_CONN_LINGERING) {
        close_now(c, false);
    } else if (http_parser_has_begun(&c->parser)) {
        refuse_late(c);
    } else if (http_conn_queued_bytes(c) > 0) {
        c->read_by = now_ms(c) + c->server->settings.keep_alive_timeout_ms;
    } else if (has_input_waiting(c)) {
        c->read_by = now_ms(c) + READ_SOON_MS;
    } else {
        close_now(c, false);
    }
}

static void on_write_deadline(struct http_conn *c)
{
    uint64_t taken = c->bytes_submitted - http_conn_queued_bytes(c);
    if (taken > c->bytes_taken) {
        c->write_by = 0; /* settle sets the next */
    } else {
        c->server->stats.connections_stalled++;
        http_conn_cut(c);
    }
}

static bool is_past(const struct http_conn *c, uint64_t deadline)
{
    return deadline != 0 && deadline <= now_ms(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct http_conn *c = conn_of(timer);
    if (c->wake_at != 0) {
        c->wake_at = 0;
        process_pending(c);
    } else if (is_past(c, c->write_by)) {
        on_write_deadline(c);
    } else if (is_past(c, c->read_by) || is_past(c, c->body_by)) {
        on_read_deadline(c);
    }
    http_conn_settle(c);
}

static void sooner(uint64_t *soonest, uint64_t deadline)
{
    if (deadline != 0 && (*soonest == 0 || deadline < *soonest)) {
        *soonest = deadline;
    }
}

void http_conn_settle(struct http_conn *c)
{
    if (c->state == HTTP_CONN_CLOSED) {
        return;
    }
    bool wants_read = !c->has_eof && c->pending.len < c->server->settings.pipeline_bytes_max;
    if (wants_read && !c->is_reading) {
        if (uv_read_start(&c->socket.stream, on_alloc, on_read) != 0) {
            http_conn_cut(c);
            return;
        }
    } else if (!wants_read && c->is_reading) {
        uv_read_stop(&c->socket.stream);
    }
    c->is_reading = wants_read;

    size_t queued = http_conn_queued_bytes(c);
    if (queued == 0) {
        c->write_by = 0;
    } else if (c->write_by == 0) {
        c->write_by = now_ms(c) + c->server->settings.write_stall_timeout_ms;
        c->bytes_taken = c->bytes_submitted - queued;
    }

    uint64_t soonest = 0;
    sooner(&soonest, c->wake_at);
    sooner(&soonest, c->write_by);
    sooner(&soonest, c->read_by);
    sooner(&soonest, c->body_by);
    if (soonest == 0) {
        uv_timer_stop(&c->timer);
    } else {
        uint64_t now = now_ms(c);
        uv_timer_start(&c->timer, on_timer, soonest > now ? soonest - now : 0, 0);
    }
}

/* ---- the beginning ---- */

static int open_handles(struct http_conn *c, const struct http_listener *listener)
{
    uv_loop_t *loop = c->server->loop;
    c->is_unix = listener->unix_path != NULL;
    if (listener->tls) {
        c->tls = tls_session_create(listener->tls, http_conn_send_encrypted, c);
        if (!c->tls) {
            return -1;
        }
    }
    if (c->is_unix) {
        uv_pipe_init(loop, &c->socket.pipe, 0);
    } else {
        uv_tcp_init(loop, &c->socket.tcp);
    }
    uv_timer_init(loop, &c->timer);
    c->handles_open = 2;
    c->socket.handle.data = c;
    c->timer.data = c;
    return 0;
}

static struct http_conn *create(const struct http_listener *listener)
{
    struct http_server *server = listener->server;
    struct http_conn *c = mem_zalloc(sizeof(*c));
    if (!c) {
        return NULL;
    }
    c->server = server;
    c->exchange.conn = c;
    if (open_handles(c, listener) != 0) {
        mem_free(c);
        return NULL;
    }
    http_parser_init(&c->parser, &server->settings, &server->bodies_total);
    /* Beside what is read ahead: one read, and a record that was incomplete before it. */
    buf_init(&c->pending,
             server->settings.pipeline_bytes_max + HTTP_READ_BYTES + HTTP_PLAIN_BYTES);

    c->next = server->conns;
    c->link = &server->conns;
    if (c->next) {
        c->next->link = &c->next;
    }
    server->conns = c;
    server->stats.connections_open++;
    return c;
}

static void configure_socket(struct http_conn *c)
{
    /* The kernel would take megabytes for a client that does not read, unseen by any limit. */
    int send_bytes = (int)c->server->settings.kernel_send_bytes;
    (void)uv_send_buffer_size(&c->socket.handle, &send_bytes);
    if (c->is_unix) {
        snprintf(c->peer, sizeof(c->peer), "unix");
    } else {
        uv_tcp_nodelay(&c->socket.tcp, 1);
        uv_tcp_keepalive(&c->socket.tcp, 1, TCP_KEEPALIVE_S);
        http_address_write_peer(&c->socket.tcp, c->peer);
    }
}

/* One connection too many is told so, unless there are too many of those as well, or it would
 * take a handshake. */
static void turn_away(struct http_conn *c)
{
    static const struct http_refusal refusal = {
        503, "too_many_connections",
        "The server has too many connections; try again in a moment."};
    struct http_server *server = c->server;
    server->stats.connections_refused++;
    if (c->tls ||
        server->stats.connections_open > server->settings.connections_max + REFUSALS_MAX) {
        close_now(c, false);
    } else {
        refuse(c, &refusal);
    }
}

int http_conn_accept(struct http_listener *listener)
{
    struct http_server *server = listener->server;
    struct http_conn *c = create(listener);
    if (!c) {
        return -1;
    }
    if (uv_accept(&listener->socket.stream, &c->socket.stream) != 0) {
        close_now(c, false);
        return 0;
    }
    server->stats.connections_total++;
    configure_socket(c);
    if (server->stats.connections_open > server->settings.connections_max) {
        turn_away(c);
    } else {
        /* With TLS for the handshake; a request's head then has as long again. */
        c->read_by = now_ms(c) + server->settings.header_timeout_ms;
    }
    http_conn_settle(c);
    return 0;
}
