/* access.h: who may call a route.
 *
 * The admin key is needed for every admin route; the API key, when one is set, for the public
 * ones. A key comes as `Authorization: Bearer KEY` or `x-api-key: KEY` and is compared in
 * constant time.
 *
 * A server on a loopback address also checks the Host field, so that a web page that rebinds
 * its own name to 127.0.0.1 cannot reach it (CVE-2024-28224 is such a case). */
#pragma once

#include <stdbool.h>

#include "runtime/api/api_error.h"
#include "runtime/api/routes.h"
#include "runtime/net/http_request.h"

#define ACCESS_KEY_MAX 256

struct access {
    char api_key[ACCESS_KEY_MAX];   /* "": none is needed */
    char admin_key[ACCESS_KEY_MAX]; /* never "" */
    bool loopback_only;             /* bound to a loopback address */
};

/* 32 random bytes as hex, from the kernel. */
int access_generate_key(char out[ACCESS_KEY_MAX], struct err *e);

/* "127.0.0.1", "::1", "localhost" */
bool access_host_is_loopback(const char *host);

/* True if the request may go on; else *refusal says what to answer. */
bool access_check(const struct access *a, const struct route *route,
                  const struct http_request *r, struct api_error *refusal);
