/* http_transport.h: over what the tests' server and client talk, so that one test runs over
 * plain TCP, TLS and a unix socket. */
#pragma once

#include <stddef.h>

#include <cmocka.h>

enum http_transport { HTTP_OVER_TCP, HTTP_OVER_TLS, HTTP_OVER_UNIX };

/* What http_fixture_start and http_client_open use. */
extern enum http_transport http_transport;

/* Files in a folder of this process, which is removed at its end. A certificate and its key are
 * made by openssl(1) when they are first asked for. */
const char *http_transport_unix_path(void);
const char *http_transport_cert_path(void);
const char *http_transport_key_path(void);

/* Makes a certificate for localhost with its key. Fails the test without openssl(1). */
void http_transport_make_certificate(const char *cert_path, const char *key_path,
                                     const char *name);

/* Runs the tests once over each transport; the number that failed. */
#define http_transport_run(tests) \
    http_transport_run_group(#tests, (tests), sizeof(tests) / sizeof((tests)[0]))
int http_transport_run_group(const char *name, const struct CMUnitTest *tests, size_t count);
