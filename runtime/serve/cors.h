/* cors.h: which web pages of other origins may call (Fetch standard, "CORS protocol").
 *
 * Nothing is allowed but what the operator lists; then answers, errors and streams included,
 * say so to pages of those origins, and preflights are answered. Cookies and other credentials
 * of the browser are never asked for: a page sends its API key itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/net/http_request.h"

#define CORS_ORIGINS_MAX 32

struct cors {
    char *origins[CORS_ORIGINS_MAX]; /* (n_origins), owned; "https://example.org" */
    size_t n_origins;
    bool any; /* "*" was listed */
};

/* Adds a list with commas: scheme://host or scheme://host:port, or "*" for all. */
int cors_allow(struct cors *c, const char *list, struct err *e);
void cors_deinit(struct cors *c);

/* True if the request names an origin that was listed. */
bool cors_allows(const struct cors *c, const struct http_request *r);

/* True for an OPTIONS request by which a browser asks whether it may send another. */
bool cors_is_preflight(const struct http_request *r);

/* Fields of any answer to a route that is not admin's; none without a list. */
void cors_add_fields(const struct cors *c, const struct http_request *r, struct buf *head);

/* Further ones of the answer to an allowed preflight. `methods` as in Allow. */
void cors_add_preflight_fields(const struct http_request *r, const char *methods,
                               struct buf *head);
