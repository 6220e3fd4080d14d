/* The way out of a connection: what the kernel does not take at once waits in libuv's queue. */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/net/http_conn.h"

struct pending_write {
    uv_write_t request;
    char data[];
};

size_t http_conn_queued_bytes(const struct http_conn *c)
{
    return uv_stream_get_write_queue_size(&c->socket.stream);
}

bool http_conn_is_behind(const struct http_conn *c)
{
    return http_conn_queued_bytes(c) > c->server->settings.write_queue_bytes_low;
}

static void on_written(uv_write_t *request, int status)
{
    struct http_conn *c = request->handle->data;
    struct http_exchange *ex = &c->exchange;
    mem_free(request->data);
    if (c->state == HTTP_CONN_CLOSED) {
        return;
    }
    if (status < 0) {
        http_conn_cut(c);
        return;
    }
    if (ex->is_live && ex->wants_drain && !http_conn_is_behind(c)) {
        ex->wants_drain = false;
        if (c->server->handler.on_drain) {
            c->server->handler.on_drain(c->server->ctx, ex);
        }
    }
    http_conn_go_on(c);
}

/* Copies bufs without their first `skip` bytes into a write that libuv finishes. */
static int queue_rest(struct http_conn *c, const uv_buf_t *bufs, unsigned count, size_t skip,
                      size_t len)
{
    struct pending_write *w = mem_alloc(sizeof(*w) + len);
    if (!w) {
        return -1;
    }
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t skipped = skip < bufs[i].len ? skip : bufs[i].len;
        size_t rest = bufs[i].len - skipped;
        if (rest > 0) {
            memcpy(w->data + at, bufs[i].base + skipped, rest);
        }
        at += rest;
        skip -= skipped;
    }
    w->request.data = w;
    uv_buf_t buf = {.base = w->data, .len = len};
    if (uv_write(&w->request, &c->socket.stream, &buf, 1, on_written) != 0) {
        mem_free(w);
        return -1;
    }
    return 0;
}

/* To the kernel, or into the queue. */
static int send_bytes(struct http_conn *c, const uv_buf_t *bufs, unsigned count)
{
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        len += bufs[i].len;
    }
    size_t taken = 0;
    if (len > 0 && http_conn_queued_bytes(c) == 0) {
        int rc = uv_try_write(&c->socket.stream, bufs, count);
        if (rc < 0 && rc != UV_EAGAIN) {
            return -1;
        }
        taken = rc > 0 ? (size_t)rc : 0;
    }
    c->bytes_submitted += len;
    c->server->stats.bytes_sent += len;
    return taken == len ? 0 : queue_rest(c, bufs, count, taken, len - taken);
}

int http_conn_send_encrypted(void *ctx, const void *data, size_t len)
{
    struct http_conn *c = ctx;
    uv_buf_t buf = {.base = (char *)data, .len = len};
    if (c->state == HTTP_CONN_CLOSED) {
        return -1;
    }
    if (send_bytes(c, &buf, 1) != 0) {
        http_conn_cut(c);
        return -1;
    }
    return 0;
}

int http_conn_write(struct http_conn *c, const uv_buf_t *bufs, unsigned count)
{
    if (c->state == HTTP_CONN_CLOSED) {
        return -1;
    }
    int rc = c->tls ? tls_session_write(c->tls, bufs, count) : send_bytes(c, bufs, count);
    if (rc != 0) {
        http_conn_cut(c);
        return -1;
    }
    if (http_conn_queued_bytes(c) > 0) {
        c->exchange.wants_drain = http_conn_is_behind(c);
        http_conn_settle(c);
    }
    return 0;
}

/* ---- heads ---- */

static void add_handler_fields(void *ctx, struct buf *out)
{
    const struct http_conn *c = ctx;
    c->server->handler.on_response(c->server->ctx, c->has_head ? &c->exchange : NULL, out);
}

void http_conn_complete_head(struct http_conn *c, struct http_response_head *head)
{
    if (c->request_id[0] == '\0') {
        http_request_make_id(c->request_id);
    }
    head->request_id = c->request_id;
    head->more = c->server->handler.on_response ? add_handler_fields : NULL;
    head->more_ctx = c;
}
