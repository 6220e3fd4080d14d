#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/net/http_client.h"
#include "tests/unit/net/http_transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/ssl.h>

static void die(const char *what)
{
    perror(what);
    abort();
}

static int connect_tcp(int fd, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static int connect_unix(int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", http_transport_unix_path());
    return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

/* One for all connections, so never released. */
static SSL_CTX *tls_client(void)
{
    static SSL_CTX *ssl;
    if (!ssl) {
        ssl = SSL_CTX_new(TLS_client_method());
    }
    return ssl;
}

static void begin_tls(struct http_client *c)
{
    SSL *ssl = SSL_new(tls_client());
    if (!ssl || SSL_set_fd(ssl, c->fd) != 1) {
        die("TLS");
    }
    c->tls = ssl;
    c->has_eof = SSL_connect(ssl) != 1;
}

void http_client_open(struct http_client *c, uint16_t port, int receive_buffer)
{
    bool is_unix = http_transport == HTTP_OVER_UNIX;
    *c = (struct http_client){.fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0)};
    struct timeval timeout = {.tv_sec = HTTP_CLIENT_TIMEOUT_S};
    if (c->fd < 0) {
        die("socket");
    }
    if (receive_buffer > 0) {
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if ((is_unix ? connect_unix(c->fd) : connect_tcp(c->fd, port)) != 0) {
        die("connect");
    }
    if (http_transport == HTTP_OVER_TLS) {
        begin_tls(c);
    }
}

void http_client_close(struct http_client *c)
{
    SSL_free(c->tls);
    close(c->fd);
    free(c->buffer);
    *c = (struct http_client){.fd = -1};
}

bool http_client_send(struct http_client *c, const void *data, size_t len)
{
    const char *at = data;
    if (c->tls) {
        return len == 0 || SSL_write(c->tls, data, (int)len) == (int)len;
    }
    while (len > 0) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            return false;
        }
        if (n < 0) {
            die("send");
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool http_client_send_str(struct http_client *c, const char *s)
{
    return http_client_send(c, s, strlen(s));
}

/* 0 at the end. */
static ssize_t receive(struct http_client *c, char *out, size_t cap)
{
    if (c->tls) {
        int n = SSL_read(c->tls, out, (int)cap);
        if (n <= 0 && SSL_get_error(c->tls, n) == SSL_ERROR_WANT_READ) {
            die("SSL_read");
        }
        return n > 0 ? n : 0;
    }
    ssize_t n = recv(c->fd, out, cap, 0);
    if (n < 0 && errno != ECONNRESET) {
        die("recv");
    }
    return n > 0 ? n : 0;
}

/* Receives something more, or notes the end. */
static void receive_more(struct http_client *c)
{
    if (c->cap - c->len < 65536) {
        c->cap = c->cap * 2 + 65537;
        c->buffer = realloc(c->buffer, c->cap);
    }
    ssize_t n = receive(c, c->buffer + c->len, c->cap - c->len - 1);
    c->has_eof = n == 0;
    c->len += (size_t)n;
    c->buffer[c->len] = '\0';
}

static void consume(struct http_client *c, size_t n)
{
    c->len -= n;
    memmove(c->buffer, c->buffer + n, c->len + 1);
}

void http_client_wait_for(struct http_client *c, const char *text)
{
    while (!c->buffer || !strstr(c->buffer, text)) {
        if (c->has_eof) {
            fprintf(stderr, "connection closed while waiting for \"%s\"\n", text);
            abort();
        }
        receive_more(c);
    }
}

/* Makes sure that n bytes are in the buffer. */
static bool need(struct http_client *c, size_t n)
{
    while (c->len < n && !c->has_eof) {
        receive_more(c);
    }
    return c->len >= n;
}

static bool need_line(struct http_client *c)
{
    while (!c->has_eof && (c->len == 0 || !strstr(c->buffer, "\r\n"))) {
        receive_more(c);
    }
    return c->len > 0 && strstr(c->buffer, "\r\n");
}

static void take_body(struct http_client *c, struct http_reply *reply, size_t n)
{
    if (reply->body_cap < reply->body_len + n + 1) {
        reply->body_cap = 2 * (reply->body_len + n + 1);
        reply->body = realloc(reply->body, reply->body_cap);
    }
    memcpy(reply->body + reply->body_len, c->buffer, n);
    reply->body_len += n;
    reply->body[reply->body_len] = '\0';
    consume(c, n);
}

static bool receive_chunks(struct http_client *c, struct http_reply *reply)
{
    for (;;) {
        if (!need_line(c)) {
            return false;
        }
        size_t size = strtoull(c->buffer, NULL, 16);
        consume(c, (size_t)(strstr(c->buffer, "\r\n") - c->buffer) + 2);
        bool whole = need(c, size + 2);
        take_body(c, reply, whole ? size : c->len);
        if (!whole || memcmp(c->buffer, "\r\n", 2) != 0) {
            return false;
        }
        consume(c, 2);
        if (size == 0) {
            return true;
        }
    }
}

void http_client_receive(struct http_client *c, struct http_reply *reply, bool head_only)
{
    *reply = (struct http_reply){.body = calloc(1, 1)};
    while (!c->has_eof && (c->len == 0 || !strstr(c->buffer, "\r\n\r\n"))) {
        receive_more(c);
    }
    char *end = c->len > 0 ? strstr(c->buffer, "\r\n\r\n") : NULL;
    if (!end) {
        return;
    }
    size_t head_len = (size_t)(end - c->buffer) + 4;
    reply->head = strndup(c->buffer, head_len);
    consume(c, head_len);
    reply->status = atoi(reply->head + strlen("HTTP/1.1 "));
    const char *length = strstr(reply->head, "\r\nContent-Length: ");
    if (head_only || reply->status == 204 || reply->status == 304 || reply->status < 200) {
        reply->is_complete = true;
    } else if (strstr(reply->head, "\r\nTransfer-Encoding: chunked\r\n")) {
        reply->is_complete = receive_chunks(c, reply);
    } else if (length) {
        size_t size = strtoull(length + strlen("\r\nContent-Length: "), NULL, 10);
        reply->is_complete = need(c, size);
        take_body(c, reply, reply->is_complete ? size : c->len);
    } else {
        while (!c->has_eof) {
            receive_more(c);
        }
        take_body(c, reply, c->len);
        reply->is_complete = true;
    }
}

void http_reply_free(struct http_reply *reply)
{
    free(reply->head);
    free(reply->body);
    *reply = (struct http_reply){0};
}

bool http_client_is_closed(struct http_client *c)
{
    if (c->len == 0 && !c->has_eof) {
        receive_more(c);
    }
    return c->len == 0 && c->has_eof;
}

int http_client_ask(uint16_t port, const char *wire, char **body)
{
    struct http_client c;
    struct http_reply reply;
    http_client_open(&c, port, 0);
    http_client_send_str(&c, wire);
    http_client_receive(&c, &reply, false);
    int status = reply.status;
    if (body) {
        *body = reply.body;
        reply.body = NULL;
    }
    http_reply_free(&reply);
    http_client_close(&c);
    return status;
}
