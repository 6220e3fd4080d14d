/* access.h: who may call a route.
 *
 * The admin key is needed for every admin route; one of the API keys, when there are any, for
 * the public ones. A key comes as `Authorization: Bearer KEY` or `x-api-key: KEY` and is
 * compared in constant time.
 *
 * A server on a loopback address also checks the Host field, so that a web page that rebinds
 * its own name to 127.0.0.1 cannot reach it (CVE-2024-28224 is such a case). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/api/api_error.h"
#include "runtime/api/routes.h"
#include "runtime/net/http_request.h"

#define ACCESS_KEY_MAX 256

struct access {
    char (*api_keys)[ACCESS_KEY_MAX]; /* (n_api_keys), owned; none: no key is needed */
    size_t n_api_keys;
    char admin_key[ACCESS_KEY_MAX]; /* never "" */
    bool loopback_only;             /* bound to a loopback address */
};

void access_deinit(struct access *a);

/* Adds an API key of 1 to ACCESS_KEY_MAX - 1 bytes. */
int access_add_key(struct access *a, const char *key, size_t len, struct err *e);

/* Adds those of a file: one a line; empty lines and those that begin with # are skipped. */
int access_add_key_file(struct access *a, const char *path, struct err *e);

/* Whose request it is: 1 and up for the API keys in their order, 0 where none is needed. */
uint64_t access_tenant(const struct access *a, const struct http_request *r);

/* 32 random bytes as hex, from the kernel. */
int access_generate_key(char out[ACCESS_KEY_MAX], struct err *e);

/* "127.0.0.1", "::1", "localhost" */
bool access_host_is_loopback(const char *host);

/* True if the request may go on; else *refusal says what to answer. */
bool access_check(const struct access *a, const struct route *route,
                  const struct http_request *r, struct api_error *refusal);
