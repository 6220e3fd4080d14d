/* http_client.h: a blocking client on raw sockets (or TLS, see http_transport.h), to send
 * exactly the bytes a test wants. Every wait ends after HTTP_CLIENT_TIMEOUT_S seconds and fails
 * the test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CLIENT_TIMEOUT_S 20

struct http_client {
    int fd;
    void *tls;    /* NULL: plain */
    char *buffer; /* (len) received and not consumed, NUL-terminated */
    size_t len;
    size_t cap;
    bool has_eof;
};

struct http_reply {
    int status;
    char *head; /* status line and fields, NUL-terminated */
    char *body; /* decoded, (body_len), NUL-terminated */
    size_t body_len;
    size_t body_cap;
    bool is_complete; /* false when the connection ended inside it */
};

/* receive_buffer: SO_RCVBUF, 0 for the default. A TLS handshake that fails is an end. */
void http_client_open(struct http_client *c, uint16_t port, int receive_buffer);
void http_client_close(struct http_client *c);

/* False when the server closed before taking everything. */
bool http_client_send(struct http_client *c, const void *data, size_t len);
bool http_client_send_str(struct http_client *c, const char *s);

/* Reads one response; free its parts with http_reply_free. `head_only` after a HEAD request. */
void http_client_receive(struct http_client *c, struct http_reply *reply, bool head_only);
void http_reply_free(struct http_reply *reply);

/* Waits until the received bytes contain `text`. */
void http_client_wait_for(struct http_client *c, const char *text);

/* True when the server closes now, without sending another byte. */
bool http_client_is_closed(struct http_client *c);

/* Connects, sends, receives one response and closes; the status. The body goes to *body if not
 * NULL. */
int http_client_ask(uint16_t port, const char *wire, char **body);
