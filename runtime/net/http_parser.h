/* http_parser.h: bytes in, one checked HTTP/1.x request out. Internal to runtime/net.
 *
 * Two readers must agree on where a head ends. A small guard of our own reads it first and
 * refuses what llhttp lets pass but RFC 9112 does not: line ends that are not CR LF, folded
 * lines, control bytes, empty names, versions other than HTTP/1.0 and 1.1, and lengths over
 * their limit. llhttp, strict and with no leniency, then parses the head in one piece and
 * decodes the body. The guard keeps the head in one buffer, so names and values are pointers
 * into it.
 *
 * The result does not depend on how the bytes are cut into calls.
 */
#pragma once

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/net/http_request.h"
#include "runtime/net/http_server.h"

/* Why the server answers a request by itself. */
struct http_refusal {
    int status;
    const char *code; /* for the error body's "code" */
    char message[160];
};

enum http_parser_event {
    HTTP_PARSER_MORE,   /* everything given was used, and more is needed */
    HTTP_PARSER_HEAD,   /* the head is complete: all of the request but its body can be read */
    HTTP_PARSER_DONE,   /* the body is complete too; reset before the next request */
    HTTP_PARSER_FAILED, /* see refusal; the connection cannot go on */
};

enum http_parser_state {
    HTTP_PARSER_IN_HEAD,
    HTTP_PARSER_IN_BODY,
    HTTP_PARSER_ENDED, /* done or failed */
};

struct http_parser {
    const struct http_server_settings *settings;
    size_t *bodies_total; /* shared: bytes of all bodies now held by the server */
    llhttp_t llhttp;
    enum http_parser_state state;

    struct buf head;   /* the head as received; cut up by NULs when it is complete */
    size_t scanned;    /* bytes of head that the guard has read */
    size_t line_start; /* in head */
    size_t line_count; /* complete lines, not counting empty ones before the request line */
    size_t request_line_at;      /* in head */
    struct http_header *headers; /* (header_count), room for line_count - 1 */
    size_t header_count;
    bool in_name;       /* llhttp is inside the name of the last header */
    bool in_value;      /* llhttp has begun the value of the last header */
    char *target_parts; /* storage of the decoded path and host */

    struct buf body;
    size_t extra_bytes; /* of chunk extensions and trailers, which are skipped */
    char last_bytes[2]; /* the last two read of a body with its framing */
    bool message_complete;

    struct http_request request; /* peer and received_ns are the connection's to fill */
    bool has_body;               /* by the head: a body will follow */
    bool expects_continue;
    bool keep_alive; /* the client's wish and the version's default */
    struct http_refusal refusal;
};

/* settings and bodies_total are borrowed. */
void http_parser_init(struct http_parser *p, const struct http_server_settings *settings,
                      size_t *bodies_total);
void http_parser_deinit(struct http_parser *p);

/* Forgets the request and its memory. */
void http_parser_reset(struct http_parser *p);

/* True when a byte of a request has been read since the reset; empty lines before it do not
 * count. */
bool http_parser_has_begun(const struct http_parser *p);

/* Reads up to len bytes; *used says how many. After HEAD call again, with what is left, even if
 * that is nothing. */
enum http_parser_event http_parser_feed(struct http_parser *p, const char *data, size_t len,
                                        size_t *used);
