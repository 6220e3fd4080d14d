#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/net/http_transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum http_transport http_transport = HTTP_OVER_TCP;

static char folder[] = "/tmp/weir-http-XXXXXX";
static char unix_path[64];
static char cert_path[64];
static char key_path[64];

static void remove_folder(void)
{
    unlink(unix_path);
    unlink(cert_path);
    unlink(key_path);
    rmdir(folder);
}

static void make_folder(void)
{
    if (unix_path[0]) {
        return;
    }
    if (!mkdtemp(folder)) {
        perror(folder);
        abort();
    }
    snprintf(unix_path, sizeof(unix_path), "%s/socket", folder);
    snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", folder);
    snprintf(key_path, sizeof(key_path), "%s/key.pem", folder);
    atexit(remove_folder);
}

void http_transport_make_certificate(const char *cert, const char *key, const char *name)
{
    char command[512];
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
             "-days 2 -subj /CN=%s -out %s -keyout %s 2>/dev/null",
             name, cert, key);
    if (system(command) != 0) {
        fprintf(stderr, "openssl(1) made no certificate: %s\n", command);
        abort();
    }
}

const char *http_transport_unix_path(void)
{
    make_folder();
    return unix_path;
}

const char *http_transport_cert_path(void)
{
    make_folder();
    if (access(cert_path, R_OK) != 0) {
        http_transport_make_certificate(cert_path, key_path, "localhost");
    }
    return cert_path;
}

const char *http_transport_key_path(void)
{
    http_transport_cert_path();
    return key_path;
}

int http_transport_run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    static const char *const names[] = {"TCP", "TLS", "a unix socket"};
    int failed = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char title[64];
        snprintf(title, sizeof(title), "%s over %s", name, names[i]);
        http_transport = (enum http_transport)i;
        failed += _cmocka_run_group_tests(title, tests, count, NULL, NULL);
    }
    http_transport = HTTP_OVER_TCP;
    return failed;
}
