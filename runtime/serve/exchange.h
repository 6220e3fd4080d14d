/* exchange.h: one request for an answer from its body to the last byte of its answer.
 *
 * Read exchange.c from top to bottom for the way of a request. An exchange lives until both its
 * ends are done: the client has its answer or is gone, and the engine has sent its final event.
 *
 * Threads: the loop only. */
#pragma once

#include "runtime/engine/engine.h"
#include "runtime/net/http_server.h"
#include "runtime/serve/server.h"

/* The APIs through which an answer can be asked for. */
struct exchange_api;
extern const struct exchange_api exchange_chat;       /* POST /v1/chat/completions */
extern const struct exchange_api exchange_completion; /* POST /v1/completions */
extern const struct exchange_api exchange_responses;  /* POST /v1/responses */
extern const struct exchange_api exchange_anthropic;  /* POST /v1/messages */

void exchange_begin(struct server *s, struct http_exchange *http,
                    const struct exchange_api *api);

/* The client is gone. */
void exchange_abort(struct http_exchange *http);

/* The client has taken what waited for it. */
void exchange_drained(struct http_exchange *http);

/* Brings what metrics know of tokens up to now, of all that are under way. */
void exchange_count_all_tokens(struct server *s);

/* Shows each generation that requests under way are on, once. */
void exchange_visit_generations(struct server *s,
                                void (*visit)(struct server *s, const struct generation *g));

/* Sends a comment, which clients skip, on streams to which nothing was written for so long:
 * while a prompt is read or waits, proxies and clients see that somebody is there. */
void exchange_ping_quiet(struct server *s, uint64_t quiet_ns);

/* The longest engine_busy_ns of the engines that requests under way wait for. */
uint64_t exchange_engines_busy_ns(const struct server *s);
