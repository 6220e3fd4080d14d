/* The response half of http_server.h: what a handler may do with an exchange. */
#include <stdio.h>
#include <string.h>

#include "runtime/net/http_conn.h"
#include "runtime/net/http_server.h"

const struct http_request *http_exchange_request(const struct http_exchange *ex)
{
    return &ex->conn->parser.request;
}

void http_exchange_set_data(struct http_exchange *ex, void *data)
{
    ex->data = data;
}

void *http_exchange_data(const struct http_exchange *ex)
{
    return ex->data;
}

void http_exchange_set_guard(struct http_exchange *ex, void *guard)
{
    ex->guard = guard;
}

void *http_exchange_guard(const struct http_exchange *ex)
{
    return ex->guard;
}

void http_exchange_set_watch(struct http_exchange *ex, void *watch)
{
    ex->watch = watch;
}

void *http_exchange_watch(const struct http_exchange *ex)
{
    return ex->watch;
}

int http_exchange_status(const struct http_exchange *ex)
{
    return ex->has_begun ? ex->status : 0;
}

size_t http_exchange_queued_bytes(const struct http_exchange *ex)
{
    return http_conn_queued_bytes(ex->conn);
}

/* An unread body cannot be told from a next request, so it ends the connection; and so does a
 * server that is closing. */
static bool may_keep_alive(const struct http_conn *c)
{
    bool body_unread = c->parser.has_body && !c->parser.message_complete;
    return c->parser.keep_alive && !body_unread && !c->server->closing && !c->has_eof;
}

/* Sends the head, and with it `len` bytes of body in the same write. */
static int begin(struct http_exchange *ex, struct http_response_head *head, const void *body,
                 size_t len)
{
    struct http_conn *c = ex->conn;
    if (!http_status_has_body(head->status)) {
        head->framing = HTTP_FRAMING_NONE;
    }
    head->version_minor = c->parser.request.version_minor;
    head->keep_alive = may_keep_alive(c) && head->framing != HTTP_FRAMING_CLOSE;

    http_conn_complete_head(c, head);

    ex->has_begun = true;
    ex->status = head->status;
    ex->framing = head->framing;
    ex->keep_alive = head->keep_alive;
    ex->has_body =
        head->framing != HTTP_FRAMING_NONE && strcmp(c->parser.request.method, "HEAD") != 0;

    struct buf out;
    buf_init(&out, HTTP_RESPONSE_HEAD_MAX);
    int rc = http_response_append_head(&out, head);
    if (rc == 0) {
        uv_buf_t bufs[] = {{.base = out.data, .len = out.len},
                           {.base = (char *)body, .len = ex->has_body ? len : 0}};
        rc = http_conn_write(c, bufs, 2);
    } else {
        http_conn_cut(c);
    }
    buf_deinit(&out);
    return rc;
}

static int end(struct http_exchange *ex, int rc)
{
    http_conn_forget_exchange(ex->conn);
    http_conn_exchange_ended(ex->conn);
    return rc;
}

int http_respond(struct http_exchange *ex, int status, const struct http_header *headers,
                 size_t header_count, const void *body, size_t len)
{
    if (!ex->is_live || ex->has_begun) {
        http_exchange_cut(ex);
        return -1;
    }
    struct http_response_head head = {
        .status = status,
        .headers = headers,
        .header_count = header_count,
        .framing = HTTP_FRAMING_LENGTH,
        .content_length = len,
    };
    return end(ex, begin(ex, &head, body, len));
}

int http_stream_begin(struct http_exchange *ex, int status, const struct http_header *headers,
                      size_t header_count)
{
    if (!ex->is_live || ex->has_begun) {
        return -1;
    }
    bool can_chunk = ex->conn->parser.request.version_minor > 0;
    struct http_response_head head = {
        .status = status,
        .headers = headers,
        .header_count = header_count,
        .framing = can_chunk ? HTTP_FRAMING_CHUNKED : HTTP_FRAMING_CLOSE,
    };
    return begin(ex, &head, NULL, 0);
}

int http_stream_write(struct http_exchange *ex, const void *data, size_t len)
{
    struct http_conn *c = ex->conn;
    if (!ex->is_live || !ex->has_begun) {
        return -1;
    }
    if (len == 0 || !ex->has_body) {
        return c->state == HTTP_CONN_CLOSED ? -1 : 0;
    }
    if (http_conn_queued_bytes(c) >= c->server->settings.write_queue_bytes_max) {
        if (c->state != HTTP_CONN_CLOSED) {
            c->server->stats.connections_stalled++;
            http_conn_cut(c);
        }
        return -1;
    }

    char size_line[24];
    int size_len = ex->framing == HTTP_FRAMING_CHUNKED
                       ? snprintf(size_line, sizeof(size_line), "%zx\r\n", len)
                       : 0;
    uv_buf_t bufs[] = {{.base = size_line, .len = (size_t)size_len},
                       {.base = (char *)data, .len = len},
                       {.base = (char *)"\r\n", .len = size_len > 0 ? 2 : 0}};
    return http_conn_write(c, bufs, 3);
}

int http_stream_end(struct http_exchange *ex)
{
    if (!ex->is_live || !ex->has_begun) {
        http_exchange_cut(ex);
        return -1;
    }
    int rc = 0;
    if (ex->framing == HTTP_FRAMING_CHUNKED && ex->has_body) {
        uv_buf_t last = {.base = (char *)"0\r\n\r\n", .len = 5};
        rc = http_conn_write(ex->conn, &last, 1);
    }
    return end(ex, rc);
}

void http_exchange_cut(struct http_exchange *ex)
{
    if (ex->is_live) {
        http_conn_forget_exchange(ex->conn);
        http_conn_cut(ex->conn);
    }
}
