/* http_fixture.h: a server in a thread of its own, with a handler for tests.
 *
 *   /info     200, the request in words and its body
 *   /peer     200, where the request came from
 *   /empty    204
 *   /later    200 "later", from a timer after 20 ms
 *   /hang     never answers
 *   /ticks    streams "tick\n" every 2 ms without end
 *   /three    streams "one ", "two ", "three" and ends
 *   /flood    streams without heed of back-pressure until a write fails
 *   /gentle   streams FIXTURE_GENTLE_BYTES, pausing for on_drain above the low mark
 *   /cut      streams "half" and cuts the connection
 *   /inject   200 with a header value that holds CR LF
 *   /refuse   401 from on_headers, before the body is read
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "runtime/net/http_server.h"
#include "runtime/net/tls.h"

#define FIXTURE_GENTLE_BYTES ((size_t)16 * 1024 * 1024)

struct http_fixture {
    uint16_t port;
    atomic_int requests;       /* on_request calls */
    atomic_int aborts;         /* on_abort calls */
    atomic_int ends;           /* on_end calls */
    atomic_int failed_writes;  /* http_stream_write returned -1 */
    atomic_size_t queued_peak; /* greatest http_exchange_queued_bytes of a stream */
    atomic_int closed;         /* the server's on_closed ran */
    bool close_requested;
    uint32_t close_idle_ms; /* of http_fixture_close */

    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t command;
    atomic_int wanted; /* what command shall do */
    struct http_server *server;
    struct tls_context *tls;        /* of http_transport; NULL: plain */
    struct http_server_stats stats; /* valid after http_fixture_stats */
    uv_sem_t done;
};

/* settings may be NULL for the defaults. Fails the test when the server cannot start. */
void http_fixture_start(struct http_fixture *f, const struct http_server_settings *settings);

/* Closes gracefully and waits; fails the test when anything was left open on the loop. */
void http_fixture_stop(struct http_fixture *f);

/* Starts the graceful end (without waiting) or cuts all connections. */
void http_fixture_close(struct http_fixture *f);
void http_fixture_cut(struct http_fixture *f);

struct http_server_stats http_fixture_stats(struct http_fixture *f);

/* Waits until *value is at least `wanted`; fails the test after some seconds. */
void http_fixture_wait(atomic_int *value, int wanted);

/* The same for the number of open connections, exactly. */
void http_fixture_wait_open(struct http_fixture *f, size_t wanted);
