/* exchange.h: one chat request from its body to the last byte of its answer.
 *
 * Read exchange.c from top to bottom for the way of a request. An exchange lives until both its
 * ends are done: the client has its answer or is gone, and the engine has sent its final event.
 *
 * Threads: the loop only. */
#pragma once

#include "runtime/engine/engine.h"
#include "runtime/net/http_server.h"
#include "runtime/serve/server.h"

/* Answers POST /v1/chat/completions. */
void exchange_begin(struct server *s, struct http_exchange *http);

/* The client is gone. */
void exchange_abort(struct http_exchange *http);

/* The client has taken what waited for it. */
void exchange_drained(struct http_exchange *http);

/* Sends a comment, which clients skip, on streams to which nothing was written for so long:
 * while a prompt is read or waits, proxies and clients see that somebody is there. */
void exchange_ping_quiet(struct server *s, uint64_t quiet_ns);

/* What the engine says about the answer that `ev->user` points to. */
void exchange_on_event(const struct engine_event *ev);
