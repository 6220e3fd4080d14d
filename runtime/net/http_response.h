/* http_response.h: response heads and the server's own errors. Internal to runtime/net. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/buf.h"
#include "runtime/net/http_parser.h"
#include "runtime/net/http_request.h"

/* More field bytes than this in one response fail. */
#define HTTP_RESPONSE_HEAD_MAX (64 * 1024)

/* How a client learns where the body ends (RFC 9112 6.3). */
enum http_framing {
    HTTP_FRAMING_NONE,    /* 1xx, 204, 304: no body, no field about it */
    HTTP_FRAMING_LENGTH,  /* Content-Length */
    HTTP_FRAMING_CHUNKED, /* Transfer-Encoding: chunked */
    HTTP_FRAMING_CLOSE,   /* the end of the connection */
};

struct http_response_head {
    int status;
    const struct http_header *headers; /* (header_count), borrowed */
    size_t header_count;
    enum http_framing framing;
    size_t content_length; /* with HTTP_FRAMING_LENGTH */
    int version_minor;     /* the request's */
    bool keep_alive;
    const char *request_id;                    /* or NULL */
    void (*more)(void *ctx, struct buf *head); /* adds fields, by http_field_add; or NULL */
    void *more_ctx;
};

bool http_status_has_body(int status);

/* Appends status line and fields up to and including the empty line. 0, or -1 as buf.h. */
int http_response_append_head(struct buf *out, const struct http_response_head *head);

/* Appends a whole response that ends its connection, with the body
 * {"error":{"message","type","param", "code"}}, the shape OpenAI's clients read. Of `like` the
 * request's id and the further fields are taken. */
int http_response_append_refusal(struct buf *out, const struct http_refusal *refusal,
                                 const struct http_response_head *like, bool is_head);
