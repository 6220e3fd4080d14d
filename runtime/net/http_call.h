/* http_call.h: HTTP requests that this program makes of others, on a libuv loop (libcurl).
 *
 * A call is one POST and its answer. Nothing here blocks the loop: names are resolved by
 * libcurl's own threads, sockets are watched by the loop. Every call ends within its time,
 * whatever the other side does: no answer, half an answer, one that is too long, bytes that
 * trickle. The exception is asked for: an answer that is a stream may have no end of its own,
 * and is read until it is canceled.
 *
 * Only http and https are spoken (HTTP/1.1). Redirects are not followed, no proxy is taken from
 * the environment, no cookies and no credentials are kept. Certificates are checked.
 *
 * At most HTTP_CALLS_RUNNING are under way at a time, further ones wait in their order, and
 * their time runs; beyond HTTP_CALLS_WAITING they are refused.
 *
 * Threads: the loop's only. Ownership: said at each function. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "runtime/base/err.h"

#define HTTP_CALLS_RUNNING 64
#define HTTP_CALLS_WAITING 4096

struct http_calls; /* all of a loop */
struct http_call;  /* one */

/* Borrowed for the call of http_call_begin. */
struct http_call_request {
    const char *url;
    const char *const *headers; /* (header_count) "Name: value", beside the body's own */
    size_t header_count;
    const char *body; /* of type application/json */
    size_t body_len;
    const char *trusted; /* PEM certificates in place of the system's, or NULL */
    size_t trusted_len;
    const char *certificate; /* PEM: who this program is, with its key; or NULL, both */
    size_t certificate_len;
    const char *key;
    size_t key_len;
    uint32_t delay_ms; /* it begins so much later */
    uint32_t
        timeout_ms;    /* from then to the last byte of the answer; 0, only with on_data: any */
    size_t answer_max; /* bytes; with on_data, of those that come at a time */
    /* The bytes of a 2xx answer as they come, which are not kept then. From the loop; it may
     * begin and cancel calls, this one too. NULL: they are kept for done. */
    void (*on_data)(void *user, const char *data, size_t len);
};

/* Borrowed for the call of done. */
struct http_call_answer {
    int status; /* of HTTP; 0: there is no answer, and error says why */
    const char *body;
    size_t len;
    const char *error; /* names no host and no address */
};

/* loop is borrowed. NULL on failure. */
struct http_calls *http_calls_create(uv_loop_t *loop, struct err *e);

/* Ends all calls that are left with an error, takes no more, and is released when the loop has
 * closed its handles. Accepts NULL. */
void http_calls_close(struct http_calls *calls);

/* done is called exactly once, from the loop, never from here, unless the call is canceled. It
 * may begin and cancel calls. NULL: memory or the bound ran out, or it was closed. */
struct http_call *
http_call_begin(struct http_calls *calls, const struct http_call_request *request,
                void (*done)(void *user, const struct http_call_answer *answer), void *user);

/* done is not called any more; the call's pointer is dead. Not after done has been called. */
void http_call_cancel(struct http_call *call);
