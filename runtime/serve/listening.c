#include "runtime/serve/listening.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/net/passed_sockets.h"

static int listen_on_named(struct server *s, struct err *e)
{
    const struct server_settings *set = &s->set;
    if (set->host &&
        http_server_listen(s->http, set->host, set->port, s->certificate.tls, e) != 0) {
        return -1;
    }
    return set->unix_path ? http_server_listen_unix(s->http, set->unix_path, set->unix_mode, e)
                          : 0;
}

int listening_begin(struct server *s, struct err *e)
{
    const struct server_settings *set = &s->set;
    const char *rest;
    if (set->tls_cert_path && certificate_open(&s->certificate, &s->loop, set->tls_cert_path,
                                               set->tls_key_path, e) != 0) {
        return -1;
    }
    http_server_use_passed(s->http, set->passed);
    if (set->listens_on_passed) {
        return http_server_listen_passed(s->http, s->certificate.tls, e);
    }
    if (listen_on_named(s, e) != 0) {
        return -1;
    }
    if (set->passed && passed_sockets_close_rest(set->passed, &rest) > 0) {
        log_warn("the socket %s was passed to this process and is not what --host, --port or "
                 "--unix say: it is closed",
                 rest);
    }
    return 0;
}

static void announce_passed(const struct server *s, const char *scheme)
{
    struct http_server_socket socket;
    for (size_t i = 0; http_server_socket_at(s->http, i, &socket); i++) {
        bool is_unix = strncmp(socket.name, "unix:", 5) == 0;
        printf("listening on %s%s\n", is_unix ? "" : scheme, socket.name);
    }
}

void listening_announce(const struct server *s)
{
    const char *scheme = s->certificate.tls ? "https://" : "http://";
    if (s->set.listens_on_passed) {
        announce_passed(s, scheme);
    }
    if (s->set.host) {
        bool is_v6 = strchr(s->set.host, ':') != NULL;
        printf("listening on %s%s%s%s:%u\n", scheme, is_v6 ? "[" : "", s->set.host,
               is_v6 ? "]" : "", http_server_port(s->http));
    }
    if (s->set.unix_path) {
        printf("listening on unix:%s\n", s->set.unix_path);
    }
    fflush(stdout);
}
