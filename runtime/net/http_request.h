/* http_request.h: one HTTP/1.x request as the handlers see it: checked, bounded and complete.
 *
 * All strings are NUL-terminated, contain no control bytes but TAB (so no NUL) and are
 * otherwise bytes as they came: not necessarily UTF-8. The body may hold anything and is
 * counted, though a NUL stands after its last byte too.
 *
 * Ownership: the connection owns everything; it is valid until the exchange ends, see
 * http_server.h.
 *
 * Threads: loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_REQUEST_ID_MAX 128

/* A field line, of a request or for a response. Strings are borrowed. */
struct http_header {
    const char *name;
    const char *value;
};

struct http_request {
    const char *method; /* "GET", upper case as sent; CONNECT never arrives here */
    const char *target; /* as sent, for logs */
    const char *path;   /* decoded once from %XX, begins with "/"; or "*" (OPTIONS only) */
    const char *query;  /* what follows "?", not decoded; "" when there is none */
    const char *host;   /* from an absolute target, else from Host; "" for 1.0 without one */
    int version_minor;  /* HTTP/1.minor: 0 or 1 */
    const struct http_header *headers; /* (header_count), in the order received; no trailers */
    size_t header_count;
    const char *body; /* (body_len), never NULL; empty while on_headers runs */
    size_t body_len;
    const char *peer;     /* "192.0.2.1:5000", "[2001:db8::1]:5000" or "unix" */
    bool is_unix;         /* it came over a unix socket, so not through a browser */
    const char *id;       /* names the request in logs and in the answer's x-request-id */
    uint64_t received_ns; /* clock_now_ns() when the first byte of this request was read */
};

/* The value of the first field of that name (RFC 9110 5.1: any letter case), or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);

/* The request's x-request-id if it is 1 to 128 visible ASCII characters, else a new one. */
void http_request_choose_id(const struct http_request *request,
                            char id[HTTP_REQUEST_ID_MAX + 1]);

/* "req_" and 32 random hex digits. */
void http_request_make_id(char id[HTTP_REQUEST_ID_MAX + 1]);
